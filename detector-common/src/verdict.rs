//! What becomes of a packet, and why.

use crate::reason::Reason;

/// What becomes of a packet.
///
/// VERIFIER: a number. Of an enum the compiler makes branches, and the verifier follows all that comes after once for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[must_use]
pub struct Verdict(u8);

impl Verdict {
    /// It goes on to the kernel's stack.
    pub const PASS: Self = Self(0);
    /// It ends here.
    pub const DROP: Self = Self(1);
    /// It goes on, because the agent only monitors: enforcing, it would have ended here.
    pub const WOULD_DROP: Self = Self(2);

    /// Every verdict, by number.
    pub const ALL: [Self; 3] = [Self::PASS, Self::DROP, Self::WOULD_DROP];

    /// The verdict with this number.
    #[inline(always)]
    pub const fn from_number(number: u8) -> Self {
        Self(number)
    }

    /// Its number.
    #[inline(always)]
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Whether the packet goes on to the kernel's stack.
    #[inline(always)]
    #[must_use]
    pub fn passes(self) -> bool {
        self != Self::DROP
    }

    /// The name in every output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DROP => "drop",
            Self::WOULD_DROP => "would_drop",
            _ => "pass",
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
        self.reason as u64 | (self.verdict.number() as u64) << 8
    }

    /// What [`Self::to_word`] made a word of; a reason that there is none of is [`Reason::StateMissing`].
    #[inline(always)]
    pub fn from_word(word: u64) -> Self {
        Self {
            reason: Reason::from_number(word as u8),
            verdict: Verdict::from_number((word >> 8) as u8),
        }
    }

    /// The packet passes.
    #[inline(always)]
    pub const fn pass(reason: Reason) -> Self {
        Self {
            reason,
            verdict: Verdict::PASS,
        }
    }
}
