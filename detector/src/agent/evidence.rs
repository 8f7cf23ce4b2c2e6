//! Rules that are partial: packets for which they hold as far as the kernel asks them come by a ring buffer of their own, and here the rest is
//! decided.
//!
//! That is done on a thread of its own, so that it keeps nothing else waiting. A rule is asked whole, so that what was made of a packet before rules were
//! read anew is decided by those that are in force now.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::Arc,
};

use bytemuck::allocation::zeroed_box;
use detector_common::{
    abi::RuleCounter, detect::signature::workspace::Workspace, event::Event,
    evidence::EvidenceHead, packet::Frame, sources::SourceKey,
};
use tokio::task::spawn_blocking;

use super::{events::Events, view::View};
use crate::{
    rules::Book,
    tables::{Tables, count_told_later},
};

/// So many packets are decided at a time.
const TURN: usize = 32;
/// The most sources of which it is kept when they were told of last.
const SOURCES_MAX: usize = 1 << 14;

/// What is kept of rules that are partial.
pub(super) struct Partial {
    /// By what is decided; `None` while there is no such rule.
    tables: Option<Arc<Tables>>,
    workspace: Box<Workspace>,
    /// By the slot of the rule.
    hits: BTreeMap<u16, RuleCounter>,
    told: HashMap<SourceKey, Told>,
    /// Packets of which a rule was left undecided.
    undecided: u64,
}

/// When a source was told of last under a rule, and how many packets came since.
#[derive(Clone, Copy, Default)]
struct Told {
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
            told: HashMap::new(),
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
        self.told.clear();
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

    /// Packets of which a rule was left undecided.
    pub(super) fn undecided(&self) -> u64 {
        self.undecided
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
            told.extend(report(&mut self.told, event, interval_ns));
        }
        told
    }
}

/// The event with how many packets it stands for, if its source is to be told of now.
fn report(told: &mut HashMap<SourceKey, Told>, event: Event, interval_ns: u64) -> Option<Event> {
    let now_ns = event.at_ns;
    let is_due = |one: &Told| now_ns.saturating_sub(one.at_ns) >= interval_ns;
    if told.len() >= SOURCES_MAX && !told.contains_key(&event.key) {
        // Who is due is as if it had never been told of.
        told.retain(|_, one| one.untold > 0 || !is_due(one));
        if told.len() >= SOURCES_MAX {
            // It cannot be said that it was not told of: it is counted for its rule alone.
            return None;
        }
    }
    let is_new = !told.contains_key(&event.key);
    let one = told.entry(event.key).or_default();
    one.untold += 1;
    if !is_new && !is_due(one) {
        return None;
    }
    let count = one.untold;
    *one = Told {
        at_ns: now_ns,
        untold: 0,
    };
    Some(Event { count, ..event })
}

/// Decides packets as they come, and gives `tell` what is found; ends only if they cannot be waited for.
pub(super) async fn follow(
    evidence: &mut Events,
    view: &Arc<View>,
    mut tell: impl FnMut(&Event),
) -> io::Result<()> {
    loop {
        let records = evidence.next(TURN).await?;
        if records.is_empty() {
            continue;
        }
        let view = Arc::clone(view);
        let told = spawn_blocking(move || decide(&records, &view)).await;
        told.unwrap_or_default().iter().for_each(&mut tell);
    }
}

/// What is told of these records.
fn decide(records: &[Vec<u8>], view: &View) -> Vec<Event> {
    let config = view.config();
    let reports = config
        .response(detector_common::detect::Detector::Signature)
        .reports();
    let mut told = Vec::new();
    for record in records {
        let Some((head, frame)) = EvidenceHead::split(record) else {
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
