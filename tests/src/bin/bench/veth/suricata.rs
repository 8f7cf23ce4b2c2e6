//! Suricata inline: it takes packets from one cable (`AF_PACKET`) and sends those that it does not drop into another.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    mem::replace,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use detector_common::verdict::Verdict;
use detector_tests::{
    lab::{ETH0, Host, Pair, Process, wait_until},
    oracle::suricata,
};
use nix::{
    time::{clock_getcpuclockid, clock_gettime},
    unistd::Pid,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    Kind, Receiver,
    filters::{SINK, install, pair_with_sink, sunk, take_frames},
};

/// The second cable: its end on Suricata's host.
const OUT: &str = "out";
const READY_WITHIN: Duration = Duration::from_mins(1);
/// It is at rest when it has used less than a twentieth of this time.
const REST: Duration = Duration::from_millis(300);
const RULE: &str = "drop tcp any any -> any 80 (msg:\"code-red\"; content:\"GET /default.ida?NNNNNNNNNNNNN\"; \
    depth:30; sid:1; rev:1;)\n";
/// No logs, no protocol parsers: what it takes to look for one pattern. Statistics every second, for its counters.
const CONFIGURATION: &str = r#"%YAML 1.1
---
vars:
  address-groups: { HOME_NET: "any", EXTERNAL_NET: "any" }
stats: { enabled: yes, interval: 1 }
outputs: []
unix-command: { enabled: yes, filename: "DIRECTORY/socket" }
pid-file: "DIRECTORY/pid"
exception-policy: ignore
stream: { midstream: true, checksum-validation: no, inline: auto }
af-packet:
  - { interface: eth0, threads: 1, cluster-id: 99, cluster-type: cluster_flow, copy-mode: ips, copy-iface: out, ring-size: 60000, use-mmap: yes, tpacket-v3: no }
  - { interface: out, threads: 1, cluster-id: 98, cluster-type: cluster_flow, copy-mode: ips, copy-iface: eth0, use-mmap: yes, tpacket-v3: no }
"#;

struct Suricata {
    pair: Pair,
    sink: Host,
    process: Process,
    socket: PathBuf,
    _directory: TempDir,
}

pub(super) fn suricata() -> Result<Box<dyn Receiver>> {
    let pair = pair_with_sink("")?;
    let sink = Host::new("sink")?;
    pair.server.ip(&format!(
        "link add {OUT} type veth peer name {ETH0} netns {}\nlink set {OUT} up",
        sink.namespace().network_path()
    ))?;
    sink.ip(&format!("link set {ETH0} up"))?;
    install(&sink, ETH0, SINK)?;

    let directory = tempfile::tempdir()?;
    let path = |name: &str| directory.path().join(name);
    let shown = directory.path().display().to_string();
    fs::write(
        path("suricata.yaml"),
        CONFIGURATION.replace("DIRECTORY", &shown),
    )?;
    fs::write(path("one.rules"), RULE)?;
    let mut command = command(&pair.server);
    command.arg("-c").arg(path("suricata.yaml"));
    command.arg("-S").arg(path("one.rules"));
    command.arg("-l").arg(directory.path());
    command.args(["--af-packet", "--runmode", "workers"]);
    let mut process = Process::spawn(&mut command)?;
    let socket = path("socket");
    wait_until("Suricata to be ready", READY_WITHIN, || {
        if let Some(status) = process.try_wait()? {
            anyhow::bail!(
                "Suricata ended with {status}: {}",
                process.stderr().join(" ")
            );
        }
        Ok(counters(&socket).is_ok())
    })?;
    // Suricata has just turned it off, and with it the polling that live frames need.
    take_frames(&pair.server)?;
    Ok(Box::new(Suricata {
        pair,
        sink,
        process,
        socket,
        _directory: directory,
    }))
}

/// Suricata in the network of `host`.
fn command(host: &Host) -> Command {
    let (program, libraries) = suricata::program();
    let mut command = host.command(program);
    if let Some(libraries) = libraries {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    command
}

impl Receiver for Suricata {
    fn pair(&self, _: &Kind) -> &Pair {
        &self.pair
    }

    /// Blocked, or arrived at the end of the second cable.
    fn handled(&self, kind: &Kind) -> Result<u64> {
        match kind.verdict {
            Verdict::DROP => {
                let counters = counters(&self.socket)?;
                let blocked = counters.pointer("/message/ips/blocked");
                blocked
                    .and_then(Value::as_u64)
                    .context("Suricata does not say what it blocked")
            }
            _ => sunk(&self.sink),
        }
    }

    fn unable(&self, kind: &Kind) -> Option<&'static str> {
        let is_arp = kind.name.starts_with("ARP");
        is_arp.then_some("Suricata 7 inspects no ARP")
    }

    fn cpu_time(&self) -> Result<Duration> {
        let clock = clock_getcpuclockid(Pid::from_raw(self.process.id().try_into()?))?;
        let read = || -> Result<Duration> { Ok(clock_gettime(clock)?.into()) };
        let (mut since, mut used) = (Instant::now(), read()?);
        wait_until("Suricata to come to rest", READY_WITHIN, || {
            if since.elapsed() < REST {
                return Ok(false);
            }
            let before = replace(&mut used, read()?);
            since = Instant::now();
            Ok(used.saturating_sub(before) < REST / 20)
        })?;
        Ok(used)
    }
}

/// Its counters, asked for as `suricatasc` does.
fn counters(socket: &Path) -> Result<Value> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut answers = BufReader::new(stream.try_clone()?);
    let mut answer = Value::Null;
    for command in [
        json!({"version": "0.2"}),
        json!({"command": "dump-counters"}),
    ] {
        // At once: Suricata takes what one read gives it for the whole command.
        stream.write_all(format!("{command}\n").as_bytes())?;
        let mut line = String::new();
        answers.read_line(&mut line)?;
        answer = serde_json::from_str(&line)?;
    }
    Ok(answer)
}
