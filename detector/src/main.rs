//! The binary: a command line in, an exit code and at most one line of error out.

use std::process::ExitCode;

use clap::Parser as _;
use detector::{cli, output::complain};

fn main() -> ExitCode {
    match cli::run(cli::Arguments::parse()) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            complain(format_args!("{:#}", failure.error));
            failure.exit.into()
        }
    }
}
