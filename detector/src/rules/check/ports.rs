//! Groups of ports as they were compiled: which ports the same rules look at.

use std::{collections::BTreeMap, fmt::Write as _};

use detector_common::detect::signature::watch::{WatchList, port_slot};

use super::super::compile::{Range, Traffic};

/// The ports, both ends included, of one group.
pub(in crate::rules) struct PortGroup {
    pub(in crate::rules) number: u8,
    pub(in crate::rules) traffic: Traffic,
    pub(in crate::rules) ports: Vec<(u16, u16)>,
}

/// All groups that anybody watches.
pub(in crate::rules) fn groups(watch: &WatchList, icmp: u8) -> Vec<PortGroup> {
    let mut all = Vec::new();
    for (traffic, numbers) in [
        (Traffic::TcpTo, &watch.tcp_destination),
        (Traffic::TcpFrom, &watch.tcp_source),
        (Traffic::UdpTo, &watch.udp_destination),
        (Traffic::UdpFrom, &watch.udp_source),
    ] {
        let mut by_number: BTreeMap<u8, Vec<(u16, u16)>> = BTreeMap::new();
        for port in 0..=u16::MAX {
            let number = numbers.get(port_slot(port)).copied().unwrap_or_default();
            if number == 0 {
                continue;
            }
            let ports = by_number.entry(number).or_default();
            match ports.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(port) => *last = port,
                _ => ports.push((port, port)),
            }
        }
        all.extend(by_number.into_iter().map(|(number, ports)| PortGroup {
            number,
            traffic,
            ports,
        }));
    }
    if icmp != 0 {
        all.push(PortGroup {
            number: icmp,
            traffic: Traffic::Icmp,
            ports: vec![(0, u16::MAX)],
        });
    }
    all
}

impl PortGroup {
    /// Whether any of these ports is in the group. Then all are that are in no other group of this traffic.
    pub(in crate::rules) fn has_any(&self, ports: &[Range]) -> bool {
        self.ports.iter().any(|(first, last)| {
            let behind = ports.partition_point(|(_, end)| *end < u128::from(*first));
            ports
                .get(behind)
                .is_some_and(|(begin, _)| *begin <= u128::from(*last))
        })
    }

    /// The ports as a rule could say them.
    pub(in crate::rules) fn said(&self) -> String {
        let mut said = String::new();
        for (first, last) in &self.ports {
            if !said.is_empty() {
                said.push(',');
            }
            // Writing to a text does not fail.
            let _ = match (first, last) {
                (0, &u16::MAX) => write!(said, "any"),
                (first, &u16::MAX) => write!(said, "{first}:"),
                (first, last) if first == last => write!(said, "{first}"),
                (first, last) => write!(said, "{first}:{last}"),
            };
        }
        said
    }
}

/// What a traffic is called.
pub(in crate::rules) fn name(traffic: Traffic) -> &'static str {
    match traffic {
        Traffic::TcpTo => "tcp to",
        Traffic::TcpFrom => "tcp from",
        Traffic::UdpTo => "udp to",
        Traffic::UdpFrom => "udp from",
        Traffic::Icmp => "icmp",
    }
}
