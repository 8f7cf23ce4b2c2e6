//! Files that people write: reading them, places in them, and what of them reaches a terminal.
//!
//! What stands in a file is shown escaped and shortened: whoever can write it may not be the one who reads the error.

use std::{
    fmt,
    fs::OpenOptions,
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use nix::libc::O_NONBLOCK;

/// A file cannot be read.
#[derive(Debug)]
pub(crate) enum Unreadable {
    Error(io::Error),
    NotAFile,
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        Self::Error(error)
    }
}

/// What the file at `path` holds, at most one byte more than `max`.
pub(crate) fn read_bounded(path: &Path, max: usize) -> Result<Vec<u8>, Unreadable> {
    // Whoever opens a FIFO otherwise waits until somebody writes to it.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(O_NONBLOCK)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(Unreadable::NotAFile);
    }
    let mut bytes = Vec::new();
    file.take(max as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A place in a file, as editors count: from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Place {
    /// The place of the byte `at` of `text`, of which all before it is UTF-8.
    pub(crate) fn of(text: &[u8], at: usize) -> Self {
        let before = String::from_utf8_lossy(text.get(..at).unwrap_or(text));
        let (lines, last) = match before.rsplit_once('\n') {
            None => (0, before.as_ref()),
            Some((lines, last)) => (lines.matches('\n').count() + 1, last),
        };
        Self {
            line: lines + 1,
            column: last.chars().count() + 1,
        }
    }
}

/// A text of the file that is fit for a terminal: escaped, and not longer than a line.
#[derive(Clone, Debug)]
pub struct Shown(String);

impl Shown {
    const CHARS_MAX: usize = 120;
}

impl From<&str> for Shown {
    fn from(text: &str) -> Self {
        let mut shown = String::new();
        let mut room = Self::CHARS_MAX;
        for char in text.chars() {
            let before = shown.len();
            match char {
                '\n' => shown.push(' '),
                // Escaping is for what a terminal would obey or hide.
                '\'' | '"' | '\\' => shown.push(char),
                _ => shown.extend(char.escape_debug()),
            }
            // What counts is what is shown, and no escape is shown in part.
            let length = shown.get(before..).map_or(0, |added| added.chars().count());
            let Some(rest) = room.checked_sub(length) else {
                shown.truncate(before);
                shown.push('…');
                break;
            };
            room = rest;
        }
        Self(shown)
    }
}

impl From<String> for Shown {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// The one of `known` that is meant by `text`, if any looks like it.
pub(crate) fn nearest(text: &str, known: &[&'static str]) -> Option<&'static str> {
    // Nobody mistypes a word that much, and comparing takes time in the square of the length.
    if text.len() > 100 {
        return None;
    }
    let text = text.to_lowercase();
    known
        .iter()
        .map(|word| (strsim::jaro_winkler(&text, word), *word))
        .filter(|(alike, _)| *alike > 0.8)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_counted_from_one_in_lines_and_characters() {
        let text = "ä = 1\n\n  b = 2".as_bytes();
        for (at, line, column) in [(0, 1, 1), (2, 1, 2), (6, 1, 6), (7, 2, 1), (10, 3, 3)] {
            assert_eq!(Place::of(text, at), Place { line, column }, "byte {at}");
        }
    }

    #[test]
    fn what_is_shown_is_one_short_line_that_no_terminal_obeys() {
        let shown = Shown::from("a\u{1b}[2J\n\u{202e}\"b\"").to_string();
        assert_eq!(shown, "a\\u{1b}[2J \\u{202e}\"b\"");
        for long in ["x", "\u{1d}", "\u{202e}"] {
            let long = Shown::from(long.repeat(1_000_000)).to_string();
            assert!(long.ends_with('…'), "{long}");
            let chars = long.chars().count();
            let range = Shown::CHARS_MAX - 8..=Shown::CHARS_MAX + 1;
            assert!(range.contains(&chars), "{chars} characters");
        }
    }

    #[test]
    fn only_a_word_that_looks_alike_is_offered() {
        let known = ["policy", "rate", "burst", "segment_rate"];
        for (text, word) in [
            ("ratee", Some("rate")),
            ("Rate", Some("rate")),
            ("segmentrate", Some("segment_rate")),
            ("polcy", Some("policy")),
            ("window", None),
        ] {
            assert_eq!(nearest(text, &known), word, "{text}");
        }
    }
}
