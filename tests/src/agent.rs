//! The agent on a host of the laboratory: the real binary, asked by the real command line.

pub mod running;

use std::{env, ffi::OsString, time::Duration};

use anyhow::{Context as _, Result, ensure};
use detector::agent::stats::Stats;
use serde_json::Value;

use crate::lab::{Host, Process, wait_until};

/// How long the agent may take to start, or to stop.
const WITHIN: Duration = Duration::from_secs(20);

/// The `detector` binary that `cargo xtask` has built for its commands.
pub fn binary() -> Result<OsString> {
    env::var_os("DETECTOR_BIN")
        .context("DETECTOR_BIN does not say where detector is: run this through `cargo xtask`")
}

/// A running agent; killed when dropped.
pub struct Agent<'host> {
    host: &'host Host,
    process: Process,
}

impl<'host> Agent<'host> {
    /// Runs `detector run` with `arguments` and waits until it guards its interfaces.
    ///
    /// Start it from a thread that outlives it.
    pub fn start(host: &'host Host, arguments: &[&str]) -> Result<Self> {
        let mut command = host.command(binary()?);
        let mut process = Process::spawn(command.arg("run").args(arguments))?;
        wait_until("the agent to guard its interfaces", WITHIN, || {
            if let Some(status) = process.try_wait()? {
                anyhow::bail!(
                    "the agent ended with {status}: {}",
                    process.stderr().join("\n")
                );
            }
            Ok(host.output_of_binary(&["status"]).is_ok())
        })?;
        Ok(Self { host, process })
    }

    /// What it has counted.
    pub fn stats(&self) -> Result<Stats> {
        let answer = self.host.output_of_binary(&["stats", "-o", "json"])?;
        serde_json::from_str(&answer).context("`detector stats -o json` is not what it promises")
    }

    /// What a command of the asking kind answers, as JSON.
    pub fn answer(&self, command: &[&str]) -> Result<Value> {
        let arguments = [command, &["-o", "json"]].concat();
        let answer = self.host.output_of_binary(&arguments)?;
        serde_json::from_str(&answer).with_context(|| format!("{command:?} is not JSON"))
    }

    /// The lines it has printed so far: findings.
    #[must_use]
    pub fn findings(&self) -> Vec<String> {
        self.process.stdout()
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(mut self) -> Result<()> {
        let status = self.process.stop(WITHIN)?;
        ensure!(
            status.success(),
            "the agent ended with {status}: {}",
            self.process.stderr().join("\n")
        );
        Ok(())
    }
}

impl Host {
    /// Runs `detector` on the host to its end and gives what it printed; fails if it does.
    fn output_of_binary(&self, arguments: &[&str]) -> Result<String> {
        self.output(&binary()?.to_string_lossy(), arguments)
    }
}
