//! Public captures through `detector replay`: what is in them is found, and nothing else.
//!
//! The captures are described in their folder's README; a test without them is skipped, see `requirements`.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result, ensure};
use detector_tests::{
    capture::files_in,
    command::{Ended, detector},
    requirements::captures_or_skip,
};
use serde_json::Value;

/// Findings by name, with their packets.
type Found<'a> = &'a [(&'a str, u64)];

/// Captures with something in them. All others must be clean.
const INFECTED: [(&str, Found<'_>); 6] = [
    ("arp-storm.pcap", &[("arp_flood", 158), ("arp_sweep", 445)]),
    ("slammer.pcap", &[("sql-slammer", 1)]),
    (
        "wannacry.pcap",
        &[("doublepulsar-ping", 34), ("eternalblue-probe", 6)],
    ),
    (
        "eternalblue-success-unpatched-win7.pcap",
        &[("doublepulsar-ping", 4)],
    ),
    ("smbv1.pcap", &[("doublepulsar-ping", 1)]),
    // The scanner Nikto, which asks for what Nimda asked for.
    (
        "WebattackRCE.pcap",
        &[("nimda-03", 1), ("nimda-09", 2), ("nimda-11", 1)],
    ),
];

/// Captures that detectors of worms and floods are known to go wrong on.
const CLEAN: [&str; 7] = [
    "arp-oobr.pcap",
    "http_espn.pcapng",
    "http_google.pcapng",
    "ethereum.pcap",
    "synscan.pcap",
    "v6-http.pcap",
    "evidence03.pcap",
];

fn replayed(capture: &Path) -> Result<(Ended, Value)> {
    let ended = detector([
        "replay".as_ref(),
        "-o".as_ref(),
        "json".as_ref(),
        capture.as_os_str(),
    ])?;
    let report = ended.json()?;
    Ok((ended, report))
}

/// Packets by what was found in them, over all sources.
fn found(report: &Value) -> Result<BTreeMap<String, u64>> {
    let mut found = BTreeMap::new();
    for finding in report["findings"].as_array().context("no findings")? {
        let name = finding["signature"]
            .as_str()
            .or(finding["detector"].as_str());
        let count = finding["count"].as_u64().context("no count")?;
        *found
            .entry(name.context("no name")?.to_owned())
            .or_default() += count;
    }
    Ok(found)
}

#[test]
fn what_is_in_a_capture_is_found_and_nothing_else() -> Result<()> {
    let Some(folder) = captures_or_skip("what_is_in_a_capture_is_found_and_nothing_else") else {
        return Ok(());
    };
    let captures = files_in(&folder)?;
    for name in INFECTED.iter().map(|(name, _)| *name).chain(CLEAN) {
        ensure!(folder.join(name).is_file(), "{name} is not in the folder");
    }
    for capture in captures {
        let name = capture.file_name().unwrap_or_default().to_string_lossy();
        let infected = INFECTED.iter().find(|(infected, _)| *infected == name);
        let expected: BTreeMap<String, u64> = infected
            .into_iter()
            .flat_map(|(_, found)| *found)
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect();

        let (ended, report) = replayed(&capture)?;
        assert_eq!(found(&report)?, expected, "{name}");
        assert_eq!(
            ended.code,
            Some(if expected.is_empty() { 0 } else { 10 }),
            "{name}"
        );
        assert_eq!(ended.stderr, "", "{name}");
        assert_eq!(report["verdicts"]["pass"], report["packets"], "{name}");
    }
    Ok(())
}

#[test]
fn the_storm_of_2004_has_one_sender_and_622_requests() -> Result<()> {
    let Some(folder) = captures_or_skip("the_storm_of_2004_has_one_sender_and_622_requests") else {
        return Ok(());
    };
    let (_, report) = replayed(&folder.join("arp-storm.pcap"))?;
    assert_eq!(report["packets"], 622);
    assert_eq!(report["findings"].as_array().map(Vec::len), Some(2));
    let (sweep, flood) = (&report["findings"][0], &report["findings"][1]);
    assert_eq!(
        (&sweep["detector"], &flood["detector"]),
        (&"arp_sweep".into(), &"arp_flood".into())
    );
    for finding in [sweep, flood] {
        assert_eq!(finding["source"]["mac"], "00:07:0d:af:f4:54");
        assert_eq!(finding["relayed_by_gateway"], true);
    }
    // The standard error of the sketch at 303 is 5.5 %: within two of it.
    let targets = sweep["targets"].as_u64().context("no targets")?;
    assert!(targets.abs_diff(303) <= 33, "{targets} targets, not 303");
    assert_eq!(flood["count"], 158);
    Ok(())
}

#[test]
fn slammer_is_one_finding_with_everything_about_its_source() -> Result<()> {
    let test = "slammer_is_one_finding_with_everything_about_its_source";
    let Some(folder) = captures_or_skip(test) else {
        return Ok(());
    };
    let (_, report) = replayed(&folder.join("slammer.pcap"))?;
    let mut finding = report["findings"][0].clone();
    finding["file"] = Value::Null;
    let expected = serde_json::json!({
        "file": null,
        "interface": 0,
        "detector": "signature",
        "signature": "sql-slammer",
        "id": 40,
        "severity": "high",
        "source": { "mac": "00:00:0c:55:46:2c", "ip": "213.76.212.22", "vlan": [] },
        "count": 1,
        "targets": null,
        "tried": null,
        "relayed_by_gateway": false,
        "dropped": 0,
        "first": "2003-10-10T22:02:49.239104Z",
        "last": "2003-10-10T22:02:49.239104Z",
    });
    assert_eq!(finding, expected);
    Ok(())
}

#[test]
fn enforcing_drops_what_was_found_and_the_excess_of_a_storm() -> Result<()> {
    let test = "enforcing_drops_what_was_found_and_the_excess_of_a_storm";
    let Some(folder) = captures_or_skip(test) else {
        return Ok(());
    };
    for (name, found) in INFECTED {
        let capture = folder.join(name);
        let ended = detector([
            "replay".as_ref(),
            "--enforce".as_ref(),
            "-ojson".as_ref(),
            capture.as_os_str(),
        ])?;
        let report = ended.json()?;
        // A sweep is told and costs nothing.
        let costly = found.iter().filter(|(name, _)| *name != "arp_sweep");
        let dropped: u64 = costly.map(|(_, count)| count).sum();
        assert_eq!(report["verdicts"]["drop"], dropped, "{name}");
        assert_eq!(report["mode"], "enforce");
    }
    Ok(())
}
