//! `cargo xtask fuzz differential`: packets through the kernel program and through the host's, everything compared.
//!
//! A difference is one block of text, and a file of packets that becomes a test.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Error, Result};
use clap::Parser;
use detector_tests::{
    capture::{files_in, frames_of},
    generate::seed_or,
    oracle::{Difference, campaign},
    requirements::{captures_folder, require_kernel},
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
    println!(
        "differential: {} packets, {} captured ones among those they are made from, DETECTOR_TEST_SEED={seed}",
        arguments.runs,
        captured.len()
    );
    let started = Instant::now();
    let mut told = started;
    let outcome = campaign::compare(seed, arguments.runs, captured, |run| {
        if told.elapsed() > PROGRESS {
            told = Instant::now();
            eprintln!("differential: {run} packets, {}/s", rate(run, started));
        }
    });
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => return Err(report(error, seed, &arguments.artifacts)),
    };
    let (ticked, taken_back) = outcome.ticked;
    println!(
        "differential: {} packets are the same in kernel and host, {}/s; the clock ticked in {ticked} batches, \
         {taken_back} were run again",
        outcome.packets,
        rate(outcome.packets, started)
    );
    Ok(())
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
fn report(error: Error, seed: u64, artifacts: &Path) -> Error {
    let Some(difference) = error.downcast_ref::<Difference>() else {
        return error;
    };
    let file = artifacts.join(format!("{seed:016x}.pcapng"));
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
        "{difference}\n{how}\nthe same packets again: DETECTOR_TEST_SEED={seed} cargo xtask fuzz differential"
    ))
}
