//! Captures that the tests write through `detector replay`: every worm in every container, and ordinary traffic.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail};
use detector_tests::{
    builder::{Route, TIMESTAMP_OPTIONS},
    capture::{self, Link, evenly},
    command::{Ended, detector},
    worms::{self, ARP_STORM_MAC, TimedFrame, benign},
};
use serde_json::{Value, json};
use tempfile::TempDir;

const MILLISECOND: Duration = Duration::from_millis(1);

/// Captures in a folder of their own.
struct Captures {
    folder: TempDir,
}

impl Captures {
    fn new() -> Result<Self> {
        Ok(Self {
            folder: TempDir::new()?,
        })
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes)?;
        Ok(path)
    }

    /// What `detector replay` says of a capture.
    fn replayed(&self, name: &str, bytes: &[u8], options: &[&str]) -> Result<(Ended, Value)> {
        let path = self.write(name, bytes)?;
        let mut arguments = vec!["replay".into(), "-ojson".into(), path.into_os_string()];
        arguments.extend(options.iter().map(Into::into));
        let ended = detector(arguments)?;
        let report = ended.json()?;
        Ok((ended, report))
    }
}

/// The name, the source address and the packets of every finding, by name.
fn findings(report: &Value) -> Result<Vec<(String, String, u64)>> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = report["findings"].as_array().context("no findings")?;
    let mut all: Vec<_> = all
        .iter()
        .map(|finding| {
            let signature = finding["signature"].as_str();
            let name = signature.map_or_else(|| text(&finding["detector"]), str::to_owned);
            let count = finding["count"].as_u64().unwrap_or_default();
            (name, text(&finding["source"]["ip"]), count)
        })
        .collect();
    all.sort();
    Ok(all)
}

/// Every worm once.
fn infected(route: &Route) -> Vec<TimedFrame> {
    let frames = worms::all().into_iter().map(|worm| worm.frame(route));
    evenly(frames, MILLISECOND).collect()
}

/// Every worm with its source and one packet, by name.
fn every_worm(route: &Route) -> Vec<(String, String, u64)> {
    let mut all: Vec<_> = worms::all()
        .iter()
        .map(|worm| (worm.name.to_owned(), route.src_ip.to_string(), 1))
        .collect();
    all.sort();
    all
}

fn ordinary(route: &Route) -> Vec<TimedFrame> {
    let packets = benign::all(route)
        .into_iter()
        .chain(benign::lookalikes(route));
    evenly(packets.map(|benign| benign.packet.build()), MILLISECOND).collect()
}

#[test]
fn every_worm_is_found_in_every_container_and_over_every_link() -> Result<()> {
    let captures = Captures::new()?;
    let route = Route::default();
    let frames = || infected(&route);
    let plain = capture::pcap(Link::Ethernet, frames())?;
    let gzip = capture::gzip(&plain)?;
    for (name, bytes) in [
        ("ethernet.pcap", plain),
        ("ethernet.pcap.gz", gzip),
        ("cooked.pcap", capture::pcap(Link::Cooked, frames())?),
        ("cooked-v2.pcap", capture::pcap(Link::CookedV2, frames())?),
        (
            "ethernet.pcapng",
            capture::pcapng(1, frames().into_iter().map(|frame| (0, frame)))?,
        ),
    ] {
        let (ended, report) = captures.replayed(name, &bytes, &[])?;
        assert_eq!(findings(&report)?, every_worm(&route), "{name}");
        assert_eq!(
            report["reasons"],
            json!({ "signature": worms::all().len() }),
            "{name}"
        );
        assert_eq!(
            (ended.code, ended.stderr.as_str()),
            (Some(10), ""),
            "{name}"
        );
    }
    Ok(())
}

#[test]
fn tcp_options_and_vlan_tags_hide_no_worm() -> Result<()> {
    let captures = Captures::new()?;
    let route = Route {
        tcp_options: TIMESTAMP_OPTIONS,
        ..Route::default()
    };
    let tagged = worms::all().into_iter().map(|worm| {
        let mut frame = worm.frame(&route);
        frame.splice(12..12, [0x88, 0xa8, 0, 100, 0x81, 0, 0, 7]);
        frame
    });
    let bytes = capture::pcap(Link::Ethernet, evenly(tagged, MILLISECOND))?;
    let (_, report) = captures.replayed("tagged.pcap", &bytes, &[])?;
    assert_eq!(findings(&report)?, every_worm(&route));
    for finding in report["findings"].as_array().context("no findings")? {
        assert_eq!(finding["source"]["vlan"], json!([100, 7]));
    }
    Ok(())
}

#[test]
fn ordinary_traffic_and_what_looks_like_a_worm_pass_even_when_enforcing() -> Result<()> {
    let captures = Captures::new()?;
    let route = Route::default();
    for link in [Link::Ethernet, Link::Cooked, Link::CookedV2] {
        let frames = ordinary(&route);
        let packets = frames.len();
        let bytes = capture::pcap(link, frames)?;
        let (ended, report) = captures.replayed("ordinary.pcap", &bytes, &["--enforce"])?;
        assert_eq!(findings(&report)?, [], "{link:?}");
        assert_eq!(
            report["verdicts"],
            json!({ "pass": packets, "drop": 0, "would_drop": 0 }),
            "{link:?}"
        );
        assert_eq!(ended.code, Some(0), "{link:?}");
    }
    Ok(())
}

#[test]
fn a_storm_is_a_flood_and_a_sweep_of_one_sender_and_loses_only_its_excess() -> Result<()> {
    let captures = Captures::new()?;
    for link in [Link::Ethernet, Link::Cooked, Link::CookedV2] {
        let bytes = capture::pcap(link, worms::arp_storm())?;
        let (_, report) = captures.replayed("storm.pcap", &bytes, &["--enforce"])?;
        let mac = ARP_STORM_MAC.map(|byte| format!("{byte:02x}")).join(":");
        let [sweep, flood] = &report["findings"].as_array().context("no findings")?[..] else {
            bail!("{link:?}: {}", report["findings"]);
        };
        assert_eq!(
            (&sweep["detector"], &flood["detector"]),
            (&json!("arp_sweep"), &json!("arp_flood"))
        );
        for finding in [sweep, flood] {
            assert_eq!(finding["source"]["mac"], mac, "{link:?}");
            assert_eq!(finding["relayed_by_gateway"], true, "{link:?}");
        }
        let targets = sweep["targets"].as_u64().context("no targets")?;
        assert!(targets.abs_diff(303) <= 2 * 17, "{targets}, not 303");
        let excess = flood["count"].as_u64().context("no count")?;
        assert_eq!(
            report["verdicts"],
            json!({ "pass": 622 - excess, "drop": excess, "would_drop": 0 })
        );
        // 30 at once and 15/s pass of 21.5/s in 29 s.
        assert!((140..=180).contains(&excess), "{excess} of 622");
    }
    Ok(())
}

#[test]
fn requests_of_forged_senders_are_the_flood_of_their_segment() -> Result<()> {
    let captures = Captures::new()?;
    let frames = (0..1000_u16).map(|number| {
        let [high, low] = number.to_be_bytes();
        let route = Route {
            src_mac: [2, 0, 0, 1, high, low],
            ..Route::default()
        };
        benign::arp_request(&route).build()
    });
    let bytes = capture::pcap(Link::Ethernet, evenly(frames, MILLISECOND / 10))?;
    let (_, report) = captures.replayed("forged.pcap", &bytes, &[])?;
    let finding = &report["findings"][0];
    assert_eq!(finding["detector"], "arp_flood_segment");
    assert_eq!(
        finding["source"],
        json!({ "mac": null, "ip": null, "vlan": [] })
    );
    Ok(())
}

#[test]
fn a_source_on_two_interfaces_is_two_findings() -> Result<()> {
    let captures = Captures::new()?;
    let route = Route::default();
    let frames = [
        worms::slammer(&route).build(),
        worms::slammer(&route).build(),
    ];
    let frames = (0..).zip(evenly(frames, MILLISECOND));
    let (_, report) = captures.replayed("two.pcapng", &capture::pcapng(2, frames)?, &[])?;
    let interfaces: Vec<_> = report["findings"]
        .as_array()
        .context("no findings")?
        .iter()
        .map(|finding| finding["interface"].clone())
        .collect();
    assert_eq!(interfaces, [json!(0), json!(1)]);
    Ok(())
}

#[test]
fn two_captures_are_judged_each_for_itself_and_counted_together() -> Result<()> {
    let captures = Captures::new()?;
    let route = Route::default();
    let burst = || {
        evenly(
            (0..30).map(|_| benign::arp_request(&route).build()),
            MILLISECOND,
        )
    };
    let first = captures.write("first.pcap", &capture::pcap(Link::Ethernet, burst())?)?;
    let second = captures.write(
        "second.pcap",
        &capture::pcap(Link::Ethernet, infected(&route))?,
    )?;
    let third = captures.write("third.pcap", &capture::pcap(Link::Ethernet, burst())?)?;
    let files = [&first, &second, &third];
    let mut arguments = vec!["replay".into(), "-ojson".into()];
    arguments.extend(files.map(|file| file.clone().into_os_string()));
    let report = detector(arguments)?.json()?;

    // Together the two bursts would have been a flood.
    assert_eq!(findings(&report)?, every_worm(&route));
    assert_eq!(report["packets"], 60 + worms::all().len());
    let names: Vec<_> = files.iter().map(|file| json!(file)).collect();
    let reported = report["files"].as_array().context("no files")?;
    assert_eq!(
        reported
            .iter()
            .map(|file| file["file"].clone())
            .collect::<Vec<_>>(),
        names
    );
    assert_eq!(report["findings"][0]["file"], names[1]);
    Ok(())
}

#[test]
fn jsonl_has_a_line_for_each_finding_and_one_for_the_capture() -> Result<()> {
    let captures = Captures::new()?;
    let route = Route::default();
    let path = captures.write(
        "worms.pcap",
        &capture::pcap(Link::Ethernet, infected(&route))?,
    )?;
    let ended = detector(["replay".as_ref(), "-ojsonl".as_ref(), path.as_os_str()])?;
    let lines: Vec<Value> = ended
        .stdout
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let (last, findings) = lines.split_last().context("no lines")?;
    assert_eq!(findings.len(), worms::all().len());
    assert!(findings.iter().all(|line| line["type"] == "finding"));
    assert_eq!(last["type"], "file");
    assert_eq!(last["packets"], worms::all().len());
    assert!(lines.iter().all(|line| line["schema_version"] == 1));
    Ok(())
}

#[test]
fn a_policy_decides_what_is_reported_and_what_is_dropped() -> Result<()> {
    let captures = Captures::new()?;
    let route = Route::default();
    let bytes = capture::pcap(
        Link::Ethernet,
        [worms::slammer(&route)].map(|packet| TimedFrame {
            at: Duration::ZERO,
            frame: packet.build(),
        }),
    )?;
    for (policy, matched, found, dropped) in [
        ("off", 0, 0, 0),
        ("count", 1, 0, 0),
        ("alert", 1, 1, 0),
        ("drop", 1, 1, 1),
    ] {
        let text = format!("mode = 'enforce'\n[signature]\npolicy = '{policy}'");
        let config = captures.write("detector.toml", text.as_bytes())?;
        let config = config.display().to_string();
        let (_, report) = captures.replayed("slammer.pcap", &bytes, &["--config", &config])?;
        let seen = (
            report["reasons"]["signature"].as_u64().unwrap_or_default(),
            findings(&report)?.len(),
            report["verdicts"]["drop"].as_u64(),
        );
        assert_eq!(seen, (matched, found, Some(dropped)), "{policy}");
    }
    Ok(())
}
