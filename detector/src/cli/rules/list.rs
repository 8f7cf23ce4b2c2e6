//! `detector rules list`: which rules are in force.

use std::path::PathBuf;

use clap::Args;
use comfy_table::Table;
use serde::Serialize;

use super::counted::{Agent, Counted, Counts};
use crate::{
    cli::{partial::Partial, table},
    exit::{Exit, Failure, OrExit as _},
    output::{self, FileName, Format, SCHEMA_VERSION},
    rules::{Entry, Rule, RuleSet},
    settings::Settings,
    tables::HashSeed,
    text::Shown,
};

/// Lists the rules that are in force with a configuration: our own, unless it leaves them out, and those of its files
///
/// Of those that a packet matches, one that passes goes before one that drops, and that before one that alerts; of these the first in this
/// list is its finding. What a running agent counted of each since it started is told, too.
#[derive(Debug, Args)]
#[command(after_long_help = JSON_HELP)]
pub(super) struct Arguments {
    /// The configuration, in TOML; without one, what is in force by default
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    partial: Partial,
    /// The form of the list
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
    #[command(flatten)]
    agent: Agent,
}

const JSON_HELP: &str = "\
The JSON object:
  schema_version  1
  rules           [{sid, gid, rev, msg, severity, action, protocol, file, line, partial, counted}]
    partial         what is decided in the agent of it; null if nothing is
    counted         {packets, bytes, dropped, last}: what the running agent counted since it started; null if none runs";

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let mut settings =
        Settings::of_command_line(arguments.config.as_deref(), false).or_exit(Exit::Usage)?;
    arguments.partial.apply(&mut settings);
    let (tables, set) = settings.tables(HashSeed::FIXED).or_exit(Exit::Usage)?;
    let counts = arguments.agent.counts()?;
    let rules = set.rules.iter().filter_map(|rule| {
        let slot = tables.book.slot(rule)?;
        let entry = tables.book.get(slot)?;
        Some(Listed::of(rule, entry, &set, counts.as_ref()))
    });
    let rules: Vec<_> = rules.collect();
    match arguments.output {
        Format::Human => output::print(|out| {
            writeln!(out, "{}", human(&rules).trim_fmt())?;
            match rules.iter().find_map(|rule| rule.partial) {
                Some(partly) => writeln!(out, "\npartial: {partly}"),
                None => Ok(()),
            }
        })?,
        Format::Json => output::print_json(&Listing {
            schema_version: SCHEMA_VERSION,
            rules,
        })?,
    };
    Ok(Exit::Fine)
}

#[derive(Serialize)]
struct Listing<'s> {
    schema_version: u32,
    rules: Vec<Listed<'s>>,
}

#[derive(Serialize)]
struct Listed<'s> {
    sid: u32,
    gid: u32,
    rev: u32,
    msg: &'s str,
    severity: &'static str,
    action: &'static str,
    protocol: &'static str,
    file: Option<&'s FileName>,
    line: usize,
    partial: Option<&'static str>,
    counted: Option<Counted>,
}

impl<'s> Listed<'s> {
    fn of(rule: &Rule, entry: &'s Entry, set: &'s RuleSet, counts: Option<&Counts>) -> Self {
        Self {
            sid: entry.sid,
            gid: entry.gid,
            rev: entry.rev,
            msg: &entry.name,
            severity: entry.severity.name(),
            action: rule.header.action.name(),
            protocol: rule.header.protocol.name(),
            file: set.files.get(rule.origin.file),
            line: rule.origin.line,
            partial: rule.partly(),
            counted: counts.map(|counts| counts.get(entry.gid, entry.sid)),
        }
    }
}

fn human(rules: &[Listed<'_>]) -> Table {
    const COUNTED: [&str; 4] = ["packets", "bytes", "dropped", "last"];
    let mut columns = vec!["sid", "msg", "severity", "action", "protocol", "from"];
    if rules.iter().any(|rule| rule.counted.is_some()) {
        columns.extend(COUNTED);
    }
    let mut table = table::with_header(&columns);
    for rule in rules {
        let from = rule
            .file
            .map_or_else(String::new, |file| format!("{file}:{}", rule.line));
        let msg = Shown::from(rule.msg).to_string();
        let mut row = vec![
            rule.sid.to_string(),
            msg,
            rule.severity.to_owned(),
            match rule.partial {
                Some(_) => format!("{} (partial)", rule.action),
                None => rule.action.to_owned(),
            },
            rule.protocol.to_owned(),
            from,
        ];
        if let Some(counted) = rule.counted {
            let last = counted.last.map(|last| last.to_string());
            row.extend([counted.packets, counted.bytes, counted.dropped].map(|n| n.to_string()));
            row.push(last.unwrap_or_default());
        }
        table.add_row(row);
    }
    table
}
