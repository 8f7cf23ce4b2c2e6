//! `cargo xtask bench`: what a packet costs in the kernel, beside the empty program and other firewalls, in one run.
//!
//! Machines are shared, so a time alone says little: everything runs in turns, and what counts is the median of what is
//! compared with what ran beside it.

#[path = "bench/budget.rs"]
mod budget;
#[path = "bench/clock.rs"]
mod clock;
#[path = "bench/growth.rs"]
mod growth;
#[path = "bench/in_kernel.rs"]
mod in_kernel;
#[path = "bench/packets.rs"]
mod packets;
#[path = "bench/plot.rs"]
mod plot;
#[path = "bench/programs.rs"]
mod programs;
#[path = "bench/replay.rs"]
mod replay;
#[path = "bench/report.rs"]
mod report;
#[path = "bench/statistic.rs"]
mod statistic;
#[path = "bench/veth.rs"]
mod veth;
#[path = "bench/xdp_filter.rs"]
mod xdp_filter;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use detector_tests::requirements::require_kernel;

use crate::report::Report;

/// Measures the kernel program beside its peers, and replay
#[derive(Parser)]
struct Arguments {
    /// Compares the kernel program with its budget, and does nothing else; fails if a packet costs more
    #[arg(long)]
    check: bool,
    /// Makes what the kernel program costs its budget, and does nothing else
    #[arg(long, conflicts_with = "check")]
    accept: bool,
    /// How often each packet is measured; the median counts
    #[arg(long, default_value_t = 51, value_parser = clap::value_parser!(u32).range(5..=1000))]
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
    if arguments.check {
        return budget::check(arguments.rounds);
    }
    if arguments.accept {
        let measured = in_kernel::measure(arguments.rounds, false, packets::all())?;
        return budget::accept(&measured);
    }
    let in_kernel = in_kernel::measure(arguments.rounds, true, packets::all())?;
    report::print_in_kernel(&in_kernel);
    let veth = veth::measure()?;
    report::print_veth(&veth);
    let growth = growth::measure(arguments.rounds)?;
    report::print_growth(&growth);
    let replay = replay::measure()?;
    report::print_replay(&replay);
    Report::new(in_kernel, veth, growth, replay)?.write()
}
