//! What people and machines read: the words, shapes and manners that all commands share.
//!
//! Everything that is printed goes through here, so that a source looks the same in a replay, an event and a counter,
//! nothing from a wire or a file reaches a terminal raw, and a reader who went away ends a command without a word.

mod file_name;
mod format;
mod identity;
mod mac;
mod prefix;
mod reach;
mod source;
mod stderr;
mod stdout;
mod time;

pub use file_name::FileName;
pub use format::{Format, StreamFormat};
pub use identity::Identity;
pub use mac::Mac;
pub use prefix::{NoPrefix, Prefix};
pub use reach::{Tried, speaks_for_several, targets};
pub use source::Source;
pub use stderr::complain;
pub use stdout::{OutputError, Reader, print, print_json, print_json_line, write_json_line};
pub use time::Time;

/// The version of every JSON object that a command prints. Fields are added without a new one; a field that goes away
/// or changes its meaning makes one.
pub const SCHEMA_VERSION: u32 = 1;
