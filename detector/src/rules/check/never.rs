//! Rules that no packet can match, as far as that can be proven.

use std::fmt;

use detector_common::detect::signature::table::{Field, trait_bit};

use super::{
    super::{
        compile::{Range, Way},
        flowbits::FlowBit,
        pattern::{Anchor, Buffer, Pattern},
        rule::{Rule, Test},
    },
    fields::Fields,
    places::{Places, is_in_place, len, places_in},
    stages_of,
};

/// The addresses of IPv4, as they are mapped into IPv6.
const IPV4: Range = (0xffff_0000_0000, 0xffff_ffff_ffff);

/// Why no packet matches a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Never {
    /// A field has no value that all these keywords allow.
    Field(&'static str),
    /// Its addresses have no IPv4, and what it asks only that has.
    NotIpv4,
    /// A pattern has no place.
    NoPlace {
        /// The pattern.
        pattern: String,
        /// The first byte where it could begin.
        first: i64,
        /// The most bytes of the payload.
        longest: i64,
    },
    /// The payload would have to be longer than it may be.
    Lengths {
        /// The bytes that are asked for.
        shortest: i64,
        /// Those that are allowed.
        longest: i64,
    },
    /// Two patterns that have one place each are not the same where they overlap.
    Clash(String, String),
    /// No rule sets a bit that it asks for.
    NobodySets(FlowBit),
    /// A pattern that must not be there is a part of one that must.
    Excluded(String, String),
}

impl fmt::Display for Never {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(keywords) => write!(out, "{keywords}: no packet is as they ask together"),
            Self::NotIpv4 => out.write_str(
                "it asks for what only IPv4 has, and its addresses are those of IPv6 alone",
            ),
            Self::NoPlace {
                pattern,
                first,
                longest,
            } => write!(
                out,
                "{pattern}: has no place in {longest} bytes, from byte {first} on and within its depth or within"
            ),
            Self::Lengths { shortest, longest } => write!(
                out,
                "it asks for a payload of {shortest} bytes or more, and of {longest} or fewer"
            ),
            Self::NobodySets(bit) => write!(out, "{bit}: no rule that is taken sets it"),
            Self::Clash(one, other) => write!(out, "{one} and {other} overlap and differ"),
            Self::Excluded(negated, pattern) => {
                write!(out, "{negated} is a part of {pattern}")
            }
        }
    }
}

/// What the headers of a packet may be on this way of a rule.
pub(super) fn fields(rule: &Rule, way: &Way) -> Result<Fields, Never> {
    let fields = Fields::of(&stages_of(rule, way));
    if let Some(field) = fields.impossible() {
        return Err(Never::Field(keywords(field)));
    }
    let asks_ipv4 = |test: &Test| match test {
        Test::FragmentBits(_) => true,
        Test::Trait(bit) => *bit == trait_bit::SEQUENCE_IS_DESTINATION,
        Test::DataSize(_)
        | Test::IcmpType(_)
        | Test::IcmpCode(_)
        | Test::TimeToLive(_)
        | Test::Identification(_)
        | Test::Acknowledgement(_)
        | Test::Sequence(_)
        | Test::Window(_)
        | Test::IcmpId(_)
        | Test::IcmpSequence(_)
        | Test::IpProtocol(_)
        | Test::Flags(_)
        | Test::IpOption(_)
        | Test::DataAt { .. }
        | Test::ByteTest(_) => false,
    };
    if fields.are_of_ipv4() || rule.tests.iter().any(asks_ipv4) {
        let has_ipv4 = |ranges: &[Range]| {
            ranges
                .iter()
                .any(|(first, last)| *first <= IPV4.1 && *last >= IPV4.0)
        };
        if !has_ipv4(&way.source) || !has_ipv4(&way.destination) {
            return Err(Never::NotIpv4);
        }
    }
    Ok(fields)
}

/// Fails if a rule asks for a bit that none of `rules` sets.
pub(super) fn bits(rule: &Rule, rules: &[Rule]) -> Result<(), Never> {
    let may_be_set = |bit: &FlowBit| {
        let mut all = rules.iter().flat_map(|rule| &rule.flow_bits);
        all.any(|other| bit.names().iter().any(|name| other.may_set(name)))
    };
    let mut asked = rule.flow_bits.iter();
    match asked.find(|bit| matches!(bit, FlowBit::IsSet(_)) && !may_be_set(bit)) {
        Some(bit) => Err(Never::NobodySets(bit.clone())),
        None => Ok(()),
    }
}

/// The keywords that ask for a field.
fn keywords(field: Field) -> &'static str {
    match field {
        Field::Protocol => "protocol",
        Field::SourcePort | Field::DestinationPort => "ports",
        Field::PayloadLen => "dsize",
        Field::TcpFlags => "flags, flow and the protocol",
        Field::IcmpType => "itype",
        Field::IcmpCode => "icode",
        Field::Traits => "detector.no_tcp_options",
        Field::TimeToLive => "ttl",
        Field::Identification => "id",
        Field::FragmentBits => "fragbits",
        Field::IpOptions => "ipopts",
        Field::Acknowledgement => "ack",
        Field::Sequence => "seq",
        Field::Window => "window",
        Field::IcmpId => "icmp_id",
        Field::IcmpSequence => "icmp_seq",
        Field::IpProtocol => "ip_proto",
    }
}

/// Where the patterns of a rule may stand in a payload of such a length.
pub(super) fn places(rule: &Rule, payload: (u32, u32)) -> Result<Places, Never> {
    let places = Places::of(rule, payload)?;
    let there: Vec<_> = rule
        .patterns
        .iter()
        .zip(&places.begins)
        .filter_map(|(pattern, begins)| Some((pattern, (*begins)?)))
        .collect();
    for (index, (one, begins)) in there.iter().enumerate() {
        for (other, others) in there.iter().skip(index + 1) {
            if begins.0 == begins.1 && others.0 == others.1 && clash(one, begins.0, other, others.0)
            {
                return Err(Never::Clash(one.to_string(), other.to_string()));
            }
        }
    }
    let negated = rule.patterns.iter().filter(|pattern| {
        let is_absolute = matches!(pattern.anchor, Anchor::Absolute { .. });
        pattern.negated && is_absolute && pattern.buffer == Buffer::Payload
    });
    for negated in negated {
        for (pattern, begins) in &there {
            let mut parts = places_in(negated, pattern);
            if parts.any(|at| is_in_place(negated, pattern, at, *begins)) {
                return Err(Never::Excluded(negated.to_string(), pattern.to_string()));
            }
        }
    }
    Ok(places)
}

/// Whether two patterns that begin at these bytes cannot both be there.
fn clash(one: &Pattern, one_at: i64, other: &Pattern, other_at: i64) -> bool {
    let byte = |pattern: &Pattern, begin: i64, at: i64| {
        let index = usize::try_from(at - begin).ok()?;
        pattern.bytes.get(index).copied()
    };
    let from = one_at.max(other_at);
    let behind = (one_at + len(one)).min(other_at + len(other));
    (from..behind).any(|at| {
        let bytes = (byte(one, one_at, at), byte(other, other_at, at));
        let (Some(one_byte), Some(other_byte)) = bytes else {
            return false;
        };
        if one.nocase || other.nocase {
            !one_byte.eq_ignore_ascii_case(&other_byte)
        } else {
            one_byte != other_byte
        }
    })
}
