//! `detector protect`: against whom nothing is done, and to change it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{SOCKET, table};
use crate::{
    agent::{
        control::client::{self, ClientError},
        response::ProtectedList,
    },
    exit::{Exit, Failure, OrExit as _},
    output::{self, Format, Prefix},
};

/// Protects sources from being dropped or blocked, and tells who is protected
///
/// The machine's own addresses, default gateways, resolvers and the peers of its SSH server always are.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Protects an address or a prefix until the agent ends; a block of somebody in it ends, unless it was forced
    Add(Whom),
    /// Protects no longer what was added
    Del(Whom),
    /// Tells who is protected, and why
    List {
        /// Where the agent listens
        #[arg(long, value_name = "PATH", default_value = SOCKET)]
        socket: PathBuf,
        /// In which form to answer
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
}

#[derive(Debug, Args)]
struct Whom {
    /// Whom, as in 192.0.2.7 or 192.0.2.0/24
    prefix: Prefix,
    /// Where the agent listens
    #[arg(long, value_name = "PATH", default_value = SOCKET)]
    socket: PathBuf,
}

pub(super) fn run(arguments: Arguments) -> Result<Exit, Failure> {
    match arguments.command {
        Command::Add(Whom { prefix, socket }) => {
            client::protect(&socket, prefix).or_exit_as(ClientError::exit)?;
        }
        Command::Del(Whom { prefix, socket }) => {
            client::unprotect(&socket, prefix).or_exit_as(ClientError::exit)?;
        }
        Command::List { socket, output } => {
            let list = client::protected(&socket).or_exit_as(ClientError::exit)?;
            match output {
                Format::Human => output::print(|out| writeln!(out, "{}", human(&list)))?,
                Format::Json => output::print_json(&list)?,
            };
        }
    }
    Ok(Exit::Fine)
}

fn human(list: &ProtectedList) -> String {
    if list.protected.is_empty() {
        return "Nobody is protected.".to_owned();
    }
    let mut table = table::with_header(&["protected", "why"]);
    for one in &list.protected {
        table.add_row([one.address.to_string(), one.why.to_string()]);
    }
    table.trim_fmt()
}
