//! `cargo xtask bench`: what a packet costs in the kernel, beside the empty program, in one run.
//!
//! Machines are shared, so a time alone says little: each row runs the floor and the program in turns, and what counts is
//! the median of their ratios.

#[path = "bench/kernel.rs"]
mod kernel;
#[path = "bench/replay.rs"]
mod replay;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use detector_tests::requirements::require_kernel;

/// Measures the kernel program and replay
#[derive(Parser)]
struct Arguments {
    /// How often each row is measured; the median counts
    #[arg(long, default_value_t = 21, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    require_kernel()?;
    kernel::measure(arguments.rounds)?;
    replay::measure(arguments.rounds)
}
