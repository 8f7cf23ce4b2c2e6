//! What the agent takes of the machine while findings come in without end.

use std::fs;

use anyhow::{Context as _, Result};
use detector_tests::{
    agent::running::{SOON, json, start, stats, stats_after},
    lab::{ETH0, Host, Pair},
    requirements::kernel_or_skip,
};

use super::numbered::worm;

/// Findings of one round, each of another host: more than all tables of one CPU hold.
const ROUND: u32 = 20_000;
/// Rounds after the first, which fills every table and queue.
const ROUNDS: u32 = 4;

/// However many findings the agent has seen, it takes no more memory and no more descriptors than for the first ones.
#[test]
fn findings_without_end_cost_no_more_memory_and_no_more_descriptors() -> Result<()> {
    if !kernel_or_skip("findings_without_end_cost_no_more_memory_and_no_more_descriptors") {
        return Ok(());
    }
    let pair = Pair::new()?;
    let mut agent = start(&pair.server, &["--wan", ETH0])?;
    let sender = pair.client.sender(ETH0)?;
    let mut taken = Vec::new();
    for round in 0..=ROUNDS {
        sender.send_all((round * ROUND..(round + 1) * ROUND).map(worm))?;
        let stats = stats_after(&pair.server, u64::from((round + 1) * ROUND))?;
        assert_eq!(stats["signatures"][0]["packets"], (round + 1) * ROUND);
        taken.push(Taken::by_the_agent_of(&pair.server)?);
    }
    let (first, last) = (&taken[0], &taken[taken.len() - 1]);
    // An allocator keeps some of what it once had. A hundred bytes kept of each finding would be half as much again.
    assert!(last.resident_kib * 2 < first.resident_kib * 3, "{taken:?}");
    assert!(last.descriptors <= first.descriptors, "{taken:?}");
    assert!(stats(&pair.server)?["events"]["sent"].as_u64() > Some(0));
    assert_eq!(agent.stop(SOON)?.code(), Some(0));
    Ok(())
}

/// What a process takes of the machine.
#[derive(Debug)]
struct Taken {
    resident_kib: u64,
    descriptors: usize,
}

impl Taken {
    fn by_the_agent_of(host: &Host) -> Result<Self> {
        let pid = json(host, &["status", "-o", "json"])?["pid"].clone();
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident
            .context("no resident memory")?
            .trim_end_matches("kB")
            .trim();
        Ok(Self {
            resident_kib: resident.parse()?,
            descriptors: fs::read_dir(format!("/proc/{pid}/fd"))?.count(),
        })
    }
}
