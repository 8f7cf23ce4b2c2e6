//! The agent on a cable: attached in the driver, it drops the worm, passes the rest, counts both, and detaches.

use anyhow::{Result, ensure};
use detector::agent::interface::Hook;
use detector_tests::{
    agent::Agent,
    lab::{ETH0, Pair, wait_until},
    worms::{self, benign},
};

use super::WITHIN;

/// How many of each are sent; no two numbers are alike.
const WORMS: u64 = 30;
const QUERIES: u64 = 20;

pub(crate) fn check() -> Result<Vec<String>> {
    let pair = Pair::new()?;
    let route = Pair::route();
    let (worm, query) = (
        worms::slammer(&route).build(),
        benign::dns_query(&route).build(),
    );
    let client = pair.client.sender(ETH0)?;
    let arrived = pair.server.receiver(ETH0)?;

    let agent = Agent::start(
        &pair.server,
        &["--wan", ETH0, "--enforce", "--mode", "native"],
    )?;
    for _ in 0..WORMS {
        client.send(&worm)?;
    }
    for _ in 0..QUERIES {
        client.send(&query)?;
    }
    let mut stats = agent.stats()?;
    wait_until("the agent to count every packet", WITHIN, || {
        stats = agent.stats()?;
        Ok(stats
            .interfaces
            .iter()
            .any(|one| one.packets >= WORMS + QUERIES))
    })?;
    let [interface] = &*stats.interfaces else {
        anyhow::bail!("one interface expected: {:?}", stats.interfaces);
    };
    ensure!(interface.mode == Hook::Native, "not native: {interface:?}");
    let (passed, dropped) = (interface.verdicts.pass, interface.verdicts.drop);
    ensure!(
        (passed, dropped) == (QUERIES, WORMS),
        "{passed} passed and {dropped} dropped of {QUERIES} queries and {WORMS} worms"
    );
    let hits: Vec<_> = stats
        .signatures
        .iter()
        .map(|signature| (&*signature.name, signature.packets, signature.dropped))
        .filter(|(_, packets, _)| *packets != 0)
        .collect();
    ensure!(hits == [("sql-slammer", WORMS, WORMS)], "found: {hits:?}");
    wait_until("the agent to report the worm", WITHIN, || {
        let mut findings = agent.findings().into_iter();
        Ok(findings.any(|line| line.contains("sql-slammer")))
    })?;
    agent.stop()?;

    // Nobody is there any more to drop it; and it ends the count of what arrived before.
    client.send(&worm)?;
    let queries = arrived.count_before(WITHIN, |frame| frame == worm, |frame| frame == query)?;
    ensure!(
        queries as u64 == QUERIES,
        "{queries} of {QUERIES} queries arrived"
    );
    Ok(Vec::new())
}
