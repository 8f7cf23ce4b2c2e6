//! `--check`: what each packet may cost, in units of the yardstick. Never a time: machines differ, and share.
//!
//! Nor the ratio to the empty program, which says what a packet costs on one machine. Most of what the empty program takes is the
//! kernel's way to it, and the same classifier was 1.8 times as much on one processor (Zen 4) and 3.1 times on another (Emerald Rapids). The
//! yardstick is work of the classifier's own kind, of which that cannot be said; what it is on Zen 4 was not measured yet.
//!
//! The medians of fifty rounds differ by up to an eighth from run to run, also where others load every CPU. A packet above its
//! budget is measured once more before it counts.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::{
    in_kernel::{self, InKernel},
    packets::{self, Packet},
};

const HEADER: &str = "\
# What a packet may cost in the kernel program, in units of the yardstick: `cargo xtask bench --check`.
# `cargo xtask bench --accept` writes what it measures here: do that when a change is worth its price, and say why.

";
/// What measurements differ by on a machine that others load, and may between processors, and a regression does not: a map
/// lookup per byte costs more than as much again.
const TOLERANCE: f64 = 1.4;
/// The same where each packet has another sender: then it is the processor's cache that counts, and others use it too.
const TOLERANCE_SENDERS: f64 = 2.5;

/// The committed file.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Budget {
    /// A packet may cost this many times what is written here.
    tolerance: f64,
    /// The same where each packet has another sender.
    tolerance_random_senders: f64,
    /// By packet: what it costs more than in the empty program, as the yardstick does.
    work: BTreeMap<String, f64>,
}

/// Fails if a packet costs more than its budget, or is not in it, or if something else is.
pub(crate) fn check(rounds: u32) -> Result<()> {
    let budget = Budget::read()?;
    let packets = packets::all();
    for packet in &packets {
        ensure!(
            budget.work.contains_key(packet.name),
            "{} has no budget: run `cargo xtask bench --accept`",
            packet.name
        );
    }
    for name in budget.work.keys() {
        ensure!(
            packets.iter().any(|packet| packet.name == name),
            "{} has {name}, which is not measured: run `cargo xtask bench --accept`",
            path().display()
        );
    }
    let over = budget.over(&in_kernel::measure(rounds, false, packets)?);
    if over.is_empty() {
        println!("bench: every packet is within its budget");
        return Ok(());
    }
    println!("bench: once more, for {}", over.join(", "));
    let again: Vec<Packet> = packets::all()
        .into_iter()
        .filter(|packet| over.contains(&packet.name))
        .collect();
    let over = budget.over(&in_kernel::measure(rounds, false, again)?);
    ensure!(
        over.is_empty(),
        "above the budget, twice: {}; if the change is worth it, run `cargo xtask bench --accept` and say why",
        over.join(", ")
    );
    println!("bench: every packet is within its budget at the second try");
    Ok(())
}

/// Makes what was measured the budget.
pub(crate) fn accept(measured: &InKernel) -> Result<()> {
    let round = |work: f64| (work * 100.0).round() / 100.0;
    let budget = Budget {
        tolerance: TOLERANCE,
        tolerance_random_senders: TOLERANCE_SENDERS,
        work: measured
            .rows
            .iter()
            .map(|row| (row.packet.to_owned(), round(row.work.median)))
            .collect(),
    };
    let text = format!("{HEADER}{}", toml::to_string(&budget)?);
    let path = path();
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    println!("bench: {} is what was measured", path.display());
    Ok(())
}

impl Budget {
    fn read() -> Result<Self> {
        let path = path();
        let text = fs::read_to_string(&path)
            .with_context(|| format!("cannot read the budget {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is no budget", path.display()))
    }

    /// Prints each row beside its budget and gives those above it.
    fn over(&self, measured: &InKernel) -> Vec<&'static str> {
        let mut over = Vec::new();
        for row in &measured.rows {
            let budget = self.work.get(row.packet).copied().unwrap_or_default();
            let work = row.work.median;
            let tolerance = if row.random_senders {
                self.tolerance_random_senders
            } else {
                self.tolerance
            };
            // No number, or a negative one, is no measurement.
            let is_over = !(work > 0.0 && work <= budget * tolerance);
            let ratio = row.detector.ratio.median;
            let goal = match row.goal {
                Some(goal) if ratio > goal => {
                    format!("; {ratio:.2}x the empty program, which misses its goal of {goal:.1}x")
                }
                _ => String::new(),
            };
            println!(
                "{:<38} {work:>5.2}, budget {budget:.2} ({:+.0} %){}{goal}",
                row.packet,
                (work / budget - 1.0) * 100.0,
                if is_over { ": OVER" } else { "" }
            );
            if is_over {
                over.push(row.packet);
            }
        }
        over
    }
}

fn path() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "budgets", "bench.toml"]
        .iter()
        .collect()
}
