//! The text of a configuration file, of bounded length, and places in it.

use std::{fs::OpenOptions, io::Read as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use nix::libc::O_NONBLOCK;

use super::error::{Place, Problem, SettingsError};
use crate::output::FileName;

/// The longest configuration, in bytes: a hundred times what anybody needs.
pub(super) const FILE_MAX: usize = 256 * 1024;

/// A configuration file.
pub(super) struct File {
    name: FileName,
    text: String,
}

impl File {
    /// Reads the file at `path`.
    pub(super) fn read(path: &Path) -> Result<Self, SettingsError> {
        match read_bounded(path) {
            Ok(bytes) => Self::from_bytes(path, bytes),
            Err(problem) => Err(SettingsError::new(Some(FileName::new(path)), None, problem)),
        }
    }

    /// The file that is called `path` and holds `bytes`.
    pub(super) fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self, SettingsError> {
        let name = FileName::new(path);
        let fail = |place, problem| SettingsError::new(Some(name.clone()), place, problem);
        if bytes.len() > FILE_MAX {
            return Err(fail(None, Problem::TooLong));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self { name, text }),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let place = Place::of(error.as_bytes(), at);
                Err(fail(Some(place), Problem::NotUtf8))
            }
        }
    }

    pub(super) fn name(&self) -> &FileName {
        &self.name
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The place of the byte `at`.
    pub(super) fn place(&self, at: usize) -> Place {
        Place::of(self.text.as_bytes(), at)
    }

    /// The error of something wrong at the byte `at`.
    pub(super) fn error(&self, at: usize, problem: Problem) -> SettingsError {
        SettingsError::new(Some(self.name.clone()), Some(self.place(at)), problem)
    }
}

/// At most one byte more than a configuration has.
fn read_bounded(path: &Path) -> Result<Vec<u8>, Problem> {
    // Whoever opens a FIFO otherwise waits until somebody writes to it.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(O_NONBLOCK)
        .open(path)
        .map_err(Problem::Read)?;
    if !file.metadata().map_err(Problem::Read)?.is_file() {
        return Err(Problem::NotAFile);
    }
    let mut bytes = Vec::new();
    file.take(FILE_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(Problem::Read)?;
    Ok(bytes)
}
