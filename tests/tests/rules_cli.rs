//! `detector rules`: what it says of rules and of captures, and with which exit code. Nothing here needs root or a kernel.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use detector_tests::{
    builder::Route,
    capture::{self, Link, evenly},
    command::{Ended, detector},
    worms::{self, benign},
};
use serde_json::{Value, json};
use tempfile::TempDir;

fn file_with(folder: &TempDir, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    let path = folder.path().join(name);
    fs::write(&path, bytes)?;
    Ok(path)
}

/// `detector rules` with a command, and a file behind it.
fn rules(arguments: &[&str], file: &Path) -> Result<Ended> {
    let file = file.to_str().context("a path that is text")?;
    detector(["rules"].iter().chain(arguments).chain([&file]))
}

/// An ordinary packet, and two of Slammer.
fn infected() -> Result<Vec<u8>> {
    let route = Route::default();
    let slammer = worms::slammer(&route).build();
    let frames = [
        benign::http_request(&route).build(),
        slammer.clone(),
        slammer,
    ];
    capture::pcap(Link::Ethernet, evenly(frames, Duration::from_millis(1)))
}

#[test]
fn a_rule_that_cannot_be_honoured_is_refused_with_its_file_line_and_option() -> Result<()> {
    let folder = TempDir::new()?;
    let rule =
        |sid: u32, options: &str| format!("alert tcp any any -> any 80 ({options} sid:{sid};)\n");
    let whole = rule(1, "content:\"GET\";") + &rule(2, "");
    let broken = format!(
        "# two\n{}{}{}",
        rule(3, "pcre:\"/a/\"; tag:host;"),
        rule(4, ""),
        rule(5, "depth:1;")
    );
    let whole = file_with(&folder, "whole.rules", whole.as_bytes())?;
    let broken = file_with(&folder, "broken.rules", broken.as_bytes())?;
    let check = |files: &[&Path], output: &str| {
        let files = files.iter().map(|file| file.display().to_string());
        let arguments = ["rules", "check", "-o", output].map(str::to_owned);
        detector(arguments.into_iter().chain(files))
    };
    let ended = check(&[&whole], "human")?;
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.stdout.starts_with("2 rules taken, 0 refused"),
        "{ended:?}"
    );
    let ended = check(&[&whole, &broken], "human")?;
    assert_eq!(ended.code, Some(10));
    let why = "rule 3: pcre: such expressions are not matched in the kernel; with allow-partial the agent decides them, and the rule only alerts";
    let line = format!("{}:2:30: {why}; and for tag\n", broken.display());
    assert!(ended.stdout.starts_with(&line), "{ended:?}");
    assert!(
        ended.stdout.contains(
            "3 rules taken, 2 refused: 1 depth, 1 pcre, 1 tag; 1 wrong, with which the agent does not start"
        ),
        "{ended:?}"
    );
    assert!(
        ended.stdout.contains(":4:30: wrong: rule 5: depth: tells"),
        "{ended:?}"
    );
    let report = check(&[&whole, &broken], "json")?;
    let report: serde_json::Value = serde_json::from_str(&report.stdout)?;
    assert_eq!(
        (&report["taken"], &report["refused"][0]["sid"]),
        (&3.into(), &3.into())
    );
    assert_eq!(report["wrong"], 1);
    let of = |index: usize, field: &str| report["refused"][index][field].clone();
    assert_eq!(
        (of(0, "wrong"), of(1, "wrong")),
        (json!(false), json!(true))
    );
    assert_eq!(of(0, "topics"), json!(["pcre", "tag"]));
    let ended = check(&[Path::new("/nowhere.rules")], "human")?;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended
            .complaint()?
            .starts_with("/nowhere.rules: cannot be read")
    );
    Ok(())
}

#[test]
fn the_rules_are_listed_for_people_and_for_programs() -> Result<()> {
    let list = detector(["rules", "list", "-o", "json"])?.json()?;
    assert_eq!(list["schema_version"], 1);
    let rules = list["rules"].as_array().context("no rules")?;
    let table = detector(["rules", "list"])?.stdout;
    for worm in worms::all() {
        let listed = rules.iter().find(|rule| rule["msg"] == worm.name);
        let listed = listed.with_context(|| format!("{} is not listed", worm.name))?;
        for field in [
            "sid", "gid", "rev", "severity", "action", "protocol", "file", "line",
        ] {
            assert!(!listed[field].is_null(), "{} has no {field}", worm.name);
        }
        assert!(
            table.contains(worm.name),
            "{} is not in the table",
            worm.name
        );
    }
    Ok(())
}

#[test]
fn a_rule_is_run_over_a_capture_and_the_packets_that_match_are_told() -> Result<()> {
    let folder = TempDir::new()?;
    let capture = file_with(&folder, "worm.pcap", &infected()?)?;
    let ended = rules(&["test", "40", "-ojson"], &capture)?;
    let report = ended.json()?;
    assert_eq!((ended.code, &*ended.stderr), (Some(10), ""));
    assert_eq!(
        (&report["sid"], &report["msg"]),
        (&json!(40), &json!("sql-slammer"))
    );
    assert_eq!(
        (&report["packets"], &report["matched"], &report["undecided"]),
        (&json!(3), &json!(2), &json!(0))
    );
    let route = Route::default();
    assert_eq!(
        report["matches"][0],
        json!({
            "packet": 2, "time": "2001-07-19T00:00:01.001000Z", "protocol": "udp",
            "source": route.src_ip.to_string(), "source_port": route.src_port,
            "destination": route.dst_ip.to_string(), "destination_port": 1434,
        })
    );
    assert_eq!(report["matches"][1]["packet"], 3);
    let steps = report["steps"].as_array().context("no steps")?;
    assert!(steps.iter().all(|step| step["packets"] == 2), "{steps:?}");
    let table = rules(&["test", "1:40"], &capture)?;
    assert_eq!(table.code, Some(10));
    for words in [
        "2 of 3 packets match rule 40 (sql-slammer)",
        "2001-07-19",
        "1434",
    ] {
        assert!(table.stdout.contains(words), "{words}: {}", table.stdout);
    }
    Ok(())
}

#[test]
fn of_a_rule_that_matches_nothing_it_is_told_how_far_packets_come() -> Result<()> {
    let folder = TempDir::new()?;
    let capture = file_with(&folder, "worm.pcap", &infected()?)?;
    let own = file_with(
        &folder,
        "own.rules",
        b"pass udp $HOME_NET any -> any 1434 (msg:\"mine\"; dsize:>100; content:\"|04 01|\"; depth:2; content:\"|1b|[2J\"; sid:1000001;)\n\
          alert udp 198.18.0.1 any -> any 1434 (sid:1000002;)\n\
          alert udp any any -> any 1434 (pcre:\"/a/\"; sid:1000003;)",
    )?;
    let own = own.to_str().context("a path that is text")?;
    let run =
        |sid: &str, output: &str| rules(&["test", "--rules", own, "-o", output, sid], &capture);
    let ended = run("1000001", "json")?;
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    let report = ended.json()?;
    assert_eq!(
        (&report["matched"], &report["matches"]),
        (&json!(0), &json!([]))
    );
    assert_eq!(
        report["steps"],
        json!([
            { "asks": "udp, from and to its ports", "packets": 2, "first": 2 },
            { "asks": "from and to its addresses", "packets": 2, "first": 2 },
            { "asks": "dsize:>100", "packets": 2, "first": 2 },
            { "asks": "content:\"|04 01|\"; depth:2", "packets": 2, "first": 2 },
            { "asks": "content:\"|1b|[2J\"", "packets": 0, "first": null },
        ])
    );
    let table = run("1000001", "human")?.stdout;
    assert!(
        table.contains("0 of 3 packets match rule 1000001 (mine)"),
        "{table}"
    );
    assert!(!table.contains('\u{1b}'), "{table:?}");
    let report = run("1000002", "json")?.json()?;
    assert_eq!(report["steps"][1]["packets"], 0);
    // Of what a configuration says.
    let config = file_with(
        &folder,
        "detector.toml",
        b"[rules]\naddresses = { HOME_NET = '198.18.0.0/24' }\n[signature]\npolicy = 'off'",
    )?;
    let config = config.to_str().context("a path that is text")?;
    let ended = rules(
        &[
            "test", "--config", config, "--rules", own, "-ojson", "1000001",
        ],
        &capture,
    )?;
    assert_eq!(ended.json()?["steps"][1]["packets"], 0);
    Ok(())
}

#[test]
fn a_rule_that_there_is_not_or_that_is_refused_is_a_wrong_command_line() -> Result<()> {
    let folder = TempDir::new()?;
    let capture = file_with(&folder, "worm.pcap", &infected()?)?;
    let own = file_with(
        &folder,
        "own.rules",
        b"alert udp any any -> any 9 (pcre:\"/a/\"; sid:1;)\nalert udp any any -> any $NO (sid:1000002;)\n\
          alert udp any any -> any 9 (pcre:\"/a/\"; sid:1000003;)",
    )?;
    let name = own.display().to_string();
    for (sid, message) in [
        ("77", "no rule has the number 77: ".to_owned()),
        ("9:40", "no rule has the number 9:40: ".to_owned()),
        (
            "1000002",
            "rule 1000002 is refused: $NO: no such ports".to_owned(),
        ),
        (
            "1000003",
            format!("{name}:3:29: rule 1000003 is refused: pcre: such"),
        ),
    ] {
        let ended = rules(&["test", "--rules", &name, sid], &capture)?;
        assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{sid}");
        assert!(ended.complaint()?.starts_with(&message), "{ended:?}");
    }
    let ended = rules(&["test", "40"], Path::new("/nowhere.pcap"))?;
    assert_eq!((ended.code, &*ended.stdout), (Some(1), ""));
    assert!(
        ended
            .complaint()?
            .starts_with("/nowhere.pcap: cannot be opened")
    );
    let ended = rules(&["test", "-40"], &capture)?;
    assert_eq!(ended.code, Some(2));
    Ok(())
}

#[test]
fn of_a_truncated_capture_a_rule_is_run_over_the_rest_and_the_code_is_1() -> Result<()> {
    let folder = TempDir::new()?;
    let whole = infected()?;
    let cut = file_with(&folder, "cut.pcap", &whole[..whole.len() - 10])?;
    let ended = rules(&["test", "40", "-ojson"], &cut)?;
    let report = ended.json()?;
    assert_eq!((ended.code, &report["matched"]), (Some(1), &json!(1)));
    assert_eq!(report["error"], ended.complaint()?);
    Ok(())
}

#[test]
fn rules_that_never_match_or_never_count_are_warned_of_and_the_code_stays() -> Result<()> {
    let folder = TempDir::new()?;
    let file = file_with(
        &folder,
        "x.rules",
        b"alert tcp any any -> $MINE 80 (content:\"abcd\"; sid:1;)\n\
          alert tcp any any -> any 80 (content:\"abcd\"; offset:4; dsize:<6; sid:2;)\n\
          drop ip any any -> any any (content:\"bc\"; sid:3;)\n",
    )?;
    let config = file_with(
        &folder,
        "detector.toml",
        b"[rules]\nworms = false\naddresses = { MINE = '192.0.2.0/24' }",
    )?;
    let config = config.to_str().context("a path that is text")?;
    let ended = rules(&["check", "--config", config], &file)?;
    assert_eq!(
        (ended.code, &*ended.stderr),
        (Some(0), ""),
        "{}",
        ended.stdout
    );
    let name = file.display();
    for line in [
        format!(
            "{name}:1: warning: rule 1: is never the finding: rule 3 at {name}:3 matches whatever it matches, and goes before it"
        ),
        format!(
            "{name}:2: warning: rule 2: can never match: content:\"abcd\"; offset:4: has no place in 5 bytes"
        ),
        "3 rules taken, 0 refused; 2 warnings".to_owned(),
        "tcp to 80: to look at every fourth byte is not enough for 1 (every byte), 2 (every byte)"
            .to_owned(),
        "tcp to 80: asked of every packet, for want of a content of 4 bytes or more: 3".to_owned(),
    ] {
        assert!(ended.stdout.contains(&line), "{line}\n{}", ended.stdout);
    }
    let report = rules(&["check", "--config", config, "-ojson"], &file)?.json()?;
    let warnings = report["warnings"].as_array().context("no warnings")?;
    let kinds: Vec<_> = warnings
        .iter()
        .map(|warning| (&warning["sid"], &warning["kind"], &warning["by"]["sid"]))
        .collect();
    assert_eq!(
        kinds,
        [
            (&json!(1), &json!("shadowed"), &json!(3)),
            (&json!(2), &json!("never"), &Value::Null),
        ]
    );
    let web = &report["costs"][0];
    assert_eq!(
        (
            &web["ports"],
            &web["stride"],
            &web["windows"],
            &web["always"][0]["sid"]
        ),
        (&json!("80"), &json!(1), &json!(1460), &json!(3))
    );
    // Without the configuration there is no such variable.
    let ended = rules(&["check"], &file)?;
    assert_eq!(ended.code, Some(10));
    assert!(
        ended.stdout.contains("$MINE: no such addresses"),
        "{ended:?}"
    );
    Ok(())
}

#[test]
fn a_file_that_the_configuration_names_is_no_duplicate_of_itself() -> Result<()> {
    let folder = TempDir::new()?;
    let file = file_with(
        &folder,
        "x.rules",
        b"alert udp any any -> any 9 (sid:1000001;)",
    )?;
    let config = format!("[rules]\nfiles = ['{}']", file.display());
    let config = file_with(&folder, "detector.toml", config.as_bytes())?;
    let config = config.to_str().context("a path that is text")?;
    let with_file = rules(&["check", "--config", config], &file)?;
    let without = detector(["rules", "check", "--config", config])?;
    assert_eq!((with_file.code, without.code), (Some(0), Some(0)));
    assert_eq!(with_file.stdout, without.stdout);
    assert_eq!(detector(["rules", "check"])?.code, Some(2));
    Ok(())
}

#[test]
fn rules_are_listed_without_an_agent_unless_one_is_asked_for() -> Result<()> {
    let list = detector(["rules", "list", "-ojson"])?;
    assert_eq!((list.code, &*list.stderr), (Some(0), ""));
    assert!(list.json()?["rules"][0]["counted"].is_null());
    let list = detector(["rules", "list", "--socket", "/nowhere.sock"])?;
    assert_eq!((list.code, &*list.stdout), (Some(7), ""));
    assert!(
        list.complaint()?
            .starts_with("no agent listens on /nowhere.sock")
    );
    Ok(())
}

#[test]
fn everything_of_a_rule_is_shown() -> Result<()> {
    let folder = TempDir::new()?;
    let file = file_with(
        &folder,
        "x.rules",
        b"# one\ndrop tcp $OTHERS any <> $HOME_NET [80,8000:8010] (msg:\"a\x1b[2J\"; flow:established; content:\"|1b|abcdefgh\"; nocase; \\\n\
          content:!\"x\"; distance:0; within:4; reference:url,a.example/\x1b[2J; classtype:worm; priority:1; sid:1000001; rev:3;)",
    )?;
    let config = format!(
        "[rules]\nfiles = ['{}']\naddresses = {{ OTHERS = '!192.0.2.0/24', HOME_NET = '192.0.2.0/24' }}",
        file.display()
    );
    let config = file_with(&folder, "detector.toml", config.as_bytes())?;
    let config = config.to_str().context("a path that is text")?;
    let show = |output| detector(["rules", "show", "-c", config, "-o", output, "1000001"]);
    let shown = show("json")?;
    assert_eq!((shown.code, &*shown.stderr), (Some(0), ""));
    let rule = shown.json()?;
    for (field, value) in [
        ("gid", json!(1)),
        ("rev", json!(3)),
        ("severity", json!("high")),
        ("action", json!("drop")),
        ("line", json!(2)),
        ("file", json!(file)),
        ("slot", json!(100)),
        ("refused", Value::Null),
        ("counted", Value::Null),
    ] {
        assert_eq!(rule[field], value, "{field}");
    }
    assert_eq!(
        rule["remarks"][1],
        json!({ "keyword": "classtype", "value": "worm" })
    );
    assert_eq!(rule["found_by"]["stride"], 4);
    assert_eq!(
        rule["found_by"]["windows"].as_array().map(Vec::len),
        Some(4)
    );
    let ways = rule["ways"].as_array().context("no ways")?;
    assert_eq!(
        (&ways[0]["destination"], &ways[0]["destination_ports"]),
        (&json!("192.0.2.0/24"), &json!("80,8000:8010"))
    );
    assert_eq!(
        (&ways[1]["source"], &ways[1]["source_ports"]),
        (&json!("192.0.2.0/24"), &json!("80,8000:8010"))
    );
    assert_eq!(
        ways[1]["groups"],
        json!([{ "traffic": "tcp from", "ports": "80,8000:8010" }])
    );
    let operations = ways[0]["operations"].as_array().context("no operations")?;
    let has = |words: &str| {
        operations
            .iter()
            .any(|one| one.as_str().is_some_and(|one| one.contains(words)))
    };
    for words in [
        "protocol tcp: then 1",
        "tcp flags under 0x12 16",
        "8000 to 8010",
        "the next place of",
    ] {
        assert!(has(words), "{words}: {operations:?}");
    }
    let table = show("human")?.stdout;
    for words in [
        "x.rules:2",
        "a\\u{1b}[2J",
        "url,a.example/",
        "slot 100",
        "-> 192.0.2.0/24 80,8000:8010",
    ] {
        assert!(table.contains(words), "{words}: {table}");
    }
    assert!(!table.contains('\u{1b}') && !shown.stdout.contains('\u{1b}'));
    let ended = detector(["rules", "show", "1000001"])?;
    assert_eq!((ended.code, &*ended.stdout), (Some(2), ""));
    Ok(())
}

#[test]
fn every_rule_that_ships_with_detector_can_be_shown() -> Result<()> {
    for worm in worms::all() {
        let list = detector(["rules", "list", "-ojson"])?.json()?;
        let rules = list["rules"].as_array().context("no rules")?;
        let rule = rules.iter().find(|rule| rule["msg"] == worm.name);
        let sid = rule.map(|rule| rule["sid"].to_string());
        let sid = sid.with_context(|| worm.name.to_owned())?;
        let shown = detector(["rules", "show", &*sid])?;
        assert_eq!(shown.code, Some(0), "{shown:?}");
        assert!(shown.stdout.contains("a match, else no match"), "{shown:?}");
    }
    Ok(())
}

#[test]
fn a_rule_of_another_generator_is_told_with_it() -> Result<()> {
    let folder = TempDir::new()?;
    let file = file_with(
        &folder,
        "x.rules",
        b"alert udp any any -> any 9 (gid:3; sid:7; pcre:\"/a/\";)\n\
          alert udp any any -> any 9 (sid:8; pcre:\"/a/\";)\n\
          alert udp any any -> any $NO (gid:3; sid:9;)\n\
          alert udp any any -> any 9 (dsize:<1; dsize:>1; gid:4; sid:10;)\n\
          alert udp any any -> any 9 (msg:\"none\"; pcre:\"/a/\";)\n",
    )?;
    let ended = rules(&["check"], &file)?;
    let name = file.display();
    for line in [
        format!("{name}:1:43: rule 3:7: pcre: "),
        format!("{name}:2:36: rule 8: pcre: "),
        format!("{name}:3:1: wrong: rule 3:9: $NO: no such ports"),
        format!("{name}:4: warning: rule 4:10: can never match"),
        format!("{name}:5:41: pcre: "),
    ] {
        assert!(ended.stdout.contains(&line), "{line}\n{}", ended.stdout);
    }
    let report = rules(&["check", "-ojson"], &file)?.json()?;
    let refused = report["refused"].as_array().context("no refusals")?;
    let numbers: Vec<_> = refused
        .iter()
        .map(|refused| (refused["gid"].as_u64(), refused["sid"].as_u64()))
        .collect();
    let expected = [(3, 7), (1, 8), (3, 9)].map(|(gid, sid)| (Some(gid), Some(sid)));
    assert_eq!(numbers[..3], expected);
    assert_eq!(numbers[3..], [(None, None)]);
    assert_eq!(report["warnings"][0]["gid"], 4);
    Ok(())
}

#[test]
fn a_rule_that_is_refused_is_shown_as_such_and_the_code_is_10() -> Result<()> {
    let folder = TempDir::new()?;
    let file = file_with(
        &folder,
        "x.rules",
        b"alert udp any any -> any $NO (msg:\"mine\"; sid:1000001;)\n\
          alert udp any any -> any 9 (pcre:\"/a/\"; sid:1000002;)\n\
          alert udp any any -> any 9 (sid:1000003;)\n",
    )?;
    let name = file.display().to_string();
    let show =
        |sid: &str, output: &str| detector(["rules", "show", "--rules", &name, "-o", output, sid]);
    let why = "$NO: no such ports";
    let shown = show("1000001", "json")?;
    assert_eq!(shown.code, Some(10), "{shown:?}");
    assert!(
        shown
            .complaint()?
            .starts_with(&format!("rule 1000001 is refused: {why}"))
    );
    let rule = shown.json()?;
    let refused = rule["refused"].as_str().context("not refused")?;
    assert!(refused.starts_with(why), "{refused}");
    let shown = show("1000001", "human")?;
    assert_eq!(shown.code, Some(10));
    assert!(shown.stdout.contains("mine") && shown.stdout.contains(why));
    // Of one that cannot even be read there is nothing to show.
    let shown = show("1000002", "human")?;
    assert_eq!((shown.code, &*shown.stdout), (Some(10), ""));
    assert!(shown.complaint()?.contains("rule 1000002 is refused: pcre"));
    assert_eq!(show("1000003", "human")?.code, Some(0));
    assert_eq!(show("1000004", "human")?.code, Some(2));
    Ok(())
}

#[test]
fn what_rules_are_refused_for_is_counted_of_those_that_are_not_listed_too() -> Result<()> {
    const RULES: u64 = 10_050;
    let folder = TempDir::new()?;
    let rules_of = |sid: u64| {
        let option = if sid > RULES - 100 {
            "lua:x"
        } else {
            "pcre:\"/a/\""
        };
        format!("alert udp any any -> any 9 ({option}; sid:{sid};)\n")
    };
    let text: String = (1..=RULES).map(rules_of).collect();
    let file = file_with(&folder, "x.rules", text.as_bytes())?;
    let ended = rules(&["check"], &file)?;
    let summary = "0 rules taken, 10050 refused: 9950 pcre, 100 lua, 50 not listed";
    assert!(
        ended.stdout.contains(summary),
        "{}",
        &ended.stdout[ended.stdout.len() - 200..]
    );
    let report = rules(&["check", "-ojson"], &file)?.json()?;
    assert_eq!(
        report["topics"],
        json!([{ "topic": "pcre", "rules": 9950 }, { "topic": "lua", "rules": 100 }])
    );
    assert_eq!(report["left_out"], 50);
    Ok(())
}

#[test]
fn a_file_that_has_two_names_is_read_once_and_that_is_told() -> Result<()> {
    let folder = TempDir::new()?;
    let file = file_with(
        &folder,
        "x.rules",
        b"alert udp any any -> any 9 (sid:1000001;)\n",
    )?;
    let link = folder.path().join("link.rules");
    std::os::unix::fs::symlink(&file, &link)?;
    let other = file_with(
        &folder,
        "y.rules",
        b"alert udp any any -> any 9 (reference:url,a.example; sid:1000002;)\n",
    )?;
    let dotted = folder.path().join("./x.rules").display().to_string();
    let dotted = dotted.replace("/x.rules", "/./x.rules");
    let [file, link, other] = [&file, &link, &other].map(|path| path.display().to_string());
    let ended = detector(["rules", "check", &file, &link, &dotted, &file, &other])?;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let again = format!("warning: {file}: named twice, and read once");
    let dotted_same = format!("warning: {dotted}: the same file as {file}, and read once");
    for line in [
        format!("warning: {link}: the same file as {file}, and read once"),
        dotted_same,
        again,
        "2 rules taken, 0 refused".to_owned(),
    ] {
        assert!(ended.stdout.contains(&line), "{line}\n{}", ended.stdout);
    }
    let report = detector(["rules", "check", "-ojson", &file, &link])?.json()?;
    assert_eq!(
        (&report["same_files"], &report["refused"]),
        (&json!([{ "file": link, "first": file }]), &json!([]))
    );
    // What else stands in a file behind it is still found there.
    let files = ["--rules", &file, "--rules", &link, "--rules", &other];
    let shown = detector(["rules", "show", "-ojson", "1000002"].iter().chain(&files))?.json()?;
    assert_eq!(shown["remarks"][0]["keyword"], "reference");
    assert_eq!(shown["file"], other);
    // An agent would start with it, and says it.
    let config = format!("[rules]\nfiles = ['{file}', '{link}']");
    let config = file_with(&folder, "detector.toml", config.as_bytes())?;
    let checked = detector(["check", config.to_str().context("a path that is text")?])?;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.stderr.contains("and read once"), "{checked:?}");
    Ok(())
}
