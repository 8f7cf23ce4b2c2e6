//! `cargo xtask fuzz`: every fuzz target for some seconds, then a short differential; one table, and a failure if anything
//! was found.
//!
//! A target begins with its committed corpus and what was once found, and goes on with what earlier runs on this machine
//! added, in `target/fuzz`.

mod libfuzzer;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use self::libfuzzer::Outcome;
use crate::setup::{Scope, cargo_fuzz};
use crate::{PassedOn, run, setup, workspace};

/// Packets of the differential that ends a run.
const DIFFERENTIAL_RUNS: &str = "2000000";
/// Where fuzz targets are, seen from the workspace.
const PACKAGE: &str = "tests/fuzz";
/// What cargo-fuzz compiles for.
const TARGET: &str = "x86_64-unknown-linux-gnu";

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
    /// Seconds for each target
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Only these targets, and no differential
    #[arg(long)]
    target: Vec<String>,
}

#[derive(clap::Subcommand)]
enum What {
    /// Compares the kernel program with the same classifier on the host: `--runs N`
    #[command(disable_help_flag = true)]
    Differential(PassedOn),
}

impl Arguments {
    /// Those that fuzz every target for so many seconds.
    pub(crate) fn of(seconds: u32) -> Self {
        Self {
            what: None,
            seconds,
            target: Vec::new(),
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if let Some(What::Differential(passed_on)) = &arguments.what {
        setup::ready(Scope::Build)?;
        return run::replace(run::release_program("differential", &passed_on.arguments)?);
    }
    setup::ready(Scope::Fuzz)?;
    let all = targets()?;
    let chosen = if arguments.target.is_empty() {
        all
    } else {
        for target in &arguments.target {
            if !all.contains(target) {
                bail!(
                    "there is no fuzz target {target}; there are: {}",
                    all.join(", ")
                );
            }
        }
        arguments.target.clone()
    };
    build()?;
    let mut outcomes = Vec::new();
    for target in &chosen {
        outcomes.push((target, fuzz(target, arguments.seconds)?));
    }
    println!(
        "{:<12} {:>12} {:>10} {:>9} {:>7} {:>8}",
        "target", "executions", "exec/s", "coverage", "corpus", "crashes"
    );
    for (target, outcome) in &outcomes {
        println!("{target:<12} {outcome}");
    }
    let mut found = 0;
    for (target, outcome) in &outcomes {
        if let Some(input) = &outcome.crash {
            found += 1;
            println!(
                "{target}: {}: see {}; copy it to {PACKAGE}/regressions/{target}/, and `cargo xtask test --test fuzz` fails \
                 until it is mended",
                input.display(),
                outcome.log.display()
            );
        }
    }
    if found != 0 {
        bail!("{found} of {} targets crashed", outcomes.len());
    }
    if arguments.target.is_empty() {
        let runs = ["--runs", DIFFERENTIAL_RUNS].map(Into::into);
        run::status(run::release_program("differential", &runs)?)?;
    }
    Ok(())
}

/// The names of the targets: of their files.
fn targets() -> Result<Vec<String>> {
    let folder = workspace::root().join(PACKAGE).join("fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        names.extend(
            path.file_stem()
                .map(|name| name.to_string_lossy().into_owned()),
        );
    }
    names.sort();
    Ok(names)
}

fn target_dir() -> Result<PathBuf> {
    Ok(workspace::target_dir()?.join("fuzz"))
}

/// Compiles every target, optimised, with debug assertions, overflow checks and coverage.
fn build() -> Result<()> {
    let cargo_fuzz = cargo_fuzz::find().context("no cargo-fuzz")?;
    let mut command = Command::new(cargo_fuzz);
    command
        .current_dir(workspace::root())
        .args(["fuzz", "build", "--sanitizer", "none"])
        .args(["--fuzz-dir", PACKAGE, "--target-dir"])
        .arg(target_dir()?);
    run::status(command)
}

fn fuzz(target: &str, seconds: u32) -> Result<Outcome> {
    let own = target_dir()?;
    let folder = |name: &str| -> Result<PathBuf> {
        let folder = own.join(name).join(target);
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(folder)
    };
    let (corpus, artifacts, logs) = (folder("corpus")?, folder("artifacts")?, folder("logs")?);
    let package = workspace::root().join(PACKAGE);
    let mut command = Command::new(own.join(TARGET).join("release").join(target));
    command
        .arg(format!("-max_total_time={seconds}"))
        .args(["-print_final_stats=1", "-timeout=10", "-rss_limit_mb=2048"])
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        // The classifier's tables are megabytes, of which a packet touches a page. Only from the operating system they
        // come zero without being written, and glibc stops asking it after the first.
        .env("MALLOC_MMAP_THRESHOLD_", "131072");
    let dictionary = package.join(format!("dictionaries/{target}.dict"));
    if dictionary.is_file() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    // What is new goes to the first folder.
    command.arg(corpus);
    for committed in ["corpus", "regressions"] {
        let folder = package.join(committed).join(target);
        if has_files(&folder) {
            command.arg(folder);
        }
    }
    eprintln!("# fuzz {target}, {seconds} s");
    libfuzzer::run(command, &logs.join("stderr"))
}

fn has_files(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}
