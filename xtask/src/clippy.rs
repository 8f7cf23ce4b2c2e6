//! `cargo xtask clippy`: the lints of the workspace, warnings as errors.
//!
//! Two compilers, so two runs: the host's code with the user's clippy, the kernel program with the clippy of the compiler
//! that builds it, once for each set of features.

use anyhow::Result;
use xtask::bpf;
use xtask::toolchain::Toolchain;

use crate::setup::Scope;
use crate::{run, setup, workspace};

pub(crate) fn run() -> Result<()> {
    let toolchain = setup::ready(Scope::Clippy)?;
    host()?;
    kernel(&toolchain)
}

pub(crate) fn host() -> Result<()> {
    run::status(run::cargo(&[
        "clippy",
        "--all-targets",
        "--all-features",
        "--",
        "-Dwarnings",
    ]))
}

pub(crate) fn kernel(toolchain: &Toolchain) -> Result<()> {
    let target_dir = workspace::target_dir()?;
    for features in [&[][..], &["debug-log"]] {
        let command = bpf::clippy(toolchain, workspace::root(), &target_dir, features)?;
        run::named(&format!("clippy for BPF, features {features:?}"), command)?;
    }
    Ok(())
}
