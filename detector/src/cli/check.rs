//! `detector check`: whether a configuration can be used, and what should be known of it first.

use std::path::PathBuf;

use clap::Args;

use crate::{
    exit::{Exit, Failure, OrExit as _},
    output::complain,
    settings::Settings,
    tables::HashSeed,
};

/// Reads a configuration as `run` would, and says what is wrong or dangerous about it
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration, in TOML
    #[arg(value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let settings = Settings::load(&arguments.config).or_exit(Exit::Usage)?;
    let (_, rules) = settings.tables(HashSeed::FIXED).or_exit(Exit::Usage)?;
    for warning in settings.warnings().into_iter().chain(rules.warnings()) {
        complain(format_args!("warning: {warning}"));
    }
    Ok(Exit::Fine)
}
