//! `cargo xtask bench`: what a packet costs in the kernel, beside the empty program, in one run.
//!
//! Machines are shared, so nothing here is a time by itself: each row runs the program and the floor in turns and
//! compares their medians.

#[path = "bench/kernel.rs"]
mod kernel;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use detector_tests::requirements::require_kernel;

/// Measures the kernel program and replay
#[derive(Parser)]
struct Arguments {
    /// How often each row is measured; the median counts
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=1000))]
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
    kernel::measure(arguments.rounds)
}
