//! Suricata for `cargo xtask bench` and `test`, unpacked from Debian's backports and never installed.
//!
//! Debian 12 itself has no Suricata any more. Its package would start a service on the machine's own interface; unpacked,
//! it is a program and its libraries in a directory.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use xtask::program;

use crate::archive::{self, Archive};
use crate::setup::machine;
use crate::workspace;

/// Sees to it that there is a Suricata; where that fails, says so and no more: it is a peer and a referee, and no part of us.
pub(crate) fn prepare() {
    if let Err(error) = unpack() {
        eprintln!("setup: without Suricata: {error:#}");
    }
}

/// Makes `target/suricata/root/usr/bin/suricata`, unless there is a Suricata already.
fn unpack() -> Result<()> {
    let directory = workspace::target_dir()?.join("suricata");
    let root = directory.join("root");
    let is_there =
        || program::find("suricata").is_some() || root.join("usr/bin/suricata").is_file();
    if is_there() {
        return Ok(());
    }
    eprintln!("setup: fetching Suricata, about ten seconds");
    let (release, backports) = (machine::release()?, machine::backports()?);
    let archive = Archive::open(&directory.join("apt"), &[&release, &backports])?;
    // Another run may have unpacked it while this one waited for the archive.
    if is_there() {
        return Ok(());
    }
    let packages = directory.join("packages");
    // Unpacked beside its place and moved there whole: what is there is complete.
    let unfinished = directory.join("unfinished");
    let _ = fs::remove_dir_all(&unfinished);
    for package in archive.download_with_dependencies("suricata", &backports, &packages)? {
        archive::unpack(&package, &unfinished)?;
    }
    ensure!(
        unfinished.join("usr/bin/suricata").is_file(),
        "apt-get has not fetched the package suricata"
    );
    fs::rename(&unfinished, &root).with_context(|| format!("cannot make {}", root.display()))?;
    fs::remove_dir_all(&packages)?;
    Ok(())
}
