//! Of any rules with one content each, the filter misses none that is there, wherever it stands and whatever looks like it beside it.
//!
//! `rules.rs` asks the same of a thousand rules that stay the same; here they are drawn, and share as many bytes as they like. The seed
//! is fixed, so a run is the same every time; a failure prints the shortest rules that show it.

use std::{cell::Cell, fmt::Write as _};

use detector::rules::Rule;
use detector_tests::rule_sets::{Packet, compiled, matcher, search};
use proptest::{
    collection::vec,
    prelude::{Strategy, any},
    prop_assert, prop_assert_eq,
    sample::select,
    test_runner::{Config, RngSeed, TestCaseError, TestRunner},
};

/// What contents are made of, and what stands between them: letters of both cases, and bytes that differ as these do.
const BYTES: &[u8] = b"abAB.N`@ \0";

/// A content, and whether its case counts.
type Content = (Vec<u8>, bool);

fn content(len: std::ops::Range<usize>) -> impl Strategy<Value = Content> {
    (vec(select(BYTES), len), any::<bool>())
}

/// Contents that the filter looks for, and a few that are too short for that. More of these would cost more than a packet is given.
fn contents() -> impl Strategy<Value = Vec<Content>> {
    let (long, short) = (vec(content(4..61), 1..13), vec(content(1..4), 0..3));
    (long, short).prop_map(|(mut long, short)| {
        long.extend(short);
        long
    })
}

/// Bytes as a content has them between bars.
fn hex(bytes: &[u8]) -> String {
    let mut hex = String::new();
    for byte in bytes {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// A rule for each content.
fn file(contents: &[Content]) -> String {
    let mut text = String::new();
    for (sid, (bytes, nocase)) in (1..).zip(contents) {
        text.push_str("drop tcp any any -> any 80 (content:\"|");
        text.push_str(&hex(bytes));
        let nocase = if *nocase { "nocase; " } else { "" };
        let _ = writeln!(text, "|\"; {nocase}sid:{sid};)");
    }
    text
}

/// Fails unless the tables find in `payload` what is there, all of it decided; gives the number of the rule.
fn agree(
    (rules, tables): &(Vec<Rule>, detector::tables::Tables),
    payload: &[u8],
) -> Result<Option<u32>, TestCaseError> {
    let packet = Packet::to_web(payload.to_vec());
    let expected = matcher::first(rules, &packet).map(|rule| rule.sid);
    let (found, is_cut_short) = search(tables, &packet);
    let entry = found.and_then(|found| tables.book.get(found.slot()));
    prop_assert!(!is_cut_short, "cut short: {}", payload.escape_ascii());
    prop_assert_eq!(
        entry.map(|entry| entry.sid),
        expected,
        "{}",
        payload.escape_ascii()
    );
    Ok(expected)
}

#[test]
fn each_content_is_found_at_every_alignment_at_the_start_in_the_middle_and_at_the_end() {
    let cases = (contents(), 120_usize..1461, vec(select(BYTES), 1461));
    let placements = Cell::new(0);
    check(64, cases, |(contents, len, filling)| {
        let compiled = compiled(&file(&contents));
        prop_assert_eq!(compiled.0.len(), contents.len());
        for (bytes, _) in &contents {
            let last = len - bytes.len();
            let middle = last / 2;
            for at in (0..4).chain(middle..middle + 4).chain(last - 3..=last) {
                let mut payload = filling[..len].to_vec();
                payload[at..at + bytes.len()].copy_from_slice(bytes);
                let found = agree(&compiled, &payload)?;
                prop_assert!(found.is_some(), "{} at {at}", bytes.escape_ascii());
                placements.set(placements.get() + 1);
            }
        }
        Ok(())
    });
    assert!(placements.get() > 4000, "only {}", placements.get());
}

#[test]
fn each_content_is_found_where_a_number_leads_and_not_a_byte_beside_it() {
    let cases = (content(4..61), 120_usize..1461, vec(select(BYTES), 1461));
    check(64, cases, |((bytes, nocase), len, filling)| {
        let hex = hex(&bytes);
        let nocase = if nocase { "nocase; " } else { "" };
        let compiled = compiled(&format!(
            "drop tcp any any -> any 80 (content:\"head\"; byte_jump:2,0,relative,from_beginning; \
             content:\"|{hex}|\"; {nocase}distance:0; within:{}; sid:1;)",
            bytes.len()
        ));
        prop_assert_eq!(compiled.0.len(), 1);
        let last = len - bytes.len();
        for (head, at) in [(0, 6), (0, 7), (1, 8), (2, 33), (3, last)]
            .into_iter()
            .chain((0..4).map(|at| (last / 2 + 61, last / 2 + at)))
            .filter(|(head, _)| head + 6 < len)
        {
            let mut payload = filling[..len].to_vec();
            payload[at..at + bytes.len()].copy_from_slice(&bytes);
            payload[head..head + 4].copy_from_slice(b"head");
            payload[head + 4..head + 6].copy_from_slice(&(at as u16).to_be_bytes());
            let found = agree(&compiled, &payload)?;
            let is_whole = head + 6 <= at || at + bytes.len() <= head;
            prop_assert!(found.is_some() || !is_whole, "at {at}");
            payload[head + 4..head + 6].copy_from_slice(&(at as u16 + 1).to_be_bytes());
            agree(&compiled, &payload)?;
        }
        Ok(())
    });
}

#[test]
fn decoys_that_share_all_but_a_byte_neither_hide_a_content_nor_raise_an_alarm() {
    let cases = (contents(), 1_u8..=255);
    let quiet = Cell::new(0);
    check(64, cases, |(contents, change)| {
        let compiled = compiled(&file(&contents));
        for (bytes, _) in &contents {
            let mut payload = Vec::new();
            for at in 0..bytes.len() {
                let mut decoy = bytes.clone();
                decoy[at] ^= change;
                payload.extend(decoy);
            }
            payload.truncate(1300);
            // Two decoys may make up what neither is: what is really there, the plain matcher says.
            if agree(&compiled, &payload)?.is_none() {
                quiet.set(quiet.get() + 1);
            }
            payload.extend(bytes);
            let found = agree(&compiled, &payload)?;
            prop_assert!(found.is_some(), "{} behind decoys", bytes.escape_ascii());
        }
        Ok(())
    });
    assert!(quiet.get() > 100, "only {} without an alarm", quiet.get());
}

/// Asks `property` of that many values.
fn check<S: Strategy>(
    cases: u32,
    values: S,
    property: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let mut runner = TestRunner::new(Config {
        cases,
        rng_seed: RngSeed::Fixed(0x00de_7ec7),
        failure_persistence: None,
        ..Config::default()
    });
    let result = runner.run(&values, property);
    let failure = result.err().map(|error| error.to_string());
    assert_eq!(failure, None);
}
