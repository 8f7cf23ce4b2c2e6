//! The HTTP requests of a payload, as plainly as they can be put: every line is looked at, a target is decoded whole in three passes,
//! and nothing is bounded.

use std::ops::Range;

/// The longest method.
const METHOD_MAX: usize = 32;
/// What a version begins with, in either case; one byte follows.
const VERSION: &[u8] = b"HTTP/1.";

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Where its method stands in the payload.
    pub method: Range<usize>,
    /// Where its target does.
    pub target: Range<usize>,
    /// The target, decoded once.
    pub decoded: Vec<u8>,
    /// Where its headers stand: whole lines, to the next blank one.
    pub headers: Range<usize>,
}

/// The requests of a payload, wherever in it they stand.
#[must_use]
pub fn requests(payload: &[u8]) -> Vec<Request> {
    let mut requests = Vec::new();
    let mut start = 0;
    let mut is_first = true;
    for line in lines(payload) {
        let end = start + line.len();
        if let Some((method, target)) = request_line(line, is_first) {
            let behind = lines(&payload[end..]).take_while(|line| !is_blank(line));
            requests.push(Request {
                method: start + method.start..start + method.end,
                target: start + target.start..start + target.end,
                decoded: decoded(&line[target]),
                headers: end..end + behind.map(<[u8]>::len).sum::<usize>(),
            });
        }
        is_first &= is_blank(line);
        start = end;
    }
    requests
}

/// The lines of some bytes, each with the LF that ends it, which the last one may lack.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n')
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| is_space(*byte) || *byte == b'\n')
}

/// Where the method and the target of a request stand in its line; `None` if that is none. A version may only be left out in the
/// first line that is not blank.
fn request_line(line: &[u8], is_first: bool) -> Option<(Range<usize>, Range<usize>)> {
    let without_end = line.strip_suffix(b"\n").unwrap_or(line);
    let said = trimmed(line, 0..without_end.len());
    let len = line[said.clone()].iter().position(|byte| is_space(*byte))?;
    let method = said.start..said.start + len;
    let is_method = |byte: &u8| matches!(byte, 0x21..=0x7e) && *byte != b':';
    if len > METHOD_MAX || !line[method.clone()].iter().all(is_method) {
        return None;
    }
    let version = version(&line[method.end..said.end]);
    let target = trimmed(line, method.end..said.end - version.unwrap_or_default());
    let first = line[target.clone()].first()?;
    let is_request = version.is_some() || is_first && b"/\\%".contains(first);
    is_request.then_some((method, target))
}

/// The range without the spaces at either end.
fn trimmed(line: &[u8], range: Range<usize>) -> Range<usize> {
    let bytes = &line[range.clone()];
    let is_not_space = |byte: &u8| !is_space(*byte);
    let first = bytes.iter().position(is_not_space);
    let last = bytes.iter().rposition(is_not_space);
    match (first, last) {
        (Some(first), Some(last)) => range.start + first..range.start + last + 1,
        (None, _) | (_, None) => range.start..range.start,
    }
}

/// The length of the version that these bytes end with, behind a space.
fn version(rest: &[u8]) -> Option<usize> {
    let len = VERSION.len() + 1;
    let from = rest.len().checked_sub(len + 1)?;
    let is_version =
        is_space(rest[from]) && rest[from + 1..rest.len() - 1].eq_ignore_ascii_case(VERSION);
    is_version.then_some(len)
}

/// A target, decoded once.
#[must_use]
pub fn decoded(target: &[u8]) -> Vec<u8> {
    let bytes = shortened(&unescaped(target));
    let slashed = bytes.into_iter().map(|byte| match byte {
        b'\\' => b'/',
        other => other,
    });
    slashed.collect()
}

/// A byte, and whether it was escaped.
type Byte = (u8, bool);

/// The bytes that escapes stand for, and all others.
fn unescaped(target: &[u8]) -> Vec<Byte> {
    let mut bytes = Vec::new();
    let mut rest = target;
    while let Some(first) = rest.first() {
        let (byte, len) = match escape(rest) {
            Some((byte, len)) => ((byte, true), len),
            None => ((*first, false), 1),
        };
        bytes.push(byte);
        rest = &rest[len..];
    }
    bytes
}

/// The byte that an escape stands for with which these bytes begin, and the escape's length.
fn escape(bytes: &[u8]) -> Option<(u8, usize)> {
    match bytes {
        [b'%', b'u' | b'U', digits @ ..] => {
            let ascii = match hex(digits.get(..4)?)? {
                value @ 0..0x80 => value,
                // The full-width forms of what ASCII can show.
                value @ 0xff01..=0xff5e => value - 0xfee0,
                _ => return None,
            };
            Some((u8::try_from(ascii).ok()?, 6))
        }
        [b'%', digits @ ..] => Some((u8::try_from(hex(digits.get(..2)?)?).ok()?, 3)),
        _ => None,
    }
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| {
        Some(value << 4 | char::from(*digit).to_digit(16)?)
    })
}

/// The bytes, and for each that was written in more bytes of UTF-8 than it takes that one.
///
/// A sequence that stands for something else, or that is broken off, stays as it is, and what is behind it is looked at afresh.
fn shortened(bytes: &[Byte]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while let Some((lead, _)) = rest.first() {
        let (more, bits) = match *lead {
            0xc0 | 0xc1 => (1, lead & 1),
            0xe0 => (2, 0),
            0xf0 => (3, 0),
            0xf8 => (4, 0),
            0xfc => (5, 0),
            _ => (0, 0),
        };
        let may_follow = |(byte, is_escaped): &&Byte| *is_escaped || byte & 0xc0 == 0x80;
        let follow = rest[1..].iter().take(more).take_while(may_follow).count();
        let (sequence, behind) = rest.split_at(1 + follow);
        let value = sequence[1..]
            .iter()
            .fold(u32::from(bits), |value, (byte, _)| {
                value << 6 | u32::from(byte & 0x3f)
            });
        match u8::try_from(value) {
            Ok(byte @ 0..0x80) if more > 0 && follow == more => out.push(byte),
            _ => out.extend(sequence.iter().map(|(byte, _)| byte)),
        }
        rest = behind;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::Dice;

    /// Of each request its method, its target and its headers.
    fn read(payload: &str) -> Vec<(&str, &str, &str)> {
        let found = requests(payload.as_bytes()).into_iter();
        let text = found.map(|request| {
            let Request {
                method,
                target,
                headers,
                ..
            } = request;
            (&payload[method], &payload[target], &payload[headers])
        });
        text.collect()
    }

    /// The method and the target of the one request that a payload has, if it has one.
    fn one(payload: &str) -> Option<(&str, &str)> {
        let all = read(payload);
        assert!(all.len() < 2, "{payload:?}");
        all.first().map(|(method, target, _)| (*method, *target))
    }

    fn decodes(pairs: &[(&[u8], &[u8])]) {
        for (target, expected) in pairs {
            assert_eq!(
                decoded(target).escape_ascii().to_string(),
                expected.escape_ascii().to_string(),
                "{}",
                target.escape_ascii()
            );
        }
    }

    #[test]
    fn a_request_line_has_a_method_a_target_and_a_version() {
        for line in [
            "GET /a HTTP/1.0\r\n",
            "GET /a HTTP/1.1\n",
            "GET /a HTTP/1.1",
            "GET /a http/1.1\r\n",
            "GET /a HtTp/1.1\r\n",
            // Any one byte.
            "GET /a HTTP/1.9\r\n",
            "GET /a HTTP/1.x\r\n",
            "GET /a HTTP/1.\0\r\n",
            // Spaces, tabs and carriage returns before, between and behind.
            " \t\rGET\t /a\r\tHTTP/1.0 \t\r\r\n",
            "GET\r/a\rHTTP/1.0\r",
        ] {
            assert_eq!(one(line), Some(("GET", "/a")), "{line:?}");
        }
    }

    #[test]
    fn a_method_is_of_bytes_that_can_be_shown_and_no_colon() {
        let longest = "M".repeat(32);
        for method in ["G", "get", "!", "~", "G/T\\%", "HTTP/1.0", &longest] {
            let line = format!("{method} /a HTTP/1.0\r\n");
            assert_eq!(one(&line), Some((method, "/a")), "{line:?}");
        }
        let longer = "M".repeat(33);
        for method in [
            "", "G:T", ":", "GET:", "G\0T", "G\x7f", "G\x1b", "G\u{e9}T", &longer,
        ] {
            let line = format!("{method} /a HTTP/1.0\r\n");
            assert_eq!(one(&line), None, "{line:?}");
        }
        // What stands before the first space counts, not what follows.
        assert_eq!(one("User-Agent: x HTTP/1.1\r\n"), None);
        assert_eq!(one("User-Agent : x HTTP/1.1"), Some(("User-Agent", ": x")));
    }

    #[test]
    fn a_target_is_all_between_without_spaces_at_either_end() {
        for (line, target) in [
            ("GET /a b HTTP/1.0", "/a b"),
            ("GET  /a \r b\t HTTP/1.0\r", "/a \r b"),
            ("GET a HTTP/1.0", "a"),
            ("GET * HTTP/1.0", "*"),
            (
                "GET http://192.0.2.1:80/a HTTP/1.1\r\n",
                "http://192.0.2.1:80/a",
            ),
            ("CONNECT 192.0.2.1:25 HTTP/1.1", "192.0.2.1:25"),
            ("GET /a HTTP/1.0 HTTP/1.1", "/a HTTP/1.0"),
            ("GET HTTP/1.0 HTTP/1.1", "HTTP/1.0"),
            ("GET /a\0\x0b\x0c HTTP/1.0", "/a\0\x0b\x0c"),
        ] {
            assert_eq!(
                one(line).map(|(_, target)| target),
                Some(target),
                "{line:?}"
            );
        }
        for line in [
            "GET HTTP/1.0",
            "GET  \t HTTP/1.0\r\n",
            " HTTP/1.0",
            "HTTP/1.0",
            "GET",
            "GET \r\n",
            "\n",
            "",
        ] {
            assert_eq!(one(line), None, "{line:?}");
        }
    }

    #[test]
    fn without_a_version_it_is_a_request_in_the_first_line_alone() {
        for (line, target) in [
            ("GET /a", "/a"),
            ("GET /a b\r\n", "/a b"),
            ("GET \\a\n", "\\a"),
            ("GET %2fa\n", "%2fa"),
            // These are no versions, so they are part of the target.
            ("GET /a HTTP/1.10", "/a HTTP/1.10"),
            ("GET /a HTTP/2.0", "/a HTTP/2.0"),
            ("GET /a HTTP/1. \r\n", "/a HTTP/1."),
            ("GET /aHTTP/1.0", "/aHTTP/1.0"),
            // No blank line is the first.
            ("\r\n\n \t\r\nGET /a\r\n", "/a"),
        ] {
            assert_eq!(one(line), Some(("GET", target)), "{line:?}");
        }
        for line in [
            "GET a\r\n",
            "GET http://192.0.2.1/a\r\n",
            "GET aHTTP/1.0",
            "x\r\nGET /a\r\n",
            "\0\nGET /a\r\n",
        ] {
            assert_eq!(one(line), None, "{line:?}");
        }
        // One with a version is the first too.
        assert_eq!(one("GET /a HTTP/1.0\r\n\r\nGET /b"), Some(("GET", "/a")));
    }

    #[test]
    fn requests_stand_anywhere() {
        let payload = "\r\n\r\nPOST /a HTTP/1.1\r\nHost: a\r\n\r\nx=1\nGET /b HTTP/1.1\r\n\r\n\r\n\
                       GET /c\r\nGET /d HTTP/1.0\r\nA: b";
        assert_eq!(
            read(payload),
            [
                ("POST", "/a", "Host: a\r\n"),
                ("GET", "/b", ""),
                ("GET", "/d", "A: b"),
            ]
        );
        let bytes = b"\xff\xfe\x00\nGET /a HTTP/1.0";
        let found = requests(bytes);
        assert_eq!(&bytes[found[0].target.clone()], b"/a");
        assert_eq!(requests(&b"GET / HTTP/1.0\n".repeat(300)).len(), 300);
    }

    #[test]
    fn headers_are_the_lines_to_the_next_blank_one() {
        for (payload, headers) in [
            ("GET / HTTP/1.0", ""),
            ("GET / HTTP/1.0\r\n", ""),
            ("GET / HTTP/1.0\r\n\r\nA: b", ""),
            ("GET / HTTP/1.0\r\nA: b", "A: b"),
            ("GET / HTTP/1.0\r\nA: b\r", "A: b\r"),
            ("GET / HTTP/1.0\nA: b\n\nC: d\n", "A: b\n"),
            (
                "GET / HTTP/1.0\r\nA: b\r\nC: d\r\n \t\r\nE",
                "A: b\r\nC: d\r\n",
            ),
            // A line of spaces is blank, also the last one.
            ("GET / HTTP/1.0\nA: b\n \r", "A: b\n"),
            ("GET /\nA: b\n", "A: b\n"),
        ] {
            assert_eq!(read(payload), [("GET", "/", headers)], "{payload:?}");
        }
        // A request line is a line as any.
        let headers: Vec<_> = read("GET / HTTP/1.0\nGET / HTTP/1.0\nA: b\n\n")
            .into_iter()
            .map(|(_, _, headers)| headers)
            .collect();
        assert_eq!(headers, ["GET / HTTP/1.0\nA: b\n", "A: b\n"]);
    }

    #[test]
    fn two_digits_are_a_byte() {
        decodes(&[
            (b"/%61%2E%2f%41", b"/a./A"),
            (b"%00%ff%7F", b"\0\xff\x7f"),
            (b"%5c%5C\\/", b"////"),
            (b"%25%20%0a", b"% \n"),
            // Decoded once.
            (b"/..%255c..", b"/..%5c.."),
            (b"/..%%35%63..", b"/..%5c.."),
            (b"/..%%35c..", b"/..%5c.."),
            (b"/..%25%35%63..", b"/..%5c.."),
            (b"%2525", b"%25"),
        ]);
    }

    #[test]
    fn what_is_no_escape_stays() {
        decodes(&[
            (b"", b""),
            (b"%", b"%"),
            (b"a%", b"a%"),
            (b"a%4", b"a%4"),
            (b"%4g%g4%  %-1%+1", b"%4g%g4%  %-1%+1"),
            (b"%%41", b"%A"),
            (b"%%%41%", b"%%A%"),
            (b"%%", b"%%"),
            (b"a+b?c=%2B&d", b"a+b?c=+&d"),
            // Neither made shorter nor in the other case.
            (b"/A/../b/./c//d", b"/A/../b/./c//d"),
        ]);
    }

    #[test]
    fn four_digits_are_a_byte_if_they_are_of_ascii_or_its_full_width_forms() {
        decodes(&[
            (b"%u0061%U0041%u005c%u002F", b"aA//"),
            (b"%u0000%u007f", b"\0\x7f"),
            (b"%uff0f%uFF3c%uff21%uff01%uff5e", b"//A!~"),
            (b"%uff00%uff5f", b"%uff00%uff5f"),
            (b"%u0080%u00e9%u2215%uffff", b"%u0080%u00e9%u2215%uffff"),
            // Code Red.
            (b"NN%u9090%u6858%ucbd3%u7801", b"NN%u9090%u6858%ucbd3%u7801"),
            (b"%u00=a", b"%u00=a"),
            // What follows an escape that is none is looked at.
            (b"%u%41%u00%41", b"%uA%u00A"),
            (b"%u9090%u0041", b"%u9090A"),
            (b"%u", b"%u"),
            (b"%u006", b"%u006"),
            (b"%%u0061", b"%a"),
        ]);
    }

    #[test]
    fn a_byte_in_more_bytes_of_utf_8_than_it_takes_is_that_byte() {
        decodes(&[
            (b"/..%c0%af..", b"/../.."),
            (b"/..%c1%9c..", b"/../.."),
            (b"/..\xc0\xaf..", b"/../.."),
            (b"/..\xc0%af..", b"/../.."),
            (b"/..%c0\xaf..", b"/../.."),
            // The bits of 0x1c, 0x2f and 0xc0 are taken as they are.
            (b"/..%c1%1c..", b"/../.."),
            (b"/..%c0%2f..", b"/../.."),
            (b"/..%c1%u005c..", b"/../.."),
            (b"%c0%c0", b"\0"),
            (b"%e0%80%af|\xe0\x80\xaf|\xe0%80\xaf", b"/|/|/"),
            (b"%f0%80%80%af|\xf0\x80\x80\xaf", b"/|/"),
            (b"%f8%80%80%80%af", b"/"),
            (b"%fc%80%80%80%80%af", b"/"),
            (b"%c1%81\xc1\xbf\xc0\x80", b"A\x7f\0"),
            (b"%e0%81%81", b"A"),
            (b"%c0%af%c0%ae", b"/."),
        ]);
    }

    #[test]
    fn what_is_no_such_sequence_stays() {
        decodes(&[
            // Not ASCII, in as many bytes as it takes or more.
            (b"%c3%a9\xe2\x82\xac", b"\xc3\xa9\xe2\x82\xac"),
            (b"%e0%82%80", b"\xe0\x82\x80"),
            (b"%f0%80%82%80", b"\xf0\x80\x82\x80"),
            (b"%f0%90%80%80", b"\xf0\x90\x80\x80"),
            // No lead bytes.
            (
                b"%c2%80%e1%80%af%f1%80%80%af",
                b"\xc2\x80\xe1\x80\xaf\xf1\x80\x80\xaf",
            ),
            (b"%80%af\xaf", b"\x80\xaf\xaf"),
            // Broken off, by the end or by what may not follow.
            (b"%c0", b"\xc0"),
            (b"\xe0\x80", b"\xe0\x80"),
            (b"%c0/", b"\xc0/"),
            (b"\xc1\x1c", b"\xc1\x1c"),
            (b"%e0%80/", b"\xe0\x80/"),
            (b"%c0%", b"\xc0%"),
            (b"%c0%a", b"\xc0%a"),
            (b"%c0%u9090", b"\xc0%u9090"),
            // It is looked at afresh.
            (b"%c0\xc0\xaf", b"\xc0/"),
            (b"%e0%80\xc0\xaf", b"\xe0\x80/"),
            (b"%c0\\", b"\xc0/"),
            // What is part of a sequence is not looked at again.
            (b"%e0%c2%c0%af", b"\xe0\xc2\xc0\xaf"),
        ]);
    }

    #[test]
    fn the_request_of_a_worm_is_decoded() {
        let payload =
            b"GET /scripts/..%%35c../winnt/system32/cmd.exe?/c+dir HTTP/1.0\r\nHost: www\r\n\r\n";
        let found = requests(payload);
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].decoded,
            b"/scripts/..%5c../winnt/system32/cmd.exe?/c+dir"
        );
        let twice = decoded(&found[0].decoded);
        assert_eq!(twice, b"/scripts/../../winnt/system32/cmd.exe?/c+dir");
    }

    #[test]
    fn decoding_makes_nothing_longer_and_leaves_what_is_plain() {
        let mut dice = Dice::new(0xde7e_c705_0000_0080);
        let letters = b"%%%%uU0123456789abcdefABCDEFg/\\. \x80\xaf\xbf\xc0\xc1\xe0\xf0\xf8\xfc\xff";
        let plain = |byte: &u8| byte.is_ascii() && !b"%\\".contains(byte);
        for _ in 0..20_000 {
            let len = dice.below(24);
            let target: Vec<_> = (0..len)
                .map(|_| letters[dice.below(letters.len())])
                .collect();
            let once = decoded(&target);
            assert!(once.len() <= target.len(), "{}", target.escape_ascii());
            assert!(!once.contains(&b'\\'), "{}", target.escape_ascii());
            let target: Vec<_> = dice.bytes(24).into_iter().filter(plain).collect();
            assert_eq!(decoded(&target), target);
        }
    }
}
