//! Rules of which a part is decided elsewhere: the kernel asks all but that, and hands the packet on if the rest holds.
//!
//! Such a rule is no finding here, and changes nothing for other rules: it is noted where it is counted. The agent takes the packet apart as the
//! kernel did and asks the rule once more, all of it; so does a replay.

use super::{table::Operation, workspace::Workspace};

/// The most such rules of one packet.
pub const PARTIALS_MAX: usize = 10;

/// Who decides what the kernel does not.
pub trait Decider: core::fmt::Debug {
    /// Whether an operation holds that is a [`Regex`](super::table::Kind::Regex). What depends on what is not here, it says in
    /// [`Workspace::is_unsure`].
    fn holds(&self, operation: &Operation, workspace: &mut Workspace) -> bool;
}
