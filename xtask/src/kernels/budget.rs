//! What each program may cost the verifier of each kernel: `tests/budgets/verifier.toml`.
//!
//! The verifier gives up at a million instructions and at 512 bytes of stack. The budget is far below, so that what makes
//! a program dearer shows with the change that does it, and what makes it cheaper is kept.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::report::Report;
use crate::workspace;

const FILE: &str = "tests/budgets/verifier.toml";

const HEADER: &str = "\
# What each program costs the verifier of each kernel: instructions it follows, and bytes of stack.
# `cargo xtask kernels` fails where it differs by more than the tolerance; `--accept` writes this file anew.

";

/// What a program costs the verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cost {
    /// The instructions it follows.
    pub(super) instructions: u64,
    /// The stack of the deepest chain of functions, in bytes.
    pub(super) stack: u64,
}

/// The budget.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Budget {
    tolerance_percent: u64,
    /// By series and program.
    #[serde(default)]
    kernel: BTreeMap<String, BTreeMap<String, Cost>>,
}

impl Budget {
    pub(super) fn read() -> Result<Self> {
        let path = workspace::root().join(FILE);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {FILE}"))?;
        toml::from_str(&text).with_context(|| format!("{FILE} is not right"))
    }

    /// A line for everything that a guest measured and the budget does not hold.
    pub(super) fn differences(&self, series: &str, report: &Report) -> Vec<String> {
        let empty = BTreeMap::new();
        let budget = self.kernel.get(series).unwrap_or(&empty);
        let mut differences = Vec::new();
        for (program, measured) in &report.programs {
            let difference = match budget.get(program) {
                None => "the budget has nothing for it".to_owned(),
                Some(allowed) if self.is_within(*allowed, *measured) => continue,
                Some(allowed) => format!(
                    "the budget has {} and {}, with {} % to spare",
                    allowed.instructions, allowed.stack, self.tolerance_percent
                ),
            };
            differences.push(format!(
                "{program} costs the verifier {} instructions and {} bytes of stack; {difference}",
                measured.instructions, measured.stack
            ));
        }
        for program in budget.keys() {
            if !report.programs.contains_key(program) {
                differences.push(format!("{program} has a budget and was not measured"));
            }
        }
        differences
    }

    /// Makes what a guest measured the budget of its kernel.
    pub(super) fn accept(&mut self, series: &str, report: &Report) {
        if !report.programs.is_empty() {
            self.kernel
                .insert(series.to_owned(), report.programs.clone());
        }
    }

    pub(super) fn write(&self) -> Result<()> {
        let path = workspace::root().join(FILE);
        fs::write(path, self.to_toml()).with_context(|| format!("cannot write {FILE}"))
    }

    fn to_toml(&self) -> String {
        let mut text = format!("{HEADER}tolerance_percent = {}\n", self.tolerance_percent);
        for (series, programs) in &self.kernel {
            // Writing to a string cannot fail.
            let _ = write!(text, "\n[kernel.\"{series}\"]\n");
            for (
                program,
                Cost {
                    instructions,
                    stack,
                },
            ) in programs
            {
                let _ = writeln!(
                    text,
                    "\"{program}\" = {{ instructions = {instructions}, stack = {stack} }}"
                );
            }
        }
        text
    }

    fn is_within(&self, allowed: Cost, measured: Cost) -> bool {
        let near = |allowed: u64, measured: u64| {
            allowed.abs_diff(measured).saturating_mul(100)
                <= allowed.saturating_mul(self.tolerance_percent)
        };
        near(allowed.instructions, measured.instructions) && near(allowed.stack, measured.stack)
    }
}

#[cfg(test)]
mod tests {
    use super::{Budget, Cost, Report};

    const BUDGET: &str =
        "tolerance_percent = 5\n[kernel.\"6.1\"]\n\"a/b\" = { instructions = 1000, stack = 100 }\n";

    fn measured(instructions: u64, stack: u64) -> Report {
        Report {
            programs: [(
                "a/b".to_owned(),
                Cost {
                    instructions,
                    stack,
                },
            )]
            .into(),
            ..Report::default()
        }
    }

    #[test]
    fn what_is_dearer_or_cheaper_than_the_tolerance_allows_differs() {
        let budget: Budget = toml::from_str(BUDGET).unwrap();
        for (instructions, stack, differs) in [
            (1000, 100, false),
            (1050, 95, false),
            (1051, 100, true),
            (949, 100, true),
            (1000, 106, true),
        ] {
            let differences = budget.differences("6.1", &measured(instructions, stack));
            assert_eq!(!differences.is_empty(), differs, "{differences:?}");
        }
    }

    #[test]
    fn what_has_no_budget_or_is_not_measured_differs() {
        let budget: Budget = toml::from_str(BUDGET).unwrap();
        assert_eq!(budget.differences("5.10", &measured(1000, 100)).len(), 1);
        assert_eq!(budget.differences("6.1", &Report::default()).len(), 1);
    }

    #[test]
    fn what_is_accepted_is_written_as_it_is_read() {
        let mut budget: Budget = toml::from_str(BUDGET).unwrap();
        budget.accept("5.10", &measured(7, 8));
        let read: Budget = toml::from_str(&budget.to_toml()).unwrap();
        assert!(read.differences("5.10", &measured(7, 8)).is_empty());
        assert!(read.differences("6.1", &measured(1000, 100)).is_empty());
    }

    #[test]
    fn the_committed_budget_can_be_read() {
        assert!(Budget::read().unwrap().tolerance_percent < 100);
    }
}
