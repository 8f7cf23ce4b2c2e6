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

/// Packets of the capture: ordinary ones of every kind, and one of a worm in ten.
const PACKETS: u32 = 500_000;
/// Packets per second that it should do at least.
const GOAL: f64 = 2e6;
/// Each round takes a fraction of a second.
const ROUNDS_MAX: u32 = 9;

/// Measures it and prints it beside its goal.
pub(crate) fn measure(rounds: u32) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("mixed.pcap");
    let packets = frames().into_iter().cycle().take(PACKETS as usize);
    let capture = pcap(Link::Ethernet, evenly(packets, Duration::from_micros(20)))?;
    fs::write(&file, &capture)?;

    let rounds = rounds.min(ROUNDS_MAX);
    let mut speeds = Vec::new();
    for _ in 0..rounds {
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
    speeds.sort_by(f64::total_cmp);
    let speed = speeds.get(speeds.len() / 2).copied().unwrap_or_default();
    println!(
        "replay: {:.1} million packets/s, goal {:.1}; {PACKETS} packets, {} MB in the page cache, one thread, median of {rounds}",
        speed / 1e6,
        GOAL / 1e6,
        capture.len() >> 20,
    );
    Ok(())
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
