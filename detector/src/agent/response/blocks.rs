//! Who is blocked, until when, and why.

use std::{
    borrow::Cow,
    collections::{BTreeMap, VecDeque, btree_map::Entry},
    time::Duration,
};

use detector_common::{
    blocks::{AddressHash, BLOCKS_MAX, Block},
    detect::Detector,
};
use serde::{Deserialize, Serialize};

use super::Refused;
use crate::{
    agent::kernel::{BlockPlace, Clock, KernelError, ResponseMaps},
    output::{Prefix, SCHEMA_VERSION, Time},
};

/// Blocks that only the operator makes: whoever has many addresses to show worms from must not take the last.
pub(super) const KEPT_FOR_THE_OPERATOR: usize = 256;

/// The answer to `detector block list`; its keys are stable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockList {
    /// The version of this object.
    pub schema_version: u32,
    /// When the agent was asked.
    pub time: Time,
    /// Whether blocked packets are dropped (`enforce`) or only counted (`monitor`).
    pub mode: String,
    /// The most blocks there can be.
    pub quota: u32,
    /// Blocks that findings asked for and that there was no room for, since the start.
    pub refused: u64,
    /// Who is blocked.
    pub blocks: Vec<Blocked>,
}

/// A block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// Who: an address or a prefix.
    pub prefix: Prefix,
    /// Why.
    #[serde(flatten)]
    pub why: Why,
    /// Whether it was asked for though somebody in it is protected.
    pub forced: bool,
    /// How often findings have blocked it lately, this time included; 0 if the operator did.
    pub times: u32,
    /// When it was blocked.
    pub first: Time,
    /// When its last packet came that was dropped, or would have been; else when it was blocked.
    pub last: Time,
    /// When it ends.
    pub until: Time,
    /// The same in seconds from now.
    pub left_s: u64,
    /// Packets that were dropped, or would have been.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Why somebody is blocked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Why {
    /// The operator said so.
    Operator {
        /// In the operator's words.
        note: Option<String>,
    },
    /// A detector objected.
    Finding {
        /// Which.
        detector: Cow<'static, str>,
        /// The name of the signature; `null` for another detector.
        signature: Option<Cow<'static, str>>,
        /// How sure it is that the source is who it says: `spoofable` or `confirmed`.
        proof: Cow<'static, str>,
    },
}

/// How long findings block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The first time.
    pub time: Duration,
    /// At most: each time is twice the last one. Who has not been blocked for as long begins anew.
    pub time_max: Duration,
    /// The detectors whose findings block, and whether they do though their evidence can be forged.
    pub detectors: Vec<(Detector, bool)>,
}

/// Every block, as the kernel has it too.
#[derive(Debug)]
pub(super) struct Blocks {
    entries: BTreeMap<Prefix, Kept>,
    /// How many of them are no single address.
    prefixes: usize,
    /// Records that no block has. Who had one last waits longest, for a packet may still be on its way there.
    free: VecDeque<u32>,
    /// Who was blocked by findings lately.
    repeaters: BTreeMap<Prefix, Repeater>,
    refused: u64,
}

/// A block as it is kept.
#[derive(Clone, Debug)]
struct Kept {
    record: u32,
    place: BlockPlace,
    block: Block,
    since: Time,
    why: Why,
    forced: bool,
    times: u32,
}

#[derive(Clone, Copy, Debug)]
struct Repeater {
    times: u32,
    /// When it is forgotten, in nanoseconds of the program's clock.
    until_ns: u64,
}

/// What is to be blocked.
pub(super) struct Order {
    pub(super) prefix: Prefix,
    pub(super) why: Why,
    pub(super) forced: bool,
    pub(super) time: Duration,
    pub(super) times: u32,
}

impl Blocks {
    pub(super) fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
            prefixes: 0,
            free: (0..BLOCKS_MAX).collect(),
            repeaters: BTreeMap::new(),
            refused: 0,
        }
    }

    /// Whether exactly this prefix is blocked now.
    pub(super) fn is_blocked(&self, prefix: Prefix, now: Clock) -> bool {
        let kept = self.entries.get(&prefix);
        kept.is_some_and(|kept| kept.block.until_ns > now.kernel_ns)
    }

    /// Whether addresses, and whether prefixes, are blocked.
    pub(super) fn kinds(&self) -> (bool, bool) {
        (self.prefixes < self.entries.len(), self.prefixes > 0)
    }

    /// Blocks somebody, or anew who is blocked already.
    pub(super) fn add(
        &mut self,
        order: Order,
        now: Clock,
        seed: u64,
        maps: &mut ResponseMaps,
    ) -> Result<(), Refused> {
        let Order {
            prefix,
            why,
            forced,
            time,
            times,
        } = order;
        let (first, bits) = prefix.to_key();
        let block = Block {
            address: first,
            until_ns: now.kernel_ns.saturating_add(nanoseconds(time)),
        };
        let since = Time(now.unix_ns);
        match self.entries.entry(prefix) {
            Entry::Occupied(mut entry) => {
                let kept = entry.get_mut();
                let is_over = kept.block.until_ns <= now.kernel_ns;
                if is_over {
                    maps.reset_block(kept.record)?;
                }
                maps.set_block(kept.record, block)?;
                *kept = Kept {
                    block,
                    since: if is_over { since } else { kept.since },
                    why,
                    forced,
                    times,
                    ..*kept
                };
            }
            Entry::Vacant(entry) => {
                let record = self.free.pop_front().ok_or(Refused::NoRoom)?;
                let place = if prefix.is_address() {
                    BlockPlace::Address(AddressHash::new(first, seed))
                } else {
                    BlockPlace::Prefix(first, bits)
                };
                match maps.add_block(record, place, block) {
                    Ok(true) => {}
                    other => {
                        self.free.push_back(record);
                        return Err(other.map_or_else(Refused::from, |_| Refused::NoRoom));
                    }
                }
                self.prefixes += usize::from(!prefix.is_address());
                entry.insert(Kept {
                    record,
                    place,
                    block,
                    since,
                    why,
                    forced,
                    times,
                });
            }
        }
        Ok(())
    }

    /// Ends a block; `false` if there is none.
    pub(super) fn remove(
        &mut self,
        prefix: Prefix,
        maps: &mut ResponseMaps,
    ) -> Result<bool, KernelError> {
        let Some(kept) = self.entries.get(&prefix) else {
            return Ok(false);
        };
        maps.remove_block(kept.record, kept.place)?;
        self.free.push_back(kept.record);
        self.prefixes -= usize::from(!prefix.is_address());
        self.entries.remove(&prefix);
        Ok(true)
    }

    /// Forgets that findings blocked somebody.
    pub(super) fn forgive(&mut self, prefix: Prefix) {
        self.repeaters.remove(&prefix);
    }

    /// Ends what is over, and says whether anything was.
    pub(super) fn expire(
        &mut self,
        now: Clock,
        maps: &mut ResponseMaps,
    ) -> Result<bool, KernelError> {
        let over = self.entries.iter();
        let over: Vec<_> = over
            .filter(|(_, kept)| kept.block.until_ns <= now.kernel_ns)
            .map(|(prefix, _)| *prefix)
            .collect();
        for prefix in &over {
            self.remove(*prefix, maps)?;
        }
        self.repeaters
            .retain(|_, repeater| repeater.until_ns > now.kernel_ns);
        Ok(!over.is_empty())
    }

    /// Who of those that are blocked has an address in common with `prefix`, and was not forced.
    pub(super) fn unforced_in(&self, prefix: Prefix) -> Vec<Prefix> {
        let entries = self.entries.iter();
        entries
            .filter(|(blocked, kept)| !kept.forced && blocked.overlaps(prefix))
            .map(|(blocked, _)| *blocked)
            .collect()
    }

    /// How often findings will have blocked somebody, with this time, and how long that is for.
    pub(super) fn sentence(&self, prefix: Prefix, terms: &Terms) -> (u32, Duration) {
        let repeater = self.repeaters.get(&prefix);
        let times = repeater.map_or(0, |repeater| repeater.times) + 1;
        let factor = 1_u32.checked_shl(times - 1).unwrap_or(u32::MAX);
        (times, terms.time.saturating_mul(factor).min(terms.time_max))
    }

    /// Remembers that findings have blocked somebody for the so-manieth time, and for how long.
    pub(super) fn remember(
        &mut self,
        prefix: Prefix,
        times: u32,
        time: Duration,
        terms: &Terms,
        now: Clock,
    ) {
        let forgotten = nanoseconds(time).saturating_add(nanoseconds(terms.time_max));
        let until_ns = now.kernel_ns.saturating_add(forgotten);
        // As many are remembered as can be blocked: of more, who would be forgotten first.
        if self.repeaters.len() >= BLOCKS_MAX as usize && !self.repeaters.contains_key(&prefix) {
            let first = self.repeaters.iter().min_by_key(|(_, one)| one.until_ns);
            if let Some(first) = first.map(|(prefix, _)| *prefix) {
                self.repeaters.remove(&first);
            }
        }
        self.repeaters.insert(prefix, Repeater { times, until_ns });
    }

    /// Whether there are as many as findings can make.
    pub(super) fn is_full_for_findings(&self) -> bool {
        self.free.len() <= KEPT_FOR_THE_OPERATOR
    }

    /// Takes note that there was no room for a block that a finding asked for; whether it is the first time.
    pub(super) fn refuse(&mut self) -> bool {
        self.refused += 1;
        self.refused == 1
    }

    /// The list.
    pub(super) fn list(
        &self,
        mode: &str,
        now: Clock,
        maps: &ResponseMaps,
    ) -> Result<BlockList, KernelError> {
        let entry = |(prefix, kept): (&Prefix, &Kept)| {
            let cost = maps.blocked(kept.record)?;
            let until_ns = kept.block.until_ns;
            Ok(Blocked {
                prefix: *prefix,
                why: kept.why.clone(),
                forced: kept.forced,
                times: kept.times,
                first: kept.since,
                last: match cost.last_ns {
                    0 => kept.since,
                    last_ns => Time(now.to_unix_ns(last_ns)),
                },
                until: Time(now.to_unix_ns(until_ns)),
                left_s: until_ns
                    .saturating_sub(now.kernel_ns)
                    .div_ceil(1_000_000_000),
                packets: cost.packets,
                bytes: cost.bytes,
            })
        };
        let blocks: Result<Vec<_>, KernelError> = self.entries.iter().map(entry).collect();
        Ok(BlockList {
            schema_version: SCHEMA_VERSION,
            time: Time(now.unix_ns),
            mode: mode.to_owned(),
            quota: BLOCKS_MAX,
            refused: self.refused,
            blocks: blocks?,
        })
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn at(seconds: u64) -> Clock {
        Clock {
            kernel_ns: seconds * 1_000_000_000,
            unix_ns: 0,
        }
    }

    #[test]
    fn who_is_blocked_again_is_blocked_twice_as_long_up_to_the_longest() {
        let terms = Terms {
            time: MINUTE,
            time_max: MINUTE * 5,
            detectors: Vec::new(),
        };
        let mut blocks = Blocks::new();
        let who: Prefix = "192.0.2.7".parse().unwrap();
        let mut sentences = Vec::new();
        for again in 0..40 {
            let (times, time) = blocks.sentence(who, &terms);
            blocks.remember(who, times, time, &terms, at(again));
            sentences.push(time / 60);
        }
        assert_eq!(sentences[..4], [1, 2, 4, 5].map(Duration::from_secs));
        assert!(
            sentences[4..]
                .iter()
                .all(|time| *time == Duration::from_secs(5))
        );
        let other = "192.0.2.8".parse().unwrap();
        assert_eq!(blocks.sentence(other, &terms), (1, MINUTE));
        blocks.forgive(who);
        assert_eq!(blocks.sentence(who, &terms), (1, MINUTE));
    }

    #[test]
    fn no_more_repeaters_are_remembered_than_can_be_blocked() {
        let terms = Terms {
            time: MINUTE,
            time_max: MINUTE,
            detectors: Vec::new(),
        };
        let mut blocks = Blocks::new();
        for number in 0..BLOCKS_MAX + 10 {
            let who = Prefix::of_address(std::net::Ipv4Addr::from(number).into());
            blocks.remember(who, 1, MINUTE, &terms, at(number.into()));
        }
        assert_eq!(blocks.repeaters.len(), BLOCKS_MAX as usize);
        let first = Prefix::of_address([0, 0, 0, 0].into());
        assert!(!blocks.repeaters.contains_key(&first));
    }
}
