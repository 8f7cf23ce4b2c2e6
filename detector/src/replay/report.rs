//! A replay as programs read it: one object for all captures, or a line for each thing that is told.
//!
//! The names of fields are stable; see [`SCHEMA_VERSION`].

use detector_common::config::Mode;
use serde::Serialize;

use super::{Counts, FileReport, FoundAt, Replayed};
use crate::output::{FileName, SCHEMA_VERSION};

/// All captures of a command line. Counts are sums; findings are those of each capture for itself.
#[derive(Debug, Serialize)]
pub struct Report<'r> {
    schema_version: u32,
    /// Whether anything was to be dropped.
    mode: &'static str,
    /// What was counted in all of them.
    #[serde(flatten)]
    pub counts: Counts,
    /// What was found, capture by capture.
    pub findings: Vec<FoundIn<'r>>,
    /// What was counted in each of them.
    pub files: Vec<&'r FileReport>,
    /// What could not be opened or read to its end, and why.
    pub warnings: &'r [String],
}

/// A finding and the capture it is in.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct FoundIn<'r> {
    /// The capture.
    pub file: &'r FileName,
    /// The finding.
    #[serde(flatten)]
    pub found: &'r FoundAt,
}

impl<'r> Report<'r> {
    /// The report of the captures that could be opened.
    #[must_use]
    pub fn new(mode: Mode, replayed: &'r [Replayed], warnings: &'r [String]) -> Self {
        let mut counts = Counts::default();
        for Replayed { report, .. } in replayed {
            counts += &report.counts;
        }
        Self {
            schema_version: SCHEMA_VERSION,
            mode: mode.name(),
            counts,
            findings: replayed.iter().flat_map(Replayed::found).collect(),
            files: replayed.iter().map(|replayed| &replayed.report).collect(),
            warnings,
        }
    }

    /// The mode by name.
    #[must_use]
    pub fn mode(&self) -> &'static str {
        self.mode
    }
}

/// A line of the report as it comes: the findings of a capture, then the capture.
#[derive(Debug, Serialize)]
pub struct Line<'r> {
    schema_version: u32,
    #[serde(flatten)]
    told: Told<'r>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Told<'r> {
    Finding(FoundIn<'r>),
    File(&'r FileReport),
}

impl Replayed {
    /// Its findings with its name.
    fn found(&self) -> impl Iterator<Item = FoundIn<'_>> {
        let file = &self.report.file;
        let found = self.findings.iter();
        found.map(move |found| FoundIn { file, found })
    }

    /// Its lines.
    pub fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let file = Told::File(&self.report);
        let all = self.found().map(Told::Finding).chain([file]);
        all.map(|told| Line {
            schema_version: SCHEMA_VERSION,
            told,
        })
    }
}
