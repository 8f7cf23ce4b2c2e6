//! What a test needs from the machine, and what happens where it is not there.
//!
//! Kernel tests need root and BPF, capture tests need the folder of public captures. Without them a test skips,
//! says so on standard error past the test harness's capture of output, and the run stays green; with
//! `DETECTOR_REQUIRE_KERNEL=1` or `DETECTOR_REQUIRE_CAPTURES=1`, which CI sets, it fails instead.

use std::{
    env,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use aya::{programs::ProgramType, sys::is_program_supported};
use detector::agent::kernel::has_frags;
use nix::unistd::geteuid;

use crate::oracle::suricata;

/// Where captures are looked for when `DETECTOR_CAPTURES` is not set, seen from the workspace root.
const DEFAULT_CAPTURES: &str = "../shared/captures";

/// Fails unless the process runs as root.
pub fn require_root() -> Result<()> {
    ensure!(
        geteuid().is_root(),
        "this needs root: network namespaces and BPF programs are root's to make"
    );
    Ok(())
}

/// Fails unless the process runs as root and the kernel takes an XDP program.
pub fn require_kernel() -> Result<()> {
    require_root()?;
    let supported = is_program_supported(ProgramType::Xdp).context("the kernel refuses BPF")?;
    ensure!(supported, "the kernel has no XDP programs");
    Ok(())
}

/// Whether a test that needs root and BPF can run; if not, says that it is skipped.
///
/// # Panics
///
/// If it cannot run and `DETECTOR_REQUIRE_KERNEL` is 1.
#[must_use]
pub fn kernel_or_skip(test: &str) -> bool {
    let Err(missing) = require_kernel() else {
        return true;
    };
    assert!(
        !is_set("DETECTOR_REQUIRE_KERNEL"),
        "{test} must run because DETECTOR_REQUIRE_KERNEL=1, but {missing:#}"
    );
    say(&format!("SKIPPED (needs root and BPF): {test}"));
    false
}

/// Whether a test of frames that lie in several pieces can run, which Linux has since 5.18; if not, says that it is skipped.
///
/// # Panics
///
/// As [`kernel_or_skip`]; but not if it is only the kernel that has none.
#[must_use]
pub fn frags_or_skip(test: &str) -> bool {
    if !kernel_or_skip(test) {
        return false;
    }
    let has_frags = has_frags();
    if !has_frags {
        say(&format!(
            "SKIPPED (the kernel gives programs no frames in several pieces): {test}"
        ));
    }
    has_frags
}

/// The folder of captures if there is one; if not, says that the test is skipped.
///
/// # Panics
///
/// If there is none and `DETECTOR_REQUIRE_CAPTURES` is 1.
#[must_use]
pub fn captures_or_skip(test: &str) -> Option<PathBuf> {
    let found = captures();
    assert!(found.is_ok(), "{test} must run: {found:?}");
    let found = found.ok().flatten();
    if found.is_none() {
        let shown = captures_folder();
        let shown = shown.display();
        say(&format!(
            "SKIPPED (needs captures in {shown}, or where DETECTOR_CAPTURES says): {test}"
        ));
    }
    found
}

/// The folder of captures if there is one; fails if there is none and `DETECTOR_REQUIRE_CAPTURES` is 1.
pub fn captures() -> Result<Option<PathBuf>> {
    let folder = captures_folder();
    if folder.is_dir() {
        return Ok(Some(folder));
    }
    ensure!(
        !is_set("DETECTOR_REQUIRE_CAPTURES"),
        "DETECTOR_REQUIRE_CAPTURES=1, but there is no folder {}",
        folder.display()
    );
    Ok(None)
}

/// Where public captures are, if they are there. A relative folder is meant from the workspace root, wherever cargo runs
/// the test.
fn captures_folder() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    workspace.join(env::var_os("DETECTOR_CAPTURES").unwrap_or_else(|| DEFAULT_CAPTURES.into()))
}

/// Whether tshark is there; if not, says that the test is skipped.
///
/// # Panics
///
/// If it is not and `DETECTOR_REQUIRE_CAPTURES` is 1, for it is captures that it reads.
#[must_use]
pub fn tshark_or_skip(test: &str) -> bool {
    let version = Command::new("tshark").arg("--version").output();
    if version.is_ok_and(|output| output.status.success()) {
        return true;
    }
    assert!(
        !is_set("DETECTOR_REQUIRE_CAPTURES"),
        "{test} must run because DETECTOR_REQUIRE_CAPTURES=1, but there is no tshark: run `cargo xtask setup`"
    );
    say(&format!("SKIPPED (needs tshark): {test}"));
    false
}

/// Whether Suricata is there; if not, says that the test is skipped.
///
/// # Panics
///
/// If it is not and `DETECTOR_REQUIRE_CAPTURES` is 1, for it is captures that it reads.
#[must_use]
pub fn suricata_or_skip(test: &str) -> bool {
    let version = suricata::command().arg("-V").output();
    if version.is_ok_and(|output| output.status.success()) {
        return true;
    }
    assert!(
        !is_set("DETECTOR_REQUIRE_CAPTURES"),
        "{test} must run because DETECTOR_REQUIRE_CAPTURES=1, but there is no Suricata: `cargo xtask test` fetches it"
    );
    say(&format!("SKIPPED (needs Suricata): {test}"));
    false
}

fn is_set(variable: &str) -> bool {
    env::var_os(variable).is_some_and(|value| value == "1")
}

/// Writes past the test harness, which shows what a passing test prints to nobody.
fn say(line: &str) {
    // A closed standard error must not fail the test that is being skipped.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
