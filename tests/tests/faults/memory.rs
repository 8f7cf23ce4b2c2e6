//! What the agent takes of the machine while findings come in without end.

use anyhow::Result;
use detector_tests::{
    agent::running::{SOON, start, stats, stats_after},
    lab::{ETH0, Pair},
    requirements::kernel_or_skip,
};

use super::{numbered::worm, taken};

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
    let descriptors = taken::descriptors(&pair.server)?;
    let mut resident_kib = Vec::new();
    for round in 0..=ROUNDS {
        sender.send_all((round * ROUND..(round + 1) * ROUND).map(worm))?;
        let stats = stats_after(&pair.server, u64::from((round + 1) * ROUND))?;
        assert_eq!(stats["signatures"][0]["packets"], (round + 1) * ROUND);
        resident_kib.push(taken::resident_kib(&pair.server)?);
    }
    // An allocator keeps some of what it once had. A hundred bytes kept of each finding would be half as much again.
    let (first, last) = (resident_kib[0], resident_kib[ROUNDS as usize]);
    assert!(last * 2 < first * 3, "{resident_kib:?}");
    taken::wait_for_descriptors(&pair.server, descriptors)?;
    assert!(stats(&pair.server)?["events"]["sent"].as_u64() > Some(0));
    assert_eq!(agent.stop(SOON)?.code(), Some(0));
    Ok(())
}
