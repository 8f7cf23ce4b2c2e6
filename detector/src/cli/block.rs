//! `detector block`: who is blocked, and to change it.

use std::{io, path::PathBuf, time::Duration};

use clap::{Args, Subcommand};

use super::{SOCKET, table, time::parse_time};
use crate::{
    agent::{
        control::client::{self, ClientError},
        response::{BlockList, BlockOrder, Blocked, Why},
    },
    exit::{Exit, Failure, OrExit as _},
    output::{self, Format, Prefix},
};

/// Blocks sources, ends blocks, and tells who is blocked
///
/// Every packet of a blocked source is dropped as it comes in, until the block ends; in monitor mode it is only counted.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Blocks an address or a prefix; anew if it is blocked already
    Add {
        /// Whom, as in 192.0.2.7 or 192.0.2.0/24
        prefix: Prefix,
        /// How long, as in 10m or 1h30m
        #[arg(long = "for", value_name = "TIME", default_value = "1h", value_parser = parse_time)]
        time: Duration,
        /// Why, for whoever looks at the list
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
        /// Though somebody in it is protected: the machine may lose the network, or you the machine
        #[arg(long)]
        force: bool,
        /// Where the agent listens
        #[arg(long, value_name = "PATH", default_value = SOCKET)]
        socket: PathBuf,
    },
    /// Ends a block
    Del {
        /// Whom
        prefix: Prefix,
        /// Where the agent listens
        #[arg(long, value_name = "PATH", default_value = SOCKET)]
        socket: PathBuf,
    },
    /// Tells who is blocked, why, until when, and what it cost them
    List {
        /// Where the agent listens
        #[arg(long, value_name = "PATH", default_value = SOCKET)]
        socket: PathBuf,
        /// In which form to answer
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
}

pub(super) fn run(arguments: Arguments) -> Result<Exit, Failure> {
    match arguments.command {
        Command::Add {
            prefix,
            time,
            note,
            force,
            socket,
        } => {
            let order = BlockOrder {
                prefix,
                for_s: time.as_secs(),
                note,
                force,
            };
            client::block(&socket, &order).or_exit_as(ClientError::exit)?;
        }
        Command::Del { prefix, socket } => {
            client::unblock(&socket, prefix).or_exit_as(ClientError::exit)?;
        }
        Command::List { socket, output } => {
            let list = client::blocks(&socket).or_exit_as(ClientError::exit)?;
            match output {
                Format::Human => output::print(|out| write(out, &list))?,
                Format::Json => output::print_json(&list)?,
            };
        }
    }
    Ok(Exit::Fine)
}

fn write(out: &mut dyn io::Write, list: &BlockList) -> io::Result<()> {
    if list.blocks.is_empty() {
        writeln!(out, "Nobody is blocked.")?;
    } else {
        if list.mode == "monitor" {
            writeln!(
                out,
                "Monitor mode: nothing is dropped, it is only counted.\n"
            )?;
        }
        let columns = [
            "blocked",
            "why",
            "packets",
            "bytes",
            "since",
            "last packet",
            "left",
        ];
        let mut table = table::with_header(&columns);
        for block in &list.blocks {
            table.add_row([
                block.prefix.to_string(),
                why(block),
                block.packets.to_string(),
                block.bytes.to_string(),
                block.first.to_string(),
                block.last.to_string(),
                format!("{} s", block.left_s),
            ]);
        }
        writeln!(out, "{}", table.trim_fmt())?;
    }
    if list.refused > 0 {
        writeln!(
            out,
            "\n{} blocks were not made: at most {} have room",
            list.refused, list.quota
        )?;
    }
    Ok(())
}

fn why(block: &Blocked) -> String {
    let why = match &block.why {
        Why::Operator { note: None } => "operator".to_owned(),
        Why::Operator { note: Some(note) } => format!("operator: {note}"),
        Why::Finding {
            detector,
            signature,
            proof,
        } => format!("{}, {proof}", signature.as_ref().unwrap_or(detector)),
    };
    let again = match block.times {
        0 | 1 => String::new(),
        times => format!(", {times} times lately"),
    };
    let forced = if block.forced { ", forced" } else { "" };
    format!("{why}{again}{forced}")
}
