//! What the entries of the host's maps held before the last few packets, so that these can be taken back.

use detector_common::{
    abi::{Counter, RuleCounter},
    detect::signature::carry::Carry,
    sources::{SourceSet, SourceState},
};

use super::State;

/// The entries of every map that were handed out to be changed.
#[derive(Default)]
pub struct Journal {
    pub(crate) counters: Log<Counter>,
    pub(crate) rule_hits: Log<RuleCounter>,
    pub(crate) sources: Log<SourceSet>,
    pub(crate) segments: Log<SourceState>,
    pub(crate) bindings: Log<u64>,
    pub(crate) services: Log<u64>,
    pub(crate) handshakes: Log<u64>,
    pub(crate) thresholds: Log<u64>,
    pub(crate) flow_words: Log<u64>,
    pub(crate) carries: Log<Carry>,
    pub(crate) tallies: Log<u64>,
}

/// The entries of one map that were handed out: where they are, and what they held then.
pub struct Log<T> {
    before: Vec<(u32, T)>,
}

impl Journal {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.counters.before.clear();
        self.rule_hits.before.clear();
        self.sources.before.clear();
        self.segments.before.clear();
        self.bindings.before.clear();
        self.services.before.clear();
        self.handshakes.before.clear();
        self.thresholds.before.clear();
        self.flow_words.before.clear();
        self.carries.before.clear();
        self.tallies.before.clear();
    }

    /// Gives every entry back what it held, and forgets it.
    pub(super) fn take_back(&mut self, state: &mut State) {
        self.counters.take_back(&mut state.counters);
        self.rule_hits.take_back(&mut state.rule_hits);
        self.sources.take_back(&mut state.sources);
        self.segments.take_back(&mut state.segments);
        self.bindings.take_back(&mut state.bindings);
        self.services.take_back(&mut state.services);
        self.handshakes.take_back(&mut state.handshakes);
        self.thresholds.take_back(&mut state.thresholds);
        self.flow_words.take_back(&mut state.flow_words);
        self.carries.take_back(&mut state.carries);
        self.tallies.take_back(&mut state.tallies);
    }
}

impl<T: Copy> Log<T> {
    /// The entry at `index`, noted down.
    pub(super) fn entry<'m>(&mut self, map: &'m mut [T], index: u32) -> Option<&'m mut T> {
        let entry = map.get_mut(index as usize)?;
        self.before.push((index, *entry));
        Some(entry)
    }

    /// Where the entries are.
    pub(crate) fn places(&self) -> impl Iterator<Item = u32> {
        self.before.iter().map(|(index, _)| *index)
    }

    fn take_back(&mut self, map: &mut [T]) {
        // The latest first: what an entry held first, it holds in the end.
        for (index, before) in self.before.drain(..).rev() {
            if let Some(entry) = map.get_mut(index as usize) {
                *entry = before;
            }
        }
    }
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self { before: Vec::new() }
    }
}
