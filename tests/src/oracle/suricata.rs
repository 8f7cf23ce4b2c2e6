//! The referee of rules: what Suricata says of the packets of a capture file.

use std::{
    env::{self, consts::ARCH},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use detector::rules::WORMS;
use serde_json::Value;

/// What Suricata does by default, but for a log of alerts alone, and for a wrong checksum, which is as good as a right one.
const CONFIGURATION: &str = r#"%YAML 1.1
---
vars:
  address-groups: { HOME_NET: "any", EXTERNAL_NET: "any" }
  port-groups: { HTTP_PORTS: "[80,8080]" }
reference-config-file: "DIRECTORY/reference.config"
outputs:
  - eve-log: { enabled: yes, filename: eve.json, types: [ alert ] }
app-layer: { protocols: { http: { enabled: yes, libhtp: { default-config: { personality: IDS } } } } }
"#;
/// Where references lead to is nobody's business here, only that they are known.
const REFERENCES: &str = "config reference: url https://\nconfig reference: cve CVE-\n";

/// The rules that we ship as Suricata takes them: those of TCP look at each packet by itself, as detector does, and those are
/// left out that ask for what only detector can say.
#[must_use]
pub fn worms() -> String {
    let lines = WORMS.lines().filter(|line| !line.contains("detector."));
    let rules = lines.map(|line| match line.split_once('(') {
        Some((header, options)) if header.starts_with("drop tcp ") => {
            format!("{header}(flow:no_stream; {options}\n")
        }
        _ => format!("{line}\n"),
    });
    rules.collect()
}

/// A rule of Suricata's matched a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alert {
    /// The number of the packet in the file, from 1; 0 if it was found when the file had ended.
    pub packet: u64,
    /// The number of the rule.
    pub sid: u32,
    /// The ports, the source first; 0 where the protocol has none.
    pub ports: [u16; 2],
}

/// Whether segments with a wrong checksum are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksums {
    /// They are like others: detector looks at no checksum.
    Ignored,
    /// They are left out, as the receiver does.
    Checked,
}

/// How to run Suricata: as `cargo xtask test` has unpacked it, or else as it is installed.
#[must_use]
pub fn program() -> (PathBuf, Option<PathBuf>) {
    let own = env::current_exe().unwrap_or_default();
    let roots = own.ancestors().map(|folder| folder.join("suricata/root"));
    let unpacked = roots
        .map(|root| {
            (
                root.join("usr/bin/suricata"),
                root.join(format!("usr/lib/{ARCH}-linux-gnu")),
            )
        })
        .find(|(program, _)| program.is_file());
    match unpacked {
        Some((program, libraries)) => (program, Some(libraries)),
        None => ("suricata".into(), None),
    }
}

/// What Suricata's rules match in the packets of `capture`.
pub fn alerts(rules: &str, capture: &Path, checksums: Checksums) -> Result<Vec<Alert>> {
    let directory = tempfile::tempdir()?;
    let path = |name: &str| directory.path().join(name);
    let shown = directory.path().display().to_string();
    fs::write(
        path("suricata.yaml"),
        CONFIGURATION.replace("DIRECTORY", &shown),
    )?;
    fs::write(path("reference.config"), REFERENCES)?;
    fs::write(path("test.rules"), rules)?;
    let output = command()
        // A rule that it does not take is an error.
        .args(["--init-errors-fatal", "--runmode", "single", "-k"])
        .arg(match checksums {
            Checksums::Ignored => "none",
            Checksums::Checked => "all",
        })
        .arg("-c")
        .arg(path("suricata.yaml"))
        .arg("-S")
        .arg(path("test.rules"))
        .arg("-l")
        .arg(directory.path())
        .arg("-r")
        .arg(capture)
        .output()
        .context("cannot run Suricata")?;
    ensure!(
        output.status.success(),
        "Suricata fails on {}: {}{}",
        capture.display(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let log = fs::read_to_string(path("eve.json")).context("Suricata has written no log")?;
    log.lines().map(alert).collect()
}

/// Suricata, before it has arguments.
#[must_use]
pub fn command() -> Command {
    let (program, libraries) = program();
    let mut command = Command::new(program);
    if let Some(libraries) = libraries {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    command
}

/// An alert out of a line of its log.
fn alert(line: &str) -> Result<Alert> {
    let event: Value = serde_json::from_str(line)?;
    let number = |place: &str| event.pointer(place).and_then(Value::as_u64);
    let port = |place| number(place).unwrap_or(0).try_into();
    let sid = number("/alert/signature_id").with_context(|| format!("no alert: {line}"))?;
    Ok(Alert {
        packet: number("/pcap_cnt").unwrap_or(0),
        sid: sid.try_into()?,
        ports: [port("/src_port")?, port("/dest_port")?],
    })
}
