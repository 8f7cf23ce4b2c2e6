//! `detector status`: whether the agent runs, and how.

use std::path::PathBuf;

use clap::Args;
use comfy_table::Table;

use super::{SOCKET, table};
use crate::{
    agent::{
        control::client::{self, ClientError},
        status::Status,
    },
    exit::{Exit, Failure, OrExit as _},
    output::{self, Format, complain},
};

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
    let gateways: Vec<_> = gateways
        .map(|gateway| format!("{} ({})", gateway.ip, gateway.mac))
        .collect();
    gateways.join(", ")
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
