//! A running agent on a host of the laboratory, and what other programs can see of it.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::lab::{Host, Process, wait_until};

/// How long anything may take. A machine that is busy is slow, and only a failure waits so long.
pub const SOON: Duration = Duration::from_secs(20);
/// Where the agent pins its maps unless told otherwise.
pub const PINS: &str = "/sys/fs/bpf/detector";
/// Where it is asked.
pub const SOCKET: &str = "/run/detector/control.sock";

/// The binary: `cargo xtask test` builds it and says where it is; otherwise it is beside the tests.
pub fn detector() -> Result<PathBuf> {
    if let Some(path) = env::var_os("DETECTOR_BIN") {
        return Ok(path.into());
    }
    let test = env::current_exe()?;
    let beside = test
        .ancestors()
        .nth(2)
        .map(|target| target.join("detector"));
    beside
        .filter(|path| path.is_file())
        .context("build it first (cargo build -p detector), or set DETECTOR_BIN")
}

/// A command that runs detector on `host`.
pub fn command(host: &Host, arguments: &[&str]) -> Result<Command> {
    let mut command = host.command(detector()?);
    command.args(arguments);
    Ok(command)
}

/// Runs detector on `host` to its end.
pub fn run(host: &Host, arguments: &[&str]) -> Result<Output> {
    command(host, arguments)?
        .output()
        .context("cannot run detector")
}

/// What detector says as it refuses: its exit code and its standard error, which is one line.
pub fn refusal(host: &Host, arguments: &[&str]) -> Result<(Option<i32>, String)> {
    refusal_of(&run(host, arguments)?)
}

/// The same of a command that ended.
pub fn refusal_of(output: &Output) -> Result<(Option<i32>, String)> {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(said.lines().count() == 1, "expected one line: {said}");
    ensure!(output.stdout.is_empty(), "expected no output");
    Ok((output.status.code(), said))
}

/// Starts the agent on `host` and waits until it guards.
pub fn start(host: &Host, arguments: &[&str]) -> Result<Process> {
    start_with(host, arguments, |command| command)
}

/// The same with a command that was changed before it is run.
pub fn start_with(
    host: &Host,
    arguments: &[&str],
    change: impl FnOnce(&mut Command) -> &mut Command,
) -> Result<Process> {
    let mut all = vec!["run"];
    all.extend(arguments);
    let agent = Process::spawn(change(&mut command(host, &all)?))?;
    agent.wait_for_line(SOON, |line| line.starts_with("detector: ready"))?;
    Ok(agent)
}

/// What `detector stats -o json` prints.
pub fn stats(host: &Host) -> Result<Value> {
    json(host, &["stats", "-o", "json"])
}

/// What detector prints, as JSON.
pub fn json(host: &Host, arguments: &[&str]) -> Result<Value> {
    let output = run(host, arguments)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{arguments:?}: {}: {said}",
        output.status
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Waits until the agent has counted so many packets on all interfaces together, and gives what it counted.
pub fn stats_after(host: &Host, packets: u64) -> Result<Value> {
    let mut last = Value::Null;
    wait_until("every packet to be counted", SOON, || {
        last = stats(host)?;
        Ok(sum(&last["interfaces"], "packets") >= packets)
    })
    .with_context(|| format!("{packets} packets expected: {last:#}"))?;
    Ok(last)
}

/// The sum of a field over a list of objects.
pub fn sum(list: &Value, field: &str) -> u64 {
    let fields = list.as_array().into_iter().flatten();
    fields.filter_map(|one| one[field].as_u64()).sum()
}

/// The objects of a list whose fields have these values.
pub fn select<'a>(list: &'a Value, fields: &[(&str, &str)]) -> Vec<&'a Value> {
    let all = list.as_array().into_iter().flatten();
    all.filter(|one| fields.iter().all(|(field, value)| one[*field] == *value))
        .collect()
}

/// The number of the XDP program on an interface and how `ip` calls its mode; `None` if there is none.
pub fn attached(host: &Host, interface: &str) -> Result<Option<(u64, &'static str)>> {
    let links: Value =
        serde_json::from_str(&host.output("ip", &["-j", "link", "show", interface])?)?;
    let xdp = &links[0]["xdp"];
    // iproute2: XDP_ATTACHED_DRV is 1, XDP_ATTACHED_SKB is 2.
    let mode = match xdp["mode"].as_u64() {
        Some(1) => "native",
        Some(2) => "generic",
        _ => return Ok(None),
    };
    Ok(xdp["prog"]["id"].as_u64().map(|id| (id, mode)))
}

/// Whether there is anything at a path, as the host sees it.
pub fn exists(host: &Host, path: &str) -> Result<bool> {
    host.run(|| Path::new(path).symlink_metadata().is_ok())
}

/// Fails if the agent has left something on the host: a program, pins, or its socket.
pub fn ensure_nothing_is_left(host: &Host, interfaces: &[&str]) -> Result<()> {
    for interface in interfaces {
        let left = attached(host, interface)?;
        ensure!(left.is_none(), "{interface} still has a program: {left:?}");
    }
    for path in [PINS, SOCKET, "/run/detector"] {
        ensure!(!exists(host, path)?, "{path} is still there");
    }
    Ok(())
}
