//! What `rules check` says of rules is so: a rule that never matches matches no packet, and one that never counts is never the finding.

use std::{fmt::Write as _, path::Path};

use detector::{
    replay::runtime::Replay,
    rules::{
        Rule, RuleSet, Variables,
        check::{Why, warnings},
    },
    tables::{HashSeed, Tables},
};
use detector_common::{config::Config, packet::Frame, reason::Reason};
use detector_tests::builder::{PacketBuilder, Route};

/// Numbers that look as if they were drawn.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) as usize % most
    }

    fn of<'t>(&mut self, all: &[&'t str]) -> &'t str {
        all[self.below(all.len())]
    }

    /// Few letters, so that patterns meet.
    fn letters(&mut self, len: usize) -> String {
        (0..len).map(|_| self.of(&["a", "b", "B"])).collect()
    }
}

/// A rule whose conditions are likely to meet those of others, and its own.
fn rule(dice: &mut Dice, sid: usize) -> String {
    let action = dice.of(&["alert", "alert", "drop", "pass"]);
    let header = dice.of(&[
        "tcp any any -> any 80",
        "tcp any any -> any [80,81]",
        "tcp any any <> any 80",
        "tcp 192.0.2.0/24 any -> any any",
        "tcp any 80 -> any any",
        "ip any any -> any any",
        "ip any any -> 2001:db8::/32 any",
    ]);
    let mut rule = format!("{action} {header} (");
    for number in 0..dice.below(3) {
        let (not, len) = (dice.of(&["", "", "", "!"]), 1 + dice.below(3));
        let _ = write!(rule, "content:{not}\"{}\"; ", dice.letters(len));
        rule.push_str(dice.of(&["", "nocase; "]));
        let room = len + dice.below(4);
        let _ = match dice.below(if number == 0 { 4 } else { 6 }) {
            0 => write!(rule, "depth:{room}; "),
            1 => write!(rule, "offset:{}; ", dice.below(5)),
            2 => write!(rule, "startswith; "),
            4 => write!(rule, "distance:{}; ", dice.below(4)),
            5 => write!(rule, "within:{room}; "),
            _ => Ok(()),
        };
        rule.push_str(dice.of(&["", "", "", "endswith; "]));
        // To a place near: an `a` is 97.
        rule.push_str(dice.of(&[
            "",
            "",
            "",
            "",
            "",
            "byte_jump:1,0,relative,post_offset -97; ",
            "byte_jump:1,0,post_offset -96; ",
            "byte_jump:1,-1,relative,from_beginning,post_offset -95; ",
        ]));
    }
    for _ in 0..dice.below(3) {
        rule.push_str(dice.of(&[
            "",
            "",
            "isdataat:4; ",
            "isdataat:!6; ",
            "isdataat:2,relative; ",
            "isdataat:!2,relative; ",
        ]));
    }
    rule.push_str(dice.of(&["", "", "", "", "", "dsize:<6; ", "dsize:>4; ", "dsize:7; "]));
    rule.push_str(dice.of(&["", "", "", "", "ttl:64; ", "ttl:>64; ", "ttl:<32; "]));
    rule.push_str(dice.of(&["", "", "", "flow:established; ", "flow:to_server; "]));
    if header.starts_with("tcp") {
        rule.push_str(dice.of(&["", "", "", "", "flags:S; ", "flags:+A; ", "flags:!A; "]));
    }
    rule.push_str(dice.of(&[
        "",
        "",
        "",
        "detection_filter:track by_src, count 2, seconds 9; ",
        "threshold:type limit, track by_src, count 2, seconds 9; ",
    ]));
    let _ = writeln!(rule, "sid:{sid};)");
    rule
}

/// The same rule with the next number, which asks for one thing more or for something near it.
fn narrowed(dice: &mut Dice, rule: &str, sid: usize) -> String {
    let more = dice.of(&[
        "",
        "content:\"a\"; ",
        "content:!\"B\"; ",
        "isdataat:3; ",
        "ttl:>9; ",
    ]);
    let (from, to) = [
        (" any -> any", " any -> any"),
        ("content:\"", "content:\"a"),
        ("content:!\"a", "content:!\""),
        ("nocase; ", ""),
        ("depth:5", "depth:4"),
        ("distance:", "distance:1"),
        ("dsize:<6", "dsize:4"),
        ("[80,81]", "80"),
        ("tcp any any -> any [80,81]", "tcp any any <> any 80"),
    ][dice.below(9)];
    let rule = rule.replacen(from, to, 1);
    rule.replace(&format!("sid:{sid};"), &format!("{more}sid:{};", sid + 1))
}

fn packet(dice: &mut Dice) -> Vec<u8> {
    let ports = [80, 81, 9];
    let route = Route::default();
    let (from, to) = (ports[dice.below(3)], ports[dice.below(3)]);
    let len = dice.below(12);
    let payload = dice.letters(len);
    let ip = route.ipv4();
    let packet: PacketBuilder = if dice.below(6) == 0 {
        ip.udp(from, to)
    } else {
        ip.tcp(from, to)
    };
    packet.payload(payload.as_bytes()).build()
}

/// Whether a rule alone, which alerts, matches each of the packets.
fn matches(rule: &Rule, packets: &[Vec<u8>]) -> Vec<bool> {
    let mut rule = rule.clone();
    rule.header.action = detector::rules::Action::Alert;
    let variables = Variables::default();
    let tables = Tables::new(Config::DEFAULT, HashSeed::FIXED, &[rule], &variables);
    let mut replay = Replay::new(&tables);
    let mut is_found = |packet: &Vec<u8>| {
        let decision = replay.classify(&Frame::whole(packet), 0, 1);
        decision.reason == Reason::Signature
    };
    packets.iter().map(&mut is_found).collect()
}

#[test]
fn what_is_warned_of_is_so_in_every_packet() {
    let mut dice = Dice(3);
    let (mut never, mut shadowed, mut shadowed_matches) = (0, 0, 0);
    for round in 0..60 {
        let mut text = String::new();
        for sid in (1..=8).step_by(2) {
            let rule = rule(&mut dice, sid);
            text.push_str(&rule);
            text.push_str(&narrowed(&mut dice, &rule, sid));
        }
        let mut set = RuleSet::from_bytes(Path::new("x.rules"), text.as_bytes());
        let variables = Variables::default();
        let tables = Tables::new(Config::DEFAULT, HashSeed::FIXED, &set.rules, &variables);
        set.refuse_compiled(&tables.refused);
        let packets: Vec<_> = (0..400).map(|_| packet(&mut dice)).collect();
        for warning in warnings(&set, &tables, &variables).found {
            let of_rule = matches(&set.rules[warning.rule], &packets);
            match warning.why {
                Why::Never(why) => {
                    never += 1;
                    assert!(!of_rule.contains(&true), "{round}: {why}\n{text}");
                }
                Why::HandedOver => panic!("{round}: no rule is partial\n{text}"),
                Why::Shadowed(by) => {
                    shadowed += 1;
                    shadowed_matches += of_rule.iter().filter(|matches| **matches).count();
                    let by = matches(&set.rules[by], &packets);
                    let mut pairs = of_rule.iter().zip(&by);
                    let is_wrong = pairs.any(|(rule, by)| *rule && !by);
                    assert!(!is_wrong, "{round}: rule {}\n{text}", warning.rule + 1);
                }
            }
        }
    }
    assert!(
        never > 20 && shadowed > 20 && shadowed_matches > 20,
        "{never} never, {shadowed} shadowed, which match {shadowed_matches} packets"
    );
}
