//! `cargo xtask bench`: what a packet costs, in the program alone and through a cable, beside other firewalls.
//!
//! Suricata is the one peer that is not installed: its package starts a service on the machine's own interface. It is
//! unpacked under `target` instead, and where that fails the table says so.

use std::ffi::OsString;

use anyhow::Result;

use crate::setup::Scope;
use crate::{run, setup, suricata};

pub(crate) fn run(arguments: &[OsString]) -> Result<()> {
    let has_peers = !arguments.iter().any(|argument| {
        ["--check", "--accept", "--help", "-h"]
            .iter()
            .any(|&alone| argument == alone)
    });
    if has_peers {
        setup::ready(Scope::Bench)?;
        suricata::prepare();
    } else {
        setup::ready(Scope::Build)?;
    }
    run::replace(run::release_program("bench", arguments)?)
}

/// Compares what a packet costs with the budget.
pub(crate) fn check() -> Result<()> {
    run::status(run::release_program("bench", &["--check".into()])?)
}
