//! In which form a command answers.

use clap::ValueEnum;

/// The forms of a command that answers once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables for people; not stable.
    #[default]
    Human,
    /// One JSON object; stable.
    Json,
}

/// The forms of a command that tells of one thing after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum StreamFormat {
    /// A line for people; not stable.
    #[default]
    Human,
    /// A JSON object on a line of its own; stable.
    Jsonl,
}
