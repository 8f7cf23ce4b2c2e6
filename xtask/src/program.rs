//! Where programs are on this machine: the directories of `PATH`, then cargo's own, then those of the system's programs.
//!
//! Cargo's directory counts even where the user's shell does not name it, since `cargo install` puts programs there; and
//! Debian names the system's only to root.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const SYSTEM: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Gives the first program of this name.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    find_all(name).into_iter().next()
}

/// Gives every program of this name, in the order a shell would look them up, then where a shell may not look.
#[must_use]
pub fn find_all(name: &str) -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<PathBuf> = Vec::new();
    let system = SYSTEM.iter().map(PathBuf::from);
    for directory in env::split_paths(&path).chain(cargo_bin()).chain(system) {
        let file = directory.join(name);
        if file.is_file() && !found.contains(&file) {
            found.push(file);
        }
    }
    found
}

/// Gives the cargo that runs this process, or the one of `PATH`.
#[must_use]
pub fn cargo() -> PathBuf {
    env::var_os("CARGO")
        .unwrap_or_else(|| OsString::from("cargo"))
        .into()
}

/// Gives what a program prints on its standard output, or nothing where it cannot be run or fails.
#[must_use]
pub fn output_of(program: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        // Asking rustup about a toolchain must not make it download one.
        .env("RUSTUP_AUTO_INSTALL", "0")
        .output()
        .ok()?;
    if !output.status.success() {
        return None;
    }
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn cargo_bin() -> Option<PathBuf> {
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")))?;
    Some(home.join("bin"))
}
