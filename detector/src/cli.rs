//! The command line: one file for each command.

mod replay;
mod signatures;

use clap::{Parser, Subcommand};

use crate::exit::{Exit, Failure};

/// Sees worm probes and ARP floods, and stops them in the driver.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Replay(replay::Arguments),
    Signatures(signatures::Arguments),
}

/// Runs the command.
pub fn run(arguments: Arguments) -> Result<Exit, Failure> {
    match arguments.command {
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Signatures(arguments) => signatures::run(&arguments),
    }
}
