//! Groups of ports: those that the same rules look at.

use std::collections::{BTreeMap, BTreeSet};

use detector_common::detect::signature::{
    table::{
        CLASSES, FilterTable, GROUPS_MAX, Group, LIST_LEN_MAX, LISTS_MAX, List, STRIDE, VERSION,
        WITHOUT_PAYLOAD,
    },
    watch::{WatchList, port_slot},
};

use super::{
    super::{header::Protocol, problem::Problem},
    grams::{Sign, VERSION_BYTES},
    ranges::Ranges,
};

/// Which packets, by the ports of one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::rules) enum Traffic {
    /// TCP segments to a port.
    TcpTo,
    /// TCP segments from one.
    TcpFrom,
    /// UDP datagrams to a port.
    UdpTo,
    /// UDP datagrams from one.
    UdpFrom,
    /// All of ICMP.
    Icmp,
}

/// A row, as far as groups are concerned.
pub(super) struct Member {
    pub(super) row: u16,
    pub(super) traffic: Traffic,
    pub(super) ports: Ranges,
    /// What the filter looks for; `None` if the rule is always asked.
    pub(super) sign: Option<Sign>,
    /// Whether it may match a packet without a payload.
    pub(super) without_payload: bool,
    /// Whether it asks something of requests.
    pub(super) of_requests: bool,
    /// Whether it asks something of their headers.
    pub(super) of_headers: bool,
}

/// What looks at which traffic, by protocol and by the ports that it names.
pub(in crate::rules) fn traffic(
    protocol: Protocol,
    to: &Ranges,
    from: &Ranges,
) -> Vec<(Traffic, Ranges)> {
    let all = || vec![(0, u128::from(u16::MAX))];
    let sided = |to_kind, from_kind| {
        if *to == all() && *from != all() {
            (from_kind, from.clone())
        } else {
            (to_kind, to.clone())
        }
    };
    match protocol {
        Protocol::Tcp => vec![sided(Traffic::TcpTo, Traffic::TcpFrom)],
        Protocol::Udp => vec![sided(Traffic::UdpTo, Traffic::UdpFrom)],
        Protocol::Icmp => vec![(Traffic::Icmp, all())],
        Protocol::Ip => vec![
            (Traffic::TcpTo, all()),
            (Traffic::UdpTo, all()),
            (Traffic::Icmp, all()),
        ],
    }
}

/// The groups of all members; gives the classes of traffic that each of so many patterns is looked for in.
pub(super) fn write(
    members: &[Member],
    patterns: usize,
    table: &mut FilterTable,
    lists: &mut [u16],
    watch: &mut WatchList,
    icmp: &mut u8,
) -> Result<Vec<u8>, Problem> {
    let mut classes = vec![0; patterns];
    let mut groups = Groups::default();
    for kind in [
        Traffic::TcpTo,
        Traffic::TcpFrom,
        Traffic::UdpTo,
        Traffic::UdpFrom,
        Traffic::Icmp,
    ] {
        let here: Vec<_> = members
            .iter()
            .filter(|member| member.traffic == kind)
            .collect();
        for (first, last, looking) in segments(&here) {
            let number = groups.of(&looking, &here)?;
            for port in first..=last {
                match kind {
                    Traffic::TcpTo => set(&mut watch.tcp_destination, port, number),
                    Traffic::TcpFrom => set(&mut watch.tcp_source, port, number),
                    Traffic::UdpTo => set(&mut watch.udp_destination, port, number),
                    Traffic::UdpFrom => set(&mut watch.udp_source, port, number),
                    Traffic::Icmp => *icmp = number,
                }
            }
        }
        groups.known.clear();
    }
    for (number, group) in &groups.made {
        if let Some(place) = table.groups.get_mut(usize::from(*number)) {
            *place = group.group;
        }
        for pattern in &group.patterns {
            if let Some(place) = classes.get_mut(usize::from(*pattern)) {
                *place |= group.group.classes;
            }
        }
    }
    if groups.lists.len() > LISTS_MAX {
        return Err(Problem::NoRoom("entries of lists of rules", LISTS_MAX));
    }
    for (place, row) in lists.iter_mut().zip(&groups.lists) {
        *place = *row;
    }
    Ok(classes)
}

fn set(groups: &mut [u8; 1 << 16], port: u16, number: u8) {
    if let Some(place) = groups.get_mut(port_slot(port)) {
        *place = number;
    }
}

/// Ports in order, both ends included, that the same members look at, by their indices.
fn segments(members: &[&Member]) -> Vec<(u16, u16, BTreeSet<usize>)> {
    let mut changes: BTreeMap<u32, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for (index, member) in members.iter().enumerate() {
        for (first, last) in &member.ports {
            changes.entry(*first as u32).or_default().0.push(index);
            changes.entry(*last as u32 + 1).or_default().1.push(index);
        }
    }
    let mut segments = Vec::new();
    let mut looking = BTreeSet::new();
    let mut before = 0;
    for (at, (begin, end)) in changes {
        if at > before && !looking.is_empty() {
            segments.push((before as u16, (at - 1) as u16, looking.clone()));
        }
        for index in end {
            looking.remove(&index);
        }
        looking.extend(begin);
        before = at;
    }
    segments
}

struct Made {
    group: Group,
    patterns: BTreeSet<u16>,
}

#[derive(Default)]
struct Groups {
    /// By number.
    made: BTreeMap<u8, Made>,
    /// The numbers of the groups of one kind of traffic, by who looks.
    known: BTreeMap<BTreeSet<usize>, u8>,
    lists: Vec<u16>,
}

impl Groups {
    /// The number of the group at which these members look.
    fn of(&mut self, looking: &BTreeSet<usize>, members: &[&Member]) -> Result<u8, Problem> {
        if let Some(number) = self.known.get(looking) {
            return Ok(*number);
        }
        let looking_members = || looking.iter().filter_map(|index| members.get(*index));
        let always: BTreeSet<u16> = looking_members()
            .filter(|member| member.sign.is_none())
            .map(|member| member.row)
            .collect();
        if always.len() > LIST_LEN_MAX as usize {
            return Err(Problem::NoRoom(
                "rules without a content of four bytes or more that look at the same port",
                LIST_LEN_MAX as usize,
            ));
        }
        let without_payload = looking_members().any(|member| member.without_payload);
        let offset = if without_payload { WITHOUT_PAYLOAD } else { 1 };
        let end = if without_payload {
            GROUPS_MAX
        } else {
            usize::from(WITHOUT_PAYLOAD)
        };
        let number = (offset..)
            .take(end - usize::from(offset))
            .find(|number| !self.made.contains_key(number));
        let number = number.ok_or(Problem::NoRoom(
            "different lists of ports, of rules with and of rules without contents each",
            usize::from(WITHOUT_PAYLOAD) - 1,
        ))?;
        let first = self.lists.len();
        let len = always.len();
        self.lists.extend(always);
        let signs = || looking_members().filter_map(|member| member.sign);
        let of_requests = looking_members().any(|member| member.of_requests);
        let of_headers = looking_members().any(|member| member.of_headers);
        let reach = if of_requests {
            u16::MAX
        } else {
            signs().map(|sign| sign.reach).max().unwrap_or_default()
        };
        // The first groups have a class of their own, the others share the last one.
        let class = (self.made.len() as u32).min(CLASSES - 1);
        let classes = if of_requests || signs().next().is_some() {
            1 << class
        } else {
            0
        };
        self.made.insert(
            number,
            Made {
                group: Group {
                    always: List {
                        first: first as u16,
                        len: len as u16,
                    },
                    reach,
                    classes,
                    // Half-way for every second byte, and all for every one.
                    shifts: match signs().map(|sign| sign.stride).min() {
                        Some(1) => 0b1110,
                        Some(2) => 0b0100,
                        _ => 0,
                    },
                    dense_reach: signs()
                        .filter(|sign| sign.stride < STRIDE)
                        .map(|sign| sign.reach)
                        .max()
                        .unwrap_or_default(),
                    requests: (u8::from(of_requests) * Group::REQUESTS)
                        | (u8::from(of_headers) * Group::HEADERS),
                    longest: signs()
                        .map(|sign| sign.len)
                        .chain(of_requests.then_some(VERSION_BYTES.len() as u8))
                        .max()
                        .unwrap_or_default(),
                },
                patterns: signs()
                    .map(|sign| sign.pattern)
                    .chain(of_requests.then_some(VERSION))
                    .collect(),
            },
        );
        self.known.insert(looking.clone(), number);
        Ok(number)
    }
}
