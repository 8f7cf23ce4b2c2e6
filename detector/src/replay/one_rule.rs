//! One rule over a capture: which packets it matches, and how far the others come.
//!
//! Each [step](crate::rules::steps) of the rule has a classifier of its own, with tables that were compiled as those of all rules
//! are; the last is the rule itself. Detectors besides `signature` are off: they would say nothing of it.

use std::{
    net::{IpAddr, Ipv6Addr},
    path::Path,
};

use bytemuck::Zeroable as _;
use detector_common::{
    abi::Tally,
    config::{Config, Policy},
    detect::Detector,
    net::IpAddress,
    packet,
    parse::{Ip, Protocol},
    pipeline::parsed::Parsed,
    reason::Reason,
};
use serde::Serialize;

use super::{
    capture::{CaptureError, CaptureReader, Frame},
    progress::Bar,
    runtime::Replay,
};
use crate::{
    output::{FileName, Time},
    rules::{Problem, Rule, Step, Variables, steps},
    tables::{HashSeed, Tables},
};

/// The most packets that are told of a capture.
pub const MATCHES_MAX: usize = 100_000;
/// How many frames are classified before progress is looked at.
const FRAMES_PER_LOOK: u64 = 1 << 13;

/// What a rule does in a capture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleReport {
    /// The capture, fit for a terminal.
    pub file: FileName,
    /// Why it was not read to its end; `null` if it was.
    pub error: Option<String>,
    /// Packets in it.
    pub packets: u64,
    /// Packets that match.
    pub matched: u64,
    /// Packets of which something was left undecided, because the work for one packet is bounded.
    pub undecided: u64,
    /// Those that match, in order, at most [`MATCHES_MAX`].
    pub matches: Vec<Match>,
    /// How far packets come: what the rule asks, one thing after the other.
    pub steps: Vec<Passed>,
}

/// A packet that matches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Match {
    /// Its number in the capture, from 1, as other tools count.
    pub packet: u64,
    /// When it was captured.
    pub time: Time,
    /// `tcp`, `udp`, `icmp` or `icmpv6`.
    pub protocol: &'static str,
    /// Who sent it.
    pub source: IpAddr,
    /// From which port; `null` where there are none.
    pub source_port: Option<u16>,
    /// To whom.
    pub destination: IpAddr,
    /// To which port.
    pub destination_port: Option<u16>,
}

/// How many packets one step of the rule lets through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Passed {
    /// What it asks besides what those before it ask.
    pub asks: String,
    /// How many packets get past it.
    pub packets: u64,
    /// The number of the first of them.
    pub first: Option<u64>,
}

/// Runs a rule over the capture at `path`. Of a broken one, what stands before the damage.
///
/// Fails if it cannot be opened. The inner result fails if the rule cannot be compiled.
pub fn replay_rule(
    path: &Path,
    rule: &Rule,
    variables: &Variables,
) -> Result<Result<RuleReport, Problem>, CaptureError> {
    let mut reader = CaptureReader::open(path)?;
    let steps = steps(rule);
    let tables: Result<Vec<_>, _> = steps.iter().map(|step| tables(step, variables)).collect();
    let tables = match tables {
        Ok(tables) => tables,
        Err(problem) => return Ok(Err(problem)),
    };
    let bar = Bar::of(&reader);
    let mut run = Run {
        replays: tables.iter().map(Replay::new).collect(),
        passed: steps.into_iter().map(Passed::by).collect(),
        matches: Vec::new(),
    };
    let error = loop {
        let number = reader.packets() + 1;
        match reader.next_frame() {
            Ok(Some(frame)) => run.take(number, &frame),
            Ok(None) => break None,
            Err(error) => break Some(error.to_string()),
        }
        if number.is_multiple_of(FRAMES_PER_LOOK) {
            bar.show(&reader);
        }
    };
    let undecided = run.replays.last().map(|replay| {
        let cut_short = replay
            .tallies()
            .filter(|(tally, _)| *tally == Tally::RulesCutShort);
        cut_short.map(|(_, count)| count).sum()
    });
    Ok(Ok(RuleReport {
        file: reader.file().clone(),
        error,
        packets: reader.packets(),
        matched: run
            .passed
            .last()
            .map(|last| last.packets)
            .unwrap_or_default(),
        undecided: undecided.unwrap_or_default(),
        matches: run.matches,
        steps: run.passed,
    }))
}

/// The tables of one step. It is counted and not reported: nobody listens, and what is kept for a report takes room.
fn tables(step: &Step, variables: &Variables) -> Result<Tables, Problem> {
    let mut config = Config::DEFAULT;
    for detector in Detector::ALL {
        config = config.with_policy(detector, Policy::Off);
    }
    let config = config.with_policy(Detector::Signature, Policy::Count);
    let rules = std::slice::from_ref(&step.rule);
    let tables = Tables::new(config, HashSeed::FIXED, rules, variables);
    match tables.refused.first() {
        Some((_, problem)) => Err(problem.clone()),
        None => Ok(tables),
    }
}

/// A classifier for each step, and what got past it.
struct Run<'t> {
    replays: Vec<Replay<'t>>,
    passed: Vec<Passed>,
    matches: Vec<Match>,
}

impl Run<'_> {
    fn take(&mut self, number: u64, frame: &Frame<'_>) {
        let captured = packet::Frame::captured(frame.bytes, frame.wire_len);
        let mut is_whole = false;
        for (index, (replay, passed)) in self.replays.iter_mut().zip(&mut self.passed).enumerate() {
            let decision = replay.classify(&captured, frame.interface, frame.timestamp_ns);
            is_whole = decision.reason == Reason::Signature || replay.decided() > 0;
            if is_whole {
                passed.packets += 1;
                passed.first.get_or_insert(number);
            } else if index == 0 {
                // It is nothing to the others either.
                return;
            }
        }
        if is_whole && self.matches.len() < MATCHES_MAX {
            let mut parsed = Parsed::zeroed();
            parsed.read(&captured, frame.timestamp_ns);
            let ip = parsed.headers().ip();
            self.matches
                .push(Match::of(number, Time(frame.timestamp_ns), &ip));
        }
    }
}

impl Match {
    fn of(packet: u64, time: Time, ip: &Ip) -> Self {
        let transport = &ip.transport;
        let has_ports = matches!(transport.protocol, Protocol::Tcp | Protocol::Udp);
        let address =
            |address: IpAddress| -> IpAddr { Ipv6Addr::from(address.octets()).to_canonical() };
        Self {
            packet,
            time,
            protocol: match transport.protocol {
                Protocol::Tcp => "tcp",
                Protocol::Udp => "udp",
                Protocol::Icmp => "icmp",
                Protocol::Icmpv6 => "icmpv6",
            },
            source: address(ip.source),
            source_port: has_ports.then(|| transport.source_port()),
            destination: address(ip.destination),
            destination_port: has_ports.then(|| transport.destination_port()),
        }
    }
}

impl Passed {
    /// What got past a step so far: nothing.
    fn by(step: Step) -> Self {
        Self {
            asks: step.asks,
            packets: 0,
            first: None,
        }
    }
}
