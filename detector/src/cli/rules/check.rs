//! `detector rules check`: what is wrong with files of rules, and what should be known of them.

mod human;
mod report;

use std::path::PathBuf;

use clap::Args;
use detector_common::config::Config;

use self::report::Report;
use crate::{
    cli::partial::Partial,
    exit::{Exit, Failure, OrExit as _},
    output::{self, Format},
    rules::{
        RuleSet,
        check::{costs, warnings},
    },
    settings::Settings,
    tables::{HashSeed, Tables},
};

/// Says of each rule that is refused where it stands and why; exits with 10 if there is any
///
/// Warns of rules that can never match, and of those that are never the finding because another one matches whatever they match and goes
/// before them, and of those for which many packets are handed to the agent; tells what the rules cost, and which are to blame. Of what is not warned of, nothing is proven.
#[derive(Debug, Args)]
#[command(after_long_help = JSON_HELP)]
pub(super) struct Arguments {
    /// Files of rules
    #[arg(value_name = "FILE", required_unless_present = "config")]
    files: Vec<PathBuf>,
    /// The configuration, in TOML: what variables stand for, and which rules these are to be together with
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    partial: Partial,
    /// In which form to answer
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

const JSON_HELP: &str = "\
The JSON object:
  schema_version  1
  taken           rules that are taken
  partial         [{sid, gid, file, line}]: those of them of which a part is decided in the agent, so that they only alert
  refused         [{file, line, column, sid, gid, topic, topics, wrong, why}]: sid and gid are null where no sid can be read; topic is the keyword, or a
                  word for what is wrong, topics all of them, that one first; with one that is wrong the agent does not start
  left_out        rules that were refused besides, of which nothing more is told
  wrong           how many of both are wrong
  topics          [{topic, rules}]: how many were refused for what, those left out too, the most first; a rule counts for all that it is refused for
  same_files      [{file, first}]: files that were named already, as first, and read once
  warnings        [{sid, gid, file, line, kind, why, by}]: kind is never, handed_over, or shadowed by the rule {sid, gid, file, line}; by is null of
                  another
  not_compared    rules that were not compared with all others, because too many are alike
  costs           [{traffic, ports, rules, stride, windows, dense, always}]: for each group of ports, the dearest first
    traffic, ports  tcp to, tcp from, udp to, udp from or icmp; as a rule could say them
    rules           how many look at them
    stride          at every how many bytes a payload is looked at: 4, 2 or 1; 0 if no rule looks for a content of four bytes or more
    windows         how often one of 1460 bytes is looked at: 365 is once at every fourth byte
    dense           [{sid, gid, file, line, stride}]: the rules that forbid a stride of 4
    always          [{sid, gid, file, line}]: the rules that are asked of every packet, for they have no such content

Exit codes: 0 all are taken, whatever is warned of, 1 a file cannot be read, 2 wrong command line or configuration, 10 a rule is refused.";

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    // Without a configuration the variables are those that everybody has.
    let (mut settings, worms) = match &arguments.config {
        Some(path) => {
            let settings = Settings::load(path).or_exit(Exit::Usage)?;
            let worms = settings.rules.worms;
            (settings, worms)
        }
        None => (Settings::default(), false),
    };
    arguments.partial.apply(&mut settings);
    let allow_partial = settings.rules.allow_partial;
    let mut files = settings.rules.files.clone();
    // One that the configuration names already is no duplicate of itself.
    let further = arguments.files.iter();
    files.extend(
        further
            .filter(|file| !settings.rules.files.contains(file))
            .cloned(),
    );
    let mut set = RuleSet::load_as(allow_partial, worms, &files).or_exit(Exit::Failed)?;
    let variables = settings.variables();
    // What compiles is known only when it does.
    let tables = Tables::new(Config::DEFAULT, HashSeed::FIXED, &set.rules, &variables);
    set.refuse_compiled(&tables.refused);
    let warnings = warnings(&set, &tables, &variables);
    let costs = costs(&set, &tables, &variables);
    let report = Report::of(&set, &warnings, &costs);
    match arguments.output {
        Format::Human => output::print(|out| human::write(&report, out))?,
        Format::Json => output::print_json(&report)?,
    };
    Ok(if report.refused.is_empty() {
        Exit::Fine
    } else {
        Exit::Found
    })
}
