//! One program takes another's place through its link, under load, and no packet meets neither.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use anyhow::{Context as _, Result, ensure};
use aya::programs::{Xdp, XdpMode, xdp::XdpLink};
use detector::{
    agent::kernel::KernelError,
    tables::{HashSeed, Tables},
};
use detector_common::config::{Config, Mode};
use detector_tests::{
    kernel::TestKernel,
    lab::{ETH0, Host, Pair, wait_until},
    worms::benign,
};

use super::WITHIN;

/// How often the programs change places.
const TIMES: u32 = 6;

pub(crate) fn check() -> Result<Vec<String>> {
    let pair = Pair::new()?;
    let frame = benign::dns_query(&Pair::route()).build();
    let client = pair.client.sender(ETH0)?;
    let config = Config::DEFAULT.with_mode(Mode::Monitor);
    let tables = Tables::of_worms(config, HashSeed::FIXED, &[80]);
    let mut kernel = TestKernel::load(&tables, 2)?;

    let program = kernel.kernel.program(0)?;
    let link = pair.server.run(|| -> Result<_> {
        let id = program.attach(ETH0, XdpMode::Driver)?;
        Ok(program.take_link(id)?)
    })??;

    let stop = AtomicBool::new(false);
    let (sent, link) = thread::scope(|scope| -> Result<_> {
        let sender = scope.spawn(|| -> Result<u64> {
            let mut sent = 0;
            while !stop.load(Ordering::Relaxed) {
                client.send(&frame)?;
                sent += 1;
            }
            Ok(sent)
        });
        let replaced = replace_under_load(&mut kernel, link);
        stop.store(true, Ordering::Relaxed);
        let sent = sender.join().ok().context("the sender panicked")??;
        Ok((sent, replaced?))
    })?;
    let carried = sent - lost_by_cable(&pair.client)?;
    wait_until("every packet to be counted", WITHIN, || {
        Ok(counted(&kernel)?.iter().sum::<u64>() >= carried)
    })
    .with_context(|| format!("{carried} packets were carried"))?;
    let by_program = counted(&kernel)?;
    ensure!(
        by_program.iter().sum::<u64>() == carried,
        "{carried} packets were carried, {by_program:?} counted"
    );

    drop(link);
    let arrived = pair.server.receiver(ETH0)?;
    client.send(&frame)?;
    let came = arrived.wait_for(1, WITHIN, |one| one == frame)?;
    ensure!(came == 1, "nothing arrives once the program is detached");
    ensure!(
        counted(&kernel)? == by_program,
        "the program still counts once it is detached"
    );
    Ok(Vec::new())
}

/// Changes the programs again and again, each time once the one that is attached has seen packets.
fn replace_under_load(kernel: &mut TestKernel, mut link: XdpLink) -> Result<XdpLink> {
    for time in 0..TIMES {
        let (old, new) = (time % 2, (time + 1) % 2);
        let before = counted(kernel)?;
        wait_until("the attached program to see packets", WITHIN, || {
            Ok(counted(kernel)?[old as usize] > before[old as usize])
        })?;
        let new: &mut Xdp = kernel.kernel.program(new)?;
        let id = new.attach_to_link(link)?;
        link = new.take_link(id)?;
    }
    Ok(link)
}

/// The packets that never reached the other end, because that was busy: a cable holds a few hundred.
fn lost_by_cable(client: &Host) -> Result<u64> {
    let file = format!("/sys/class/net/{ETH0}/statistics/tx_dropped");
    let lost = client.run(|| fs::read_to_string(&file))?;
    Ok(lost
        .with_context(|| format!("cannot read {file}"))?
        .trim()
        .parse()?)
}

/// The packets that each of the two programs has counted.
fn counted(kernel: &TestKernel) -> Result<[u64; 2], KernelError> {
    let mut all = [0; 2];
    for counted in kernel.kernel.maps().counters()? {
        if let Some(packets) = all.get_mut(counted.interface as usize) {
            *packets += counted.packets.iter().map(|one| one.packets).sum::<u64>();
        }
    }
    Ok(all)
}
