//! Rules in force: what they find and what they do not, on the host and in the kernel.

use std::{path::Path, thread, time::Duration};

use anyhow::{Result, ensure};
use detector::{
    replay::runtime::Replay,
    rules::{RuleSet, Variables},
    tables::{HashSeed, Tables},
};
use detector_common::{
    abi::Tally,
    config::{Config, Mode, Policy},
    detect::{Detector, scan},
    packet::Frame,
    reason::Reason,
    token_bucket::Limit,
    verdict::Verdict,
    window::Threshold,
};
use detector_tests::{
    builder::{PacketBuilder, Route, SYN},
    kernel::TestKernel,
    requirements::kernel_or_skip,
    rule_sets::{Packet, compiled, matcher},
};

/// The tables of rules, enforced.
fn tables(rules: &str) -> Result<Tables> {
    let set = RuleSet::from_bytes(Path::new("test.rules"), rules.as_bytes());
    ensure!(set.refusals.is_empty(), "{:?}", set.refusals);
    let config = Config::DEFAULT.with_mode(Mode::Enforce);
    let tables = Tables::new(config, HashSeed::FIXED, &set.rules, &Variables::default());
    ensure!(tables.refused.is_empty(), "{:?}", tables.refused);
    Ok(tables)
}

/// The numbers of the rules that a packet matches on the host: one or none, and whether all was decided.
fn found(tables: &Tables, packet: &PacketBuilder) -> Vec<u32> {
    let frame = packet.build();
    let mut replay = Replay::new(tables);
    let _ = replay.classify(&Frame::whole(&frame), 0, 1);
    let cut_short = replay
        .tallies()
        .find(|(tally, _)| *tally == Tally::RulesCutShort);
    assert_eq!(cut_short.map(|(_, count)| count), Some(0), "cut short");
    replay.rule_hits().map(|(rule, _)| rule.sid).collect()
}

fn to_web(payload: &[u8]) -> PacketBuilder {
    let route = Route::default();
    route.ipv4().tcp(route.src_port, 80).payload(payload)
}

/// Numbers that look as if they were drawn.
fn drawn(state: &mut u64) -> usize {
    *state = state
        .wrapping_mul(0x5851_f42d_4c95_7f2d)
        .wrapping_add(0x1405_7b7e_f767_814f);
    (*state >> 33) as usize
}

/// So many patterns of 7 to 40 bytes, none of which is a part of another.
fn patterns(count: usize) -> Vec<Vec<u8>> {
    let mut state = 7;
    (0..count)
        .map(|number| {
            let len = 7 + drawn(&mut state) % 34;
            let mut pattern = format!("{number:06}").into_bytes();
            pattern.resize_with(len, || b"abcdefgh/.-?= "[drawn(&mut state) % 14]);
            pattern
        })
        .collect()
}

fn rules_of(patterns: &[Vec<u8>]) -> String {
    let rule = |(sid, pattern): (usize, &Vec<u8>)| {
        let hex: Vec<_> = pattern.iter().map(|byte| format!("{byte:02x}")).collect();
        format!(
            "drop tcp any any -> any 80 (content:\"|{}|\"; sid:{sid};)\n",
            hex.join(" ")
        )
    };
    patterns
        .iter()
        .enumerate()
        .map(|(index, pattern)| rule((index + 1, pattern)))
        .collect()
}

#[test]
fn every_pattern_is_found_at_every_alignment_at_the_start_in_the_middle_and_at_the_end()
-> Result<()> {
    let patterns = patterns(1000);
    let tables = tables(&rules_of(&patterns))?;
    let mut replay = Replay::new(&tables);
    let mut state = 1;
    let mut wrong = Vec::new();
    // Of all that are in force as many as there is time for.
    for (index, pattern) in patterns.iter().enumerate().step_by(7) {
        for len in [120, 121, 122, 123, 1457, 1458, 1459, 1460] {
            let last = len - pattern.len();
            let middle = 40 + drawn(&mut state) % 4;
            for at in [0, 1, 2, 3, middle, last - 3, last - 2, last - 1, last] {
                let mut payload: Vec<u8> = (0..len)
                    .map(|_| b'A' + (drawn(&mut state) % 26) as u8)
                    .collect();
                payload[at..at + pattern.len()].copy_from_slice(pattern);
                let before: u64 = replay.rule_hits().map(|(_, hits)| hits.packets).sum();
                let frame = to_web(&payload).build();
                let decision = replay.classify(&Frame::whole(&frame), 0, 1);
                let hits = replay
                    .rule_hits()
                    .find(|(rule, _)| rule.sid as usize == index + 1);
                let after: u64 = replay.rule_hits().map(|(_, hits)| hits.packets).sum();
                if decision.verdict != Verdict::DROP || hits.is_none() || after != before + 1 {
                    wrong.push(format!("pattern {index} at {at} of {len}"));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} not found: {:?}",
        wrong.len(),
        &wrong[..wrong.len().min(5)]
    );
    Ok(())
}

#[test]
fn decoys_that_share_all_but_a_byte_neither_hide_a_pattern_nor_raise_an_alarm() -> Result<()> {
    let patterns = patterns(64);
    let tables = tables(&rules_of(&patterns))?;
    for (index, pattern) in patterns.iter().enumerate() {
        let mut decoys = Vec::new();
        for at in 0..pattern.len() {
            let mut decoy = pattern.clone();
            decoy[at] ^= 0x80;
            decoys.extend(decoy);
        }
        decoys.truncate(1300);
        assert!(
            found(&tables, &to_web(&decoys)).is_empty(),
            "decoys of pattern {index}"
        );
        decoys.extend(pattern);
        let sid = u32::try_from(index)? + 1;
        assert_eq!(
            found(&tables, &to_web(&decoys)),
            [sid],
            "pattern {index} behind decoys"
        );
    }
    Ok(())
}

#[test]
fn the_kernel_finds_what_the_host_does_with_a_thousand_rules() -> Result<()> {
    if !kernel_or_skip("the_kernel_finds_what_the_host_does_with_a_thousand_rules") {
        return Ok(());
    }
    let patterns = patterns(1000);
    let tables = tables(&rules_of(&patterns))?;
    let mut kernel = TestKernel::load(&tables, 1)?;
    let mut state = 3;
    for (index, pattern) in patterns.iter().enumerate() {
        let before = drawn(&mut state) % 1300;
        let mut payload: Vec<u8> = (0..before)
            .map(|_| b'A' + (drawn(&mut state) % 26) as u8)
            .collect();
        payload.extend(pattern);
        payload.resize(payload.len() + drawn(&mut state) % 100, b'z');
        let whole = to_web(&payload).build();
        let verdict = kernel.run(0, &whole)?;
        assert_eq!(verdict, Verdict::DROP, "pattern {index} at {before}");
        payload[before + pattern.len() - 1] ^= 1;
        let verdict = kernel.run(0, &to_web(&payload).build())?;
        assert_eq!(verdict, Verdict::PASS, "pattern {index} spoilt at {before}");
    }
    assert_eq!(kernel.state()?.tally(Tally::RulesCutShort), 0);
    Ok(())
}

/// What a rule asks besides its header, payloads that match, and payloads that do not.
type Case = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const CASES: &[Case] = &[
    (
        "content:\"abcdefg\";",
        &["abcdefg", "xabcdefg", "xxxxxxxxabcdefgx"],
        &["abcdef", "abcdeg", "ABCDEFG"],
    ),
    (
        "content:\"abcdefg\"; nocase;",
        &["ABcdEfg", "xxABCDEFGxx"],
        &["ABcdEf", "@bcdefg"],
    ),
    (
        "content:\"abcd\";",
        &["abcd", "xabcd", "xxabcdx", "xxxabcdxx"],
        &["abc", "abxcd"],
    ),
    (
        "content:\"ab\";",
        &["ab", "xxxab", "aab"],
        &["a", "ba", "axb"],
    ),
    (
        "content:\"abcdefg\"; depth:7;",
        &["abcdefg", "abcdefgx"],
        &["xabcdefg"],
    ),
    (
        "content:\"abcdefg\"; offset:2; depth:9;",
        &["xxabcdefg", "xxxabcdefg", "xxxxabcdefg"],
        &["xabcdefg", "xxxxxabcdefg"],
    ),
    (
        "content:\"abcdefg\"; startswith;",
        &["abcdefg!"],
        &[" abcdefg"],
    ),
    (
        "content:\"abcdefg\"; endswith;",
        &["abcdefg", "abcdefgabcdefg"],
        &["abcdefg!"],
    ),
    (
        "content:!\"abcdefg\";",
        &["abcdef", "x"],
        &["abcdefg", "xxabcdefgxx"],
    ),
    (
        "content:\"abcdefg\"; content:!\"xyz\";",
        &["abcdefg", "abcdefgxy"],
        &["abcdefgxyz", "xyzabcdefg"],
    ),
    (
        "content:\"abcd\"; content:\"wxyz\"; distance:0;",
        &["abcdwxyz", "abcd---wxyz"],
        &["wxyzabcd", "abcwxyz"],
    ),
    (
        "content:\"abcd\"; content:\"wxyz\"; distance:2;",
        &["abcd--wxyz", "abcd-----wxyz"],
        &["abcd-wxyz", "abcdwxyz"],
    ),
    (
        "content:\"abcd\"; content:\"wxyz\"; within:6;",
        &["abcdwxyz", "abcd--wxyz", "abcd---abcdwxyz"],
        &["abcd---wxyz", "wxyz"],
    ),
    // Only behind the second is the third near enough: that of the first has to be given up.
    (
        "content:\"abcd\"; content:\"mn\"; within:8; content:\"wxyz\"; within:5;",
        &["abcd-mn-mn-wxyz", "abcd-mn-mn--abcdmnwxyz"],
        &["abcd-mn---wxyz", "mnwxyz"],
    ),
    (
        "content:\"abcd\"; content:\"bc\"; distance:-3; within:2;",
        &["abcd", "xxabcd"],
        &["abcabdcd"],
    ),
    (
        "content:\"abcd\"; content:!\"z\"; within:3;",
        &["abcd", "abcdxxxz", "abcdzabcdxxx"],
        &["abcdz", "abcdxxz"],
    ),
    (
        "content:\"abcd\"; isdataat:3,relative;",
        &["abcdxxx", "abcdxxxx"],
        &["abcdxx", "xxxabcd"],
    ),
    (
        "content:\"abcd\"; isdataat:!3,relative;",
        &["abcdxx", "abcdxxxxxabcd"],
        &["abcdxxx"],
    ),
    ("isdataat:3;", &["xxxx"], &["xxx"]),
    ("dsize:4;", &["xxxx"], &["xxx", "xxxxx"]),
    ("dsize:>4; content:\"a\";", &["xxxxa"], &["xxxa", "xxxxx"]),
    ("dsize:2<>5;", &["xxx", "xxxx"], &["xx", "xxxxx"]),
    ("flags:A;", &["x"], &[]),
    ("flags:SA;", &[], &["x"]),
    ("flags:!S;", &["x"], &[]),
    ("ttl:64;", &["x"], &[]),
    ("ttl:<64;", &[], &["x"]),
    ("fragbits:M;", &[], &["x"]),
    ("ipopts:any;", &[], &["x"]),
    ("flow:to_server,established;", &["x"], &[]),
    ("flow:to_client;", &["x"], &[]),
];

#[test]
fn a_rule_holds_where_its_keywords_say_and_nowhere_else() -> Result<()> {
    for (options, matching, others) in CASES {
        let rule = format!("drop tcp any any -> any 80 ({options} sid:9;)");
        let tables = tables(&rule)?;
        let (rules, _) = compiled(&rule);
        // The matcher that others are measured by has to know too.
        let is_so = |payload: &str| {
            let packet = Packet::to_web(payload.as_bytes().to_vec());
            matcher::first(&rules, &packet).is_some()
        };
        for payload in *matching {
            assert!(is_so(payload), "{options} {payload}");
            let found = found(&tables, &to_web(payload.as_bytes()));
            assert_eq!(found, [9], "{options} {payload}");
        }
        for payload in *others {
            assert!(!is_so(payload), "{options} {payload}");
            let found = found(&tables, &to_web(payload.as_bytes()));
            assert!(found.is_empty(), "{options} {payload}");
        }
    }
    Ok(())
}

#[test]
fn headers_ports_and_actions_decide_which_rule_counts() -> Result<()> {
    let rules = "\
        alert tcp any any -> any any (content:\"abcdefg\"; sid:1;)\n\
        drop tcp 192.0.2.0/24 any -> any [80,8000:8010,!8005] (content:\"abcdefg\"; sid:2;)\n\
        pass tcp any any -> any 8003 (content:\"abcdefg\"; content:\"leave me\"; sid:3;)\n\
        drop udp any 53 -> any any (content:\"abcdefg\"; sid:4;)\n\
        alert icmp any any <> any any (itype:8; content:\"abcdefg\"; sid:5;)\n\
        alert ip any any -> 203.0.113.0/24 any (content:\"anywhere\"; sid:6;)\n";
    let tables = tables(rules)?;
    let route = Route::default();
    let with = |source: [u8; 4], port: u16, payload: &[u8]| {
        let route = Route {
            src_ip: source.into(),
            ..route
        };
        route.ipv4().tcp(route.src_port, port).payload(payload)
    };
    let [inside, outside] = [[192, 0, 2, 9], [198, 51, 100, 9]];
    assert_eq!(found(&tables, &with(inside, 80, b"abcdefg")), [2]);
    assert_eq!(found(&tables, &with(inside, 8004, b"abcdefg")), [2]);
    assert_eq!(found(&tables, &with(inside, 8005, b"abcdefg")), [1]);
    assert_eq!(found(&tables, &with(outside, 80, b"abcdefg")), [1]);
    assert!(found(&tables, &with(inside, 8003, b"abcdefg leave me")).is_empty());
    assert_eq!(found(&tables, &with(inside, 8003, b"abcdefg leave")), [2]);
    assert_eq!(
        found(&tables, &route.ipv4().udp(53, 9).payload(b"abcdefg")),
        [4]
    );
    assert!(found(&tables, &route.ipv4().udp(9, 53).payload(b"abcdefg")).is_empty());
    assert_eq!(
        found(&tables, &route.ipv4().icmp_echo(1, 1).payload(b"abcdefg")),
        [5]
    );
    assert!(
        found(
            &tables,
            &route.ipv4().icmp_echo_reply(1, 1).payload(b"abcdefg")
        )
        .is_empty()
    );
    Ok(())
}

/// A rule that alerts for each first packet to a port, and policies that drop who scans it.
fn alert_beside_a_scan() -> Result<Tables> {
    let tables = tables("alert tcp any any -> any 445 (flags:S; sid:7;)")?;
    let mut config = tables.config.with_policy(Detector::Scan, Policy::Drop);
    // A host that does not answer within four milliseconds is silent.
    config.scan = scan::Rule::new(
        Threshold::new(2, 60_000_000_000),
        Threshold::new(4, 600_000_000_000),
        4_000_000,
        Limit::new(3, 1_000_000_000),
    );
    config.report_interval_ns = 0;
    Ok(Tables { config, ..tables })
}

/// The first packet to another host for each number.
fn first_packet(number: u8) -> Vec<u8> {
    let packet = PacketBuilder::new().ipv4([10, 0, 0, 5], [198, 51, 100, number]);
    packet.tcp(40_000, 445).flags(SYN).build()
}

/// Many packets that an alert rule matches, of which the scan's policy drops most: the rule has dropped none of them.
#[test]
fn what_another_detector_drops_is_not_counted_as_dropped_by_a_rule_that_alerts() -> Result<()> {
    const PACKETS: u8 = 100;
    let tables = alert_beside_a_scan()?;
    let mut replay = Replay::new(&tables);
    let mut dropped = 0;
    for number in 0..PACKETS {
        let at = 1_000_000_000 + u64::from(number) * 20_000_000;
        let frame = first_packet(number);
        let decision = replay.classify(&Frame::whole(&frame), 0, at);
        if decision.verdict == Verdict::DROP {
            assert_eq!(decision.reason, Reason::Scan, "{number}");
            dropped += 1;
        }
    }
    assert!(dropped > 20, "only {dropped} were dropped");
    let hits: Vec<_> = replay.rule_hits().map(|(_, counter)| counter).collect();
    assert_eq!((hits[0].packets, hits[0].dropped), (PACKETS.into(), 0));
    for (reason, verdict, _) in replay.counters() {
        assert_eq!(verdict == Verdict::DROP, reason == Reason::Scan);
    }
    Ok(())
}

#[test]
fn the_kernel_counts_what_another_detector_drops_as_the_host_does() -> Result<()> {
    const PACKETS: u8 = 100;
    if !kernel_or_skip("the_kernel_counts_what_another_detector_drops_as_the_host_does") {
        return Ok(());
    }
    let tables = alert_beside_a_scan()?;
    let mut kernel = TestKernel::load(&tables, 1)?;
    let mut dropped = 0;
    let mut events = Vec::new();
    for number in 0..PACKETS {
        let verdict = kernel.run(0, &first_packet(number))?;
        dropped += u64::from(verdict == Verdict::DROP);
        events.extend(kernel.take_events()?);
        thread::sleep(Duration::from_millis(20));
    }
    assert!(dropped > 20, "only {dropped} were dropped");
    let state = kernel.own_state()?;
    let hits: Vec<_> = state
        .rule_hits
        .iter()
        .filter(|hits| hits.packets > 0)
        .collect();
    assert_eq!(hits.len(), 1);
    assert_eq!((hits[0].packets, hits[0].dropped), (PACKETS.into(), 0));
    let counted = state.counted();
    let by_scan = counted.get(&(0, Reason::Scan, Verdict::DROP));
    assert_eq!(by_scan.map(|counter| counter.packets), Some(dropped));
    for (key, source) in state.known_sources() {
        let by_scan = key.detector() == Some(Detector::Scan);
        let expected = if by_scan { dropped } else { 0 };
        assert_eq!(source.objections.dropped, expected, "{key:?}");
    }
    for event in events {
        if event.verdict() == Verdict::DROP {
            assert_eq!(event.reason(), Some(Reason::Scan));
        }
    }
    Ok(())
}
