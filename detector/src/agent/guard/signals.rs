//! The signals that the agent answers to.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Those that end it in good order: SIGINT and SIGTERM.
pub(super) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    /// From this moment on they are waited for instead of ending the process.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the first of them and gives its name.
    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// SIGHUP, which says that files are to be read anew. A terminal that is closed sends it too, and the agent goes on without.
pub(super) fn hangup() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}
