//! What the kernel program is compared with: the same classifier compiled for the host, over tables of its own.
//!
//! [`HostMaps`] keeps everything that the kernel keeps, in the same records, so that a comparison is one of bytes. That
//! the classifier itself is right is not shown by this; for that there are the fixtures and the [`referee`].

pub mod campaign;
pub mod disagreements;
pub mod excuse;
mod journal;
mod lockstep;
mod packets;
mod pair;
pub mod referee;
mod state;
pub mod suricata;
pub mod tshark;

use std::{collections::BTreeSet, mem};

use bytemuck::allocation::zeroed_box;
use detector::tables::Tables;
use detector_common::{
    abi::{self, RuleCounter, Tally},
    config::Config,
    detect::signature::{
        Found, Search, carry::Carry, threshold::Words, watch::WatchLists, workspace::Workspace,
    },
    event::Event,
    packet::Frame,
    parse::{Packet, plain},
    pipeline::{self, Runtime, headers::Headers},
    sources::{SourceSet, SourceState},
    verdict::Decision,
};

pub use self::{
    journal::{Journal, Log},
    lockstep::{Difference, Lockstep},
    packets::Packets,
    state::State,
};

/// The classifier on the host, with the maps of one CPU, whose last steps can be taken back.
pub struct HostMaps<'t> {
    tables: &'t Tables,
    /// What the maps hold.
    pub state: State,
    /// Every event since somebody took them.
    pub events: Vec<Event>,
    /// What entries held before they were handed out, since somebody cleared it.
    journal: Journal,
    workspace: Box<Workspace>,
    interface: u32,
    now_ns: u64,
    reads_plain: bool,
}

impl<'t> HostMaps<'t> {
    /// Empty maps for this many interfaces.
    #[must_use]
    pub fn new(tables: &'t Tables, interfaces: u32) -> Self {
        Self {
            tables,
            state: State::empty(interfaces),
            events: Vec::new(),
            journal: Journal::default(),
            workspace: zeroed_box(),
            interface: 0,
            now_ns: 0,
            reads_plain: false,
        }
    }

    /// The same, and plain packets go the short way, as in the kernel.
    #[must_use]
    pub fn reading_plain(mut self) -> Self {
        self.reads_plain = true;
        self
    }

    /// What becomes of a frame that comes in at `now_ns` by the interface in `slot`.
    pub fn run(&mut self, slot: u32, frame: &[u8], now_ns: u64) -> Decision {
        self.run_frame(slot, &Frame::whole(frame), now_ns)
    }

    /// The same of a frame of which a capture may have kept only a part.
    pub fn run_frame(&mut self, slot: u32, frame: &Frame<'_>, now_ns: u64) -> Decision {
        self.interface = slot;
        self.now_ns = now_ns;
        pipeline::classify(frame, self)
    }

    /// Every event since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        mem::take(&mut self.events)
    }

    /// The same maps with other tables.
    pub fn set_tables(&mut self, tables: &'t Tables) {
        self.tables = tables;
    }

    /// Which entries were handed out since the last [`Self::settle`] or [`Self::take_back`].
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The sets of sources that were changed since then.
    pub fn changed_sources(&self) -> impl Iterator<Item = &SourceSet> {
        let places: BTreeSet<_> = self.journal.sources.places().collect();
        places
            .into_iter()
            .filter_map(|place| self.state.sources.get(place as usize))
    }

    /// The segments that were changed since then, by their index.
    pub fn changed_segments(&self) -> impl Iterator<Item = (u32, &SourceState)> {
        let places: BTreeSet<_> = self.journal.segments.places().collect();
        places
            .into_iter()
            .filter_map(|place| Some((place, self.state.segments.get(place as usize)?)))
    }

    /// Forgets what entries held before: what they hold now is settled.
    pub fn settle(&mut self) {
        self.journal.clear();
    }

    /// Undoes everything since [`Self::settle`], events aside.
    pub fn take_back(&mut self) {
        self.journal.take_back(&mut self.state);
    }
}

/// The words of sources that rules count, noted down before they are written.
struct NotedWords<'m> {
    log: &'m mut Log<u64>,
    words: &'m mut [u64],
}

impl Words for NotedWords<'_> {
    fn word(&self, slot: u32) -> Option<u64> {
        self.words.word(slot)
    }

    fn set_word(&mut self, slot: u32, word: u64) {
        if let Some(place) = self.log.entry(self.words, slot) {
            *place = word;
        }
    }
}

impl<'t> Runtime<'t, Frame<'_>> for HostMaps<'t> {
    fn interface(&self) -> u8 {
        u8::try_from(self.interface).unwrap_or(u8::MAX)
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
        let interface = Runtime::<Frame<'_>>::interface(self);
        let carried = headers.segment(interface, seed).and_then(|segment| {
            let carry = self.state.carries.get(segment.slot as usize)?;
            Some((segment, carry))
        });
        let mut words = NotedWords {
            log: &mut self.journal.thresholds,
            words: &mut self.state.thresholds,
        };
        let mut flow_words = NotedWords {
            log: &mut self.journal.flow_words,
            words: &mut self.state.flow_words,
        };
        let found = self.tables.search(
            packet,
            headers,
            search,
            carried,
            &mut self.workspace,
            [&mut words, &mut flow_words],
        );
        if self.workspace.is_cut_short != 0 {
            self.tally(Tally::RulesCutShort);
        }
        if self.workspace.displaced != 0 {
            self.tally(Tally::FlowbitsDisplaced);
        }
        found
    }

    fn flow_names(&self, _: u8) -> u64 {
        self.tables.rules.flow_names
    }

    fn flow_word(&self, place: u32) -> Option<u64> {
        self.state.flow_words.get(place as usize).copied()
    }

    fn set_flow_word(&mut self, place: u32, word: u64) {
        let words = &mut self.state.flow_words;
        if let Some(place) = self.journal.flow_words.entry(words, place) {
            *place = word;
        }
    }

    fn plain(&self, packet: &Frame<'_>) -> Option<Packet> {
        if self.reads_plain {
            plain::parse(packet)
        } else {
            None
        }
    }

    fn is_bare(&self) -> bool {
        self.workspace.is_bare()
    }

    fn carry(&mut self, slot: u32) -> Option<&mut Carry> {
        self.journal.carries.entry(&mut self.state.carries, slot)
    }

    fn source_set(&mut self, index: u32) -> Option<&mut SourceSet> {
        self.journal.sources.entry(&mut self.state.sources, index)
    }

    fn segment(&mut self, index: u32) -> Option<&mut SourceState> {
        self.journal.segments.entry(&mut self.state.segments, index)
    }

    fn binding(&self, slot: u32) -> Option<u64> {
        self.state.bindings.get(slot as usize).copied()
    }

    fn bind(&mut self, slot: u32, word: u64) {
        let bindings = &mut self.state.bindings;
        if let Some(place) = self.journal.bindings.entry(bindings, slot) {
            *place = word;
        }
    }

    fn service(&self, slot: u32) -> Option<u64> {
        self.state.services.get(slot as usize).copied()
    }

    fn set_service(&mut self, slot: u32, word: u64) {
        let services = &mut self.state.services;
        if let Some(place) = self.journal.services.entry(services, slot) {
            *place = word;
        }
    }

    fn handshake(&self, slot: u32) -> Option<u64> {
        self.state.handshakes.get(slot as usize).copied()
    }

    fn set_handshake(&mut self, slot: u32, word: u64) {
        let handshakes = &mut self.state.handshakes;
        if let Some(place) = self.journal.handshakes.entry(handshakes, slot) {
            *place = word;
        }
    }

    fn rule_counter(&mut self, slot: u16) -> Option<&mut RuleCounter> {
        let hits = &mut self.state.rule_hits;
        self.journal.rule_hits.entry(hits, slot.into())
    }

    fn count(&mut self, decision: Decision, bytes: u64) {
        let index = abi::counter_index(self.interface, decision.reason, decision.verdict);
        let counters = &mut self.state.counters;
        if let Some(counter) = self.journal.counters.entry(counters, index) {
            counter.packets += 1;
            counter.bytes += bytes;
        }
    }

    fn tally(&mut self, tally: Tally) {
        let tallies = &mut self.state.tallies;
        if let Some(count) = self.journal.tallies.entry(tallies, tally as u32) {
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
