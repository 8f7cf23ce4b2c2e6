//! Rules that are never the finding, because another one matches whatever they match and goes before them.
//!
//! What is compared is what rules ask, not every packet there is: of a rule that is not told here nothing is proven. Each rule is
//! compared only with those that may be such: their rarest four bytes are in its patterns, or they are asked of every packet of its port.

use std::collections::{BTreeSet, HashMap};

use detector_common::detect::signature::{
    table::{Action as Verdict, List, WINDOW},
    watch::port_slot,
};

use super::{
    super::{
        compile::{Turn, turn},
        flowbits::FlowBit,
        header::Protocol,
        pattern::{Anchor, Buffer, Pattern},
        rule::{Rule, Test},
        threshold::Threshold,
    },
    Asked, AskedWay,
    fields::is_within,
    places::{is_in_place, len, places_in},
};
use crate::tables::Tables;

/// The most work of all comparisons: some seconds.
const WORK_MAX: usize = 10_000_000;
/// A comparison of rules that have together so many pairs of bytes to compare is work of its own; that of shorter ones is one.
const PAIRS: usize = 1024;
/// Later than any byte of a payload.
const FAR: i64 = 1 << 32;

/// The rules that are shadowed and by which one, by index; and how many were not compared with all others.
pub(super) fn shadowed(rules: &[Asked<'_>], tables: &Tables) -> (Vec<(usize, usize)>, usize) {
    let index = Index::of(rules, tables);
    let mut shadowed = Vec::new();
    let mut room = WORK_MAX;
    for (done, rule) in rules.iter().enumerate() {
        // Its finding is told besides those of others, and keeps none from being told.
        if rule.rule.is_partial() {
            continue;
        }
        let mut first: Option<&Asked<'_>> = None;
        let candidates = index.candidates(rule, tables);
        for candidate in candidates.iter().filter_map(|place| rules.get(*place)) {
            // Only one that goes before all that were found.
            if candidate.rule.is_partial() || order(candidate) >= order(first.unwrap_or(rule)) {
                continue;
            }
            let Some(rest) = room.checked_sub(1 + bytes(candidate) * bytes(rule) / PAIRS) else {
                return (shadowed, rules.len() - done);
            };
            room = rest;
            if covers(candidate, rule) {
                first = Some(candidate);
            }
        }
        shadowed.extend(first.map(|first| (rule.index, first.index)));
    }
    (shadowed, 0)
}

/// The bytes of all patterns of a rule.
fn bytes(asked: &Asked<'_>) -> usize {
    let patterns = asked.rule.patterns.iter();
    patterns.map(|pattern| pattern.bytes.len()).sum()
}

/// Of two rules that match, the lesser is the finding.
fn order(asked: &Asked<'_>) -> ((Verdict, Turn), usize) {
    (turn(asked.rule), asked.index)
}

/// Where rules are found that may go before another.
struct Index {
    /// Those that look for a pattern of four bytes or more, by the rarest four bytes of it, which are in every pattern that it is in.
    by_gram: HashMap<[u8; WINDOW], Vec<usize>>,
    /// Those that are counted in a slot.
    by_slot: HashMap<u16, usize>,
}

impl Index {
    fn of(rules: &[Asked<'_>], tables: &Tables) -> Self {
        let mut frequency: HashMap<[u8; WINDOW], u32> = HashMap::new();
        for rule in rules {
            for gram in grams(rule.rule) {
                *frequency.entry(gram).or_default() += 1;
            }
        }
        let mut index = Self {
            by_gram: HashMap::new(),
            by_slot: HashMap::new(),
        };
        for (place, rule) in rules.iter().enumerate() {
            let rarest = grams(rule.rule)
                .into_iter()
                .min_by_key(|gram| frequency.get(gram).copied());
            if let Some(gram) = rarest {
                index.by_gram.entry(gram).or_default().push(place);
            }
            if let Some(slot) = tables.book.slot(rule.rule) {
                index.by_slot.insert(slot, place);
            }
        }
        index
    }

    fn candidates(&self, rule: &Asked<'_>, tables: &Tables) -> BTreeSet<usize> {
        let grams = grams(rule.rule).into_iter();
        let mut found: BTreeSet<usize> = grams
            .filter_map(|gram| self.by_gram.get(&gram))
            .flatten()
            .copied()
            .collect();
        for list in always(rule, tables) {
            let from = usize::from(list.first);
            let rows = tables.rules.lists.get(from..from + usize::from(list.len));
            let slots = rows.unwrap_or_default().iter();
            let slots = slots.map(|row| tables.rules.row(u32::from(*row)).slot);
            found.extend(slots.filter_map(|slot| self.by_slot.get(&slot)));
        }
        found
    }
}

/// The windows of the patterns that must be there, letters as small ones.
fn grams(rule: &Rule) -> BTreeSet<[u8; WINDOW]> {
    let there = rule.patterns.iter();
    let there = there.filter(|pattern| !pattern.negated);
    there
        .flat_map(|pattern| {
            let lower = pattern.bytes.to_ascii_lowercase();
            let windows = lower.windows(WINDOW);
            let windows = windows.filter_map(|window| window.try_into().ok());
            windows.collect::<Vec<_>>()
        })
        .collect()
}

/// The rules that are asked of every packet between one of its source ports and one of its destination ports: who goes before it
/// without a pattern is among them.
fn always(rule: &Asked<'_>, tables: &Tables) -> [List; 2] {
    let [watch, _] = &tables.watch.lists;
    let [icmp, ..] = tables.watch.icmp;
    let ports = rule.ways.first().and_then(|AskedWay { way, .. }| {
        let (to, _) = way.destination_ports.first()?;
        let (from, _) = way.source_ports.first()?;
        Some((*to as u16, *from as u16))
    });
    let (to, from) = ports.unwrap_or_default();
    let of = |numbers: &[u8], port| numbers.get(port_slot(port)).copied().unwrap_or_default();
    let groups = match rule.rule.header.protocol {
        Protocol::Tcp | Protocol::Ip => {
            [of(&watch.tcp_destination, to), of(&watch.tcp_source, from)]
        }
        Protocol::Udp => [of(&watch.udp_destination, to), of(&watch.udp_source, from)],
        Protocol::Icmp => [icmp, 0],
    };
    groups.map(|group| tables.filter.group(group).always)
}

/// Whether every packet that matches `inner` matches `outer`.
fn covers(outer: &Asked<'_>, inner: &Asked<'_>) -> bool {
    // What is to hold several times may not match yet, and what asks for bits perhaps never; what is silent is the finding where nothing else is.
    !outer.rule.threshold.is_some_and(Threshold::is_awaited)
        && !outer.rule.flow_bits.iter().any(FlowBit::asks)
        && !outer.rule.is_silent
        && !inner.rule.is_silent
        && inner
            .ways
            .iter()
            .all(|inner| outer.ways.iter().any(|outer| way_covers(outer, inner)))
        && patterns_cover(outer.rule, inner)
}

fn way_covers(outer: &AskedWay, inner: &AskedWay) -> bool {
    outer.fields.include(&inner.fields)
        && is_within(&inner.way.source, &outer.way.source)
        && is_within(&inner.way.destination, &outer.way.destination)
}

/// Whether the patterns of `outer` are all there, or not there, where those of `inner` are.
fn patterns_cover(outer: &Rule, inner: &Asked<'_>) -> bool {
    // Which pattern of the inner rule each one of the outer is, as far as something counts from it.
    let mut same: Vec<Option<usize>> = Vec::new();
    for (number, pattern) in outer.patterns.iter().enumerate() {
        let is_free = matches!(pattern.anchor, Anchor::Absolute { .. })
            && pattern.buffer == Buffer::Payload
            && pattern.jump.is_none()
            && !is_counted_from(outer, number);
        if is_free {
            same.push(None);
            if !is_implied(pattern, inner) {
                return false;
            }
        } else {
            let others = &inner.rule.patterns;
            let found = others
                .iter()
                .position(|other| is_same(pattern, other, &same));
            same.push(found);
            if found.is_none() {
                return false;
            }
        }
    }
    outer.tests.iter().all(|test| match *test {
        Test::DataAt {
            buffer: Buffer::Payload,
            bytes,
            after: None,
            negated: false,
        } if i64::from(bytes) <= inner.places.shortest => true,
        Test::DataAt {
            buffer,
            bytes,
            after,
            negated,
        } => {
            let after = after.map(|after| same.get(after).copied().flatten());
            // It counts from a pattern that is none of the inner rule's.
            if after == Some(None) {
                return false;
            }
            let wanted = Test::DataAt {
                buffer,
                bytes,
                after: after.flatten(),
                negated,
            };
            inner.rule.tests.contains(&wanted)
        }
        // Whether one number is so where another one is, is not looked at.
        Test::ByteTest(_) => false,
        // Fields, which are compared as such.
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
        | Test::FragmentBits(_)
        | Test::Trait(_) => true,
    })
}

/// Whether the place of something else counts from the pattern of this number.
fn is_counted_from(rule: &Rule, number: usize) -> bool {
    let by_pattern = |pattern: &Pattern| pattern.after() == Some(number);
    let by_test = |test: &Test| test.after() == Some(number);
    rule.patterns.iter().any(by_pattern) || rule.tests.iter().any(by_test)
}

/// Whether a pattern with a place of its own is as it must be wherever the inner rule matches.
fn is_implied(pattern: &Pattern, inner: &Asked<'_>) -> bool {
    let others = inner.rule.patterns.iter().zip(&inner.places.begins);
    let mut others = others
        .filter(|(other, _)| other.negated == pattern.negated && other.buffer == Buffer::Payload);
    if !pattern.negated {
        return others.any(|(other, begins)| {
            begins.is_some_and(|begins| {
                places_in(pattern, other).any(|at| is_in_place(pattern, other, at, begins))
            })
        });
    }
    // What is not there is no part of anything.
    let Anchor::Absolute { offset, depth } = pattern.anchor else {
        return false;
    };
    let first = i64::from(offset);
    let last = depth.map_or(FAR, |depth| first + i64::from(depth) - len(pattern));
    others.any(|(other, _)| {
        places_in(other, pattern).any(|at| is_in_place(other, pattern, at, (first, last)))
    })
}

/// Whether two patterns are the same, and at the same place from the same pattern.
fn is_same(pattern: &Pattern, other: &Pattern, same: &[Option<usize>]) -> bool {
    let anchor = match pattern.anchor {
        Anchor::Relative {
            after: Some(after),
            distance,
            within,
        } => match same.get(after).copied().flatten() {
            Some(after) => Anchor::Relative {
                after: Some(after),
                distance,
                within,
            },
            None => return false,
        },
        anchor @ (Anchor::Relative { after: None, .. } | Anchor::Absolute { .. }) => anchor,
    };
    let moved = Pattern {
        anchor,
        ..pattern.clone()
    };
    moved == *other
}
