//! What the agent says of findings, and that nobody has to listen.

use std::{
    collections::BTreeSet,
    io::Read as _,
    net::Ipv4Addr,
    os::unix::net::UnixStream,
    process::{Child, Stdio},
    thread,
};

use anyhow::{Context as _, Result};
use detector_tests::{
    agent::running::{SOCKET, SOON, command, ensure_nothing_is_left, start, stats, stats_after},
    lab::{ETH0, Host, LAN, Lab, Pair, Process, wait_until},
    requirements::kernel_or_skip,
    worms::{self, Route},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

/// More findings than a pipe and the agent together hold back for a reader.
const FINDINGS: u32 = 8000;

#[test]
fn every_worm_is_reported_as_a_line_of_json() -> Result<()> {
    if !kernel_or_skip("every_worm_is_reported_as_a_line_of_json") {
        return Ok(());
    }
    let pair = Pair::new()?;
    let mut agent = start(&pair.server, &["--wan", ETH0, "--enforce", "-o", "jsonl"])?;
    let frames = worms::all();
    let frames = frames.iter().map(|worm| worm.frame(&Pair::route()));
    pair.client.sender(ETH0)?.send_all(frames)?;
    let expected: BTreeSet<_> = worms::all()
        .iter()
        .map(|worm| worm.name.to_owned())
        .collect();
    wait_until("a line for each worm", SOON, || {
        Ok(agent.stdout().len() >= expected.len())
    })?;
    assert_eq!(agent.stop(SOON)?.code(), Some(0));

    let findings: Vec<Value> = agent
        .stdout()
        .iter()
        .map(|line| serde_json::from_str(line))
        .collect::<Result<_, _>>()?;
    let names = findings
        .iter()
        .filter_map(|finding| finding["signature"].as_str());
    assert_eq!(names.map(str::to_owned).collect::<BTreeSet<_>>(), expected);
    let slammer = findings
        .iter()
        .find(|finding| finding["signature"] == "sql-slammer");
    let mut slammer = slammer.context("no line for Slammer")?.clone();
    let time = slammer["time"].take();
    assert!(
        time.as_str()
            .is_some_and(|time| time.starts_with("20") && time.ends_with('Z'))
    );
    assert_eq!(
        slammer,
        json!({
            "schema_version": 1, "event": "finding", "time": null, "interface": "eth0", "side": "wan",
            "detector": "signature", "signature": "sql-slammer", "id": slammer["id"], "severity": "high",
            "source": { "mac": "02:00:00:00:01:0a", "ip": "203.0.113.10", "vlan": [] },
            "target": { "ip": "203.0.113.180", "port": 1434, "source_port": 40000, "protocol": "udp" },
            "targets": null, "tried": null, "relayed_by_gateway": false, "count": 1, "proof": "spoofable", "verdict": "drop", "reason": "signature",
            "decided_in_agent": false,
        })
    );
    Ok(())
}

#[test]
fn a_worm_from_inside_is_an_infected_host_of_ours() -> Result<()> {
    if !kernel_or_skip("a_worm_from_inside_is_an_infected_host_of_ours") {
        return Ok(());
    }
    let lab = Lab::new()?;
    let agent = start(&lab.gateway, &["--lan", LAN])?;
    let frame = worms::slammer(&Lab::outbound()).build();
    lab.infected.sender(ETH0)?.send(&frame)?;
    let line = agent.wait_for_line(SOON, |line| line.contains("sql-slammer"))?;
    for part in [
        "lan (lan)",
        "a host of ours is infected",
        "192.0.2.66",
        "udp/1434",
        "would_drop",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    Ok(())
}

/// An agent whose standard output nobody has read yet. It is killed when dropped.
struct Unread(Child);

impl Unread {
    fn start(host: &Host) -> Result<Self> {
        let child = command(host, &["run", "--wan", ETH0])?
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let agent = Self(child);
        wait_until("the agent to answer", SOON, || Ok(stats(host).is_ok()))?;
        Ok(agent)
    }

    /// Stops it and gives what it wrote to standard error.
    fn stop(mut self) -> Result<String> {
        kill(Pid::from_raw(self.0.id().try_into()?), Signal::SIGTERM)?;
        wait_until("the agent to end", SOON, || {
            Ok(self.0.try_wait()?.is_some())
        })?;
        assert_eq!(self.0.wait()?.code(), Some(0));
        let mut said = String::new();
        let stderr = self.0.stderr.take();
        stderr
            .context("standard error is piped")?
            .read_to_string(&mut said)?;
        Ok(said)
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends the worm of so many hosts, each of which is a finding of its own.
fn send_from_many_hosts(client: &Host) -> Result<()> {
    let frame = |host: u32| {
        let src_ip = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 0)) + host);
        worms::slammer(&Route {
            src_ip,
            ..Pair::route()
        })
        .build()
    };
    client.sender(ETH0)?.send_all((0..FINDINGS).map(frame))?;
    Ok(())
}

#[test]
fn a_reader_who_stops_reading_stops_neither_counts_nor_signals() -> Result<()> {
    if !kernel_or_skip("a_reader_who_stops_reading_stops_neither_counts_nor_signals") {
        return Ok(());
    }
    let pair = Pair::new()?;
    let agent = Unread::start(&pair.server)?;
    send_from_many_hosts(&pair.client)?;
    stats_after(&pair.server, FINDINGS.into())?;
    wait_until("lines to be left out", SOON, || {
        let events = &stats(&pair.server)?["events"];
        Ok(events["not_printed"].as_u64() > Some(0) || events["lost"].as_u64() > Some(4000))
    })?;
    let said = agent.stop()?;
    assert!(said.contains("standard output takes no more"), "{said}");
    ensure_nothing_is_left(&pair.server, &[ETH0])
}

#[test]
fn a_closed_standard_output_is_told_once_and_filtering_goes_on() -> Result<()> {
    if !kernel_or_skip("a_closed_standard_output_is_told_once_and_filtering_goes_on") {
        return Ok(());
    }
    let pair = Pair::new()?;
    let mut agent = Unread::start(&pair.server)?;
    drop(agent.0.stdout.take());
    send_from_many_hosts(&pair.client)?;
    let stats = stats_after(&pair.server, FINDINGS.into())?;
    assert_eq!(stats["interfaces"][0]["packets"], FINDINGS);
    let said = agent.stop()?;
    assert_eq!(
        said.matches("standard output is closed").count(),
        1,
        "{said}"
    );
    assert!(!said.contains("panicked"), "{said}");
    Ok(())
}

#[test]
fn watching_prints_an_object_a_second_and_ends_with_the_agent() -> Result<()> {
    if !kernel_or_skip("watching_prints_an_object_a_second_and_ends_with_the_agent") {
        return Ok(());
    }
    let pair = Pair::new()?;
    let mut agent = start(&pair.server, &["--wan", ETH0])?;
    let watch = ["stats", "--watch", "-o", "json"];
    let mut watching = Process::spawn(&mut command(&pair.server, &watch)?)?;
    wait_until("two objects", SOON, || Ok(watching.stdout().len() >= 2))?;
    agent.stop(SOON)?;
    assert_eq!(watching.wait(SOON)?.code(), Some(7));
    for line in watching.stdout() {
        let stats: Value = serde_json::from_str(&line)?;
        assert_eq!(stats["interfaces"][0]["name"], ETH0);
    }
    Ok(())
}

#[test]
fn who_connects_and_says_nothing_keeps_nobody_waiting_for_long() -> Result<()> {
    if !kernel_or_skip("who_connects_and_says_nothing_keeps_nobody_waiting_for_long") {
        return Ok(());
    }
    let pair = Pair::new()?;
    let mut agent = start(&pair.server, &["--wan", ETH0])?;
    let silent = pair.server.run(|| {
        let connect = |_| UnixStream::connect(SOCKET);
        (0..20).map(connect).collect::<Result<Vec<_>, _>>()
    })??;
    wait_until("an answer", SOON, || Ok(stats(&pair.server).is_ok()))?;
    assert_eq!(agent.stop(SOON)?.code(), Some(0));
    drop(silent);
    Ok(())
}

#[test]
fn many_may_ask_at_once() -> Result<()> {
    if !kernel_or_skip("many_may_ask_at_once") {
        return Ok(());
    }
    let pair = Pair::new()?;
    let _agent = start(&pair.server, &["--wan", ETH0])?;
    thread::scope(|scope| {
        let ask = || stats(&pair.server).map(|stats| stats["schema_version"] == 1);
        let asking: Vec<_> = (0..24).map(|_| scope.spawn(ask)).collect();
        for one in asking {
            assert!(
                one.join()
                    .is_ok_and(|answered| matches!(answered, Ok(true)))
            );
        }
    });
    Ok(())
}
