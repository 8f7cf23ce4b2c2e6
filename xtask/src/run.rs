//! Running other programs: each is shown before it starts, and a failure names it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use xtask::program;

use crate::workspace;

/// Gives a cargo command in the workspace.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(program::cargo());
    command.current_dir(workspace::root()).args(arguments);
    command
}

/// Runs a command to its end.
pub(crate) fn status(command: Command) -> Result<()> {
    let shown = show(&command);
    eprintln!("$ {shown}");
    finish(command, &shown)
}

/// Runs a command whose arguments alone do not say what it does, under a name.
pub(crate) fn named(name: &str, command: Command) -> Result<()> {
    eprintln!("# {name}");
    finish(command, name)
}

/// Becomes the command, so that a Ctrl-C and the exit code are its own.
pub(crate) fn replace(mut command: Command) -> Result<()> {
    let shown = show(&command);
    eprintln!("$ {shown}");
    Err(command.exec()).with_context(|| format!("cannot run {shown}"))
}

/// Builds detector and a program of package detector-tests in release mode, and gives the command that runs it.
pub(crate) fn release_program(name: &str, arguments: &[OsString]) -> Result<Command> {
    build_bins(&["--release", "--bin=detector", "--bin", name])?;
    let binaries = workspace::binaries("release")?;
    let mut command = Command::new(binaries.join(name));
    command
        .args(arguments)
        .env("DETECTOR_BIN", binaries.join("detector"));
    Ok(command)
}

/// Builds binaries of the workspace.
///
/// They are named without their packages: then cargo unites the features of all packages, as it does for `cargo test`,
/// and no command compiles a dependency again because another one chose its features.
pub(crate) fn build_bins(arguments: &[&str]) -> Result<()> {
    status(cargo(&[&["build"], arguments].concat()))
}

fn finish(mut command: Command, name: &str) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot run {name}"))?;
    if !status.success() {
        bail!("{name}: {status}");
    }
    Ok(())
}

fn show(command: &Command) -> String {
    let program = command.get_program();
    let name = match std::path::Path::new(program).file_name() {
        Some(name) if program == program::cargo() => name,
        _ => program,
    };
    std::iter::once(name)
        .chain(command.get_args())
        .map(|part| part.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
