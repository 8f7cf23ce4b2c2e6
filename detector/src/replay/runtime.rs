//! The classifier's state on the host: the kernel's tables in plain memory, counted in as the kernel counts.
//!
//! One table where the kernel has one per CPU. Findings are kept for themselves, so that none is lost when a source
//! loses its entry.

use bytemuck::allocation::{zeroed_box, zeroed_vec};
use detector_common::{
    abi::{self, COUNTERS_LEN, Counter, INTERFACES_MAX, RuleCounter, SEGMENTS_PER_INTERFACE},
    abi::{Tally, counter_index},
    bindings,
    config::Config,
    detect::{
        Detector,
        signature::{
            Found, Search,
            carry::{self, Carry},
            flowbits,
            table::RULES_MAX,
            threshold,
            watch::WatchLists,
            workspace::Workspace,
        },
    },
    event::Event,
    evidence::EVIDENCE_MAX,
    packet::Frame,
    pipeline::{self, Runtime, headers::Headers},
    proof,
    reason::Reason,
    services,
    sources::{SETS, SourceSet, SourceState},
    verdict::{Decision, Verdict},
};

use super::findings::Findings;
use crate::{
    rules::Entry,
    tables::{Tables, count_told_later},
};

/// A classifier with its state.
#[derive(Debug)]
pub struct Replay<'t> {
    tables: &'t Tables,
    interface: u8,
    now_ns: u64,
    sources: Vec<SourceSet>,
    segments: Vec<SourceState>,
    bindings: Vec<u64>,
    services: Vec<u64>,
    handshakes: Vec<u64>,
    thresholds: Vec<u64>,
    flow_words: Vec<u64>,
    counters: Vec<Counter>,
    rule_hits: Vec<RuleCounter>,
    carries: Vec<Carry>,
    workspace: Box<Workspace>,
    /// The rules that hold for the present packet as far as the kernel would ask them.
    partials: Vec<u16>,
    /// How many of them hold when all is asked.
    decided: usize,
    tallies: [u64; Tally::ALL.len()],
    findings: Findings,
}

impl<'t> Replay<'t> {
    /// A classifier that has seen nothing.
    #[must_use]
    pub fn new(tables: &'t Tables) -> Self {
        let segments = INTERFACES_MAX * SEGMENTS_PER_INTERFACE;
        Self {
            tables,
            interface: 0,
            now_ns: 0,
            // From the operating system already zero, and touched only where a packet leads.
            sources: zeroed_vec(SETS as usize),
            segments: zeroed_vec(segments as usize),
            bindings: zeroed_vec(bindings::SLOTS as usize),
            services: zeroed_vec(services::SLOTS as usize),
            handshakes: zeroed_vec(proof::SLOTS as usize),
            thresholds: zeroed_vec(threshold::SLOTS as usize),
            flow_words: zeroed_vec(flowbits::WORDS as usize),
            counters: zeroed_vec(COUNTERS_LEN as usize),
            rule_hits: zeroed_vec(RULES_MAX),
            carries: zeroed_vec(carry::SLOTS as usize),
            workspace: zeroed_box(),
            partials: Vec::new(),
            decided: 0,
            tallies: [0; Tally::ALL.len()],
            findings: Findings::default(),
        }
    }

    /// Classifies a frame that came in at `now_ns` by interface `interface` of the capture.
    #[inline]
    pub fn classify(&mut self, frame: &Frame<'_>, interface: u32, now_ns: u64) -> Decision {
        // The last slot stands for all interfaces behind it.
        self.interface = interface.min(INTERFACES_MAX - 1) as u8;
        self.now_ns = now_ns;
        self.partials.clear();
        self.decided = 0;
        let decision = pipeline::classify(frame, self);
        if !self.partials.is_empty() {
            self.decide(frame, decision);
        }
        decision
    }

    /// Does with a packet of which this became what the agent does with evidence.
    fn decide(&mut self, frame: &Frame<'_>, decision: Decision) {
        Runtime::<Frame<'_>>::tally(self, Tally::EvidenceSent);
        let partials = std::mem::take(&mut self.partials);
        let beginning = frame.beginning(EVIDENCE_MAX);
        let (tables, now_ns) = (self.tables, self.now_ns);
        let decided = tables.decide(&beginning, now_ns, &partials, &mut self.workspace);
        if decided.is_undecided {
            Runtime::<Frame<'_>>::tally(self, Tally::RulesCutShort);
        }
        let reports = tables.config.response(Detector::Signature).reports();
        for event in decided.events(self.interface, decision) {
            if let Some(counter) = self.rule_hits.get_mut(usize::from(event.key.signature())) {
                count_told_later(counter, &event);
            }
            if reports {
                self.findings.add(&event);
            }
        }
        self.decided = decided.slots.len();
        self.partials = partials;
    }

    /// How many rules hold for the last packet that are partial.
    #[must_use]
    pub fn decided(&self) -> usize {
        self.decided
    }

    /// Packets by reason and verdict, of each interface for itself, where there were any.
    pub fn counters(&self) -> impl Iterator<Item = (Reason, Verdict, Counter)> {
        (0..).zip(&self.counters).filter_map(|(index, counter)| {
            let (_, reason, verdict) = abi::counter_place(index)?;
            (counter.packets != 0).then_some((reason, verdict, *counter))
        })
    }

    /// What each rule met, where there was anything.
    pub fn rule_hits(&self) -> impl Iterator<Item = (&'t Entry, RuleCounter)> {
        let hits = (0..).zip(&self.rule_hits);
        hits.filter(|(_, counter)| counter.packets != 0)
            .filter_map(|(slot, counter)| Some((self.tables.book.get(slot)?, *counter)))
    }

    /// What befell the tables themselves.
    pub fn tallies(&self) -> impl Iterator<Item = (Tally, u64)> {
        Tally::ALL.into_iter().zip(self.tallies)
    }

    /// What was found.
    #[must_use]
    pub fn findings(&self) -> &Findings {
        &self.findings
    }
}

impl<'t> Runtime<'t, Frame<'_>> for Replay<'t> {
    fn interface(&self) -> u8 {
        self.interface
    }

    fn knows_senders(&self) -> bool {
        false
    }

    fn now_ns(&self) -> u64 {
        self.now_ns
    }

    fn config(&self) -> &'t Config {
        &self.tables.config
    }

    fn watch(&self) -> &'t WatchLists {
        &self.tables.watch
    }

    fn search(&mut self, packet: &Frame<'_>, headers: &Headers, search: Search) -> Option<Found> {
        let seed = self.tables.config.hash_seed;
        let carried = headers.segment(self.interface, seed).and_then(|segment| {
            let carry = self.carries.get(segment.slot as usize)?;
            Some((segment, carry))
        });
        let words = [&mut *self.thresholds, &mut *self.flow_words];
        let workspace = &mut self.workspace;
        let found = self
            .tables
            .search(packet, headers, search, carried, workspace, words);
        self.partials.extend(workspace.partials());
        let (is_cut_short, displaced) = (workspace.is_cut_short, workspace.displaced);
        if is_cut_short != 0 {
            Runtime::<Frame<'_>>::tally(self, Tally::RulesCutShort);
        }
        if displaced != 0 {
            Runtime::<Frame<'_>>::tally(self, Tally::FlowbitsDisplaced);
        }
        found
    }

    fn is_bare(&self) -> bool {
        self.workspace.is_bare()
    }

    fn flow_names(&self, _: u8) -> u64 {
        self.tables.rules.flow_names
    }

    fn flow_word(&self, place: u32) -> Option<u64> {
        self.flow_words.get(place as usize).copied()
    }

    fn set_flow_word(&mut self, place: u32, word: u64) {
        if let Some(at) = self.flow_words.get_mut(place as usize) {
            *at = word;
        }
    }

    fn carry(&mut self, slot: u32) -> Option<&mut Carry> {
        self.carries.get_mut(slot as usize)
    }

    fn source_set(&mut self, index: u32) -> Option<&mut SourceSet> {
        self.sources.get_mut(index as usize)
    }

    fn segment(&mut self, index: u32) -> Option<&mut SourceState> {
        self.segments.get_mut(index as usize)
    }

    fn binding(&self, slot: u32) -> Option<u64> {
        self.bindings.get(slot as usize).copied()
    }

    fn bind(&mut self, slot: u32, word: u64) {
        if let Some(place) = self.bindings.get_mut(slot as usize) {
            *place = word;
        }
    }

    fn service(&self, slot: u32) -> Option<u64> {
        self.services.get(slot as usize).copied()
    }

    fn set_service(&mut self, slot: u32, word: u64) {
        if let Some(place) = self.services.get_mut(slot as usize) {
            *place = word;
        }
    }

    fn handshake(&self, slot: u32) -> Option<u64> {
        self.handshakes.get(slot as usize).copied()
    }

    fn set_handshake(&mut self, slot: u32, word: u64) {
        if let Some(place) = self.handshakes.get_mut(slot as usize) {
            *place = word;
        }
    }

    fn rule_counter(&mut self, slot: u16) -> Option<&mut RuleCounter> {
        self.rule_hits.get_mut(usize::from(slot))
    }

    #[inline]
    fn count(&mut self, decision: Decision, bytes: u64) {
        let Decision { reason, verdict } = decision;
        let index = counter_index(u32::from(self.interface), reason, verdict);
        if let Some(counter) = self.counters.get_mut(index as usize) {
            counter.packets = counter.packets.wrapping_add(1);
            counter.bytes = counter.bytes.wrapping_add(bytes);
        }
    }

    fn tally(&mut self, tally: Tally) {
        if let Some(count) = self.tallies.get_mut(tally as usize) {
            *count = count.wrapping_add(1);
        }
    }

    fn found(&mut self, due: bool, event: impl FnOnce() -> Event) {
        if due {
            // No ring buffer that could be full.
            Runtime::<Frame<'_>>::tally(self, Tally::EventsSent);
        }
        let event = event();
        let detector = event.key.detector();
        if detector.is_some_and(|detector| self.tables.config.response(detector).reports()) {
            self.findings.add(&event);
        }
    }
}

#[cfg(test)]
mod tests {
    use detector_common::config::Policy;

    use super::*;
    use crate::{settings::Settings, tables::HashSeed};

    /// A broadcast ARP request of 192.0.2.1 for 192.0.2.2.
    const REQUEST: [u8; 42] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 9, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0,
        0, 0, 0, 9, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 192, 0, 2, 2,
    ];

    /// Runs `check` on what a hundred requests at once, on interface 99 of a capture, lead to under a policy.
    fn after_a_flood(policy: Policy, check: impl FnOnce(&Replay<'_>)) {
        let mut settings = Settings::default();
        settings.arp_flood.policy = policy;
        let (tables, _) = settings.tables(HashSeed::FIXED).unwrap();
        let mut replay = Replay::new(&tables);
        for _ in 0..100 {
            let _ = replay.classify(&Frame::captured(&REQUEST, 60), 99, 7);
        }
        check(&replay);
    }

    #[test]
    fn packets_bytes_and_reports_are_counted_as_in_the_kernel() {
        after_a_flood(Policy::Limit, |replay| {
            let counted = |packets, bytes| Counter { packets, bytes };
            assert_eq!(
                replay.counters().collect::<Vec<_>>(),
                [
                    (Reason::ArpRequest, Verdict::PASS, counted(30, 1800)),
                    (Reason::ArpFlood, Verdict::WOULD_DROP, counted(70, 4200)),
                ]
            );
            let tallies: Vec<_> = replay.tallies().filter(|(_, count)| *count > 0).collect();
            assert_eq!(tallies, [(Tally::EventsSent, 1)]);
            let findings = replay
                .findings()
                .iter()
                .map(|(key, found)| (key.interface(), found.count));
            assert_eq!(findings.collect::<Vec<_>>(), [(15, 70)]);
        });
    }

    #[test]
    fn a_policy_that_only_counts_counts_and_reports_nothing() {
        after_a_flood(Policy::Count, |replay| {
            assert_eq!(replay.counters().count(), 2);
            assert!(replay.tallies().all(|(_, count)| count == 0));
            assert_eq!(replay.findings().iter().count(), 0);
        });
    }
}
