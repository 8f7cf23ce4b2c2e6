//! The userspace runtime: captures through the same classifier as in the kernel, with capture time for a clock.

pub mod capture;
mod counts;
mod file;
mod findings;
mod one_rule;
mod progress;
mod report;
pub mod runtime;

pub use counts::Counts;
pub use file::{FileReport, Replayed, replay};
pub use findings::{FINDINGS_MAX, FoundAt};
pub use one_rule::{MATCHES_MAX, Match, Passed, RuleReport, replay_rule};
pub use report::{FoundIn, Report};
