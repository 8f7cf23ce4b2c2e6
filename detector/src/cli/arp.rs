//! `detector arp`: who speaks ARP, and who owns which address.

use std::{io, path::PathBuf};

use clap::{Args, Subcommand};

use super::{SOCKET, table};
use crate::{
    agent::{
        arp::{ArpTable, Binding},
        control::client::{self, ClientError},
    },
    exit::{Exit, Failure, OrExit as _},
    output::{self, Format},
};

/// Tells who speaks ARP or neighbour discovery, and who owns which address
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Who sends messages of ARP and neighbour discovery, how many, and what detectors objected to
    Senders(Question),
    /// Whose the addresses are that senders call their own, and who claims them besides
    Bindings(Question),
}

#[derive(Debug, Args)]
struct Question {
    /// Where the agent listens
    #[arg(long, value_name = "PATH", default_value = SOCKET)]
    socket: PathBuf,
    /// In which form to answer; json has senders and bindings both
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let (Command::Senders(question) | Command::Bindings(question)) = &arguments.command;
    let arp = client::arp(&question.socket).or_exit_as(ClientError::exit)?;
    match (question.output, &arguments.command) {
        (Format::Json, _) => output::print_json(&arp)?,
        (Format::Human, Command::Senders(_)) => output::print(|out| senders(out, &arp))?,
        (Format::Human, Command::Bindings(_)) => output::print(|out| bindings(out, &arp))?,
    };
    Ok(Exit::Fine)
}

fn senders(out: &mut dyn io::Write, arp: &ArpTable) -> io::Result<()> {
    let mut table = table::with_header(&[
        "mac",
        "protocol",
        "calls itself",
        "interface",
        "packets",
        "flooded",
        "swept",
        "spoofed",
        "targets",
        "last",
    ]);
    for sender in &arp.senders {
        let source = &sender.source;
        let mac = source.mac.map(String::from).unwrap_or_default();
        let relays = if sender.relays { ", a router" } else { "" };
        let ip = source.ip.map(|ip| ip.to_string()).unwrap_or_default();
        table.add_row([
            format!("{mac}{relays}"),
            sender.protocol.clone(),
            format!("{ip}{}", tags(&source.vlan)),
            format!("{} ({})", sender.interface, sender.side),
            sender.packets.to_string(),
            sender.flooded.to_string(),
            sender.swept.to_string(),
            sender.spoofed.to_string(),
            sender.targets.to_string(),
            sender.last.to_string(),
        ]);
    }
    writeln!(out, "{}", table.trim_fmt())?;
    if arp.senders_left_out > 0 {
        writeln!(out, "\n… and {} senders more", arp.senders_left_out)?;
    }
    Ok(())
}

fn bindings(out: &mut dyn io::Write, arp: &ArpTable) -> io::Result<()> {
    let mut table = table::with_header(&["address", "owner", "claimed by others"]);
    for binding in &arp.bindings {
        let others: Vec<_> = binding.claimed_by.iter().map(ToString::to_string).collect();
        table.add_row([
            format!("{}{}", binding.ip, tags(&binding.vlan)),
            owner(binding),
            others.join(", "),
        ]);
    }
    writeln!(out, "{}", table.trim_fmt())
}

fn owner(binding: &Binding) -> String {
    let named = if binding.named { ", you say so" } else { "" };
    let mac = binding.mac.map_or("not known".to_owned(), String::from);
    format!("{mac}{named}")
}

fn tags(vlan: &[u16]) -> String {
    let tags: Vec<_> = vlan.iter().map(u16::to_string).collect();
    match &*tags {
        [] => String::new(),
        tags => format!(" vlan {}", tags.join(".")),
    }
}
