//! `cargo xtask kernels`: detector in other kernels, each in a virtual machine without a network.
//!
//! A guest runs the program `guest` of package detector-tests, which says what that kernel can do; here it is fetched,
//! booted, listened to, and held against the budget. QEMU emulates the processor, since KVM is not everywhere.

mod archive;
mod budget;
mod cache;
mod initramfs;
mod lock;
mod machine;
mod report;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use self::budget::Budget;
use self::cache::Cache;
use self::initramfs::Root;
use self::lock::Lock;
use self::report::{Report, Table};
use crate::setup::Scope;
use crate::{run, setup, workspace};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A kernel to boot, by its series (5.10, 6.1, 6.12, 6.18, 7); all if none is named
    #[arg(long = "kernel", value_name = "SERIES")]
    series: Vec<String>,
    /// Makes what was measured the budget
    #[arg(long)]
    accept: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    setup::ready(Scope::All)?;
    let kernels = Lock::read()?.select(&arguments.series)?;
    let mut budget = Budget::read()?;
    run::build_bins(&["--release", "--bin=detector", "--bin=guest"])?;
    let directory = workspace::target_dir()?.join("kernels");
    let root = Root::build(&directory)?;
    let images = Cache::open()?.images(&kernels)?;

    let started = Instant::now();
    let mut table = Table::default();
    for (kernel, image) in kernels.iter().zip(&images) {
        let series = &kernel.series;
        eprintln!("kernels: booting {}", image.version);
        let initrd = root.with_module(&image.module, series)?;
        let booted = Instant::now();
        let log = directory.join(format!("{series}.log"));
        let console = machine::boot(&image.kernel, &initrd, &log)
            .with_context(|| format!("cannot boot {}", image.version))?;
        let mut report = Report::read(&console);
        if arguments.accept {
            budget.accept(series, &report);
        } else {
            report.failures.extend(budget.failures(series, &report));
        }
        table.add(image, report, booted.elapsed(), &log);
    }
    if arguments.accept {
        budget.write()?;
    }
    table.print();
    println!("kernels: {:.0} s", seconds(started.elapsed()));
    if table.has_failed() {
        bail!("a kernel has failed: the lines above say which and why");
    }
    Ok(())
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}
