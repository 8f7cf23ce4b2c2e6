//! `cargo xtask ci`: the one list of what a change must pass, cheapest first.
//!
//! `DETECTOR_REQUIRE_KERNEL=1` and `DETECTOR_REQUIRE_CAPTURES=1`, which `.ci/run` sets, turn tests that this machine
//! cannot run into failures.

use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::setup::Scope;
use crate::{bench, clippy, fuzz, kernels, run, setup, test};

/// For each target.
const FUZZ_SECONDS: u32 = 20;

pub(crate) fn run() -> Result<()> {
    let toolchain = setup::ready(Scope::All)?;
    step("format", || {
        // The fuzz targets are a workspace of their own.
        for manifest in ["Cargo.toml", "tests/fuzz/Cargo.toml"] {
            let arguments = ["fmt", "--all", "--check", "--manifest-path", manifest];
            run::status(run::cargo(&arguments))?;
        }
        Ok(())
    })?;
    step("lints for the host", clippy::host)?;
    step("lints for BPF", || clippy::kernel(&toolchain))?;
    step("tests", || test::run(&[]))?;
    step("the oldest and the newest kernel", || {
        kernels::run(&kernels::Arguments::of(&["5.10", "7"]))
    })?;
    step("fuzzing, and kernel against host", || {
        fuzz::run(&fuzz::Arguments::of(FUZZ_SECONDS))
    })?;
    step("what a packet costs", bench::check)?;
    println!("ci: all passed");
    Ok(())
}

fn step(name: &'static str, run: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("ci: {name}");
    let started = Instant::now();
    run().context(name)?;
    println!(
        "ci: {name}: passed in {:.1} s",
        started.elapsed().as_secs_f64()
    );
    Ok(())
}
