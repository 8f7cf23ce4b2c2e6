//! `detector rules show`: everything of one rule.

use std::{io, path::PathBuf};

use clap::Args;
use serde::Serialize;

use super::{
    counted::{Agent, Counted},
    rule_id::{NoRule, RuleId},
};
use crate::{
    cli::partial::Partial,
    exit::{Exit, Failure, OrExit as _},
    output::{self, FileName, Format, SCHEMA_VERSION, complain},
    rules::{Explained, FILE_MAX, Rule, Severity, WORMS, explain, remarks},
    settings::Settings,
    tables::{HashSeed, Tables},
    text::{Shown, read_bounded},
};

/// Tells everything of one rule: what it says, for whom it is, how it is found and what it asks; and what a running agent counted of it
#[derive(Debug, Args)]
#[command(after_long_help = JSON_HELP)]
pub(super) struct Arguments {
    /// The number of the rule, as SID or GID:SID
    #[arg(value_name = "SID")]
    id: RuleId,
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
    #[command(flatten)]
    agent: Agent,
}

const JSON_HELP: &str = "\
The JSON object:
  schema_version                  1
  sid, gid, rev, msg, severity    the rule
  action, protocol, file, line    what is done, with what, and where it stands
  remarks                         [{keyword, value}]: what asks nothing of a packet, as reference and classtype
  slot                            where it is counted; null if it is refused
  refused                         why it is refused; null if it is not
  partial                         what is decided in the agent of it; null if nothing is
  found_by                        {pattern, stride, windows}: the content that it is found by, at every how many bytes a window is looked at
                                  for that, and the four bytes that are looked for; null if it is asked of every packet of its ports
  ways                            [{source, source_ports, destination, destination_ports, groups, operations}]: with variables resolved
    groups                        [{traffic, ports}]: the groups of ports that it is one of
    operations                    [TEXT]: what is asked, and where it goes on; not stable
  counted                         {packets, bytes, dropped, last}: what the running agent counted since it started; null if none runs

Exit codes: 0 it can be told of, 2 wrong command line or configuration, or no such rule, 10 it is refused.";

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let mut settings =
        Settings::of_command_line(arguments.config.as_deref(), false).or_exit(Exit::Usage)?;
    arguments.partial.apply(&mut settings);
    settings.rules.files.extend(arguments.rules.iter().cloned());
    let set = settings.load_rules().or_exit(Exit::Usage)?;
    let rule = arguments.id.find(&set).or_exit_as(NoRule::exit)?;
    let variables = settings.variables();
    // All of them, for groups of ports are those of all.
    let tables = Tables::new(settings.config(), HashSeed::FIXED, &set.rules, &variables);
    let counts = arguments.agent.counts()?;
    let mut refused = tables.refused.iter();
    let refused = refused.find(|(index, _)| set.rules.get(*index) == Some(rule));
    let answer = Answer {
        schema_version: SCHEMA_VERSION,
        sid: rule.sid,
        gid: rule.gid,
        rev: rule.rev,
        msg: Shown::from(&*rule.msg).to_string(),
        severity: Severity::of(rule.priority).name(),
        action: rule.header.action.name(),
        protocol: rule.header.protocol.name(),
        file: set.files.get(rule.origin.file),
        line: rule.origin.line,
        remarks: remarks_of(rule, &settings),
        refused: refused.map(|(_, problem)| problem.to_string()),
        partial: rule.partly(),
        explained: explain(rule, &tables, &variables),
        counted: counts.map(|counts| counts.get(rule.gid, rule.sid)),
    };
    match arguments.output {
        Format::Human => output::print(|out| answer.write(out))?,
        Format::Json => output::print_json(&answer)?,
    };
    Ok(match &answer.refused {
        None => Exit::Fine,
        Some(why) => {
            complain(format_args!("rule {} is refused: {why}", rule.number()));
            Exit::Found
        }
    })
}

/// What stands in the file besides, which is read once more: few rules are shown, and many are loaded.
fn remarks_of(rule: &Rule, settings: &Settings) -> Vec<Remark> {
    let ours = usize::from(settings.rules.worms);
    let bytes = match rule.origin.file.checked_sub(ours) {
        None => Some(WORMS.as_bytes().to_vec()),
        Some(index) => settings
            .rules
            .files
            .get(index)
            .and_then(|path| read_bounded(path, FILE_MAX).ok()),
    };
    let remarks = remarks(&bytes.unwrap_or_default(), rule.origin.line);
    let remarks = remarks.into_iter();
    remarks
        .map(|(keyword, value)| Remark { keyword, value })
        .collect()
}

#[derive(Serialize)]
struct Answer<'s> {
    schema_version: u32,
    sid: u32,
    gid: u32,
    rev: u32,
    msg: String,
    severity: &'static str,
    action: &'static str,
    protocol: &'static str,
    file: Option<&'s FileName>,
    line: usize,
    remarks: Vec<Remark>,
    refused: Option<String>,
    partial: Option<&'static str>,
    #[serde(flatten)]
    explained: Explained,
    counted: Option<Counted>,
}

#[derive(Serialize)]
struct Remark {
    keyword: &'static str,
    value: String,
}

impl Answer<'_> {
    fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let Self {
            sid, gid, rev, msg, ..
        } = self;
        write!(out, "rule {gid}:{sid}, revision {rev}")?;
        if !msg.is_empty() {
            write!(out, ": {msg}")?;
        }
        writeln!(out, "\n")?;
        let mut line = |name: &str, value: &str| writeln!(out, "{name:<12} {value}");
        if let Some(file) = self.file {
            line("stands at", &format!("{file}:{}", self.line))?;
        }
        line("action", self.action)?;
        line("severity", self.severity)?;
        if let Some(partly) = self.partial {
            line("partial", partly)?;
        }
        for Remark { keyword, value } in &self.remarks {
            line(keyword, value)?;
        }
        if let Some(refused) = &self.refused {
            return line("refused", refused);
        }
        if let Some(slot) = self.explained.slot {
            line("counted in", &format!("slot {slot}"))?;
        }
        if let Some(threshold) = &self.explained.threshold {
            line("counts", threshold)?;
        }
        if !self.explained.flow_bits.is_empty() {
            line("bits", &self.explained.flow_bits.join("; "))?;
        }
        if self.explained.is_silent {
            line("noalert", "it is counted, and never told")?;
        }
        match &self.explained.found_by {
            Some(found) => {
                let pattern = Shown::from(&*found.pattern);
                let every = match found.stride {
                    1 => "byte".to_owned(),
                    stride => format!("{stride} bytes"),
                };
                let windows = found.windows.join(", ");
                line(
                    "found by",
                    &format!("{pattern}, looked for at every {every}: {windows}"),
                )?;
            }
            None => line(
                "found by",
                "nothing: it is asked of every packet of its ports",
            )?,
        }
        for way in &self.explained.ways {
            let groups = way.groups.iter();
            let groups: Vec<_> = groups
                .map(|group| format!("{} {}", group.traffic, group.ports))
                .collect();
            line(
                "\nheader",
                &format!(
                    " {} {} {} -> {} {}",
                    self.protocol,
                    way.source,
                    way.source_ports,
                    way.destination,
                    way.destination_ports
                ),
            )?;
            line("groups", &groups.join("; "))?;
            for (number, operation) in way.operations.iter().enumerate() {
                let name = if number == 0 { "asks" } else { "" };
                line(name, operation)?;
            }
        }
        if let Some(counted) = &self.counted {
            let Counted {
                packets,
                bytes,
                dropped,
                last,
            } = counted;
            let last = last.map_or_else(String::new, |last| format!(", the last at {last}"));
            line(
                "\ncounted",
                &format!(" {packets} packets, {bytes} bytes, {dropped} dropped{last}"),
            )?;
        }
        Ok(())
    }
}
