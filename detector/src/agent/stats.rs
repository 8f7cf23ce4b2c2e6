//! What was counted: the answer to `detector stats`.

mod collect;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub(super) use self::collect::collect;
use super::interface::{Hook, Side};
pub use super::rates::Rates;
use crate::output::{Identity, Time, Tried};

/// So many sources of each side are listed at most.
pub const SOURCES_MAX: usize = 1000;

/// Everything that was counted since the agent started. `detector stats -o json` prints it, and its keys are stable.
///
/// The numbers are the kernel's own, exact for every packet, and read one after the other: packets that come in
/// meanwhile may be in one and not yet in another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// The version of this object.
    pub schema_version: u32,
    /// When it was read.
    pub time: Time,
    /// How long the agent runs, in seconds.
    pub uptime_s: u64,
    /// Each guarded interface, in the order of the command line.
    pub interfaces: Vec<InterfaceStats>,
    /// Packets by interface, reason and verdict, where there were any. Each packet is in exactly one.
    pub counters: Vec<ReasonStats>,
    /// Each signature that matched.
    pub signatures: Vec<SignatureStats>,
    /// Whoever a detector objected to, the worst first, at most [`SOURCES_MAX`] of each side.
    pub sources: Vec<SourceStats>,
    /// Further ones, that are not listed.
    pub sources_left_out: u64,
    /// The reports of findings.
    pub events: EventStats,
    /// The packets that rules are decided on in the agent.
    #[serde(default)]
    pub evidence: EvidenceStats,
    /// What befell the table of sources.
    pub table: TableStats,
}

/// What came in by an interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InterfaceStats {
    /// Its name.
    pub name: String,
    /// Which way it faces.
    pub side: Side,
    /// Where the program is attached.
    pub mode: Hook,
    /// Packets.
    pub packets: u64,
    /// Their bytes, without the frame check sequence.
    pub bytes: u64,
    /// What became of the packets.
    pub verdicts: Verdicts,
    /// In the last second or so.
    pub rates: Rates,
}

/// Packets by what became of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdicts {
    /// Went on to the kernel's stack.
    pub pass: u64,
    /// Ended in the driver.
    pub drop: u64,
    /// Of those that went on: would have been dropped in `enforce`.
    #[serde(default)]
    pub would_drop: u64,
}

/// Packets of one interface that got one verdict for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonStats {
    /// The interface.
    pub interface: String,
    /// Why.
    pub reason: Cow<'static, str>,
    /// `pass`, `drop` or `would_drop`.
    pub verdict: Cow<'static, str>,
    /// Packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The same by number of the CPU, if asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_cpu: Option<Vec<CpuPackets>>,
}

/// What one signature met, on all interfaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureStats {
    /// Its number, `sid`.
    pub id: u32,
    /// The generator of its number; 0 from an agent that does not tell.
    #[serde(default)]
    pub gid: u32,
    /// Its name.
    pub name: Cow<'static, str>,
    /// What a match means.
    pub severity: Cow<'static, str>,
    /// Packets that matched.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those that were dropped.
    pub dropped: u64,
    /// When the last of them came; `null` from an agent that does not tell.
    #[serde(default)]
    pub last: Option<Time>,
    /// The same by number of the CPU, if asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_cpu: Option<Vec<CpuMatches>>,
}

/// One CPU's part of a [`ReasonStats`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuPackets {
    /// Packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// One CPU's part of a [`SignatureStats`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuMatches {
    /// Packets that matched.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those that were dropped.
    pub dropped: u64,
}

/// What one source did under one detector, as all CPUs together saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceStats {
    /// The interface it came in by.
    pub interface: String,
    /// Which way that faces: the source on a `lan` side is a host of ours.
    pub side: Side,
    /// `detector`, `signature`, `id`, `severity` and `source`.
    #[serde(flatten)]
    pub identity: Identity,
    /// Packets that the detector looked at.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets that it objected to.
    pub flagged: u64,
    /// Those that were dropped.
    pub dropped: u64,
    /// Different addresses that an ARP sweep asked for, or hosts that a scan tried, in the present window of minutes, about;
    /// `null` for another detector.
    #[serde(default)]
    pub targets: Option<u32>,
    /// What became of the hosts that a scan tried; `null` for another detector.
    #[serde(default)]
    pub tried: Option<Tried>,
    /// When the first of the packets came.
    pub first: Time,
    /// When the last of them came.
    pub last: Time,
}

/// The reports of findings. That one is lost or held changes no count and no verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventStats {
    /// Reports that the kernel handed over.
    pub sent: u64,
    /// Reports that it had no room for.
    pub lost: u64,
    /// Findings not reported yet, because their source was a moment ago; its next report counts them.
    pub held: u64,
    /// Records that are no report of this version.
    pub not_understood: u64,
    /// Findings that standard output was too slow for, or closed.
    pub not_printed: u64,
}

/// Packets for which a rule holds as far as the kernel asks it, and of which the agent decides the rest. No verdict depends on them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceStats {
    /// Those that the kernel handed over.
    pub sent: u64,
    /// Those that it did not, for there were too many, or no room: no such rule is told of for them.
    pub lost: u64,
    /// Those that a rule was left undecided on: what it asks was not all there, the work for one packet is bounded, or no rule that is in force
    /// now has a part that is decided here.
    pub undecided: u64,
    /// Findings that are counted for their rule, and in no report, for too many sources were told of a moment ago.
    #[serde(default)]
    pub untold: u64,
}

/// What befell the table of sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableStats {
    /// Packets of sources without an entry, because recent offenders had all there were for them.
    pub sources_refused: u64,
    /// Offenders whose entry went to a newer one.
    pub sources_displaced: u64,
    /// Packets that were not dropped, or would not have been, because their source is protected.
    #[serde(default)]
    pub protected_spared: u64,
    /// Packets of which rules, or a part of the payload, were left undecided, because the work for one packet is bounded.
    #[serde(default)]
    pub rules_cut_short: u64,
    /// Segments on watched ports that were not the next ones of their connection, so that they were looked at by themselves alone.
    #[serde(default)]
    pub segments_not_followed: u64,
    /// Connections whose bits that rules had set were forgotten, because another one took their place.
    #[serde(default)]
    pub flowbits_displaced: u64,
}
