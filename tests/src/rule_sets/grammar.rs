//! Files of rules that are made up: almost all of them rules that are taken, of few ports and addresses, and of contents that share
//! bytes, so that they get in each other's way.

use std::fmt::Write as _;

use super::choices::Choices;

/// The most rules of a file.
const RULES_MAX: usize = 24;
/// The most contents of a rule but for the few that have as many as there is room for.
const CONTENTS_MAX: usize = 4;
/// As many as there is room for.
const CONTENTS_LIMIT: usize = 16;

const ADDRESSES: [&str; 16] = [
    "any",
    "any",
    "any",
    "any",
    "any",
    "$HOME_NET",
    "$EXTERNAL_NET",
    "$HTTP_SERVERS",
    "192.0.2.9",
    "[192.0.2.0/24,!192.0.2.9]",
    "!192.0.2.0/255.255.255.128",
    "192.0.2.9-198.51.100.9",
    "[!10.0.0.0/8,!2001:db8::/48]",
    "2001:db8::/32",
    "::/0",
    "0.0.0.0/0",
];
const PORTS: [&str; 12] = [
    "any",
    "any",
    "any",
    "80",
    "80",
    "$HTTP_PORTS",
    "[80,8000:8010,!8005]",
    ":1023",
    "1024:",
    "!80",
    "[!80,!8000:]",
    "53",
];
const TESTS: [&str; 22] = [
    "dsize:0;",
    "dsize:<300;",
    "dsize:>8;",
    "dsize:!0;",
    "dsize:5<>90;",
    "ttl:<64;",
    "ttl:!64;",
    "id:7;",
    "fragbits:D;",
    "fragbits:!D;",
    "fragbits:M+;",
    "ipopts:any;",
    "ipopts:nop;",
    "ipopts:rr;",
    "isdataat:20;",
    "isdataat:!20;",
    "sameip;",
    "ip_proto:6;",
    "ip_proto:!udp;",
    "ip_proto:58;",
    "byte_test:1,>,96,0;",
    "byte_test:4,!&,0x80,8,little;",
];
const TCP_TESTS: [&str; 18] = [
    "flags:A;",
    "flags:S;",
    "flags:+A;",
    "flags:*SF;",
    "flags:!S;",
    "flags:PA,12;",
    "flow:to_server;",
    "flow:to_client;",
    "flow:established;",
    "flow:to_server,established;",
    "detector.no_tcp_options;",
    "detector.seq_is_destination;",
    "ack:2147483655;",
    "ack:0;",
    "seq:3221225993;",
    "tcp.seq:1;",
    "window:17185;",
    "window:!17185;",
];
/// Of rules of HTTP requests, which are never to the client.
const HTTP_TESTS: [&str; 8] = [
    "flow:to_server;",
    "flow:to_server;",
    "flow:to_server,established;",
    "flow:to_server; flags:+A;",
    "flow:established;",
    "flags:PA,12;",
    "",
    "",
];
const ICMP_TESTS: [&str; 8] = [
    "itype:8;",
    "itype:>8;",
    "icode:0;",
    "icode:!0;",
    "icmp_id:258;",
    "icmp_id:0;",
    "icmp_seq:772;",
    "icmp_seq:0;",
];
/// What contents are made of: few letters in both cases, what bounds words, and bytes of which case says nothing.
const LETTERS: &[u8] = b"aaAbBcd/.@`\0 \xc1\xe1\xff";

/// What contents are looked for in.
struct Buffer {
    /// What says so of the contents behind it.
    before: &'static str,
    /// What says so of the content before it; nothing for the payload.
    behind: &'static str,
    /// What its contents are made of.
    letters: &'static [u8],
}

/// The last two are only for segments to the server: an answer has headers too.
const BUFFERS: [Buffer; 9] = [
    Buffer::new("http.uri", "http_uri", b"aaAbBcd//."),
    Buffer::new("http.uri", "http_uri", b"aaAbBcd//.?=&0"),
    Buffer::new("http.uri", "http_uri", LETTERS),
    Buffer::new("http.uri", "http_uri", b"aaAbBcd//.aaAbBcd//.%\\5 \xc1"),
    Buffer::new("pkt_data", "", LETTERS),
    Buffer::new("http.uri.raw", "http_raw_uri", b"aAbB/%%25cfu0\\\xc0\xaf"),
    Buffer::new(METHOD, "http_method", b"aaAbBGETgett/"),
    Buffer::new("http.header", "http_header", b"aaAbBcd:: ."),
    Buffer::new("http.header", "http_header", b"aaAbBcd:: .\r\n\xff"),
];
/// What says that the contents behind it are of a method.
const METHOD: &str = "http.method";

impl Buffer {
    const fn new(before: &'static str, behind: &'static str, letters: &'static [u8]) -> Self {
        Self {
            before,
            behind,
            letters,
        }
    }
}

/// A file.
pub(super) fn file(choices: &mut Choices<'_>) -> String {
    let mut text = String::new();
    let mut known = Vec::new();
    for sid in 1..=1 + choices.below(RULES_MAX) {
        rule(sid, &mut text, &mut known, choices);
    }
    text
}

fn rule(sid: usize, text: &mut String, known: &mut Vec<Vec<u8>>, choices: &mut Choices<'_>) {
    let action = choices.one_of(&["alert", "drop", "drop", "alert", "alert", "drop", "pass"]);
    let protocol = choices.one_of(&["tcp", "tcp", "tcp", "tcp", "udp", "icmp", "ip"]);
    let arrow = choices.one_of(&["->", "->", "->", "<>"]);
    let has_ports = matches!(protocol, "tcp" | "udp");
    let endpoint = |choices: &mut Choices<'_>| {
        let ports = if has_ports {
            choices.one_of(&PORTS)
        } else {
            "any"
        };
        (choices.one_of(&ADDRESSES), ports)
    };
    let is_http = protocol == "tcp" && choices.one_in(3);
    let (mut sender, receiver) = (endpoint(choices), endpoint(choices));
    if is_http && !choices.one_in(3) {
        // These ask for enough besides.
        sender = ("any", "any");
    }
    let ((source, from), (destination, to)) = (sender, receiver);
    let _ = write!(
        text,
        "{action} {protocol} {source} {from} {arrow} {destination} {to} ("
    );
    let mut is_to_server = false;
    if is_http {
        let asked = choices.one_of(&HTTP_TESTS);
        is_to_server = asked.contains("to_server");
        text.push_str(asked);
    } else if choices.one_in(3) {
        let tests: &[&str] = match protocol {
            "tcp" => &TCP_TESTS,
            "icmp" => &ICMP_TESTS,
            _ => &TESTS,
        };
        text.push_str(choices.one_of(tests));
    }
    if choices.one_in(4) {
        text.push_str(choices.one_of(&TESTS));
    }
    let most = if choices.one_in(32) {
        CONTENTS_LIMIT
    } else {
        CONTENTS_MAX
    };
    let count = if choices.one_in(16) {
        0
    } else {
        1 + choices.below(most)
    };
    if is_http {
        http_contents(count, is_to_server, text, known, choices);
    } else {
        for number in 0..count {
            let content = Content {
                keyword: "content",
                letters: LETTERS,
                is_first: number == 0,
                is_of_method: false,
            };
            content.write(text, known, choices);
            if choices.one_in(4) {
                byte_test(text, choices);
            }
            if choices.one_in(6) {
                byte_jump(text, choices);
            } else if choices.one_in(12) {
                expression(text, choices);
            }
        }
    }
    let _ = writeln!(text, " sid:{sid};)");
}

/// An expression that says of each byte which one it may be; most count from the content before it.
fn expression(text: &mut String, choices: &mut Choices<'_>) {
    let not = choices.one_of(&["", "", "", "!"]);
    let _ = write!(text, " pcre:{not}\"/^");
    for _ in 0..=choices.below(3) {
        let part = choices.one_of(&[
            ".",
            ".{3}",
            ".{20}",
            "(a|b|A)",
            r"[^a]{2}",
            r"[\x00-\x40]",
            "a",
            r"(\xff|\xc1|\x20|d)",
            r"\D{7}",
            "B.",
        ]);
        text.push_str(part);
    }
    let flags = choices.one_of(&["R", "R", "R", "sR", "iR", "siR", "", "i"]);
    let _ = write!(text, "/{flags}\";");
}

/// A number behind a content, or anywhere; most are as letters are.
fn byte_test(text: &mut String, choices: &mut Choices<'_>) {
    let bytes = 1 + choices.below(4);
    let not = choices.one_of(&["", "", "!"]);
    let operator = choices.one_of(&["<", ">", "=", "<=", ">=", "&", "^"]);
    let byte = u32::from(choices.one_of(LETTERS));
    let value = (0..bytes).fold(0, |value, _| value << 8 | byte) | 1;
    let offset = choices.one_of(&[0, 0, 1, 3, -1, -4, -9, 20, 300]);
    let relative = choices.one_of(&["", ",relative", ",relative"]);
    let order = choices.one_of(&["", ",little", ",big"]);
    let mask = choices.one_of(&["", "", ",bitmask 0x60", ",bitmask 0x7"]);
    let _ = write!(
        text,
        " byte_test:{bytes},{not}{operator},{value},{offset}{relative}{order}{mask};"
    );
}

/// A number behind a content, or anywhere, that leads somewhere near; what comes next counts from there, or not.
fn byte_jump(text: &mut String, choices: &mut Choices<'_>) {
    let bytes = choices.one_of(&[1, 1, 1, 2, 3, 4]);
    let offset = choices.one_of(&[0, 0, 0, 1, 7]);
    let offset = match choices.below(8) {
        0 => format!("{offset}"),
        1 => format!("-{bytes},relative"),
        2 => "-9,relative".to_owned(),
        _ => format!("{offset},relative"),
    };
    let order = choices.one_of(&["", ",little", ",little", ",big"]);
    let from = choices.one_of(&["", "", "", ",from_beginning", ",from_end"]);
    let align = choices.one_of(&["", "", ",align"]);
    let multiplier = choices.one_of(&["", "", "", ",multiplier 2", ",multiplier 3"]);
    let more = if from == ",from_end" {
        choices.one_of(&[-9, -20, -120])
    } else {
        choices.one_of(&[0, 0, 0, 1, -1, -4, 30, -97])
    };
    let more = if more == 0 {
        String::new()
    } else {
        format!(",post_offset {more}")
    };
    let _ = write!(
        text,
        " byte_jump:{bytes},{offset}{order}{from}{align}{multiplier}{more};"
    );
}

/// Contents of buffers: some that are named behind a content, then some that are named before.
fn http_contents(
    count: usize,
    is_to_server: bool,
    text: &mut String,
    known: &mut Vec<Vec<u8>>,
    choices: &mut Choices<'_>,
) {
    let buffers = &BUFFERS[..BUFFERS.len() - if is_to_server { 0 } else { 2 }];
    let mut used = Vec::new();
    let mut buffer = &BUFFERS[0];
    let mut is_named_before = false;
    for number in 0..count {
        if number == 0 || !choices.one_in(3) {
            buffer = &buffers[choices.below(buffers.len())];
            is_named_before |= choices.one_in(2);
            if is_named_before {
                let _ = write!(text, " {};", buffer.before);
            }
        }
        let is_first = !used.contains(&buffer.before);
        used.push(buffer.before);
        let is_behind = !is_named_before && !buffer.behind.is_empty();
        let is_uri = is_behind && buffer.behind == "http_uri" && choices.one_in(2);
        let keyword = if is_uri { "uricontent" } else { "content" };
        let content = Content {
            keyword,
            letters: buffer.letters,
            is_first,
            is_of_method: buffer.before == METHOD,
        };
        content.write(text, known, choices);
        if is_behind && !is_uri {
            let _ = write!(text, " {};", buffer.behind);
        }
    }
    if choices.one_in(if count == 0 { 2 } else { 12 }) {
        let not = choices.one_of(&["", "!"]);
        let buffer = &buffers[choices.below(buffers.len())].before;
        let at = choices.one_of(&[0, 2, 3, 10, 40]);
        let _ = write!(text, " {buffer}; isdataat:{not}{at};");
    }
}

/// A content that is to be made up.
struct Content {
    /// What says it.
    keyword: &'static str,
    /// What it is made of.
    letters: &'static [u8],
    /// Whether it is the first in its buffer.
    is_first: bool,
    /// Whether it is of a method, which is short.
    is_of_method: bool,
}

impl Content {
    fn write(&self, text: &mut String, known: &mut Vec<Vec<u8>>, choices: &mut Choices<'_>) {
        let bytes = if self.is_of_method {
            let len = 1 + choices.below(5);
            new(len, self.letters, choices)
        } else {
            bytes(self.letters, known, choices)
        };
        let not = if choices.one_in(6) { "!" } else { "" };
        let _ = write!(text, " {}:{not}\"|", self.keyword);
        for byte in &bytes {
            let _ = write!(text, "{byte:02x}");
        }
        text.push_str("|\";");
        let near = choices.below(12);
        let far = choices.one_of(if self.is_of_method {
            &[0, 1, 3]
        } else {
            &[0, 1, 7, 30, 120, 1000]
        });
        let room = bytes.len() + choices.one_of(&[0, 1, 2, 3, 8, 60, 700]);
        // What comes first is relative only now and then: to the start.
        let kinds = if self.is_first && !choices.one_in(8) {
            5
        } else {
            10
        };
        let _ = match choices.below(kinds) {
            0 => Ok(()),
            1 => write!(text, " offset:{far};"),
            2 => write!(text, " depth:{room};"),
            3 => write!(text, " offset:{near}; depth:{room};"),
            4 => write!(text, " startswith;"),
            5 => write!(text, " distance:{near};"),
            6 => write!(text, " distance:-{near};"),
            7 => write!(text, " within:{room};"),
            8 => write!(text, " distance:-{near}; within:{room};"),
            _ => write!(text, " distance:{near}; within:{room};"),
        };
        if choices.one_in(3) {
            text.push_str(" nocase;");
        }
        if choices.one_in(12) {
            text.push_str(" endswith;");
        }
        if choices.one_in(8) {
            let not = choices.one_of(&["", "!"]);
            let relative = choices.one_of(&[",relative", ""]);
            let _ = write!(text, " isdataat:{not}{near}{relative};");
        }
    }
}

fn new(len: usize, letters: &[u8], choices: &mut Choices<'_>) -> Vec<u8> {
    (0..len).map(|_| choices.one_of(letters)).collect()
}

/// The bytes of a content: new ones, or those of one before, or a part of these, or more.
fn bytes(letters: &[u8], known: &mut Vec<Vec<u8>>, choices: &mut Choices<'_>) -> Vec<u8> {
    let new = |len: usize, choices: &mut Choices<'_>| new(len, letters, choices);
    if !known.is_empty() && choices.one_in(3) {
        let mut bytes = known[choices.below(known.len())].clone();
        match choices.below(4) {
            0 => bytes.truncate(1 + choices.below(bytes.len())),
            1 => {
                bytes.drain(..choices.below(bytes.len()));
            }
            2 if bytes.len() < 240 => bytes.extend(new(choices.below(9), choices)),
            _ => bytes.make_ascii_uppercase(),
        }
        return bytes;
    }
    let bytes = match choices.below(32) {
        0..8 => new(4 + choices.below(4), choices),
        8..20 => new(7 + choices.below(10), choices),
        20..24 => new(1 + choices.below(3), choices),
        24..31 => new(16 + choices.below(24), choices),
        // A long one is a short one over and over.
        _ => {
            let part = new(1 + choices.below(9), choices);
            part.into_iter()
                .cycle()
                .take(40 + choices.below(216))
                .collect()
        }
    };
    known.push(bytes.clone());
    bytes
}
