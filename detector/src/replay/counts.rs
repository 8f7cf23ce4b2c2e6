//! What was counted in a capture, or in several together.

use std::{collections::BTreeMap, ops::AddAssign};

use detector_common::verdict::Verdict;
use serde::Serialize;

use super::runtime::Replay;

/// Counts, under the names they have in every output. Only what is not zero is listed by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Counts {
    /// Packets.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// From the first packet to the last, in seconds; of several captures, the sum.
    pub duration_s: f64,
    /// What became of the packets.
    pub verdicts: Verdicts,
    /// Packets by the reason for their verdict.
    pub reasons: BTreeMap<&'static str, u64>,
    /// What matched, by the `msg` of the rule.
    pub signatures: BTreeMap<String, SignatureCount>,
    /// What befell the classifier's tables.
    pub tallies: BTreeMap<&'static str, u64>,
    /// Flagged packets of sources that are not among the findings because these were too many.
    pub omitted: u64,
}

/// Packets by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdicts {
    /// Went on.
    pub pass: u64,
    /// Ended here.
    pub drop: u64,
    /// Of those that went on: would have been dropped in `enforce`.
    pub would_drop: u64,
}

/// What one signature met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SignatureCount {
    /// Its number, `sid`.
    pub id: u32,
    /// Packets that matched.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those that were dropped.
    pub dropped: u64,
}

impl Counts {
    /// What `replay` counted in `duration_s` seconds.
    pub(super) fn of(replay: &Replay<'_>, duration_s: f64) -> Self {
        let mut counts = Self {
            duration_s,
            omitted: replay.findings().omitted(),
            ..Self::default()
        };
        for (reason, verdict, counter) in replay.counters() {
            counts.packets += counter.packets;
            counts.bytes += counter.bytes;
            *counts.reasons.entry(reason.name()).or_default() += counter.packets;
            let verdicts = &mut counts.verdicts;
            if verdict.passes() {
                verdicts.pass += counter.packets;
            } else {
                verdicts.drop += counter.packets;
            }
            if verdict == Verdict::WOULD_DROP {
                verdicts.would_drop += counter.packets;
            }
        }
        for (rule, counter) in replay.rule_hits() {
            let count = SignatureCount {
                id: rule.sid,
                packets: counter.packets,
                bytes: counter.bytes,
                dropped: counter.dropped,
            };
            counts.signatures.insert(rule.name.clone(), count);
        }
        let tallies = replay.tallies().filter(|(_, count)| *count != 0);
        counts.tallies = tallies
            .map(|(tally, count)| (tally.name(), count))
            .collect();
        counts
    }
}

impl AddAssign<&Self> for Counts {
    fn add_assign(&mut self, other: &Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.duration_s += other.duration_s;
        self.verdicts.pass += other.verdicts.pass;
        self.verdicts.drop += other.verdicts.drop;
        self.verdicts.would_drop += other.verdicts.would_drop;
        self.omitted += other.omitted;
        for (name, packets) in &other.reasons {
            *self.reasons.entry(name).or_default() += packets;
        }
        for (name, count) in &other.tallies {
            *self.tallies.entry(name).or_default() += count;
        }
        for (name, count) in &other.signatures {
            let sum = self.signatures.entry(name.clone()).or_default();
            sum.id = count.id;
            sum.packets += count.packets;
            sum.bytes += count.bytes;
            sum.dropped += count.dropped;
        }
    }
}
