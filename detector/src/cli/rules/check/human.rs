//! What `detector rules check` tells, as people read it.

use std::io;

use comfy_table::Table;

use super::report::{Cost, Named, Refused, Report, Warned};
use crate::{
    cli::table,
    rules::{Number, PARTLY, check::FULL_PAYLOAD},
};

/// So many groups of ports are shown to people, and so many rules of each; `-o json` has all.
const GROUPS_MAX: usize = 20;
const BLAMED_MAX: usize = 8;
/// The most letters of a list of ports.
const PORTS_MAX: usize = 40;

/// Writes the report.
pub(super) fn write(report: &Report<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    for refused in &report.refused {
        let number = refused
            .number
            .map_or_else(String::new, |number| format!("rule {number}: "));
        let Refused {
            file,
            line,
            column,
            why,
            wrong,
            ..
        } = refused;
        let wrong = if *wrong { "wrong: " } else { "" };
        writeln!(out, "{file}:{line}:{column}: {wrong}{number}{why}")?;
    }
    for Named { number, file, line } in &report.partial {
        writeln!(out, "{file}:{line}: rule {number} is partial: {PARTLY}")?;
    }
    for same in &report.same_files {
        writeln!(out, "warning: {}", same.told)?;
    }
    for Warned { rule, why, by, .. } in &report.warnings {
        write!(
            out,
            "{}:{}: warning: rule {}: {why}",
            rule.file, rule.line, rule.number
        )?;
        if let Some(by) = by {
            write!(
                out,
                ": rule {} at {}:{} matches whatever it matches, and goes before it",
                by.number, by.file, by.line
            )?;
        }
        writeln!(out)?;
    }
    if report.not_compared > 0 {
        writeln!(
            out,
            "warning: {} rules were not compared with all others, for too many are alike",
            report.not_compared
        )?;
    }
    write!(
        out,
        "{} rules taken, {} refused",
        report.taken,
        report.refused.len() as u64 + report.left_out
    )?;
    let topics = report.topics.iter();
    let topics = topics.map(|topic| format!("{} {}", topic.rules, topic.topic));
    let not_listed = (report.left_out > 0).then(|| format!("{} not listed", report.left_out));
    let topics: Vec<_> = topics.chain(not_listed).collect();
    if !topics.is_empty() {
        write!(out, ": {}", topics.join(", "))?;
    }
    if !report.partial.is_empty() {
        let partial = report.partial.len();
        write!(out, "; {partial} of those that are taken partial")?;
    }
    if report.wrong > 0 {
        write!(
            out,
            "; {} wrong, with which the agent does not start",
            report.wrong
        )?;
    }
    match report.warnings.len() {
        0 => writeln!(out)?,
        1 => writeln!(out, "; 1 warning")?,
        warnings => writeln!(out, "; {warnings} warnings")?,
    }
    costs(&report.costs, out)
}

fn costs(costs: &[Cost<'_>], out: &mut dyn io::Write) -> io::Result<()> {
    if costs.is_empty() {
        return Ok(());
    }
    let (shown, more) = costs.split_at(costs.len().min(GROUPS_MAX));
    writeln!(out, "\n{}", table(shown).trim_fmt())?;
    if !more.is_empty() {
        writeln!(out, "… and {} groups of ports more: -o json", more.len())?;
    }
    for cost in shown {
        let Cost {
            traffic,
            dense,
            always,
            ..
        } = cost;
        let ports = ports(cost);
        if !dense.is_empty() {
            let rules = blamed(
                dense
                    .iter()
                    .map(|dense| (dense.rule.number, Some(dense.stride))),
            );
            writeln!(
                out,
                "\n{traffic} {ports}: to look at every fourth byte is not enough for {rules}"
            )?;
        }
        if !always.is_empty() {
            let rules = blamed(always.iter().map(|rule| (rule.number, None)));
            writeln!(
                out,
                "\n{traffic} {ports}: asked of every packet, for want of a content of 4 bytes or more: {rules}"
            )?;
        }
    }
    Ok(())
}

fn table(costs: &[Cost<'_>]) -> Table {
    let windows = format!("looks in {FULL_PAYLOAD} bytes");
    let mut table = table::with_header(&[
        "traffic",
        "ports",
        "rules",
        "asked of every packet",
        "looks at every",
        &windows,
    ]);
    for cost in costs {
        let stride = match cost.stride {
            0 => "-".to_owned(),
            1 => "byte".to_owned(),
            stride => format!("{stride} bytes"),
        };
        table.add_row([
            cost.traffic.to_owned(),
            ports(cost),
            cost.rules.to_string(),
            cost.always.len().to_string(),
            stride,
            cost.windows.to_string(),
        ]);
    }
    table
}

/// The ports, as far as there is room.
fn ports(cost: &Cost<'_>) -> String {
    match cost.ports.get(..PORTS_MAX) {
        Some(first) if cost.ports.len() > PORTS_MAX => format!("{first}…"),
        _ => cost.ports.to_owned(),
    }
}

/// The first of these rules, some with a stride, and how many more there are.
fn blamed(rules: impl ExactSizeIterator<Item = (Number, Option<usize>)>) -> String {
    let more = rules.len().saturating_sub(BLAMED_MAX);
    let rules = rules.take(BLAMED_MAX).map(|(number, stride)| match stride {
        Some(1) => format!("{number} (every byte)"),
        Some(stride) => format!("{number} (every {stride})"),
        None => number.to_string(),
    });
    let rules: Vec<_> = rules.collect();
    let more = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", rules.join(", "))
}
