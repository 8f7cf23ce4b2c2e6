//! What was measured, for people: tables on standard output; and for programs: JSON beside the plot under `target/bench`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context as _, Result};
use comfy_table::{CellAlignment, Table, presets};
use nix::sys::utsname::uname;
use serde::Serialize;

use crate::{
    growth::Growth,
    in_kernel::InKernel,
    plot,
    replay::Replay,
    statistic::Spread,
    veth::{Cell, Veth},
};

/// Everything that was measured in one run on one machine.
#[derive(Serialize)]
pub(crate) struct Report {
    schema_version: u32,
    /// What [`Spread`] holds.
    statistic: &'static str,
    machine: Machine,
    pub(crate) in_kernel: InKernel,
    pub(crate) veth: Veth,
    pub(crate) growth: Vec<Growth>,
    replay: Replay,
}

#[derive(Serialize)]
struct Machine {
    kernel: String,
    processor: String,
    cpus: usize,
}

impl Report {
    pub(crate) fn new(
        in_kernel: InKernel,
        veth: Veth,
        growth: Vec<Growth>,
        replay: Replay,
    ) -> Result<Self> {
        Ok(Self {
            schema_version: 1,
            statistic: "median and quartiles of the rounds",
            machine: Machine::this()?,
            in_kernel,
            veth,
            growth,
            replay,
        })
    }

    /// Writes `bench.json` and `bench.svg`.
    pub(crate) fn write(&self) -> Result<()> {
        let directory = target_dir()?.join("bench");
        fs::create_dir_all(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        let write = |name: &str, text: String| -> Result<()> {
            let path = directory.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            println!("{}", path.display());
            Ok(())
        };
        println!();
        write("bench.json", serde_json::to_string_pretty(self)?)?;
        write("bench.svg", plot::draw(self)?)
    }

    /// The machine in a line.
    pub(crate) fn machine(&self) -> String {
        let Machine {
            kernel,
            processor,
            cpus,
        } = &self.machine;
        format!("{processor}, {cpus} CPUs, Linux {kernel}")
    }
}

impl Machine {
    fn this() -> Result<Self> {
        let information = fs::read_to_string("/proc/cpuinfo")?;
        let processor = information
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or("an unnamed processor", |(_, name)| name);
        Ok(Self {
            kernel: uname()?.release().to_string_lossy().into_owned(),
            processor: processor.to_owned(),
            cpus: thread::available_parallelism()?.get(),
        })
    }
}

/// Cargo's directory: this program is in `target/release`.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let own = env::current_exe().context("cannot find the path of this program")?;
    let target = own.parent().and_then(Path::parent);
    Ok(target
        .context("this program is in no directory")?
        .to_owned())
}

/// Prints nanoseconds and ratios of every kind of packet.
pub(crate) fn print_in_kernel(measured: &InKernel) {
    println!(
        "In the kernel, by BPF_PROG_TEST_RUN: CPU time a packet in ns, and as a ratio to the empty program beside it;\n\
         work: how much longer than that, in units of what a fixed piece of work takes longer, {:.1} ns here;\n\
         medians of {} rounds in turns, with quartiles.{}\n",
        measured.yardstick_ns(),
        measured.rounds,
        measured
            .verified_instructions
            .map_or_else(String::new, |count| format!(
                " {count} instructions verified."
            )),
    );
    let mut header = [
        "packet", "bytes", "empty", "detector", "", "ratio", "goal", "work",
    ]
    .map(str::to_owned)
    .to_vec();
    for peer in &measured.peers {
        header.extend([peer.name.clone(), String::new(), "ratio".to_owned()]);
    }
    let mut table = table(header);
    for row in &measured.rows {
        let mut cells = vec![
            row.packet.to_owned(),
            row.bytes.to_string(),
            format!("{:.1}", row.floor_ns.median),
            format!("{:.1}", row.detector.ns.median),
            row.detector.verdict.to_owned(),
            ratio_with_quartiles(&row.detector.ratio),
            row.goal
                .map_or_else(String::new, |goal| format!("{goal:.1}x")),
            format!("{:.2}", row.work.median),
        ];
        for peer in &row.peers {
            cells.extend(peer.as_ref().map_or_else(
                || ["missing", "", ""].map(str::to_owned),
                |cost| {
                    [
                        format!("{:.1}", cost.ns.median),
                        cost.verdict.to_owned(),
                        ratio_with_quartiles(&cost.ratio),
                    ]
                },
            ));
        }
        table.add_row(cells);
    }
    align_right(&mut table, 1);
    println!("{table}\n");
    for peer in &measured.peers {
        let name = &peer.name;
        match (&peer.entry, &peer.missing) {
            (Some(entry), _) => println!(
                "{name}: {}; what was run is {entry}, which its interface runs first",
                peer.rules
            ),
            (None, Some(why)) => println!("{name}: missing: {why}"),
            (None, None) => {}
        }
    }
}

/// Prints packets per second of every receiver.
pub(crate) fn print_veth(measured: &Veth) {
    println!(
        "\nThrough a cable (veth), generator and receiver on one core: million packets/s; medians of {} rounds of {} packets,\n\
         with quartiles. The generator alone, into nothing: {}.\n",
        measured.rounds,
        measured.packets,
        millions_with_quartiles(&measured.generator_packets_per_second)
    );
    let mut header = vec!["receiver".to_owned()];
    header.extend(measured.kinds.iter().map(|&kind| kind.to_owned()));
    let mut table = table(header);
    let mut notes = Vec::new();
    for row in &measured.rows {
        notes.push(format!("{}: {}", row.receiver, row.setup));
        let mut cells = vec![row.receiver.to_owned()];
        for (cell, kind) in row.cells.iter().zip(&measured.kinds) {
            cells.push(match cell {
                Cell::PacketsPerSecond(rate) => millions_with_quartiles(rate),
                Cell::Missing(why) => {
                    notes.push(format!("{}, {kind}: missing: {why}", row.receiver));
                    "missing".to_owned()
                }
            });
        }
        table.add_row(cells);
    }
    align_right(&mut table, 1);
    println!("{table}\n\n{}", notes.join("\n"));
}

/// Prints every curve in a line.
pub(crate) fn print_growth(measured: &[Growth]) {
    println!("\nGrowth: median ns a packet, and the ratio to the empty program.");
    for growth in measured {
        println!("\nwith {} ({}):", growth.of, growth.note);
        let points = growth.curves.first().map(|curve| &curve.points);
        let xs = points
            .into_iter()
            .flatten()
            .map(|point| point.x.to_string());
        let header = std::iter::once(String::new()).chain(xs).collect();
        let mut table = table(header);
        for curve in &growth.curves {
            let mut cells = vec![curve.packet.to_owned()];
            cells.extend(
                curve
                    .points
                    .iter()
                    .map(|point| format!("{:.0} ({:.2}x)", point.ns.median, point.ratio.median)),
            );
            table.add_row(cells);
        }
        align_right(&mut table, 1);
        println!("{table}");
    }
}

/// Prints the speed of replay beside its goal.
pub(crate) fn print_replay(measured: &Replay) {
    println!(
        "\nReplay: {} million packets/s, goal {:.1}; {} packets, {} MB in the page cache, one thread, median of {} with quartiles",
        millions_with_quartiles(&measured.packets_per_second),
        measured.goal / 1e6,
        measured.packets,
        measured.bytes >> 20,
        measured.rounds,
    );
}

fn ratio_with_quartiles(ratio: &Spread) -> String {
    format!(
        "{:.2}x ({:.2}-{:.2})",
        ratio.median, ratio.lower_quartile, ratio.upper_quartile
    )
}

fn millions_with_quartiles(rate: &Spread) -> String {
    format!(
        "{:.2} ({:.2}-{:.2})",
        rate.median / 1e6,
        rate.lower_quartile / 1e6,
        rate.upper_quartile / 1e6
    )
}

fn table(header: Vec<String>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table
}

fn align_right(table: &mut Table, from: usize) {
    for column in table.column_iter_mut().skip(from) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}
