//! The command line: help, exit codes, and what it says of bad input. Nothing here needs root or a kernel.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use detector_tests::{
    agent::binary,
    builder::Route,
    capture::{self, Link, evenly},
    command::{Ended, detector},
    worms::{self, benign},
};
use serde_json::json;
use tempfile::TempDir;

const COMMANDS: [&str; 5] = ["run", "stats", "status", "offenders", "replay"];

fn replay(options: &[&str], file: &Path) -> Result<Ended> {
    let options = options.iter().map(AsRef::<OsStr>::as_ref);
    detector(
        ["replay".as_ref()]
            .into_iter()
            .chain(options)
            .chain([file.as_os_str()]),
    )
}

/// A worm and two ordinary packets after it.
fn infected() -> Result<Vec<u8>> {
    let route = Route::default();
    let packets = [
        worms::slammer(&route),
        benign::http_request(&route),
        benign::ping(&route, 1),
    ];
    let frames = packets.map(|packet| packet.build());
    capture::pcap(Link::Ethernet, evenly(frames, Duration::from_millis(1)))
}

fn file_with(folder: &TempDir, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    let path = folder.path().join(name);
    fs::write(&path, bytes)?;
    Ok(path)
}

#[test]
fn every_command_has_a_help_that_names_its_options() -> Result<()> {
    let all = detector(["--help"])?;
    assert_eq!((all.code, all.stderr.as_str()), (Some(0), ""));
    for command in COMMANDS {
        assert!(all.stdout.contains(command), "{command} is not in the help");
        for flag in ["-h", "--help"] {
            let help = detector([command, flag])?;
            assert_eq!(
                (help.code, help.stderr.as_str()),
                (Some(0), ""),
                "{command}"
            );
            assert!(
                help.stdout.contains("--output"),
                "{command} {flag}: {}",
                help.stdout
            );
        }
    }
    Ok(())
}

#[test]
fn the_version_is_that_of_the_package() -> Result<()> {
    let ended = detector(["--version"])?;
    assert_eq!(
        ended.stdout,
        concat!("detector ", env!("CARGO_PKG_VERSION"), "\n")
    );
    Ok(())
}

#[test]
fn a_wrong_command_line_exits_with_2_and_says_why() -> Result<()> {
    let wrong: [&[&str]; 5] = [
        &[],
        &["reply"],
        &["replay"],
        &["replay", "--output", "xml", "a.pcap"],
        &["rules", "list", "--bogus"],
    ];
    for arguments in wrong {
        let ended = detector(arguments)?;
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(2), ""),
            "{arguments:?}"
        );
        assert!(!ended.stderr.is_empty(), "{arguments:?}");
    }
    Ok(())
}

#[test]
fn a_capture_without_findings_exits_with_0_and_one_with_a_finding_with_10() -> Result<()> {
    let folder = TempDir::new()?;
    let clean = file_with(&folder, "clean.pcap", &capture::pcap(Link::Ethernet, [])?)?;
    let worm = file_with(&folder, "worm.pcap", &infected()?)?;
    for format in ["human", "json", "jsonl"] {
        for (file, code) in [(&clean, 0), (&worm, 10)] {
            let ended = replay(&["-o", format], file)?;
            assert_eq!(
                (ended.code, ended.stderr.as_str()),
                (Some(code), ""),
                "{format}"
            );
        }
    }
    Ok(())
}

#[test]
fn people_read_what_was_found_and_why() -> Result<()> {
    let folder = TempDir::new()?;
    let worm = file_with(&folder, "worm.pcap", &infected()?)?;
    let ended = replay(&[], &worm)?;
    for words in [
        "3 packets",
        "sql-slammer  high",
        "192.0.2.10",
        "02:00:00:00:00:0a",
        "A worm's signature.",
    ] {
        assert!(
            ended.stdout.contains(words),
            "{words} is not in:\n{}",
            ended.stdout
        );
    }
    Ok(())
}

#[test]
fn enforcing_on_the_command_line_or_in_the_file_drops_the_worm() -> Result<()> {
    let folder = TempDir::new()?;
    let worm = file_with(&folder, "worm.pcap", &infected()?)?;
    let config = file_with(&folder, "detector.toml", b"mode = 'enforce'")?;
    let config = config.to_str().context("a path that is text")?;
    for (options, pass, drop, would_drop) in [
        (&["-ojson"][..], 3, 0, 1),
        (&["-ojson", "--enforce"], 2, 1, 0),
        (&["-ojson", "--config", config], 2, 1, 0),
    ] {
        let report = replay(options, &worm)?.json()?;
        assert_eq!(
            report["verdicts"],
            json!({ "pass": pass, "drop": drop, "would_drop": would_drop }),
            "{options:?}"
        );
    }
    Ok(())
}

#[test]
fn what_is_no_capture_exits_with_1_and_says_what_it_is() -> Result<()> {
    let folder = TempDir::new()?;
    let nothing = folder.path().join("nothing.pcap");
    let empty = file_with(&folder, "empty.pcap", b"")?;
    let text = file_with(&folder, "notes.pcap", b"my notes")?;
    let mut raw = capture::pcap(Link::Ethernet, [])?;
    raw.splice(20..24, [101, 0, 0, 0]);
    let raw = file_with(&folder, "raw.pcap", &raw)?;
    for (path, message) in [
        (
            nothing.as_path(),
            "cannot be opened: No such file or directory",
        ),
        (folder.path(), "cannot be opened: "),
        (&empty, "not a capture: it is empty"),
        (&text, "not a capture: it begins with the bytes 6d 79 20 6e"),
        (
            &raw,
            "packets of link type 101 (raw IP) cannot be read, only those of 1 (Ethernet)",
        ),
    ] {
        for format in ["human", "json", "jsonl"] {
            let ended = replay(&["-o", format], path)?;
            assert_eq!(
                (ended.code, ended.stdout.as_str()),
                (Some(1), ""),
                "{path:?}"
            );
            let complaint = ended.complaint()?;
            let start = format!("{}: {message}", path.display());
            assert!(complaint.starts_with(&start), "{complaint}");
        }
    }
    Ok(())
}

#[test]
fn of_a_truncated_capture_the_rest_is_reported_and_the_code_is_1_even_with_findings() -> Result<()>
{
    let folder = TempDir::new()?;
    let whole = infected()?;
    let gzip = capture::gzip(&whole)?;
    for (name, bytes) in [
        ("cut.pcap", &whole[..whole.len() - 10]),
        ("cut.pcap.gz", &gzip[..gzip.len() - 10]),
    ] {
        let cut = file_with(&folder, name, bytes)?;
        let ended = replay(&["-ojson"], &cut)?;
        let report = ended.json()?;
        assert_eq!(ended.code, Some(1), "{name}");
        assert_eq!(report["findings"][0]["signature"], "sql-slammer", "{name}");
        let complaint = ended.complaint()?;
        assert_eq!(report["warnings"], json!([complaint]), "{name}");
        assert_eq!(report["files"][0]["error"], complaint, "{name}");
        assert!(complaint.contains(": broken after packet "), "{complaint}");
    }
    Ok(())
}

#[test]
fn of_a_corrupt_capture_what_stands_before_the_damage_is_reported() -> Result<()> {
    let folder = TempDir::new()?;
    let mut bytes = infected()?;
    let second = 24 + 16 + 418;
    bytes.splice(second + 8..second + 12, [0xff; 4]);
    let ended = replay(&["-ojson"], &file_with(&folder, "corrupt.pcap", &bytes)?)?;
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.json()?["packets"], 1);
    let place = format!("broken after packet 1 (byte {second}): a packet of 4294967295 captured");
    assert!(ended.complaint()?.contains(&place), "{}", ended.stderr);
    Ok(())
}

#[test]
fn a_capture_that_cannot_be_opened_does_not_keep_the_others_from_being_read() -> Result<()> {
    let folder = TempDir::new()?;
    let worm = file_with(&folder, "worm.pcap", &infected()?)?;
    let ended = replay(&["-ojson", "/nowhere.pcap"], &worm)?;
    let report = ended.json()?;
    assert_eq!(ended.code, Some(1));
    assert_eq!(report["findings"][0]["signature"], "sql-slammer");
    assert_eq!(report["warnings"], json!([ended.complaint()?]));
    Ok(())
}

#[test]
fn a_file_name_is_no_way_to_write_to_the_terminal() -> Result<()> {
    let folder = TempDir::new()?;
    let bytes = infected()?;
    let evil = file_with(&folder, "\u{1b}[2J\u{202e}.pcap", &bytes[..bytes.len() - 1])?;
    for format in ["human", "json", "jsonl"] {
        let ended = replay(&["-o", format], &evil)?;
        let said = [ended.stdout, ended.stderr].concat();
        assert!(!said.contains(['\u{1b}', '\u{202e}']), "{said:?}");
    }
    Ok(())
}

#[test]
fn a_mistake_in_the_configuration_exits_with_2_and_one_line_that_says_where() -> Result<()> {
    let folder = TempDir::new()?;
    let worm = file_with(&folder, "worm.pcap", &infected()?)?;
    for (text, message) in [
        (
            "mode = 'monitor'\n\n[arp_flood]\nsender = '30/2s'\nsegmnt = '15/s'\n",
            r#":5:1: unknown key "segmnt" in [arp_flood]: did you mean "segment"?"#,
        ),
        (
            "[signature]\npolicy = 'limit'",
            ":2:10: policy in [signature]: unknown value \"limit\": expected one of off, count, alert, drop",
        ),
        (
            "http_ports = [80, 70000]",
            ":1:19: http_ports: 70000 is out of range: from 1 to 65535",
        ),
        ("mode", ":1:5: not TOML: "),
        ("# \u{1b}[2J\n", ":1:3: not TOML: "),
    ] {
        let config = file_with(&folder, "detector.toml", text.as_bytes())?;
        refused(&config, &worm, message)?;
    }
    let binary = file_with(&folder, "binary.toml", b"mode = \xff")?;
    refused(&binary, &worm, ":1:8: not UTF-8, as TOML must be")?;
    let long = file_with(&folder, "long.toml", &vec![b'#'; 1 << 20])?;
    refused(&long, &worm, ": longer than 262144 bytes")?;
    refused(
        Path::new("/nowhere.toml"),
        &worm,
        ": cannot be read: No such file",
    )?;
    refused(folder.path(), &worm, ": no regular file")
}

/// Fails unless `detector replay --config CONFIG` ends with exit code 2 and this message behind the name of the file.
fn refused(config: &Path, capture: &Path, message: &str) -> Result<()> {
    let ended = replay(
        &["--config", config.to_str().context("a path that is text")?],
        capture,
    )?;
    ensure!(
        (ended.code, ended.stdout.as_str()) == (Some(2), ""),
        "{ended:?}"
    );
    let start = format!("{}{message}", config.display());
    ensure!(
        ended.complaint()?.starts_with(&start),
        "expected {start:?}: {ended:?}"
    );
    Ok(())
}

#[test]
fn a_reader_who_goes_away_ends_a_command_without_a_word() -> Result<()> {
    let folder = TempDir::new()?;
    let worm = file_with(&folder, "worm.pcap", &infected()?)?;
    let worm = worm.to_str().context("a path that is text")?;
    let commands: [(&[&str], i32); 5] = [
        (&["rules", "list"], 0),
        (&["rules", "list", "-ojson"], 0),
        (&["replay", worm], 10),
        (&["replay", "-ojson", worm], 10),
        (&["replay", "-ojsonl", worm], 10),
    ];
    for (arguments, code) in commands {
        let (reader, writer) = io::pipe()?;
        drop(reader);
        let output = Command::new(binary()?)
            .args(arguments)
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            (output.status.code(), &*stderr),
            (Some(code), ""),
            "{arguments:?}"
        );
    }
    Ok(())
}

#[test]
fn a_full_disk_is_an_error() -> Result<()> {
    let output = Command::new(binary()?)
        .args(["rules", "list"])
        .stdout(File::options().write(true).open("/dev/full")?)
        .stderr(Stdio::piped())
        .output()?;
    let stderr = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr.starts_with("detector: cannot write to standard output: No space left"),
        "{stderr}"
    );
    Ok(())
}
