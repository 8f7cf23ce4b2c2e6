//! What a guest said, and the table of all of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::budget::Cost;
use super::cache::Image;

/// What every line of the guest's begins with.
const PREFIX: &str = "guest: ";
/// The program whose price the table shows.
const MAIN: &str = "detector/detector";
/// How many of the console's last lines tell why a guest said nothing.
const LAST_LINES: usize = 12;

/// What a guest said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    /// What each program costs the verifier, by `OBJECT/NAME`.
    pub(super) programs: BTreeMap<String, Cost>,
    /// The checks that were passed.
    pub(super) passed: Vec<String>,
    /// What the kernel cannot do, and what the user gets instead.
    pub(super) lacks: Vec<String>,
    /// What is to be known besides.
    pub(super) notes: Vec<String>,
    /// What is wrong.
    pub(super) failures: Vec<String>,
}

impl Report {
    /// Reads a console.
    pub(super) fn read(console: &str) -> Self {
        let mut report = Self::default();
        let mut is_done = false;
        for line in console.lines() {
            // The console's own line ends, and what the firmware wrote before the first line.
            let Some((_, said)) = line.trim_end().split_once(PREFIX) else {
                continue;
            };
            match said.split_once(' ') {
                Some(("program", rest)) => match program(rest) {
                    Some((name, cost)) => drop(report.programs.insert(name, cost)),
                    None => report.failures.push(format!("not understood: {said}")),
                },
                Some(("passed", check)) => report.passed.push(check.to_owned()),
                Some(("failed", why)) => report.failures.push(why.to_owned()),
                Some(("lacks", what)) => report.lacks.push(what.to_owned()),
                _ if said == "done" => is_done = true,
                _ => report.failures.push(format!("not understood: {said}")),
            }
        }
        if !is_done {
            report.failures.push(format!(
                "it did not come to its end; its last words: {}",
                last_words(console)
            ));
        } else if report.passed.is_empty() {
            report.failures.push("it passed no check".to_owned());
        }
        report
    }
}

fn program(line: &str) -> Option<(String, Cost)> {
    let [name, instructions, stack] = *line.split(' ').collect::<Vec<_>>() else {
        return None;
    };
    let cost = Cost {
        instructions: instructions.parse().ok()?,
        stack: stack.parse().ok()?,
    };
    Some((name.to_owned(), cost))
}

/// The end of the console, without what would change the terminal.
fn last_words(console: &str) -> String {
    let lines: Vec<_> = console
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .collect();
    let last = lines.iter().rev().take(LAST_LINES).rev();
    let last: Vec<_> = last.map(|line| line.escape_debug().to_string()).collect();
    last.join(" | ")
}

/// All guests, a row each.
#[derive(Default)]
pub(super) struct Table {
    rows: Vec<Row>,
    /// A line for each kernel that could not be had.
    missing: Vec<String>,
}

struct Row {
    image: Image,
    report: Report,
    took: Duration,
    log: PathBuf,
}

impl Table {
    pub(super) fn add(&mut self, image: &Image, report: Report, took: Duration, log: &Path) {
        self.rows.push(Row {
            image: image.clone(),
            report,
            took,
            log: log.to_owned(),
        });
    }

    /// Adds a kernel that could not be had.
    pub(super) fn add_missing(&mut self, series: &str, why: &anyhow::Error) {
        self.missing.push(format!("{series}: failed: {why:#}"));
    }

    pub(super) fn has_failed(&self) -> bool {
        !self.missing.is_empty() || self.rows.iter().any(|row| !row.report.failures.is_empty())
    }

    /// Prints the table, then a line for everything that is to be known of a kernel.
    pub(super) fn print(&self) {
        println!(
            "{:<24} {:<8} {:>8} {:>12} {:>9} {:>8}",
            "kernel", "verdict", "checks", "instructions", "stack", "seconds"
        );
        for Row {
            image,
            report,
            took,
            ..
        } in &self.rows
        {
            let verdict = if report.failures.is_empty() {
                "passed"
            } else {
                "failed"
            };
            let cost = report.programs.get(MAIN);
            let number =
                |of: fn(&Cost) -> u64| cost.map_or("-".to_owned(), |cost| of(cost).to_string());
            println!(
                "{:<24} {verdict:<8} {:>8} {:>12} {:>9} {:>8.1}",
                image.version,
                report.passed.len(),
                number(|cost| cost.instructions),
                number(|cost| cost.stack),
                took.as_secs_f64()
            );
        }
        for row in &self.rows {
            row.print_notes();
        }
        for line in &self.missing {
            println!("{line}");
        }
    }
}

impl Row {
    fn print_notes(&self) {
        let Image {
            version,
            substitute,
            ..
        } = &self.image;
        for note in substitute.iter().chain(&self.report.notes) {
            println!("{version}: {note}");
        }
        for lack in &self.report.lacks {
            println!("{version}: lacks {lack}");
        }
        for failure in &self.report.failures {
            println!("{version}: failed: {failure}");
        }
        if !self.report.failures.is_empty() {
            println!("{version}: all it said is in {}", self.log.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Report;

    #[test]
    fn a_guest_that_says_all_is_well_has_no_failures() {
        let report = Report::read(
            "SeaBIOS\r\n\x1b[2Jguest: program detector/clock 7 0\r\nguest: passed programs\r\n\
             [    1.0] reboot\nguest: lacks a thing, so do without\nguest: done\n",
        );
        assert!(report.failures.is_empty(), "{report:?}");
        assert_eq!(report.programs["detector/clock"].instructions, 7);
        assert_eq!(report.passed, ["programs"]);
        assert_eq!(report.lacks, ["a thing, so do without"]);
    }

    #[test]
    fn a_guest_that_does_not_come_to_its_end_has_failed_and_its_last_words_change_no_terminal() {
        let report = Report::read("guest: passed programs\nKernel panic \x1b[31m- not syncing\n");
        let [failure] = &*report.failures else {
            panic!("one failure expected: {report:?}");
        };
        assert!(failure.contains("Kernel panic"), "{failure}");
        assert!(!failure.contains('\x1b'), "{failure}");
    }

    #[test]
    fn a_guest_that_checks_nothing_or_talks_nonsense_has_failed() {
        assert_eq!(Report::read("guest: done\n").failures.len(), 1);
        let nonsense = Report::read("guest: passed a\nguest: hm\nguest: program x\nguest: done\n");
        assert_eq!(nonsense.failures.len(), 2);
    }

    #[test]
    fn a_check_that_fails_is_a_failure() {
        let report = Report::read("guest: passed a\nguest: failed b: why\nguest: done\n");
        assert_eq!(report.failures, ["b: why"]);
    }
}
