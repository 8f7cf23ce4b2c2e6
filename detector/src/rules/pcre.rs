//! `pcre`: regular expressions, which the kernel does not decide; the agent does, of rules that are [partial](super::Rule::is_partial).
//!
//! They are matched by the crate `regex`, whose work grows with the text alone, whatever the text is. What it cannot do is refused, and so is
//! all that it would do in another way than PCRE: an expression is read here, and written anew with nothing in it that the two read
//! differently.

use std::{
    collections::BTreeSet,
    fmt::{self, Write as _},
};

use regex::bytes::{Regex, RegexBuilder};

use super::{keyword::Keyword, pattern::Buffer, problem::Problem};

/// The most memory of one expression, in bytes.
const SIZE_MAX: usize = 1 << 18;

/// A regular expression that a rule asks.
#[derive(Clone, Debug)]
pub struct Pcre {
    /// As the rule says it, with its delimiters and flags, without quotes.
    said: String,
    /// Whether it must not match.
    pub negated: bool,
    /// What it is asked of.
    pub buffer: Buffer,
    /// Behind the end of the pattern of this number, from 0, where the text begins then; from the start of the buffer if `None`.
    pub after: Option<usize>,
    /// How many patterns stand before it in the rule.
    pub(super) before: usize,
    /// Whether it asks what stands behind what it matches.
    pub(super) asks_behind: bool,
    /// Ready to be matched.
    pub(super) regex: Regex,
}

/// What the expression asks follows from what is compared.
impl PartialEq for Pcre {
    fn eq(&self, other: &Self) -> bool {
        let key = |one: &Self| (one.negated, one.buffer, one.after);
        self.said == other.said && key(self) == key(other)
    }
}

impl Eq for Pcre {}

/// As a rule could say it; what is no letter of ASCII stays as it is.
impl fmt::Display for Pcre {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = if self.negated { "!" } else { "" };
        write!(out, "pcre:{not}\"{}\"", self.said)
    }
}

/// What the flags behind an expression say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Flags {
    /// A bit for each letter that was said, from `A` on.
    said: u64,
}

impl Flags {
    fn of(text: &str) -> Result<Self, Problem> {
        let mut said = 0;
        for flag in text.bytes() {
            match flag {
                // Which matches are found first, and limits of PCRE: they say nothing of whether there is one. The payload is raw.
                b'G' | b'O' | b'B' | b'i' | b's' | b'm' | b'x' | b'A' | b'E' | b'R' | b'U'
                | b'I' | b'M' | b'H' => said |= 1 << (flag - b'A'),
                b'P' | b'Q' | b'D' | b'C' | b'S' | b'Y' | b'V' | b'W' | b'Z' | b'L' | b'J' => {
                    return Err(refused("this flag names a buffer that is not looked at"));
                }
                _ => return Err(refused("this flag is not known")),
            }
        }
        Ok(Self { said })
    }

    fn has(self, flag: u8) -> bool {
        self.said >> (flag - b'A') & 1 == 1
    }

    fn buffer(self) -> Result<Option<Buffer>, Problem> {
        let mut buffer = None;
        for (flag, named) in [
            (b'U', Buffer::HttpUri),
            (b'I', Buffer::HttpUriRaw),
            (b'M', Buffer::HttpMethod),
            (b'H', Buffer::HttpHeader),
        ] {
            if self.has(flag) && buffer.replace(named).is_some() {
                return Err(refused("its flags name two buffers"));
            }
        }
        Ok(buffer)
    }
}

pub(super) fn refused(why: &'static str) -> Problem {
    Problem::Refused {
        keyword: Keyword::Pcre.name(),
        why,
    }
}

impl Pcre {
    /// Reads `"/EXPRESSION/FLAGS"`, behind `before` patterns, where a keyword said that `buffer` is looked at.
    ///
    /// Gives whether it begins behind the pattern before it, too.
    pub(super) fn read(
        quoted: &str,
        negated: bool,
        said_buffer: Option<Buffer>,
        before: usize,
    ) -> Result<(Self, bool), Problem> {
        let expected = || refused("expected \"/EXPRESSION/FLAGS\", in quotes");
        let said = quoted
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
            .ok_or_else(expected)?;
        let inner = said.strip_prefix('/').ok_or_else(expected)?;
        let (expression, flags) = inner.rsplit_once('/').ok_or_else(expected)?;
        let flags = Flags::of(flags)?;
        let buffer = match (said_buffer, flags.buffer()?) {
            (Some(_), Some(_)) => {
                return Err(refused(
                    "its flags name a buffer, and so does a keyword before it",
                ));
            }
            (said, named) => said.or(named).unwrap_or(Buffer::Payload),
        };
        let (written, asks_behind) = Writer::write(expression, flags)?;
        let regex = RegexBuilder::new(&written)
            .unicode(false)
            .case_insensitive(flags.has(b'i'))
            .multi_line(flags.has(b'm'))
            .dot_matches_new_line(flags.has(b's'))
            .size_limit(SIZE_MAX)
            .dfa_size_limit(SIZE_MAX)
            .build()
            .map_err(|error| {
                if matches!(error, regex::Error::CompiledTooBig(_)) {
                    return refused("the expression is too large");
                }
                // Several lines, of which the last says it.
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default();
                Problem::Regex(last.trim_start_matches("error: ").into())
            })?;
        let pcre = Self {
            said: said.to_owned(),
            negated,
            buffer,
            after: None,
            before,
            asks_behind,
            regex,
        };
        Ok((pcre, flags.has(b'R')))
    }
}

const REPEATED: &str = "a repetition of a repetition";
const BACK: &str = "what a group matched, or asks, is not looked for once more";
const BEHIND_END: &str =
    "something stands behind \"$\", which matches before the last end of a line, too";

/// An expression that is written anew.
struct Writer<'e> {
    rest: std::iter::Peekable<std::str::Bytes<'e>>,
    flags: Flags,
    written: String,
    asks_behind: bool,
    /// How many groups are open.
    depth: usize,
    /// The groups, by how many are open in them, of which an alternative ends with a `$`.
    ended: BTreeSet<usize>,
    /// Whether what is written ends with one.
    is_at_end: bool,
    /// Whether it ends with a repetition.
    is_repeated: bool,
}

impl<'e> Writer<'e> {
    /// The expression as `regex` reads it, and whether it asks what stands behind what it matches.
    fn write(expression: &'e str, flags: Flags) -> Result<(String, bool), Problem> {
        if !expression.is_ascii() {
            return Err(refused("write a byte that is not ASCII as \\xff"));
        }
        let mut writer = Self {
            rest: expression.bytes().peekable(),
            flags,
            written: String::new(),
            asks_behind: false,
            depth: 0,
            ended: BTreeSet::new(),
            is_at_end: false,
            is_repeated: false,
        };
        if flags.has(b'A') {
            writer.written.push_str("\\A(?:");
        }
        while let Some(byte) = writer.rest.next() {
            writer.take(byte)?;
        }
        if flags.has(b'A') {
            writer.written.push(')');
        }
        Ok((writer.written, writer.asks_behind))
    }

    fn take(&mut self, byte: u8) -> Result<(), Problem> {
        if self.flags.has(b'x') && is_space(byte) {
            return Ok(());
        }
        if self.flags.has(b'x') && byte == b'#' {
            while self.rest.next().is_some_and(|byte| byte != b'\n') {}
            return Ok(());
        }
        if self.is_at_end && !matches!(byte, b'|' | b')') {
            return Err(refused(BEHIND_END));
        }
        self.is_at_end = false;
        let was_repeated = std::mem::take(&mut self.is_repeated);
        match byte {
            b'\\' => self.escape(),
            b'[' => self.class(),
            b'(' => self.group(),
            b')' => {
                let is_ended = self.ended.remove(&self.depth);
                self.depth = self.depth.saturating_sub(1);
                if is_ended {
                    self.stand_at_end();
                }
                self.written.push(')');
                Ok(())
            }
            b'$' => {
                self.end();
                Ok(())
            }
            b'*' | b'+' | b'?' if was_repeated => Err(refused(REPEATED)),
            b'*' | b'+' | b'?' => {
                self.written.push(char::from(byte));
                self.behind_repetition()
            }
            b'{' => self.count(),
            b'.' | b'|' | b'^' => {
                self.written.push(char::from(byte));
                Ok(())
            }
            byte => {
                self.literal(byte);
                Ok(())
            }
        }
    }

    fn put(&mut self, text: fmt::Arguments<'_>) {
        // A text takes whatever there is.
        let _ = self.written.write_fmt(text);
    }

    /// A byte that stands for itself.
    fn literal(&mut self, byte: u8) {
        if byte.is_ascii_alphanumeric() {
            self.written.push(char::from(byte));
        } else {
            self.put(format_args!("\\x{byte:02x}"));
        }
    }

    /// The end of the text, or of a line; without `m`, before a line's end that is the last byte, too.
    fn end(&mut self) {
        self.asks_behind = true;
        if self.flags.has(b'm') {
            self.written.push('$');
        } else if self.flags.has(b'E') {
            self.written.push_str("\\z");
        } else {
            self.last_end();
        }
    }

    /// The end of the text, or of its last line: what matches that may be more than nothing, so that nothing may stand behind it.
    fn last_end(&mut self) {
        self.written.push_str("(?:\\n?\\z)");
        self.stand_at_end();
    }

    fn stand_at_end(&mut self) {
        self.is_at_end = true;
        self.ended.insert(self.depth);
    }

    /// What stands behind `*`, `+`, `?` or a count: at most a `?`, which changes which match is found, and not whether there is one.
    fn behind_repetition(&mut self) -> Result<(), Problem> {
        self.is_repeated = true;
        if self.rest.next_if_eq(&b'?').is_some() {
            self.written.push('?');
        }
        match self.rest.peek() {
            Some(b'+') => Err(refused(
                "repetitions that give nothing back are not matched",
            )),
            Some(b'*' | b'?') => Err(refused(REPEATED)),
            _ => Ok(()),
        }
    }

    /// A count, or a brace that stands for itself.
    fn count(&mut self) -> Result<(), Problem> {
        let mut ahead = self.rest.clone();
        let mut text = String::new();
        let is_closed = loop {
            match ahead.next() {
                Some(b'}') => break true,
                Some(byte @ (b'0'..=b'9' | b',')) => text.push(char::from(byte)),
                _ => break false,
            }
        };
        let (first, last) = text.split_once(',').unwrap_or((&text, ""));
        if !is_closed || first.is_empty() || last.contains(',') {
            self.literal(b'{');
            return Ok(());
        }
        self.rest = ahead;
        self.written.push('{');
        self.written.push_str(&text);
        self.written.push('}');
        self.behind_repetition()
    }

    /// What begins behind `(`.
    fn group(&mut self) -> Result<(), Problem> {
        self.depth += 1;
        if self.rest.peek() == Some(&b'*') {
            return Err(refused("what begins with \"(*\" is not known"));
        }
        if self.rest.next_if_eq(&b'?').is_none() {
            // Nobody asks what it holds.
            self.written.push_str("(?:");
            return Ok(());
        }
        let mut flags = String::new();
        loop {
            match self.rest.next() {
                Some(flag @ (b'i' | b's' | b'-')) => flags.push(char::from(flag)),
                Some(b':') => {
                    self.put(format_args!("(?{flags}:"));
                    return Ok(());
                }
                Some(b')') if !flags.is_empty() => {
                    self.depth -= 1;
                    self.put(format_args!("(?{flags})"));
                    return Ok(());
                }
                Some(b'=' | b'!') if flags.is_empty() => {
                    return Err(refused("what must stand behind, or not, is not looked for"));
                }
                Some(b'P') if flags.is_empty() && self.rest.peek() != Some(&b'<') => {
                    return Err(refused(BACK));
                }
                Some(b'<' | b'P' | b'\'') if flags.is_empty() => return self.named(),
                _ => return Err(refused("this kind of group is not known")),
            }
        }
    }

    /// A group with a name, which nobody asks for, behind `(?<` or `(?P`.
    fn named(&mut self) -> Result<(), Problem> {
        // Of `(?P<`; the others were read.
        let _ = self.rest.next_if_eq(&b'<');
        if matches!(self.rest.peek(), Some(b'=' | b'!')) {
            return Err(refused("what must stand before, or not, is not looked for"));
        }
        loop {
            match self.rest.next() {
                Some(byte) if byte.is_ascii_alphanumeric() || byte == b'_' => {}
                Some(b'>' | b'\'') => break,
                _ => return Err(refused("this kind of group is not known")),
            }
        }
        self.written.push_str("(?:");
        Ok(())
    }

    /// What stands behind a backslash.
    fn escape(&mut self) -> Result<(), Problem> {
        let byte = self
            .rest
            .next()
            .ok_or_else(|| refused("nothing behind the last backslash"))?;
        match byte {
            b'd' | b'D' | b'w' | b'W' | b's' | b'S' | b'A' => {
                self.written.push('\\');
                self.written.push(char::from(byte));
            }
            b'b' | b'B' => {
                self.asks_behind = true;
                self.put(format_args!("(?:\\{})", char::from(byte)));
            }
            b'z' => {
                self.asks_behind = true;
                self.written.push_str("\\z");
            }
            b'Z' => {
                self.asks_behind = true;
                self.last_end();
            }
            b'1'..=b'9' | b'g' | b'k' => return Err(refused(BACK)),
            byte => {
                let byte = self.escaped_byte(byte)?;
                self.literal(byte);
            }
        }
        Ok(())
    }

    /// The byte that stands escaped, in a class or outside of one.
    fn escaped_byte(&mut self, byte: u8) -> Result<u8, Problem> {
        Ok(match byte {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'f' => 0x0c,
            b'a' => 0x07,
            b'e' => 0x1b,
            b'x' => self.hex()?,
            b'0' => {
                if self.rest.peek().is_some_and(u8::is_ascii_digit) {
                    return Err(refused("write a byte as \\xff, and not in octal"));
                }
                0
            }
            byte if !byte.is_ascii_alphanumeric() => byte,
            _ => return Err(refused("what stands behind a backslash is not known")),
        })
    }

    /// Two digits, or any in braces.
    fn hex(&mut self) -> Result<u8, Problem> {
        let mut digits = String::new();
        if self.rest.next_if_eq(&b'{').is_some() {
            loop {
                match self.rest.next() {
                    Some(b'}') => break,
                    Some(byte) => digits.push(char::from(byte)),
                    None => return Err(refused("two digits are expected behind \\x")),
                }
            }
        } else {
            digits.extend(self.rest.next_if(u8::is_ascii_hexdigit).map(char::from));
            digits.extend(self.rest.next_if(u8::is_ascii_hexdigit).map(char::from));
        }
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let byte = u8::from_str_radix(&digits, 16).ok().filter(|_| is_hex);
        byte.ok_or_else(|| refused("one or two hex digits are expected behind \\x"))
    }

    /// A class, behind `[`.
    fn class(&mut self) -> Result<(), Problem> {
        let open = || refused("a class that does not end");
        self.written.push('[');
        if self.rest.next_if_eq(&b'^').is_some() {
            self.written.push('^');
        }
        let mut is_first = true;
        loop {
            let byte = self.rest.next().ok_or_else(open)?;
            if byte == b']' && !is_first {
                break;
            }
            is_first = false;
            let Some(from) = self.member(byte)? else {
                continue;
            };
            self.literal(from);
            // A range, unless the hyphen is the last, or before what is no byte.
            let mut ahead = self.rest.clone();
            if ahead.next() != Some(b'-') || matches!(ahead.peek(), None | Some(b']')) {
                continue;
            }
            self.rest = ahead;
            let byte = self.rest.next().ok_or_else(open)?;
            self.written.push('-');
            let to = self.member(byte)?;
            let to = to.ok_or_else(|| refused("a range that ends with a class"))?;
            self.literal(to);
        }
        self.written.push(']');
        Ok(())
    }

    /// A byte of a class; `None` if it is a class itself, which is written.
    fn member(&mut self, byte: u8) -> Result<Option<u8>, Problem> {
        match byte {
            b'[' => {
                let mut ahead = self.rest.clone();
                let kind = ahead.next();
                if matches!(kind, Some(b'.' | b'=')) {
                    return Err(refused("this kind of class is not known"));
                }
                if kind != Some(b':') {
                    return Ok(Some(b'['));
                }
                let mut name = String::new();
                while let Some(byte) =
                    ahead.next_if(|byte| byte.is_ascii_lowercase() || *byte == b'^')
                {
                    name.push(char::from(byte));
                }
                if ahead.next() != Some(b':') || ahead.next() != Some(b']') {
                    return Ok(Some(b'['));
                }
                self.rest = ahead;
                self.put(format_args!("[:{name}:]"));
                Ok(None)
            }
            b'\\' => {
                let byte = self
                    .rest
                    .next()
                    .ok_or_else(|| refused("nothing behind the last backslash"))?;
                match byte {
                    b'd' | b'D' | b'w' | b'W' | b's' | b'S' => {
                        self.written.push('\\');
                        self.written.push(char::from(byte));
                        Ok(None)
                    }
                    // In a class it is a byte.
                    b'b' => Ok(Some(0x08)),
                    byte => self.escaped_byte(byte).map(Some),
                }
            }
            byte => Ok(Some(byte)),
        }
    }
}

/// What `x` leaves out.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(said: &str) -> Result<Pcre, String> {
        let quoted = format!("\"{said}\"");
        let read = Pcre::read(&quoted, false, None, 0);
        read.map(|(pcre, _)| pcre)
            .map_err(|problem| problem.to_string())
    }

    /// Whether each of these texts matches.
    fn matches<const N: usize>(said: &str, texts: [&[u8]; N]) -> [bool; N] {
        let pcre = read(said).unwrap();
        texts.map(|text| pcre.regex.is_match(text))
    }

    #[test]
    fn an_expression_matches_as_pcre_has_it() {
        // Bytes, not letters: what is not ASCII is no letter, and a dot is any byte but the end of a line.
        assert_eq!(
            matches(
                r"/^a.\xe4\w/",
                [b"ab\xe4c", b"a\xff\xe4c", b"a\n\xe4c", b"ab\xe4\xe4"]
            ),
            [true, true, false, false]
        );
        assert_eq!(matches("/^a.B$/is", [b"A\nb"]), [true]);
        assert_eq!(matches("/a b # c/x", [b"ab", b"a b"]), [true, false]);
        assert_eq!(matches("/b/A", [b"b", b"ab"]), [true, false]);
        assert_eq!(matches("/a|b/A", [b"xb"]), [false]);
    }

    #[test]
    fn the_end_is_before_a_last_end_of_line_too_unless_a_flag_says_otherwise() {
        let texts: [&[u8]; 3] = [b"a", b"a\n", b"a\nb"];
        assert_eq!(matches("/a$/", texts), [true, true, false]);
        assert_eq!(matches(r"/a\Z/", texts), [true, true, false]);
        assert_eq!(matches("/a$/E", texts), [true, false, false]);
        assert_eq!(matches(r"/a\z/", texts), [true, false, false]);
        assert_eq!(matches("/a$/m", texts), [true, true, true]);
        assert_eq!(matches("/a(?:b|$|c)/", texts), [true, true, false]);
        assert_eq!(matches("/(x|(a$)|y)/", texts), [true, true, false]);
        for said in ["/a$b/", "/(a$|b)c/", "/(a$)?/", r"/a\Zb/"] {
            let why = read(said).unwrap_err();
            assert!(why.contains("something stands behind"), "{said}: {why}");
        }
    }

    #[test]
    fn what_the_two_read_differently_is_written_anew() {
        let yes = [true];
        assert_eq!(matches(r"/[[a&&b~-]+\</", [b"[&~-<"]), yes);
        assert_eq!(matches("/^[]x]+$/", [b"]x"]), yes);
        assert_eq!(
            matches(r"/^[^\d\]a-c]$/", [b"d", b"]", b"b", b"7"]),
            [true, false, false, false]
        );
        assert_eq!(matches("/^[a-]+$/", [b"a-"]), yes);
        assert_eq!(matches("/^[+--]+$/", [b"+,-"]), yes);
        assert_eq!(matches("/^[[:alpha:]_]+$/", [b"aZ_"]), yes);
        assert_eq!(matches(r"/^[\b]$/", [b"\x08"]), yes);
        assert_eq!(matches("/a{,3}{/", [b"a{,3}{"]), yes);
        assert_eq!(matches("/^a{2,}b{1}?$/", [b"aaab"]), yes);
        assert_eq!(matches(r#"/\x{e4}\x4\/\;\"\0/"#, [b"\xe4\x04/;\"\0"]), yes);
        assert_eq!(
            matches("/(?<n>a)(?P<m>b)(?i)C(?-i:d)/", [b"abcd", b"abcD"]),
            [true, false]
        );
    }

    #[test]
    fn what_cannot_be_matched_is_refused_with_the_reason() {
        for (said, why) in [
            ("/a(?=b)/", "what must stand behind, or not"),
            ("/(?<!a)b/", "what must stand before, or not"),
            (r"/(a)\1/", "is not looked for once more"),
            ("/(?P=a)/", "is not looked for once more"),
            ("/(?P>a)/", "is not looked for once more"),
            ("/a++/", "give nothing back"),
            ("/a**/", "a repetition of a repetition"),
            ("/a+ +/x", "a repetition of a repetition"),
            ("/(?>a)/", "this kind of group"),
            ("/(?|a)/", "this kind of group"),
            ("/(*ANY)a/", "begins with"),
            (r"/\vA/", "behind a backslash"),
            (r"/\Qa/", "behind a backslash"),
            (r"/\012/", "in octal"),
            ("/ä/", "not ASCII"),
            ("/[a/", "a class that does not end"),
            ("/a/P", "a buffer that is not looked at"),
            ("/a/k", "this flag is not known"),
            ("/a/UI", "name two buffers"),
            ("/a{1000}{1000}/", "too large"),
            ("/(a/", "unclosed group"),
            ("a", "expected"),
        ] {
            let told = read(said).unwrap_err();
            assert!(
                told.starts_with("pcre: ") && told.contains(why),
                "{said}: {told}"
            );
        }
    }
}
