//! `cargo xtask test`: every test of the workspace, with cargo's own runner, which each machine has.
//!
//! The end-to-end tests run detector itself. `cargo test` builds a binary only for tests of its own package, so it is
//! built here and its path handed on in `DETECTOR_BIN`.

use std::ffi::OsString;

use anyhow::Result;

use crate::setup::Scope;
use crate::{run, setup, suricata, workspace};

pub(crate) fn run(arguments: &[OsString]) -> Result<()> {
    setup::ready(Scope::Test)?;
    suricata::prepare();
    run::build_bins(&["--bin=detector"])?;
    let mut command = run::cargo(&["test"]);
    command.args(arguments).env(
        "DETECTOR_BIN",
        workspace::binaries("debug")?.join("detector"),
    );
    run::status(command)
}
