//! `cargo xtask fuzz differential`: packets through the kernel program and through the host's, everything compared.
//!
//! A difference is one block of text, and a file of packets that becomes a test.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    panic::resume_unwind,
    path::PathBuf,
    process::ExitCode,
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Error, Result};
use clap::Parser;
use detector_tests::{
    capture::{files_in, frames_of},
    generate::seed_or,
    kernel::hold_cpu,
    oracle::{
        Difference,
        campaign::{self, Outcome, Supply},
    },
    requirements::{captures_folder, require_kernel},
};
use nix::{
    sched::{CpuSet, sched_getaffinity},
    unistd::Pid,
};

/// Where a file of packets becomes a test.
const REGRESSIONS: &str = "tests/regressions/differential";
/// How often it is said how far it is.
const PROGRESS: Duration = Duration::from_secs(10);

/// Compares the kernel program with the same classifier on the host, packet by packet.
///
/// `DETECTOR_TEST_SEED=N` repeats the packets of a run.
#[derive(Parser)]
#[command(name = "cargo xtask fuzz differential")]
struct Arguments {
    /// How many packets
    #[arg(long, default_value_t = 10_000_000)]
    runs: u64,
    /// The folder that the packets of a difference are written to
    #[arg(long, default_value = "target/differential")]
    artifacts: PathBuf,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("differential: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    require_kernel()?;
    let seed = seed_or(RandomState::new().build_hasher().finish())?;
    let captured = captured()?;
    let cpus = allowed_cpus()?;
    let runs = arguments.runs.div_ceil(cpus.len() as u64);
    println!(
        "differential: {runs} packets on each of {} CPUs, {} captured ones among those they are made from, \
         DETECTOR_TEST_SEED={seed}",
        cpus.len(),
        captured.len()
    );
    let started = Instant::now();
    let outcomes = thread::scope(|scope| {
        // Each CPU has packets and maps of its own.
        let campaigns: Vec<_> = (seed..)
            .zip(&cpus)
            .map(|(seed, cpu)| {
                let captured = captured.clone();
                let campaign = move || campaign(seed, captured, *cpu, runs);
                scope.spawn(move || campaign().map_err(|error| (seed, error)))
            })
            .collect();
        let join = |campaign: ScopedJoinHandle<'_, _>| {
            campaign.join().unwrap_or_else(|panic| resume_unwind(panic))
        };
        campaigns.into_iter().map(join).collect::<Vec<_>>()
    });
    let (mut packets, mut ticked, mut unexplained) = (0, 0, 0);
    for outcome in outcomes {
        let outcome = outcome.map_err(|(seed, error)| report(error, seed, arguments))?;
        packets += outcome.packets;
        ticked += outcome.ticked.0;
        unexplained += outcome.ticked.1;
    }
    println!(
        "differential: {packets} packets are the same in kernel and host, {}/s; the clock ticked in {ticked} batches, \
         because of {unexplained} of which packets were run again",
        rate(packets, started)
    );
    Ok(())
}

/// Compares the packets of a seed on a CPU.
fn campaign(seed: u64, captured: Vec<Vec<u8>>, cpu: usize, runs: u64) -> Result<Outcome> {
    let supply = Supply::of(seed, captured);
    hold_cpu(cpu)?;
    let (started, mut told) = (Instant::now(), Instant::now());
    campaign::compare(&supply, runs, |run| {
        if told.elapsed() > PROGRESS {
            told = Instant::now();
            eprintln!(
                "differential: CPU {cpu}: {run} packets, {}/s",
                rate(run, started)
            );
        }
    })
}

/// The CPUs that this process may use.
fn allowed_cpus() -> Result<Vec<usize>> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    let is_allowed = |cpu: &usize| allowed.is_set(*cpu).unwrap_or(false);
    Ok((0..CpuSet::count()).filter(is_allowed).collect())
}

/// Packets per second.
fn rate(packets: u64, since: Instant) -> u128 {
    u128::from(packets) * 1000 / since.elapsed().as_millis().max(1)
}

/// The frames of the public captures, none where there is no folder of them.
fn captured() -> Result<Vec<Vec<u8>>> {
    let folder = captures_folder();
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut frames = Vec::new();
    for file in files_in(&folder)? {
        frames.extend(frames_of(&file)?.into_iter().map(|(_, frame)| frame));
    }
    Ok(frames)
}

/// The error of a run; of a difference, with its packets in a file and what to do with it.
fn report(error: Error, seed: u64, arguments: &Arguments) -> Error {
    let Some(difference) = error.downcast_ref::<Difference>() else {
        return error;
    };
    let file = arguments.artifacts.join(format!("{seed:016x}.pcapng"));
    let how = match difference.write(&file) {
        Ok(()) if difference.from_nothing => format!(
            "{} packets that show it are in {}: copy it to {REGRESSIONS}, and `cargo xtask test --test differential` fails \
             until it is mended",
            difference.packets.len(),
            file.display()
        ),
        Ok(()) => format!(
            "the {} packets before it are in {}, but show it only after all of the run",
            difference.packets.len(),
            file.display()
        ),
        Err(error) => format!("its packets cannot be written to a file: {error:#}"),
    };
    Error::msg(format!(
        "{difference}\n{how}\nthe same packets again: DETECTOR_TEST_SEED={seed} cargo xtask fuzz differential --runs {}",
        arguments.runs
    ))
}
