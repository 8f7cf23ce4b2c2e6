//! What the agent takes of the machine.

use std::fs;

use anyhow::{Context as _, Result};
use detector_tests::{
    agent::running::{SOON, json},
    lab::{Host, wait_until},
};

/// Memory of the agent on `host`, in KiB.
pub(crate) fn resident_kib(host: &Host) -> Result<u64> {
    let pid = pid(host)?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident.context("no resident memory")?;
    Ok(resident.trim_end_matches("kB").trim().parse()?)
}

/// How many descriptors the agent on `host` has, maybe with that of the connection that asked for its number.
pub(crate) fn descriptors(host: &Host) -> Result<usize> {
    let pid = pid(host)?;
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

/// How many threads the agent on `host` has.
pub(crate) fn threads(host: &Host) -> Result<usize> {
    let pid = pid(host)?;
    Ok(fs::read_dir(format!("/proc/{pid}/task"))?.count())
}

/// Waits until the agent on `host` has no more descriptors than it had.
pub(crate) fn wait_for_descriptors(host: &Host, before: usize) -> Result<()> {
    wait_until("the descriptors to be closed", SOON, || {
        Ok(descriptors(host)? <= before)
    })
}

fn pid(host: &Host) -> Result<u64> {
    let status = json(host, &["status", "-o", "json"])?;
    status["pid"].as_u64().context("no process number")
}
