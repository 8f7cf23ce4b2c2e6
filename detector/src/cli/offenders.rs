//! `detector offenders`: who did something, and what.

use std::{io, path::PathBuf, time::Duration};

use clap::Args;

use super::{SOCKET, table, time::parse_time};
use crate::{
    agent::{
        control::client::{self, ClientError},
        interface::Side,
        offenders::{Did, Offender, Offenders},
    },
    exit::{Exit, Failure, OrExit as _},
    output::{self, Format, Time},
};

/// Tells who the running agent objects to, hosts of yours that are infected first, and what each did
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where the agent listens
    #[arg(long, value_name = "PATH", default_value = SOCKET)]
    socket: PathBuf,
    /// In which form to answer
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// Only those on this side
    #[arg(long, value_enum)]
    side: Option<Side>,
    /// Only those who did something in this time, as in 10m or 1h30m
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<Duration>,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let stats = client::stats(&arguments.socket, false).or_exit_as(ClientError::exit)?;
    let Time(now) = stats.time;
    let since = arguments.since.map(|ago| {
        let ago = u64::try_from(ago.as_nanos()).unwrap_or(u64::MAX);
        Time(now.saturating_sub(ago))
    });
    let offenders = Offenders::of(&stats, arguments.side, since);
    match arguments.output {
        Format::Human => output::print(|out| write(out, &offenders))?,
        Format::Json => output::print_json(&offenders)?,
    };
    Ok(Exit::Fine)
}

fn write(out: &mut dyn io::Write, all: &Offenders) -> io::Result<()> {
    if all.offenders.is_empty() {
        writeln!(out, "Nobody did anything that is listed.")?;
    } else {
        let mut table = table::with_header(&[
            "source",
            "mac",
            "interface",
            "did",
            "packets",
            "dropped",
            "first",
            "last",
        ]);
        for offender in &all.offenders {
            for (row, did) in offender.findings.iter().enumerate() {
                let [source, mac, interface] = if row == 0 {
                    names(offender)
                } else {
                    [const { String::new() }; 3]
                };
                table.add_row([
                    source,
                    mac,
                    interface,
                    what(did),
                    did.packets.to_string(),
                    did.dropped.to_string(),
                    did.first.to_string(),
                    did.last.to_string(),
                ]);
            }
        }
        writeln!(out, "{}", table.trim_fmt())?;
    }
    if all.left_out > 0 {
        writeln!(out, "\n… and {} sources more", all.left_out)?;
    }
    Ok(())
}

/// Who it is: its address, its MAC, and where it comes in.
fn names(offender: &Offender) -> [String; 3] {
    let source = &offender.source;
    let ip = source.ip.map(|ip| ip.to_string());
    let ip = ip.unwrap_or_else(|| "many senders".to_owned());
    let tags: Vec<_> = source.vlan.iter().map(u16::to_string).collect();
    let tags = match &*tags {
        [] => String::new(),
        tags => format!(" vlan {}", tags.join(".")),
    };
    let infected = if offender.infected { ", infected" } else { "" };
    let mac = source.mac.map(|mac| mac.to_string());
    [
        format!("{ip}{tags}{infected}"),
        mac.unwrap_or_else(|| "-".to_owned()),
        format!("{} ({})", offender.interface, offender.side),
    ]
}

fn what(did: &Did) -> String {
    let severity = did.severity.as_ref();
    let severity = severity.map_or_else(String::new, |severity| format!(" [{severity}]"));
    let reach = match (did.targets, did.tried) {
        (Some(targets), Some(tried)) => format!(": about {targets} hosts, {tried}"),
        (Some(targets), None) => format!(": about {targets} addresses"),
        (None, _) => String::new(),
    };
    format!("{}{severity}{reach}", did.name())
}
