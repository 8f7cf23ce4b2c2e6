//! The agent is killed or stopped while packets come in: the kernel decides without it.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use aya::maps::{Map, MapData, PerCpuArray};
use detector_common::{
    abi::{counter_index, map},
    reason::Reason,
    verdict::Verdict,
};
use detector_tests::{
    agent::running::{
        PINS, SOCKET, SOON, attached, ensure_nothing_is_left, exists, refusal, start, stats_after,
    },
    lab::{ETH0, Host, Pair, Sender, wait_until},
    requirements::kernel_or_skip,
    worms::benign,
};
use nix::sys::signal::Signal;

use super::numbered::{either, is_worm, number, worm};

/// Frames before the agent is killed, and after it has gone.
const AROUND: u32 = 2000;
/// How long the flood may last: as long as all that is waited for in it.
const FLOOD_WITHIN: Duration = SOON.saturating_mul(3);
/// What waits between the two ends of a cable: Linux drivers/net/veth.c, `VETH_RING_SIZE`. The kernel throws it away
/// when a program is detached.
const ON_THE_CABLE: usize = 256;
/// Worms of as many hosts, more than the ring buffer has room for.
const FINDINGS: u32 = 6000;

/// Killed, the agent takes its program with it and the traffic flows on, unguarded: up to a frame that can be told,
/// each was counted and judged exactly; from then on all pass. Nothing that is left keeps the next agent from starting.
/// (That filtering goes on without the agent waits for pinned links.)
#[test]
fn a_killed_agent_stops_no_traffic_and_the_next_one_starts() -> Result<()> {
    if !kernel_or_skip("a_killed_agent_stops_no_traffic_and_the_next_one_starts") {
        return Ok(());
    }
    let pair = Pair::new()?;
    let mut agent = start(&pair.server, &["--wan", ETH0, "--enforce"])?;
    let behind = pair.server.receiver(ETH0)?;
    let sender = pair.client.sender(ETH0)?;
    let marker = benign::ping(&Pair::route(), 777).build();

    let (sent, gone) = (AtomicU32::new(0), AtomicBool::new(false));
    let sent = thread::scope(|scope| -> Result<u32> {
        let sending = scope.spawn(|| flood(&sender, &sent, &gone, &marker));
        wait_until("the flood to be on", SOON, || {
            Ok(sent.load(Ordering::Relaxed) > AROUND)
        })?;
        agent.signal(Signal::SIGKILL)?;
        assert_eq!(agent.wait(SOON)?.code(), None);
        wait_until("the program to be detached", SOON, || {
            Ok(attached(&pair.server, ETH0)?.is_none())
        })?;
        gone.store(true, Ordering::Relaxed);
        sending.join().ok().context("the flood panicked")?
    })?;
    let frames = behind.frames_before(SOON, |frame| frame == marker)?;
    let arrived: BTreeSet<u32> = frames.iter().filter_map(|frame| number(frame)).collect();

    // The maps that the agent leaves say up to which frame its program saw them.
    let [passed, dropped] = counted(&pair.server)?;
    let seen = u32::try_from(passed + dropped)?;
    assert!((AROUND..sent).contains(&seen), "{seen} of {sent} were seen");
    assert_eq!(dropped, u64::from(seen / 2), "every other one is a worm");
    let expected = (0..sent).filter(|number| *number >= seen || !is_worm(*number));
    let lost: Vec<u32> = expected
        .filter(|number| !arrived.contains(number))
        .collect();
    let beyond = arrived
        .iter()
        .filter(|number| **number < seen && is_worm(**number));
    assert_eq!(
        beyond.count(),
        0,
        "worms passed that were counted as dropped"
    );
    assert!(
        lost.len() <= ON_THE_CABLE,
        "{} frames are lost: {lost:?}",
        lost.len()
    );

    assert!(exists(&pair.server, SOCKET)?);
    assert_eq!(refusal(&pair.server, &["stats"])?.0, Some(7));
    let mut next = start(&pair.server, &["--wan", ETH0, "--enforce"])?;
    sender.send(&worm(1))?;
    let stats = stats_after(&pair.server, 1)?;
    assert_eq!(stats["interfaces"][0]["packets"], 1, "counts begin anew");
    assert_eq!(stats["interfaces"][0]["verdicts"]["drop"], 1);
    assert_eq!(next.stop(SOON)?.code(), Some(0));
    ensure_nothing_is_left(&pair.server, &[ETH0])
}

/// Sends numbered frames until some time after the agent has `gone`, then the `marker`; gives how many there were.
fn flood(sender: &Sender, sent: &AtomicU32, gone: &AtomicBool, marker: &[u8]) -> Result<u32> {
    let deadline = Instant::now() + FLOOD_WITHIN;
    let mut end = u32::MAX;
    for number in 0.. {
        if gone.load(Ordering::Relaxed) {
            end = end.min(number + AROUND);
        }
        if number == end {
            break;
        }
        ensure!(Instant::now() < deadline, "the agent is not gone in time");
        sender.send(&either(number))?;
        sent.store(number + 1, Ordering::Relaxed);
    }
    sender.send(marker)?;
    Ok(sent.load(Ordering::Relaxed))
}

/// Frames that a program counted in the maps pinned on `host`: those that passed, and those that were dropped.
fn counted(host: &Host) -> Result<[u64; 2]> {
    host.run(|| {
        let counters = Map::PerCpuArray(MapData::from_pin(Path::new(PINS).join(map::COUNTERS))?);
        // An entry is two numbers: packets and bytes.
        let counters: PerCpuArray<_, [u64; 2]> = counters.try_into()?;
        let packets = |reason, verdict| -> Result<u64> {
            let cpus = counters.get(&counter_index(0, reason, verdict), 0)?;
            Ok(cpus.iter().map(|[packets, _]| packets).sum())
        };
        Ok([
            packets(Reason::Clean, Verdict::PASS)?,
            packets(Reason::Signature, Verdict::DROP)?,
        ])
    })?
}

/// While the agent stands still, the kernel goes on to judge every packet; and when it goes on, every finding is either
/// in a report it read or counted as lost, exactly, in what `detector stats` says.
#[test]
fn a_stopped_agent_changes_no_verdict_and_each_finding_is_read_or_counted_as_lost() -> Result<()> {
    if !kernel_or_skip(
        "a_stopped_agent_changes_no_verdict_and_each_finding_is_read_or_counted_as_lost",
    ) {
        return Ok(());
    }
    let pair = Pair::new()?;
    let arguments = ["--wan", ETH0, "--enforce", "-o", "jsonl"];
    let mut agent = start(&pair.server, &arguments)?;
    let behind = pair.server.receiver(ETH0)?;
    let sender = pair.client.sender(ETH0)?;
    agent.signal(Signal::SIGSTOP)?;
    sender.send_all((0..2 * FINDINGS).map(either))?;
    let marker = benign::ping(&Pair::route(), 777).build();
    sender.send(&marker)?;
    let frames = behind.frames_before(SOON, |frame| frame == marker)?;
    let arrived: Vec<u32> = frames.iter().filter_map(|frame| number(frame)).collect();
    assert!(
        arrived
            .iter()
            .copied()
            .eq((0..2 * FINDINGS).filter(|number| !is_worm(*number))),
        "{} frames arrived, not every ordinary one and no other",
        arrived.len()
    );

    agent.signal(Signal::SIGCONT)?;
    let stats = stats_after(&pair.server, u64::from(2 * FINDINGS) + 1)?;
    let event = |name: &str| stats["events"][name].as_u64().context("a count");
    let (sent, lost) = (event("sent")?, event("lost")?);
    assert_eq!(sent + lost, u64::from(FINDINGS), "{}", stats["events"]);
    assert!(sent > 0 && lost > 0, "{}", stats["events"]);
    assert_eq!(agent.stop(SOON)?.code(), Some(0));
    wait_until("every report to be printed", SOON, || {
        Ok(agent.stdout().len() as u64 >= sent)
    })?;
    ensure!(
        agent.stdout().len() as u64 == sent,
        "more reports than were sent"
    );
    Ok(())
}
