use std::{fmt::Write as _, path::Path, time::Instant};

use detector_common::config::Config;

use super::*;
use crate::tables::HashSeed;

/// Rules that are numbered from 1, by what stands before the parenthesis and within.
fn set(rules: &[(&str, &str)]) -> RuleSet {
    let mut text = String::new();
    for (sid, (header, options)) in (1..).zip(rules) {
        let _ = writeln!(text, "{header} ({options} sid:{sid};)");
    }
    let set = RuleSet::from_bytes(Path::new("x.rules"), text.as_bytes());
    assert!(set.refusals.is_empty(), "{:?}", set.refusals);
    set
}

fn tables(set: &RuleSet) -> Tables {
    let variables = Variables::default();
    let tables = Tables::new(Config::DEFAULT, HashSeed::FIXED, &set.rules, &variables);
    assert!(tables.refused.is_empty(), "{:?}", tables.refused.first());
    tables
}

fn warnings_of(set: &RuleSet) -> Warnings {
    warnings(set, &tables(set), &Variables::default())
}

/// Why the rule with these options never matches.
fn never(header: &str, options: &str) -> Option<String> {
    let found = warnings_of(&set(&[(header, options)])).found;
    found.first().map(|warning| warning.why.to_string())
}

const WEB: &str = "alert tcp any any -> any 80";

#[test]
fn a_rule_that_no_packet_can_match_is_told() {
    for (header, options, why) in [
        (
            WEB,
            "flags:S; flow:established;",
            "flags, flow and the protocol: no packet",
        ),
        (WEB, "flags:+SA; flow:to_server;", "flags, flow"),
        (WEB, "dsize:>9; dsize:<9;", "dsize: no packet"),
        (WEB, "ttl:>200; ttl:<9;", "ttl: no packet"),
        (
            "alert icmp any any -> any any",
            "itype:8; itype:0;",
            "itype: no packet",
        ),
        (
            WEB,
            "content:\"abc\"; offset:8; dsize:<11;",
            "content:\"abc\"; offset:8: has no place in 10 bytes",
        ),
        (
            WEB,
            "content:\"abcd\"; depth:6; content:\"efgh\"; distance:4; dsize:<12;",
            "content:\"efgh\"; distance:4: has no place",
        ),
        (
            WEB,
            "content:\"abcd\"; content:\"xy\"; distance:-9; within:3; content:\"z\"; distance:5000;",
            "content:\"z\"; distance:5000",
        ),
        (
            WEB,
            "content:\"abc\"; isdataat:!3,relative; dsize:>6; content:\"abc\"; depth:3; isdataat:!1,relative;",
            "it asks for a payload of 7 bytes or more, and of 3 or fewer",
        ),
        (
            WEB,
            "isdataat:20; isdataat:!9;",
            "it asks for a payload of 21 bytes or more, and of 9 or fewer",
        ),
        (
            WEB,
            "content:\"GET\"; startswith; content:\"POST\"; startswith;",
            "content:\"GET\"; depth:3 and content:\"POST\"; depth:4 overlap and differ",
        ),
        (
            WEB,
            "content:\"a GET b\"; content:!\"get\"; nocase;",
            "content:!\"get\"; nocase is a part of content:\"a GET b\"",
        ),
        (
            "alert tcp 2001:db8::/32 any -> any any",
            "fragbits:D; content:\"abcd\";",
            "only IPv4",
        ),
        (
            "alert tcp 2001:db8::/32 any -> any any",
            "id:7;",
            "only IPv4",
        ),
    ] {
        let told = never(header, options).unwrap_or_default();
        assert!(told.contains(why), "{options}: {told:?}");
    }
}

#[test]
fn of_a_rule_that_some_packet_may_match_nothing_is_told() {
    for (header, options) in [
        (WEB, "flags:S,12; flow:to_server;"),
        (WEB, "flags:PA; flow:established;"),
        ("alert udp any any -> any 9", "flow:to_server;"),
        (WEB, "dsize:>9; dsize:<11;"),
        (WEB, "ttl:!64; ttl:<128;"),
        (WEB, "content:\"abc\"; offset:8; dsize:11;"),
        (
            WEB,
            "content:\"abc\"; depth:3; content:\"bcd\"; offset:1; depth:3;",
        ),
        (
            WEB,
            "content:\"GET\"; nocase; startswith; content:\"get\"; startswith;",
        ),
        (WEB, "content:\"GET\"; nocase; content:!\"GET\";"),
        (WEB, "content:\"a GET b\"; content:!\"GET\"; depth:4;"),
        (WEB, "content:\"abcd\"; content:!\"abc\"; distance:0;"),
        (
            WEB,
            "content:\"abcd\"; endswith; content:\"cd\"; distance:-2; endswith; dsize:4;",
        ),
        (WEB, "isdataat:9; isdataat:!20;"),
        ("alert tcp any any <> 2001:db8::/32 80", "content:\"abcd\";"),
        (
            "alert tcp [2001:db8::/32,192.0.2.1] any -> any any",
            "fragbits:D;",
        ),
    ] {
        assert_eq!(never(header, options), None, "{options}");
    }
}

#[test]
fn what_ships_with_detector_is_free_of_warnings_and_looked_at_at_every_fourth_byte() {
    let set = crate::rules::worms();
    let variables = Variables::with_http(&[80, 8080]);
    let tables = Tables::new(Config::DEFAULT, HashSeed::FIXED, &set.rules, &variables);
    let found = warnings(&set, &tables, &variables).found;
    assert!(found.is_empty(), "{found:?}");
    let costs = costs(&set, &tables, &variables);
    let web = costs.iter().find(|cost| cost.ports == "80,8080").unwrap();
    assert_eq!(web.traffic, "tcp to");
    assert!(web.stride > 1, "{web:?}");
}

#[test]
fn a_rule_that_hands_over_many_packets_is_told() {
    for (contents, expected) in [
        ("content:\"abc\"; content:!\"abcd\";", &["handed_over"][..]),
        ("content:\"abc\"; content:\"abcd\";", &[]),
    ] {
        let rule = format!("{WEB} ({contents} pcre:\"/x+y/\"; sid:1;)");
        let set = RuleSet::from_bytes_as(true, Path::new("x.rules"), rule.as_bytes());
        assert!(set.refusals.is_empty(), "{:?}", set.refusals);
        let found = warnings_of(&set).found;
        let names: Vec<_> = found.iter().map(|warning| warning.why.name()).collect();
        assert_eq!(names, expected, "{contents}");
    }
}

/// The rule that goes before the second of two.
fn shadow(first: (&str, &str), second: (&str, &str)) -> Vec<(usize, usize)> {
    let found = warnings_of(&set(&[first, second])).found;
    let by = |warning: &Warning| match warning.why {
        Why::Shadowed(by) => Some((warning.rule, by)),
        Why::Never(_) | Why::HandedOver => None,
    };
    found.iter().filter_map(by).collect()
}

#[test]
fn a_rule_is_told_that_another_always_goes_before() {
    let options = "content:\"abcdef\";";
    for (first, second) in [
        ((WEB, options), (WEB, options)),
        (("alert tcp any any -> any 1:100", options), (WEB, options)),
        (("alert ip any any -> any any", options), (WEB, options)),
        (
            (WEB, options),
            ("alert tcp 192.0.2.1 any -> any 80", options),
        ),
        ((WEB, "content:\"bcde\";"), (WEB, options)),
        ((WEB, "content:\"BcDe\"; nocase;"), (WEB, options)),
        (
            (WEB, "content:\"a\"; depth:5;"),
            (WEB, "content:\"cab\"; depth:4;"),
        ),
        (
            (WEB, "content:\"abcd\"; offset:2;"),
            (WEB, "content:\"xy\"; content:\"abcd\"; distance:0;"),
        ),
        ((WEB, ""), (WEB, options)),
        ((WEB, "dsize:>4;"), (WEB, "dsize:>9; content:\"abcd\";")),
        (
            (WEB, "flow:to_server;"),
            (WEB, "flow:established,to_server; content:\"abcd\";"),
        ),
        ((WEB, "isdataat:3;"), (WEB, options)),
        (
            (WEB, "content:!\"abcd\";"),
            (WEB, "content:!\"bc\"; content:\"wxyz\";"),
        ),
        (
            (
                WEB,
                "content:\"abcd\"; content:\"ef\"; within:9; isdataat:!4,relative;",
            ),
            (
                WEB,
                "content:\"wxyz\"; content:\"abcd\"; content:\"ef\"; within:9; isdataat:!4,relative;",
            ),
        ),
        (
            ("alert tcp any any <> any 80", options),
            ("alert tcp any 80 -> any any", options),
        ),
        (
            ("pass icmp any any -> any any", ""),
            ("drop icmp any any -> any any", "itype:8;"),
        ),
        (
            ("alert tcp any 80 -> any any", ""),
            ("alert tcp any 80 -> any 9", options),
        ),
    ] {
        assert_eq!(shadow(first, second), [(1, 0)], "{first:?} {second:?}");
    }
    // One that drops goes before one that alerts, wherever it stands.
    assert_eq!(
        shadow((WEB, options), ("drop tcp any any -> any 80", options)),
        [(0, 1)]
    );
}

#[test]
fn of_a_rule_that_asks_something_else_no_shadow_is_told() {
    let options = "content:\"abcdef\";";
    for (first, second) in [
        ((WEB, "content:\"abcdefg\";"), (WEB, options)),
        ((WEB, options), ("alert tcp any any -> any 80:81", options)),
        ((WEB, options), ("alert ip any any -> any any", options)),
        (
            ("alert tcp 192.0.2.1 any -> any 80", options),
            (WEB, options),
        ),
        ((WEB, options), (WEB, "content:\"ABCDEF\"; nocase;")),
        ((WEB, "content:\"abcd\"; depth:8;"), (WEB, options)),
        ((WEB, "content:\"abcd\"; endswith;"), (WEB, options)),
        ((WEB, "content:\"abcd\"; content:!\"x\";"), (WEB, options)),
        (
            (WEB, "content:!\"bc\"; content:\"wxyz\";"),
            (WEB, "content:!\"abcd\"; content:\"wxyz\";"),
        ),
        (
            (WEB, "content:\"ab\"; content:\"ef\"; within:4;"),
            (WEB, options),
        ),
        ((WEB, "dsize:>9;"), (WEB, options)),
        ((WEB, "flags:S;"), (WEB, "flags:A;")),
        ((WEB, "isdataat:6;"), (WEB, options)),
        (("alert tcp any 80 -> any any", options), (WEB, options)),
        (("pass tcp any any -> any 80", "ttl:1;"), (WEB, options)),
    ] {
        assert_eq!(shadow(first, second), [], "{first:?} {second:?}");
    }
}

#[test]
fn the_rules_to_blame_for_a_dearer_group_of_ports_are_named() {
    let set = set(&[
        (WEB, "content:\"abcdefg\";"),
        (WEB, "content:\"abcde\";"),
        (WEB, "content:\"abcd\";"),
        (WEB, "content:\"abc\";"),
        (
            "alert udp any any -> any [9,11:13]",
            "content:\"abcdefgh\"; depth:8;",
        ),
        ("alert icmp any any -> any any", "itype:8;"),
    ]);
    let costs = costs(&set, &tables(&set), &Variables::default());
    let groups: Vec<_> = costs
        .iter()
        .map(|cost| {
            (
                cost.traffic,
                &*cost.ports,
                cost.rules,
                cost.stride,
                cost.windows,
            )
        })
        .collect();
    assert_eq!(
        groups,
        [
            ("tcp to", "80", 4, 1, 4 * 365),
            ("udp to", "9,11:13", 1, 4, 2),
            ("icmp", "any", 1, 0, 0),
        ]
    );
    let blamed = |rule, stride| Blamed { rule, stride };
    assert_eq!(costs[0].dense, [blamed(2, 1), blamed(1, 2)]);
    assert_eq!((&*costs[0].always, &*costs[2].always), (&[3][..], &[5][..]));
}

#[test]
fn ten_thousand_rules_that_begin_alike_are_checked_within_seconds() {
    let options = |number: u32| {
        let drawn = number.wrapping_mul(0x9e37_79b1);
        format!(
            "content:\"GET /{drawn:08x}{number:05}.exe\"; nocase; content:\"Host: x\"; distance:0;"
        )
    };
    let options: Vec<_> = (0..10_000).map(options).collect();
    let rules: Vec<_> = options.iter().map(|options| (WEB, &**options)).collect();
    let set = set(&rules);
    let tables = tables(&set);
    let before = Instant::now();
    let found = warnings(&set, &tables, &Variables::default());
    assert_eq!((found.found.len(), found.not_compared), (0, 0));
    assert_eq!(costs(&set, &tables, &Variables::default()).len(), 1);
    let took = before.elapsed();
    assert!(took.as_secs() < 20, "{took:?}");
}
