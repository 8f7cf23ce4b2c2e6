//! A program that runs beside the test: its output as it comes, signals, and an end that is always reached.

use std::{
    io::{BufRead as _, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::wait_until;

/// What a program has written so far on one of its outputs.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Output>>);

#[derive(Default)]
struct Output {
    lines: Vec<String>,
    is_closed: bool,
}

/// A running program; it is killed when the value is dropped.
pub struct Process {
    name: String,
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

impl Process {
    /// Starts a command (see [`Host::command`](super::Host::command)) without input, and collects its output.
    ///
    /// Start it from a thread that outlives it: the kernel kills it when the starting thread ends.
    pub fn spawn(command: &mut Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let (stdout, stderr) = (Lines::default(), Lines::default());
        stdout.collect_from(child.stdout.take());
        stderr.collect_from(child.stderr.take());
        Ok(Self {
            name,
            child,
            stdout,
            stderr,
        })
    }

    /// Its process identifier.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The lines written to standard output so far.
    #[must_use]
    pub fn stdout(&self) -> Vec<String> {
        self.stdout.so_far()
    }

    /// The lines written to standard error so far.
    #[must_use]
    pub fn stderr(&self) -> Vec<String> {
        self.stderr.so_far()
    }

    /// Waits for a line on either output and gives it; fails early if the program ends without it.
    pub fn wait_for_line(
        &self,
        within: Duration,
        matches: impl Fn(&str) -> bool,
    ) -> Result<String> {
        let mut found = None;
        wait_until("a line of output", within, || {
            // Asked first: lines that come between the two questions are then still found.
            let ended = self.stdout.are_complete() && self.stderr.are_complete();
            found = [self.stdout(), self.stderr()]
                .concat()
                .into_iter()
                .find(|line| matches(line));
            Ok(found.is_some() || ended)
        })
        .with_context(|| self.report())?;
        found.with_context(|| {
            format!(
                "{} ended without the expected line; {}",
                self.name,
                self.report()
            )
        })
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(self.child.id().try_into()?), signal)
            .with_context(|| format!("cannot send {signal} to {}", self.name))
    }

    /// Waits for the program to end by itself.
    pub fn wait(&mut self, within: Duration) -> Result<ExitStatus> {
        let mut status = None;
        wait_until("the program to end", within, || {
            status = self.child.try_wait()?;
            Ok(status.is_some())
        })
        .with_context(|| self.report())?;
        status.with_context(|| format!("{} has no exit status", self.name))
    }

    /// The program's exit status, if it has ended.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Asks the program to end (SIGTERM) and waits until it has.
    pub fn stop(&mut self, within: Duration) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.wait(within)
    }

    fn report(&self) -> String {
        let (stdout, stderr) = (self.stdout().join("\n"), self.stderr().join("\n"));
        format!(
            "{} wrote:\n{stdout}\nand to standard error:\n{stderr}",
            self.name
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if the program has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Lines {
    /// Reads on a thread of its own, until the program closes its end.
    fn collect_from(&self, pipe: Option<impl Read + Send + 'static>) {
        let Some(pipe) = pipe else { return };
        let lines = self.clone();
        thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                lines.lock().lines.push(line);
            }
            lines.lock().is_closed = true;
        });
    }

    fn so_far(&self) -> Vec<String> {
        self.lock().lines.clone()
    }

    fn are_complete(&self) -> bool {
        self.lock().is_closed
    }

    fn lock(&self) -> MutexGuard<'_, Output> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
