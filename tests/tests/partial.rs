//! Rules of which a part is decided in the agent: what the kernel hands over, what is told, and that nothing is dropped for it.

use std::{collections::BTreeSet, fs, net::Ipv4Addr, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use detector::{
    replay::runtime::Replay,
    rules::{RuleSet, Variables},
    tables::{HashSeed, Tables},
};
use detector_common::{
    abi::Tally,
    config::{Config, Mode},
    packet::Frame,
    verdict::Verdict,
};
use detector_tests::{
    agent::running::{SOON, json, run, select, start, stats},
    builder::{PacketBuilder, Route},
    capture::{self, Link, evenly},
    command::{Ended, detector},
    kernel::TestKernel,
    lab::{ETH0, GATEWAY_WAN, HOST, LAN, Lab, OUTSIDE, Process, WAN, wait_until},
    requirements::kernel_or_skip,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Where the gateway has its rules, and what names them.
const RULES_FILE: &str = "/run/partial.rules";
const CONFIG: &str = "/run/detector.toml";
/// One that would drop, with a part for the agent; one that matches whatever that one does; and others that ask in other ways.
const RULES: &str = r#"
drop udp any any -> any 7777 (msg:"partial"; content:"key="; pcre:"/key=[0-9a-f]{4}$/"; sid:1000001;)
alert udp any any -> any 7777 (msg:"whole"; content:"key="; content:"also"; sid:1000002;)
alert udp any any -> any 7777 (msg:"relative"; content:"key="; pcre:"/^x+y/R"; sid:1000003;)
alert udp any any -> any 7777 (msg:"without"; content:"open="; pcre:!"/close/i"; sid:1000004;)
pass udp any any -> any 7777 (msg:"pass"; content:"let pass"; sid:1000005;)
alert tcp any any -> any 80 (msg:"uri"; flow:to_server; content:"cmd="; http_uri; pcre:"/\/a[^ ]*cmd=\d/U"; sid:1000006;)
"#;

/// Payloads, and what is found in each.
const TOLD: [(&str, &[&str]); 10] = [
    ("key=00zz", &[]),
    ("key=beef", &["partial"]),
    ("key=beef\n", &["partial"]),
    ("also key=00zz", &["whole"]),
    ("also key=beef", &["partial", "whole"]),
    ("key=z key=xxy", &["relative"]),
    ("key= xxy", &[]),
    ("open=1", &["without"]),
    ("open=1 CLOSE", &[]),
    ("let pass key=beef open=1", &[]),
];

/// A packet of somebody outside who is not protected, as the default gateway is.
fn packet(payload: &[u8]) -> PacketBuilder {
    let route = Route {
        src_ip: Ipv4Addr::new(198, 51, 100, 66),
        ..OUTSIDE.route_to(HOST, GATEWAY_WAN)
    };
    route.ipv4().udp(route.src_port, 7777).payload(payload)
}

fn request(target: &str) -> PacketBuilder {
    let route = Route {
        src_ip: Ipv4Addr::new(198, 51, 100, 66),
        ..OUTSIDE.route_to(HOST, GATEWAY_WAN)
    };
    let text = format!("GET {target} HTTP/1.1\r\n\r\n");
    route
        .ipv4()
        .tcp(route.src_port, 80)
        .payload(text.as_bytes())
}

/// How often each rule was told in `counted`, a list of objects that name it.
fn counts<'v>(counted: &'v Value, name: &str, count: &str) -> Vec<(&'v str, u64)> {
    let all = counted.as_array().into_iter().flatten();
    let mut all: Vec<_> = all
        .filter_map(|one| Some((one[name].as_str()?, one[count].as_u64()?)))
        .collect();
    all.sort_unstable();
    all
}

/// What is expected of all payloads and requests together.
fn expected() -> Vec<(&'static str, u64)> {
    let mut all = vec![("uri", 2)];
    for name in ["partial", "relative", "whole", "without"] {
        let told = TOLD.iter().filter(|(_, told)| told.contains(&name));
        all.push((name, told.count() as u64));
    }
    all.sort_unstable();
    all
}

fn frames() -> Vec<Vec<u8>> {
    let payloads = TOLD.iter();
    let packets = payloads.map(|(payload, _)| packet(payload.as_bytes()));
    let requests = ["/ab?cmd=7", "/%61b?cmd=%37", "/b?cmd=7", "/ab?cmd=x"].map(request);
    packets
        .chain(requests)
        .map(|packet| packet.build())
        .collect()
}

fn rules_file(folder: &TempDir) -> Result<String> {
    let path = folder.path().join("partial.rules");
    fs::write(&path, RULES)?;
    Ok(path.display().to_string())
}

fn check(arguments: &[&str], file: &str) -> Result<Ended> {
    detector(["rules"].iter().chain(arguments).chain([&file]))
}

#[test]
fn without_the_option_such_a_rule_is_refused_and_the_way_out_is_named() -> Result<()> {
    let folder = TempDir::new()?;
    let file = rules_file(&folder)?;
    let ended = check(&["check"], &file)?;
    assert_eq!(ended.code, Some(10));
    assert!(
        ended.stdout.contains("2 rules taken, 4 refused: 4 pcre"),
        "{}",
        ended.stdout
    );
    let at = format!("{file}:2:62: rule 1000001: pcre: ");
    assert!(ended.stdout.contains(&at), "{}", ended.stdout);
    assert!(ended.stdout.contains("allow-partial"), "{}", ended.stdout);
    Ok(())
}

#[test]
fn with_the_option_it_is_taken_and_told_as_partial() -> Result<()> {
    let folder = TempDir::new()?;
    let file = rules_file(&folder)?;
    let ended = check(&["check", "--allow-partial"], &file)?;
    assert_eq!(ended.code, Some(0));
    let partly = "rule 1000001 is partial: pcre is decided in the agent, on the first 2048 bytes of the packet; alerts only";
    for part in [
        partly,
        "6 rules taken, 0 refused",
        "4 of those that are taken partial",
    ] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
    let report = check(&["check", "--allow-partial", "-ojson"], &file)?.json()?;
    let sids = report["partial"].as_array().context("no list")?.iter();
    let sids: Vec<_> = sids.map(|rule| rule["sid"].clone()).collect();
    assert_eq!(sids, [1_000_001, 1_000_003, 1_000_004, 1_000_006]);
    assert_eq!(report["warnings"], json!([]));
    let shown = check(&["show", "1000001", "--allow-partial", "--rules"], &file)?;
    for part in [
        "action       alert",
        "partial      pcre is decided in the agent",
    ] {
        assert!(shown.stdout.contains(part), "{part}: {}", shown.stdout);
    }
    Ok(())
}

#[test]
fn a_replay_decides_all_of_a_rule() -> Result<()> {
    let folder = TempDir::new()?;
    let file = rules_file(&folder)?;
    let config = folder.path().join("detector.toml");
    fs::write(
        &config,
        format!("rules.files = ['{file}']\nrules.allow_partial = true\n"),
    )?;
    let capture = folder.path().join("x.pcap");
    let timed = evenly(frames(), Duration::from_millis(1));
    fs::write(&capture, capture::pcap(Link::Ethernet, timed)?)?;
    let replay = |options: &[&str]| {
        let paths = [config.as_path(), capture.as_path()].map(Path::to_path_buf);
        let [config, capture] = paths.map(|path| path.display().to_string());
        let arguments = ["replay", "-ojson", "--config", &config, &capture].map(str::to_owned);
        let options = options.iter().map(|option| (*option).to_owned());
        detector(arguments.into_iter().chain(options))?.json()
    };
    let report = replay(&["--enforce"])?;
    assert_eq!(
        counts(&report["findings"], "signature", "count"),
        expected()
    );
    assert!(
        report["findings"]
            .as_array()
            .context("no findings")?
            .iter()
            .all(|one| one["dropped"] == 0)
    );
    let tested = check(
        &[
            "test",
            "1000003",
            capture.to_str().context("text")?,
            "--allow-partial",
            "-ojson",
            "--rules",
        ],
        &file,
    )?;
    let tested = tested.json()?;
    assert_eq!(tested["matched"], 1);
    let steps = tested["steps"].as_array().context("no steps")?;
    let [.., content, pcre] = &**steps else {
        anyhow::bail!("{steps:?}");
    };
    assert_eq!(
        (&content["packets"], &pcre["packets"]),
        (&json!(8), &json!(1))
    );
    assert_eq!(pcre["asks"], "pcre:\"/^x+y/R\"");
    Ok(())
}

/// Puts rules where the gateway looks for them, and starts its agent.
fn guard(lab: &Lab, arguments: &[&str]) -> Result<Process> {
    lab.gateway.run(|| {
        let config = format!("report_interval_ms = 1\nrules.files = ['{RULES_FILE}']\n");
        fs::write(CONFIG, config)?;
        fs::write(RULES_FILE, RULES)
    })??;
    let mut all = vec![
        "--wan",
        WAN,
        "--lan",
        LAN,
        "--config",
        CONFIG,
        "--enforce",
        "-o",
        "jsonl",
    ];
    all.extend(arguments);
    start(&lab.gateway, &all)
}

#[test]
fn the_agent_tells_what_the_kernel_and_it_decide_together() -> Result<()> {
    if !kernel_or_skip("the_agent_tells_what_the_kernel_and_it_decide_together") {
        return Ok(());
    }
    let lab = Lab::new()?;
    let mut agent = guard(&lab, &["--allow-partial"])?;
    let said = agent.stderr().join("\n");
    assert!(
        said.contains("rule 1000001 is partial: pcre is decided in the agent"),
        "{said}"
    );
    let behind = lab.host.receiver(ETH0)?;
    lab.outside.sender(ETH0)?.send_all(frames())?;
    // Whatever is found: nothing is dropped.
    let is_one = |frame: &[u8]| {
        TOLD.iter()
            .any(|(payload, _)| frame.ends_with(payload.as_bytes()))
    };
    assert_eq!(behind.wait_for(TOLD.len(), SOON, is_one)?, TOLD.len());
    let mut last = Value::Null;
    wait_until("all to be told", SOON, || {
        last = stats(&lab.gateway)?;
        Ok(counts(&last["signatures"], "name", "packets") == expected())
    })
    .with_context(|| format!("{:#}\n{:#}", last["signatures"], last["evidence"]))?;
    ensure!(sum_of_drops(&last) == 0, "{last:#}");
    assert_eq!(
        last["evidence"],
        json!({ "sent": 9 + 4, "lost": 0, "undecided": 0, "untold": 0 })
    );
    let listed = json(
        &lab.gateway,
        &[
            "rules",
            "list",
            "--config",
            CONFIG,
            "--allow-partial",
            "-ojson",
        ],
    )?;
    let counted = select(&listed["rules"], &[("msg", "partial")]);
    assert_eq!(counted[0]["counted"]["packets"], 3);
    agent.stop(SOON)?;
    let told: Vec<Value> = agent
        .stdout()
        .iter()
        .map(|line| serde_json::from_str(line))
        .collect::<Result<_, _>>()?;
    for one in &told {
        assert_eq!(
            one["decided_in_agent"],
            json!(one["signature"] != "whole"),
            "{one}"
        );
        assert_eq!(
            (&one["verdict"], &one["source"]["ip"]),
            (&json!("pass"), &json!("198.51.100.66"))
        );
    }
    let told: BTreeSet<_> = told
        .iter()
        .filter_map(|one| one["signature"].as_str())
        .collect();
    let expected: BTreeSet<_> = expected().iter().map(|(name, _)| *name).collect();
    assert_eq!(told, expected);
    Ok(())
}

fn sum_of_drops(stats: &Value) -> u64 {
    let all = stats["interfaces"].as_array().into_iter().flatten();
    all.filter_map(|one| one["verdicts"]["drop"].as_u64()).sum()
}

#[test]
fn rules_that_are_read_anew_are_decided_as_they_are_then() -> Result<()> {
    if !kernel_or_skip("rules_that_are_read_anew_are_decided_as_they_are_then") {
        return Ok(());
    }
    let lab = Lab::new()?;
    let agent = guard(&lab, &["--allow-partial"])?;
    let met = |name: &str| {
        let stats = stats(&lab.gateway)?;
        let found = select(&stats["signatures"], &[("name", name)]);
        anyhow::Ok(
            found
                .first()
                .and_then(|rule| rule["packets"].as_u64())
                .unwrap_or(0),
        )
    };
    let send = |payload: &[u8]| lab.outside.sender(ETH0)?.send(&packet(payload).build());
    send(b"key=beef")?;
    wait_until("the rule as it was", SOON, || Ok(met("partial")? == 1))?;
    let changed = RULES.replace("[0-9a-f]{4}", "[xyz]{4}");
    lab.gateway.run(|| fs::write(RULES_FILE, changed))??;
    let output = run(&lab.gateway, &["rules", "reload"])?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    send(b"key=beef")?;
    send(b"key=xyzx")?;
    wait_until("the rule as it is", SOON, || Ok(met("partial")? == 2))?;
    drop(agent);
    Ok(())
}

/// What a rule asks, the segments of a connection in order, how many of them are handed over, and how many leave something undecided; and how many
/// match.
type Case = (&'static str, &'static [&'static [u8]], [u64; 2], usize);

const CASES: &[Case] = &[
    ("pcre:\"/[0-9]{2}/\";", &[b"xxabcdefgh 12"], [1, 0], 1),
    // The content is cut, or what the expression matches, or it could be.
    ("pcre:\"/[0-9]{2}/\";", &[b"xxabcd", b"efgh 12"], [0, 1], 0),
    ("pcre:\"/[0-9]{2}/\";", &[b"abcdefgh 1", b"2"], [1, 1], 0),
    ("pcre:\"/[0-9]{2}/\";", &[b"1", b"abcdefgh 12"], [1, 1], 1),
    // Half of what is sent says nothing of what is not there, nor of the end.
    ("pcre:!\"/zz/\";", &[b"xxabcd", b"efgh"], [0, 0], 0),
    ("pcre:\"/h$/\";", &[b"xxabcd", b"efgh"], [0, 0], 0),
];

#[test]
fn what_holds_of_segments_together_is_left_undecided_and_counted() -> Result<()> {
    const TALLIES: [Tally; 2] = [Tally::EvidenceSent, Tally::RulesCutShort];
    let test = "what_holds_of_segments_together_is_left_undecided_and_counted";
    let mut kernel: Option<TestKernel> = None;
    for (port, (options, payloads, expected, matching)) in (20_000..).zip(CASES) {
        let rule = format!("drop tcp any any -> any 80 (content:\"abcdefgh\"; {options} sid:9;)");
        let set = RuleSet::from_bytes_as(true, Path::new("test.rules"), rule.as_bytes());
        ensure!(set.refusals.is_empty(), "{options}: {:?}", set.refusals);
        let config = Config::DEFAULT.with_mode(Mode::Enforce);
        let tables = Tables::new(config, HashSeed::FIXED, &set.rules, &Variables::default());
        let tables = tables.fit_for(1);
        let mut at = 0;
        let frames = payloads.iter().map(|payload| {
            let packet = Route::default().ipv4().tcp(port, 80).seq(at);
            at += payload.len() as u32;
            packet.payload(payload).build()
        });
        let frames: Vec<_> = frames.collect();
        let mut replay = Replay::new(&tables);
        let mut decided = 0;
        for frame in &frames {
            let verdict = replay.classify(&Frame::whole(frame), 0, 1).verdict;
            assert_eq!(verdict, Verdict::PASS, "{options} {payloads:?}");
            decided += replay.decided();
        }
        assert_eq!(decided, *matching, "{options} {payloads:?}");
        let on_the_host = TALLIES.map(|tally| {
            let told = replay.tallies().find(|(told, _)| *told == tally);
            told.map_or(0, |(_, count)| count)
        });
        assert_eq!(on_the_host, *expected, "{options} {payloads:?}");
        if !kernel_or_skip(test) {
            continue;
        }
        let kernel = match &mut kernel {
            Some(kernel) => kernel,
            none => none.insert(TestKernel::load(&tables, 1)?),
        };
        kernel.kernel.maps_mut().set_tables(&tables)?;
        let before = kernel.own_state()?;
        for frame in &frames {
            assert_eq!(kernel.run(0, frame)?, Verdict::PASS, "{options}");
        }
        let after = kernel.own_state()?;
        let in_the_kernel = TALLIES.map(|tally| after.tally(tally) - before.tally(tally));
        assert_eq!(in_the_kernel, *expected, "{options} {payloads:?}");
    }
    Ok(())
}

#[test]
fn a_rule_that_lets_pass_what_a_bit_is_not_set_for_keeps_nothing_else_from_being_told() -> Result<()>
{
    // Whoever decides the rest knows no bits: to it none is ever set.
    let rules = r#"
pass udp any any -> any 7777 (content:"key="; flowbits:isnotset,seen; sid:1;)
alert udp any any -> any 7777 (content:"mark"; flowbits:set,seen; sid:2;)
alert udp any any -> any 7777 (content:"key="; pcre:"/key=[0-9]{2}/"; sid:3;)
"#;
    let set = RuleSet::from_bytes_as(true, Path::new("test.rules"), rules.as_bytes());
    ensure!(set.refusals.is_empty(), "{:?}", set.refusals);
    let variables = Variables::default();
    let tables = Tables::new(Config::DEFAULT, HashSeed::FIXED, &set.rules, &variables);
    let mut replay = Replay::new(&tables);
    for (payload, decided) in [
        ("key=12", 0),
        ("mark", 0),
        ("key=12", 1),
        ("key=xx", 0),
        ("mark key=34", 1),
    ] {
        let frame = packet(payload.as_bytes()).build();
        let _ = replay.classify(&Frame::whole(&frame), 0, 1);
        assert_eq!(replay.decided(), decided, "{payload}");
    }
    Ok(())
}

#[test]
fn what_takes_long_to_decide_is_left_undecided() -> Result<()> {
    // From each place of the content all of the rest is looked through.
    let rule = r#"alert udp any any -> any 7777 (content:"head"; content:"a"; pcre:"/a[ab]{400}[cd]/R"; sid:1;)"#;
    let set = RuleSet::from_bytes_as(true, Path::new("test.rules"), rule.as_bytes());
    ensure!(set.refusals.is_empty(), "{:?}", set.refusals);
    let variables = Variables::default();
    let tables = Tables::new(Config::DEFAULT, HashSeed::FIXED, &set.rules, &variables);
    let letters = |len| (0..len).map(|at: u32| b"ab"[at.wrapping_mul(0x9e37_79b1) as usize >> 31]);
    let without: Vec<u8> = b"head".iter().copied().chain(letters(1396)).collect();
    let with = format!("heada{}c", "b".repeat(400)).into_bytes();
    for (payload, expected) in [(without, (0, 1)), (with, (1, 0))] {
        let frame = packet(&payload).build();
        let mut replay = Replay::new(&tables);
        let _ = replay.classify(&Frame::whole(&frame), 0, 1);
        let mut tallies = replay.tallies();
        let undecided = tallies.find(|(tally, _)| *tally == Tally::RulesCutShort);
        let found = (replay.decided(), undecided.map_or(0, |(_, count)| count));
        assert_eq!(found, expected);
    }
    Ok(())
}
