//! The text of a configuration file, of bounded length, and places in it.

use std::path::Path;

use super::error::{Problem, SettingsError};
use crate::{
    output::FileName,
    text::{Place, Unreadable, read_bounded},
};

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
        let problem = match read_bounded(path, FILE_MAX) {
            Ok(bytes) => return Self::from_bytes(path, bytes),
            Err(Unreadable::Error(error)) => Problem::Read(error),
            Err(Unreadable::NotAFile) => Problem::NotAFile,
        };
        Err(SettingsError::new(Some(FileName::new(path)), None, problem))
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
