//! `detector rules reload`: a running agent reads its rules anew.

use std::path::PathBuf;

use clap::Args;

use crate::{
    agent::{
        control::client::{self, ClientError},
        reload::Reloaded,
    },
    cli::SOCKET,
    exit::{Exit, Failure, OrExit as _},
    output,
};

/// Has the agent read its files of rules anew; if one is wrong, those before stay in force
///
/// A file that has changed is read anew without this, within some seconds; and so is each at SIGHUP.
///
/// Exit codes: 0 the new rules are in force; 1 they are not, and why; 7 no agent runs.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where the agent listens
    #[arg(long, value_name = "PATH", default_value = SOCKET)]
    socket: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let Reloaded { rules, warnings } =
        client::reload(&arguments.socket).or_exit_as(ClientError::exit)?;
    for warning in warnings {
        output::complain(format_args!("warning: {warning}"));
    }
    output::print(|out| writeln!(out, "Rules in force now: {rules}"))?;
    Ok(Exit::Fine)
}
