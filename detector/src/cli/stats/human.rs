//! The counts as tables.

use std::io::{self, Write};

use comfy_table::Table;

use crate::{
    agent::stats::{EvidenceStats, SourceStats, Stats},
    cli::table,
    output::Source,
};

/// So many sources fit on a screen.
const SOURCES_MAX: usize = 20;

pub(super) fn write(out: &mut dyn Write, stats: &Stats) -> io::Result<()> {
    writeln!(out, "{}, running for {} s\n", stats.time, stats.uptime_s)?;
    writeln!(out, "{}\n", interfaces(stats))?;
    section(out, &reasons(stats))?;
    section(out, &signatures(stats))?;
    section(out, &sources(stats))?;
    let more = stats.sources.len().saturating_sub(SOURCES_MAX) as u64 + stats.sources_left_out;
    if more > 0 {
        writeln!(out, "and {more} more sources\n")?;
    }
    let (events, table) = (&stats.events, &stats.table);
    writeln!(
        out,
        "findings: {} reported, {} lost, {} packets for the next report, {} not printed, {} not understood",
        events.sent, events.lost, events.held, events.not_printed, events.not_understood
    )?;
    let evidence = &stats.evidence;
    if *evidence != EvidenceStats::default() {
        writeln!(
            out,
            "decided in the agent: {} packets, {} lost, {} left undecided, {} findings in no report",
            evidence.sent, evidence.lost, evidence.undecided, evidence.untold
        )?;
    }
    writeln!(
        out,
        "table of sources: {} refused, {} displaced",
        table.sources_refused, table.sources_displaced
    )
}

/// A table, unless it is empty.
fn section(out: &mut dyn Write, table: &Table) -> io::Result<()> {
    if table.row_count() == 0 {
        return Ok(());
    }
    writeln!(out, "{table}\n")
}

fn interfaces(stats: &Stats) -> Table {
    let mut table = table::with_header(&[
        "interface",
        "side",
        "mode",
        "packets",
        "bytes",
        "passed",
        "dropped",
        "would drop",
        "packets/s",
        "bytes/s",
        "dropped/s",
    ]);
    for interface in &stats.interfaces {
        let rates = &interface.rates;
        table.add_row([
            interface.name.clone(),
            interface.side.to_string(),
            interface.mode.to_string(),
            interface.packets.to_string(),
            interface.bytes.to_string(),
            interface.verdicts.pass.to_string(),
            interface.verdicts.drop.to_string(),
            interface.verdicts.would_drop.to_string(),
            format!("{:.1}", rates.packets_per_s),
            format!("{:.1}", rates.bytes_per_s),
            format!("{:.1}", rates.dropped_per_s),
        ]);
    }
    table
}

fn reasons(stats: &Stats) -> Table {
    let split = stats
        .counters
        .iter()
        .any(|counter| counter.per_cpu.is_some());
    let mut table = table::with_header(&with_cpus(
        &["interface", "reason", "verdict", "packets", "bytes"],
        split,
    ));
    for counter in &stats.counters {
        let mut row = vec![
            counter.interface.clone(),
            counter.reason.to_string(),
            counter.verdict.to_string(),
            counter.packets.to_string(),
            counter.bytes.to_string(),
        ];
        row.extend(
            counter
                .per_cpu
                .as_deref()
                .map(|cpus| by_cpu(cpus, |cpu| cpu.packets)),
        );
        table.add_row(row);
    }
    table
}

fn signatures(stats: &Stats) -> Table {
    let split = stats
        .signatures
        .iter()
        .any(|signature| signature.per_cpu.is_some());
    let mut table = table::with_header(&with_cpus(
        &[
            "id",
            "signature",
            "severity",
            "packets",
            "bytes",
            "dropped",
            "last",
        ],
        split,
    ));
    for signature in &stats.signatures {
        let mut row = vec![
            signature.id.to_string(),
            signature.name.to_string(),
            signature.severity.to_string(),
            signature.packets.to_string(),
            signature.bytes.to_string(),
            signature.dropped.to_string(),
            signature
                .last
                .map_or_else(|| "-".to_owned(), |last| last.to_string()),
        ];
        row.extend(
            signature
                .per_cpu
                .as_deref()
                .map(|cpus| by_cpu(cpus, |cpu| cpu.packets)),
        );
        table.add_row(row);
    }
    table
}

fn sources(stats: &Stats) -> Table {
    let mut table = table::with_header(&[
        "source",
        "interface",
        "found",
        "flagged",
        "dropped",
        "packets",
        "first",
        "last",
    ]);
    for source in stats.sources.iter().take(SOURCES_MAX) {
        table.add_row([
            name(&source.identity.source),
            place(source),
            source.identity.name().to_owned(),
            source.flagged.to_string(),
            source.dropped.to_string(),
            source.packets.to_string(),
            source.first.to_string(),
            source.last.to_string(),
        ]);
    }
    table
}

fn with_cpus<'a>(columns: &[&'a str], split: bool) -> Vec<&'a str> {
    let cpus = split.then_some("packets by CPU");
    columns.iter().copied().chain(cpus).collect()
}

fn by_cpu<T>(cpus: &[T], packets: impl Fn(&T) -> u64) -> String {
    let packets = cpus.iter().map(|cpu| packets(cpu).to_string());
    packets.collect::<Vec<_>>().join(" + ")
}

fn name(source: &Source) -> String {
    let mut names: Vec<String> = Vec::new();
    names.extend(source.ip.map(|ip| ip.to_string()));
    names.extend(source.mac.map(|mac| mac.to_string()));
    if names.is_empty() {
        names.push("many senders".to_owned());
    }
    names.extend(source.vlan.iter().map(|vlan| format!("vlan {vlan}")));
    names.join(" ")
}

/// Where a source is: on a `lan` side it is ours.
fn place(source: &SourceStats) -> String {
    format!("{} ({})", source.interface, source.side)
}
