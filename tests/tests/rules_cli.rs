//! `detector rules`: what it says of rules and of captures, and with which exit code. Nothing here needs root or a kernel.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use detector_tests::{
    command::{Ended, detector},
    worms,
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

#[test]
fn a_rule_that_cannot_be_honoured_is_refused_with_its_file_line_and_option() -> Result<()> {
    let folder = TempDir::new()?;
    let rule =
        |sid: u32, options: &str| format!("alert tcp any any -> any 80 ({options} sid:{sid};)\n");
    let whole = rule(1, "content:\"GET\";") + &rule(2, "");
    let broken = format!("# two\n{}{}", rule(3, "pcre:\"/a/\";"), rule(4, ""));
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
    let why = "rule 3: pcre: regular expressions are not matched";
    let line = format!("{}:2:30: {why}\n", broken.display());
    assert!(ended.stdout.starts_with(&line), "{ended:?}");
    assert!(
        ended.stdout.contains("3 rules taken, 1 refused: 1 pcre"),
        "{ended:?}"
    );
    let report = check(&[&whole, &broken], "json")?;
    let report: serde_json::Value = serde_json::from_str(&report.stdout)?;
    assert_eq!(
        (&report["taken"], &report["refused"][0]["sid"]),
        (&3.into(), &3.into())
    );
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
