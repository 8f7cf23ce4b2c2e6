//! The classifier against its referees over every public capture: `etherparse` in the process and tshark for what the parser reads,
//! Suricata for what rules find.
//!
//! What they read or find differently is listed with its reason in `disagreements.toml`. A difference that is not listed fails, and
//! so does one that is listed and is none any more.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::{Context as _, Result, ensure};
use detector::{
    replay::{capture::CaptureReader, runtime::Replay},
    rules::{RuleSet, Variables, worms},
    tables::{HashSeed, Tables},
};
use detector_common::{config::Config, packet::Frame, parse::parse, reason::Reason};
use detector_tests::{
    capture::{files_in, frames_of},
    oracle::{
        disagreements::{Disagreements, PacketOfCapture, check},
        excuse::{self, EXCUSES},
        suricata::{self, Checksums},
        tshark::{self, Reading},
    },
    requirements::{captures_or_skip, suricata_or_skip, tshark_or_skip},
};

#[test]
fn every_excuse_of_the_referee_has_its_reason() -> Result<()> {
    let listed = Disagreements::load()?.etherparse;
    let names: BTreeSet<_> = listed.iter().map(|listed| listed.name.as_str()).collect();
    assert_eq!(names, BTreeSet::from(EXCUSES));
    Ok(())
}

#[test]
fn captures_are_read_as_etherparse_reads_them() -> Result<()> {
    let Some(folder) = captures_or_skip("captures_are_read_as_etherparse_reads_them") else {
        return Ok(());
    };
    let mut found = BTreeMap::new();
    let mut packets = 0;
    for file in files_in(&folder)? {
        for (number, (_, frame)) in (1..).zip(frames_of(&file)?) {
            packets += 1;
            match excuse::agree(&frame) {
                Ok(None) => {}
                Ok(Some(name)) => drop(found.insert(place(&file, number), name.to_owned())),
                Err(difference) => drop(found.insert(place(&file, number), difference)),
            }
        }
    }
    ensure!(packets > 10_000, "only {packets} packets");
    println!(
        "{packets} packets, {} of them read differently",
        found.len()
    );
    check(&Disagreements::load()?.etherparse, &found)
}

#[test]
fn captures_are_read_as_tshark_reads_them() -> Result<()> {
    let name = "captures_are_read_as_tshark_reads_them";
    let Some(folder) = captures_or_skip(name) else {
        return Ok(());
    };
    if !tshark_or_skip(name) {
        return Ok(());
    }
    let mut found = BTreeMap::new();
    let mut packets = 0;
    for file in files_in(&folder)? {
        packets += compare(&file, &mut found).with_context(|| file.display().to_string())?;
    }
    ensure!(packets > 10_000, "only {packets} packets");
    println!(
        "{packets} packets, {} of them read differently",
        found.len()
    );
    check(&Disagreements::load()?.tshark, &found)
}

#[test]
fn rules_find_in_captures_what_suricata_finds_with_them() -> Result<()> {
    let name = "rules_find_in_captures_what_suricata_finds_with_them";
    let Some(folder) = captures_or_skip(name) else {
        return Ok(());
    };
    if !suricata_or_skip(name) {
        return Ok(());
    }
    let rules = suricata::worms();
    let set = RuleSet::from_bytes(Path::new("worms.rules"), rules.as_bytes());
    ensure!(set.refusals.is_empty(), "{:?}", set.refusals);
    // All but Mirai's, which asks for what only detector can say.
    ensure!(set.rules.len() + 1 == worms().rules.len());
    let variables = Variables::with_http(&[80, 8080]);
    let tables = Tables::new(Config::DEFAULT, HashSeed::FIXED, &set.rules, &variables);
    let mut found = BTreeMap::new();
    let mut matches = 0;
    for file in files_in(&folder)? {
        let mut theirs: BTreeMap<u64, BTreeSet<u32>> = BTreeMap::new();
        for alert in suricata::alerts(&rules, &file, Checksums::Ignored)? {
            theirs.entry(alert.packet).or_default().insert(alert.sid);
        }
        let ours = matched(&tables, &file)?;
        matches += ours.len();
        let packets: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
        for packet in packets {
            let (ours, theirs) = (ours.get(packet), theirs.get(packet));
            // Of several rules that match, detector says one.
            let agree =
                matches!((ours, theirs), (Some(ours), Some(theirs)) if theirs.contains(ours));
            if !agree {
                let difference = format!("detector finds {ours:?}, Suricata {theirs:?}");
                found.insert(place(&file, *packet), difference);
            }
        }
    }
    println!(
        "{matches} packets match a rule, {} are judged differently",
        found.len()
    );
    check(&Disagreements::load()?.suricata, &found)
}

/// The numbers of the rules that packets of a capture match, by the number of the packet.
fn matched(tables: &Tables, file: &Path) -> Result<BTreeMap<u64, u32>> {
    let mut reader = CaptureReader::open(file)?;
    let mut replay = Replay::new(tables);
    let mut matched = BTreeMap::new();
    let mut before = BTreeMap::new();
    let mut number = 0;
    while let Ok(Some(captured)) = reader.next_frame() {
        number += 1;
        let frame = Frame::captured(captured.bytes, captured.wire_len);
        if replay.classify(&frame, captured.interface, number).reason != Reason::Signature {
            continue;
        }
        let after: BTreeMap<_, _> = replay
            .rule_hits()
            .map(|(rule, hits)| (rule.sid, hits.packets))
            .collect();
        let mut counted = after
            .iter()
            .filter(|(sid, count)| before.get(*sid) != Some(*count));
        let (sid, _) = counted.next().context("a match that no rule counts")?;
        matched.insert(number, *sid);
        before = after;
    }
    Ok(matched)
}

/// Compares every packet of a capture; adds where the two differ to `found`, and says how many there are.
fn compare(file: &Path, found: &mut BTreeMap<PacketOfCapture, String>) -> Result<u64> {
    let theirs = tshark::read(file)?;
    let mut reader = CaptureReader::open(file)?;
    let mut number = 0;
    while let Ok(Some(captured)) = reader.next_frame() {
        let frame = Frame::captured(captured.bytes, captured.wire_len);
        let ours = match parse(&frame) {
            Ok(packet) => Ok(tshark::ours(&packet, captured.bytes)),
            Err(reason) => Err(reason.name()),
        };
        let theirs = theirs.get(number).context("tshark finds fewer packets")?;
        number += 1;
        if let Some(difference) = difference(ours, theirs) {
            found.insert(place(file, number as u64), difference);
        }
    }
    ensure!(
        number == theirs.len(),
        "{number} packets, and tshark finds {}",
        theirs.len()
    );
    Ok(number as u64)
}

/// What the two read differently.
fn difference(ours: Result<Reading, &str>, theirs: &Reading) -> Option<String> {
    let ours = match ours {
        Ok(ours) if theirs.is_empty() => return Some(format!("read as {ours:?}, not by tshark")),
        Ok(ours) => ours,
        Err(_) if theirs.is_empty() => return None,
        Err(reason) => return Some(format!("{reason}, and tshark reads {theirs:?}")),
    };
    let mut told = Vec::new();
    for (name, ours) in &ours {
        let theirs = theirs.get(name).map_or("", String::as_str);
        // A cooked capture has no Ethernet header, and what is not there cannot be compared.
        if ours != theirs && !(name.ends_with(" mac") && theirs.is_empty()) {
            told.push(format!("{name}: {ours:.80}, tshark {theirs:.80}"));
        }
    }
    (!told.is_empty()).then(|| told.join("; "))
}

fn place(file: &Path, number: u64) -> PacketOfCapture {
    let name = file.file_name().unwrap_or_default();
    (name.to_string_lossy().into_owned(), number)
}
