//! `pcre`: regular expressions. One that only says which bytes may stand one behind the other is a pattern; others the kernel does not decide, the agent
//! does, of rules that are [partial](super::Rule::is_partial).
//!
//! There they are matched by the crate `regex`, whose work is at most the length of the text times the size of the expression, whatever the text is. What
//! it cannot do is refused, and so is all that it would read in another way than PCRE.

mod reading;

use std::fmt;

use detector_common::detect::signature::table::RUN_MAX;
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::hir::{Class, Hir, HirKind, Look};

use self::reading::Reading;
use super::{
    keyword::Keyword,
    pattern::{Buffer, ByteSet, Runs},
    problem::Problem,
};

/// What an expression may take of memory, in bytes: the first of these that is enough for it.
const SIZES: [usize; 6] = [1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, SIZE_MAX];
/// The most memory of one expression, in bytes.
const SIZE_MAX: usize = 1 << 15;
/// The most groups of it, and what else stands in another, in each other.
const DEPTH_MAX: u32 = 64;
/// The same as it is written anew: `A` puts two around it, and `$` becomes three.
const WRITTEN_DEPTH_MAX: u32 = DEPTH_MAX + 2 + 3;
/// So many bytes of an expression, times bytes of the text, are a step of the budget of a packet.
const BYTES_PER_STEP: usize = 1 << 13;

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
    /// What it takes of memory at most, in bytes.
    size: usize,
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

/// An expression as a rule says it.
pub(super) struct Expression<'t> {
    said: &'t str,
    flags: Flags,
    reading: Reading<'t>,
    /// What it is asked of.
    pub(super) buffer: Buffer,
}

impl<'t> Expression<'t> {
    /// Reads `"/EXPRESSION/FLAGS"`, where a keyword said that `buffer` is looked at.
    pub(super) fn read(quoted: &'t str, said_buffer: Option<Buffer>) -> Result<Self, Problem> {
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
        Ok(Self {
            said,
            flags,
            reading: Reading::of(expression, flags)?,
            buffer,
        })
    }

    /// Whether it begins behind the pattern before it.
    pub(super) fn is_relative(&self) -> bool {
        self.flags.has(b'R')
    }

    /// What it says of bytes from one place on, where that is all that it says.
    pub(super) fn runs(&self) -> Option<Runs> {
        let said = self.said.to_owned();
        let runs = runs(&self.reading.written, self.flags)?;
        Some(Runs { said, runs })
    }

    /// Makes it ready to be matched, behind `before` patterns of a rule.
    pub(super) fn build(&self, negated: bool, before: usize) -> Result<Pcre, Problem> {
        let mut builder = RegexBuilder::new(&self.reading.written);
        builder
            .unicode(false)
            .case_insensitive(self.flags.has(b'i'))
            .multi_line(self.flags.has(b'm'))
            .dot_matches_new_line(self.flags.has(b's'))
            .dfa_size_limit(SIZE_MAX)
            .ignore_whitespace(self.flags.has(b'x'))
            .nest_limit(WRITTEN_DEPTH_MAX);
        for size in SIZES {
            let regex = match builder.size_limit(size).build() {
                Err(regex::Error::CompiledTooBig(_)) => continue,
                built => built.map_err(|error| Problem::Regex(error.to_string().into()))?,
            };
            return Ok(Pcre {
                said: self.said.to_owned(),
                negated,
                buffer: self.buffer,
                after: None,
                before,
                asks_behind: self.reading.asks_behind,
                size,
                regex,
            });
        }
        Err(refused("the expression is too large"))
    }
}

impl Pcre {
    /// The steps of the budget of a packet that it takes to look through so many bytes.
    pub(super) fn steps(&self, len: usize) -> u32 {
        let steps = len.saturating_mul(self.size) / BYTES_PER_STEP;
        u32::try_from(steps).map_or(u32::MAX, |steps| steps.saturating_add(1))
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
        .nest_limit(WRITTEN_DEPTH_MAX);
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
        // A class and a byte that is no letter stay apart.
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

#[cfg(test)]
mod tests;
