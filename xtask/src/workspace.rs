//! Where the workspace and its build output are.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use xtask::bpf;

/// Gives the workspace's top directory.
pub(crate) fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// Gives the directory of a profile's binaries: beside this program's own, which cargo has put where the user's
/// configuration says.
pub(crate) fn binaries(profile: &str) -> Result<PathBuf> {
    let own = env::current_exe().context("cannot find the path of this program")?;
    let directory = own.parent().context("this program is in no directory")?;
    Ok(directory.with_file_name(profile))
}

/// Gives cargo's target directory.
pub(crate) fn target_dir() -> Result<PathBuf> {
    Ok(bpf::target_dir(&binaries("debug")?).to_owned())
}
