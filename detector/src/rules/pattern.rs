//! Patterns: the bytes that a `content` looks for, and where.

use std::fmt::{self, Write as _};

use super::{byte_jump::ByteJump, problem::Problem};

/// The longest pattern, in bytes, as Suricata has it.
pub(super) const PATTERN_MAX: usize = 255;

/// What a pattern is looked for in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buffer {
    /// The payload as it is.
    Payload,
    /// The target of an HTTP request, decoded.
    HttpUri,
    /// The same as it is.
    HttpUriRaw,
    /// The method of an HTTP request.
    HttpMethod,
    /// The headers of an HTTP request.
    HttpHeader,
}

/// Where a pattern may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// From `offset` on, and whole within `depth` bytes from there, of the buffer.
    Absolute {
        /// The first byte that may be one of it.
        offset: u32,
        /// How many bytes are looked at; all if `None`.
        depth: Option<u32>,
    },
    /// As far behind the end of another pattern, which may be before that, and whole within so many bytes from there.
    Relative {
        /// The number of the other, from 0: the last before it that is in the same buffer and must be there; the start of the buffer if `None`.
        after: Option<usize>,
        /// How far; 0 is right behind it.
        distance: i32,
        /// How many bytes are looked at; all if `None`.
        within: Option<u32>,
    },
}

/// A set of bytes: a bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByteSet(pub [u64; 4]);

impl ByteSet {
    /// Adds these, the last one too.
    pub(super) fn add(&mut self, first: u8, last: u8) {
        for byte in first..=last {
            if let Some(bits) = self.0.get_mut(usize::from(byte >> 6)) {
                *bits |= 1 << (byte & 63);
            }
        }
    }

    /// Adds those of another one.
    pub(super) fn join(&mut self, other: Self) {
        for (bits, more) in self.0.iter_mut().zip(other.0) {
            *bits |= more;
        }
    }

    /// Whether it has this one.
    #[must_use]
    pub fn has(&self, byte: u8) -> bool {
        let bits = self.0.get(usize::from(byte >> 6));
        bits.is_some_and(|bits| bits >> (byte & 63) & 1 == 1)
    }
}

/// A regular expression that says of each of so many bytes, from one place on, which ones may stand there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runs {
    /// As the rule says it, with its delimiters and flags, without quotes.
    pub(super) said: String,
    /// Bytes that are each one of a set, and how many, one behind the other; 64 at most in all.
    pub runs: Vec<(ByteSet, u32)>,
}

/// A pattern; or a number in the payload that leads to a place, behind which others are looked for as behind a pattern that ends there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The bytes, one to 255; none of a number that leads somewhere, for which bytes it has is not asked, and of a `pcre`.
    pub bytes: Vec<u8>,
    /// What a `pcre` says of bytes; it has one place.
    pub runs: Option<Runs>,
    /// Where the number leads that stands here; `None` of a pattern.
    pub jump: Option<ByteJump>,
    /// Whether it must not be there.
    pub negated: bool,
    /// Whether letters of ASCII may be of either case.
    pub nocase: bool,
    /// Where it is looked for.
    pub buffer: Buffer,
    /// And from where to where.
    pub anchor: Anchor,
    /// Whether the buffer ends with it.
    pub ends: bool,
}

impl Pattern {
    /// Whether it is the bytes of a `content`.
    pub(super) fn is_content(&self) -> bool {
        self.runs.is_none() && self.jump.is_none()
    }

    /// How many bytes it has.
    #[must_use]
    pub fn length(&self) -> usize {
        let runs = self.runs.iter().flat_map(|runs| &runs.runs);
        self.bytes.len() + runs.map(|(_, len)| *len as usize).sum::<usize>()
    }
}

/// Bytes as a `content` has them, between quotes, in letters that a terminal shows as they are.
pub(super) struct Quoted<'b>(pub(super) &'b [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_char('"')?;
        let mut is_hex = false;
        for byte in self.0 {
            let is_text = matches!(byte, b' '..=b'~') && !b"\\\";:|".contains(byte);
            match (is_hex, is_text) {
                (true, true) | (false, false) => out.write_char('|')?,
                (true, false) => out.write_char(' ')?,
                (false, true) => {}
            }
            is_hex = !is_text;
            if is_text {
                out.write_char(char::from(*byte))?;
            } else {
                write!(out, "{byte:02x}")?;
            }
        }
        out.write_str(if is_hex { "|\"" } else { "\"" })
    }
}

impl Pattern {
    /// The number of the one that it counts from.
    #[must_use]
    pub fn after(&self) -> Option<usize> {
        match self.anchor {
            Anchor::Relative { after, .. } => after,
            Anchor::Absolute { .. } => None,
        }
    }
}

/// As a rule could say it, in letters that a terminal shows as they are.
impl fmt::Display for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(jump) = self.jump {
            return jump.say(self.anchor, out);
        }
        let not = if self.negated { "!" } else { "" };
        if let Some(runs) = &self.runs {
            return write!(out, "pcre:{not}\"{}\"", runs.said);
        }
        write!(out, "content:{not}{}", Quoted(&self.bytes))?;
        if self.nocase {
            out.write_str("; nocase")?;
        }
        match self.anchor {
            Anchor::Absolute { offset, depth } => {
                if offset > 0 {
                    write!(out, "; offset:{offset}")?;
                }
                if let Some(depth) = depth {
                    write!(out, "; depth:{depth}")?;
                }
            }
            Anchor::Relative {
                distance, within, ..
            } => {
                write!(out, "; distance:{distance}")?;
                if let Some(within) = within {
                    write!(out, "; within:{within}")?;
                }
            }
        }
        if self.ends {
            out.write_str("; endswith")?;
        }
        let buffer = match self.buffer {
            Buffer::Payload => return Ok(()),
            Buffer::HttpUri => "http_uri",
            Buffer::HttpUriRaw => "http_raw_uri",
            Buffer::HttpMethod => "http_method",
            Buffer::HttpHeader => "http_header",
        };
        write!(out, "; {buffer}")
    }
}

/// The bytes of a `content` as it stands in a rule, between quotes: text, of which `\`, `"`, `;` and `:` are escaped, and `|ff 00|`.
pub(super) fn bytes(keyword: &'static str, quoted: &str) -> Result<Vec<u8>, Problem> {
    let fail = |expected| Problem::Value {
        keyword,
        value: quoted.into(),
        expected,
    };
    let text = quoted
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .ok_or_else(|| fail("a text in quotes"))?;
    let mut bytes = Vec::new();
    // Between two bars there is hex, outside of them text.
    let mut is_hex = false;
    for part in text.split('|') {
        if is_hex {
            let digits: String = part.split_whitespace().collect();
            let pairs = digits.as_bytes().chunks(2);
            let read = pairs.map(|pair| {
                let is_hex = pair.len() == 2 && pair.iter().all(u8::is_ascii_hexdigit);
                let pair = std::str::from_utf8(pair).ok().filter(|_| is_hex)?;
                u8::from_str_radix(pair, 16).ok()
            });
            let read: Option<Vec<u8>> = read.collect();
            bytes.extend(read.ok_or_else(|| fail("pairs of hex digits between bars"))?);
        } else {
            text_part(part, &mut bytes)
                .ok_or_else(|| fail("only \\\\, \\\", \\; and \\: to be escaped"))?;
        }
        is_hex = !is_hex;
    }
    // An odd number of bars leaves hex open.
    if !is_hex {
        return Err(fail("a second bar behind hex digits"));
    }
    match bytes.len() {
        1..=PATTERN_MAX => Ok(bytes),
        0 => Err(fail("a byte at least")),
        _ => Err(fail("255 bytes at most")),
    }
}

fn text_part(text: &str, bytes: &mut Vec<u8>) -> Option<()> {
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => rest.next().filter(|byte| b"\\\";:".contains(byte))?,
            b'"' => return None,
            byte => byte,
        });
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_hex_become_bytes() {
        for (quoted, read) in [
            (r#""abc""#, &b"abc"[..]),
            (r#""|41 4243|d|0a|""#, b"ABCd\n"),
            (r#""a\;b\:\"\\""#, b"a;b:\"\\"),
            ("\"ä\"", "ä".as_bytes()),
            (r#""||a""#, b"a"),
        ] {
            assert_eq!(bytes("content", quoted).unwrap(), read, "{quoted}");
        }
    }

    #[test]
    fn a_pattern_is_told_as_a_rule_could_say_it() {
        let mut pattern = Pattern {
            bytes: b"a;\x1b\xffb".to_vec(),
            runs: None,
            jump: None,
            negated: true,
            nocase: true,
            buffer: Buffer::Payload,
            anchor: Anchor::Absolute {
                offset: 4,
                depth: Some(9),
            },
            ends: true,
        };
        assert_eq!(
            pattern.to_string(),
            r#"content:!"a|3b 1b ff|b"; nocase; offset:4; depth:9; endswith"#
        );
        pattern = Pattern {
            bytes: vec![0],
            runs: None,
            jump: None,
            negated: false,
            nocase: false,
            buffer: Buffer::HttpUri,
            anchor: Anchor::Relative {
                after: None,
                distance: -1,
                within: Some(8),
            },
            ends: false,
        };
        assert_eq!(
            pattern.to_string(),
            r#"content:"|00|"; distance:-1; within:8; http_uri"#
        );
    }

    #[test]
    fn what_is_no_pattern_says_what_one_is() {
        for (quoted, expected) in [
            ("abc", "a text in quotes"),
            (r#""""#, "a byte at least"),
            (r#""|4|""#, "pairs of hex digits"),
            (r#""|4g|""#, "pairs of hex digits"),
            (r#""|+4|""#, "pairs of hex digits"),
            (r#""|41""#, "a second bar"),
            (r#""a\n""#, "to be escaped"),
            (r#""a"b""#, "to be escaped"),
        ] {
            let problem = bytes("content", quoted).unwrap_err().to_string();
            assert!(problem.contains(expected), "{quoted}: {problem}");
        }
        let long = format!("\"{}\"", "a".repeat(256));
        assert!(
            bytes("content", &long)
                .unwrap_err()
                .to_string()
                .ends_with("255 bytes at most")
        );
    }
}
