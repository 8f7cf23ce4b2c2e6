//! The agent: loads the kernel program, attaches it, reads its maps and events, and tells people of them.
//!
//! The kernel decides without it. So nothing here may end for want of a reader: neither a closed standard output nor a
//! control socket that breaks stops the filtering.

pub mod arp;
pub mod attach;
mod confirm;
pub mod control;
#[cfg(feature = "debug-log")]
mod debug_log;
mod directory;
mod events;
mod evidence;
pub mod finding;
mod guard;
pub mod interface;
pub mod kernel;
mod netlink;
pub mod offenders;
mod printer;
mod rates;
pub mod reload;
pub mod response;
mod scans;
pub mod stats;
pub mod status;
pub mod surroundings;
mod view;
mod voice;
mod watch;

pub use self::guard::{AgentError, Options, guard};
