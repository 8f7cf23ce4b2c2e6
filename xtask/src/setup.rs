//! `cargo xtask setup`, and the first step of every command that compiles: finds what is missing and installs it.
//!
//! It surveys, cures what can be cured, and surveys again until nothing is missing or a cure has not helped. Whatever works
//! is left as it is: packages are only added, and a linker of the user's own is never replaced. What it may not or cannot
//! install becomes one error that names the cure.

mod apt;
pub(crate) mod cargo_fuzz;
mod components;
mod linker;
pub(crate) mod machine;
mod needs;

use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use xtask::toolchain::Toolchain;

use self::apt::Apt;
use self::needs::{Cure, Missing, Survey};

/// What the machine is to be ready for. Compiling is a part of each.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Compiling, and running what needs nothing but the kernel.
    Build,
    /// Running detector in namespaces.
    Demo,
    /// The tests.
    Test,
    /// Measuring beside other firewalls.
    Bench,
    /// Fuzzing.
    Fuzz,
    /// Booting other kernels.
    Kernels,
    /// Linting.
    Clippy,
    /// All of it.
    All,
}

impl Scope {
    /// Says whether what these need is needed.
    fn is_among(self, those: &[Self]) -> bool {
        self == Self::All || those.contains(&self)
    }
}

/// Makes the machine ready and says so in one line.
pub(crate) fn ready(scope: Scope) -> Result<Toolchain> {
    let started = Instant::now();
    let toolchain = install(scope)?.toolchain.context("no toolchain")?;
    // Not on standard output, which belongs to the command that follows.
    eprintln!(
        "setup: ready in {:.2} s: {toolchain}",
        started.elapsed().as_secs_f64()
    );
    Ok(toolchain)
}

/// Makes the machine ready for everything and lists what is there.
pub(crate) fn report() -> Result<()> {
    let started = Instant::now();
    let survey = install(Scope::All)?;
    for (what, which) in &survey.found {
        println!("{what:<32} {which}");
    }
    for note in machine::notes() {
        println!("note: {note}");
    }
    println!(
        "setup: nothing is missing ({:.2} s)",
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

fn install(scope: Scope) -> Result<Survey> {
    let mut apt = Apt::default();
    let mut before: Vec<Missing> = Vec::new();
    loop {
        let survey = Survey::take(scope);
        if survey.missing.is_empty() {
            return Ok(survey);
        }
        for missing in &survey.missing {
            eprintln!("setup: missing: {missing}");
        }
        if survey.missing == before {
            bail!("what was installed has not helped: the lines above name what is still missing");
        }
        cure(&survey.missing, &mut apt)?;
        before = survey.missing;
    }
}

/// Installs the packages, or else, once there are none to install, does the rest.
fn cure(missing: &[Missing], apt: &mut Apt) -> Result<()> {
    let packages: Vec<&str> = missing
        .iter()
        .filter_map(|missing| match &missing.cure {
            Cure::Packages(packages) => Some(packages),
            Cure::Backports(_) | Cure::Linker(_) | Cure::CargoFuzz | Cure::Component(_) => None,
        })
        .flatten()
        .map(String::as_str)
        .collect();
    if !packages.is_empty() {
        return apt.install(&packages);
    }
    for missing in missing {
        match &missing.cure {
            Cure::Packages(_) => {}
            Cure::Backports(packages) => apt.install_backports(packages)?,
            Cure::Linker(llvm) => linker::build(*llvm)?,
            Cure::CargoFuzz => cargo_fuzz::build()?,
            Cure::Component(component) => components::add(component)?,
        }
    }
    Ok(())
}
