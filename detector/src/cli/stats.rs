//! `detector stats`: what the agent counted.

mod human;

use std::{
    io::{self, IsTerminal as _},
    path::PathBuf,
    thread,
    time::Duration,
};

use clap::Args;

use super::SOCKET;
use crate::{
    agent::control::client::{self, ClientError},
    exit::{Exit, Failure, OrExit as _},
    output::{self, Format, Reader},
};

/// How often `--watch` asks.
const INTERVAL: Duration = Duration::from_secs(1);
/// Cursor to the upper left, and everything from there on erased (ECMA-48).
const CLEAR: &str = "\x1b[H\x1b[J";

/// Tells what the running agent counted: by interface, reason, signature and source
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where the agent listens
    #[arg(long, value_name = "PATH", default_value = SOCKET)]
    socket: PathBuf,
    /// In which form to answer; with `--watch`, JSON is an object on each line
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// Ask again every second, until interrupted
    #[arg(long)]
    watch: bool,
    /// Split packets by CPU, too
    #[arg(long)]
    per_cpu: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    loop {
        let stats =
            client::stats(&arguments.socket, arguments.per_cpu).or_exit_as(ClientError::exit)?;
        let reader = match (arguments.output, arguments.watch) {
            (Format::Human, watch) => output::print(|out| {
                if watch && io::stdout().is_terminal() {
                    out.write_all(CLEAR.as_bytes())?;
                }
                human::write(out, &stats)
            })?,
            (Format::Json, false) => output::print_json(&stats)?,
            (Format::Json, true) => output::print_json_line(&stats)?,
        };
        if !arguments.watch || reader == Reader::Gone {
            return Ok(Exit::Fine);
        }
        thread::sleep(INTERVAL);
    }
}
