//! `cargo xtask demo`: detector at work between infected and ordinary hosts, in a private network.
//!
//! Everything is real: the agent on the gateway's two interfaces, frames on virtual cables, the counters of the kernel.
//! Once in monitor mode and once enforcing, it sends the same traffic and checks every number.

#[path = "demo/capture.rs"]
mod capture;
#[path = "demo/report.rs"]
mod report;
#[path = "demo/round.rs"]
mod round;
#[path = "demo/traffic.rs"]
mod traffic;

use std::{path::PathBuf, process::ExitCode, time::Instant};

use anyhow::{Context as _, Result};
use clap::Parser;
use detector_tests::{lab::Lab, requirements::require_kernel};

use crate::traffic::Traffic;

/// Shows detector at work in a private network of namespaces
#[derive(Parser)]
#[command(name = "cargo xtask demo")]
struct Arguments {
    /// Send this capture from the outside instead of the worms, the storm and the ordinary traffic
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    require_kernel()?;
    let started = Instant::now();
    let traffic = match &arguments.pcap {
        Some(file) => capture::traffic(file)?,
        None => Traffic::of_worms(),
    };
    let lab = Lab::new().context("cannot build the private network")?;
    println!("{}", report::NETWORK);
    println!("network: built in {:.1} s", started.elapsed().as_secs_f64());

    for enforce in [false, true] {
        let started = Instant::now();
        let round = round::play(&lab, &traffic, enforce)?;
        println!(
            "\n{}: {} frames sent and counted in {:.1} s",
            if enforce { "enforce" } else { "monitor" },
            round.sent,
            started.elapsed().as_secs_f64()
        );
        report::print(&round);
        round.check().context("a number is not what it should be")?;
    }
    println!("\ndemo: done in {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}
