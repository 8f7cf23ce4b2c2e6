//! The classifier over a sequence of packets, with time passing between them, under a configuration of any kind.
//!
//! The input begins with four bytes for the configuration; [`Input`] has the rest. Both runtimes of the host take each
//! packet, the replay's the long way and the kernel's model the short one, and what they count must add up by laws that stand on their own.

use std::{cell::RefCell, collections::BTreeMap};

use detector::{
    replay::runtime::Replay,
    tables::{HashSeed, Tables},
};
use detector_common::{
    abi::{Tally, segment_index},
    config::{Config, Mode, Policy},
    detect::{Detector, signature::table::RULES_MAX},
    event::Event,
    packet::{Frame, PacketBytes as _},
    parse::{Network, Packet, parse},
    reason::Reason,
    token_bucket::Limit,
    verdict::{Decision, Verdict},
};

use crate::{fixtures::HTTP_PORTS, oracle::HostMaps};

const SLOTS: u32 = 2;
const SECOND_NS: u64 = 1_000_000_000;
const POLICIES: [Policy; 5] = [
    Policy::Off,
    Policy::Count,
    Policy::Alert,
    Policy::Drop,
    Policy::Limit,
];
/// Requests per second, and at once.
const RATES: [(u32, u32); 4] = [(1, 1), (15, 30), (40, 5), (1_000_000, 1_000_000)];

/// A sequence of packets: each is passed where it must be, counted once, and limited to its rate.
///
/// # Panics
///
/// If that is not so.
pub fn classifier(input: &[u8]) {
    thread_local! {
        static TABLES: RefCell<Tables> = RefCell::new(
            Tables::of_worms(Config::DEFAULT, HashSeed::FIXED, &HTTP_PORTS),
        );
    }
    let Some((&choices, packets)) = input.split_first_chunk() else {
        return;
    };
    TABLES.with_borrow_mut(|tables| {
        let rules = Rules::of(choices);
        tables.config = rules.config;
        run(&rules, tables, Input { rest: packets });
    });
}

/// A configuration, in words that the classifier does not share.
struct Rules {
    config: Config,
    mode: Mode,
    signature: Policy,
    arp_flood: Policy,
    segment_rate: (u32, u32),
}

impl Rules {
    fn of([mode, policies, rates, interval]: [u8; 4]) -> Self {
        let mode = [Mode::Monitor, Mode::Enforce][usize::from(mode & 1)];
        let policy = |number: u8| POLICIES[usize::from(number) % POLICIES.len()];
        let (signature, arp_flood) = (policy(policies & 0x0f), policy(policies >> 4));
        let rate = |number: u8| RATES[usize::from(number) % RATES.len()];
        let (sender, segment) = (rate(rates & 0x0f), rate(rates >> 4));
        let mut config = Config::DEFAULT
            .with_mode(mode)
            .with_policy(Detector::Signature, signature)
            .with_policy(Detector::ArpFlood, arp_flood);
        let limit = |(rate, burst): (u32, u32)| {
            Limit::new(burst, u64::from(burst) * SECOND_NS / u64::from(rate))
        };
        config.arp_sender = limit(sender);
        config.arp_segment = limit(segment);
        config.report_interval_ns = u64::from(interval) * 50_000_000;
        Self {
            config,
            mode,
            signature,
            arp_flood,
            segment_rate: segment,
        }
    }

    /// Whether this may become of a packet.
    fn allow(&self, Decision { reason, verdict }: Decision) -> bool {
        let policy = if reason == Reason::Signature {
            self.signature
        } else if matches!(
            reason,
            Reason::ArpFlood | Reason::ArpFloodSegment | Reason::ArpReplyFlood
        ) {
            self.arp_flood
        } else {
            return verdict == Verdict::PASS;
        };
        let drops = self.mode == Mode::Enforce && matches!(policy, Policy::Drop | Policy::Limit);
        policy != Policy::Off && (verdict == Verdict::DROP) == drops
    }
}

/// What follows the configuration: before each packet five bytes, for the time since the last, the interface, the length
/// and what was kept of it.
struct Input<'i> {
    rest: &'i [u8],
}

/// A packet of the input.
struct Arrival<'i> {
    after_ns: u64,
    slot: u32,
    frame: Frame<'i>,
}

impl<'i> Iterator for Input<'i> {
    type Item = Arrival<'i>;

    fn next(&mut self) -> Option<Arrival<'i>> {
        let (&[time, slot, low, high, beyond], rest) = self.rest.split_first_chunk()?;
        let length = usize::from(u16::from_le_bytes([low, high])).min(rest.len());
        let (bytes, rest) = rest.split_at(length);
        self.rest = rest;
        Some(Arrival {
            // From nothing over milliseconds to ten years.
            after_ns: match time {
                0 => 0,
                time => u64::from(time & 0x0f) << (time >> 4).saturating_mul(4).min(56),
            },
            slot: u32::from(slot) % SLOTS,
            frame: Frame::captured(bytes, length + usize::from(beyond)),
        })
    }
}

fn run(rules: &Rules, tables: &Tables, input: Input<'_>) {
    let mut host = HostMaps::new(tables, SLOTS).reading_plain();
    let mut replay = Replay::new(tables);
    let mut now_ns = SECOND_NS;
    let (mut packets, mut bytes) = (0, 0);
    let mut requests: BTreeMap<u32, Requests> = BTreeMap::new();
    for Arrival {
        after_ns,
        slot,
        frame,
    } in input
    {
        now_ns = now_ns.saturating_add(after_ns);
        let decision = host.run_frame(slot, &frame, now_ns);
        assert_eq!(
            decision,
            replay.classify(&frame, slot, now_ns),
            "the two runtimes, one of which reads plain packets"
        );
        assert!(
            rules.allow(decision),
            "{decision:?} is not what the policy says"
        );
        packets += 1;
        bytes += frame.wire_len() as u64;
        let parsed = parse(&frame);
        if let Err(reason) = parsed {
            assert_eq!(
                decision,
                Decision::pass(reason),
                "what cannot be read passes"
            );
        }
        if let Ok(Packet {
            link,
            network: Network::Arp(_),
            ..
        }) = parsed
            && decision.reason == Reason::ArpRequest
        {
            let index = segment_index(slot, link.vlan);
            requests.entry(index).or_default().pass(now_ns);
        }
    }
    let events = host.take_events();
    counts(&host, &events, packets, bytes);
    if rules.arp_flood != Policy::Off {
        for passed in requests.values() {
            passed.keep(rules.segment_rate);
        }
        segments(rules, &host, &events);
    }
}

/// Requests that no bucket refused.
#[derive(Default)]
struct Requests {
    count: u64,
    first_ns: u64,
    last_ns: u64,
}

impl Requests {
    fn pass(&mut self, now_ns: u64) {
        if self.count == 0 {
            self.first_ns = now_ns;
        }
        self.last_ns = now_ns;
        self.count += 1;
    }

    /// Fails if they were more than a segment may send, of which all its senders together are part.
    fn keep(&self, (rate, burst): (u32, u32)) {
        // At the end of time nothing more is counted.
        if self.last_ns > u64::MAX / 2 {
            return;
        }
        let elapsed_ns = u128::from(self.last_ns - self.first_ns);
        let earned = elapsed_ns * u128::from(rate) / u128::from(SECOND_NS);
        let most = u128::from(burst) + earned + 1;
        assert!(
            u128::from(self.count) <= most,
            "{} passed, and {most} may",
            self.count
        );
    }
}

/// Each packet is counted once, each signature as often as packets for it, each event as it was sent.
fn counts(host: &HostMaps<'_>, events: &[Event], packets: u64, bytes: u64) {
    let counted = host.state.counted();
    let sum = |of: &dyn Fn(Reason, Verdict) -> bool| {
        let counters = counted
            .iter()
            .filter(|((_, reason, verdict), _)| of(*reason, *verdict));
        counters.fold((0, 0), |(packets, bytes), (_, counter)| {
            (packets + counter.packets, bytes + counter.bytes)
        })
    };
    assert_eq!(sum(&|_, _| true), (packets, bytes), "packets and bytes");

    let hits = &host.state.rule_hits;
    assert_eq!(hits.len(), RULES_MAX);
    let hit: u64 = hits.iter().map(|hit| hit.packets).sum();
    let hit_bytes: u64 = hits.iter().map(|hit| hit.bytes).sum();
    let dropped: u64 = hits.iter().map(|hit| hit.dropped).sum();
    assert_eq!(
        sum(&|reason, _| reason == Reason::Signature),
        (hit, hit_bytes)
    );
    let of_drops = sum(&|reason, verdict| reason == Reason::Signature && verdict == Verdict::DROP);
    assert_eq!(of_drops.0, dropped, "dropped for a signature");

    assert_eq!(host.state.tally(Tally::EventsSent), events.len() as u64);
    assert_eq!(host.state.tally(Tally::EventsLost), 0);
    for set in host.changed_sources() {
        for source in set.sources() {
            let state = &source.state;
            assert!(state.first_ns <= state.last_ns);
            for (_, objections) in source.objections() {
                assert!(state.packets >= objections.flagged);
                assert!(objections.flagged >= objections.dropped.max(objections.unreported));
            }
        }
    }
}

/// What was reported of a segment, which never loses its entry, and what still is to be, is all that was flagged.
fn segments(rules: &Rules, host: &HostMaps<'_>, events: &[Event]) {
    let reports = matches!(
        rules.arp_flood,
        Policy::Alert | Policy::Drop | Policy::Limit
    );
    let mut reported: BTreeMap<u32, u64> = BTreeMap::new();
    for event in events {
        if event.key.detector() == Some(Detector::ArpFloodSegment) {
            let index = segment_index(u32::from(event.key.interface()), event.key.vlan());
            *reported.entry(index).or_default() += event.count;
        }
    }
    for (index, segment) in host.changed_segments() {
        let told = reported.remove(&index).unwrap_or_default();
        if reports {
            assert_eq!(
                told + segment.objections.unreported,
                segment.objections.flagged,
                "segment {index}"
            );
        } else {
            assert_eq!(told, 0, "segment {index} was to be counted only");
        }
    }
    assert!(
        reported.is_empty(),
        "reports of segments that are not known"
    );
}
