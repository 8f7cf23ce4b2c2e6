//! Rules that set bits of a connection and ask for them: `flowbits` and `noalert`, on the host, in the kernel, and as Suricata has them.

use std::{collections::HashMap, fmt::Write as _, fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use detector::{
    rules::{Action, FlowBit, Rule, RuleSet, Variables, check},
    tables::{HashSeed, Tables},
};
use detector_common::{
    abi::Tally,
    config::{Config, Mode},
    detect::signature::{flowbits, held::HELD_MAX},
    reason::Reason,
    verdict::Verdict,
};
use detector_tests::{
    builder::{ACK, PacketBuilder, Route, SYN},
    capture::{Link, pcap},
    cpu,
    generate::{Dice, seed_or},
    kernel::TestKernel,
    oracle::{
        HostMaps, Lockstep,
        suricata::{self, Checksums},
    },
    requirements::{kernel_or_skip, suricata_or_skip},
    worms::TimedFrame,
};

const SEED: u64 = 0xde7e_c705_0000_000b;
const SECOND: u64 = 1_000_000_000;

fn rules(text: &str) -> Result<RuleSet> {
    let set = RuleSet::from_bytes(Path::new("test.rules"), text.as_bytes());
    ensure!(set.refusals.is_empty(), "{:?}", set.refusals);
    Ok(set)
}

/// The tables of rules, enforced; what may be told is told at once.
fn tables(text: &str) -> Result<Tables> {
    let set = rules(text)?;
    let mut config = Config::DEFAULT.with_mode(Mode::Enforce);
    config.report_interval_ns = 0;
    let tables = Tables::new(config, HashSeed::FIXED, &set.rules, &Variables::default());
    ensure!(tables.refused.is_empty(), "{:?}", tables.refused);
    Ok(tables)
}

/// A datagram of the client with this port.
fn to(port: u16, payload: &str) -> PacketBuilder {
    Route::default()
        .ipv4()
        .udp(port, 9)
        .payload(payload.as_bytes())
}

/// One of the server to that client.
fn back(port: u16, payload: &str) -> PacketBuilder {
    Route::default()
        .reversed()
        .ipv4()
        .udp(9, port)
        .payload(payload.as_bytes())
}

/// The number of the rule that is told of a packet, by the number of its finding; 0 if none is.
fn told(
    host: &mut HostMaps<'_>,
    tables: &Tables,
    slot: u32,
    packet: &PacketBuilder,
    at: u64,
) -> u32 {
    let before = host.state.rule_hits.clone();
    let _ = host.run(slot, &packet.build(), at);
    if host.take_events().is_empty() {
        return 0;
    }
    let mut entries = tables.book.iter();
    let found = entries.find(|(slot, _)| {
        let slot = usize::from(*slot);
        host.state.rule_hits[slot] != before[slot]
    });
    found.map_or(0, |(_, entry)| entry.sid)
}

/// The same of packets of which one comes in each second.
fn all_told(tables: &Tables, packets: &[PacketBuilder]) -> Vec<u32> {
    let mut host = HostMaps::new(tables, 1);
    let numbered = (1..).zip(packets);
    numbered
        .map(|(second, packet)| told(&mut host, tables, 0, packet, second * SECOND))
        .collect()
}

/// What rules do, the payloads of one connection (those behind a `<` go back), and which rule is told of each, as Suricata 7.0.10 has it.
/// In front of the options of each rule stands its action, and `udp any any <> any any`.
type Case = (
    &'static [&'static str],
    &'static [&'static str],
    &'static [u32],
);

const SETS: &str = "alert (content:\"set1\"; flowbits:set,a; flowbits:noalert; sid:1;)";
const READS: &str = "alert (content:\"read\"; flowbits:isset,a; sid:2;)";

const CASES: &[Case] = &[
    (
        &[SETS, READS],
        &["read", "set1", "read", "<read"],
        &[0, 0, 2, 2],
    ),
    // In one packet, whichever rule comes first in the file.
    (&[READS, SETS], &["read set1", "read"], &[2, 2]),
    (&[SETS, READS], &["<set1", "read"], &[0, 2]),
    (
        &[
            SETS,
            "alert (content:\"read\"; flowbits:isnotset,a; sid:3;)",
        ],
        &["read", "set1", "read"],
        &[3, 0, 0],
    ),
    (
        &[
            SETS,
            READS,
            "alert (content:\"take\"; flowbits:unset,a; noalert; sid:3;)",
        ],
        &["set1", "read", "take", "read", "set1", "read"],
        &[0, 2, 0, 0, 0, 2],
    ),
    (
        &[
            "alert (content:\"turn\"; flowbits:toggle,a; flowbits:noalert; sid:1;)",
            READS,
        ],
        &["turn", "read", "turn", "read"],
        &[0, 2, 0, 0],
    ),
    (
        &[
            SETS,
            "alert (content:\"read\"; flowbits:isset,b|a; sid:2;)",
            "alert (content:\"other\"; flowbits:set,b; sid:3;)",
        ],
        &["read", "set1", "read"],
        &[0, 0, 2],
    ),
    // All must be set.
    (
        &[
            SETS,
            "alert (content:\"set2\"; flowbits:set,b; flowbits:noalert; sid:3;)",
            "alert (content:\"both\"; flowbits:isset,a; flowbits:isset,b; sid:4;)",
        ],
        &["set2", "both", "set1", "both"],
        &[0, 0, 0, 4],
    ),
    // In the order of the rule.
    (
        &[
            "alert (content:\"set1\"; flowbits:set,a; flowbits:unset,a; sid:1;)",
            READS,
        ],
        &["set1", "read"],
        &[1, 0],
    ),
    (
        &[
            "alert (content:\"set1\"; flowbits:unset,a; flowbits:set,a; sid:1;)",
            READS,
        ],
        &["set1", "read"],
        &[1, 2],
    ),
    // Once.
    (
        &[
            SETS,
            "alert (content:\"read\"; flowbits:isset,a; flowbits:unset,a; sid:2;)",
        ],
        &["set1", "read", "read"],
        &[0, 2, 0],
    ),
    (
        &["alert (content:\"once\"; flowbits:isnotset,a; flowbits:set,a; sid:1;)"],
        &["once", "once", "<once"],
        &[1, 0, 0],
    ),
    // Names are as they are written.
    (
        &[
            "alert (content:\"set1\"; flowbits:set,A; noalert; sid:1;)",
            READS,
            "alert (content:\"other\"; flowbits:set,a; sid:3;)",
        ],
        &["set1", "read"],
        &[0, 0],
    ),
    // What a rule lets pass sets bits all the same.
    (
        &["pass (content:\"pass\"; sid:9;)", SETS, READS],
        &["pass set1", "read", "pass read"],
        &[0, 2, 0],
    ),
    (
        &["pass (content:\"pass\"; flowbits:set,a; sid:9;)", READS],
        &["pass", "read"],
        &[0, 2],
    ),
    // A rule that is not told hides no other one.
    (
        &[
            "alert (content:\"set1\"; noalert; sid:1;)",
            "alert (content:\"other\"; sid:2;)",
        ],
        &["set1 other", "set1"],
        &[2, 0],
    ),
    // A threshold keeps a rule from being told, and not from setting.
    (
        &[
            "alert (content:\"set1\"; flowbits:set,a; detection_filter:track by_src, count 9, seconds 60; sid:1;)",
            READS,
        ],
        &["set1", "read"],
        &[0, 2],
    ),
    // Only what has its bits counts.
    (
        &[
            SETS,
            "alert (content:\"read\"; flowbits:isset,a; threshold:type threshold, track by_src, count 3, seconds 60; sid:2;)",
        ],
        &[
            "read", "read", "read", "set1", "read", "read", "read", "read",
        ],
        &[0, 0, 0, 0, 0, 0, 2, 0],
    ),
];

/// The file of a case.
fn text(rules: &[&str]) -> String {
    let lines = rules
        .iter()
        .map(|rule| rule.replacen(" (", " udp any any <> any any (", 1));
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// Packets with these payloads, of the client with this port.
fn packets(payloads: &[&str], port: u16) -> Vec<PacketBuilder> {
    let packets = payloads
        .iter()
        .map(|payload| match payload.strip_prefix('<') {
            Some(payload) => back(port, payload),
            None => to(port, payload),
        });
    packets.collect()
}

#[test]
fn bits_are_set_and_asked_for_as_rules_say() -> Result<()> {
    for (rules, payloads, expected) in CASES {
        let tables = tables(&text(rules))?;
        let found = all_told(&tables, &packets(payloads, 1024));
        assert_eq!(found, *expected, "{rules:?}: {payloads:?}");
        // Of another connection nothing is known.
        let mixed: Vec<_> = payloads
            .iter()
            .zip(1024..)
            .flat_map(|(payload, port)| packets(&[payload], port))
            .collect();
        let alone: Vec<_> = payloads
            .iter()
            .map(|payload| all_told(&tables, &packets(&[payload], 1024)))
            .collect();
        if !text(rules).contains("track") {
            assert_eq!(all_told(&tables, &mixed), alone.concat(), "{rules:?}");
        }
    }
    Ok(())
}

#[test]
fn suricata_tells_the_same_of_bits() -> Result<()> {
    if !suricata_or_skip("suricata_tells_the_same_of_bits") {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let capture = directory.path().join("bits.pcap");
    for (rules, payloads, expected) in CASES {
        let packets = packets(payloads, 1024);
        let frames = (1..).zip(&packets).map(|(second, packet)| TimedFrame {
            at: Duration::from_secs(second),
            frame: packet.build(),
        });
        fs::write(&capture, pcap(Link::Ethernet, frames)?)?;
        let alerts = suricata::alerts(&text(rules), &capture, Checksums::Ignored)?;
        let mut found = vec![0; payloads.len()];
        for alert in alerts {
            let place = found.get_mut(alert.packet as usize - 1);
            *place.context("a packet that is not there")? = alert.sid;
        }
        assert_eq!(found, *expected, "{rules:?}: {payloads:?}");
    }
    Ok(())
}

#[test]
fn a_rule_that_is_not_told_is_counted_and_nothing_else() -> Result<()> {
    let tables = tables(&text(&[
        SETS,
        "drop (content:\"drop\"; flowbits:isset,a; noalert; sid:2;)",
    ]))?;
    let mut host = HostMaps::new(&tables, 1);
    let decision = host.run(0, &to(1024, "set1").build(), SECOND);
    assert_eq!(
        (decision.verdict, decision.reason),
        (Verdict::PASS, Reason::Clean)
    );
    let decision = host.run(0, &to(1024, "set1 drop").build(), SECOND);
    assert_eq!(
        (decision.verdict, decision.reason),
        (Verdict::DROP, Reason::Signature)
    );
    assert!(host.take_events().is_empty());
    let hits = tables.book.iter();
    let hits: Vec<_> = hits
        .map(|(slot, _)| &host.state.rule_hits[usize::from(slot)])
        .map(|hits| (hits.packets, hits.dropped))
        .collect();
    // One packet is one finding.
    assert_eq!(hits, [(1, 0), (1, 1)]);
    Ok(())
}

/// A segment of a connection: from the client, or to it.
fn segment(is_back: bool, flags: u8, payload: &str) -> PacketBuilder {
    let packet = if is_back {
        Route::default().reversed().ipv4().tcp(80, 1024)
    } else {
        Route::default().ipv4().tcp(1024, 80)
    };
    packet.flags(flags).payload(payload.as_bytes())
}

const TCP: &str = "alert tcp any any <> any 80 (content:\"set1\"; flowbits:set,a; noalert; sid:1;)\n\
                   alert tcp any any <> any 80 (content:\"read\"; flowbits:isset,a; sid:2;)\n";

#[test]
fn a_connection_has_its_bits_until_the_next_one_is_accepted() -> Result<()> {
    let tables = tables(TCP)?;
    let packets = [
        segment(false, ACK, "set1"),
        segment(false, ACK, "read"),
        // Whoever has set a bit could get rid of it otherwise: the server takes neither.
        segment(false, SYN | ACK, ""),
        segment(false, ACK, "read"),
        segment(false, SYN, ""),
        segment(false, SYN | ACK, ""),
        segment(false, ACK, "read"),
        segment(true, ACK, "read"),
        segment(true, SYN | ACK, ""),
        segment(false, ACK, "read"),
        segment(true, ACK, "set1"),
        // Sent again, it accepts what was accepted before.
        segment(true, SYN | ACK, ""),
        segment(false, ACK, "read"),
    ];
    let told = all_told(&tables, &packets);
    assert_eq!(told, [0, 2, 0, 2, 0, 0, 2, 2, 0, 0, 0, 0, 2]);
    Ok(())
}

#[test]
fn bits_are_forgotten_some_time_after_a_rule_with_bits_held_last() -> Result<()> {
    const DAY: u64 = 86_400;
    let udp = tables(&text(&[SETS, READS]))?;
    let tcp = tables(TCP)?;
    let of_udp = |payload: &str| to(1024, payload);
    let of_tcp = |payload: &str| segment(false, ACK, payload);
    let told_at = |tables: &Tables, times: &[u64], packet: &dyn Fn(&str) -> PacketBuilder| {
        let mut host = HostMaps::new(tables, 1);
        let numbered = times.iter().enumerate();
        let found = numbered.map(|(number, second)| {
            let packet = packet(if number == 0 { "set1" } else { "read" });
            told(&mut host, tables, 0, &packet, second * SECOND)
        });
        found.collect::<Vec<_>>()
    };
    assert_eq!(told_at(&udp, &[9, 308], &of_udp), [0, 2]);
    assert_eq!(told_at(&udp, &[9, 310], &of_udp), [0, 0]);
    assert_eq!(told_at(&udp, &[9, 308, 607, 908], &of_udp), [0, 2, 2, 0]);
    assert_eq!(
        told_at(&tcp, &[9, DAY + 8, 2 * DAY + 9], &of_tcp),
        [0, 2, 0]
    );
    // A capture may go back by a second.
    assert_eq!(told_at(&tcp, &[9, 8], &of_tcp), [0, 2]);
    Ok(())
}

#[test]
fn both_directions_are_one_by_whichever_interface_they_come_in() -> Result<()> {
    let tables = tables(
        "alert ip any any -> any any (content:\"set1\"; flowbits:set,a; noalert; sid:1;)\n\
         alert ip any any -> any any (content:\"read\"; flowbits:isset,a; sid:2;)\n",
    )?;
    let route = Route::default();
    let v6 = |last: [u16; 2]| {
        let [from, to] = last.map(|last| [0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
        PacketBuilder::new().ipv6(from, to)
    };
    let pairs = [
        (v6([1, 2]).udp(7, 9), v6([2, 1]).udp(9, 7)),
        (v6([1, 2]).tcp(7, 9), v6([2, 1]).tcp(9, 7)),
        (
            route.ipv4().udp(7, 9),
            route.reversed().ipv4().vlan(7).udp(9, 7),
        ),
        (route.ipv4().tcp(7, 9), route.reversed().ipv4().tcp(9, 7)),
        (
            route.ipv4().icmp_echo(1, 1),
            route.reversed().ipv4().icmp_echo_reply(1, 1),
        ),
    ];
    let mut host = HostMaps::new(&tables, 2);
    for (number, (there, back)) in pairs.iter().enumerate() {
        let before = told(
            &mut host,
            &tables,
            1,
            &back.clone().payload(b"read"),
            SECOND,
        );
        assert_eq!(before, 0, "pair {number} is another's");
        told(
            &mut host,
            &tables,
            0,
            &there.clone().payload(b"set1"),
            SECOND,
        );
        let after = told(
            &mut host,
            &tables,
            1,
            &back.clone().payload(b"read"),
            SECOND,
        );
        assert_eq!(after, 2, "pair {number}");
    }
    // With the ports the other way round it is another one.
    let turned = route.ipv4().udp(9, 7).payload(b"read");
    assert_eq!(told(&mut host, &tables, 0, &turned, SECOND), 0);
    Ok(())
}

#[test]
fn bits_are_set_and_asked_for_by_what_segments_cut() -> Result<()> {
    let tables = tables(
        "alert tcp any any -> any 80 (content:\"abcdefgh\"; flowbits:set,a; noalert; sid:1;)\n\
         alert tcp any any -> any 80 (content:\"ijklmnop\"; flowbits:isset,a; sid:2;)\n",
    )?;
    let mut next = 7;
    let mut packets = Vec::new();
    for part in ["xxabcd", "efgh", "ijkl", "mnop", "x"] {
        packets.push(segment(false, ACK, part).seq(next));
        next += u32::try_from(part.len())?;
    }
    assert_eq!(all_told(&tables, &packets), [0, 0, 0, 2, 0]);
    Ok(())
}

#[test]
fn rules_that_are_read_anew_keep_bits_if_they_ask_for_the_same_names() -> Result<()> {
    let first = tables(&text(&[SETS, READS]))?;
    let same = tables(&text(&[
        READS,
        "alert (content:\"more\"; flowbits:set,other; flowbits:isnotset,a; sid:7;)",
    ]))?;
    let others = tables(&text(&[
        READS,
        "alert (content:\"more\"; flowbits:isset,A; sid:7;)",
    ]))?;
    let mut host = HostMaps::new(&first, 1);
    told(&mut host, &first, 0, &to(1024, "set1"), SECOND);
    host.set_tables(&same);
    assert_eq!(told(&mut host, &same, 0, &to(1024, "read"), SECOND), 2);
    host.set_tables(&others);
    assert_eq!(told(&mut host, &others, 0, &to(1024, "read"), SECOND), 0);
    Ok(())
}

#[test]
fn connections_that_push_others_out_are_counted() -> Result<()> {
    let tables = tables(&text(&[SETS, READS]))?;
    let mut host = HostMaps::new(&tables, 1);
    let ports = 1024..5024;
    for port in ports.clone() {
        let _ = host.run(0, &to(port, "set1").build(), SECOND);
    }
    let displaced = host.state.tally(Tally::FlowbitsDisplaced);
    let lost = ports.clone().filter(|port| {
        let packet = to(*port, "read");
        told(&mut host, &tables, 0, &packet, SECOND) == 0
    });
    assert_eq!(lost.count() as u64, displaced);
    // Of n in as many slots as there are, some n²/2 meet.
    let expected = 4000 * 4000 / 2 / u64::from(flowbits::SLOTS);
    assert!(
        (expected / 2..expected * 2).contains(&displaced),
        "{displaced}"
    );
    // Who only asks takes nobody's place, and what is over is nobody's.
    for port in ports {
        let _ = host.run(0, &to(port + 9000, "read").build(), SECOND);
        let _ = host.run(0, &to(port + 19000, "set1").build(), 1000 * SECOND);
    }
    let counted = host.state.tally(Tally::FlowbitsDisplaced);
    assert!(counted < 2 * displaced + expected, "{counted}");
    Ok(())
}

#[test]
fn of_more_rules_with_bits_than_are_noted_it_is_told() -> Result<()> {
    for (count, cut_short) in [(HELD_MAX, 0), (HELD_MAX + 1, 1)] {
        let (mut text, mut payload) = (String::new(), String::new());
        for sid in 1..=count {
            let _ = writeln!(
                text,
                "alert udp any any -> any 9 (content:\"word{sid:02}\"; flowbits:isset,a; sid:{sid};)"
            );
            let _ = write!(payload, "word{sid:02} ");
        }
        let tables = tables(&text)?;
        let mut host = HostMaps::new(&tables, 1);
        let _ = host.run(0, &to(1024, &payload).build(), SECOND);
        assert_eq!(host.state.tally(Tally::RulesCutShort), cut_short, "{count}");
    }
    Ok(())
}

#[test]
fn of_a_bit_that_no_rule_sets_it_is_told() -> Result<()> {
    let text = text(&[
        "alert (content:\"read\"; flowbits:isset,a; sid:1;)",
        "alert (content:\"one of\"; flowbits:isset,a|b; sid:2;)",
        "alert (content:\"read\"; flowbits:isnotset,a; sid:3;)",
        "alert (content:\"other\"; flowbits:toggle,b; flowbits:unset,a; sid:4;)",
    ]);
    let set = rules(&text)?;
    let warnings = check::warnings(&set, &tables(&text)?, &Variables::default());
    let told: Vec<_> = warnings
        .found
        .iter()
        .map(|warning| (warning.rule, warning.why.to_string()))
        .collect();
    let why = "can never match: flowbits:isset,a: no rule that is taken sets it";
    assert_eq!(told, [(0, why.to_owned())]);
    Ok(())
}

/// What rules with bits mean, as plainly as it can be written: each rule's content, and all of them in their order.
struct Model<'r> {
    rules: Vec<&'r Rule>,
    bits: HashMap<u16, Vec<String>>,
}

impl<'r> Model<'r> {
    fn of(rules: &'r [Rule]) -> Self {
        let mut rules: Vec<_> = rules.iter().collect();
        rules.sort_by_key(|rule| {
            let action = match rule.header.action {
                Action::Pass => 0,
                Action::Drop => 1,
                Action::Alert => 2,
            };
            let asks = rule.flow_bits.iter().any(FlowBit::asks);
            let sets = rule.is_silent || rule.flow_bits.iter().any(|bit| !bit.asks());
            (action, !sets, sets && asks, !asks)
        });
        Self {
            rules,
            bits: HashMap::new(),
        }
    }

    /// The number of the rule that is the finding of a packet of a connection.
    fn take(&mut self, connection: u16, payload: &str) -> u32 {
        let bits = self.bits.entry(connection).or_default();
        let (mut found, mut silent) = (None, None);
        for rule in &self.rules {
            let is_there = rule.patterns.iter().all(|pattern| {
                let mut windows = payload.as_bytes().windows(pattern.bytes.len());
                windows.any(|window| window == pattern.bytes)
            });
            let is_set = |name: &String| bits.contains(name);
            let holds = rule.flow_bits.iter().all(|bit| match bit {
                FlowBit::IsSet(names) => names.iter().any(is_set),
                FlowBit::IsNotSet(name) => !is_set(name),
                FlowBit::Set(_) | FlowBit::Unset(_) | FlowBit::Toggle(_) => true,
            });
            if !is_there || !holds {
                continue;
            }
            for bit in &rule.flow_bits {
                let [name] = bit.names() else { continue };
                let was_set = bits.contains(name);
                if !bit.asks() {
                    bits.retain(|bit| bit != name);
                }
                let sets = matches!(bit, FlowBit::Set(_));
                if sets || !was_set && matches!(bit, FlowBit::Toggle(_)) {
                    bits.push(name.clone());
                }
            }
            if rule.is_silent && rule.header.action == Action::Alert {
                silent.get_or_insert(*rule);
            } else {
                found.get_or_insert(*rule);
            }
        }
        let found = found.or(silent);
        let found = found.filter(|rule| rule.header.action != Action::Pass);
        found.map_or(0, |rule| rule.sid)
    }
}

/// Rules that are made up, each of which looks for a word of its own.
fn made_up(dice: &mut Dice) -> String {
    let mut text = String::new();
    for sid in 1..=10 {
        let action = dice.one_of(&["alert", "alert", "alert", "drop", "pass"]);
        let arrow = dice.one_of(&["->", "<>"]);
        let _ = write!(
            text,
            "{action} udp any any {arrow} any any (content:\"word{sid:02}\";"
        );
        for _ in 0..dice.below(4) {
            let name = dice.one_of(&["a", "b", "c"]);
            let command = dice.one_of(&["set", "set", "unset", "toggle", "isset", "isnotset"]);
            let bit = format!("flowbits:{command},{name};");
            // What contradicts itself is wrong.
            let is_asked = text.lines().last().is_some_and(|line| line.contains("is"));
            if !(is_asked && command.starts_with("is")) {
                let _ = write!(text, " {bit}");
            }
        }
        if dice.below(4) == 0 && !text.lines().last().is_some_and(|line| line.contains("is")) {
            text.push_str(" flowbits:isset,a|c;");
        }
        if dice.below(4) == 0 {
            text.push_str(" noalert;");
        }
        let _ = writeln!(text, " sid:{sid};)");
    }
    text
}

fn words(dice: &mut Dice) -> String {
    let words = (0..=dice.below(4)).map(|_| format!("word{:02} ", 1 + dice.below(10)));
    words.collect()
}

#[test]
fn any_rules_with_bits_find_what_the_model_does_on_the_host_and_in_the_kernel() -> Result<()> {
    let name = "any_rules_with_bits_find_what_the_model_does_on_the_host_and_in_the_kernel";
    let mut dice = Dice::new(seed_or(SEED)?);
    let texts: Vec<_> = (0..60).map(|_| made_up(&mut dice)).collect();
    let sets = texts.iter().map(|text| tables(text));
    let sets = sets.collect::<Result<Vec<_>>>()?;
    let first = sets.first().context("no rules")?;
    let has_kernel = kernel_or_skip(name);
    let mut both = if has_kernel {
        Some(Lockstep::new(first, 1)?)
    } else {
        None
    };
    let mut found = 0;
    for (round, (text, tables)) in (0_u16..).zip(texts.iter().zip(&sets)) {
        let set = rules(text)?;
        let mut model = Model::of(&set.rules);
        let mut host = HostMaps::new(tables, 1);
        if let Some(both) = &mut both {
            both.set_tables(tables)?;
        }
        for number in 0..100 {
            // What came before is not forgotten in the kernel.
            let port = 1024 + 8 * round + dice.below(4) as u16;
            let payload = words(&mut dice);
            let packet = if dice.below(2) == 0 {
                to(port, &payload)
            } else {
                back(port, &payload)
            };
            let before = host.state.rule_hits.clone();
            let _ = host.run(0, &packet.build(), SECOND);
            let mut entries = tables.book.iter();
            let hit = entries.find(|(slot, _)| {
                let slot = usize::from(*slot);
                host.state.rule_hits[slot] != before[slot]
            });
            let hit = hit.map_or(0, |(_, entry)| entry.sid);
            let expected = model.take(port, &payload);
            assert_eq!(
                hit, expected,
                "round {round}, packet {number}: {payload} of\n{text}"
            );
            found += u32::from(hit != 0);
            if let Some(both) = &mut both {
                both.push(0, &packet.build())?;
            }
        }
        ensure!(host.state.tally(Tally::RulesCutShort) == 0);
    }
    if let Some(both) = &mut both {
        both.settle()?;
        let hits = both.state().rule_hits.iter();
        assert_eq!(hits.map(|hits| hits.packets).sum::<u64>(), u64::from(found));
    }
    ensure!(found > 2000, "a rule found in {found} packets");
    Ok(())
}

#[test]
fn the_kernel_forgets_bits_where_the_host_does() -> Result<()> {
    if !kernel_or_skip("the_kernel_forgets_bits_where_the_host_does") {
        return Ok(());
    }
    let tables = tables(TCP)?;
    let mut both = Lockstep::new(&tables, 1)?;
    let mut dice = Dice::new(seed_or(SEED)?);
    for _ in 0..1000 {
        let is_back = dice.below(2) == 0;
        let payload = dice.one_of(&["set1", "read", "", ""]);
        let flags = if payload.is_empty() {
            dice.one_of(&[SYN, SYN | ACK, ACK])
        } else {
            ACK
        };
        both.push(0, &segment(is_back, flags, payload).build())?;
    }
    both.settle()?;
    let state = both.state();
    let hits: Vec<_> = tables
        .book
        .iter()
        .map(|(slot, _)| state.rule_hits[usize::from(slot)].packets)
        .collect();
    ensure!(hits.iter().all(|packets| *packets > 50), "{hits:?}");
    Ok(())
}

#[test]
fn a_bit_that_is_set_on_one_cpu_is_set_on_all() -> Result<()> {
    if !kernel_or_skip("a_bit_that_is_set_on_one_cpu_is_set_on_all") {
        return Ok(());
    }
    let tables = tables(&text(&[
        SETS,
        "drop (content:\"read\"; flowbits:isset,a; sid:2;)",
    ]))?;
    let mut kernel = TestKernel::load(&tables, 2)?;
    let cpus = cpu::allowed()?;
    for (port, cpu) in (1024..).zip(&cpus) {
        cpu::hold(*cpu)?;
        let _ = kernel.run(0, &to(port, "set1").build())?;
        for other in &cpus {
            cpu::hold(*other)?;
            let verdict = kernel.run(1, &back(port, "read").build())?;
            assert_eq!(verdict, Verdict::DROP, "set on CPU {cpu}, asked on {other}");
        }
    }
    Ok(())
}
