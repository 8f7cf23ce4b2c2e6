//! Packets per second through a cable (a veth pair) between two private hosts: everything included that a packet meets.
//!
//! The generator is `BPF_PROG_TEST_RUN` with live frames, which it hands to the cable's driver; the receiving side works
//! them off on the same CPU before the generator goes on. So nothing is lost however dear the receiver is, and what a packet
//! costs is this CPU's time for all of it: one core's rate, generator included. What the receivers are given alike, the
//! generator and the cable, shows in the row of the empty program. Each receiver's own counter has to account for every
//! packet, or there is no figure.

#[path = "veth/filters.rs"]
mod filters;
#[path = "veth/suricata.rs"]
mod suricata;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use detector_common::verdict::Verdict;
use detector_tests::{
    cpu,
    lab::{ETH0, Generator, Pair, run_live, wait_until},
    worms::{self, benign},
};
use serde::Serialize;

use crate::{
    clock::{cpu_time, nanoseconds_each, on_first_cpu},
    packets::arp_request,
    programs::Floor,
    statistic::Spread,
};

const ROUNDS: u32 = 7;
/// Packets of one measurement: less than Suricata has room for.
const PACKETS: u32 = 50_000;
/// How many of [`PACKETS`] a receiver may have seen otherwise: what its limits let through, or other packets of the host.
const TOLERATED: u32 = PACKETS / 500;
/// How long the last of them may take.
const WITHIN: Duration = Duration::from_secs(10);

/// What was measured.
#[derive(Serialize)]
pub(crate) struct Veth {
    pub(crate) rounds: u32,
    pub(crate) packets: u32,
    /// The generator alone: frames that end before the cable.
    pub(crate) generator_packets_per_second: Spread,
    /// The kinds of packets, in the order of [`Row::cells`].
    pub(crate) kinds: Vec<&'static str>,
    pub(crate) rows: Vec<Row>,
}

/// One receiver.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) receiver: &'static str,
    /// How it was set up.
    pub(crate) setup: &'static str,
    pub(crate) cells: Vec<Cell>,
}

/// What it does with one kind of packet.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cell {
    PacketsPerSecond(Spread),
    /// Why there is no figure.
    Missing(String),
}

/// One kind of packet.
struct Kind {
    name: &'static str,
    frame: Vec<u8>,
    /// Whether it is to be dropped, or to end at the sink that all receivers have.
    verdict: Verdict,
}

/// One end of a cable, with what is measured there.
trait Receiver {
    /// The hosts; packets come from the client.
    fn pair(&self, kind: &Kind) -> &Pair;

    /// How many packets of the kind met their end here, by the receiver's own counter.
    fn handled(&self, kind: &Kind) -> Result<u64>;

    /// Why it cannot do this kind's work.
    fn unable(&self, _: &Kind) -> Option<&'static str> {
        None
    }

    /// CPU time of programs of its own, once they have nothing left to do.
    fn cpu_time(&self) -> Result<Duration> {
        Ok(Duration::ZERO)
    }
}

/// How a receiver is made.
type Start = fn() -> Result<Box<dyn Receiver>>;

const RECEIVERS: &[(&str, &str, Start)] = &[
    (
        "empty program",
        "XDP_DROP, or XDP_PASS to the sink: the limit",
        filters::empty,
    ),
    (
        "detector",
        "`detector run --enforce`, every default",
        filters::detector,
    ),
    (
        "xdp-filter",
        "all features; drops port 80 and the ARP sender whole",
        filters::xdp_filter,
    ),
    (
        "nftables",
        "netdev ingress: 30 bytes of raw payload; ARP limit over all senders",
        filters::nftables,
    ),
    (
        "iptables",
        "raw table, -m string --algo bm to port 80",
        filters::iptables,
    ),
    (
        "Suricata",
        "AF_PACKET inline between two cables, one rule; its own CPU time added",
        suricata::suricata,
    ),
];

/// Measures every receiver with every kind of packet.
pub(crate) fn measure() -> Result<Veth> {
    let kinds = kinds();
    // They start processes, which must not be kept on the CPU that is measured.
    let receivers: Vec<_> = RECEIVERS.iter().map(|(.., start)| start()).collect();
    let mut samples = vec![vec![Ok(Vec::new()); kinds.len()]; receivers.len()];
    let mut alone = Vec::new();
    let floor = Floor::load(0)?;
    for _ in 0..ROUNDS {
        let empty = floor.of(Verdict::DROP)?;
        let frame = &kinds.first().context("there is no packet")?.frame;
        alone.push(1e9 / on_first_cpu(|| generate(|| run_live(empty, frame, PACKETS)))?);
        for (receiver, samples) in receivers.iter().zip(&mut samples) {
            for (kind, samples) in kinds.iter().zip(samples) {
                let Ok(rates) = samples else { continue };
                let measured = receiver.as_ref().map_err(in_one_line).and_then(|receiver| {
                    match receiver.unable(kind) {
                        Some(why) => Err(why.to_owned()),
                        None => cost(&**receiver, kind).map_err(|error| in_one_line(&error)),
                    }
                });
                match measured {
                    Ok(ns) => rates.push(1e9 / ns),
                    Err(why) => *samples = Err(why),
                }
            }
        }
    }
    let cell = |samples: Result<Vec<f64>, String>| match samples {
        Ok(rates) => Cell::PacketsPerSecond(Spread::of(rates)),
        Err(why) => Cell::Missing(why),
    };
    Ok(Veth {
        rounds: ROUNDS,
        packets: PACKETS,
        generator_packets_per_second: Spread::of(alone),
        kinds: kinds.iter().map(|kind| kind.name).collect(),
        rows: RECEIVERS
            .iter()
            .zip(samples)
            .map(|(&(receiver, setup, _), samples)| Row {
                receiver,
                setup,
                cells: samples.into_iter().map(cell).collect(),
            })
            .collect(),
    })
}

/// An error, also one that quotes what another program has written, as far as it says what is wrong.
fn in_one_line(error: &anyhow::Error) -> String {
    const LONGEST: usize = 200;
    let words: Vec<String> = format!("{error:#}")
        .split(|letter: char| letter.is_whitespace() || letter.is_control())
        .map(str::to_owned)
        .collect();
    words.join(" ").chars().take(LONGEST).collect()
}

fn kinds() -> Vec<Kind> {
    let route = Pair::route();
    vec![
        Kind {
            name: "ARP flood, 60 B, limited",
            frame: arp_request(&route).build(),
            verdict: Verdict::DROP,
        },
        Kind {
            name: "Code Red, 1514 B, dropped",
            frame: worms::code_red(&route).build(),
            verdict: Verdict::DROP,
        },
        Kind {
            name: "HTTP response, 1514 B, passed",
            frame: benign::http_response(&route).build(),
            verdict: Verdict::PASS,
        },
    ]
}

/// What a packet costs on its way from the generator to its end, in nanoseconds of CPU time.
fn cost(receiver: &dyn Receiver, kind: &Kind) -> Result<f64> {
    let client = &receiver.pair(kind).client;
    let before = (receiver.handled(kind)?, receiver.cpu_time()?);
    let generated = client.run(|| {
        let generator = Generator::new(ETH0)?;
        // The namespace is the thread's, and so is the CPU.
        cpu::hold(cpu::first()?)?;
        generate(|| generator.send(&kind.frame, PACKETS))
    })??;
    // Before anything is asked: some receivers' answers cost more than the packets.
    let own = receiver.cpu_time()?.saturating_sub(before.1);
    let expected = u64::from(PACKETS - TOLERATED);
    let mut handled = 0;
    let waited = wait_until("the receiver to count every packet", WITHIN, || {
        handled = receiver.handled(kind)?.saturating_sub(before.0);
        Ok(handled >= expected)
    });
    waited.with_context(|| format!("void: {handled} of {PACKETS} packets were counted"))?;
    ensure!(
        handled <= u64::from(PACKETS + TOLERATED),
        "void: {handled} packets were counted, and {PACKETS} were sent"
    );
    Ok(generated + nanoseconds_each(own, PACKETS))
}

/// What one of so many packets costs that `send` sends, in nanoseconds.
fn generate(send: impl FnOnce() -> Result<()>) -> Result<f64> {
    let (time, ()) = cpu_time(send)?;
    Ok(nanoseconds_each(time, PACKETS))
}
