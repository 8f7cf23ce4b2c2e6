//! How a command ends: what its exit code tells a script, and the one line that tells a person.

use std::process::ExitCode;

/// The exit codes of every command. Their numbers are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All went well, and nothing was found.
    Fine = 0,
    /// It failed.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// This kernel or this driver cannot do it.
    Unsupported = 3,
    /// It takes more rights.
    NotPermitted = 4,
    /// The agent does not run.
    AgentNotRunning = 7,
    /// Something was found.
    Found = 10,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command ends early, and with which code.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What is wrong, where, and how to mend it.
    pub error: anyhow::Error,
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            exit: Exit::Failed,
            error: error.into(),
        }
    }
}

/// Gives an error an exit code of its own.
pub trait OrExit<T, E> {
    /// Fails with `exit` where `self` is an error.
    fn or_exit(self, exit: Exit) -> Result<T, Failure>;
    /// Fails with the code that `exit` finds for the error.
    fn or_exit_as(self, exit: impl FnOnce(&E) -> Exit) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T, E> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, Failure> {
        self.or_exit_as(|_| exit)
    }

    fn or_exit_as(self, exit: impl FnOnce(&E) -> Exit) -> Result<T, Failure> {
        self.map_err(|error| Failure {
            exit: exit(&error),
            error: error.into(),
        })
    }
}
