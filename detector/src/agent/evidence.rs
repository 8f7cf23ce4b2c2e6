//! Rules that are partial: packets for which they hold as far as the kernel asks them come by a ring buffer of their own, and here the rest is
//! decided.
//!
//! That is done on a thread of its own, so that it keeps nothing else waiting. A rule is asked whole, so that what was made of a packet before rules were
//! read anew is decided by those that are in force now.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use aya::maps::{MapData, RingBuf};
use bytemuck::allocation::zeroed_box;
use detector_common::{
    abi::RuleCounter, detect::signature::workspace::Workspace, event::Event,
    evidence::EvidenceHead, packet::Frame, sources::SourceKey,
};
use tokio::task::{JoinHandle, spawn_blocking};

use super::{events::Events, stats::EvidenceStats, view::View};
use crate::{
    rules::Book,
    tables::{Tables, count_told_later},
};

/// So many packets are decided at a time: whoever stops the agent waits for them.
const TURN: usize = 4;
/// The most sources of which it is kept when they were told of last.
const SOURCES_MAX: usize = 1 << 14;
/// Those of them that are due are forgotten so often at most, if there is no room for others.
const SWEEP_NS: u64 = 1_000_000_000;
/// How long it is decided at the end what was handed over before.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// What is kept of rules that are partial.
pub(super) struct Partial {
    /// By what is decided; `None` while there is no such rule.
    tables: Option<Arc<Tables>>,
    workspace: Box<Workspace>,
    /// By the slot of the rule.
    hits: BTreeMap<u16, RuleCounter>,
    told: Told,
    /// Packets of which a rule was left undecided.
    undecided: u64,
}

/// Who was told of.
#[derive(Default)]
struct Told {
    sources: HashMap<SourceKey, Last>,
    /// When those who are due were forgotten last.
    swept_ns: u64,
    /// Findings of those for whom there was no room, or no more: no report counts them.
    uncounted: u64,
}

/// When a source was told of last under a rule, and how many packets came since.
#[derive(Clone, Copy, Default)]
struct Last {
    at_ns: u64,
    untold: u64,
}

impl Partial {
    /// What is decided by these tables.
    pub(super) fn new(tables: Option<Arc<Tables>>) -> Self {
        Self {
            tables,
            workspace: zeroed_box(),
            hits: BTreeMap::new(),
            told: Told::default(),
            undecided: 0,
        }
    }

    /// By what is decided.
    pub(super) fn tables(&self) -> Option<Arc<Tables>> {
        self.tables.clone()
    }

    /// It is decided by `tables` from now on; before, rules were called as in this book.
    pub(super) fn decide_by(&mut self, tables: &Arc<Tables>, before: &Book) {
        for slot in tables.book.new_slots(before) {
            self.hits.remove(&slot);
        }
        self.told.forget();
        let has_any = !tables.regexes.is_empty();
        self.tables = has_any.then(|| Arc::clone(tables));
    }

    /// It is decided by these once more.
    pub(super) fn decide_again_by(&mut self, tables: Option<Arc<Tables>>) {
        self.tables = tables;
    }

    /// What the rule of a slot met.
    pub(super) fn hits(&self, slot: u16) -> RuleCounter {
        self.hits.get(&slot).copied().unwrap_or_default()
    }

    /// The agent's part of the counts.
    pub(super) fn counts(&self) -> EvidenceStats {
        EvidenceStats {
            undecided: self.undecided,
            untold: self.told.uncounted,
            ..EvidenceStats::default()
        }
    }

    /// Decides a packet; gives what is told now. A source is told of under a rule once in `interval_ns`.
    fn decide(&mut self, head: &EvidenceHead, frame: &[u8], interval_ns: u64) -> Vec<Event> {
        let Some(tables) = &self.tables else {
            self.undecided += 1;
            return Vec::new();
        };
        let frame = Frame::captured(frame, head.wire_len as usize);
        let decided = tables.decide(&frame, head.at_ns, head.slots(), &mut self.workspace);
        self.undecided += u64::from(decided.is_undecided);
        let events = decided.events(head.interface, head.decision());
        let mut told = Vec::new();
        for event in events {
            let counter = self.hits.entry(event.key.signature()).or_default();
            count_told_later(counter, &event);
            told.extend(self.told.report(event, interval_ns));
        }
        told
    }
}

impl Told {
    /// Forgets all; what was not told of any is counted.
    fn forget(&mut self) {
        let untold = self.sources.values().map(|one| one.untold);
        self.uncounted += untold.sum::<u64>();
        self.sources.clear();
    }

    /// The event with how many packets it stands for, if its source is to be told of now.
    fn report(&mut self, event: Event, interval_ns: u64) -> Option<Event> {
        let now_ns = event.at_ns;
        let is_due = |one: &Last| now_ns.saturating_sub(one.at_ns) >= interval_ns;
        if !self.has_room_for(&event, is_due) {
            self.uncounted += 1;
            return None;
        }
        let is_new = !self.sources.contains_key(&event.key);
        let one = self.sources.entry(event.key).or_default();
        one.untold += 1;
        if !is_new && !is_due(one) {
            return None;
        }
        let count = one.untold;
        *one = Last {
            at_ns: now_ns,
            untold: 0,
        };
        Some(Event { count, ..event })
    }

    /// Whether its source is known, or may be. Whoever is due is forgotten if there is no room: as if it had never been told of. That takes a look at all,
    /// so it is not done for each.
    fn has_room_for(&mut self, event: &Event, is_due: impl Fn(&Last) -> bool) -> bool {
        if self.sources.len() < SOURCES_MAX || self.sources.contains_key(&event.key) {
            return true;
        }
        if event.at_ns.saturating_sub(self.swept_ns) < SWEEP_NS {
            return false;
        }
        self.swept_ns = event.at_ns;
        let uncounted = &mut self.uncounted;
        self.sources.retain(|_, one| {
            let is_kept = !is_due(one);
            *uncounted += if is_kept { 0 } else { one.untold };
            is_kept
        });
        self.sources.len() < SOURCES_MAX
    }
}

/// The packets that are to be decided.
pub(super) struct Evidence {
    ring: Events,
    /// Those that are decided at the moment.
    turn: Option<JoinHandle<Vec<Event>>>,
}

impl Evidence {
    pub(super) fn new(ring: RingBuf<MapData>) -> io::Result<Self> {
        let ring = Events::new(ring)?;
        Ok(Self { ring, turn: None })
    }

    /// Decides packets as they come, and gives `tell` what is found; ends only if they cannot be waited for.
    pub(super) async fn follow(
        &mut self,
        view: &Arc<View>,
        mut tell: impl FnMut(&Event),
    ) -> io::Result<()> {
        loop {
            self.finish_turn(view, &mut tell).await;
            let records = self.ring.next(TURN).await?;
            if records.is_empty() {
                continue;
            }
            let view = Arc::clone(view);
            self.turn = Some(spawn_blocking(move || decide(&records, &view)));
        }
    }

    /// Tells of what is decided at the moment, when it is.
    async fn finish_turn(&mut self, view: &View, tell: &mut impl FnMut(&Event)) {
        let Some(turn) = &mut self.turn else { return };
        let told = turn.await;
        self.turn = None;
        match told {
            Ok(told) => told.iter().for_each(tell),
            // How many packets it still was to decide, nobody knows any more.
            Err(_) => view.partial().undecided += 1,
        }
    }

    /// Decides what is left, as far as there is time for it; nobody may be filling the ring.
    pub(super) async fn drain(&mut self, view: &View, mut tell: impl FnMut(&Event)) {
        self.finish_turn(view, &mut tell).await;
        let started = Instant::now();
        let mut is_over = false;
        self.ring.drain(|record| {
            is_over |= started.elapsed() > DRAIN_MAX;
            if is_over {
                view.partial().undecided += 1;
            } else {
                let told = decide(&[record], view);
                told.iter().for_each(&mut tell);
            }
        });
    }
}

/// What is told of these records.
fn decide(records: &[impl AsRef<[u8]>], view: &View) -> Vec<Event> {
    let config = view.config();
    let reports = config
        .response(detector_common::detect::Detector::Signature)
        .reports();
    let mut told = Vec::new();
    for record in records {
        let Some((head, frame)) = EvidenceHead::split(record.as_ref()) else {
            view.reports.not_understood();
            continue;
        };
        let events = view
            .partial()
            .decide(&head, frame, config.report_interval_ns);
        if reports {
            told.extend(events);
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable as _;
    use detector_common::net::{MacAddress, Vlan};

    use super::*;

    const INTERVAL_NS: u64 = 2 * SWEEP_NS;

    /// A finding of a source of this number.
    fn finding(source: usize, at_ns: u64) -> Event {
        let sender = MacAddress::from_word(source as u64);
        Event {
            key: SourceKey::of_sender(0, Vlan::default(), sender),
            at_ns,
            ..Event::zeroed()
        }
    }

    #[test]
    fn sources_that_are_due_make_room_for_others_also_if_not_all_was_told_of_them() {
        let mut told = Told::default();
        let report = |told: &mut Told, source, at_ns| {
            told.report(finding(source, at_ns), INTERVAL_NS)
                .map(|event| event.count)
        };
        for source in 0..SOURCES_MAX {
            assert_eq!(report(&mut told, source, SWEEP_NS), Some(1));
            assert_eq!(report(&mut told, source, SWEEP_NS), None);
        }
        // No one is due: the first looks at all of them, the next one does not.
        let at_ns = INTERVAL_NS;
        assert_eq!(report(&mut told, SOURCES_MAX, at_ns), None);
        assert_eq!((told.uncounted, told.swept_ns), (1, at_ns));
        assert_eq!(report(&mut told, SOURCES_MAX, at_ns + SWEEP_NS - 1), None);
        assert_eq!((told.uncounted, told.swept_ns), (2, at_ns));
        // Whoever is known is told of as before.
        let at_ns = SWEEP_NS + INTERVAL_NS;
        assert_eq!(report(&mut told, 0, at_ns), Some(2));
        assert_eq!(report(&mut told, SOURCES_MAX, at_ns), Some(1));
        assert_eq!(told.sources.len(), 2);
        assert_eq!(told.uncounted, 2 + SOURCES_MAX as u64 - 1);
    }
}
