//! A replay as people read it: what was found, then what was counted.

use std::{fmt, io};

use comfy_table::{CellAlignment, Table};
use detector_common::{config::Mode, reason::Reason};

use super::super::table;
use crate::replay::{FoundIn, Report};

/// The most findings that are listed; `json` has all.
const ROWS_MAX: usize = 50;

/// Writes the report.
pub(super) fn write(report: &Report<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let counts = &report.counts;
    let verdicts = counts.verdicts;
    write!(
        out,
        "{} packets, {} bytes, {:.2} s: {} passed, {} dropped",
        counts.packets, counts.bytes, counts.duration_s, verdicts.pass, verdicts.drop,
    )?;
    if report.mode() == Mode::Monitor.name() {
        let would = verdicts.would_drop;
        write!(out, " ({would} would be in enforce mode; see --enforce)")?;
    }
    writeln!(out, "\n")?;
    if report.findings.is_empty() {
        writeln!(out, "Nothing was found.\n")?;
    } else {
        writeln!(out, "{}\n", findings(report).trim_fmt())?;
    }
    let more = report.findings.len().saturating_sub(ROWS_MAX);
    if more > 0 {
        writeln!(out, "… and {more} findings more: -o json lists all\n")?;
    }
    if counts.omitted > 0 {
        writeln!(
            out,
            "… and {} packets of sources for which there was no room\n",
            counts.omitted
        )?;
    }
    writeln!(out, "{}", reasons(report).trim_fmt())
}

/// A column of the findings: its title, and what stands in it.
type Column = (&'static str, fn(&FoundIn<'_>) -> String);

const FILE: Column = ("file", |found| found.file.to_string());
const INTERFACE: Column = ("interface", |found| found.found.interface.to_string());
const TARGETS: Column = ("targets", |found| or_none(found.found.targets.as_ref()));
const COLUMNS: [Column; 8] = [
    ("found", |found| {
        let name = found.found.identity.name();
        if found.found.relayed_by_gateway {
            format!("{name}, relayed by the gateway")
        } else {
            name.to_owned()
        }
    }),
    ("severity", |found| {
        or_none(found.found.identity.severity.as_ref())
    }),
    ("packets", |found| found.found.count.to_string()),
    ("source", |found| {
        or_none(found.found.identity.source.ip.as_ref())
    }),
    ("mac", |found| {
        or_none(found.found.identity.source.mac.as_ref())
    }),
    ("vlan", |found| {
        let tags = &found.found.identity.source.vlan;
        let tags: Vec<_> = tags.iter().map(u16::to_string).collect();
        or_none((!tags.is_empty()).then(|| tags.join(".")).as_ref())
    }),
    ("first", |found| found.found.first.to_string()),
    ("last", |found| found.found.last.to_string()),
];

fn findings(report: &Report<'_>) -> Table {
    let mut columns = COLUMNS.to_vec();
    if report
        .findings
        .iter()
        .any(|found| found.found.targets.is_some())
    {
        columns.insert(3, TARGETS);
    }
    let interfaces = report.findings.iter().map(|found| found.found.interface);
    if interfaces.max() > Some(0) {
        columns.insert(0, INTERFACE);
    }
    if report.files.len() > 1 {
        columns.insert(0, FILE);
    }
    let titles: Vec<_> = columns.iter().map(|(title, _)| *title).collect();
    let mut table = table::with_header(&titles);
    for found in report.findings.iter().take(ROWS_MAX) {
        table.add_row(columns.iter().map(|(_, cell)| cell(found)));
    }
    let is_number = |(title, _): &Column| *title == "packets";
    if let Some(packets) = columns.iter().position(is_number) {
        align_right(&mut table, packets);
    }
    table
}

fn reasons(report: &Report<'_>) -> Table {
    let mut table = table::with_header(&["packets", "reason", ""]);
    for reason in Reason::ALL {
        if let Some(packets) = report.counts.reasons.get(reason.name()) {
            table.add_row([&packets.to_string(), reason.name(), reason.meaning()]);
        }
    }
    align_right(&mut table, 0);
    table
}

fn align_right(table: &mut Table, column: usize) {
    if let Some(column) = table.column_mut(column) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

fn or_none(value: Option<&impl fmt::Display>) -> String {
    value.map_or_else(|| "-".to_owned(), ToString::to_string)
}
