//! Every fixture through the classifier on the host.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use detector_common::{
    abi::Counter,
    config::Mode,
    reason::Reason,
    verdict::{Decision, Verdict},
};
use detector_tests::{
    fixtures::{self, Fixture, UNREACHABLE},
    oracle::HostMaps,
    rule_names::{self, BOOK},
};

const NOW_NS: u64 = 1_000_000_000;

#[test]
fn every_fixture_gets_its_reason_and_verdict_when_monitoring() -> Result<()> {
    check(Mode::Monitor)
}

#[test]
fn every_fixture_gets_its_reason_and_verdict_when_enforcing() -> Result<()> {
    check(Mode::Enforce)
}

#[test]
fn no_two_fixtures_have_the_same_name() {
    let mut names = BTreeSet::new();
    for fixture in fixtures::all() {
        assert!(names.insert(fixture.name.clone()), "{} twice", fixture.name);
    }
}

#[test]
fn every_reason_has_a_fixture_or_says_why_it_has_none() {
    let reached: BTreeSet<_> = fixtures::all()
        .iter()
        .map(|fixture| fixture.reason)
        .collect();
    let unreachable: BTreeSet<_> = UNREACHABLE.iter().map(|(reason, _)| *reason).collect();
    for reason in Reason::ALL {
        assert_ne!(
            reached.contains(reason),
            unreachable.contains(reason),
            "{} must have a fixture or be listed as unreachable, and not both",
            reason.name()
        );
    }
}

#[test]
fn every_rule_has_a_fixture() {
    let shown: BTreeSet<_> = fixtures::all()
        .iter()
        .filter_map(|fixture| fixture.signature)
        .collect();
    let known: BTreeSet<_> = BOOK.iter().map(|(_, rule)| &*rule.name).collect();
    assert_eq!(shown, known, "rules of the fixtures, rules there are");
}

/// Runs every fixture on maps of its own and fails with all that went wrong.
fn check(mode: Mode) -> Result<()> {
    let tables = fixtures::tables(mode)?;
    let mut wrong = Vec::new();
    for fixture in fixtures::all() {
        let mut host = HostMaps::new(&tables, 2);
        for step in &fixture.before {
            let decision = host.run(1, &step.frame, NOW_NS);
            if decision != Decision::pass(step.reason) {
                wrong.push(format!("{}: before it {decision:?}", fixture.name));
            }
        }
        let before = host.state.counted();
        host.take_events();
        let decision = host.run(1, &fixture.frame, NOW_NS);
        wrong.extend(mistakes(&fixture, mode, decision, &mut host, before));
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    Ok(())
}

/// What is wrong with a fixture's decision, its count and its event.
fn mistakes(
    fixture: &Fixture,
    mode: Mode,
    decision: Decision,
    host: &mut HostMaps<'_>,
    mut counted: BTreeMap<(u32, Reason, Verdict), Counter>,
) -> Vec<String> {
    let name = &fixture.name;
    let mut wrong = Vec::new();
    let expected = Decision {
        reason: fixture.reason,
        verdict: fixture.verdict(mode),
    };
    if decision != expected {
        wrong.push(format!("{name}: expected {expected:?}, got {decision:?}"));
    }
    let entry = counted
        .entry((1, expected.reason, expected.verdict))
        .or_default();
    entry.packets += 1;
    entry.bytes += fixture.frame.len() as u64;
    if host.state.counted() != counted {
        wrong.push(format!(
            "{name}: expected counts {counted:?}, got {:?}",
            host.state.counted()
        ));
    }
    let found: Vec<_> = host
        .take_events()
        .iter()
        .filter_map(|event| rule_names::name_of(event.key.signature()))
        .collect();
    if found != fixture.signature.into_iter().collect::<Vec<_>>() {
        wrong.push(format!(
            "{name}: expected {:?}, found {found:?}",
            fixture.signature
        ));
    }
    wrong
}
