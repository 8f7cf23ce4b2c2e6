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
    /// Both as one word.
    #[inline(always)]
    #[must_use]
    pub const fn to_word(self) -> u64 {
        self.reason as u64 | (self.verdict as u64) << 8
    }

    /// What [`Self::to_word`] made a word of; a reason that there is none of is [`Reason::StateMissing`].
    #[inline(always)]
    pub fn from_word(word: u64) -> Self {
        let verdict = if word >> 8 & 1 == Verdict::Drop as u64 {
            Verdict::Drop
        } else {
            Verdict::Pass
        };
        Self {
            reason: Reason::from_number(word as u8),
            verdict,
        }
    }

    /// The packet passes.
    #[inline(always)]
    pub const fn pass(reason: Reason) -> Self {
        Self {
            reason,
            verdict: Verdict::Pass,
        }
    }
}
