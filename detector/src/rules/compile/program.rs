//! A rule as operations: tests of headers first, then its patterns in their order, and the ways back.

use detector_common::detect::signature::{
    table::{
        ANY_OPTION, FOUND, Field, Kind, NONE, OPERATIONS_MAX, Operation, PatternWord, RESUME,
        WORDS_MAX, flag, protocol, trait_bit, word_offset,
    },
    workspace::SLOTS,
};

use super::{
    super::{
        header::Protocol,
        pattern::{Anchor, Buffer, Pattern},
        problem::Problem,
        rule::{Rule, Test},
        test::{How, Numbers},
    },
    grams::is_all_said,
    ranges::{Range, Ranges},
};

/// The most operations of a rule besides its patterns, so that none is left undecided for its length.
const TESTS_MAX: usize = 64;
/// TCP flags, RFC 9293 §3.1.
const SYN: u32 = 0x02;
const ACK: u32 = 0x10;

/// One way of a rule: who sends to whom.
pub(super) struct Way {
    pub(super) source: Ranges,
    pub(super) source_ports: Ranges,
    pub(super) destination: Ranges,
    pub(super) destination_ports: Ranges,
}

/// What must hold, one after the other.
enum Stage<'r> {
    /// A field under a mask is in one of these ranges, or in none of them.
    Field {
        field: Field,
        mask: u32,
        ranges: Vec<(u32, u32)>,
        negated: bool,
    },
    /// An address is in one of these ranges: the source, or the destination.
    Address {
        is_destination: bool,
        ranges: &'r [Range],
    },
    /// The pattern of this number.
    Pattern(usize, &'r Pattern),
    /// So many bytes follow, or do not.
    DataAt {
        bytes: u32,
        after: Option<usize>,
        negated: bool,
    },
}

impl Stage<'_> {
    fn field(field: Field, mask: u32, first: u32, last: u32) -> Self {
        Self::Field {
            field,
            mask,
            ranges: vec![(first, last)],
            negated: false,
        }
    }

    fn numbers(field: Field, numbers: Numbers) -> Self {
        Self::Field {
            field,
            mask: u32::MAX,
            ranges: vec![(numbers.first, numbers.last)],
            negated: numbers.negated,
        }
    }

    /// How many operations it takes.
    fn len(&self) -> usize {
        match self {
            Self::Field { ranges, .. } => ranges.len(),
            Self::Address { ranges, .. } => 2 * ranges.len(),
            Self::Pattern(..) | Self::DataAt { .. } => 1,
        }
    }

    /// The slot of the pattern that it is relative to.
    fn after(&self) -> Option<usize> {
        match self {
            Self::Pattern(_, pattern) => match pattern.anchor {
                Anchor::Relative { after, .. } => after,
                Anchor::Absolute { .. } => None,
            },
            Self::DataAt { after, .. } => *after,
            Self::Field { .. } | Self::Address { .. } => None,
        }
    }

    /// Whether it may hold behind a later place of the pattern that it is relative to, if it does not behind the first one.
    ///
    /// What may stand anywhere behind, and is not behind the first, is behind none.
    fn may_hold_later(&self) -> bool {
        match self {
            Self::Pattern(_, pattern) => {
                let is_bounded = matches!(
                    pattern.anchor,
                    Anchor::Relative {
                        within: Some(_),
                        ..
                    }
                );
                is_bounded || pattern.negated
            }
            Self::DataAt { negated, .. } => *negated,
            Self::Field { .. } | Self::Address { .. } => false,
        }
    }
}

/// Operations and the words of patterns, of all rules.
#[derive(Default)]
pub(super) struct Programs {
    pub(super) operations: Vec<Operation>,
    pub(super) words: Vec<PatternWord>,
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
        let tests = stages
            .iter()
            .filter(|stage| !matches!(stage, Stage::Pattern(..)));
        if tests.map(Stage::len).sum::<usize>() > TESTS_MAX {
            return Err(Problem::TooLarge("addresses, ports and tests", TESTS_MAX));
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
            let retry = stage.after().filter(|_| stage.may_hold_later());
            let retry = retry.and_then(|after| patterns.get(after));
            self.emit(stage, then, retry.map_or(NONE, |start| start | RESUME))?;
            if let (Stage::Pattern(number, _), Some(last)) = (stage, self.operations.last_mut())
                && choice == Some(*number)
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
            Stage::Pattern(number, pattern) => self.pattern(*number, pattern, then, otherwise)?,
            Stage::DataAt {
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
                    flags: if after.is_some() { flag::RELATIVE } else { 0 },
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
            subject: 0,
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

/// What must hold of a packet on its way, in order.
fn stages<'r>(rule: &'r Rule, way: &'r Way) -> Result<Vec<Stage<'r>>, Problem> {
    if rule.patterns.len() > SLOTS {
        return Err(Problem::TooLarge("contents", SLOTS));
    }
    if rule.threshold.is_some() {
        return Err(Problem::NotYet("threshold and detection_filter"));
    }
    let of_payload = |buffer: Buffer| buffer == Buffer::Payload;
    let mut stages = Vec::new();
    // A pattern may be one of rules for different protocols.
    let protocol = match rule.header.protocol {
        Protocol::Tcp => Some(protocol::TCP),
        Protocol::Udp => Some(protocol::UDP),
        Protocol::Icmp => Some(protocol::ICMP),
        Protocol::Ip => None,
    };
    stages.extend(protocol.map(|bit| Stage::field(Field::Protocol, u32::MAX, bit, bit)));
    for (field, ports) in [
        (Field::DestinationPort, &way.destination_ports),
        (Field::SourcePort, &way.source_ports),
    ] {
        if **ports != [(0, u128::from(u16::MAX))] {
            stages.push(Stage::Field {
                field,
                mask: u32::MAX,
                ranges: ports
                    .iter()
                    .map(|(first, last)| (*first as u32, *last as u32))
                    .collect(),
                negated: false,
            });
        }
    }
    stages.extend(flow(rule));
    for test in &rule.tests {
        if let Test::DataAt { buffer, .. } = test {
            if !of_payload(*buffer) {
                return Err(Problem::NotYet("http buffers"));
            }
        } else {
            header_test(*test, &mut stages);
        }
    }
    for (is_destination, ranges) in [(false, &way.source), (true, &way.destination)] {
        if **ranges != [(0, u128::MAX)] {
            stages.push(Stage::Address {
                is_destination,
                ranges,
            });
        }
    }
    for (number, pattern) in rule.patterns.iter().enumerate() {
        if !of_payload(pattern.buffer) {
            return Err(Problem::NotYet("http buffers"));
        }
        stages.push(Stage::Pattern(number, pattern));
    }
    for test in &rule.tests {
        if let Test::DataAt {
            bytes,
            after,
            negated,
            ..
        } = *test
        {
            stages.push(Stage::DataAt {
                bytes,
                after,
                negated,
            });
        }
    }
    Ok(stages)
}

/// What `flow` asks: the flags tell who cannot have sent a segment, and that a connection is not new; the ports tell who serves.
fn flow(rule: &Rule) -> Vec<Stage<'static>> {
    let mut stages = Vec::new();
    let other_side = match rule.flow.to_server {
        Some(true) => Some(SYN | ACK),
        Some(false) => Some(SYN),
        None => None,
    };
    if let Some(other_side) = other_side {
        stages.push(Stage::Field {
            field: Field::TcpFlags,
            mask: SYN | ACK,
            ranges: vec![(other_side, other_side)],
            negated: true,
        });
    }
    if rule.flow.established {
        stages.push(Stage::field(Field::TcpFlags, SYN | ACK, ACK, ACK));
    }
    stages
}

fn header_test(test: Test, stages: &mut Vec<Stage<'_>>) {
    match test {
        Test::DataSize(numbers) => stages.push(Stage::numbers(Field::PayloadLen, numbers)),
        Test::IcmpType(numbers) => stages.push(Stage::numbers(Field::IcmpType, numbers)),
        Test::IcmpCode(numbers) => stages.push(Stage::numbers(Field::IcmpCode, numbers)),
        Test::TimeToLive(numbers) => stages.push(Stage::numbers(Field::TimeToLive, numbers)),
        Test::Identification(id) => {
            stages.push(Stage::field(
                Field::Identification,
                u32::MAX,
                id.into(),
                id.into(),
            ));
        }
        Test::Flags(flags) => {
            let counted = u32::from(!flags.ignored);
            stages.push(bits(
                Field::TcpFlags,
                flags.how,
                u32::from(flags.flags) & counted,
                counted,
            ));
        }
        Test::FragmentBits(fragment) => {
            stages.push(Stage::field(
                Field::Traits,
                trait_bit::IPV4,
                trait_bit::IPV4,
                trait_bit::IPV4,
            ));
            stages.push(bits(
                Field::FragmentBits,
                fragment.how,
                fragment.bits.into(),
                7,
            ));
        }
        Test::IpOption(option) => {
            let mask = option.0.map_or(ANY_OPTION, |number| 1 << (number & 31));
            stages.push(Stage::field(Field::IpOptions, mask, 1, u32::MAX));
        }
        Test::Trait(bit) => stages.push(Stage::field(Field::Traits, bit, bit, bit)),
        Test::DataAt { .. } => {}
    }
}

/// How the bits of a field must be, of which these are `counted`.
fn bits(field: Field, how: How, bits: u32, counted: u32) -> Stage<'static> {
    match how {
        How::Exactly => Stage::field(field, counted, bits, bits),
        How::All => Stage::field(field, bits, bits, bits),
        How::Any => Stage::field(field, bits, 1, u32::MAX),
        How::NotAll => Stage::Field {
            field,
            mask: bits,
            ranges: vec![(bits, bits)],
            negated: true,
        },
    }
}
