//! The kernel program against the same classifier on the host: more than 200,000 generated and mutated packets and every
//! packet of the public captures, equal in verdict, counters, signature hits, sources, segments, tallies and events.
//!
//! How the two are kept at the same time is [`Lockstep`]'s matter. Another seed than the usual one is given by
//! `DETECTOR_TEST_SEED`. Needs root; nothing is attached to an interface.

use std::{collections::BTreeSet, env, fs, iter::repeat_n, path::Path};

use anyhow::{Context as _, Result, ensure};
use detector::{
    replay::capture::CaptureReader,
    tables::{HashSeed, Tables},
};
use detector_common::{
    abi::Tally,
    config::{Config, Mode, Policy},
    detect::signature::worms::SIGNATURES,
    reason::Reason,
    token_bucket::Limit,
};
use detector_tests::{
    builder::{Arp, PacketBuilder, Route},
    fixtures::{HTTP_PORTS, UNREACHABLE},
    generate::{Dice, Kitchen, Recipe},
    kernel::{FRAME_MAX, FRAME_MIN},
    oracle::{Lockstep, Packet, State},
    requirements::{captures_or_skip, kernel_or_skip},
};

const INTERFACES: u32 = 2;
/// Packets between two comparisons: what runs in a small part of a tick.
const BATCH: usize = 256;
/// Senders of ARP requests, half as many as there is room for: some sets are full.
const SENDERS: u16 = 4096;
const SEED: u64 = 0xde7e_c705_0000_0002;

#[test]
fn enforcing_150000_packets_are_the_same_in_kernel_and_host() -> Result<()> {
    let name = "enforcing_150000_packets_are_the_same_in_kernel_and_host";
    let policies = (Policy::Drop, Policy::Limit);
    let Some(state) = generated(name, Mode::Enforce, policies, 150_000)? else {
        return Ok(());
    };
    // The packets were worth comparing: they led everywhere that a frame of this length leads.
    let reached: BTreeSet<_> = state
        .counted()
        .keys()
        .map(|(_, reason, _)| *reason)
        .collect();
    let unreachable = UNREACHABLE.map(|(reason, _)| reason);
    for reason in Reason::ALL {
        let excused = unreachable.contains(reason) || *reason == Reason::EthernetTruncated;
        assert!(
            reached.contains(reason) || excused,
            "no packet led to {}",
            reason.name()
        );
    }
    for tally in [Tally::EventsSent, Tally::SourcesDisplaced] {
        assert!(state.tally(tally) > 0, "no packet led to {}", tally.name());
    }
    for (row, signature) in SIGNATURES.iter().enumerate() {
        let packets = state.signature_hits[row].packets;
        assert!(packets > 0, "no packet showed {}", signature.name);
    }
    Ok(())
}

#[test]
fn senders_that_fill_their_half_of_the_table_are_the_same_in_kernel_and_host() -> Result<()> {
    let name = "senders_that_fill_their_half_of_the_table_are_the_same_in_kernel_and_host";
    if !kernel_or_skip(name) {
        return Ok(());
    }
    let tables = tables(Mode::Enforce, (Policy::Drop, Policy::Limit))?;
    let mut lockstep = Lockstep::new(&tables, INTERFACES)?;
    // Each sender offends within its batch; the later ones find sets that are full of offenders.
    let requests = (0..SENDERS).flat_map(|sender| {
        let [high, low] = sender.to_be_bytes();
        let route = Route::default();
        let request = Arp::request([2, 0, 0, 0, high, low], route.src_ip, route.dst_ip);
        let packet = Packet {
            slot: 0,
            frame: PacketBuilder::new().arp(request).pad_to(60).build(),
            origin: format!("a request of sender {sender}"),
        };
        repeat_n(packet, 8)
    });
    let requests: Vec<_> = requests.collect();
    for batch in requests.chunks(BATCH) {
        lockstep.run(batch)?;
    }
    let refused = lockstep.state().tally(Tally::SourcesRefused);
    assert!(refused > 0, "no sender was refused");
    Ok(())
}

#[test]
fn monitoring_50000_packets_are_the_same_in_kernel_and_host() -> Result<()> {
    let name = "monitoring_50000_packets_are_the_same_in_kernel_and_host";
    generated(name, Mode::Monitor, (Policy::Alert, Policy::Drop), 50_000).map(drop)
}

#[test]
fn counting_and_off_25000_packets_are_the_same_in_kernel_and_host() -> Result<()> {
    let name = "counting_and_off_25000_packets_are_the_same_in_kernel_and_host";
    generated(name, Mode::Enforce, (Policy::Count, Policy::Count), 20_000)?;
    generated(name, Mode::Enforce, (Policy::Off, Policy::Limit), 2_500)?;
    generated(name, Mode::Enforce, (Policy::Drop, Policy::Off), 2_500).map(drop)
}

#[test]
fn every_packet_of_the_captures_is_the_same_in_kernel_and_host() -> Result<()> {
    let name = "every_packet_of_the_captures_is_the_same_in_kernel_and_host";
    let Some(folder) = captures_or_skip(name) else {
        return Ok(());
    };
    if !kernel_or_skip(name) {
        return Ok(());
    }
    let tables = tables(Mode::Enforce, (Policy::Drop, Policy::Limit))?;
    let mut lockstep = Lockstep::new(&tables, INTERFACES)?;
    let mut files: Vec<_> = fs::read_dir(&folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.sort();
    let (mut batch, mut unfit) = (Vec::new(), 0);
    for file in files.iter().filter(|file| is_capture(file)) {
        unfit += read(file, &mut batch)?;
        while batch.len() >= BATCH {
            let rest = batch.split_off(BATCH);
            lockstep.run(&batch)?;
            batch = rest;
        }
    }
    lockstep.run(&batch)?;
    println!(
        "{} packets of captures, {unfit} too short or too long for a test run",
        lockstep.packets
    );
    ensure!(
        lockstep.packets > 10_000,
        "only {} packets",
        lockstep.packets
    );
    Ok(())
}

/// Runs generated packets; `None` if there is no kernel to run them in.
fn generated(
    test: &str,
    mode: Mode,
    policies: (Policy, Policy),
    packets: usize,
) -> Result<Option<State>> {
    if !kernel_or_skip(test) {
        return Ok(None);
    }
    let seed = match env::var("DETECTOR_TEST_SEED") {
        Ok(seed) => seed.parse().context("DETECTOR_TEST_SEED is not a number")?,
        Err(_) => SEED,
    };
    let tables = tables(mode, policies)?;
    let mut lockstep = Lockstep::new(&tables, INTERFACES)?;
    let mut dice = Dice::new(seed);
    let kitchen = Kitchen::new();
    while lockstep.packets < packets {
        let batch: Vec<_> = (0..BATCH).map(|_| cook(&kitchen, &mut dice)).collect();
        lockstep
            .run(&batch)
            .with_context(|| format!("{mode:?} {policies:?}, DETECTOR_TEST_SEED={seed}"))?;
    }
    println!(
        "{} packets, {} batches taken back because the tick moved on",
        lockstep.packets, lockstep.taken_back
    );
    Ok(Some(lockstep.state().clone()))
}

/// A packet that is long enough.
fn cook(kitchen: &Kitchen, dice: &mut Dice) -> Packet {
    loop {
        let recipe = Recipe::roll(dice);
        let frame = kitchen.make(&recipe, FRAME_MAX);
        if frame.len() >= FRAME_MIN {
            return Packet {
                slot: u32::from(dice.one_in(2)),
                frame,
                origin: format!("{recipe:?}"),
            };
        }
    }
}

/// Tables whose limits are met and left again within the run, which lasts some seconds.
fn tables(mode: Mode, (signature, arp_flood): (Policy, Policy)) -> Result<Tables> {
    let mut config = Config::DEFAULT
        .with_mode(mode)
        .with_policies(signature, arp_flood);
    config.arp_sender = Limit::new(40, 5);
    config.arp_segment = Limit::new(300, 20);
    config.report_interval_ns = 20_000_000;
    Ok(Tables::new(config, HashSeed::FIXED, &HTTP_PORTS)?)
}

fn is_capture(file: &Path) -> bool {
    file.extension()
        .is_some_and(|extension| extension == "pcap" || extension == "pcapng")
}

/// Adds the packets of a capture to `batch`; says how many do not fit into a test run.
fn read(file: &Path, batch: &mut Vec<Packet>) -> Result<usize> {
    let mut reader = CaptureReader::open(file)?;
    let (mut number, mut unfit) = (0, 0);
    // A capture that is broken, or whose link type is not read, is compared up to there.
    while let Ok(Some(captured)) = reader.next_frame() {
        number += 1;
        if (FRAME_MIN..=FRAME_MAX).contains(&captured.bytes.len()) {
            batch.push(Packet {
                slot: captured.interface % INTERFACES,
                frame: captured.bytes.to_vec(),
                origin: format!("packet {number} of {}", file.display()),
            });
        } else {
            unfit += 1;
        }
    }
    Ok(unfit)
}
