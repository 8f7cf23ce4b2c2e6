//! `cargo xtask demo`: the agent between infected and ordinary hosts, in namespaces of its own.

use std::ffi::OsString;

use anyhow::Result;

use crate::setup::Scope;
use crate::{run, setup};

pub(crate) fn run(arguments: &[OsString]) -> Result<()> {
    setup::ready(Scope::Demo)?;
    run::replace(run::release_program("demo", arguments)?)
}
