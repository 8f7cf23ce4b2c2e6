//! `detector` run to its end, and what it said.

use std::{
    ffi::OsStr,
    process::{Command, Output, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::agent::binary;

/// A command that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// Runs `detector` with `arguments`, without input.
pub fn detector<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Result<Ended> {
    let mut command = Command::new(binary()?);
    let output = command
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    Ended::of(output)
}

impl Ended {
    fn of(output: Output) -> Result<Self> {
        Ok(Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8(output.stderr)?,
        })
    }

    /// The JSON object it printed.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout).with_context(|| format!("no JSON object: {self:?}"))
    }

    /// The one line of error that it ended with, without the program's name.
    pub fn complaint(&self) -> Result<&str> {
        let line = self.stderr.strip_suffix('\n').unwrap_or_default();
        ensure!(!line.contains('\n'), "not one line: {self:?}");
        line.strip_prefix("detector: ")
            .with_context(|| format!("no complaint: {self:?}"))
    }
}
