//! What rules cost: for each group of ports how often its payloads are looked through, which rules are asked of every packet, and which
//! are to blame.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};

use detector_common::detect::signature::table::{Group, STRIDE};

use super::{
    super::{
        RuleSet,
        compile::{Ranges, Traffic, Variables, choose, stride, traffic, ways},
    },
    ports::{self, PortGroup},
};
use crate::tables::Tables;

/// The bytes of a full payload of TCP over Ethernet, for which costs are told.
pub const FULL_PAYLOAD: u16 = 1460;

/// What a packet of one group of ports costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupCost {
    /// `tcp to`, `tcp from`, `udp to`, `udp from` or `icmp`.
    pub traffic: &'static str,
    /// The ports, as a rule could say them.
    pub ports: String,
    /// How many rules look at them.
    pub rules: usize,
    /// At every how many bytes a window of the payload is looked at: 4, 2 or 1; 0 if no rule looks for a pattern.
    pub stride: usize,
    /// How many windows are looked at in a payload of [`FULL_PAYLOAD`] bytes.
    pub windows: u32,
    /// The rules for which they are looked at more often than at every fourth byte, the dearest first.
    pub dense: Vec<Blamed>,
    /// The rules that are asked of every packet, by index: they have no content of four bytes or more that must be in the payload.
    pub always: Vec<usize>,
}

/// A rule that makes others dearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blamed {
    /// Its index.
    pub rule: usize,
    /// At every how many bytes a window has to be looked at for it.
    pub stride: usize,
}

/// What the rules of `set` cost that compiled to `tables`: each group of ports, the dearest first.
#[must_use]
pub fn costs(set: &RuleSet, tables: &Tables, variables: &Variables) -> Vec<GroupCost> {
    let ([watch, _], [icmp, ..]) = (&tables.watch.lists, &tables.watch.icmp);
    let groups = ports::groups(watch, *icmp);
    let members = members(set, &groups, variables);
    let mut costs: Vec<_> = groups
        .iter()
        .map(|group| {
            let members = members.get(&group.number).map_or(&[][..], Vec::as_slice);
            cost(set, group, tables.filter.group(group.number), members)
        })
        .collect();
    costs.sort_by_key(|cost| Reverse((cost.windows, cost.always.len(), cost.rules)));
    costs
}

/// The rules that look at each group, by its number.
fn members(set: &RuleSet, groups: &[PortGroup], variables: &Variables) -> HashMap<u8, Vec<usize>> {
    let mut members: HashMap<u8, Vec<usize>> = HashMap::new();
    // Most rules name the same ports as others.
    let mut known: BTreeMap<(Traffic, Ranges), Vec<u8>> = BTreeMap::new();
    for (index, rule) in set.rules.iter().enumerate() {
        let ways = ways(rule, variables).unwrap_or_default();
        for way in &ways {
            let watched = traffic(
                rule.header.protocol,
                &way.destination_ports,
                &way.source_ports,
            );
            for (traffic, ports) in watched {
                let numbers = known
                    .entry((traffic, ports))
                    .or_insert_with_key(|(kind, ports)| {
                        let here = groups.iter().filter(|group| group.traffic == *kind);
                        here.filter(|group| group.has_any(ports))
                            .map(|group| group.number)
                            .collect()
                    });
                for number in numbers.iter() {
                    let members = members.entry(*number).or_default();
                    // The way back may be to the same ports.
                    if members.last() != Some(&index) {
                        members.push(index);
                    }
                }
            }
        }
    }
    members
}

fn cost(set: &RuleSet, ports: &PortGroup, group: Group, members: &[usize]) -> GroupCost {
    let (mut always, mut dense) = (Vec::new(), Vec::new());
    let mut stride_of_all = 0;
    for index in members {
        let Some(rule) = set.rules.get(*index) else {
            continue;
        };
        let stride = choose(rule).and_then(|choice| stride(rule, choice));
        match stride {
            None => always.push(*index),
            Some(stride) => {
                stride_of_all = if stride_of_all == 0 {
                    stride
                } else {
                    stride.min(stride_of_all)
                };
                if stride < STRIDE {
                    dense.push(Blamed {
                        rule: *index,
                        stride,
                    });
                }
            }
        }
    }
    dense.sort_by_key(|blamed| blamed.stride);
    let windows = |reach: u16| u32::from(reach.min(FULL_PAYLOAD)) / STRIDE as u32;
    GroupCost {
        traffic: ports::name(ports.traffic),
        ports: ports.said(),
        rules: members.len(),
        stride: stride_of_all,
        windows: windows(group.reach) + group.shifts.count_ones() * windows(group.dense_reach),
        dense,
        always,
    }
}
