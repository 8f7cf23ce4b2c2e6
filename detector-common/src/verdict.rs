//! What becomes of a packet, and why.

use crate::reason::Reason;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[must_use]
pub enum Verdict {
    /// It goes on to the kernel's stack.
    Pass = 0,
    /// It ends here.
    Drop = 1,
}

impl Verdict {
    /// Every verdict, by number.
    pub const ALL: [Self; 2] = [Self::Pass, Self::Drop];

    /// The name in every output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Drop => "drop",
        }
    }
}

/// A verdict with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Decision {
    /// Why.
    pub reason: Reason,
    /// What becomes of the packet.
    pub verdict: Verdict,
}

impl Decision {
    /// The packet passes.
    #[inline(always)]
    pub const fn pass(reason: Reason) -> Self {
        Self {
            reason,
            verdict: Verdict::Pass,
        }
    }
}
