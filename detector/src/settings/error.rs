//! What is wrong with a configuration, in one line that says where and how to mend it.
//!
//! What stands in the file reaches the line as [`Shown`].

use std::{
    fmt::{self, Write as _},
    io,
    net::Ipv6Addr,
    time::Duration,
};

use super::{file::FILE_MAX, quota::Quota};
use crate::{
    output::{FileName, NoPrefix},
    rules::{Problem as RuleProblem, RulesError},
    text::{Place, Shown},
};

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
    #[error("{key}: {count} entries, and at most {max} are kept")]
    TooMany { key: Key, count: usize, max: usize },
    #[error("{key}: expected {expected}, found {found}")]
    WrongType {
        key: Key,
        expected: &'static str,
        found: &'static str,
    },
    #[error("{key}: \"{value}\": {why}")]
    NoSet {
        key: Key,
        value: Shown,
        why: RuleProblem,
    },
    #[error("{0}")]
    Rules(RulesError),
    #[error("{file}:{line}:{column}: {why}; no rule is taken while one of them is wrong")]
    Rule {
        file: FileName,
        line: usize,
        column: usize,
        why: RuleProblem,
    },
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
