//! HTTP requests that are made up for rules: most have what a rule looks for, in a target that is written in one of the ways that
//! servers read, or almost.

use detector::rules::{Buffer, Rule};

use super::{
    choices::Choices,
    payload::{fill, put_unless_negated},
};

/// What stands before the first request.
const LEADS: [&[u8]; 12] = [
    b"",
    b"",
    b"",
    b"",
    b"",
    b"",
    b"",
    b"\r\n",
    b"\n \t\r\n",
    b"\r",
    b"a\r\n",
    b"a.x\0\xff\n",
];
const METHODS: [&[u8]; 16] = [
    b"GET",
    b"GET",
    b"GET",
    b"GET",
    b"GET",
    b"GET",
    b"GET",
    b"GET",
    b"POST",
    b"POST",
    b"HEAD",
    b"get",
    b"a",
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF",
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG",
    b"a:",
];
const SPACES: [&[u8]; 8] = [b" ", b" ", b" ", b" ", b" ", b"  ", b"\t\r ", b"\r"];
const VERSIONS: [&[u8]; 16] = [
    b" HTTP/1.0",
    b" HTTP/1.0",
    b" HTTP/1.0",
    b" HTTP/1.0",
    b" HTTP/1.1",
    b" HTTP/1.1",
    b" HTTP/1.1",
    b" HTTP/1.1",
    b" HTTP/1.1",
    b" HTTP/1.1",
    b"  HTTP/1.1",
    b"\t hTTp/1.\xff",
    b" HTTP/1.1 HTTP/1.0",
    b"",
    b" HTTP/2.0",
    b"HTTP/1.1",
];
const LINE_ENDS: [&[u8]; 16] = [
    b"\r\n",
    b"\r\n",
    b"\r\n",
    b"\r\n",
    b"\r\n",
    b"\r\n",
    b"\r\n",
    b"\r\n",
    b"\r\n",
    b"\r\n",
    b"\n",
    b"\n",
    b"\n",
    b" \t\r\r\n",
    b"\r",
    b"",
];
const HEADERS_ENDS: [&[u8]; 8] = [
    b"\r\n",
    b"\r\n\r\n",
    b"\r\n\r\n",
    b"",
    b"\n\n",
    b"\n \n",
    b"\r\n\r",
    b"\n",
];
/// What a target may hold that almost is an escape, or one of what is none of ours.
const BROKEN: [&[u8]; 12] = [
    b"%",
    b"%4",
    b"%g1",
    b"%u9090",
    b"%u004",
    b"%uff5f",
    b"\xc0",
    b"%e0%80",
    b"\xf0\x80\x80",
    b"%fc%80",
    b"%c3%a9",
    b"\xe2\x82\xac",
];
/// What sequences of UTF-8 begin with that are too long for a byte of ASCII, and how many bytes follow.
const LEAD_BYTES: [(u8, usize); 5] = [(0xc0, 1), (0xe0, 2), (0xf0, 3), (0xf8, 4), (0xfc, 5)];

/// One request, or a few of which one at least is for `aim`.
pub(super) fn requests(aim: Option<&Rule>, choices: &mut Choices<'_>) -> Vec<u8> {
    let mut payload = choices.one_of(&LEADS).to_vec();
    let is_at_start = choices.one_in(2);
    if is_at_start {
        put_all(Buffer::Payload, aim, &mut payload, choices);
        if !payload.is_empty() && !choices.one_in(4) {
            payload.push(b'\n');
        }
    }
    let count = choices.one_of(&[1, 1, 1, 1, 1, 2, 3, 9]);
    let aimed = choices.below(count);
    for number in 0..count {
        let aim = aim.filter(|_| number == aimed || choices.one_in(4));
        request(aim, &mut payload, choices);
    }
    if !is_at_start {
        put_all(Buffer::Payload, aim, &mut payload, choices);
    }
    payload
}

/// A request for `aim`.
fn request(aim: Option<&Rule>, payload: &mut Vec<u8>, choices: &mut Choices<'_>) {
    let mut method = Vec::new();
    put_all(Buffer::HttpMethod, aim, &mut method, choices);
    if method.is_empty() {
        method = choices.one_of(&METHODS).to_vec();
    }
    let mut uri = Vec::new();
    put_all(Buffer::HttpUri, aim, &mut uri, choices);
    if uri.is_empty() || choices.one_in(4) {
        uri.push(b'/');
        let len = choices.below(12);
        fill(&mut uri, len, choices);
    }
    let mut target = Vec::new();
    put_all(Buffer::HttpUriRaw, aim, &mut target, choices);
    let uri = written(&uri, choices);
    if choices.one_in(2) {
        target.extend(uri);
    } else {
        target.splice(0..0, uri);
    }
    let mut headers = Vec::new();
    if choices.one_in(3) {
        headers.extend(b"Host: a.x\r\n");
    }
    put_all(Buffer::HttpHeader, aim, &mut headers, choices);

    payload.extend(method);
    payload.extend(choices.one_of(&SPACES));
    payload.extend(target);
    payload.extend(choices.one_of(&VERSIONS));
    payload.extend(choices.one_of(&LINE_ENDS));
    payload.extend(headers);
    payload.extend(choices.one_of(&HEADERS_ENDS));
}

/// What a rule looks for in a buffer.
fn put_all(buffer: Buffer, aim: Option<&Rule>, bytes: &mut Vec<u8>, choices: &mut Choices<'_>) {
    let patterns = aim.iter().flat_map(|rule| &rule.patterns);
    for pattern in patterns.filter(|pattern| pattern.buffer == buffer) {
        put_unless_negated(pattern, bytes, choices);
    }
}

/// A target that is to be read as `uri`: some bytes or all are written otherwise, and now and then in a way that is not read so.
fn written(uri: &[u8], choices: &mut Choices<'_>) -> Vec<u8> {
    let every = choices.one_of(&[0, 0, 1, 2, 5, 17]);
    let from = choices.below(every);
    let is_broken = choices.one_in(4);
    let mut target = Vec::new();
    for (at, byte) in uri.iter().enumerate() {
        if every == 0 || at % every != from {
            target.push(*byte);
        } else if is_broken && choices.one_in(4) {
            almost(*byte, &mut target, choices);
        } else {
            escape(*byte, &mut target, choices);
        }
    }
    target
}

/// A byte in one of the ways that are read as that byte.
fn escape(byte: u8, target: &mut Vec<u8>, choices: &mut Choices<'_>) {
    // A slash may be the other one, which is one more way to write each.
    let byte = if byte == b'/' && choices.one_in(2) {
        b'\\'
    } else {
        byte
    };
    match choices.below(8) {
        4 if byte.is_ascii() => target.extend(format!("%u{byte:04x}").bytes()),
        5 if byte.is_ascii_graphic() => {
            target.extend(format!("%UFF{:02X}", byte - 0x20).bytes());
        }
        6.. if byte.is_ascii() => overlong(byte, target, choices),
        3 => target.extend(format!("%{byte:02X}").bytes()),
        2 if byte == b'\\' => target.push(byte),
        _ => target.extend(format!("%{byte:02x}").bytes()),
    }
}

/// A byte of ASCII as more bytes of UTF-8 than it takes, each of them as it is or escaped.
fn overlong(byte: u8, target: &mut Vec<u8>, choices: &mut Choices<'_>) {
    let (lead, more) = choices.one_of(&LEAD_BYTES);
    let shapes = choices.byte();
    let lead = if more == 1 { lead | byte >> 6 } else { lead };
    let following = (0..more).rev().map(|place| match place {
        0 => byte & 0x3f,
        1 => byte >> 6,
        _ => 0,
    });
    let upper = choices.one_of(&[0x80, 0x80, 0x00, 0x40, 0xc0]);
    for (number, bits) in (0..).zip([lead].into_iter().chain(following)) {
        let is_escaped = shapes >> number & 1 != 0;
        match (number, is_escaped) {
            (0, true) => target.extend(format!("%{bits:02x}").bytes()),
            (0, false) => target.push(bits),
            // The upper bits of one that is escaped may be any.
            (_, true) => target.extend(format!("%{:02x}", upper | bits).bytes()),
            (_, false) => target.push(0x80 | bits),
        }
    }
}

/// A byte in a way that is not read as that byte, or behind something that is no escape.
fn almost(byte: u8, target: &mut Vec<u8>, choices: &mut Choices<'_>) {
    match choices.below(4) {
        0 => target.extend(format!("%25{byte:02x}").bytes()),
        1 => {
            let digits = format!("{byte:02x}");
            target.push(b'%');
            target.extend(
                digits
                    .bytes()
                    .flat_map(|digit| format!("%{digit:x}").into_bytes()),
            );
        }
        2 => {
            target.extend(choices.one_of(&BROKEN));
            target.push(byte);
        }
        _ => {
            // Bytes that are not escaped, and have not the upper bits of such as follow.
            target.extend([0xc0 | byte >> 6, byte & 0x3f]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::http, *};
    use crate::generate::Dice;

    #[test]
    fn what_is_written_otherwise_is_read_as_it_was() {
        for byte in 0..=255_u8 {
            let expected = if byte == b'\\' { b'/' } else { byte };
            for seed in 0..200 {
                let bytes = Dice::new(seed).bytes(16);
                let mut target = b"a".to_vec();
                escape(byte, &mut target, &mut Choices::new(&bytes));
                target.push(b'a');
                assert_eq!(
                    http::decoded(&target),
                    [b'a', expected, b'a'],
                    "{}",
                    target.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn what_is_written_almost_so_is_not() {
        for byte in 0x20..0x7f_u8 {
            for seed in 0..100 {
                let bytes = Dice::new(seed).bytes(16);
                let mut target = Vec::new();
                almost(byte, &mut target, &mut Choices::new(&bytes));
                let read = http::decoded(&target);
                assert_ne!(read, [byte], "{}", target.escape_ascii());
            }
        }
    }

    #[test]
    fn most_of_what_is_made_up_has_requests() {
        let mut with_requests = 0;
        for seed in 0..1000 {
            let bytes = Dice::new(seed).bytes(256);
            let payload = requests(None, &mut Choices::new(&bytes));
            with_requests += usize::from(!http::requests(&payload).is_empty());
        }
        assert!((600..950).contains(&with_requests), "{with_requests}");
    }
}
