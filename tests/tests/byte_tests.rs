//! `byte_test`, `byte_jump` and tests of single header fields: what detector finds in a packet is what Suricata does.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path, time::Duration};

use anyhow::{Result, ensure};
use detector::{
    rules::{RuleSet, Variables},
    tables::{HashSeed, Tables},
};
use detector_common::config::{Config, Mode};
use detector_tests::{
    builder::Route,
    capture::{Link, evenly, pcap},
    oracle::{
        HostMaps,
        suricata::{self, Checksums},
    },
    requirements::suricata_or_skip,
};

/// What is asked of datagrams with these payloads.
const PAYLOADS: [&[u8]; 7] = [
    b"ab\x80\x01\x02\x03\x04\xffcd",
    b"ab\x00\x00\x00\x10\x00\x00cd\xff\xfe",
    b"xxab\x7f\xff\xff\xffab\x81\x00\x00\x01",
    b"ab",
    b"ab\x01",
    b"zz\x00\x01\x00\x20abab\x90",
    b"\x81\x82\x83\x84ab",
];

const OPTIONS: [&str; 34] = [
    "byte_test:1,&,128,2;",
    "byte_test:1,!&,128,2;",
    "content:\"ab\"; byte_test:1,&,128,0,relative;",
    "content:\"ab\"; byte_test:1,!&,128,0,relative;",
    "content:\"ab\"; byte_test:1,^,1,0,relative;",
    "content:\"ab\"; byte_test:1,!^,1,0,relative;",
    "content:\"ab\"; byte_test:2,>,32768,0,relative;",
    "content:\"ab\"; byte_test:2,>,32768,0,relative,little;",
    "content:\"ab\"; byte_test:4,<,0x1000000,0,relative;",
    "content:\"ab\"; byte_test:4,<,0x1000000,0,relative,little;",
    "content:\"ab\"; byte_test:4,=,2147483647,0,relative;",
    "content:\"ab\"; byte_test:4,>=,2147483647,0,relative;",
    "content:\"ab\"; byte_test:4,<=,2147483647,0,relative;",
    "content:\"ab\"; byte_test:4,!=,2147483647,0,relative;",
    "content:\"ab\"; byte_test:4,!>,16,0,relative;",
    "content:\"ab\"; byte_test:3,>,1,0,relative;",
    "content:\"ab\"; byte_test:1,>,0,-3,relative;",
    "content:\"ab\"; byte_test:1,>,0,-4,relative;",
    "content:\"ab\"; byte_test:4,>,0,-6,relative;",
    "content:\"ab\"; byte_test:4,>,32,-6,relative,little;",
    "content:\"ab\"; content:!\"z\"; byte_test:1,>,0,0,relative;",
    "content:\"ab\"; byte_test:1,!,1,0,relative;",
    "byte_test:2,!,1,2;",
    "byte_test:1,>,0,0,relative;",
    "byte_test:2,=,0xff,3,bitmask 0xff00;",
    "byte_test:2,>,3,2,bitmask 0x00f0;",
    "byte_test:2,&,1,2,bitmask 0xff80;",
    "byte_test:1,=,0101,8;",
    "byte_test:1,<,256,8;",
    "content:\"ab\"; content:\"ab\"; distance:0; byte_test:1,&,128,0,relative;",
    "content:\"ab\"; byte_test:1,=,0x7f,0,relative; byte_test:1,=,0xff,1,relative;",
    "content:\"ab\"; byte_test:1,=,0x81,0,relative; byte_test:1,=,1,3,relative;",
    "sameip;",
    "ip_proto:17;",
];

/// What is asked of where numbers lead in datagrams with these payloads.
const JUMPED_IN: [&[u8]; 12] = [
    b"ab\x00\x02..cd\x01\x02",
    b"ab\x02\x00..cd\x01\x02ef",
    b"ab\x00\x04....",
    b"ab\x00\x03....",
    b"ab\x04\x00....",
    b"ab\x03\x00....",
    // The first one leads nowhere, or to where nothing is.
    b"ab\xff\xff..ab\x00\x02..cd\x01\x02",
    b"ab\x02\x00..cdab\x05\x00.....xyef.cd",
    // Numbers that lead back, and before the start.
    b"cd\x01\x02..ab\x00\x00\x00\x04....cd",
    b"\x04\x00\x00\x00cd\x01\x02ab\x04\x00\x00\x00",
    b"ab\x01..cd..\x05.ef",
    b"ab",
];

const JUMPS: [&str; 48] = [
    "content:\"ab\"; byte_jump:2,0,relative; content:\"cd\"; distance:0; within:2;",
    "content:\"ab\"; byte_jump:2,0,relative,little; content:\"cd\"; distance:0; within:2;",
    "content:\"ab\"; byte_jump:2,0,little,relative; content:\"cd\"; distance:0;",
    "content:\"ab\";byte_jump:2,0,relative;byte_test:1,=,1,2,relative;",
    "content:\"ab\"; byte_jump:2,0,relative,little; byte_test:1,=,1,2,relative;",
    // To the last byte, and right behind it.
    "content:\"ab\"; byte_jump:2,0,relative;",
    "content:\"ab\"; byte_jump:2,0,relative,little;",
    "content:\"ab\"; byte_jump:2,0,relative,little; isdataat:1,relative;",
    "content:\"ab\"; byte_jump:2,0,relative,little; isdataat:!1,relative;",
    "content:\"ab\"; byte_jump:2,0,relative,little; isdataat:2,relative;",
    "content:\"ab\"; byte_jump:2,0,relative,little; isdataat:!3,relative;",
    "content:\"ab\"; byte_jump:1,-1,relative,post_offset -98;",
    "content:\"ab\"; byte_jump:1,-1,relative,post_offset -97; content:\"..\"; distance:0;",
    "content:\"ab\"; byte_jump:1,0,relative; content:\"cd\"; distance:0;",
    "content:\"ab\"; byte_jump:1,0,relative; content:\"cd\"; distance:1; within:2;",
    "content:\"ab\"; byte_jump:1,0,relative; content:!\"cd\"; distance:0; within:4;",
    "content:\"ab\"; byte_jump:1,0,relative; content:!\"cd\"; distance:0;",
    "content:\"ab\"; byte_jump:1,0,relative; content:\"cd\"; distance:-4; within:8;",
    "byte_jump:1,0; content:\"cd\"; distance:0;",
    "byte_jump:1,2; content:\"cd\"; distance:0;",
    "byte_jump:1,2,relative; content:\"cd\"; distance:0;",
    "byte_jump:2,2,little; content:\"cd\"; distance:0; within:4;",
    "content:\"ab\"; byte_jump:2,2,little; content:\"cd\"; distance:0; within:4;",
    "byte_jump:2,2,little,align; content:\"ef\"; distance:0;",
    "byte_jump:1,2,align; content:\"cd\"; distance:0; within:3;",
    "content:\"ab\"; byte_jump:1,0,relative,align; content:\"cd\"; distance:0;",
    "content:\"ab\"; byte_jump:1,1,relative,multiplier 2; content:\"cd\"; distance:0;",
    "content:\"ab\"; byte_jump:1,1,relative,multiplier 2,post_offset -2; content:\"cd\"; distance:0; within:2;",
    "content:\"ab\"; byte_jump:1,0,relative,multiplier 3,align; content:\"c\"; distance:0;",
    "content:\"ab\"; byte_jump:1,0,relative,multiplier 65535;",
    "content:\"ab\"; byte_jump:4,0,little,relative,from_beginning; content:\"cd\"; distance:0; within:2;",
    "content:\"ab\"; byte_jump:4,0,relative,from_beginning; byte_test:1,<,200,0,relative;",
    "content:\"cd\"; byte_jump:2,-8,relative,from_beginning; content:\"ab\"; distance:-2;",
    "content:\"ab\"; byte_jump:2,-4,relative,from_beginning;",
    "content:\"ab\"; byte_jump:1,0,relative,from_beginning; content:\"ab\"; distance:-1;",
    "content:\"ab\"; byte_jump:1,0,relative,from_beginning,post_offset -1; content:\"ab\"; distance:0;",
    "content:\"ab\"; byte_jump:1,0,relative,from_end,post_offset -4; content:\"cd\"; distance:0;",
    "byte_jump:1,2,from_end,post_offset -2; content:\"ef\"; distance:0;",
    "byte_jump:1,2,from_end;",
    // Before the start.
    "content:\"ab\"; byte_jump:1,-1,relative,post_offset -300; content:\"ab\"; distance:0; within:2;",
    "content:\"ab\"; byte_jump:1,0,relative,from_end,post_offset -400; byte_test:1,=,97,0,relative;",
    "content:\"ab\"; byte_jump:4,0,relative,multiplier 65535,post_offset -65535;",
    // One behind another, and what counts from neither.
    "content:\"ab\"; byte_jump:1,0,relative; byte_jump:1,1,relative; content:\"ef\"; distance:0;",
    "content:\"ab\"; byte_jump:1,0,relative; content:\"cd\"; distance:0; byte_jump:1,2,relative; content:\"ef\"; distance:-6;",
    "content:\"ab\"; byte_jump:2,0,little,relative; content:\".\"; distance:0; content:\"ef\"; distance:0;",
    "content:\"ab\"; byte_jump:2,0,little,relative; content:\"xy\"; distance:0; content:\"cd\"; distance:0;",
    "content:\"ab\"; byte_jump:2,0,little,relative; content:\"xy\"; distance:0; content:\"cd\"; offset:6; byte_test:1,<,128,0,relative;",
    "content:\"cd\"; content:\"ab\"; distance:0; byte_jump:1,0,relative; content:\"cd\"; distance:0;",
];

/// The packets, from 1, and the rules, from 1, that detector finds in them.
fn found(rules: &[String], frames: &[Vec<u8>]) -> Result<BTreeSet<(u64, u32)>> {
    let mut found = BTreeSet::new();
    for (sid, rule) in (1..).zip(rules) {
        let set = RuleSet::from_bytes(Path::new("test.rules"), rule.as_bytes());
        ensure!(set.refusals.is_empty(), "{:?}", set.refusals);
        let config = Config::DEFAULT.with_mode(Mode::Monitor);
        let variables = Variables::default();
        let tables = Tables::new(config, HashSeed::FIXED, &set.rules, &variables);
        ensure!(tables.refused.is_empty(), "{:?}", tables.refused);
        let mut host = HostMaps::new(&tables, 1);
        let mut before = 0;
        for (number, frame) in (1..).zip(frames) {
            let _decision = host.run(0, frame, number * 1_000_000_000);
            let hits: u64 = host.state.rule_hits.iter().map(|hits| hits.packets).sum();
            if hits != before {
                found.insert((number, sid));
                before = hits;
            }
        }
    }
    Ok(found)
}

/// Fails unless Suricata finds the same in these packets, and enough; an option for each rule.
fn agree(options: &[&str], frames: Vec<Vec<u8>>, at_least: usize) -> Result<()> {
    let mut rules = Vec::new();
    for (sid, options) in (1..).zip(options) {
        let mut rule = String::new();
        let _ = writeln!(
            rule,
            "alert ip any any -> any any (msg:\"{sid}\"; {options} sid:{sid};)"
        );
        rules.push(rule);
    }
    let ours = found(&rules, &frames)?;
    let folder = tempfile::tempdir()?;
    let capture = folder.path().join("numbers.pcap");
    fs::write(
        &capture,
        pcap(Link::Ethernet, evenly(frames, Duration::from_secs(1)))?,
    )?;
    let mut theirs = BTreeSet::new();
    // Of one packet it tells 15 at most.
    for rules in rules.chunks(15) {
        let alerts = suricata::alerts(&rules.concat(), &capture, Checksums::Ignored)?;
        theirs.extend(alerts.iter().map(|alert| (alert.packet, alert.sid)));
    }
    let said =
        |(packet, sid): &(u64, u32)| format!("packet {packet}: {}", options[*sid as usize - 1]);
    let only_ours: Vec<_> = ours.difference(&theirs).map(said).collect();
    let only_theirs: Vec<_> = theirs.difference(&ours).map(said).collect();
    ensure!(
        only_ours.is_empty() && only_theirs.is_empty(),
        "only detector: {only_ours:#?}\nonly Suricata: {only_theirs:#?}"
    );
    ensure!(ours.len() > at_least, "only {} were found", ours.len());
    Ok(())
}

/// A datagram of each payload. Each is of a flow of its own, for of one Suricata tells some rules once.
fn datagrams(payloads: &[&[u8]]) -> Vec<Vec<u8>> {
    let route = Route::default();
    let payloads = (1024..).zip(payloads);
    let frames = payloads.map(|(port, payload)| route.ipv4().udp(port, 9).payload(payload).build());
    frames.collect()
}

#[test]
fn suricata_finds_the_same_numbers() -> Result<()> {
    if !suricata_or_skip("suricata_finds_the_same_numbers") {
        return Ok(());
    }
    let mut frames = datagrams(&PAYLOADS);
    let route = Route::default();
    let same = Route {
        src_ip: route.dst_ip,
        ..route
    };
    frames.push(same.ipv4().udp(1024, 9).payload(b"q").build());
    agree(&OPTIONS, frames, 60)
}

#[test]
fn suricata_goes_where_the_same_numbers_lead() -> Result<()> {
    if !suricata_or_skip("suricata_goes_where_the_same_numbers_lead") {
        return Ok(());
    }
    agree(&JUMPS, datagrams(&JUMPED_IN), 100)
}

/// Suricata gives up: behind a later place of the content before it, one that is missing would be missing too. But another number leads
/// elsewhere.
#[test]
fn another_number_is_followed_if_what_stands_behind_is_only_half_there() -> Result<()> {
    let rule = "alert udp any any -> any any (content:\"ab\"; byte_jump:2,0,relative,little; \
                content:\"xy\"; distance:0; content:\"cd\"; distance:0; sid:1;)";
    let frames = datagrams(&[
        b"ab\x0c\x00ab\x01\x00.xy.cd..xy",
        b"ab\x0c\x00ab\x05\x00.xy.cd..xy",
    ]);
    ensure!(found(&[rule.to_owned()], &frames)? == BTreeSet::from([(1, 1)]));
    Ok(())
}
