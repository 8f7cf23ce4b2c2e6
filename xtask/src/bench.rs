//! `cargo xtask bench`: nanoseconds per packet in the kernel, packets per second in replay.

use std::ffi::OsString;

use anyhow::Result;

use crate::setup::Scope;
use crate::{run, setup};

pub(crate) fn run(arguments: &[OsString]) -> Result<()> {
    setup::ready(Scope::Run)?;
    run::release_program("bench", arguments)
}
