use std::net::Ipv6Addr;

use detector_common::{
    detect::{
        arp_sweep::{self, LONG_BITS, SHORT_BITS},
        scan,
    },
    net::MacAddress,
    token_bucket::Limit,
    window::Threshold,
};

use super::*;

fn settings(text: &str) -> Settings {
    read(text).unwrap()
}

fn refusal(text: &str) -> (usize, String) {
    let Fault { at, problem } = read(text).unwrap_err();
    (at, problem.to_string())
}

#[test]
fn a_file_that_says_nothing_is_the_defaults_which_are_those_of_the_classifier() {
    assert_eq!(settings("# nothing"), Settings::default());
    assert_eq!(Settings::default().config(), Config::DEFAULT);
}

#[test]
fn everything_that_can_be_said_reaches_the_classifier() {
    let settings = settings(
        "mode = 'enforce'
        http_ports = [80, 8_000]
        report_interval_ms = 0x10
        gateways = ['02:00:00:00:00:01']
        [signature]
        policy = 'alert'
        [arp_flood]
        policy = 'off'
        sender = '4/2s'
        gateway = '5/s'
        replies = '6/s'
        segment = '15/s'
        [arp_sweep]
        policy = 'drop'
        short = '7/s'
        long = '8/3600s'
        [nd_flood]
        policy = 'limit'
        [nd_sweep]
        policy = 'off'
        [nd_spoof]
        policy = 'drop'
        [arp_spoof]
        policy = 'count'
        [scan]
        policy = 'drop'
        short = '9/5s'
        long = '10/5s'
        [udp_sweep]
        policy = 'off'
        short = '11/6s'
        limit = '3/2s'
        [icmp_sweep]
        policy = 'count'
        long = '12/6s'
        [first_fragment_too_short]
        policy = 'drop'",
    );
    let config = settings.config();
    let mut expected = Config::DEFAULT
        .with_mode(Mode::Enforce)
        .with_policy(Detector::Signature, Policy::Alert)
        .with_policy(Detector::ArpFlood, Policy::Off)
        .with_policy(Detector::ArpSweep, Policy::Drop)
        .with_policy(Detector::ArpSpoof, Policy::Count)
        .with_policy(Detector::NdFlood, Policy::Limit)
        .with_policy(Detector::NdSweep, Policy::Off)
        .with_policy(Detector::NdSpoof, Policy::Drop)
        .with_policy(Detector::Scan, Policy::Drop)
        .with_policy(Detector::UdpSweep, Policy::Off)
        .with_policy(Detector::IcmpSweep, Policy::Count)
        .with_short_first_fragments(Policy::Drop)
        .with_gateways([MacAddress::new([2, 0, 0, 0, 0, 1])]);
    let scan = |short, long: (u32, u64), limit| {
        let threshold =
            |(hosts, seconds): (u32, u64)| Threshold::new(hosts, seconds * 1_000_000_000);
        scan::Rule::new(
            threshold(short),
            threshold(long),
            scan::ANSWER_WITHIN_NS,
            limit,
        )
    };
    let once = Limit::new(1, 1_000_000_000);
    expected.scan = scan((9, 5), (10, 5), once);
    expected.udp_sweep = scan((11, 6), (50, 600), Limit::new(3, 2_000_000_000));
    expected.icmp_sweep = scan((20, 60), (12, 6), once);
    expected.arp_sender = Limit::new(4, 2_000_000_000);
    expected.arp_gateway = Limit::new(5, 1_000_000_000);
    expected.arp_replies = Limit::new(6, 1_000_000_000);
    expected.arp_segment = Limit::new(15, 1_000_000_000);
    expected.sweep_short = arp_sweep::threshold(7, 1_000_000_000, SHORT_BITS);
    expected.sweep_long = arp_sweep::threshold(8, 3_600_000_000_000, LONG_BITS);
    expected.report_interval_ns = 16_000_000;
    assert_eq!((config, settings.http_ports), (expected, vec![80, 8000]));
}

#[test]
fn an_unknown_key_is_refused_where_it_stands_with_the_nearest_known_one() {
    for (text, at, message) in [
        (
            "[arp_flood]\nsender = '5/s'\nsegmnt = '5/s'",
            27,
            r#"unknown key "segmnt" in [arp_flood]: did you mean "segment"?"#,
        ),
        (
            "Mode = 'enforce'",
            0,
            r#"unknown key "Mode": did you mean "mode"?"#,
        ),
        (
            "[arp-flood]\nsender = '5/s'",
            1,
            r#"unknown key "arp-flood": did you mean "arp_flood"?"#,
        ),
        (
            "[signature]\nqqq = 5",
            12,
            r#"unknown key "qqq" in [signature]: known are policy, block_unproven"#,
        ),
        (
            r#""\u001b[2J" = 1"#,
            0,
            r#"unknown key "\u{1b}[2J": known are mode, http_ports, report_interval_ms, signature, protected, block, gateways, arp_flood, arp_sweep, arp_spoof, nd_flood, nd_sweep, nd_spoof, scan, udp_sweep, icmp_sweep, first_fragment_too_short, rules"#,
        ),
    ] {
        assert_eq!(refusal(text), (at, message.to_owned()));
    }
}

#[test]
fn a_policy_that_its_detector_does_not_have_is_refused() {
    for (policy, choices) in [
        (
            "[signature]\npolicy = 'limit'",
            "one of off, count, alert, drop, block",
        ),
        ("[arp_flood]\npolicy = 'limits'", r#""limit""#),
        (
            "[arp_flood]\npolicy = 'block'",
            "one of off, count, alert, limit",
        ),
    ] {
        let (at, message) = refusal(policy);
        assert_eq!(at, 21);
        assert!(message.contains(choices), "{message}");
    }
    // Nobody would report it, and what is not understood is counted whatever anybody says.
    for policy in ["off", "alert", "limit", "block"] {
        let text = format!("[first_fragment_too_short]\npolicy = '{policy}'");
        let (at, message) = refusal(&text);
        assert_eq!(at, 36);
        assert!(message.contains("one of count, drop"), "{message}");
    }
}

#[test]
fn a_number_out_of_range_is_refused_with_the_range() {
    for (text, message) in [
        (
            "http_ports = [80, 0]",
            "http_ports: 0 is out of range: from 1 to 65535",
        ),
        (
            "http_ports = [65536]",
            "http_ports: 65536 is out of range: from 1 to 65535",
        ),
        (
            "report_interval_ms = -1",
            "report_interval_ms: -1 is out of range: from 1 to 3600000",
        ),
        (
            "report_interval_ms = 99999999999999999999999999",
            "report_interval_ms: 99999999999999999999999999 is out of range: from 1 to 3600000",
        ),
    ] {
        assert_eq!(refusal(text).1, message);
    }
}

#[test]
fn a_limit_or_an_address_that_is_none_is_refused_where_it_stands_with_one_that_is() {
    let (at, message) = refusal("[arp_flood]\nsender = '0/s'");
    assert_eq!(at, 21);
    let (at, other) = refusal("gateways = ['02:00:00:00:00:01', '02:00']");
    assert_eq!(at, 33);
    assert_eq!(
        other,
        r#"gateways: "02:00" is no MAC address: write "02:00:00:00:00:01""#
    );
    let (at, fast) = refusal("[scan]\nshort = '10/s'");
    assert_eq!(at, 15);
    assert_eq!(
        fast,
        r#"short in [scan]: "10/s" is never reached: 2 hosts a second are looked after for certain, so allow 5 s or more"#
    );
    let many = format!("gateways = [{}]", "'02:00:00:00:00:01',".repeat(5));
    assert_eq!(
        refusal(&many).1,
        "gateways: 5 entries, and at most 4 are kept"
    );
    assert_eq!(
        message,
        r#"sender in [arp_flood]: "0/s" is no limit: write "30/2s" for 30 in 2 seconds, or "15/s"; from 1 to 1000000 in 1 to 3600 seconds"#
    );
}

#[test]
fn how_long_findings_block_is_read_and_a_time_that_is_none_refused() {
    let settings = settings(
        "protected = ['192.0.2.0/24', '2001:db8::1']
        [signature]
        policy = 'block'
        [scan]
        policy = 'block'
        block_unproven = true
        [block]
        time = '1m'
        time_max = '1h 30m'",
    );
    let terms = settings.terms();
    let blocking = [(Detector::Signature, false), (Detector::Scan, true)];
    assert_eq!(terms.detectors, blocking);
    assert_eq!((terms.time.as_secs(), terms.time_max.as_secs()), (60, 5400));
    assert_eq!(settings.protected.len(), 2);
    for (text, at, message) in [
        (
            "[block]\ntime = '0s'",
            15,
            r#"time in [block]: "0s" is no time: write "90s", "10m" or "1h 30m"; from 1 to 31622400 seconds"#,
        ),
        (
            "[block]\ntime = '2h'\ntime_max = '1h'",
            15,
            "time in [block]: 7200 s is more than the longest time, 3600 s",
        ),
        (
            "protected = ['192.0.2.7/24']",
            13,
            r#"protected: "192.0.2.7/24": the address has bits beyond the prefix: write 192.0.2.0/24"#,
        ),
    ] {
        assert_eq!(refusal(text), (at, message.to_owned()));
    }
}

#[test]
fn owners_of_addresses_are_read_and_what_is_no_address_or_no_mac_is_refused() {
    let named = settings(
        "[arp_spoof.bindings]
        '192.0.2.1' = '02:00:00:00:00:01'
        '2001:db8::1' = '02:00:00:00:00:02'
        '::ffff:192.0.2.3' = '02:00:00:00:00:03'",
    );
    let bindings: Vec<_> = named.arp_spoof.bindings.into_iter().collect();
    let mac = |last| Mac::from(MacAddress::new([2, 0, 0, 0, 0, last]));
    let ipv6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    assert_eq!(
        bindings,
        [
            ([192, 0, 2, 1].into(), mac(1)),
            ([192, 0, 2, 3].into(), mac(3)),
            (ipv6.into(), mac(2)),
        ]
    );
    for (text, at, message) in [
        (
            "arp_spoof.bindings = { '192.0.2' = '02:00:00:00:00:01' }",
            23,
            r#"bindings in [arp_spoof]: "192.0.2" is no address: write "192.0.2.1" or "2001:db8::1""#,
        ),
        (
            "arp_spoof.bindings = { 'fe80::1' = '02:00:00:00:00:01' }",
            23,
            "bindings in [arp_spoof]: fe80::1 is another on each interface, so that its owner cannot be named",
        ),
        (
            "arp_spoof.bindings = { '192.0.2.1' = '02' }",
            37,
            r#"bindings in [arp_spoof]: "02" is no MAC address: write "02:00:00:00:00:01""#,
        ),
        (
            "arp_spoof.bindings = { '192.0.2.1' = 2 }",
            37,
            "bindings in [arp_spoof]: expected a string, found an integer",
        ),
    ] {
        assert_eq!(refusal(text), (at, message.to_owned()));
    }
}

#[test]
fn a_block_on_what_can_be_forged_is_warned_of_and_so_is_one_that_never_comes() {
    let warned = |text| settings(text).warnings();
    assert!(warned("").is_empty() && warned("[signature]\npolicy = 'drop'").is_empty());
    let proven = "[signature]\npolicy = 'block'";
    assert!(warned(proven)[0].contains("an innocent's browser"));
    let forged = "[signature]\npolicy = 'block'\nblock_unproven = true";
    assert!(warned(forged)[0].contains("in the name of another"));
    let never = "[udp_sweep]\npolicy = 'block'";
    assert!(warned(never)[0].contains("blocks nobody"));
    let idle = "[scan]\nblock_unproven = true";
    assert!(warned(idle)[0].contains("does not block"));
}

#[test]
fn a_value_of_another_type_is_refused_with_the_one_that_is_wanted() {
    for (text, message) in [
        ("mode = true", "mode: expected a string, found a boolean"),
        (
            "http_ports = 80",
            "http_ports: expected an array of numbers, found an integer",
        ),
        (
            "http_ports = ['http']",
            "http_ports: expected a whole number, found a string",
        ),
        (
            "signature = 'drop'",
            "signature: expected a table, found a string",
        ),
        (
            "[arp_flood]\nsegment = 1.5",
            r#"segment in [arp_flood]: expected a string such as "30/2s", found a float"#,
        ),
    ] {
        assert_eq!(refusal(text).1, message);
    }
}

#[test]
fn http_may_be_looked_for_on_the_ports_of_other_worms() {
    let settings = Settings {
        http_ports: vec![23, 445, 2323, 3127],
        ..Settings::default()
    };
    assert!(settings.tables(HashSeed::FIXED).is_ok());
}

#[test]
fn what_variables_of_rules_stand_for_is_said_as_in_rules() {
    let settings = settings(
        "[rules]\nworms = false\nfiles = [\"a.rules\"]\naddresses = { HOME_NET = \"[192.0.2.0/24,!192.0.2.7]\" }\nports = { SSH_PORTS = \"22\" }",
    );
    let variables = settings.variables();
    assert!(variables.addresses.contains_key("HOME_NET"));
    assert!(
        variables.ports.contains_key("SSH_PORTS") && variables.ports.contains_key("HTTP_PORTS")
    );
    assert!(!settings.rules.worms);
    assert_eq!(settings.rules.files, [Path::new("a.rules")]);
    for (text, message) in [
        (
            "[rules]\naddresses = { X = \"192.0.2\" }",
            "addresses in [rules]: \"192.0.2\": expected addresses: any, $NAME, 192.0.2.0/24, or [a,!b]",
        ),
        (
            "[rules]\nports = { X = \"70000\" }",
            "ports in [rules]: \"70000\": expected ports: any, $NAME, 80, 1:1023, or [a,!b]",
        ),
    ] {
        assert_eq!(refusal(text).1, message);
    }
}

#[test]
fn a_file_of_rules_that_is_not_there_is_named() {
    let settings = settings("[rules]\nfiles = [\"/nowhere/a.rules\"]");
    let error = settings.tables(HashSeed::FIXED).unwrap_err().to_string();
    assert!(
        error.starts_with("/nowhere/a.rules: cannot be read: "),
        "{error}"
    );
}

#[test]
fn what_is_not_toml_is_refused_in_one_line() {
    for text in [
        "mode",
        "mode = ",
        "[arp_flood",
        "a = 1\na = 2",
        "x = '''",
        "\u{1}",
        &"[".repeat(10_000),
    ] {
        let (_, message) = refusal(text);
        assert!(message.starts_with("not TOML: "), "{message}");
        assert!(!message.contains(char::is_control), "{message:?}");
    }
}
