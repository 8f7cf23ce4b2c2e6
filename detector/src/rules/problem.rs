//! Why a rule is not taken, in one line.

use crate::{output::FileName, text::Shown};

/// Why a rule is not taken.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Problem {
    /// Its bytes are no text.
    #[error("not UTF-8: write such a byte as |ff|")]
    NotUtf8,
    /// It does something else than alert, drop or pass.
    #[error("action \"{0}\": a packet filter can alert, drop and pass")]
    Action(Shown),
    /// It is for a protocol that a packet does not tell.
    #[error(
        "protocol \"{0}\": expected tcp, udp, icmp or ip; what speaks in a connection is not followed"
    )]
    Protocol(Shown),
    /// Something else was expected.
    #[error("expected {0}")]
    Expected(Shown),
    /// Lists within lists.
    #[error(
        "lists of addresses or ports are at most {} deep",
        super::header::DEPTH_MAX
    )]
    TooDeep,
    /// There is no such keyword.
    #[error("unknown keyword \"{0}\"{1}")]
    UnknownKeyword(Shown, Hint),
    /// A packet filter cannot honour it, or not with such a value.
    #[error("{keyword}: {why}")]
    Refused {
        /// The keyword.
        keyword: &'static str,
        /// Why.
        why: &'static str,
    },
    /// A regular expression that cannot be matched here.
    #[error("pcre: {0}")]
    Regex(Shown),
    /// The value is not one of the keyword.
    #[error("{keyword}: \"{value}\": expected {expected}")]
    Value {
        /// The keyword.
        keyword: &'static str,
        /// What was found.
        value: Shown,
        /// What was wanted.
        expected: &'static str,
    },
    /// A keyword that tells of a pattern, before any.
    #[error("{0}: tells of a content, and there is none before it")]
    NoPattern(&'static str),
    /// Two of a kind.
    #[error("{0}: said twice")]
    Twice(&'static str),
    /// Two that do not go together.
    #[error("{0}: not together with {1}")]
    Together(&'static str, &'static str),
    /// A buffer is named, and nothing is looked for in it.
    #[error("{0}: tells of the contents behind it, and there is none")]
    NoPatternBehind(&'static str),
    /// It is of other packets.
    #[error("{0}: only in rules of {1}")]
    OnlyOf(&'static str, &'static str),
    /// With it the rule can never match.
    #[error("{0}: can never match, for {1}")]
    Never(&'static str, &'static str),
    /// It always holds.
    #[error("{0}: asks nothing, for {1}")]
    Pointless(&'static str, &'static str),
    /// A variable that nobody defined.
    #[error("${0}: no such {1}: define it in the section [rules] of the configuration")]
    Variable(Shown, &'static str),
    /// One rule asks too much.
    #[error("more than {1} {0} in one rule")]
    TooLarge(&'static str, usize),
    /// All rules together are too much.
    #[error("all rules together have more than {1} {0}: leave some out")]
    NoRoom(&'static str, usize),
    /// It has no number.
    #[error("sid: a rule has a number of its own, and this one has none")]
    NoSid,
    /// Another rule has its number.
    #[error(
        "its number is that of the rule at {file}:{line}, which is newer, or as new and comes first"
    )]
    Duplicate {
        /// The file of the other.
        file: FileName,
        /// Its line.
        line: usize,
    },
}

impl Problem {
    /// Whether the rule is wrong, and not merely one that a packet filter cannot honour.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        match self {
            Self::Action(_)
            | Self::Protocol(_)
            | Self::Refused { .. }
            | Self::Regex(_)
            | Self::Duplicate { .. } => false,
            Self::NotUtf8
            | Self::Expected(_)
            | Self::TooDeep
            | Self::UnknownKeyword(..)
            | Self::Value { .. }
            | Self::NoPattern(_)
            | Self::Twice(_)
            | Self::Together(..)
            | Self::NoPatternBehind(_)
            | Self::OnlyOf(..)
            | Self::Never(..)
            | Self::Pointless(..)
            | Self::Variable(..)
            | Self::TooLarge(..)
            | Self::NoRoom(..)
            | Self::NoSid => true,
        }
    }

    /// The keyword it is about, or a word for what is wrong: to count by.
    #[must_use]
    pub fn topic(&self) -> &'static str {
        match self {
            Self::Refused { keyword, .. }
            | Self::Value { keyword, .. }
            | Self::NoPattern(keyword)
            | Self::NoPatternBehind(keyword)
            | Self::OnlyOf(keyword, _)
            | Self::Twice(keyword)
            | Self::Together(keyword, _) => keyword,
            Self::Regex(_) => "pcre",
            Self::Action(_) => "action",
            Self::Protocol(_) => "protocol",
            Self::UnknownKeyword(..) => "unknown keyword",
            Self::NotUtf8 | Self::Expected(_) | Self::TooDeep => "syntax",
            Self::Never(..) | Self::Pointless(..) => "never or always matches",
            Self::Variable(..) => "variable",
            Self::TooLarge(..) | Self::NoRoom(..) => "too large",
            Self::NoSid => "sid",
            Self::Duplicate { .. } => "duplicate",
        }
    }
}

/// What was meant, perhaps.
#[derive(Clone, Debug)]
pub struct Hint(pub Option<&'static str>);

impl std::fmt::Display for Hint {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(word) => write!(out, ": did you mean \"{word}\"?"),
            None => Ok(()),
        }
    }
}
