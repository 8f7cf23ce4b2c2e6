//! `cargo xtask fuzz differential`: packets through the kernel program and through the host's, everything compared.
//!
//! A difference is one block of text, and a file of packets that becomes a test.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    ops::ControlFlow,
    panic::resume_unwind,
    path::PathBuf,
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Error, Result};
use clap::Parser;
use detector_tests::{
    capture::{files_in, frames_of},
    cpu,
    generate::seed_or,
    oracle::{
        Difference,
        campaign::{self, Outcome, Supply},
    },
    requirements::{captures, require_kernel},
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
    let cpus = cpu::allowed()?;
    let runs = arguments.runs.div_ceil(cpus.len() as u64);
    println!(
        "differential: {runs} packets on each of {} CPUs, {} captured ones among those they are made from, \
         DETECTOR_TEST_SEED={seed}",
        cpus.len(),
        captured.len()
    );
    let started = Instant::now();
    let is_over = AtomicBool::new(false);
    let outcomes = thread::scope(|scope| {
        // Each CPU has packets and maps of its own.
        let campaigns: Vec<_> = (seed..)
            .zip(&cpus)
            .map(|(seed, &cpu)| {
                let campaign = Campaign { seed, cpu, runs };
                let (captured, is_over) = (captured.clone(), &is_over);
                scope.spawn(move || {
                    let outcome = campaign.run(captured, is_over);
                    // One that failed leaves the others nothing to find out.
                    is_over.fetch_or(outcome.is_err(), Ordering::Relaxed);
                    outcome.map_err(|error| (campaign, error))
                })
            })
            .collect();
        let join = |campaign: ScopedJoinHandle<'_, _>| {
            campaign.join().unwrap_or_else(|panic| resume_unwind(panic))
        };
        campaigns.into_iter().map(join).collect::<Vec<_>>()
    });
    let (mut packets, mut ticked, mut unexplained) = (0, 0, 0);
    for outcome in outcomes {
        let outcome = outcome.map_err(|(campaign, error)| campaign.report(error, arguments))?;
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

/// The packets of a seed, compared on a CPU.
struct Campaign {
    seed: u64,
    cpu: usize,
    runs: u64,
}

impl Campaign {
    /// Compares them all, or until it is over.
    fn run(&self, captured: Vec<Vec<u8>>, is_over: &AtomicBool) -> Result<Outcome> {
        let supply = Supply::of(self.seed, captured);
        cpu::hold(self.cpu)?;
        let (started, mut told) = (Instant::now(), Instant::now());
        campaign::compare(&supply, self.runs, |run| {
            if told.elapsed() > PROGRESS {
                told = Instant::now();
                eprintln!(
                    "differential: CPU {}: {run} packets, {}/s",
                    self.cpu,
                    rate(run, started)
                );
            }
            if is_over.load(Ordering::Relaxed) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
    }

    /// The error of a run; of a difference, with its packets in a file and what to do with it.
    fn report(&self, error: Error, arguments: &Arguments) -> Error {
        let Some(difference) = error.downcast_ref::<Difference>() else {
            return error;
        };
        let file = arguments
            .artifacts
            .join(format!("{:016x}.pcapng", self.seed));
        let how = match difference.write(&file) {
            Ok(()) if difference.from_nothing => format!(
                "{} packets that show it are in {}: copy it to {REGRESSIONS}, and \
                 `cargo xtask test --test differential` fails until it is mended",
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
        // On one CPU there is one campaign, so the same packets come whatever machine it is.
        Error::msg(format!(
            "{difference}\n{how}\nthe same packets again: \
             DETECTOR_TEST_SEED={} taskset --cpu-list {} cargo xtask fuzz differential --runs {}",
            self.seed, self.cpu, self.runs
        ))
    }
}

/// Packets per second.
fn rate(packets: u64, since: Instant) -> u128 {
    u128::from(packets) * 1000 / since.elapsed().as_millis().max(1)
}

/// The frames of the public captures, none where there is no folder of them.
fn captured() -> Result<Vec<Vec<u8>>> {
    let Some(folder) = captures()? else {
        return Ok(Vec::new());
    };
    let mut frames = Vec::new();
    for file in files_in(&folder)? {
        frames.extend(frames_of(&file)?.into_iter().map(|(_, frame)| frame));
    }
    Ok(frames)
}
