//! The values that the fields of a packet may have where all holds that a way of a rule asks of its headers.

use std::collections::BTreeMap;

use detector_common::detect::signature::table::{Field, protocol};

use super::super::compile::{Ranges, Stage, complement, merged};

/// The values of each field that is asked for.
#[derive(Default)]
pub(super) struct Fields {
    /// By number.
    values: BTreeMap<u8, (Field, Ranges)>,
    /// Of IPv4 options there must be one of each of these masks.
    options: Vec<u32>,
}

impl Fields {
    /// What these stages leave.
    pub(super) fn of(stages: &[Stage<'_>]) -> Self {
        let mut fields = Self::default();
        for stage in stages {
            if let Stage::Field {
                field,
                mask,
                ranges,
                negated,
            } = stage
            {
                if *field == Field::IpOptions {
                    fields.options.push(*mask);
                } else {
                    fields.narrow(*field, &values(*field, *mask, ranges, *negated));
                }
            }
        }
        // Only TCP has flags: of another protocol they are zero.
        let not_tcp = |(_, protocols): &(Field, Ranges)| {
            !protocols
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&u128::from(protocol::TCP)))
        };
        let is_not_tcp = fields
            .values
            .get(&(Field::Protocol as u8))
            .is_some_and(not_tcp);
        if is_not_tcp && fields.values.contains_key(&(Field::TcpFlags as u8)) {
            fields.narrow(Field::TcpFlags, &vec![(0, 0)]);
        }
        fields
    }

    fn narrow(&mut self, field: Field, allowed: &Ranges) {
        let (_, values) = self
            .values
            .entry(field as u8)
            .or_insert_with(|| (field, domain(field)));
        *values = intersection(values, allowed);
    }

    /// A field that can have no value.
    pub(super) fn impossible(&self) -> Option<Field> {
        let mut fields = self.values.values();
        fields
            .find(|(_, values)| values.is_empty())
            .map(|(field, _)| *field)
    }

    /// Whether only a packet of IPv4 can have them.
    pub(super) fn are_of_ipv4(&self) -> bool {
        !self.options.is_empty() || self.values.contains_key(&(Field::Identification as u8))
    }

    /// The least and the greatest length of a payload.
    pub(super) fn payload(&self) -> (u32, u32) {
        let lens = self.values.get(&(Field::PayloadLen as u8));
        let ends = lens.and_then(|(_, lens)| {
            let ((first, _), (_, last)) = (lens.first()?, lens.last()?);
            Some((*first as u32, *last as u32))
        });
        ends.unwrap_or((0, u32::from(u16::MAX)))
    }

    /// Whether every packet that is as `other` says is as this says.
    pub(super) fn include(&self, other: &Self) -> bool {
        self.options.iter().all(|mask| other.options.contains(mask))
            && self.values.iter().all(|(number, (_, values))| {
                let others = other.values.get(number);
                others.is_some_and(|(_, others)| is_within(others, values))
            })
    }
}

/// Every value that a field may have.
fn domain(field: Field) -> Ranges {
    let last = match field {
        Field::Protocol | Field::FragmentBits => 7,
        Field::Traits => 15,
        Field::TcpFlags
        | Field::IcmpType
        | Field::IcmpCode
        | Field::TimeToLive
        | Field::IpProtocol => 255,
        // What is not IPv4 has none, nor have all messages.
        Field::Identification | Field::IcmpId | Field::IcmpSequence => {
            return vec![(0, 0xffff), (u32::MAX.into(), u32::MAX.into())];
        }
        Field::SourcePort | Field::DestinationPort | Field::PayloadLen | Field::Window => 0xffff,
        Field::IpOptions | Field::Acknowledgement | Field::Sequence => u32::MAX.into(),
    };
    vec![(0, last)]
}

/// The values that are, under a mask, in one of these ranges, or in none.
fn values(field: Field, mask: u32, ranges: &[(u32, u32)], negated: bool) -> Ranges {
    let wide = |(first, last): &(u32, u32)| (u128::from(*first), u128::from(*last));
    let inside = if mask == u32::MAX {
        merged(ranges.iter().map(wide).collect())
    } else {
        // Fields of bits are small.
        let all = domain(field)
            .into_iter()
            .flat_map(|(first, last)| first..=last);
        let is_inside = |value: &u128| {
            let value = *value as u32 & mask;
            ranges
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&value))
        };
        merged(all.filter(is_inside).map(|value| (value, value)).collect())
    };
    if negated {
        complement(&inside, u32::MAX.into())
    } else {
        inside
    }
}

/// What is in both.
fn intersection(one: &Ranges, other: &Ranges) -> Ranges {
    const MAX: u128 = u128::MAX;
    let mut outside = complement(one, MAX);
    outside.extend(complement(other, MAX));
    complement(&merged(outside), MAX)
}

/// Whether all of `inner` is in `outer`.
pub(super) fn is_within(inner: &Ranges, outer: &Ranges) -> bool {
    inner.iter().all(|(first, last)| {
        // In order, so the only one that can hold it is the last that begins before it.
        let behind = outer.partition_point(|(begin, _)| begin <= first);
        let before = behind.checked_sub(1).and_then(|index| outer.get(index));
        before.is_some_and(|(_, end)| last <= end)
    })
}
