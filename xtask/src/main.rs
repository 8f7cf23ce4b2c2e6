//! `cargo xtask NAME`: every chore of detector, one file per command.
//!
//! A command that compiles starts with set-up, so that each of them works as the first one on a fresh machine.

mod archive;
mod bench;
mod build;
mod ci;
mod clippy;
mod demo;
mod fuzz;
mod kernels;
mod run;
mod setup;
mod suricata;
mod test;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", about, disable_help_subcommand = true)]
enum Command {
    /// Makes this machine ready: installs what is missing, and says what it cannot install
    Setup,
    /// Builds detector in release mode
    Build,
    /// Shows detector at work in a private network; `--pcap FILE` sends a capture of yours
    #[command(disable_help_flag = true)]
    Demo(PassedOn),
    /// Runs every test; arguments go to `cargo test`
    #[command(disable_help_flag = true)]
    Test(PassedOn),
    /// Measures what a packet costs, beside other firewalls; `--check` compares with the budget
    #[command(disable_help_flag = true)]
    Bench(PassedOn),
    /// Fuzzes everything for some seconds each; `fuzz differential` compares the kernel program with the host's
    Fuzz(fuzz::Arguments),
    /// Runs detector in Debian's kernels from 5.10 on, in virtual machines
    Kernels(kernels::Arguments),
    /// Lints everything, for the host and for BPF; a warning is an error
    Clippy,
    /// Runs what a change must pass: format, lints, tests, the oldest and the newest kernel, fuzzing, the costs' budget
    Ci,
}

#[derive(clap::Args)]
struct PassedOn {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

fn main() -> ExitCode {
    let result = match Command::parse() {
        Command::Setup => setup::report(),
        Command::Build => build::run(),
        Command::Demo(passed_on) => demo::run(&passed_on.arguments),
        Command::Test(passed_on) => test::run(&passed_on.arguments),
        Command::Bench(passed_on) => bench::run(&passed_on.arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Kernels(arguments) => kernels::run(&arguments),
        Command::Clippy => clippy::run(),
        Command::Ci => ci::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
