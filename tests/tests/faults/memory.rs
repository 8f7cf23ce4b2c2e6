//! What the agent takes of the machine while findings come in without end.

use anyhow::Result;
use detector_tests::{
    agent::running::{SOON, start_with, stats, stats_after},
    cpu,
    lab::{ETH0, Pair},
    requirements::kernel_or_skip,
};

use super::{numbered::worm, taken};

/// Findings of one round on each CPU, every one of another host: more than its tables hold.
const ROUND: u32 = 20_000;
/// Rounds after the first, which fills every table and queue.
const ROUNDS: u32 = 3;

/// However many findings the agent has seen, it takes no more memory and no more descriptors than for the first ones.
#[test]
fn findings_without_end_cost_no_more_memory_and_no_more_descriptors() -> Result<()> {
    if !kernel_or_skip("findings_without_end_cost_no_more_memory_and_no_more_descriptors") {
        return Ok(());
    }
    let pair = Pair::new()?;
    // With one arena for all threads: which of them answers, and so how many arenas have grown, is chance.
    let mut agent = start_with(&pair.server, &["--wan", ETH0], |command| {
        command.env("MALLOC_ARENA_MAX", "1")
    })?;
    let sender = pair.client.sender(ETH0)?;
    let descriptors = taken::descriptors(&pair.server)?;
    let cpus = cpu::allowed()?;
    let mut sent = 0;
    let mut resident_kib = Vec::new();
    for _ in 0..=ROUNDS {
        // In the tables of every CPU, which are read whole.
        for cpu in &cpus {
            cpu::hold(*cpu)?;
            sender.send_all((sent..sent + ROUND).map(worm))?;
            sent += ROUND;
        }
        let stats = stats_after(&pair.server, sent.into())?;
        assert_eq!(stats["signatures"][0]["packets"], sent);
        resident_kib.push(taken::resident_kib(&pair.server)?);
    }
    // An allocator keeps some of what it once had. A hundred bytes kept of each finding would be nearly half as much again.
    let (first, last) = (resident_kib[0], resident_kib[ROUNDS as usize]);
    assert!(last * 4 < first * 5, "{resident_kib:?}");
    taken::wait_for_descriptors(&pair.server, descriptors)?;
    assert!(stats(&pair.server)?["events"]["sent"].as_u64() > Some(0));
    assert_eq!(agent.stop(SOON)?.code(), Some(0));
    Ok(())
}
