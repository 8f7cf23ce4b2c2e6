//! What is done against whom: blocks, and who is protected from everything that is done.
//!
//! The kernel acts, and goes on until a block ends whether or not the agent still runs; the agent decides whom to block. It blocks
//! nobody for what anybody else could have sent in their name, unless the operator says so, and nobody who is protected.

mod blocks;
mod protected;

use std::{net::Ipv6Addr, time::Duration};

use detector_common::{
    config::Config, detect::Detector, event::Event, proof::Proof, reason::Reason, verdict::Verdict,
};
use serde::{Deserialize, Serialize};

pub use self::{
    blocks::{BlockList, Blocked, Terms, Why},
    protected::{ADDED_MAX, Protected, ProtectedList},
};
use self::{
    blocks::{Blocks, Order},
    protected::ProtectedSet,
};
use super::{
    kernel::{Clock, KernelError, ResponseMaps},
    surroundings::{self, Surroundings},
    voice::say,
};
use crate::{
    output::{Identity, Prefix},
    rules::Book,
};

/// What `detector block add` asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockOrder {
    /// Whom.
    pub prefix: Prefix,
    /// How long, in seconds.
    pub for_s: u64,
    /// Why, in the operator's words.
    pub note: Option<String>,
    /// Though somebody in it is protected.
    pub force: bool,
}

/// The longest block, in seconds: a year.
pub const BLOCK_SECONDS_MAX: u64 = 366 * 86_400;
/// How long a note may be, in characters.
pub const NOTE_CHARS_MAX: usize = 200;

/// It is not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("{prefix} is not blocked, because {} is protected ({}): --force blocks it all the same", protected.address, protected.why)]
    Protected {
        prefix: Prefix,
        protected: Protected,
    },
    #[error(
        "{0} is not blocked, because it is too wide: the widest are an IPv4 /8 and an IPv6 /16"
    )]
    TooWide(Prefix),
    #[error("a block lasts from 1 second to {BLOCK_SECONDS_MAX}")]
    Time,
    #[error("a note has at most {NOTE_CHARS_MAX} characters")]
    Note,
    #[error("there is no room for another: end one first")]
    NoRoom,
    #[error("{0} is not {1}")]
    NotThere(Prefix, &'static str),
    #[error("{0} stays protected, because the machine depends on it ({1})")]
    Learnt(Prefix, surroundings::Why),
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

/// Who is blocked and who is protected.
pub(super) struct Response {
    maps: ResponseMaps,
    seed: u64,
    terms: Terms,
    protected: ProtectedSet,
    blocks: Blocks,
}

impl Response {
    /// With these prefixes protected from the start, and hashes that start from `seed`.
    pub(super) fn new(
        mut maps: ResponseMaps,
        seed: u64,
        terms: Terms,
        protected: &[Prefix],
    ) -> Result<Self, KernelError> {
        Ok(Self {
            protected: ProtectedSet::new(protected, &mut maps)?,
            maps,
            seed,
            terms,
            blocks: Blocks::new(),
        })
    }

    /// The configuration of the classifier while these are blocked.
    pub(super) fn configure(&self, config: &Config) -> Config {
        let (addresses, prefixes) = self.blocks.kinds();
        config.with_blocks(addresses, prefixes)
    }

    /// Blocks whom the operator says.
    pub(super) fn block(&mut self, order: BlockOrder, now: Clock) -> Result<(), Refused> {
        let BlockOrder {
            prefix,
            for_s,
            note,
            force,
        } = order;
        if prefix.is_too_wide() {
            return Err(Refused::TooWide(prefix));
        }
        if !(1..=BLOCK_SECONDS_MAX).contains(&for_s) {
            return Err(Refused::Time);
        }
        if note
            .as_ref()
            .is_some_and(|note| note.chars().count() > NOTE_CHARS_MAX)
        {
            return Err(Refused::Note);
        }
        if let Some(protected) = self.protected.overlapping(prefix)
            && !force
        {
            return Err(Refused::Protected { prefix, protected });
        }
        let order = Order {
            prefix,
            why: Why::Operator { note },
            forced: force,
            time: Duration::from_secs(for_s),
            times: 0,
        };
        self.blocks.add(order, now, self.seed, &mut self.maps)
    }

    /// Ends a block, and forgets that there was one.
    pub(super) fn unblock(&mut self, prefix: Prefix) -> Result<(), Refused> {
        if self.blocks.remove(prefix, &mut self.maps)? {
            self.blocks.forgive(prefix);
            Ok(())
        } else {
            Err(Refused::NotThere(prefix, "blocked"))
        }
    }

    /// Blocks the source of a finding, if its detector's findings block and the proof is enough; says how long, and how often that
    /// was lately.
    pub(super) fn answer(
        &mut self,
        event: &Event,
        now: Clock,
        book: &Book,
    ) -> Option<(Prefix, Duration, u32)> {
        let detector = event.key.detector()?;
        let mut detectors = self.terms.detectors.iter();
        let (_, unproven) = detectors.find(|(blocking, _)| *blocking == detector)?;
        if !unproven && event.proof != Proof::CONFIRMED {
            return None;
        }
        // A rule that only alerts has let it pass, and if another detector did not, that is not for its reason.
        let by_rule = event.reason() == Some(Reason::Signature) && event.verdict() != Verdict::PASS;
        if detector == Detector::Signature && !by_rule {
            return None;
        }
        let address = Ipv6Addr::from(event.key.ip()?.octets());
        let prefix = Prefix::of_address(address.into());
        if self.blocks.is_blocked(prefix, now) {
            return None;
        }
        // Asked first: a flood of findings that find no room must cost the agent nothing more.
        if self.blocks.is_full_for_findings() {
            self.refuse();
            return None;
        }
        if self.protected.overlapping(prefix).is_some() {
            return None;
        }
        let identity = Identity::of(&event.key, event.companion, book)?;
        let (times, time) = self.blocks.sentence(prefix, &self.terms);
        let order = Order {
            prefix,
            why: Why::Finding {
                detector: identity.detector,
                signature: identity.signature,
                proof: event.proof.name().into(),
            },
            forced: false,
            time,
            times,
        };
        if self
            .blocks
            .add(order, now, self.seed, &mut self.maps)
            .is_err()
        {
            self.refuse();
            return None;
        }
        self.blocks.remember(prefix, times, time, &self.terms, now);
        Some((prefix, time, times))
    }

    /// Takes note that a finding asked for a block that is not made, and says so once.
    fn refuse(&mut self) {
        if self.blocks.refuse() {
            say(
                "there is no room for another block: packets of worms are still dropped one by one, see `detector block list`",
            );
        }
    }

    /// Ends the blocks that are over; says whether there were any.
    pub(super) fn expire(&mut self, now: Clock) -> Result<bool, KernelError> {
        self.blocks.expire(now, &mut self.maps)
    }

    /// Who is blocked.
    pub(super) fn blocks(&self, mode: &str, now: Clock) -> Result<BlockList, KernelError> {
        self.blocks.list(mode, now, &self.maps)
    }

    /// Who is protected.
    pub(super) fn protected(&self) -> ProtectedList {
        self.protected.list()
    }

    /// Takes note of what the machine is part of now.
    ///
    /// # Errors
    ///
    /// The kernel does not take all of it.
    pub(super) fn learn(&mut self, surroundings: &Surroundings) -> Result<(), KernelError> {
        self.protected.learn(surroundings, &mut self.maps)
    }

    /// Protects what the operator says; see [`Self::release`].
    pub(super) fn protect(&mut self, prefix: Prefix) -> Result<(), Refused> {
        self.protected.add(prefix, &mut self.maps)
    }

    /// Protects what the operator added no longer.
    pub(super) fn unprotect(&mut self, prefix: Prefix) -> Result<(), Refused> {
        self.protected.remove(prefix, &mut self.maps)
    }

    /// Ends the blocks of who is protected, where nobody forced them, and gives them.
    pub(super) fn release(&mut self) -> Result<Vec<Prefix>, KernelError> {
        let protected: Vec<_> = self.protected.iter().map(|one| one.address).collect();
        let mut released = Vec::new();
        for blocked in protected
            .into_iter()
            .flat_map(|prefix| self.blocks.unforced_in(prefix))
            .collect::<Vec<_>>()
        {
            if self.blocks.remove(blocked, &mut self.maps)? {
                released.push(blocked);
            }
        }
        Ok(released)
    }
}
