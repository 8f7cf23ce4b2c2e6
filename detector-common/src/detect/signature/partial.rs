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

impl Workspace {
    /// Notes a rule that holds as far as it is asked here. Whoever decides the rest has one packet: of a joined text that is left undecided.
    #[inline(always)]
    pub(super) fn hold_partial(&mut self, slot: u16) {
        if self.junction != 0 {
            self.is_cut_short = 1;
            return;
        }
        let mut index = 0_u32;
        for known in &self.partials {
            if index >= self.partials_len || *known == slot {
                break;
            }
            index = index.wrapping_add(1);
        }
        let Some(place) = self.partials.get_mut(index as usize) else {
            self.is_cut_short = 1;
            return;
        };
        *place = slot;
        if index >= self.partials_len {
            self.partials_len = index.wrapping_add(1);
        }
    }

    /// The rules that hold as far as they are asked here: where they are counted.
    #[must_use]
    pub fn partials(&self) -> &[u16] {
        let here = self.partials.get(..self.partials_len as usize);
        here.unwrap_or(&self.partials)
    }
}
