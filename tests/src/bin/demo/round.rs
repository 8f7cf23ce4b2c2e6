//! One round: the agent starts, the traffic is sent, what arrived is counted, and the agent is asked what it has seen.

use std::{
    collections::BTreeMap,
    io::Write as _,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use detector::agent::stats::{ReasonStats, Stats};
use detector_common::{reason::Reason, verdict::Verdict};
use detector_tests::{
    agent::Agent,
    lab::{ETH0, INFECTED, LAN, Lab, OUTSIDE, Receiver, Sender, WAN, wait_until},
    worms::benign,
};
use tempfile::NamedTempFile;

use crate::traffic::{FORGED_WORM, Kind, Planned, Traffic};

/// A slow sweep takes minutes, which nobody waits for: as many times faster as it goes here, the window of seconds is shorter, so
/// that it is the long window that finds it. And whoever proves who it is and shows a worm is blocked: here nobody does.
const CONFIG: &str =
    "[arp_sweep]\nshort = \"30/s\"\nlong = \"30/600s\"\n[signature]\npolicy = \"block\"\n";
/// How long the last frame may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);
/// The last frame of each direction: a ping with a sequence number that no other has.
const LAST_PING: u16 = 0xdead;

/// What was sent and what became of it.
pub(crate) struct Round {
    pub(crate) enforce: bool,
    /// Frames that were sent, without the last ping of each direction.
    pub(crate) sent: usize,
    /// By kind: frames sent, and those that arrived where they were to.
    pub(crate) tally: BTreeMap<Kind, Tally>,
    /// What the agent says.
    pub(crate) stats: Stats,
    /// How many it has blocked.
    pub(crate) blocks: usize,
    /// The lines it printed.
    pub(crate) findings: Vec<String>,
}

/// Frames of one kind.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) sent: usize,
    pub(crate) arrived: usize,
}

/// Plays the traffic through the gateway.
pub(crate) fn play(lab: &Lab, traffic: &Traffic, enforce: bool) -> Result<Round> {
    let mut config = NamedTempFile::new()?;
    config.write_all(CONFIG.as_bytes())?;
    let config = config.path().to_string_lossy();
    let mut arguments = vec!["--wan", WAN, "--lan", LAN, "--mode", "native"];
    arguments.extend(["--config", &config]);
    if enforce {
        arguments.push("--enforce");
    }
    let agent = Agent::start(&lab.gateway, &arguments)?;

    wait_until("the router to be protected", ARRIVAL, || {
        let list = agent.answer(&["protect", "list"])?;
        Ok(list.to_string().contains(&OUTSIDE.ipv4.to_string()))
    })?;

    let mut tally = BTreeMap::new();
    let (inbound, outbound) = thread::scope(|scope| {
        let inbound = scope.spawn(|| {
            let far = lab.host.receiver(ETH0)?;
            let near = lab.gateway.receiver(WAN)?;
            let last = benign::ping(&Lab::inbound(), LAST_PING).build();
            direction(
                &lab.outside.sender(ETH0)?,
                &traffic.inbound,
                &last,
                &near,
                &far,
            )
        });
        let outbound = scope.spawn(|| {
            let far = lab.outside.receiver(ETH0)?;
            let near = lab.gateway.receiver(LAN)?;
            let last = benign::ping(&Lab::outbound(), LAST_PING).build();
            direction(
                &lab.infected.sender(ETH0)?,
                &traffic.outbound,
                &last,
                &near,
                &far,
            )
        });
        (inbound.join(), outbound.join())
    });
    for (result, name) in [(inbound, "inbound"), (outbound, "outbound")] {
        let counted = result
            .map_err(|_| anyhow::anyhow!("a thread panicked"))?
            .with_context(|| format!("the {name} traffic"))?;
        for (kind, part) in counted {
            let sum: &mut Tally = tally.entry(kind).or_default();
            sum.sent += part.sent;
            sum.arrived += part.arrived;
        }
    }
    let stats = agent.stats()?;
    let blocks = agent.answer(&["block", "list"])?;
    let blocks = blocks["blocks"].as_array().context("no list of blocks")?;
    let findings = agent.findings();
    agent.stop()?;
    Ok(Round {
        enforce,
        sent: traffic.inbound.len() + traffic.outbound.len(),
        tally,
        stats,
        blocks: blocks.len(),
        findings,
    })
}

/// Sends the frames of one direction, and counts by kind those that arrive at their far end, or at the gateway where that
/// is where they end.
fn direction(
    sender: &Sender,
    frames: &[Planned],
    last: &[u8],
    near: &Receiver,
    far: &Receiver,
) -> Result<BTreeMap<Kind, Tally>> {
    let started = Instant::now();
    for planned in frames {
        thread::sleep(planned.at.saturating_sub(started.elapsed()));
        sender.send(&planned.frame)?;
    }
    sender.send(last)?;

    let mut tally: BTreeMap<Kind, Tally> = BTreeMap::new();
    let mut at_far: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for frame in far.frames_before(ARRIVAL, is_last)? {
        *at_far.entry(comparable(&frame)).or_default() += 1;
    }
    let mut at_near: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for frame in near.frames_before(ARRIVAL, is_last)? {
        *at_near.entry(frame).or_default() += 1;
    }
    for planned in frames {
        let part = tally.entry(planned.kind.clone()).or_default();
        part.sent += 1;
        let left = match planned.kind {
            Kind::Worm(_) | Kind::Forged | Kind::Ordinary => {
                at_far.get_mut(&comparable(&planned.frame))
            }
            // What is looked for is not there, so the way ends at the gateway.
            Kind::Storm | Kind::Sweep | Kind::Scan | Kind::OrdinaryArp | Kind::Captured => {
                at_near.get_mut(&planned.frame)
            }
        };
        if let Some(left @ 1..) = left {
            *left -= 1;
            part.arrived += 1;
        }
    }
    Ok(tally)
}

impl Round {
    /// Whether it is known what should become of every frame.
    pub(crate) fn knows_its_traffic(&self) -> bool {
        !self.tally.contains_key(&Kind::Captured)
    }

    /// How often the signatures of this kind matched, and how many of those packets were dropped.
    pub(crate) fn matches(&self, kind: &Kind) -> (u64, u64) {
        let signatures = self.stats.signatures.iter();
        signatures
            .filter(|signature| matches!(kind, Kind::Worm(name) if *name == Kind::group(&signature.name)))
            .fold((0, 0), |(packets, dropped), signature| {
                let forged = if signature.name == FORGED_WORM {
                    self.spared()
                } else {
                    0
                };
                (packets + signature.packets - forged, dropped + signature.dropped)
            })
    }

    /// Packets that passed because their source is protected.
    pub(crate) fn spared(&self) -> u64 {
        self.stats.table.protected_spared
    }

    /// ARP requests above a limit, and how many of those were dropped.
    pub(crate) fn storm(&self) -> (u64, u64) {
        let flagged = self
            .stats
            .counters
            .iter()
            .filter(|counter| counter.reason.starts_with("arp_flood"));
        sum(flagged)
    }

    /// Packets that look for victims, from inside, and how many of those were dropped.
    pub(crate) fn hunt(&self, kind: &Kind) -> (u64, u64) {
        let reason = if *kind == Kind::Sweep {
            Reason::ArpSweep
        } else {
            Reason::Scan
        };
        let counters = self.stats.counters.iter();
        let flagged =
            counters.filter(|counter| counter.reason == reason.name() && counter.interface == LAN);
        sum(flagged)
    }

    /// Frames the agent has counted.
    pub(crate) fn counted(&self) -> u64 {
        self.stats
            .interfaces
            .iter()
            .map(|interface| interface.packets)
            .sum()
    }

    /// Checks every number; of a capture, that each frame was counted.
    pub(crate) fn check(&self) -> Result<()> {
        let sent = self.sent as u64 + 2;
        let counted = self.counted();
        ensure!(
            counted == sent,
            "{sent} frames were sent and the agent counted {counted}"
        );
        for (kind, tally) in &self.tally {
            self.check_kind(kind, tally.sent as u64, tally.arrived as u64)?;
        }
        Ok(())
    }

    fn check_kind(&self, kind: &Kind, sent: u64, arrived: u64) -> Result<()> {
        match kind {
            Kind::Worm(_) => {
                let (found, dropped) = self.matches(kind);
                let expected = if self.enforce { sent } else { 0 };
                ensure!(
                    found == sent && dropped == expected && arrived + dropped == sent,
                    "{kind}: {sent} packets were sent, {found} found, {dropped} dropped, {arrived} arrived"
                );
            }
            Kind::Forged => ensure!(
                self.spared() == sent && arrived == sent && self.blocks == 0,
                "{kind}: {sent} packets were sent, {} spared, {arrived} arrived; {} are blocked",
                self.spared(),
                self.blocks
            ),
            Kind::Storm => {
                let (flagged, dropped) = self.storm();
                let expected = if self.enforce { flagged } else { 0 };
                ensure!(
                    flagged > 0 && dropped == expected && arrived + dropped == sent,
                    "{kind}: of {sent} requests {flagged} were over the limit, {dropped} dropped, {arrived} arrived"
                );
            }
            Kind::Sweep | Kind::Scan => {
                let (found, dropped) = self.hunt(kind);
                let told = self.findings.iter().any(|line| {
                    line.contains(&INFECTED.ipv4.to_string()) && line.contains(hunter(kind))
                });
                ensure!(
                    told && found > 0 && dropped == 0 && arrived == sent,
                    "{kind}: {sent} packets were sent, {found} found, {dropped} dropped, {arrived} arrived; its host was{} named",
                    if told { "" } else { " not" }
                );
            }
            Kind::Ordinary | Kind::OrdinaryArp => ensure!(
                arrived == sent,
                "{kind}: {sent} frames were sent and {arrived} arrived"
            ),
            Kind::Captured => {}
        }
        Ok(())
    }
}

/// How the host that looks for victims is named.
fn hunter(kind: &Kind) -> &'static str {
    if *kind == Kind::Sweep {
        "arp_sweep"
    } else {
        "a host of ours is infected: scan"
    }
}

/// Packets, and those that were dropped.
fn sum<'s>(counters: impl Iterator<Item = &'s ReasonStats>) -> (u64, u64) {
    counters.fold((0, 0), |(packets, dropped), counter| {
        let is_drop = counter.verdict == Verdict::DROP.name();
        (
            packets + counter.packets,
            dropped + if is_drop { counter.packets } else { 0 },
        )
    })
}

fn is_last(frame: &[u8]) -> bool {
    // An echo request behind an IPv4 header without options: its sequence number.
    frame.get(12..14) == Some(&[8, 0])
        && frame.get(23) == Some(&1)
        && frame.get(34) == Some(&8)
        && frame.get(40..42) == Some(&LAST_PING.to_be_bytes())
}

/// What of an IPv4 packet a router leaves as it is.
fn comparable(frame: &[u8]) -> Vec<u8> {
    let mut packet = frame.get(14..).unwrap_or_default().to_vec();
    // Time to live and header checksum.
    for at in [8, 10, 11] {
        if let Some(byte) = packet.get_mut(at) {
            *byte = 0;
        }
    }
    packet
}
