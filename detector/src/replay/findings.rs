//! What a replay found: one finding for each source under each detector, however many packets it sent.

use std::collections::{HashMap, hash_map::Entry};

use detector_common::{
    event::{Event, Reach},
    sources::{Companion, SourceKey},
    verdict::Verdict,
};
use serde::Serialize;

use crate::{
    output::{Identity, Time, Tried, speaks_for_several, targets},
    rules::Book,
};

/// The most findings that are kept of one capture, about 40 MB: a worm with forged senders has one for every packet.
pub const FINDINGS_MAX: usize = 100_000;

/// Findings by source and detector.
#[derive(Debug, Default)]
pub struct Findings {
    found: HashMap<SourceKey, Found>,
    /// Flagged packets of sources for which there was no room.
    omitted: u64,
}

/// What was found of one source under one detector. Times are nanoseconds of the capture's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Flagged packets.
    pub count: u64,
    /// Those that were dropped.
    pub dropped: u64,
    /// The first of them.
    pub first_ns: u64,
    /// The last of them.
    pub last_ns: u64,
    /// The address of the other layer that came with the source last.
    pub companion: Companion,
    /// How widely it reached at its widest.
    pub reach: Reach,
}

/// A finding as it is told.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FoundAt {
    /// The number of the interface in the capture, 0 in pcap; 15 is that one and all behind it.
    pub interface: u8,
    /// What and at whom.
    #[serde(flatten)]
    pub identity: Identity,
    /// Flagged packets.
    pub count: u64,
    /// Different addresses that an ARP sweep asked for, or hosts that a scan tried, about; `null` for another detector.
    pub targets: Option<u32>,
    /// What became of the hosts that a scan tried; `null` for another detector.
    pub tried: Option<Tried>,
    /// Whether an ARP sender speaks for several networks: a router, whom somebody behind it makes ask.
    pub relayed_by_gateway: bool,
    /// Those that were dropped.
    pub dropped: u64,
    /// When the first of them was captured.
    pub first: Time,
    /// When the last of them was captured.
    pub last: Time,
}

impl Findings {
    /// Takes in the finding of one packet.
    pub(super) fn add(&mut self, event: &Event) {
        let is_full = self.found.len() >= FINDINGS_MAX;
        let found = match self.found.entry(event.key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(_) if is_full => {
                self.omitted += 1;
                return;
            }
            Entry::Vacant(entry) => entry.insert(Found {
                count: 0,
                dropped: 0,
                first_ns: event.at_ns,
                last_ns: event.at_ns,
                companion: event.companion,
                reach: event.reach,
            }),
        };
        found.count += 1;
        found.dropped += u64::from(event.verdict() == Verdict::DROP);
        // The packets of a capture need not be in order.
        found.first_ns = found.first_ns.min(event.at_ns);
        found.last_ns = found.last_ns.max(event.at_ns);
        found.companion = event.companion;
        found.reach.networks |= event.reach.networks;
        if event.reach.targets_ones >= found.reach.targets_ones {
            found.reach.targets_ones = event.reach.targets_ones;
            found.reach.outcome = event.reach.outcome;
        }
    }

    /// The findings, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&SourceKey, &Found)> {
        self.found.iter()
    }

    /// Flagged packets of sources for which there was no room.
    #[must_use]
    pub fn omitted(&self) -> u64 {
        self.omitted
    }

    /// The findings as they are told, the earliest first.
    pub(super) fn told(&self, book: &Book) -> Vec<FoundAt> {
        let told = |(key, found): (&SourceKey, &Found)| {
            Some(FoundAt {
                interface: key.interface(),
                identity: Identity::of(key, found.companion, book)?,
                count: found.count,
                targets: targets(key.detector(), found.reach),
                tried: Tried::of(key.detector(), found.reach),
                relayed_by_gateway: speaks_for_several(found.reach),
                dropped: found.dropped,
                first: Time(found.first_ns),
                last: Time(found.last_ns),
            })
        };
        let mut all: Vec<_> = self.iter().filter_map(told).collect();
        all.sort_by(|one, other| {
            let order = |found: &FoundAt| (found.first, found.interface);
            order(one)
                .cmp(&order(other))
                .then_with(|| one.identity.cmp(&other.identity))
        });
        all
    }
}

#[cfg(test)]
mod tests {
    use detector_common::{
        event::{Head, Target},
        net::{IpAddress, MacAddress, Vlan},
        proof::Proof,
        reason::Reason,
        verdict::Decision,
    };

    use super::*;

    fn event(host: u32, at_ns: u64, verdict: Verdict) -> Event {
        let address = IpAddress::v4(host.to_be_bytes());
        Event {
            head: Head::new(
                Decision {
                    reason: Reason::Signature,
                    verdict,
                },
                60,
            ),
            at_ns,
            key: SourceKey::of_host(40, 0, Vlan::default(), address),
            companion: Companion::mac(MacAddress::new([2; 6])),
            target: Target::of_arp(address),
            count: 1,
            reach: Reach::default(),
            proof: Proof::SPOOFABLE,
        }
    }

    #[test]
    fn a_finding_counts_its_packets_whatever_their_order_and_the_earliest_is_told_first() {
        let mut findings = Findings::default();
        for (host, at_ns, verdict) in [
            (2, 5, Verdict::PASS),
            (2, 3, Verdict::DROP),
            (2, 9, Verdict::DROP),
            (1, 4, Verdict::PASS),
        ] {
            findings.add(&event(host, at_ns, verdict));
        }
        let told: Vec<_> = findings
            .told(&Book::default())
            .into_iter()
            .map(|found| (found.count, found.dropped, found.first, found.last))
            .collect();
        assert_eq!(told, [(3, 2, Time(3), Time(9)), (1, 0, Time(4), Time(4))]);
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut findings = Findings::default();
        let full = u32::try_from(FINDINGS_MAX).unwrap();
        for host in 0..full + 3 {
            findings.add(&event(host, 0, Verdict::PASS));
        }
        findings.add(&event(0, 0, Verdict::PASS));
        assert_eq!(
            (findings.found.len(), findings.omitted()),
            (FINDINGS_MAX, 3)
        );
    }
}
