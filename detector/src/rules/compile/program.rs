//! A rule as operations, and the ways back: a pattern that is not there may be behind another place of the one before it.

use detector_common::detect::signature::table::{
    Buffer as Subject, FOUND, Kind, NONE, OPERATIONS_MAX, Operation, PatternWord, RESUME,
    WORDS_MAX, flag, word_offset,
};

use super::{
    super::{
        byte_jump::ByteJump,
        keyword::Keyword,
        pattern::{Anchor, Buffer, ByteSet, Pattern},
        pcre::Pcre,
        problem::Problem,
        rule::Rule,
    },
    grams::is_all_said,
    stage::{Stage, Way, stages},
};

/// The most operations of a rule besides its patterns, so that none is left undecided for its length.
const TESTS_MAX: usize = 64;

/// Operations and the words of patterns, of all rules.
#[derive(Default)]
pub(super) struct Programs {
    pub(super) operations: Vec<Operation>,
    pub(super) words: Vec<PatternWord>,
    pub(super) regexes: Vec<Pcre>,
}

impl Programs {
    /// Adds one way of a rule, which is found by its pattern `choice`; gives its first operation.
    pub(super) fn add(
        &mut self,
        rule: &Rule,
        way: &Way,
        choice: Option<usize>,
    ) -> Result<u32, Problem> {
        let mut stages = stages(rule, way)?;
        stages.retain(|stage| {
            let is_said = |number| choice == Some(number) && is_all_said(rule, number);
            !matches!(stage, Stage::Pattern(number, _) if is_said(*number))
        });
        let is_content = |stage: &&Stage<'_>| matches!(stage, Stage::Pattern(_, pattern) if pattern.runs.is_none());
        let tests = stages.iter().filter(|stage| !is_content(stage));
        if tests.map(Stage::len).sum::<usize>() > TESTS_MAX {
            return Err(Problem::TooLarge(
                "addresses, ports, tests and bytes of a pcre",
                TESTS_MAX,
            ));
        }
        let first = self.operations.len();
        let mut starts = Vec::with_capacity(stages.len() + 1);
        let mut next = first;
        for stage in &stages {
            starts.push(next);
            next += stage.len();
        }
        if next > OPERATIONS_MAX {
            return Err(Problem::NoRoom("operations", OPERATIONS_MAX));
        }
        // The stage of each pattern.
        let mut patterns = vec![0; rule.patterns.len()];
        for (stage, start) in stages.iter().zip(&starts) {
            if let Stage::Pattern(number, _) = stage
                && let Some(place) = patterns.get_mut(*number)
            {
                *place = *start as u32;
            }
        }
        for (index, stage) in stages.iter().enumerate() {
            let then = starts.get(index + 1).map_or(FOUND, |next| *next as u32);
            self.emit(stage, then, retry(rule, stage, &patterns))?;
            if let (Stage::Pattern(number, _), Some(last)) = (stage, self.operations.last_mut())
                && choice == Some(*number)
                && is_of_payload(stage)
            {
                last.flags |= flag::SIGN;
            }
        }
        Ok(if stages.is_empty() {
            FOUND
        } else {
            first as u32
        })
    }

    fn emit(&mut self, stage: &Stage<'_>, then: u32, otherwise: u32) -> Result<(), Problem> {
        match stage {
            Stage::Field {
                field,
                mask,
                ranges,
                negated,
            } => {
                let (inside, outside) = if *negated {
                    (otherwise, then)
                } else {
                    (then, otherwise)
                };
                for (index, (first, last)) in ranges.iter().enumerate() {
                    let here = self.operations.len() as u32;
                    let is_last = index + 1 == ranges.len();
                    self.operations.push(Operation {
                        kind: Kind::Field as u8,
                        subject: *field as u8,
                        then: inside,
                        otherwise: if is_last { outside } else { here + 1 },
                        numbers: [*mask, *first, last - first, 0],
                        ..Operation::default()
                    });
                }
            }
            Stage::Address {
                is_destination,
                ranges,
            } => {
                // At least the first, and not at least what is behind the last.
                for (index, (first, last)) in ranges.iter().enumerate() {
                    let here = self.operations.len() as u32;
                    let is_last = index + 1 == ranges.len();
                    let next = if is_last { otherwise } else { here + 2 };
                    // In order: who is below this range is in no later one.
                    self.operations
                        .push(address(*is_destination, *first, here + 1, otherwise));
                    self.operations.push(match last.checked_add(1) {
                        Some(behind) => address(*is_destination, behind, next, then),
                        None => address(*is_destination, 0, then, otherwise),
                    });
                }
            }
            Stage::Regex(pcre) => self.regex(pcre, then, otherwise),
            Stage::Pattern(number, pattern) => self.pattern(*number, pattern, then, otherwise)?,
            Stage::ByteTest(test) => {
                let range = test.range().ok_or(Problem::Never(
                    Keyword::ByteTest.name(),
                    "no number of so many bytes is so",
                ))?;
                let little = if test.is_little { flag::LITTLE } else { 0 };
                self.operations.push(Operation {
                    kind: Kind::ByteTest as u8,
                    subject: Subject::Payload as u8,
                    slot: test.bytes,
                    flags: relative(test.after) | little,
                    then,
                    otherwise,
                    numbers: [
                        range.mask,
                        range.first,
                        range.span,
                        test.offset.cast_unsigned(),
                    ],
                    after: test.after.unwrap_or_default() as u32,
                });
            }
            Stage::DataAt {
                buffer,
                bytes,
                after,
                negated,
            } => {
                let (there, missing) = if *negated {
                    (otherwise, then)
                } else {
                    (then, otherwise)
                };
                self.operations.push(Operation {
                    kind: Kind::DataAt as u8,
                    subject: subject(*buffer) as u8,
                    flags: relative(*after),
                    then: there,
                    otherwise: missing,
                    numbers: [*bytes, 0, 0, 0],
                    after: after.unwrap_or_default() as u32,
                    ..Operation::default()
                });
            }
        }
        Ok(())
    }

    /// In the kernel it holds, whatever is asked; so where it must not, that is said where it is decided.
    fn regex(&mut self, pcre: &Pcre, then: u32, otherwise: u32) {
        self.operations.push(Operation {
            kind: Kind::Regex as u8,
            subject: subject(pcre.buffer) as u8,
            flags: relative(pcre.after),
            then,
            otherwise,
            numbers: [self.regexes.len() as u32, 0, 0, 0],
            after: pcre.after.unwrap_or_default() as u32,
            ..Operation::default()
        });
        self.regexes.push(pcre.clone());
    }

    fn pattern(
        &mut self,
        number: usize,
        pattern: &Pattern,
        then: u32,
        otherwise: u32,
    ) -> Result<(), Problem> {
        let (mut flags, from, span, after) = match pattern.anchor {
            Anchor::Absolute { offset, depth } => (0, offset.cast_signed(), depth, 0),
            Anchor::Relative {
                after: Some(after),
                distance,
                within,
            } => (flag::RELATIVE, distance, within, after as u32),
            Anchor::Relative {
                after: None,
                distance,
                within,
            } => (0, distance, within, 0),
        };
        if let Some(runs) = &pattern.runs {
            let relative = (flags, after);
            return self.runs(number, pattern, &runs.runs, relative, (then, otherwise));
        }
        if let Some(jump) = pattern.jump {
            self.operations.push(Operation {
                slot: number as u8,
                flags: flags | jump.flags(),
                then,
                otherwise,
                after,
                ..leading(jump, from)
            });
            return Ok(());
        }
        if pattern.ends {
            flags |= flag::ENDS;
        }
        let words = words(&pattern.bytes, pattern.nocase);
        let first_word = self.words.len();
        if first_word + words.len() > WORDS_MAX {
            return Err(Problem::NoRoom("words of patterns", WORDS_MAX));
        }
        self.words.extend(words);
        let (then, otherwise) = if pattern.negated {
            (otherwise, then)
        } else {
            (then, otherwise)
        };
        self.operations.push(Operation {
            kind: Kind::Content as u8,
            subject: subject(pattern.buffer) as u8,
            slot: number as u8,
            flags,
            then,
            otherwise,
            numbers: [
                first_word as u32,
                pattern.bytes.len() as u32,
                from.cast_unsigned(),
                span.unwrap_or(u32::MAX),
            ],
            after,
        });
        Ok(())
    }
}

impl Programs {
    /// Runs of bytes: the first is where `relative` says, each other one behind the one before.
    fn runs(
        &mut self,
        number: usize,
        pattern: &Pattern,
        runs: &[(ByteSet, u32)],
        relative: (u8, u32),
        (then, otherwise): (u32, u32),
    ) -> Result<(), Problem> {
        let (there, missing) = if pattern.negated {
            (otherwise, then)
        } else {
            (then, otherwise)
        };
        let (mut flags, mut after) = relative;
        for (index, (ByteSet([a, b, c, d]), len)) in runs.iter().enumerate() {
            let set = self.words.len();
            let words = [(*a, *b), (*c, *d)].map(|(mask, value)| PatternWord { mask, value });
            if set + words.len() > WORDS_MAX {
                return Err(Problem::NoRoom("words of patterns", WORDS_MAX));
            }
            self.words.extend(words);
            let next = self.operations.len() as u32 + 1;
            self.operations.push(Operation {
                kind: Kind::Run as u8,
                subject: subject(pattern.buffer) as u8,
                slot: number as u8,
                flags,
                then: if index + 1 < runs.len() { next } else { there },
                otherwise: missing,
                numbers: [set as u32, *len, 0, 0],
                after,
            });
            (flags, after) = (flag::RELATIVE, number as u32);
        }
        Ok(())
    }
}

/// The exit of a stage that does not hold: to the next place of the pattern that it counts from, if that may change it. Behind another place of
/// what a number counts from all may be otherwise, for the number is another one.
fn retry(rule: &Rule, stage: &Stage<'_>, patterns: &[u32]) -> u32 {
    let mut after = stage.after();
    let mut may_hold_later = stage.may_hold_later();
    while let Some((number, pattern)) =
        after.and_then(|number| Some((number, rule.patterns.get(number)?)))
    {
        if pattern.jump.is_some() {
            may_hold_later = true;
        } else if may_hold_later {
            return patterns.get(number).map_or(NONE, |start| start | RESUME);
        }
        after = pattern.after();
    }
    NONE
}

/// A number that leads somewhere, so far from its anchor.
fn leading(jump: ByteJump, offset: i32) -> Operation {
    Operation {
        kind: Kind::ByteJump as u8,
        subject: Subject::Payload as u8,
        numbers: [
            jump.bytes.into(),
            jump.multiplier.into(),
            jump.post_offset.cast_unsigned(),
            offset.cast_unsigned(),
        ],
        ..Operation::default()
    }
}

/// Whether what is looked for first of a rule stands first where the filter found it: in a buffer of a request it may be another one's.
fn is_of_payload(stage: &Stage<'_>) -> bool {
    matches!(stage, Stage::Pattern(_, pattern) if pattern.buffer == Buffer::Payload)
}

/// What is said of a place that counts from the end of a pattern, if it does.
fn relative(after: Option<usize>) -> u8 {
    if after.is_some() { flag::RELATIVE } else { 0 }
}

/// The number of a buffer.
fn subject(buffer: Buffer) -> Subject {
    match buffer {
        Buffer::Payload => Subject::Payload,
        Buffer::HttpUri => Subject::Uri,
        Buffer::HttpUriRaw => Subject::UriRaw,
        Buffer::HttpMethod => Subject::Method,
        Buffer::HttpHeader => Subject::Headers,
    }
}

/// Whether the source, or the destination, is at least `least`.
fn address(is_destination: bool, least: u128, then: u32, otherwise: u32) -> Operation {
    let word = |shift: u32| (least >> shift) as u32;
    Operation {
        kind: Kind::Address as u8,
        subject: is_destination.into(),
        then,
        otherwise,
        numbers: [word(96), word(64), word(32), word(0)],
        ..Operation::default()
    }
}

/// The words of a pattern.
pub(super) fn words(bytes: &[u8], nocase: bool) -> Vec<PatternWord> {
    let len = bytes.len() as u32;
    let numbers = 0..len.div_ceil(8);
    numbers
        .map(|number| {
            let begin = word_offset(number, len) as usize;
            let bytes = bytes.get(begin..).unwrap_or_default();
            word(bytes.get(..8).unwrap_or(bytes), nocase)
        })
        .collect()
}

/// Eight bytes at most, as what is under a mask.
pub(super) fn word(bytes: &[u8], nocase: bool) -> PatternWord {
    let mut word = PatternWord::default();
    for (index, byte) in bytes.iter().enumerate() {
        // Of a letter the bit does not count that tells its case.
        let mask = if nocase && byte.is_ascii_alphabetic() {
            !0x20
        } else {
            0xff
        };
        word.mask |= u64::from(mask) << (8 * index);
        word.value |= u64::from(byte & mask) << (8 * index);
    }
    word
}
