//! Every fixture through the real program: what it returns, counts, keeps and reports, and that it does nothing else.
//!
//! What is expected follows from the fixture's reason and from what an independent parser reads in the frame. Needs
//! root; nothing is attached to an interface.

use std::{collections::BTreeMap, fmt::Debug, ops::RangeInclusive, thread};

use anyhow::{Context as _, Result};
use detector_common::{
    abi::{Counter, SignatureCounter, Tally},
    config::Mode,
    event::Event,
    reason::Reason,
    sources::{Companion, SourceKey, SourceState},
    verdict::{Decision, Verdict},
};
use detector_tests::{
    fixtures::{self, Mark},
    kernel::{FRAME_MIN, TestKernel},
    requirements::kernel_or_skip,
};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

/// The interface that the fixtures come in by; not the first, so that forgetting it shows.
const SLOT: u32 = 1;
const INTERFACES: u32 = 2;

#[test]
fn every_fixture_leaves_its_mark_and_no_other_when_monitoring() -> Result<()> {
    check(
        "every_fixture_leaves_its_mark_and_no_other_when_monitoring",
        Mode::Monitor,
    )
}

#[test]
fn every_fixture_leaves_its_mark_and_no_other_when_enforcing() -> Result<()> {
    check(
        "every_fixture_leaves_its_mark_and_no_other_when_enforcing",
        Mode::Enforce,
    )
}

#[test]
fn only_frames_shorter_than_a_header_are_kept_from_the_kernel() {
    let kept: Vec<_> = fixtures::all()
        .into_iter()
        .filter(|fixture| fixture.frame.len() < FRAME_MIN)
        .map(|fixture| fixture.reason)
        .collect();
    assert_eq!(kept, [Reason::EthernetTruncated; 2]);
}

#[test]
fn each_cpu_counts_for_itself_and_the_agent_reads_them_all() -> Result<()> {
    if !kernel_or_skip("each_cpu_counts_for_itself_and_the_agent_reads_them_all") {
        return Ok(());
    }
    let tables = fixtures::tables(Mode::Enforce)?;
    let worm = fixtures::all()
        .into_iter()
        .find(|fixture| fixture.name == "sql-slammer")
        .context("there is no fixture of SQL Slammer")?;
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    let cpus: Vec<_> = (0..CpuSet::count())
        .filter(|cpu| allowed.is_set(*cpu).unwrap_or(false))
        .take(4)
        .collect();
    let mut kernel = TestKernel::load(&tables, INTERFACES)?;
    // The n-th CPU sees n packets; the thread that ran the test is not held on any of them afterwards.
    thread::scope(|scope| {
        let run = scope.spawn(|| -> Result<()> {
            for (packets, cpu) in (1..).zip(&cpus) {
                let mut only = CpuSet::new();
                only.set(*cpu)?;
                sched_setaffinity(Pid::from_raw(0), &only)?;
                for _ in 0..packets {
                    assert_eq!(kernel.run(SLOT, &worm.frame)?, Verdict::Drop);
                }
            }
            Ok(())
        });
        run.join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;

    let counted = kernel.kernel.maps().counters()?;
    assert_eq!(counted.len(), 1, "one reason and one verdict: {counted:?}");
    let counted = &counted[0];
    assert_eq!(
        (counted.interface, counted.reason, counted.verdict),
        (SLOT, Reason::Signature, Verdict::Drop)
    );
    assert_eq!(counted.packets.len(), kernel.cpus()?);
    let mut all = 0;
    for (packets, cpu) in (1..).zip(&cpus) {
        assert_eq!(
            counted.packets[*cpu].packets, packets,
            "packets on CPU {cpu}"
        );
        all += packets;
    }
    let sources = kernel.kernel.maps().sources()?;
    let packets: Vec<_> = sources.iter().map(|source| source.state.packets).collect();
    assert_eq!(
        packets,
        [all],
        "packets of the one source, of all CPUs together"
    );
    Ok(())
}

/// Runs every fixture on one kernel, and fails with all that went wrong.
fn check(test: &str, mode: Mode) -> Result<()> {
    if !kernel_or_skip(test) {
        return Ok(());
    }
    let tables = fixtures::tables(mode)?;
    let mut kernel = TestKernel::load(&tables, INTERFACES)?;
    let mut before = Seen::by(&kernel)?;
    let mut wrong = Vec::new();
    let mut run = 0;
    for fixture in fixtures::all() {
        if fixture.frame.len() < FRAME_MIN {
            continue;
        }
        run += 1;
        if !fixture.before.is_empty() {
            for step in &fixture.before {
                if kernel.run(SLOT, &step.frame)? != Verdict::Pass {
                    wrong.push(format!("{}: a frame before it was dropped", fixture.name));
                }
            }
            kernel.take_events()?;
            before = Seen::by(&kernel)?;
        }
        let began_ns = kernel.now_ns()?;
        let verdict = kernel.run(SLOT, &fixture.frame)?;
        let within = began_ns..=kernel.now_ns()?;
        let after = Seen::by(&kernel)?;
        let events = kernel.take_events()?;
        let mark = Mark::of(&fixture, mode, SLOT)?;
        let mut comparison = Comparison {
            name: &fixture.name,
            within,
            wrong: &mut wrong,
        };
        comparison.same("verdict", &mark.decision.verdict, &verdict);
        comparison.counts(&mark, fixture.frame.len() as u64, &before, &after);
        comparison.accounts(&mark, fixture.frame.len() as u64, &before, &after);
        comparison.events(&mark, &events);
        before = after;
    }
    assert!(run > 300, "only {run} fixtures were run");
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    Ok(())
}

/// What the maps hold, without what is empty.
struct Seen {
    counters: BTreeMap<(u32, Reason, Verdict), Counter>,
    signature_hits: BTreeMap<usize, SignatureCounter>,
    tallies: BTreeMap<usize, u64>,
    sources: BTreeMap<SourceKey, SourceState>,
    segments: BTreeMap<u32, SourceState>,
}

impl Seen {
    fn by(kernel: &TestKernel) -> Result<Self> {
        let state = kernel.state()?;
        Ok(Self {
            counters: state.counted(),
            sources: state.known_sources(),
            segments: state.known_segments(),
            signature_hits: state.signature_hits.into_iter().enumerate().collect(),
            tallies: state.tallies.into_iter().enumerate().collect(),
        })
    }
}

/// A fixture's mark against what is found.
struct Comparison<'a> {
    name: &'a str,
    /// When it was run.
    within: RangeInclusive<u64>,
    wrong: &'a mut Vec<String>,
}

impl Comparison<'_> {
    fn counts(&mut self, mark: &Mark, bytes: u64, before: &Seen, after: &Seen) {
        let Decision { reason, verdict } = mark.decision;
        let place = (SLOT, reason, verdict);
        let mut counter = before.counters.get(&place).copied().unwrap_or_default();
        counter.packets += 1;
        counter.bytes += bytes;
        let expected = [(place, counter)].into();
        self.same(
            "counters",
            &expected,
            &changes(&before.counters, &after.counters),
        );

        let mut expected = BTreeMap::new();
        if let Some((row, _)) = mark.signature {
            let hit = before.signature_hits[&row];
            let hit = SignatureCounter {
                packets: hit.packets + 1,
                bytes: hit.bytes + bytes,
                dropped: hit.dropped + u64::from(verdict == Verdict::Drop),
            };
            expected.insert(row, hit);
        }
        self.same(
            "signature hits",
            &expected,
            &changes(&before.signature_hits, &after.signature_hits),
        );

        let mut expected = BTreeMap::new();
        if mark.event.is_some() {
            let sent = Tally::EventsSent as usize;
            expected.insert(sent, before.tallies[&sent] + 1);
        }
        self.same(
            "tallies",
            &expected,
            &changes(&before.tallies, &after.tallies),
        );
    }

    fn accounts(&mut self, mark: &Mark, bytes: u64, before: &Seen, after: &Seen) {
        let expected = self.account(mark, bytes, mark.source, &before.sources, &after.sources);
        self.same(
            "sources",
            &expected,
            &changes(&before.sources, &after.sources),
        );
        let expected = self.account(mark, bytes, mark.segment, &before.segments, &after.segments);
        self.same(
            "segments",
            &expected,
            &changes(&before.segments, &after.segments),
        );
    }

    /// The one entry that a packet must change, and how.
    fn account<K: Ord>(
        &mut self,
        mark: &Mark,
        bytes: u64,
        entry: Option<(K, bool, Companion)>,
        before: &BTreeMap<K, SourceState>,
        after: &BTreeMap<K, SourceState>,
    ) -> BTreeMap<K, SourceState> {
        let Some((key, flagged, companion)) = entry else {
            return BTreeMap::new();
        };
        let was = before.get(&key).copied().unwrap_or_default();
        let is = after.get(&key).copied().unwrap_or_default();
        self.in_time("an entry", is.last_ns);
        let dropped = flagged && mark.decision.verdict == Verdict::Drop;
        let state = SourceState {
            first_ns: if was.packets == 0 {
                is.last_ns
            } else {
                was.first_ns
            },
            last_ns: is.last_ns,
            packets: was.packets + 1,
            bytes: was.bytes + bytes,
            flagged: was.flagged + u64::from(flagged),
            dropped: was.dropped + u64::from(dropped),
            reported_ns: if flagged { is.last_ns } else { was.reported_ns },
            unreported: 0,
            companion,
            // How full a bucket is, only later packets tell.
            bucket: is.bucket,
        };
        [(key, state)].into()
    }

    fn events(&mut self, mark: &Mark, events: &[Event]) {
        for event in events {
            self.in_time("an event", event.at_ns);
        }
        let at_ns = events.first().map_or(0, |event| event.at_ns);
        let expected: Vec<_> = mark
            .event
            .map(|event| Event { at_ns, ..event })
            .into_iter()
            .collect();
        self.same("events", &*expected, events);
    }

    fn same<T: PartialEq + Debug + ?Sized>(&mut self, what: &str, expected: &T, found: &T) {
        if expected != found {
            let name = self.name;
            self.wrong.push(format!(
                "{name}: {what}: expected {expected:?}, found {found:?}"
            ));
        }
    }

    fn in_time(&mut self, what: &str, at_ns: u64) {
        if !self.within.contains(&at_ns) {
            let (name, within) = (self.name, &self.within);
            self.wrong.push(format!(
                "{name}: {what} has the time {at_ns}, not one of {within:?}"
            ));
        }
    }
}

/// What is in `after` and was not so in `before`.
fn changes<K: Ord + Copy, V: PartialEq + Copy>(
    before: &BTreeMap<K, V>,
    after: &BTreeMap<K, V>,
) -> BTreeMap<K, V> {
    after
        .iter()
        .filter(|(key, value)| before.get(key) != Some(value))
        .map(|(key, value)| (*key, *value))
        .collect()
}
