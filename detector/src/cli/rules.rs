//! `detector rules`: files of rules.

mod check;
mod counted;
mod list;
mod reload;
mod rule_id;
mod show;
mod test;

use clap::{Args, Subcommand};

use crate::exit::{Exit, Failure};

/// Reads rules in the language of Snort and Suricata
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Arguments),
    List(list::Arguments),
    Reload(reload::Arguments),
    Show(show::Arguments),
    Test(test::Arguments),
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    match &arguments.command {
        Command::Check(arguments) => check::run(arguments),
        Command::List(arguments) => list::run(arguments),
        Command::Reload(arguments) => reload::run(arguments),
        Command::Show(arguments) => show::run(arguments),
        Command::Test(arguments) => test::run(arguments),
    }
}
