//! `detector status`: whether the agent runs, and how.

use std::path::PathBuf;

use clap::Args;
use comfy_table::Table;

use super::{SOCKET, table};
use crate::{
    agent::{
        control::client::{self, ClientError},
        status::Status,
        surroundings::Why,
    },
    exit::{Exit, Failure, OrExit as _},
    output::{self, Format, complain},
};

/// So many addresses are shown to people for a reason; `-o json` has all.
const SHOWN_MAX: usize = 8;

/// Tells how the running agent is; exits with 1 if an interface is not guarded any more
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where the agent listens
    #[arg(long, value_name = "PATH", default_value = SOCKET)]
    socket: PathBuf,
    /// In which form to answer
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let status = client::status(&arguments.socket).or_exit_as(ClientError::exit)?;
    match arguments.output {
        Format::Human => output::print(|out| writeln!(out, "{}", human(&status)))?,
        Format::Json => output::print_json(&status)?,
    };
    let unguarded = status.interfaces.iter().filter(|one| !one.attached);
    let unguarded: Vec<_> = unguarded.map(|one| &*one.name).collect();
    if unguarded.is_empty() {
        return Ok(Exit::Fine);
    }
    complain(format_args!(
        "not guarded any more: {}; start the agent again",
        unguarded.join(", ")
    ));
    Ok(Exit::Failed)
}

fn human(status: &Status) -> String {
    let mode = match &*status.mode {
        "enforce" if status.unconfirmed => {
            "enforce: what policy says is dropped, for a moment: say `detector confirm` if it is to stay so"
        }
        "enforce" => "enforce: what policy says is dropped",
        "monitor" => "monitor: nothing is dropped",
        other => other,
    };
    let lines = [
        (
            "agent",
            format!("detector {}, process {}", status.version, status.pid),
        ),
        ("running for", format!("{} s", status.uptime_s)),
        ("mode", mode.to_owned()),
        ("gateways", gateways(status)),
        ("protected", protected(status)),
        ("lost events", status.events_lost.to_string()),
        ("pins", status.pin_dir.clone()),
        ("socket", status.socket.clone()),
    ];
    let lines = lines.map(|(what, value)| format!("{what:<12} {value}\n"));
    format!("{}\n{}", lines.concat(), interfaces(status))
}

fn gateways(status: &Status) -> String {
    if status.gateways.is_empty() {
        return "none known".to_owned();
    }
    let gateways = status.gateways.iter();
    let gateways = gateways.map(|gateway| {
        let mac = gateway.mac.map_or("MAC unknown".to_owned(), String::from);
        format!("{} ({mac}) on {}", gateway.ip, gateway.interface)
    });
    gateways.collect::<Vec<_>>().join(", ")
}

/// A line for each reason, with the first of its addresses.
fn protected(status: &Status) -> String {
    let lines = Why::ALL.into_iter().filter_map(|why| {
        let protected = status.protected.iter().filter(|one| one.why == why);
        let all: Vec<_> = protected.map(|one| one.address.to_string()).collect();
        let (shown, more) = all.split_at(all.len().min(SHOWN_MAX));
        let more = match more.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        (!all.is_empty()).then(|| format!("{why} {}{more}", shown.join(", ")))
    });
    let lines: Vec<_> = lines.collect();
    if lines.is_empty() {
        return "nothing known yet".to_owned();
    }
    lines.join(&format!("\n{:<12} ", ""))
}

fn interfaces(status: &Status) -> Table {
    let mut table = table::with_header(&["interface", "side", "mode", "attached", "program"]);
    for interface in &status.interfaces {
        let attached = if interface.attached {
            "yes"
        } else {
            "NO: start the agent again"
        };
        table.add_row([
            interface.name.clone(),
            interface.side.to_string(),
            interface.mode.to_string(),
            attached.to_owned(),
            interface.program_id.to_string(),
        ]);
    }
    table
}
