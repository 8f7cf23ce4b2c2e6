//! `detector rules test`: one rule over a capture.

use std::{io, path::PathBuf};

use anyhow::anyhow;
use clap::Args;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use super::rule_id::RuleId;
use crate::{
    cli::{partial::Partial, table},
    exit::{Exit, Failure, OrExit as _},
    output::{self, Format, SCHEMA_VERSION, complain},
    replay::{MATCHES_MAX, RuleReport, replay_rule},
    rules::Rule,
    settings::Settings,
    text::Shown,
};

/// The most packets that are listed for people; JSON has more.
const ROWS_MAX: usize = 50;

/// Runs one rule over a capture and says which packets match, or how far they come; exits with 10 if any does
///
/// The rule is looked for among those that are in force with a configuration and those of further files. It runs alone: a rule that goes
/// before it, or a detector that is off, changes nothing here.
///
/// Of a broken capture, what stands before the damage is judged; a warning says where it broke, and the exit code is 1.
#[derive(Debug, Args)]
#[command(after_long_help = JSON_HELP)]
pub(super) struct Arguments {
    /// The number of the rule, as SID or GID:SID
    #[arg(value_name = "SID")]
    id: RuleId,
    /// pcap or pcapng, plain or gzip; `-` is standard input
    #[arg(value_name = "CAPTURE")]
    capture: PathBuf,
    /// The configuration, in TOML; without one, what is in force by default
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    partial: Partial,
    /// A file of rules besides; may be said again
    #[arg(long, value_name = "FILE")]
    rules: Vec<PathBuf>,
    /// In which form to answer
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

const JSON_HELP: &str = "\
The JSON object:
  schema_version  1
  sid, gid, msg   the rule
  file, error     the capture; why it was not read to its end, or null
  packets         packets in it
  matched         packets that match
  undecided       packets of which something was left undecided, because the work for one packet is bounded
  matches         [{packet, time, protocol, source, source_port, destination, destination_port}]: the first 100000, by their number from 1
  steps           [{asks, packets, first}]: what the rule asks, one thing after the other; how many packets got past that and all before it,
                  and the number of the first

Exit codes: 0 no packet matches, 1 the capture could not be read to its end, 2 wrong command line, configuration or rule, 10 a packet matches.";

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let mut settings =
        Settings::of_command_line(arguments.config.as_deref(), false).or_exit(Exit::Usage)?;
    arguments.partial.apply(&mut settings);
    settings.rules.files.extend(arguments.rules.iter().cloned());
    let set = settings.load_rules().or_exit(Exit::Usage)?;
    let rule = arguments.id.find(&set).or_exit(Exit::Usage)?;
    let report = replay_rule(&arguments.capture, rule, &settings.variables())?;
    let report = report
        .map_err(|problem| anyhow!("rule {} is refused: {problem}", arguments.id))
        .or_exit(Exit::Usage)?;
    if let Some(error) = &report.error {
        complain(error);
    }
    match arguments.output {
        Format::Human => output::print(|out| write(rule, &report, out))?,
        Format::Json => output::print_json(&Answer {
            schema_version: SCHEMA_VERSION,
            sid: rule.sid,
            gid: rule.gid,
            msg: Shown::from(&*rule.msg).to_string(),
            report: &report,
        })?,
    };
    Ok(match (&report.error, report.matched) {
        (Some(_), _) => Exit::Failed,
        (None, 0) => Exit::Fine,
        (None, _) => Exit::Found,
    })
}

#[derive(Serialize)]
struct Answer<'r> {
    schema_version: u32,
    sid: u32,
    gid: u32,
    msg: String,
    #[serde(flatten)]
    report: &'r RuleReport,
}

fn write(rule: &Rule, report: &RuleReport, out: &mut dyn io::Write) -> io::Result<()> {
    let RuleReport {
        file,
        packets,
        matched,
        undecided,
        ..
    } = report;
    let name = Shown::from(&*rule.msg);
    writeln!(
        out,
        "{file}: {matched} of {packets} packets match rule {} ({name})\n",
        rule.number()
    )?;
    if *matched > 0 {
        writeln!(out, "{}\n", matches(report).trim_fmt())?;
    }
    let more = matched.saturating_sub(ROWS_MAX as u64);
    if more > 0 {
        writeln!(out, "… and {more} more: -o json lists {MATCHES_MAX}\n")?;
    }
    writeln!(out, "{}", steps(report).trim_fmt())?;
    if *undecided > 0 {
        writeln!(
            out,
            "\n{undecided} packets were not decided to their end: the work for one packet is bounded"
        )?;
    }
    Ok(())
}

fn matches(report: &RuleReport) -> Table {
    let mut table = table::with_header(&["packet", "time", "protocol", "source", "destination"]);
    let place = |ip: &std::net::IpAddr, port: Option<u16>| match port {
        Some(port) => format!("{ip} {port}"),
        None => ip.to_string(),
    };
    for found in report.matches.iter().take(ROWS_MAX) {
        table.add_row([
            found.packet.to_string(),
            found.time.to_string(),
            found.protocol.to_owned(),
            place(&found.source, found.source_port),
            place(&found.destination, found.destination_port),
        ]);
    }
    align_right(&mut table);
    table
}

/// How many packets came how far.
fn steps(report: &RuleReport) -> Table {
    let mut table = table::with_header(&["packets", "first", "got past"]);
    table.add_row([
        report.packets.to_string(),
        String::new(),
        "all of the capture".to_owned(),
    ]);
    for step in &report.steps {
        table.add_row([
            step.packets.to_string(),
            step.first
                .map(|first| first.to_string())
                .unwrap_or_default(),
            Shown::from(&*step.asks).to_string(),
        ]);
    }
    align_right(&mut table);
    table
}

fn align_right(table: &mut Table) {
    if let Some(column) = table.column_mut(0) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}
