//! `pcre`: regular expressions. One that only says which bytes may stand one behind the other is a pattern; others the kernel does not decide, the agent
//! does, of rules that are [partial](super::Rule::is_partial).
//!
//! There they are matched by the crate `regex`, whose work grows with the text alone, whatever the text is. What it cannot do is refused, and so is
//! all that it would read in another way than PCRE, but for `$`, which is written anew.

use std::fmt;

use detector_common::detect::signature::table::RUN_MAX;
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::{
    ast::{
        Assertion, AssertionKind, Ast, ClassSet, ClassSetItem, Flag, Flags as Inline,
        FlagsItemKind, GroupKind, HexLiteralKind, Literal, LiteralKind, RepetitionKind, Span,
        SpecialLiteralKind, parse::ParserBuilder,
    },
    hir::{Class, Hir, HirKind, Look},
};

use super::{
    keyword::Keyword,
    pattern::{Buffer, ByteSet, Runs},
    problem::Problem,
};

/// The most memory of one expression, in bytes.
const SIZE_MAX: usize = 1 << 18;
/// The most groups of it, and what else stands in another, in each other.
const DEPTH_MAX: u32 = 64;

/// What is said of what the agent decides, where it may not.
pub(super) const IN_THE_AGENT: &str = "such expressions are not matched in the kernel; with allow-partial the agent decides them, and the rule only alerts";

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
    /// What it says of each byte, if that is all that it says.
    runs: Option<Vec<(ByteSet, u32)>>,
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
        let reading = Reading::of(expression, flags)?;
        let regex = RegexBuilder::new(&reading.written)
            .unicode(false)
            .case_insensitive(flags.has(b'i'))
            .multi_line(flags.has(b'm'))
            .dot_matches_new_line(flags.has(b's'))
            .size_limit(SIZE_MAX)
            .dfa_size_limit(SIZE_MAX)
            .ignore_whitespace(flags.has(b'x'))
            .nest_limit(DEPTH_MAX)
            .build()
            .map_err(|error| {
                if matches!(error, regex::Error::CompiledTooBig(_)) {
                    return refused("the expression is too large");
                }
                Problem::Regex(error.to_string().into())
            })?;
        let pcre = Self {
            said: said.to_owned(),
            negated,
            buffer,
            after: None,
            before,
            asks_behind: reading.asks_behind,
            runs: runs(&reading.written, flags),
            regex,
        };
        Ok((pcre, flags.has(b'R')))
    }
}

impl Pcre {
    /// What it says of bytes from one place on, where that is all that it says.
    pub(super) fn runs(&self) -> Option<Runs> {
        let said = self.said.clone();
        let runs = self.runs.clone()?;
        Some(Runs { said, runs })
    }
}

/// What an expression says of each byte from its beginning on, if that is all that it says.
fn runs(written: &str, flags: Flags) -> Option<Vec<(ByteSet, u32)>> {
    let mut parser = regex_syntax::ParserBuilder::new();
    let parser = parser
        .utf8(false)
        .unicode(false)
        .case_insensitive(flags.has(b'i'))
        .multi_line(flags.has(b'm'))
        .dot_matches_new_line(flags.has(b's'))
        .ignore_whitespace(flags.has(b'x'))
        .nest_limit(DEPTH_MAX);
    let hir = parser.build().parse(written).ok()?;
    let HirKind::Concat(all) = hir.kind() else {
        return None;
    };
    let (first, rest) = all.split_first()?;
    if *first.kind() != HirKind::Look(Look::Start) {
        return None;
    }
    let mut sets = Vec::new();
    rest.iter().try_for_each(|hir| each_byte(hir, &mut sets))?;
    let mut runs: Vec<(ByteSet, u32)> = Vec::new();
    for set in sets {
        match runs.last_mut() {
            Some((last, len)) if *last == set => *len += 1,
            _ => runs.push((set, 1)),
        }
    }
    (!runs.is_empty()).then_some(runs)
}

/// Adds which bytes may stand at each place, if the expression says no more; `None` if it does, or if they are too many.
fn each_byte(hir: &Hir, sets: &mut Vec<ByteSet>) -> Option<()> {
    let mut set = ByteSet::default();
    match hir.kind() {
        HirKind::Empty => {}
        HirKind::Literal(literal) => {
            for byte in &literal.0 {
                let mut set = ByteSet::default();
                set.add(*byte, *byte);
                sets.push(set);
            }
        }
        HirKind::Class(class) => {
            let bytes = match class {
                Class::Bytes(bytes) => bytes.clone(),
                Class::Unicode(letters) => letters.to_byte_class()?,
            };
            for range in bytes.ranges() {
                set.add(range.start(), range.end());
            }
            sets.push(set);
        }
        HirKind::Repetition(some) if some.max == Some(some.min) && some.min <= RUN_MAX => {
            for _ in 0..some.min {
                each_byte(&some.sub, sets)?;
            }
        }
        HirKind::Alternation(all) => {
            for hir in all {
                let mut others = Vec::new();
                each_byte(hir, &mut others)?;
                let [other] = others.as_slice() else {
                    return None;
                };
                set.join(*other);
            }
            sets.push(set);
        }
        HirKind::Capture(group) => each_byte(&group.sub, sets)?,
        HirKind::Concat(all) => all.iter().try_for_each(|hir| each_byte(hir, sets))?,
        HirKind::Repetition(_) | HirKind::Look(_) => return None,
    }
    (sets.len() <= RUN_MAX as usize).then_some(())
}

const BEHIND_END: &str =
    "something stands behind \"$\", which matches before the last end of a line, too";
const AS_HEX: &str = "write a byte that is not ASCII as \\xff";
const IN_CLASS: &str = "a class in a class, or a \"[\" in one: write it as \\[";

/// An expression, read as `regex` does, with nothing in it that PCRE reads in another way.
struct Reading<'e> {
    expression: &'e str,
    flags: Flags,
    /// As `regex` is to have it.
    written: String,
    /// How much of the expression is written.
    done: usize,
    /// Whether it asks what stands behind what it matches.
    asks_behind: bool,
}

impl<'e> Reading<'e> {
    fn of(expression: &'e str, flags: Flags) -> Result<Self, Problem> {
        if !expression.is_ascii() {
            return Err(refused(AS_HEX));
        }
        let mut parser = ParserBuilder::new();
        let parser = parser
            .ignore_whitespace(flags.has(b'x'))
            .nest_limit(DEPTH_MAX);
        let ast = parser
            .build()
            .parse(expression)
            .map_err(|error| Problem::Regex(error.kind().to_string().into()))?;
        let mut reading = Self {
            expression,
            flags,
            written: String::new(),
            done: 0,
            asks_behind: false,
        };
        if flags.has(b'A') {
            reading.written.push_str("\\A(?:");
        }
        reading.read(&ast, true)?;
        reading.write_to(expression.len());
        if flags.has(b'A') {
            // Behind a comment of `x` a line begins.
            reading
                .written
                .push_str(if flags.has(b'x') { "\n)" } else { ")" });
        }
        Ok(reading)
    }

    /// Writes the expression as it is, up to this byte.
    fn write_to(&mut self, end: usize) {
        let text = self.expression.get(self.done..end);
        self.written.push_str(text.unwrap_or_default());
        self.done = end;
    }

    /// Writes something else for what stands here.
    fn write(&mut self, at: &Span, text: &str) {
        self.write_to(at.start.offset);
        self.written.push_str(text);
        self.done = at.end.offset;
    }

    fn said(&self, at: &Span) -> &'e str {
        let said = self.expression.get(at.start.offset..at.end.offset);
        said.unwrap_or_default()
    }

    /// Reads a part; nothing stands behind one that is the last.
    fn read(&mut self, ast: &Ast, is_last: bool) -> Result<(), Problem> {
        match ast {
            Ast::Empty(_) | Ast::Dot(_) | Ast::ClassPerl(_) => Ok(()),
            Ast::ClassUnicode(_) => Err(refused("letters of Unicode are not known")),
            Ast::Flags(set) => inline(&set.flags),
            Ast::Literal(literal) => one_byte(literal),
            Ast::Assertion(assertion) => self.assertion(assertion, is_last),
            Ast::ClassBracketed(class) => {
                let is_space = |byte: u8| byte.is_ascii_whitespace() || byte == b'#';
                if self.flags.has(b'x') && self.said(&class.span).bytes().any(is_space) {
                    return Err(refused("a space in a class, and \"x\": write it as \\x20"));
                }
                match &class.kind {
                    ClassSet::Item(item) => item_of_class(item),
                    ClassSet::BinaryOp(_) => Err(refused(IN_CLASS)),
                }
            }
            Ast::Repetition(repetition) => {
                if matches!(*repetition.ast, Ast::Repetition(_)) {
                    return Err(refused(
                        "a repetition of a repetition, or one that gives nothing back",
                    ));
                }
                // With spaces it is no count to PCRE.
                let is_count = |byte: u8| byte.is_ascii_digit() || b"{,}?".contains(&byte);
                let said = self.said(&repetition.op.span);
                if let RepetitionKind::Range(_) = &repetition.op.kind
                    && !said.bytes().all(is_count)
                {
                    return Err(refused("this count is read in different ways"));
                }
                self.read(&repetition.ast, false)
            }
            Ast::Group(group) => {
                if let GroupKind::NonCapturing(flags) = &group.kind {
                    inline(flags)?;
                }
                self.read(&group.ast, is_last)
            }
            Ast::Alternation(either) => {
                let mut asts = either.asts.iter();
                asts.try_for_each(|ast| self.read(ast, is_last))
            }
            Ast::Concat(all) => {
                let last = all.asts.len().saturating_sub(1);
                let mut asts = all.asts.iter().enumerate();
                asts.try_for_each(|(index, ast)| self.read(ast, is_last && index == last))
            }
        }
    }

    fn assertion(&mut self, assertion: &Assertion, is_last: bool) -> Result<(), Problem> {
        match assertion.kind {
            AssertionKind::StartLine | AssertionKind::StartText => return Ok(()),
            AssertionKind::EndText
            | AssertionKind::WordBoundary
            | AssertionKind::NotWordBoundary => {}
            // The end of the text, or of a line; without `m`, before a line's end that is the last byte, too.
            AssertionKind::EndLine if self.flags.has(b'm') => {}
            AssertionKind::EndLine if self.flags.has(b'E') => self.write(&assertion.span, "\\z"),
            AssertionKind::EndLine if is_last => self.write(&assertion.span, "(?:\\n?\\z)"),
            AssertionKind::EndLine => return Err(refused(BEHIND_END)),
            AssertionKind::WordBoundaryStart
            | AssertionKind::WordBoundaryEnd
            | AssertionKind::WordBoundaryStartAngle
            | AssertionKind::WordBoundaryEndAngle
            | AssertionKind::WordBoundaryStartHalf
            | AssertionKind::WordBoundaryEndHalf => {
                return Err(refused("a backslash that is read in different ways"));
            }
        }
        self.asks_behind = true;
        Ok(())
    }
}

/// Flags within an expression: those of which nothing here depends.
fn inline(flags: &Inline) -> Result<(), Problem> {
    let is_known = flags.items.iter().all(|item| {
        matches!(
            item.kind,
            FlagsItemKind::Negation
                | FlagsItemKind::Flag(Flag::CaseInsensitive | Flag::DotMatchesNewLine)
        )
    });
    if is_known {
        Ok(())
    } else {
        Err(refused(
            "of flags within an expression only i and s are known",
        ))
    }
}

fn one_byte(literal: &Literal) -> Result<(), Problem> {
    match literal.kind {
        LiteralKind::HexBrace(HexLiteralKind::X) if literal.c.is_ascii() => Ok(()),
        LiteralKind::HexBrace(HexLiteralKind::X) => Err(refused(AS_HEX)),
        // There it is any vertical space.
        LiteralKind::Special(SpecialLiteralKind::VerticalTab)
        | LiteralKind::Octal
        | LiteralKind::HexFixed(HexLiteralKind::UnicodeShort | HexLiteralKind::UnicodeLong)
        | LiteralKind::HexBrace(HexLiteralKind::UnicodeShort | HexLiteralKind::UnicodeLong) => {
            Err(refused("a backslash that is read in different ways"))
        }
        LiteralKind::Verbatim
        | LiteralKind::Meta
        | LiteralKind::Superfluous
        | LiteralKind::HexFixed(HexLiteralKind::X)
        | LiteralKind::Special(_) => Ok(()),
    }
}

fn item_of_class(item: &ClassSetItem) -> Result<(), Problem> {
    match item {
        ClassSetItem::Literal(literal) => one_byte(literal),
        ClassSetItem::Range(range) => one_byte(&range.start).and(one_byte(&range.end)),
        ClassSetItem::Union(union) => union.items.iter().try_for_each(item_of_class),
        ClassSetItem::Empty(_) | ClassSetItem::Ascii(_) | ClassSetItem::Perl(_) => Ok(()),
        ClassSetItem::Unicode(_) | ClassSetItem::Bracketed(_) => Err(refused(IN_CLASS)),
    }
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
        assert_eq!(matches("/a$/E", texts), [true, false, false]);
        assert_eq!(matches(r"/a\z/", texts), [true, false, false]);
        assert_eq!(matches("/a$/m", texts), [true, true, true]);
        assert_eq!(matches("/a(?:b|$|c)/", texts), [true, true, false]);
        assert_eq!(matches("/(x|(a$)|y)/", texts), [true, true, false]);
        for said in ["/a$b/", "/(a$|b)c/", "/(a$)?/"] {
            let why = read(said).unwrap_err();
            assert!(why.contains("something stands behind"), "{said}: {why}");
        }
    }

    #[test]
    fn what_the_two_read_alike_is_taken_as_it_is() {
        let yes = [true];
        assert_eq!(matches(r"/^[\[a&b~-]+</", [b"[&~-<"]), yes);
        assert_eq!(matches("/^[]x]+$/", [b"]x"]), yes);
        assert_eq!(
            matches(r"/^[^\d\]a-c]$/", [b"d", b"]", b"b", b"7"]),
            [true, false, false, false]
        );
        assert_eq!(matches("/^[a-]+$/", [b"a-"]), yes);
        assert_eq!(matches("/^[[:alpha:]_]+$/", [b"aZ_"]), yes);
        assert_eq!(matches("/^a{2,}b{1}?$/", [b"aaab"]), yes);
        assert_eq!(
            matches(r#"/\xe4\x{4}\/\;\"\x00/"#, [b"\xe4\x04/;\"\0"]),
            yes
        );
        assert_eq!(
            matches("/(?<n>a)(?P<m>b)(?i)C(?-i:d)/", [b"abcd", b"abcD"]),
            [true, false]
        );
    }

    #[test]
    fn what_is_said_of_each_byte_is_what_is_matched() {
        let texts: Vec<Vec<u8>> = (0_u32..4000)
            .map(|seed| {
                let mut state = seed.wrapping_mul(0x9e37_79b1) | 1;
                let next = |_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    b"abAB\n\x00\xff\xc1u-19"[state as usize >> 16 & 7 ^ state as usize >> 24 & 3]
                };
                (0..seed % 9).map(next).collect()
            })
            .collect();
        for said in [
            "/^.{3}/",
            "/^.{3}/s",
            "/^(a|b|\\x00|\\xff)/s",
            "/^(?:A|\\xc1)[^a]{2}b/i",
            "/(?i)^a\\W/",
            "/ab.B/A",
            "/^(a(b)){2}/i",
            "/^\\Aa/",
            "/^[[:alpha:]]\\x0a?a{0}/m",
        ] {
            let pcre = read(said).unwrap();
            let Some(runs) = pcre.runs() else {
                assert!(
                    said.contains('m') || said.contains("\\A") || said.contains("(?i)"),
                    "{said}"
                );
                continue;
            };
            let mut found = 0;
            for text in &texts {
                let mut rest = text.iter();
                let sets = runs.runs.iter();
                let mut sets = sets.flat_map(|(set, len)| (0..*len).map(move |_| set));
                let is_there = sets.all(|set| rest.next().is_some_and(|byte| set.has(*byte)));
                assert_eq!(is_there, pcre.regex.is_match(text), "{said} {text:?}");
                found += usize::from(is_there);
            }
            assert!(found > 0, "{said}");
        }
        for said in [
            "/^.{65}/",
            "/^.{2,3}/",
            "/^a|b/",
            "/a/",
            "/^a$/",
            "/^a/m",
            "/^(ab|cd)/",
            "/^/",
            "/^a*/",
        ] {
            assert!(read(said).unwrap().runs().is_none(), "{said}");
        }
    }

    #[test]
    fn what_cannot_be_matched_is_refused_with_the_reason() {
        for (said, why) in [
            ("/a(?=b)/", "look-around"),
            ("/(?<!a)b/", "look-around"),
            (r"/(a)\1/", "backreferences"),
            ("/(?P=a)/", "unrecognized flag"),
            ("/(?P>a)/", "unrecognized flag"),
            ("/a++/", "gives nothing back"),
            ("/a**/", "a repetition of a repetition"),
            ("/a+ +/x", "a repetition of a repetition"),
            ("/a{,3}/", "a valid decimal"),
            ("/a{ 3 }/x", "this count"),
            ("/(?>a)/", "unrecognized flag"),
            ("/(?m)a/", "only i and s"),
            ("/(*ANY)a/", "repetition operator missing"),
            (r"/\vA/", "read in different ways"),
            (r"/\<a/", "read in different ways"),
            (r"/\u0041/", "read in different ways"),
            (r"/\x{e4}/", "not ASCII"),
            (r"/\Qa/", "unrecognized escape"),
            (r"/\012/", "backreferences"),
            (r"/\pL/", "letters of Unicode"),
            ("/ä/", "not ASCII"),
            ("/[a/", "unclosed character class"),
            ("/[[a]b]/", "a class in a class"),
            ("/[a&&b]/", "a class in a class"),
            ("/[a b]/x", "a space in a class"),
            ("/a/P", "a buffer that is not looked at"),
            ("/a/k", "this flag is not known"),
            ("/a/UI", "name two buffers"),
            ("/(?:a{1000}){1000}/", "too large"),
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
