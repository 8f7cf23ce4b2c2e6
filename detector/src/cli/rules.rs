//! `detector rules`: files of rules.

use std::{cmp::Reverse, collections::BTreeMap, io, path::PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::{
    exit::{Exit, Failure, OrExit as _},
    output::{self, FileName, Format, SCHEMA_VERSION},
    rules::RuleSet,
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
}

/// Says of each rule that is refused where it stands and why; exits with 10 if there is any
///
/// The agent does not run rules yet: what is taken here is what it will run.
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
    let Command::Check(check) = &arguments.command;
    let set = RuleSet::load(&check.files).or_exit(Exit::Failed)?;
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
