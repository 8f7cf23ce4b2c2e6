//! A fuzz target run to its end, and what libFuzzer says of it on standard error.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// What a run came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    executions: u64,
    executions_per_second: u64,
    /// Edges of the program that were reached.
    coverage: u64,
    /// Inputs that are kept because each reaches something.
    corpus: u64,
    /// The input that crashed it.
    pub(super) crash: Option<PathBuf>,
    /// What libFuzzer and the target said.
    pub(super) log: PathBuf,
}

/// Runs a target, its words to the file `log`.
pub(super) fn run(mut command: Command, log: &Path) -> Result<Outcome> {
    let shown = log.display();
    let words = File::create(log).with_context(|| shown.to_string())?;
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(words)
        .status()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let said = fs::read(log).with_context(|| shown.to_string())?;
    let mut outcome = Outcome::of(&String::from_utf8_lossy(&said));
    log.clone_into(&mut outcome.log);
    if !status.success() && outcome.crash.is_none() {
        bail!("the fuzz target ended with {status} and without a crash: see {shown}");
    }
    Ok(outcome)
}

impl Outcome {
    fn of(said: &str) -> Self {
        let last = |name: &str| {
            let number = said.lines().rev().find_map(|line| {
                let (_, after) = line.split_once(name)?;
                let digits = after.trim_start();
                let end = digits.find(|char: char| !char.is_ascii_digit());
                digits.get(..end.unwrap_or(digits.len()))?.parse().ok()
            });
            number.unwrap_or_default()
        };
        let crash = said
            .lines()
            .find_map(|line| line.split_once("Test unit written to "))
            .map(|(_, file)| PathBuf::from(file.trim()));
        Self {
            executions: last("stat::number_of_executed_units:"),
            executions_per_second: last("stat::average_exec_per_sec:"),
            coverage: last(" cov: "),
            corpus: last(" corp: "),
            crash,
            log: PathBuf::new(),
        }
    }
}

/// The columns of the table.
impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            executions,
            executions_per_second,
            coverage,
            corpus,
            ..
        } = self;
        let crashes = u8::from(self.crash.is_some());
        write!(
            out,
            "{executions:>12} {executions_per_second:>10} {coverage:>9} {corpus:>7} {crashes:>8}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "INFO: Running with entropic power schedule (0xFF, 100).\n\
        #2\tINITED cov: 12 ft: 13 corp: 1/1b exec/s: 0 rss: 30Mb\n\
        #1048576\tpulse  cov: 120 ft: 413 corp: 91/4096b lim: 4096 exec/s: 349525 rss: 60Mb\n\
        Done 2000000 runs in 3 second(s)\n\
        stat::number_of_executed_units: 2000000\n\
        stat::average_exec_per_sec:     666666\n";

    #[test]
    fn the_last_figures_of_a_run_count() {
        let expected = Outcome {
            executions: 2_000_000,
            executions_per_second: 666_666,
            coverage: 120,
            corpus: 91,
            ..Outcome::default()
        };
        assert_eq!(Outcome::of(SAID), expected);
    }

    #[test]
    fn a_crash_is_known_by_the_input_that_was_kept() {
        let said =
            format!("{SAID}artifact_prefix='a/'; Test unit written to a/crash-0b\nBase64: AA==\n");
        assert_eq!(Outcome::of(&said).crash, Some(PathBuf::from("a/crash-0b")));
    }
}
