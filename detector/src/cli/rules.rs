//! `detector rules`: files of rules.

use std::{cmp::Reverse, collections::BTreeMap, io, path::PathBuf};

use clap::{Args, Subcommand};
use comfy_table::Table;
use detector_common::config::Config;
use serde::Serialize;

use super::{SOCKET, table};
use crate::{
    agent::control::client::{self, ClientError},
    exit::{Exit, Failure, OrExit as _},
    output::{self, FileName, Format, SCHEMA_VERSION},
    rules::{Entry, Rule, RuleSet},
    settings::Settings,
    tables::{HashSeed, Tables},
    text::Shown,
};

/// Reads rules in the language of Snort and Suricata
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(Check),
    List(List),
    Reload(Reload),
}

/// Has the agent read its files of rules anew; if one is wrong, those before stay in force
///
/// A file that has changed is read anew without this, within some seconds; and so is each at SIGHUP.
#[derive(Debug, Args)]
struct Reload {
    /// Where the agent listens
    #[arg(long, value_name = "PATH", default_value = SOCKET)]
    socket: PathBuf,
}

/// Lists the rules that are in force with a configuration: our own, unless it leaves them out, and those of its files
///
/// Of those that a packet matches, one that passes goes before one that drops, and that before one that alerts; of these the first in this
/// list is its finding.
#[derive(Debug, Args)]
#[command(after_long_help = LIST_HELP)]
struct List {
    /// The configuration, in TOML; without one, what is in force by default
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The form of the list
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

const LIST_HELP: &str = "\
The JSON object:
  schema_version  1
  rules           [{sid, gid, rev, msg, severity, action, protocol, file, line}]";

/// Says of each rule that is refused where it stands and why; exits with 10 if there is any
#[derive(Debug, Args)]
#[command(after_long_help = JSON_HELP)]
struct Check {
    /// Files of rules
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// In which form to answer
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

const JSON_HELP: &str = "\
The JSON object:
  schema_version  1
  taken           rules that are taken
  refused         [{file, line, column, sid, topic, why}]: sid is null where none can be read; topic is the keyword, or a word for what is wrong
  left_out        rules that were refused besides, of which nothing more is told
  topics          [{topic, rules}]: how many were refused for what, the most first";

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    match &arguments.command {
        Command::Check(arguments) => check(arguments),
        Command::List(arguments) => list(arguments),
        Command::Reload(arguments) => reload(arguments),
    }
}

fn reload(arguments: &Reload) -> Result<Exit, Failure> {
    let (rules, warnings) = client::reload(&arguments.socket).or_exit_as(ClientError::exit)?;
    for warning in warnings {
        output::complain(format_args!("warning: {warning}"));
    }
    output::print(|out| writeln!(out, "Rules in force now: {rules}"))?;
    Ok(Exit::Fine)
}

fn list(arguments: &List) -> Result<Exit, Failure> {
    let settings =
        Settings::of_command_line(arguments.config.as_deref(), false).or_exit(Exit::Usage)?;
    let (tables, set) = settings.tables(HashSeed::FIXED).or_exit(Exit::Usage)?;
    let rules = set.rules.iter().filter_map(|rule| {
        let slot = tables.book.slot(rule)?;
        Some(Listed::of(rule, tables.book.get(slot)?, &set))
    });
    let rules: Vec<_> = rules.collect();
    match arguments.output {
        Format::Human => output::print(|out| writeln!(out, "{}", human(&rules).trim_fmt()))?,
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
}

impl<'s> Listed<'s> {
    fn of(rule: &Rule, entry: &'s Entry, set: &'s RuleSet) -> Self {
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
        }
    }
}

fn human(rules: &[Listed<'_>]) -> Table {
    let mut table = table::with_header(&["sid", "msg", "severity", "action", "protocol", "from"]);
    for rule in rules {
        let from = rule
            .file
            .map_or_else(String::new, |file| format!("{file}:{}", rule.line));
        let msg = Shown::from(rule.msg).to_string();
        table.add_row([
            &rule.sid.to_string(),
            &msg,
            rule.severity,
            rule.action,
            rule.protocol,
            &from,
        ]);
    }
    table
}

fn check(check: &Check) -> Result<Exit, Failure> {
    let mut set = RuleSet::load(&check.files).or_exit(Exit::Failed)?;
    // What compiles is known only when it does. The variables are those that everybody has.
    let tables = Tables::new(
        Config::DEFAULT,
        HashSeed::FIXED,
        &set.rules,
        &Settings::default().variables(),
    );
    set.refuse_compiled(&tables.refused);
    let report = Report::of(&set);
    match check.output {
        Format::Human => output::print(|out| report.write(out))?,
        Format::Json => output::print_json(&report)?,
    };
    Ok(if report.refused.is_empty() {
        Exit::Fine
    } else {
        Exit::Found
    })
}

#[derive(Serialize)]
struct Report<'s> {
    schema_version: u32,
    taken: usize,
    refused: Vec<Refused<'s>>,
    left_out: u64,
    topics: Vec<Topic<'s>>,
}

#[derive(Serialize)]
struct Refused<'s> {
    file: &'s FileName,
    line: usize,
    column: usize,
    sid: Option<u32>,
    topic: &'s str,
    why: String,
}

#[derive(Serialize)]
struct Topic<'s> {
    topic: &'s str,
    rules: usize,
}

impl<'s> Report<'s> {
    fn of(set: &'s RuleSet) -> Self {
        let mut topics: BTreeMap<&str, usize> = BTreeMap::new();
        for refusal in &set.refusals {
            *topics.entry(refusal.problem.topic()).or_default() += 1;
        }
        let topics = topics.into_iter();
        let mut topics: Vec<_> = topics
            .map(|(topic, rules)| Topic { topic, rules })
            .collect();
        topics.sort_by_key(|topic| Reverse(topic.rules));
        let refused = set.refusals.iter().filter_map(|refusal| {
            Some(Refused {
                file: set.files.get(refusal.origin.file)?,
                line: refusal.origin.line,
                column: refusal.column,
                sid: refusal.sid,
                topic: refusal.problem.topic(),
                why: refusal.problem.to_string(),
            })
        });
        Self {
            schema_version: SCHEMA_VERSION,
            taken: set.rules.len(),
            refused: refused.collect(),
            left_out: set.refusals_left_out,
            topics,
        }
    }

    fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        for refused in &self.refused {
            let sid = refused
                .sid
                .map_or_else(String::new, |sid| format!("rule {sid}: "));
            let Refused {
                file,
                line,
                column,
                why,
                ..
            } = refused;
            writeln!(out, "{file}:{line}:{column}: {sid}{why}")?;
        }
        write!(
            out,
            "{} rules taken, {} refused",
            self.taken,
            self.refused.len() as u64 + self.left_out
        )?;
        let topics: Vec<_> = self
            .topics
            .iter()
            .map(|topic| format!("{} {}", topic.rules, topic.topic))
            .collect();
        if topics.is_empty() {
            writeln!(out)
        } else {
            writeln!(out, ": {}", topics.join(", "))
        }
    }
}
