//! Rules that count: `threshold` and `detection_filter`, on the host, in the kernel, and as Suricata has them.

use std::{collections::HashMap, fmt::Write as _, fs, path::Path, thread, time::Duration};

use anyhow::{Result, ensure};
use detector::{
    rules::{RuleSet, Variables},
    tables::{HashSeed, Tables},
};
use detector_common::{
    abi::Tally,
    config::{Config, Mode},
    detect::signature::held::HELD_MAX,
    verdict::Verdict,
};
use detector_tests::{
    builder::{PacketBuilder, Route},
    capture::{Link, pcap},
    cpu,
    generate::{Dice, seed_or},
    kernel::TestKernel,
    lab::wait_until,
    oracle::{
        HostMaps, Lockstep,
        suricata::{self, Checksums},
    },
    requirements::{kernel_or_skip, suricata_or_skip},
    worms::TimedFrame,
};

const SEED: u64 = 0xde7e_c705_0000_0009;
/// A tenth of a second, in nanoseconds: what times are told in.
const TENTH: u64 = 100_000_000;

/// The tables of rules, enforced; what may be told is told at once.
fn tables(rules: &str) -> Result<Tables> {
    let set = RuleSet::from_bytes(Path::new("test.rules"), rules.as_bytes());
    ensure!(set.refusals.is_empty(), "{:?}", set.refusals);
    let mut config = Config::DEFAULT.with_mode(Mode::Enforce);
    config.report_interval_ns = 0;
    let tables = Tables::new(config, HashSeed::FIXED, &set.rules, &Variables::default());
    ensure!(tables.refused.is_empty(), "{:?}", tables.refused);
    Ok(tables)
}

fn from(source: u8, payload: &str) -> PacketBuilder {
    let route = Route {
        src_ip: [192, 0, 2, source].into(),
        ..Route::default()
    };
    route.ipv4().udp(1024, 9).payload(payload.as_bytes())
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Outcome {
    /// The number of the rule that is the finding; 0 if there is none.
    sid: u32,
    is_dropped: bool,
    is_told: bool,
}

/// What becomes of each packet on the host, which comes at so many tenths of a second.
fn outcomes(tables: &Tables, packets: &[(u64, PacketBuilder)]) -> Vec<Outcome> {
    let mut host = HostMaps::new(tables, 1);
    let mut hits = HashMap::new();
    let outcomes = packets.iter().map(|(tenths, packet)| {
        let decision = host.run(0, &packet.build(), (1000 + tenths) * TENTH);
        let mut found = Outcome {
            is_dropped: decision.verdict == Verdict::DROP,
            is_told: !host.take_events().is_empty(),
            sid: 0,
        };
        for (slot, entry) in tables.book.iter() {
            let now = host.state.rule_hits[usize::from(slot)].packets;
            if hits.insert(slot, now).unwrap_or(0) != now {
                found.sid = entry.sid;
            }
        }
        found
    });
    outcomes.collect()
}

/// The numbers of packets, from 1, of which something is so.
fn numbers(outcomes: &[Outcome], is_so: impl Fn(&Outcome) -> bool) -> Vec<usize> {
    let numbered = (1..).zip(outcomes);
    let numbered = numbered.filter(|(_, outcome)| is_so(outcome));
    numbered.map(|(number, _)| number).collect()
}

/// When packets come, in tenths of a second.
const TIMES: [u64; 14] = [0, 1, 2, 3, 4, 5, 10, 20, 21, 22, 23, 24, 25, 26];

/// What a rule counts, which of the packets at [`TIMES`] it drops, and which are told: as Suricata 7.0.10 has it with `--simulate-ips`.
const CASES: [(&str, &[usize], &[usize]); 6] = [
    (
        "threshold:type limit, track by_src, count 2, seconds 2",
        &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14],
        &[1, 2, 9, 10],
    ),
    (
        "threshold:type threshold, track by_src, count 3, seconds 2",
        &[3, 6, 11, 14],
        &[3, 6, 11, 14],
    ),
    (
        "threshold:type both, track by_src, count 3, seconds 2",
        &[3, 4, 5, 6, 7, 8, 11, 12, 13, 14],
        &[3, 11],
    ),
    (
        "threshold:type both, track by_src, count 1, seconds 2",
        &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14],
        &[1, 9],
    ),
    (
        "threshold:type threshold, track by_src, count 1, seconds 2",
        &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14],
        &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14],
    ),
    (
        "detection_filter:track by_src, count 3, seconds 2",
        &[4, 5, 6, 7, 8, 12, 13, 14],
        &[4, 5, 6, 7, 8, 12, 13, 14],
    ),
];

#[test]
fn a_rule_matches_drops_and_is_told_as_its_threshold_says() -> Result<()> {
    let packets = TIMES.map(|tenths| (tenths, from(1, "abcdefg")));
    for (threshold, dropped, told) in CASES {
        let rule = format!("drop udp any any -> any 9 (content:\"abcdefg\"; {threshold}; sid:7;)");
        let found = outcomes(&tables(&rule)?, &packets);
        assert_eq!(
            numbers(&found, |one| one.is_dropped),
            dropped,
            "{threshold}"
        );
        assert_eq!(numbers(&found, |one| one.sid == 7), dropped, "{threshold}");
        assert_eq!(numbers(&found, |one| one.is_told), told, "{threshold}");
    }
    Ok(())
}

#[test]
fn suricata_tells_the_same_packets() -> Result<()> {
    if !suricata_or_skip("suricata_tells_the_same_packets") {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let capture = directory.path().join("times.pcap");
    let mut dice = Dice::new(seed_or(SEED)?);
    for round in 0..8 {
        // The first of them as above, others drawn.
        let mut tenths = 0;
        let packets: Vec<_> = (0..60)
            .map(|index| {
                tenths += dice.below(6) as u64;
                let at = if round == 0 {
                    TIMES.get(index).map_or(1000 + tenths, |at| *at)
                } else {
                    tenths
                };
                let source = if round == 0 {
                    1
                } else {
                    1 + dice.below(2) as u8
                };
                (at, from(source, "abcdefg"))
            })
            .collect();
        let frames = packets.iter().map(|(tenths, packet)| TimedFrame {
            at: Duration::from_millis(100 * tenths),
            frame: packet.build(),
        });
        fs::write(&capture, pcap(Link::Ethernet, frames)?)?;
        for (threshold, ..) in CASES {
            let rule =
                format!("alert udp any any -> any 9 (content:\"abcdefg\"; {threshold}; sid:7;)");
            let ours = outcomes(&tables(&rule)?, &packets);
            let ours = numbers(&ours, |one| one.is_told);
            let theirs = suricata::alerts(&rule, &capture, Checksums::Ignored)?;
            let theirs: Vec<_> = theirs.iter().map(|alert| alert.packet as usize).collect();
            assert_eq!(ours, theirs, "round {round}: {threshold}");
        }
    }
    Ok(())
}

#[test]
fn until_a_rule_is_reached_another_one_is_the_finding() -> Result<()> {
    let rules = "\
        drop udp any any -> any 9 (content:\"abcdefg\"; detection_filter:track by_src, count 2, seconds 60; sid:1;)\n\
        alert udp any any -> any 9 (content:\"defghij\"; sid:2;)\n\
        alert udp any any -> any 9 (content:\"abcdefg\"; detection_filter:track by_src, count 4, seconds 60; sid:3;)\n\
        pass udp any any -> any 9 (content:\"leave\"; sid:4;)\n";
    let tables = tables(rules)?;
    let sids = |packets: &[(u64, PacketBuilder)]| -> Vec<_> {
        let outcomes = outcomes(&tables, packets);
        outcomes
            .iter()
            .map(|one| (one.sid, one.is_dropped))
            .collect()
    };
    let both = |tenths| (tenths, from(1, "abcdefghij"));
    assert_eq!(
        sids(&[both(0), both(1), both(2), both(602), both(603)]),
        [(2, false), (2, false), (1, true), (2, false), (2, false)]
    );
    // Nobody is counted for another, and what has no other rule is nothing.
    let of = |source| (0, from(source, "abcdefg"));
    assert_eq!(
        sids(&[of(1), of(2), of(3), of(1), of(2), of(1), of(2), of(3)]),
        [0, 0, 0, 0, 0, 1, 1, 0].map(|sid| (sid, sid == 1))
    );
    // What a rule lets pass is counted for no other.
    let passed = |tenths| (tenths, from(1, "leave abcdefg"));
    let packets: Vec<_> = (0..6).map(passed).chain([of(1), of(1), of(1)]).collect();
    let found = sids(&packets);
    assert_eq!(
        found,
        [0, 0, 0, 0, 0, 0, 0, 0, 1].map(|sid| (sid, sid == 1))
    );
    Ok(())
}

#[test]
fn a_packet_counts_for_a_rule_that_another_goes_before() -> Result<()> {
    let rules = "\
        drop udp any any -> any 9 (content:\"first\"; sid:1;)\n\
        drop udp any any <> any any (content:\"abcdefg\"; detection_filter:track by_src, count 3, seconds 60; sid:2;)\n\
        alert udp any any -> any 9 (content:\"abcd\"; threshold:type limit, track by_src, count 1, seconds 60; sid:3;)\n";
    let packets: Vec<_> = (0..7)
        .map(|tenths| {
            let payload = if tenths < 3 {
                "abcdefg first"
            } else {
                "abcdefg"
            };
            (tenths, from(1, if tenths > 4 { "abcd" } else { payload }))
        })
        .collect();
    let found = outcomes(&tables(rules)?, &packets);
    let sids: Vec<_> = found.iter().map(|one| one.sid).collect();
    // A rule for both directions counts a packet once; one that is limited counts where it is the finding.
    assert_eq!(sids, [1, 1, 1, 2, 2, 3, 3]);
    assert_eq!(numbers(&found, |one| one.is_told), [1, 2, 3, 4, 5, 6]);
    Ok(())
}

#[test]
fn a_source_is_one_by_its_address_whatever_its_ports_and_of_ipv6_too() -> Result<()> {
    let rule = "drop ip any any -> any any (content:\"abcdefg\"; detection_filter:track by_src, count 2, seconds 60; sid:1;)";
    let tables = tables(rule)?;
    let v6 = |source: u16| {
        let source = [0x2001, 0xdb8, 0, 0, 0, 0, 0, source];
        PacketBuilder::new().ipv6(source, [0x2001, 0xdb8, 0, 0, 0, 0, 0, 99])
    };
    let v4 = Route::default();
    let packets = [
        v6(1).tcp(1, 80).payload(b"abcdefg"),
        v4.ipv4().tcp(1, 80).payload(b"abcdefg"),
        v6(1).udp(2, 53).payload(b"abcdefg"),
        v6(2).udp(2, 53).payload(b"abcdefg"),
        v4.ipv4().udp(1, 9).payload(b"abcdefg"),
        v6(1).tcp(9, 81).payload(b"abcdefg"),
        v4.ipv4().icmp_echo(1, 1).payload(b"abcdefg"),
    ];
    let packets: Vec<_> = packets.into_iter().map(|packet| (0, packet)).collect();
    let found = outcomes(&tables, &packets);
    assert_eq!(numbers(&found, |one| one.is_dropped), [6, 7]);
    Ok(())
}

#[test]
fn of_more_rules_than_are_counted_it_is_told() -> Result<()> {
    let rules = |count: usize| {
        (1..=count).fold(String::new(), |mut rules, sid| {
            let _ = writeln!(
                rules,
                "drop udp any any -> any 9 (content:\"abcdefg{sid:02}\"; detection_filter:track by_src, count 1, seconds 9; sid:{sid};)"
            );
            rules
        })
    };
    let numbers = 1..=HELD_MAX + 1;
    let payload: Vec<_> = numbers
        .map(|number| format!("abcdefg{number:02}"))
        .collect();
    for (count, cut_short) in [(HELD_MAX, 0), (HELD_MAX + 1, 2)] {
        let tables = tables(&rules(count))?;
        let mut host = HostMaps::new(&tables, 1);
        let frame = from(1, &payload.join(" ")).build();
        let verdicts = [0, 1].map(|tenths| host.run(0, &frame, tenths * TENTH).verdict);
        assert_eq!(verdicts, [Verdict::PASS, Verdict::DROP], "{count} rules");
        assert_eq!(host.state.tally(Tally::RulesCutShort), cut_short);
    }
    Ok(())
}

/// What a rule's threshold says, as plainly as it can be written.
struct Model {
    kind: &'static str,
    count: u64,
    seconds: u64,
    /// By source: when its window began, and how many packets there were.
    sources: HashMap<u8, (u64, u64)>,
}

impl Model {
    /// Whether a packet matches, and whether it is told.
    fn take(&mut self, source: u8, tenths: u64) -> (bool, bool) {
        let (began, number) = self.sources.entry(source).or_insert((tenths, 0));
        if tenths - *began > 10 * self.seconds {
            (*began, *number) = (tenths, 0);
        }
        *number += 1;
        match self.kind {
            "limit" => (true, *number <= self.count),
            "both" => (*number >= self.count, *number == self.count),
            "filter" => (*number > self.count, *number > self.count),
            _ => {
                let is_due = *number == self.count;
                if is_due {
                    *number = 0;
                }
                (is_due, is_due)
            }
        }
    }
}

#[test]
fn any_threshold_of_any_packets_is_as_the_model_says() -> Result<()> {
    let mut dice = Dice::new(seed_or(SEED)?);
    for round in 0..200 {
        let kind = dice.one_of(&["limit", "threshold", "both", "filter"]);
        let (count, seconds) = (1 + dice.below(5) as u64, 1 + dice.below(5) as u64);
        let keyword = match kind {
            "filter" => "detection_filter:".to_owned(),
            kind => format!("threshold:type {kind}, "),
        };
        let threshold = format!("{keyword}track by_src, count {count}, seconds {seconds}");
        let rule = format!("drop udp any any -> any 9 (content:\"abcdefg\"; {threshold}; sid:1;)");
        let mut model = Model {
            kind,
            count,
            seconds,
            sources: HashMap::new(),
        };
        let (mut tenths, mut expected, mut packets) = (0, Vec::new(), Vec::new());
        for _ in 0..100 {
            tenths += dice.below(8) as u64;
            let source = dice.below(4) as u8;
            packets.push((tenths, from(source, "abcdefg")));
            expected.push(model.take(source, tenths));
        }
        let found = outcomes(&tables(&rule)?, &packets);
        let found: Vec<_> = found
            .iter()
            .map(|one| (one.is_dropped, one.is_told))
            .collect();
        assert_eq!(found, expected, "round {round}: {threshold}");
    }
    Ok(())
}

/// Rules of every kind, whose packets have much in common.
const MIXED: &str = "\
    drop udp any any -> any 9 (content:\"abcdefg\"; detection_filter:track by_src, count 3, seconds 1; sid:1;)\n\
    drop udp any any <> any any (content:\"defghij\"; threshold:type both, track by_src, count 2, seconds 60; sid:2;)\n\
    alert udp any any -> any any (content:\"abc\"; threshold:type threshold, track by_src, count 4, seconds 2; sid:3;)\n\
    alert udp any any -> any 9 (content:\"xyzw\"; threshold:type limit, track by_src, count 2, seconds 1; sid:4;)\n\
    pass udp any any -> any 9 (content:\"leave\"; detection_filter:track by_src, count 2, seconds 3600; sid:5;)\n\
    alert udp any any -> any 9 (dsize:>2; detection_filter:track by_src, count 1, seconds 1; sid:6;)\n";

#[test]
fn the_kernel_counts_as_the_host_does() -> Result<()> {
    if !kernel_or_skip("the_kernel_counts_as_the_host_does") {
        return Ok(());
    }
    let tables = tables(MIXED)?;
    let mut both = Lockstep::new(&tables, 1)?;
    let mut dice = Dice::new(seed_or(SEED)?);
    let parts = [
        "abcdefg",
        "defghij",
        "abcdefghij",
        "xyzw",
        "leave",
        "ab",
        " ",
    ];
    for round in 0..4 {
        for _ in 0..500 {
            let len = dice.below(5);
            let payload: String = (0..len).map(|_| dice.one_of(&parts)).collect();
            both.push(0, &from(dice.below(6) as u8, &payload).build())?;
        }
        both.settle()?;
        if round < 3 {
            // Windows of a second end.
            thread::sleep(Duration::from_millis(1100));
        }
    }
    let state = both.state();
    let hits = tables.book.iter();
    let hits: Vec<_> = hits
        .map(|(slot, entry)| (entry.sid, state.rule_hits[usize::from(slot)].packets))
        .collect();
    let is_found = |(sid, packets): &(u32, u64)| *sid == 5 || *packets > 1;
    ensure!(hits.iter().all(is_found), "rules found: {hits:?}");
    ensure!(state.thresholds.iter().any(|word| *word != 0));
    Ok(())
}

#[test]
fn the_window_of_a_source_ends_in_the_kernel_too() -> Result<()> {
    if !kernel_or_skip("the_window_of_a_source_ends_in_the_kernel_too") {
        return Ok(());
    }
    let rule = "drop udp any any -> any 9 (content:\"abcdefg\"; detection_filter:track by_src, count 3, seconds 2; sid:1;)";
    let tables = tables(rule)?;
    let mut kernel = TestKernel::load(&tables, 1)?;
    let frame = from(1, "abcdefg").build();
    for number in 1..=10 {
        let dropped = kernel.run(0, &frame)? == Verdict::DROP;
        assert_eq!(dropped, number > 3, "packet {number}");
    }
    // What comes within the window does not make it longer.
    wait_until("the window to end", Duration::from_secs(10), || {
        Ok(kernel.run(0, &frame)? == Verdict::PASS)
    })
}

#[test]
fn a_source_whose_packets_come_on_several_cpus_is_counted_as_one() -> Result<()> {
    if !kernel_or_skip("a_source_whose_packets_come_on_several_cpus_is_counted_as_one") {
        return Ok(());
    }
    let cpus = cpu::allowed()?;
    let rule = "drop udp any any -> any 9 (content:\"abcdefg\"; detection_filter:track by_src, count 20, seconds 3600; sid:1;)";
    let tables = tables(rule)?;
    let mut kernel = TestKernel::load(&tables, 1)?;
    let frame = from(1, "abcdefg").build();
    for (number, cpu) in (1..=30).zip(cpus.iter().cycle()) {
        // A test run happens on the CPU of the calling thread.
        cpu::hold(*cpu)?;
        let dropped = kernel.run(0, &frame)? == Verdict::DROP;
        assert_eq!(dropped, number > 20, "packet {number} on CPU {cpu}");
    }
    Ok(())
}
