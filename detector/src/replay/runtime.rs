//! The classifier's state on the host: the kernel's tables in plain memory.
//!
//! One table where the kernel has one per CPU. Findings are kept for themselves, so that none is lost when a source
//! loses its entry.

use std::collections::BTreeMap;

use bytemuck::Zeroable;
use detector_common::{
    abi::{INTERFACES_MAX, SEGMENTS_PER_INTERFACE, SignatureCounter, Tally},
    config::Config,
    detect::signature::table::SignatureTable,
    event::Event,
    packet::Frame,
    pipeline::{self, Runtime},
    reason::Reason,
    sources::{Companion, SETS, SourceKey, SourceSet, SourceState},
    verdict::{Decision, Verdict},
};

use crate::tables::Tables;

/// What was found of one source under one detector. Times are nanoseconds of the capture's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Flagged packets.
    pub count: u64,
    /// The first of them.
    pub first_ns: u64,
    /// The last of them.
    pub last_ns: u64,
    /// The address of the other layer that came with the source last.
    pub companion: Companion,
}

/// A classifier with its state.
#[derive(Debug)]
pub struct Replay<'t> {
    tables: &'t Tables,
    interface: u8,
    now_ns: u64,
    sources: Vec<SourceSet>,
    segments: Vec<SourceState>,
    /// Packets by reason and verdict.
    pub packets: BTreeMap<(Reason, Verdict), u64>,
    /// What was found.
    pub findings: BTreeMap<SourceKey, Finding>,
}

impl<'t> Replay<'t> {
    /// A classifier that has seen nothing.
    #[must_use]
    pub fn new(tables: &'t Tables) -> Self {
        Self {
            tables,
            interface: 0,
            now_ns: 0,
            sources: vec![SourceSet::zeroed(); SETS as usize],
            segments: vec![
                SourceState::zeroed();
                (INTERFACES_MAX * SEGMENTS_PER_INTERFACE) as usize
            ],
            packets: BTreeMap::new(),
            findings: BTreeMap::new(),
        }
    }

    /// Classifies a frame that came in at `now_ns` by interface `interface` of the capture.
    pub fn classify(&mut self, frame: &Frame<'_>, interface: u32, now_ns: u64) -> Decision {
        // The last slot stands for all interfaces behind it.
        self.interface = u8::try_from(interface.min(INTERFACES_MAX - 1)).unwrap_or_default();
        self.now_ns = now_ns;
        pipeline::classify(frame, self)
    }
}

impl<'t> Runtime<'t, Frame<'_>> for Replay<'t> {
    fn interface(&self) -> u8 {
        self.interface
    }

    fn now_ns(&self) -> u64 {
        self.now_ns
    }

    fn config(&self) -> Option<&'t Config> {
        Some(&self.tables.config)
    }

    fn signatures(&self) -> Option<&'t SignatureTable> {
        Some(&self.tables.signatures)
    }

    fn source_set(&mut self, index: u32) -> Option<&mut SourceSet> {
        self.sources.get_mut(index as usize)
    }

    fn segment(&mut self, index: u32) -> Option<&mut SourceState> {
        self.segments.get_mut(index as usize)
    }

    fn signature_counter(&mut self, _row: usize) -> Option<&mut SignatureCounter> {
        None
    }

    fn count(&mut self, decision: Decision, _bytes: u64) {
        *self
            .packets
            .entry((decision.reason, decision.verdict))
            .or_default() += 1;
    }

    fn tally(&mut self, _tally: Tally) {}

    fn found(&mut self, _due: bool, event: impl FnOnce() -> Event) {
        let event = event();
        let finding = self.findings.entry(event.key).or_insert(Finding {
            count: 0,
            first_ns: event.at_ns,
            last_ns: event.at_ns,
            companion: event.companion,
        });
        finding.count += 1;
        finding.first_ns = finding.first_ns.min(event.at_ns);
        finding.last_ns = finding.last_ns.max(event.at_ns);
        finding.companion = event.companion;
    }
}
