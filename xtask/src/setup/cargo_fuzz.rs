//! cargo-fuzz: which one is there, and building it.
//!
//! It compiles the fuzz targets with the user's own stable compiler: without a sanitizer nothing in it is unstable. There
//! is little for one to find, since what is fuzzed has no `unsafe`, and with one the targets run at a sixth of the speed.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use xtask::{bpf, cache, program};

use crate::run;

/// The version that set-up builds.
const VERSION: &str = "0.13.2";

const NAME: &str = "cargo-fuzz";

/// Gives the cargo-fuzz of this version: of `PATH`, of cargo's programs, or the one set-up built.
pub(crate) fn find() -> Option<PathBuf> {
    let mut candidates = program::find_all(NAME);
    candidates.extend(own_root().map(|root| root.join("bin").join(NAME)));
    let expected = format!("{NAME} {VERSION}");
    candidates
        .into_iter()
        .find(|path| program::output_of(path, &["--version"]).as_ref() == Some(&expected))
}

/// Builds it into its own directory.
pub(super) fn build() -> Result<()> {
    let root = own_root().context("there is no home directory to put cargo-fuzz in: set HOME")?;
    eprintln!("setup: building cargo-fuzz, about two minutes");
    let mut command = Command::new(program::cargo());
    bpf::scrub(&mut command);
    command
        .args(["install", NAME, "--version", VERSION])
        .args(["--locked", "--quiet", "--root"])
        .arg(root);
    run::status(command).context(
        "cargo-fuzz does not build (its messages are above): check that the crate registry can be reached",
    )
}

fn own_root() -> Option<PathBuf> {
    Some(cache::directory()?.join(format!("{NAME}-{VERSION}")))
}
