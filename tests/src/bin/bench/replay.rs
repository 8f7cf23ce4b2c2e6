//! `detector replay` over a capture in the page cache: packets per second of the whole program, from start to exit.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use detector_tests::{
    builder::Route,
    capture::{Link, evenly, pcap},
    command::detector,
    worms::{self, benign},
};
use serde::Serialize;

use crate::statistic::Spread;

/// Packets of the capture: ordinary ones of every kind, and one of a worm in ten.
const PACKETS: u32 = 500_000;
/// Packets per second that it should do at least.
const GOAL: f64 = 2e6;
const ROUNDS: u32 = 9;

/// What was measured.
#[derive(Serialize)]
pub(crate) struct Replay {
    pub(crate) rounds: u32,
    pub(crate) packets: u32,
    pub(crate) bytes: usize,
    pub(crate) packets_per_second: Spread,
    pub(crate) goal: f64,
}

/// Measures it.
pub(crate) fn measure() -> Result<Replay> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("mixed.pcap");
    let packets = frames().into_iter().cycle().take(PACKETS as usize);
    let capture = pcap(Link::Ethernet, evenly(packets, Duration::from_micros(20)))?;
    fs::write(&file, &capture)?;

    let mut speeds = Vec::new();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let ended = detector([
            "replay".as_ref(),
            "-o".as_ref(),
            "json".as_ref(),
            file.as_os_str(),
        ])?;
        let elapsed = started.elapsed();
        let read = ended.json()?["packets"].as_u64();
        ensure!(
            read == Some(PACKETS.into()),
            "replay read {read:?} of {PACKETS} packets"
        );
        speeds.push(f64::from(PACKETS) / elapsed.as_secs_f64());
    }
    Ok(Replay {
        rounds: ROUNDS,
        packets: PACKETS,
        bytes: capture.len(),
        packets_per_second: Spread::of(speeds),
        goal: GOAL,
    })
}

fn frames() -> Vec<Vec<u8>> {
    let route = Route::default();
    let ordinary = (0..36).flat_map(|_| benign::all(&route));
    let mut frames: Vec<_> = ordinary.map(|benign| benign.packet.build()).collect();
    let spacing = frames.len() / worms::all().len();
    for (index, worm) in worms::all().iter().enumerate() {
        frames.insert(index * (spacing + 1), worm.frame(&route));
    }
    frames
}
