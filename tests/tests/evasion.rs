//! `docs/evasion.md` is true: of each way to hide a request it says what the classifier does, on the host and in the kernel,
//! and what Suricata says of the same packets.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use anyhow::{Result, bail, ensure};
use detector::{
    replay::runtime::Replay,
    rules::{RuleSet, Variables},
    tables::{HashSeed, Tables},
};
use detector_common::{
    abi::{self, Tally},
    config::{Config, Mode},
    packet::Frame,
    reason::Reason,
    verdict::Verdict,
};
use detector_tests::{
    capture::{Link, evenly, pcap},
    evasion::{
        self, Case, RULES, SURICATA_RULES,
        document::{self, Cells},
    },
    kernel::{Places, TestKernel},
    oracle::{
        State,
        suricata::{self, Alert, Checksums},
    },
    requirements::{kernel_or_skip, suricata_or_skip},
};

/// What becomes of a case.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    /// Whether a packet was dropped.
    is_caught: bool,
    /// Reasons and tallies that its packets were counted under, but what says nothing: that they are clean, and how many reports there
    /// were.
    counted: BTreeSet<&'static str>,
}

/// The tables of one rule, enforced.
fn tables(options: &str) -> Result<Tables> {
    let rule = format!("drop tcp any any -> any 80 ({options} sid:1;)");
    let set = RuleSet::from_bytes(Path::new("test.rules"), rule.as_bytes());
    ensure!(set.refusals.is_empty(), "{:?}", set.refusals);
    let config = Config::DEFAULT.with_mode(Mode::Enforce);
    let tables = Tables::new(config, HashSeed::FIXED, &set.rules, &Variables::default());
    ensure!(tables.refused.is_empty(), "{:?}", tables.refused);
    Ok(tables.fit_for(1))
}

fn on_the_host(tables: &Tables, case: &Case) -> Outcome {
    let mut replay = Replay::new(tables);
    let mut verdicts = Vec::new();
    for frame in &case.frames {
        verdicts.push(replay.classify(&Frame::whole(frame), 0, 1).verdict);
    }
    let reasons = replay.counters().map(|(reason, ..)| reason);
    let tallies = replay.tallies().filter(|(_, count)| *count > 0);
    Outcome::new(&verdicts, reasons, tallies.map(|(tally, _)| tally))
}

fn in_the_kernel(kernel: &mut TestKernel, case: &Case) -> Result<Outcome> {
    let before = kernel.state_at(&Places::default())?;
    let mut verdicts = Vec::new();
    for frame in &case.frames {
        verdicts.push(kernel.run(0, frame)?);
    }
    let after = kernel.state_at(&Places::default())?;
    let counted =
        |state: &State, index: usize| state.counters.get(index).map(|counter| counter.packets);
    let changed = (0..after.counters.len())
        .filter(|index| counted(&before, *index) != counted(&after, *index));
    let reasons = changed.filter_map(|index| {
        let (_, reason, _) = abi::counter_place(u32::try_from(index).ok()?)?;
        Some(reason)
    });
    let tallies = Tally::ALL.into_iter();
    let tallies = tallies.filter(|tally| before.tally(*tally) != after.tally(*tally));
    Ok(Outcome::new(&verdicts, reasons, tallies))
}

impl Outcome {
    fn new(
        verdicts: &[Verdict],
        reasons: impl Iterator<Item = Reason>,
        tallies: impl Iterator<Item = Tally>,
    ) -> Self {
        let reasons = reasons
            .filter(|reason| *reason != Reason::Clean)
            .map(Reason::name);
        let tallies = tallies
            .filter(|tally| *tally != Tally::EventsSent)
            .map(Tally::name);
        Self {
            is_caught: verdicts.contains(&Verdict::DROP),
            counted: reasons.chain(tallies).collect(),
        }
    }
}

/// What the document has to say of a case: who caught it, and as what it was counted by those who did not.
fn ours(outcomes: &[Outcome]) -> Cells {
    let mut cells: Cells = outcomes
        .iter()
        .map(|outcome| document::verdict(outcome.is_caught))
        .collect();
    let missed = outcomes.iter().filter(|outcome| !outcome.is_caught);
    let counted: BTreeSet<_> = missed
        .clone()
        .flat_map(|outcome| &outcome.counted)
        .collect();
    let counted: Vec<_> = counted.iter().map(|name| format!("`{name}`")).collect();
    cells.push(if missed.count() > 0 && counted.is_empty() {
        "`clean`".to_owned()
    } else {
        counted.join(", ")
    });
    cells
}

#[test]
fn the_document_says_what_becomes_of_each_way_to_hide_a_request() -> Result<()> {
    let cases = evasion::all();
    let mut outcomes: Vec<Vec<Outcome>> = cases.iter().map(|_| Vec::new()).collect();
    for (_, options) in RULES {
        let tables = tables(options)?;
        for (case, outcomes) in cases.iter().zip(&mut outcomes) {
            outcomes.push(on_the_host(&tables, case));
        }
    }
    let said: Vec<_> = outcomes.iter().map(|outcomes| ours(outcomes)).collect();
    document::check_ours(&cases, &said)
}

#[test]
fn the_kernel_catches_and_counts_each_way_to_hide_a_request_as_the_host_does() -> Result<()> {
    let test = "the_kernel_catches_and_counts_each_way_to_hide_a_request_as_the_host_does";
    if !kernel_or_skip(test) {
        return Ok(());
    }
    for (column, options) in RULES {
        let tables = tables(options)?;
        let mut kernel = TestKernel::load(&tables, 1)?;
        for case in evasion::all() {
            let host = on_the_host(&tables, &case);
            let kernel = in_the_kernel(&mut kernel, &case)?;
            assert_eq!(kernel, host, "{column}: {}", case.name);
        }
    }
    Ok(())
}

/// What Suricata's rules match in all cases together.
fn alerts(cases: &[Case], checksums: Checksums) -> Result<Vec<Alert>> {
    let directory = tempfile::tempdir()?;
    let capture = directory.path().join("evasion.pcap");
    let frames = cases.iter().flat_map(|case| case.frames.clone());
    fs::write(
        &capture,
        pcap(Link::Ethernet, evenly(frames, Duration::from_millis(1)))?,
    )?;
    let rules = SURICATA_RULES.map(|(_, rule)| rule).join("\n");
    suricata::alerts(&rules, &capture, checksums)
}

/// Which of the rules caught a case.
fn theirs(alerts: &[Alert], case: &Case) -> Cells {
    let found = |sid| {
        let of_case = |alert: &&Alert| alert.ports.contains(&case.client_port);
        alerts.iter().filter(of_case).any(|alert| alert.sid == sid)
    };
    (1..)
        .zip(SURICATA_RULES)
        .map(|(sid, _)| document::verdict(found(sid)))
        .collect()
}

#[test]
fn the_document_says_what_suricata_says_of_the_same_packets() -> Result<()> {
    if !suricata_or_skip("the_document_says_what_suricata_says_of_the_same_packets") {
        return Ok(());
    }
    let cases = evasion::all();
    let alerts = alerts(&cases, Checksums::Ignored)?;
    let said: Vec<_> = cases.iter().map(|case| theirs(&alerts, case)).collect();
    document::check_suricata(&cases, &said)
}

#[test]
fn a_decoy_with_a_wrong_checksum_does_not_mislead_suricata_when_it_looks_at_checksums() -> Result<()>
{
    let test = "a_decoy_with_a_wrong_checksum_does_not_mislead_suricata_when_it_looks_at_checksums";
    if !suricata_or_skip(test) {
        return Ok(());
    }
    let cases = evasion::all();
    let ignored = alerts(&cases, Checksums::Ignored)?;
    let checked = alerts(&cases, Checksums::Checked)?;
    let changed = |case: &&Case| theirs(&ignored, case) != theirs(&checked, case);
    let changed: Vec<_> = cases.iter().filter(changed).collect();
    let [decoy] = changed.as_slice() else {
        bail!("{} cases, and one has a wrong checksum", changed.len());
    };
    assert!(decoy.name.contains("wrong checksum"), "{}", decoy.name);
    assert_eq!(
        theirs(&checked, decoy),
        SURICATA_RULES.map(|_| document::verdict(true))
    );
    Ok(())
}

#[test]
fn where_detector_and_suricata_disagree_the_document_says_why() -> Result<()> {
    document::check_reasons()
}
