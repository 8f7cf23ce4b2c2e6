//! What the kernel program is compared with: the same classifier compiled for the host, over tables of its own.
//!
//! [`HostMaps`] keeps everything that the kernel keeps, in the same records, so that a comparison is one of bytes. That
//! the classifier itself is right is not shown by this; for that there are the fixtures and the [`referee`].

mod lockstep;
pub mod referee;
mod state;

use std::mem;

use detector::tables::Tables;
use detector_common::{
    abi::{self, SignatureCounter, Tally},
    config::Config,
    detect::signature::table::SignatureTable,
    event::Event,
    packet::Frame,
    pipeline::{self, Runtime},
    sources::{SourceSet, SourceState},
    verdict::Decision,
};

pub use self::{
    lockstep::{Lockstep, Packet},
    state::State,
};

/// The classifier on the host, with the maps of one CPU.
pub struct HostMaps<'t> {
    tables: &'t Tables,
    /// What the maps hold.
    pub state: State,
    events: Vec<Event>,
    interface: u32,
    now_ns: u64,
}

impl<'t> HostMaps<'t> {
    /// Empty maps for this many interfaces.
    #[must_use]
    pub fn new(tables: &'t Tables, interfaces: u32) -> Self {
        Self {
            tables,
            state: State::empty(interfaces),
            events: Vec::new(),
            interface: 0,
            now_ns: 0,
        }
    }

    /// What becomes of a frame that comes in at `now_ns` by the interface in `slot`.
    pub fn run(&mut self, slot: u32, frame: &[u8], now_ns: u64) -> Decision {
        self.interface = slot;
        self.now_ns = now_ns;
        pipeline::classify(&Frame::whole(frame), self)
    }

    /// Every event since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        mem::take(&mut self.events)
    }
}

impl<'t> Runtime<'t, Frame<'_>> for HostMaps<'t> {
    fn interface(&self) -> u8 {
        u8::try_from(self.interface).unwrap_or(u8::MAX)
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
        self.state.sources.get_mut(index as usize)
    }

    fn segment(&mut self, index: u32) -> Option<&mut SourceState> {
        self.state.segments.get_mut(index as usize)
    }

    fn signature_counter(&mut self, row: usize) -> Option<&mut SignatureCounter> {
        self.state.signature_hits.get_mut(row)
    }

    fn count(&mut self, decision: Decision, bytes: u64) {
        let index = abi::counter_index(self.interface, decision.reason, decision.verdict);
        if let Some(counter) = self.state.counters.get_mut(index as usize) {
            counter.packets += 1;
            counter.bytes += bytes;
        }
    }

    fn tally(&mut self, tally: Tally) {
        if let Some(count) = self.state.tallies.get_mut(tally as usize) {
            *count += 1;
        }
    }

    fn found(&mut self, due: bool, event: impl FnOnce() -> Event) {
        if due {
            self.events.push(event());
            self.tally(Tally::EventsSent);
        }
    }
}
