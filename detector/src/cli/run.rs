//! `detector run`: the agent.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, anyhow};
use clap::{ArgGroup, Args};
use detector_common::config::Mode as Enforcing;
use tokio::runtime;

use super::{SOCKET, partial::Partial, time::parse_time};
use crate::{
    agent::{
        self, AgentError, Options,
        interface::{Interface, InterfaceError, Mode, Side, parse_name},
        reload::Origin,
    },
    exit::{Exit, Failure, OrExit as _},
    output::{StreamFormat, complain},
    tables::HashSeed,
};

/// Guards interfaces until it is stopped, and prints a line for each finding
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("interfaces").args(["wan", "lan"]).multiple(true).required(true)))]
pub(super) struct Arguments {
    /// Interfaces that face the Internet
    #[arg(long, value_name = "IF", num_args = 1.., value_parser = parse_name)]
    wan: Vec<String>,
    /// Interfaces that face the local network
    #[arg(long, value_name = "IF", num_args = 1.., value_parser = parse_name)]
    lan: Vec<String>,
    /// Drop what policy says; without it everything passes and is only counted and reported
    #[arg(long)]
    enforce: bool,
    /// Go back to monitoring after this time, as in 60s, unless `detector confirm` says that enforcing does no harm
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    confirm_timeout: Option<Duration>,
    /// What to look for and what to do about it, in TOML
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    partial: Partial,
    /// How to attach
    #[arg(long, value_enum, default_value_t)]
    mode: Mode,
    /// Where the maps are pinned: a directory on a bpf filesystem, made if it is not there
    #[arg(long, value_name = "DIR", default_value = "/sys/fs/bpf/detector")]
    pin_dir: PathBuf,
    /// Where the agent can be asked and given orders, as by `detector status` and `detector block`
    #[arg(long, value_name = "PATH", default_value = SOCKET)]
    socket: PathBuf,
    /// In which form findings are printed
    #[arg(short, long, value_enum, default_value_t)]
    output: StreamFormat,
}

pub(super) fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let interfaces =
        Interface::find(&arguments.wan, &arguments.lan).or_exit_as(InterfaceError::exit)?;
    let Partial { allow_partial } = arguments.partial;
    let origin =
        Origin::read(arguments.config, arguments.enforce, allow_partial).or_exit(Exit::Usage)?;
    let settings = &origin.settings;
    if arguments.confirm_timeout.is_some() && settings.mode != Enforcing::Enforce {
        let why =
            anyhow!("--confirm-timeout: nothing is to be confirmed in monitor mode; add --enforce");
        return Err(why).or_exit(Exit::Usage);
    }
    for warning in settings.warnings() {
        complain(format_args!("warning: {warning}"));
    }
    let mut blocking = settings.terms().detectors.into_iter();
    if arguments.lan.is_empty() && blocking.any(|(_, unproven)| !unproven) {
        complain(
            "warning: nobody is blocked for a worm: without --lan no handshake with a server inside is seen, and so no source is confirmed",
        );
    }
    let (mut tables, rules) = settings.tables(HashSeed::secret()).or_exit(Exit::Usage)?;
    for warning in rules.warnings() {
        complain(format_args!("warning: {warning}"));
    }
    let slots = (0..).zip(&interfaces);
    let lan = slots.filter(|(_, interface)| interface.side == Side::Lan);
    tables.config = tables.config.with_lan(lan.map(|(slot, _)| slot));
    let options = Options {
        interfaces,
        mode: arguments.mode,
        pin_dir: arguments.pin_dir,
        socket: arguments.socket,
        format: arguments.output,
        tables,
        gateways: settings.gateways.iter().map(|mac| mac.address()).collect(),
        bindings: settings.arp_spoof.bindings.clone(),
        terms: settings.terms(),
        protected: settings.protected.clone(),
        origin,
        confirm_within: arguments.confirm_timeout,
    };
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime
        .block_on(agent::guard(options))
        .or_exit_as(AgentError::exit)?;
    Ok(Exit::Fine)
}
