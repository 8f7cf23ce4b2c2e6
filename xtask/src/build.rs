//! `cargo xtask build`: detector in release mode.

use anyhow::Result;

use crate::setup::Scope;
use crate::{run, setup, workspace};

pub(crate) fn run() -> Result<()> {
    setup::ready(Scope::Build)?;
    run::build_bins(&["--release", "--bin=detector"])?;
    let binary = workspace::binaries("release")?.join("detector");
    println!("{}", binary.display());
    Ok(())
}
