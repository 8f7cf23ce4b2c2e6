//! `detector confirm`: the agent may go on enforcing.

use std::path::PathBuf;

use clap::Args;

use super::SOCKET;
use crate::{
    agent::control::client::{self, ClientError},
    exit::{Exit, Failure, OrExit as _},
};

/// Confirms that the agent, started with --confirm-timeout, may go on enforcing
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where the agent listens
    #[arg(long, value_name = "PATH", default_value = SOCKET)]
    socket: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    client::confirm(&arguments.socket).or_exit_as(ClientError::exit)?;
    Ok(Exit::Fine)
}
