//! A long comparison of kernel and host: packets of a seed, under every configuration in turn.
//!
//! The packets are made on another thread, so that the one that runs them loses no time. The maps are not emptied between
//! configurations, so that each begins with what the others left behind.

use std::{
    ops::ControlFlow,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use anyhow::{Context as _, Result};
use detector::tables::{HashSeed, Tables};
use detector_common::{
    config::{Config, Mode, Policy},
    detect::{
        Detector,
        arp_sweep::{self, LONG_BITS, SHORT_BITS},
        scan,
    },
    token_bucket::Limit,
    window::Threshold,
};

use super::{Lockstep, Packets, State};
use crate::{
    fixtures::HTTP_PORTS,
    generate::{Dice, Stream},
    kernel::{FRAME_MAX, FRAME_MIN},
};

/// Interfaces that packets come in by.
pub const INTERFACES: u32 = 2;
/// The most packets under one configuration.
const TURN: u64 = 1 << 20;
/// Packets that are handed over at once.
const LOAD: usize = 1024;
/// More bytes than packets have in the mean.
const MEAN_LEN: usize = 512;
/// So often packets are made ahead.
const LOADS: usize = 4;
/// Modes and policies: of signatures, then of ARP floods. The first has the widest choice of ways for a packet to go.
const CONFIGURATIONS: [(Mode, Policy, Policy); 6] = [
    (Mode::Enforce, Policy::Drop, Policy::Limit),
    (Mode::Monitor, Policy::Alert, Policy::Drop),
    (Mode::Enforce, Policy::Drop, Policy::Limit),
    (Mode::Enforce, Policy::Count, Policy::Count),
    (Mode::Enforce, Policy::Off, Policy::Limit),
    (Mode::Enforce, Policy::Drop, Policy::Off),
];

/// What a campaign came to.
pub struct Outcome {
    /// Packets that were the same.
    pub packets: u64,
    /// Batches during which the clock ticked, and those of them because of which packets were run again.
    pub ticked: (u64, u64),
    /// What both hold in the end.
    pub state: State,
}

/// The tables of each configuration, with limits that are met and left again within seconds.
pub fn configurations() -> Result<Vec<Tables>> {
    let tables = |&(mode, signature, arp_flood)| {
        let mut config = Config::DEFAULT
            .with_mode(mode)
            .with_policy(Detector::Signature, signature)
            .with_policy(Detector::ArpFlood, arp_flood)
            .with_policy(Detector::ArpSweep, arp_flood)
            .with_policy(Detector::ArpSpoof, signature)
            .with_policy(Detector::NdFlood, arp_flood)
            .with_policy(Detector::NdSweep, arp_flood)
            .with_policy(Detector::NdSpoof, signature)
            .with_policy(Detector::Scan, signature)
            .with_policy(Detector::UdpSweep, arp_flood)
            .with_policy(Detector::IcmpSweep, signature)
            .with_short_first_fragments(signature)
            .with_lan([1]);
        config.sweep_short = arp_sweep::threshold(6, 200_000_000, SHORT_BITS);
        config.sweep_long = arp_sweep::threshold(20, 2_000_000_000, LONG_BITS);
        let scan = scan::Rule::new(
            Threshold::new(2, 500_000_000),
            Threshold::new(4, 5_000_000_000),
            4_000_000,
            Limit::new(3, 100_000_000),
        );
        (config.scan, config.udp_sweep, config.icmp_sweep) = (scan, scan, scan);
        config.arp_replies = Limit::new(5, 80_000_000);
        config.arp_sender = Limit::new(5, 125_000_000);
        config.arp_segment = Limit::new(20, 66_666_660);
        config.report_interval_ns = 20_000_000;
        Ok(Tables::of_worms(config, HashSeed::FIXED, &HTTP_PORTS))
    };
    CONFIGURATIONS.iter().map(tables).collect()
}

/// Packets without end, made ahead on a thread of their own.
///
/// That thread may run wherever the caller's may: make them before the caller is held on a CPU.
pub struct Supply {
    loads: Receiver<Packets>,
}

impl Supply {
    /// The packets of `seed`, some of them made from `captured` ones.
    #[must_use]
    pub fn of(seed: u64, captured: Vec<Vec<u8>>) -> Self {
        let (sender, loads) = sync_channel(LOADS);
        thread::spawn(move || make(seed, captured, &sender));
        Self { loads }
    }
}

/// Compares kernel and host over `runs` packets.
///
/// Calls `progress` with the number of packets now and then, and ends early where that says so. Fails with a
/// [`super::Difference`] if there is one.
pub fn compare(
    supply: &Supply,
    runs: u64,
    mut progress: impl FnMut(u64) -> ControlFlow<()>,
) -> Result<Outcome> {
    let configurations = configurations()?;
    let turn = (runs / configurations.len() as u64).clamp(1, TURN);
    let first = configurations.first().context("no configuration")?;
    let mut lockstep = Lockstep::new(first, INTERFACES)?;
    let mut turns = configurations.iter().cycle();
    let (mut run, mut end) = (0, 0);
    'runs: while run < runs {
        let load = supply.loads.recv().context("no more packets are made")?;
        for (slot, frame) in load.iter().take(usize::try_from(runs - run)?) {
            if run == end {
                if progress(run).is_break() {
                    break 'runs;
                }
                lockstep.set_tables(turns.next().context("no configuration")?)?;
                end += turn;
            }
            lockstep.push(slot, frame)?;
            run += 1;
        }
    }
    lockstep.settle()?;
    Ok(Outcome {
        packets: lockstep.packets(),
        ticked: lockstep.ticked(),
        state: lockstep.state().clone(),
    })
}

/// Makes packets until nobody wants any more.
fn make(seed: u64, captured: Vec<Vec<u8>>, loads: &SyncSender<Packets>) {
    let mut dice = Dice::new(seed);
    let mut stream = Stream::new(dice.roll(), captured, FRAME_MAX);
    loop {
        let mut load = Packets::with_capacity(LOAD, LOAD * MEAN_LEN);
        while load.len() < LOAD {
            let frame = stream.next_frame();
            if frame.len() >= FRAME_MIN {
                load.push(u32::from(dice.one_in(2)), frame);
            }
        }
        if loads.send(load).is_err() {
            return;
        }
    }
}
