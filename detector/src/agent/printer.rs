//! The findings' way to standard output: a thread of its own, because a reader may be slow, stop, or go away.
//!
//! What it cannot keep up with is left out and counted. Nothing else waits for it.

use std::{
    io,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel},
    thread,
    time::Duration,
};

use super::voice::say;
use crate::output::{self, Reader};

/// Lines that wait for a slow reader.
const WAITING_MAX: usize = 4096;
/// Lines that are written at once.
const WRITTEN_AT_ONCE: usize = 64;
/// How long a slow reader may take for the last lines when the agent ends.
const LAST_LINES_WITHIN: Duration = Duration::from_secs(1);

/// Prints lines.
pub(super) struct Printer {
    lines: SyncSender<String>,
    /// Disconnected when the thread has ended.
    ended: Receiver<()>,
}

impl Printer {
    /// Starts the thread.
    pub(super) fn start() -> io::Result<Self> {
        let (lines, waiting) = sync_channel(WAITING_MAX);
        let (end, ended) = channel();
        thread::Builder::new()
            .name("printer".to_owned())
            .spawn(move || {
                print_all(&waiting);
                drop(end);
            })?;
        Ok(Self { lines, ended })
    }

    /// Prints `line` when its turn comes; tells whether it will.
    pub(super) fn print(&self, line: String) -> bool {
        self.lines.try_send(line).is_ok()
    }

    /// Waits, but not for long, until every line is printed.
    pub(super) fn finish(self) {
        drop(self.lines);
        if self.ended.recv_timeout(LAST_LINES_WITHIN) == Err(RecvTimeoutError::Timeout) {
            say("standard output takes no more: the last findings are not printed");
        }
    }
}

/// Prints until there is nothing more to come, or nobody to read it.
fn print_all(waiting: &Receiver<String>) {
    while let Ok(first) = waiting.recv() {
        let more = waiting.try_iter().take(WRITTEN_AT_ONCE - 1);
        let printed = output::print(|out| {
            std::iter::once(first)
                .chain(more)
                .try_for_each(|line| writeln!(out, "{line}"))
        });
        let why = match printed {
            Ok(Reader::Listening) => continue,
            Ok(Reader::Gone) => "standard output is closed".to_owned(),
            Err(error) => error.to_string(),
        };
        say(&format!(
            "{why}: findings are no longer printed, filtering goes on"
        ));
        return;
    }
}
