//! What `cargo xtask kernels` runs inside a virtual machine: all that detector asks of a kernel, each as a check.
//!
//! It tells what it finds on standard output, a line each, every one beginning with `guest: `:
//!
//! ```text
//! guest: program OBJECT/NAME INSTRUCTIONS STACK
//! guest: passed CHECK
//! guest: failed CHECK: WHY
//! guest: lacks WHAT, AND WHAT THE USER GETS INSTEAD
//! guest: done
//! ```
//!
//! A check that fails keeps the others from nothing; without the last line the guest did not live to the end.

#[path = "guest/privileges.rs"]
mod privileges;
#[path = "guest/programs.rs"]
mod programs;
#[path = "guest/replacement.rs"]
mod replacement;
#[path = "guest/traffic.rs"]
mod traffic;

use std::time::Duration;

use anyhow::{Result, ensure};
use detector_common::config::Mode;
use detector_tests::fixtures::check::{Outcome, Reading, run_in_kernel};

/// How long anything may take. An emulated machine is slow, and only a failure waits so long.
const WITHIN: Duration = Duration::from_secs(40);

/// The fewest fixtures that a kernel takes.
const FIXTURES_MIN: usize = 300;

/// A check; it gives a line for everything that this kernel cannot do.
type Check = fn() -> Result<Vec<String>>;

fn main() {
    let checks: [(&str, Check); 6] = [
        ("programs", programs::check),
        ("fixtures monitored", || fixtures(Mode::Monitor)),
        ("fixtures enforced", || fixtures(Mode::Enforce)),
        ("traffic", traffic::check),
        ("replacement", replacement::check),
        ("privileges", privileges::check),
    ];
    for (name, check) in checks {
        match check() {
            Ok(lacks) => {
                for lack in lacks {
                    println!("guest: lacks {lack}");
                }
                println!("guest: passed {name}");
            }
            Err(error) => {
                // One line, whatever is in it: what the kernel says of a program is many.
                let why = format!("{error:#}").replace('\n', " | ");
                println!("guest: failed {name}: {}", why.escape_debug());
            }
        }
    }
    println!("guest: done");
}

fn fixtures(mode: Mode) -> Result<Vec<String>> {
    let Outcome { run, wrong } = run_in_kernel(mode, Reading::AtPlaces)?;
    ensure!(run > FIXTURES_MIN, "only {run} fixtures were run");
    ensure!(
        wrong.is_empty(),
        "{} wrong: {}",
        wrong.len(),
        wrong.join("; ")
    );
    Ok(Vec::new())
}
