//! `cargo xtask kernels`: detector in other kernels, each in a virtual machine without a network.
//!
//! A guest runs the program `guest` of package detector-tests, which says what that kernel can do; here it is fetched,
//! booted, listened to, and held against the budget. QEMU emulates the processor, since KVM is not everywhere.

mod budget;
mod cache;
mod initramfs;
mod lock;
mod machine;
mod report;

use std::num::NonZero;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread::{self, available_parallelism};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use self::budget::Budget;
use self::cache::{Cache, Image};
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

impl Arguments {
    /// Those that boot the kernels of these series.
    pub(crate) fn of(series: &[&str]) -> Self {
        Self {
            series: series.iter().map(|&one| one.to_owned()).collect(),
            accept: false,
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    setup::ready(Scope::Kernels)?;
    let kernels = Lock::read()?.select(&arguments.series)?;
    let mut budget = Budget::read()?;
    run::build_bins(&["--release", "--bin=detector", "--bin=guest"])?;
    let directory = workspace::target_dir()?.join("kernels");
    let root = Root::build(&directory)?;
    let cache = Cache::open()?;

    let started = Instant::now();
    let mut guests = Vec::new();
    let mut table = Table::default();
    for kernel in kernels {
        match cache.image(&kernel) {
            Ok(image) => guests.push(Guest::new(kernel.series, image, &root, &directory)?),
            Err(error) => table.add_missing(&kernel.series, &error),
        }
    }
    for (guest, ended) in guests.iter().zip(boot_all(&guests)) {
        let Ended { console, took } = ended?;
        let mut report = Report::read(&console);
        let is_pinned = guest.image.substitute.is_none();
        if !arguments.accept {
            let differences = budget.differences(&guest.series, &report);
            if is_pinned {
                let failures = differences.iter().map(|difference| {
                    format!(
                        "{difference}: find out why, or accept it with `cargo xtask kernels --kernel {} --accept`",
                        guest.series
                    )
                });
                report.failures.extend(failures);
            } else {
                report.notes.extend(differences);
            }
        } else if is_pinned {
            budget.accept(&guest.series, &report);
        } else {
            report
                .notes
                .push("its costs are not recorded: the budget is the pinned kernel's".to_owned());
        }
        table.add(&guest.image, report, took, &guest.log);
    }
    table.print();
    println!("kernels: {:.0} s", started.elapsed().as_secs_f64());
    if table.has_failed() {
        let unrecorded = if arguments.accept {
            ", and no cost was recorded"
        } else {
            ""
        };
        bail!("a kernel has failed{unrecorded}: the lines above say which and why");
    }
    if arguments.accept {
        budget.write()?;
    }
    Ok(())
}

/// A kernel that is ready to be booted.
struct Guest {
    series: String,
    image: Image,
    initrd: PathBuf,
    /// Where what it says is kept.
    log: PathBuf,
}

/// A guest that has ended, or was ended.
struct Ended {
    console: String,
    took: Duration,
}

impl Guest {
    fn new(series: String, image: Image, root: &Root, directory: &Path) -> Result<Self> {
        Ok(Self {
            initrd: root.with_module(&image.module, &series)?,
            log: directory.join(format!("{series}.log")),
            series,
            image,
        })
    }

    fn boot(&self) -> Result<Ended> {
        let version = &self.image.version;
        eprintln!("kernels: booting {version}");
        let started = Instant::now();
        let console = machine::boot(&self.image.kernel, &self.initrd, &self.log)
            .with_context(|| format!("cannot boot {version}"))?;
        let took = started.elapsed();
        eprintln!(
            "kernels: {version} has ended after {:.0} s",
            took.as_secs_f64()
        );
        Ok(Ended { console, took })
    }
}

/// Boots every guest, as many at a time as there are processors, and gives how they ended, in their order.
fn boot_all(guests: &[Guest]) -> Vec<Result<Ended>> {
    let at_a_time = available_parallelism().map_or(1, NonZero::get);
    let waiting = Mutex::new(guests.iter().enumerate());
    let next = || waiting.lock().ok()?.next();
    let work = || -> Vec<_> {
        std::iter::from_fn(|| next().map(|(index, guest)| (index, guest.boot()))).collect()
    };
    let mut ended: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..at_a_time).map(|_| scope.spawn(work)).collect();
        let done = workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)));
        done.flatten().collect()
    });
    ended.sort_by_key(|(index, _)| *index);
    ended.into_iter().map(|(_, ended)| ended).collect()
}
