//! What is wrong with a configuration, in one line that says where and how to mend it.
//!
//! What stands in the file reaches the line escaped and shortened: whoever can write a configuration may not be the one
//! who reads the error.

use std::{
    fmt::{self, Write as _},
    io,
    net::Ipv6Addr,
    time::Duration,
};

use detector_common::detect::signature::compile::CompileError;

use super::{file::FILE_MAX, quota::Quota};
use crate::output::{FileName, NoPrefix};

/// A configuration cannot be used.
#[derive(Debug)]
pub struct SettingsError {
    file: Option<FileName>,
    place: Option<Place>,
    problem: Box<Problem>,
}

impl SettingsError {
    pub(super) fn new(file: Option<FileName>, place: Option<Place>, problem: Problem) -> Self {
        Self {
            file,
            place,
            problem: Box::new(problem),
        }
    }
}

impl std::error::Error for SettingsError {}

impl fmt::Display for SettingsError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(out, "{file}:")?;
            if let Some(Place { line, column }) = self.place {
                write!(out, "{line}:{column}:")?;
            }
            out.write_char(' ')?;
        }
        self.problem.fmt(out)
    }
}

/// A place in a file, as editors count: from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Place {
    /// The place of the byte `at` of `text`, of which all before it is UTF-8.
    pub(super) fn of(text: &[u8], at: usize) -> Self {
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

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("cannot be read: {0}")]
    Read(io::Error),
    #[error("no regular file: write the configuration to one")]
    NotAFile,
    #[error("longer than {FILE_MAX} bytes: this is no configuration")]
    TooLong,
    #[error("not UTF-8, as TOML must be")]
    NotUtf8,
    #[error("not TOML: {0}")]
    Syntax(Shown),
    #[error("unknown key \"{key}\"{}: {}", in_section(*section), hint(*nearest, known))]
    UnknownKey {
        key: Shown,
        section: Option<&'static str>,
        nearest: Option<&'static str>,
        known: Vec<&'static str>,
    },
    #[error("{key}: unknown value \"{value}\": {}", hint_of_choice(*nearest, choices))]
    UnknownChoice {
        key: Key,
        value: Shown,
        nearest: Option<&'static str>,
        choices: Vec<&'static str>,
    },
    #[error("{key}: {value} is out of range: from {min} to {max}")]
    OutOfRange {
        key: Key,
        value: Shown,
        min: u32,
        max: u32,
    },
    #[error(
        "{key}: \"{value}\" is no limit: write \"30/2s\" for 30 in 2 seconds, or \"15/s\"; from 1 to {count_max} in 1 to {seconds_max} \
         seconds",
        seconds_max = Quota::SECONDS_MAX
    )]
    NoQuota {
        key: Key,
        value: Shown,
        count_max: u32,
    },
    #[error(
        "{key}: \"{quota}\" is never reached: {per_second} hosts a second are looked after for certain, so allow {seconds} s or more"
    )]
    NeverReached {
        key: Key,
        quota: Quota,
        per_second: u32,
        seconds: u32,
    },
    #[error("{key}: \"{value}\" is no MAC address: write \"02:00:00:00:00:01\"")]
    NoMac { key: Key, value: Shown },
    #[error("{key}: \"{value}\": {why}")]
    NoPrefix {
        key: Key,
        value: Shown,
        why: NoPrefix,
    },
    #[error(
        "{key}: \"{value}\" is no time: write \"90s\", \"10m\" or \"1h 30m\"; from 1 to {} seconds",
        max.as_secs()
    )]
    NoTime {
        key: Key,
        value: Shown,
        max: Duration,
    },
    #[error("{key}: {time} s is more than the longest time, {max} s")]
    TimeAboveMax { key: Key, time: u64, max: u64 },
    #[error("{key}: \"{value}\" is no address: write \"192.0.2.1\" or \"2001:db8::1\"")]
    NoAddress { key: Key, value: Shown },
    #[error("{key}: {address} is another on each interface, so that its owner cannot be named")]
    LinkLocal { key: Key, address: Ipv6Addr },
    #[error("{key}: {count} addresses, and at most {max} are kept")]
    TooMany { key: Key, count: usize, max: usize },
    #[error("{key}: expected {expected}, found {found}")]
    WrongType {
        key: Key,
        expected: &'static str,
        found: &'static str,
    },
    #[error("http_ports: {0}: leave it out")]
    HttpPorts(CompileError),
}

/// A known key, with the table it is in.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) key: &'static str,
    pub(super) section: Option<&'static str>,
}

impl fmt::Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}", self.key, in_section(self.section))
    }
}

/// A text of the file that is fit for a terminal: escaped, and not longer than a line.
#[derive(Debug)]
pub(super) struct Shown(String);

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
pub(super) fn nearest(text: &str, known: &[&'static str]) -> Option<&'static str> {
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

fn in_section(section: Option<&'static str>) -> String {
    section.map_or_else(String::new, |section| format!(" in [{section}]"))
}

fn hint(nearest: Option<&'static str>, known: &[&str]) -> String {
    match (nearest, known) {
        (Some(nearest), _) => format!("did you mean \"{nearest}\"?"),
        (None, [only]) => format!("known is {only}"),
        (None, known) => format!("known are {}", known.join(", ")),
    }
}

fn hint_of_choice(nearest: Option<&'static str>, choices: &[&str]) -> String {
    match nearest {
        Some(nearest) => format!("did you mean \"{nearest}\"?"),
        None => format!("expected one of {}", choices.join(", ")),
    }
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
