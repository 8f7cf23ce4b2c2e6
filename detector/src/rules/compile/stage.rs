//! What must hold of a packet for a rule to match, one after the other: tests of headers first, then patterns in their order.

use detector_common::detect::signature::{
    table::{ANY_OPTION, Field, option_bit, protocol, trait_bit},
    workspace::SLOTS,
};

use super::{
    super::{
        byte_test::ByteTest,
        header::Protocol,
        pattern::{Anchor, Buffer, Pattern},
        pcre::Pcre,
        problem::Problem,
        rule::{Rule, Test},
        test::{How, Numbers},
    },
    ranges::{Range, Ranges},
};

/// TCP flags, RFC 9293 §3.1.
const SYN: u32 = 0x02;
const ACK: u32 = 0x10;

/// One way of a rule: who sends to whom.
pub(in crate::rules) struct Way {
    pub(in crate::rules) source: Ranges,
    pub(in crate::rules) source_ports: Ranges,
    pub(in crate::rules) destination: Ranges,
    pub(in crate::rules) destination_ports: Ranges,
}

/// What must hold, one after the other.
pub(in crate::rules) enum Stage<'r> {
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
    /// So many bytes of a buffer follow, or do not.
    DataAt {
        buffer: Buffer,
        bytes: u32,
        after: Option<usize>,
        negated: bool,
    },
    /// A number in the payload is so.
    ByteTest(ByteTest),
    /// A regular expression matches, or does not.
    Regex(&'r Pcre),
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

    fn is(field: Field, number: u32) -> Self {
        Self::field(field, u32::MAX, number, number)
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
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Field { ranges, .. } => ranges.len(),
            Self::Address { ranges, .. } => 2 * ranges.len(),
            Self::Pattern(_, pattern) => pattern.runs.as_ref().map_or(1, |runs| runs.runs.len()),
            Self::DataAt { .. } | Self::ByteTest(_) | Self::Regex(_) => 1,
        }
    }

    /// The slot of the pattern that it is relative to.
    pub(super) fn after(&self) -> Option<usize> {
        match self {
            Self::Pattern(_, pattern) => pattern.after(),
            Self::DataAt { after, .. } | Self::ByteTest(ByteTest { after, .. }) => *after,
            Self::Regex(pcre) => pcre.after,
            Self::Field { .. } | Self::Address { .. } => None,
        }
    }

    /// Whether it may hold behind a later place of the pattern that it is relative to, if it does not behind the first one.
    ///
    /// What may stand anywhere behind, and is not behind the first, is behind none.
    pub(super) fn may_hold_later(&self) -> bool {
        match self {
            Self::Pattern(_, pattern) => {
                let is_bounded = matches!(
                    pattern.anchor,
                    Anchor::Relative {
                        within: Some(_),
                        ..
                    }
                );
                is_bounded || pattern.negated || pattern.jump.is_some()
            }
            Self::DataAt { negated, .. } => *negated,
            // An expression may begin with what only stands right behind.
            Self::ByteTest(_) | Self::Regex(_) => true,
            Self::Field { .. } | Self::Address { .. } => false,
        }
    }
}

/// What must hold of a packet on its way, in order.
pub(in crate::rules) fn stages<'r>(
    rule: &'r Rule,
    way: &'r Way,
) -> Result<Vec<Stage<'r>>, Problem> {
    if rule.patterns.len() > SLOTS {
        return Err(Problem::TooLarge("contents and jumps", SLOTS));
    }
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
        header_test(*test, &mut stages);
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
        stages.push(Stage::Pattern(number, pattern));
    }
    for test in &rule.tests {
        if let Test::DataAt {
            buffer,
            bytes,
            after,
            negated,
        } = *test
        {
            stages.push(Stage::DataAt {
                buffer,
                bytes,
                after,
                negated,
            });
        } else if let Test::ByteTest(test) = *test {
            stages.push(Stage::ByteTest(test));
        }
    }
    // What costs the most comes last.
    stages.extend(rule.pcres.iter().map(Stage::Regex));
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
            stages.push(Stage::is(Field::Identification, id.into()));
        }
        Test::Acknowledgement(number) => {
            stages.push(Stage::is(Field::Acknowledgement, number));
        }
        Test::Sequence(number) => stages.push(Stage::is(Field::Sequence, number)),
        Test::Window(numbers) => stages.push(Stage::numbers(Field::Window, numbers)),
        Test::IcmpId(number) => stages.push(Stage::is(Field::IcmpId, number.into())),
        Test::IcmpSequence(number) => stages.push(Stage::is(Field::IcmpSequence, number.into())),
        Test::IpProtocol(numbers) => stages.push(Stage::numbers(Field::IpProtocol, numbers)),
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
            let mask = option
                .0
                .map_or(ANY_OPTION, |number| 1 << option_bit(number));
            stages.push(Stage::field(Field::IpOptions, mask, 1, u32::MAX));
        }
        Test::Trait(bit) => stages.push(Stage::field(Field::Traits, bit, bit, bit)),
        Test::DataAt { .. } | Test::ByteTest(_) => {}
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
