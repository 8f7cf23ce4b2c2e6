//! Who did something, and all that each did, in the order it was first seen: the answer to `detector offenders`.

use std::{borrow::Cow, cmp::Reverse, collections::BTreeMap};

use detector_common::detect::Detector;
use serde::Serialize;

use super::{
    interface::Side,
    stats::{SourceStats, Stats},
};
use crate::output::{SCHEMA_VERSION, Source, Time, Tried};

/// Everybody a detector objected to. `detector offenders -o json` prints it, and its keys are stable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Offenders {
    /// The version of this object.
    pub schema_version: u32,
    /// When the agent was asked.
    pub time: Time,
    /// Hosts of ours that are infected first, then by what they did most.
    pub offenders: Vec<Offender>,
    /// Sources that the agent does not list, because there are too many.
    pub left_out: u64,
}

/// One of them: a host by its IP address, else an ARP sender by its MAC, on one interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Offender {
    /// The interface it came in by.
    pub interface: String,
    /// Which way that faces.
    pub side: Side,
    /// Who it is.
    pub source: Source,
    /// Whether it is a host of ours that sent a worm or scanned.
    pub infected: bool,
    /// Packets that were dropped.
    pub dropped: u64,
    /// When the first and the last of its packets came.
    pub first: Time,
    /// When the last came.
    pub last: Time,
    /// What it did, in the order it was first seen.
    pub findings: Vec<Did>,
}

/// What an offender did under one detector, or one signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Did {
    /// Which detector.
    pub detector: Cow<'static, str>,
    /// The name of the signature; `null` for another detector.
    pub signature: Option<Cow<'static, str>>,
    /// What a match of it means.
    pub severity: Option<Cow<'static, str>>,
    /// Packets that the detector objected to.
    pub packets: u64,
    /// Those that were dropped.
    pub dropped: u64,
    /// Addresses asked for or hosts tried, about; `null` for another detector.
    pub targets: Option<u32>,
    /// What became of the hosts that a scan tried.
    pub tried: Option<Tried>,
    /// When the first packet came.
    pub first: Time,
    /// When the last came.
    pub last: Time,
}

impl Offenders {
    /// Those of `stats` on one side, or on both, who did something at `since` or later.
    #[must_use]
    pub fn of(stats: &Stats, side: Option<Side>, since: Option<Time>) -> Self {
        let mut offenders: BTreeMap<_, Offender> = BTreeMap::new();
        let wanted = stats.sources.iter().filter(|source| {
            side.is_none_or(|side| source.side == side)
                && since.is_none_or(|since| source.last >= since)
        });
        for source in wanted {
            let who = &source.identity.source;
            let mac = if who.ip.is_some() { None } else { who.mac };
            let key = (source.interface.clone(), who.vlan.clone(), who.ip, mac);
            let offender = offenders.entry(key).or_insert_with(|| Offender {
                interface: source.interface.clone(),
                side: source.side,
                source: who.clone(),
                infected: false,
                dropped: 0,
                first: source.first,
                last: source.last,
                findings: Vec::new(),
            });
            offender.add(source);
        }
        let mut offenders: Vec<_> = offenders.into_values().collect();
        for offender in &mut offenders {
            offender.findings.sort_by_key(|did| did.first);
        }
        let worst = |offender: &Offender| {
            let packets = offender.findings.iter().map(|did| did.packets);
            packets.fold(0, u64::saturating_add)
        };
        offenders.sort_by_key(|offender| (Reverse(offender.infected), Reverse(worst(offender))));
        Self {
            schema_version: SCHEMA_VERSION,
            time: stats.time,
            offenders,
            left_out: stats.sources_left_out,
        }
    }
}

impl Offender {
    fn add(&mut self, source: &SourceStats) {
        let identity = &source.identity;
        self.infected |= source.side == Side::Lan && is_infection(&identity.detector);
        self.dropped = self.dropped.saturating_add(source.dropped);
        self.first = self.first.min(source.first);
        self.last = self.last.max(source.last);
        if self.source.mac.is_none() {
            self.source.mac = identity.source.mac;
        }
        self.findings.push(Did {
            detector: identity.detector.clone(),
            signature: identity.signature.clone(),
            severity: identity.severity.clone(),
            packets: source.flagged,
            dropped: source.dropped,
            targets: source.targets,
            tried: source.tried,
            first: source.first,
            last: source.last,
        });
    }
}

impl Did {
    /// The name of the signature, else of the detector.
    #[must_use]
    pub fn name(&self) -> &str {
        self.signature.as_deref().unwrap_or(&self.detector)
    }
}

/// Whether a host of ours that does this is infected.
pub(super) fn is_infection(detector: &str) -> bool {
    [
        Detector::Signature,
        Detector::Scan,
        Detector::UdpSweep,
        Detector::IcmpSweep,
    ]
    .into_iter()
    .any(|infection| infection.name() == detector)
}

#[cfg(test)]
mod tests {
    use detector_common::{
        net::{IpAddress, MacAddress, Vlan},
        sources::{Companion, SourceKey},
    };

    use super::*;
    use crate::{
        agent::stats::{EventStats, EvidenceStats, TableStats},
        output::Identity,
        rules::{Book, worms},
    };

    const MAC: MacAddress = MacAddress::new([2, 0, 0, 0, 0, 9]);

    fn source(key: &SourceKey, companion: Companion, side: Side, at: u64) -> SourceStats {
        SourceStats {
            interface: side.to_string(),
            side,
            identity: Identity::of(key, companion, &Book::of(&worms().rules, &Book::default()))
                .unwrap(),
            packets: 9,
            bytes: 540,
            flagged: at,
            dropped: 1,
            targets: None,
            tried: None,
            first: Time(at),
            last: Time(at + 5),
        }
    }

    fn stats() -> Stats {
        let host = IpAddress::v4([192, 0, 2, 66]);
        let vlan = Vlan::default();
        let scanner = SourceKey::of_scanner(Detector::Scan, 23, 0, vlan, host);
        let worm = SourceKey::of_host(40, 0, vlan, host);
        let sender = SourceKey::of_sender(0, vlan, MAC);
        Stats {
            schema_version: SCHEMA_VERSION,
            time: Time(100),
            uptime_s: 1,
            interfaces: Vec::new(),
            counters: Vec::new(),
            signatures: Vec::new(),
            sources: vec![
                source(
                    &sender,
                    Companion::ip(IpAddress::v4([192, 0, 2, 1])),
                    Side::Wan,
                    90,
                ),
                source(&worm, Companion::mac(MAC), Side::Lan, 30),
                source(&scanner, Companion::mac(MAC), Side::Lan, 10),
                source(&sender, Companion::ip(host), Side::Lan, 20),
            ],
            sources_left_out: 3,
            evidence: EvidenceStats::default(),
            events: EventStats::default(),
            table: TableStats::default(),
        }
    }

    #[test]
    fn an_infected_host_comes_first_with_all_it_did_in_the_order_it_was_seen() {
        let all = Offenders::of(&stats(), None, None);
        assert_eq!((all.offenders.len(), all.left_out), (2, 3));
        let host = &all.offenders[0];
        let did: Vec<_> = host.findings.iter().map(Did::name).collect();
        assert_eq!(did, ["scan", "arp_flood", "sql-slammer"]);
        assert!(host.infected && !all.offenders[1].infected);
        assert_eq!(
            (host.dropped, host.first, host.last),
            (3, Time(10), Time(35))
        );
    }

    #[test]
    fn a_side_and_a_time_narrow_it_down() {
        let of = |side, since| Offenders::of(&stats(), side, since).offenders.len();
        assert_eq!(of(Some(Side::Wan), None), 1);
        assert_eq!(of(None, Some(Time(95))), 1);
        assert_eq!(of(Some(Side::Lan), Some(Time(96))), 0);
    }
}
