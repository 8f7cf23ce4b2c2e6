//! `detector replay`: captures through the classifier.

mod human;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use detector_common::config::Mode;

use crate::{
    cli::partial::Partial,
    exit::{Exit, Failure, OrExit as _},
    output::{self, Reader, complain},
    replay::{Replayed, Report, replay},
    settings::Settings,
    tables::{HashSeed, Tables},
};

/// Runs the classifier over captures; exits with 10 if it finds something
///
/// Each capture goes through a classifier of its own, with its time for a clock, and says what the gateway would have
/// said and done. Packets may be Ethernet or Linux cooked. To have a capture that was written in pieces judged as one,
/// join the pieces first: `mergecap -w - PIECE… | detector replay -`.
///
/// Of a broken capture, what stands before the damage is judged; a warning says where it broke, and the exit code is 1
/// even if something was found.
#[derive(Debug, Args)]
#[command(after_long_help = JSON_HELP)]
pub(super) struct Arguments {
    /// pcap or pcapng, plain or gzip; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// The form of the report
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: ReportFormat,

    /// The configuration; without it, the defaults
    #[arg(long, value_name = "TOML")]
    config: Option<PathBuf>,

    #[command(flatten)]
    partial: Partial,

    /// Drop what the policies say, as `mode = "enforce"` in the configuration does
    #[arg(long)]
    enforce: bool,
}

/// The forms of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    /// Tables for people; not stable
    #[default]
    Human,
    /// One JSON object for all captures; stable
    Json,
    /// After each capture, a JSON line for each finding, then one for the capture; stable
    Jsonl,
}

const JSON_HELP: &str = "\
The JSON object:
  schema_version, mode   1; monitor or enforce
  packets, bytes         on the wire, of all captures
  duration_s             from the first packet to the last; of several captures, the sum
  verdicts               {pass, drop, would_drop}: packets; would_drop are those
                         that passed because of the mode
  reasons                {NAME: packets}: why a packet got its verdict
  signatures             {NAME: {id, packets, bytes, dropped}}: what matched
  tallies                {NAME: count}: what befell the classifier's tables
  omitted                packets of findings beyond the first 100000 of a capture
  findings               [{file, interface, detector, signature, id, severity,
                         source {mac, ip, vlan}, count, dropped, first, last}], the earliest first
  files                  [{file, error, first, last, …}], with the counts of each as above
  warnings               [TEXT]: what could not be opened or read to its end

A JSON line has schema_version, a type, `finding` or `file`, and the fields of one entry of findings or files.

Exit codes: 0 nothing found, 1 a capture could not be read to its end, 2 wrong command line or configuration, 10 something found.";

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let mut settings = Settings::of_command_line(arguments.config.as_deref(), arguments.enforce)
        .or_exit(Exit::Usage)?;
    arguments.partial.apply(&mut settings);
    let (tables, rules) = settings.tables(HashSeed::FIXED).or_exit(Exit::Usage)?;
    for warning in rules.warnings() {
        complain(format_args!("warning: {warning}"));
    }
    let captures = Captures {
        files: &arguments.files,
        tables: &tables,
    };
    match arguments.output {
        ReportFormat::Human => captures.report(settings.mode, |report| {
            output::print(|out| human::write(report, out))
        }),
        ReportFormat::Json => captures.report(settings.mode, |report| output::print_json(report)),
        ReportFormat::Jsonl => captures.report_each(),
    }
}

/// The captures of a command line, and what they are judged by.
struct Captures<'a> {
    files: &'a [PathBuf],
    tables: &'a Tables,
}

impl Captures<'_> {
    /// Replays all, then prints one report; none if no capture could be opened.
    fn report(
        &self,
        mode: Mode,
        print: impl FnOnce(&Report<'_>) -> Result<Reader, output::OutputError>,
    ) -> Result<Exit, Failure> {
        let mut warnings = Vec::new();
        let mut all = Vec::new();
        for file in self.files {
            all.extend(self.replay(file, &mut warnings));
        }
        if !all.is_empty() {
            print(&Report::new(mode, &all, &warnings))?;
        }
        let found = all.iter().any(|replayed| !replayed.findings.is_empty());
        Ok(exit(&warnings, found))
    }

    /// Replays and prints one after the other.
    fn report_each(&self) -> Result<Exit, Failure> {
        let mut warnings = Vec::new();
        let mut found = false;
        for file in self.files {
            let Some(replayed) = self.replay(file, &mut warnings) else {
                continue;
            };
            found |= !replayed.findings.is_empty();
            let reader = output::print(|out| {
                let mut lines = replayed.lines();
                lines.try_for_each(|line| output::write_json_line(out, &line))
            })?;
            if reader == Reader::Gone {
                break;
            }
        }
        Ok(exit(&warnings, found))
    }

    /// Replays one capture, and says what is wrong with it.
    fn replay(&self, file: &Path, warnings: &mut Vec<String>) -> Option<Replayed> {
        let replayed = replay(file, self.tables);
        let warning = match &replayed {
            Ok(replayed) => replayed.report.error.clone(),
            Err(error) => Some(error.to_string()),
        };
        if let Some(warning) = warning {
            complain(&warning);
            warnings.push(warning);
        }
        replayed.ok()
    }
}

fn exit(warnings: &[String], found: bool) -> Exit {
    match (warnings, found) {
        ([], true) => Exit::Found,
        ([], false) => Exit::Fine,
        ([_, ..], _) => Exit::Failed,
    }
}
