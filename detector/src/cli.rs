//! The command line: one file for each command.

mod arp;
mod block;
mod check;
mod confirm;
mod offenders;
mod partial;
mod protect;
mod replay;
mod rules;
mod run;
mod stats;
mod status;
mod table;
mod time;

use clap::{Parser, Subcommand};

use crate::exit::{Exit, Failure};

/// Where the agent listens, unless told otherwise.
const SOCKET: &str = "/run/detector/control.sock";

/// Sees network worms, scans and floods of ARP and neighbour discovery, and stops them in the driver.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Arguments),
    Stats(stats::Arguments),
    Status(status::Arguments),
    Offenders(offenders::Arguments),
    Arp(arp::Arguments),
    Block(block::Arguments),
    Protect(protect::Arguments),
    Confirm(confirm::Arguments),
    Check(check::Arguments),
    Replay(replay::Arguments),
    Rules(rules::Arguments),
}

/// Runs the command.
pub fn run(arguments: Arguments) -> Result<Exit, Failure> {
    match arguments.command {
        Command::Run(arguments) => run::run(arguments),
        Command::Stats(arguments) => stats::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Offenders(arguments) => offenders::run(&arguments),
        Command::Arp(arguments) => arp::run(&arguments),
        Command::Block(arguments) => block::run(arguments),
        Command::Protect(arguments) => protect::run(arguments),
        Command::Confirm(arguments) => confirm::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Rules(arguments) => rules::run(&arguments),
    }
}
