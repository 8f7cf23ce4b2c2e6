//! Building bpf-linker, where none on the machine fits.

use std::process::Command;

use anyhow::{Context as _, Result, bail};
use xtask::linker::{LLVM_VERSIONS, VERSION, own_root};
use xtask::{bpf, program};

use crate::run;

/// Builds bpf-linker with this LLVM, whose development files are installed, into its own directory.
pub(crate) fn build(llvm: u32) -> Result<()> {
    if !LLVM_VERSIONS.contains(&llvm) {
        let (oldest, newest) = (LLVM_VERSIONS.start(), LLVM_VERSIONS.end());
        bail!(
            "bpf-linker {VERSION} knows LLVM {oldest} to {newest}, and the compiler has {llvm}: \
             raise VERSION in xtask/src/linker.rs to a release that knows it"
        );
    }
    let root =
        own_root(llvm).context("there is no home directory to put bpf-linker in: set HOME")?;
    eprintln!("setup: building bpf-linker, about a minute");
    let mut command = Command::new(program::cargo());
    bpf::scrub(&mut command);
    command
        .args(["install", "bpf-linker", "--version", VERSION])
        .args(["--locked", "--quiet", "--no-default-features"])
        .args(["--features", &format!("llvm-{llvm}"), "--root"])
        .arg(root)
        // Debian keeps each LLVM in a directory of its own, where the linker's build script does not look by itself.
        .env("LLVM_PREFIX", format!("/usr/lib/llvm-{llvm}"));
    run::status(command).context(
        "bpf-linker does not build (its messages are above): check that the crate registry can be reached",
    )
}
