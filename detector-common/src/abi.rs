//! What crosses the boundary between the kernel and the agent: names, capacities, records. Defined once, here.

use bytemuck::{Pod, Zeroable};

use crate::{
    reason::{REASON_SLOTS, Reason},
    verdict::Verdict,
};

/// The name of the XDP program.
pub const PROGRAM: &str = "detector";
/// The name of the program that tells what time the classifier's clock shows.
pub const CLOCK_PROGRAM: &str = "clock";

/// Names of maps, at most 15 characters: what the kernel keeps of a name. One that begins with a dot is a section's.
pub mod map {
    /// One [`crate::config::Config`].
    pub const CONFIG: &str = ".bss.config";
    /// One [`crate::detect::signature::watch::WatchLists`].
    pub const WATCH: &str = ".bss.watch";
    /// [`crate::detect::signature::table::FilterTable`] by generation.
    pub const FILTER: &str = "FILTER";
    /// [`crate::detect::signature::table::RuleTable`] by generation.
    pub const RULES: &str = "RULES";
    /// Per CPU: the [`crate::detect::signature::workspace::Workspace`] of the packet that rules are asked of.
    pub const WORKSPACE: &str = "WORKSPACE";
    /// Per CPU: [`super::Counter`] at [`super::counter_index`].
    pub const COUNTERS: &str = "COUNTERS";
    /// Per CPU: [`super::RuleCounter`] by the slot of a rule.
    pub const RULE_HITS: &str = "RULE_HITS";
    /// Per CPU: [`crate::sources::SourceSet`] by hash.
    pub const SOURCES: &str = "SOURCES";
    /// Per CPU: [`crate::sources::SourceState`] at [`super::segment_index`].
    pub const SEGMENTS: &str = "SEGMENTS";
    /// The word of [`crate::bindings`] by slot.
    pub const BINDINGS: &str = "BINDINGS";
    /// The word of [`crate::services`] by slot.
    pub const SERVICES: &str = "SERVICES";
    /// The word of [`crate::proof`] by slot.
    pub const HANDSHAKES: &str = "HANDSHAKES";
    /// The word of [`crate::detect::signature::threshold`] by slot.
    pub const THRESHOLDS: &str = "THRESHOLDS";
    /// The words of [`crate::detect::signature::flowbits`] by connection.
    pub const FLOW_BITS: &str = "FLOW_BITS";
    /// [`crate::blocks::BlockSet`] by hash.
    pub const BLOCK_SETS: &str = "BLOCK_SETS";
    /// A record's number (`u32`) by prefix, the length of which counts from the start of an [`crate::net::IpAddress`].
    pub const BLOCK_PREFIXES: &str = "BLOCK_PREFIXES";
    /// [`crate::blocks::Block`] by record.
    pub const BLOCKS: &str = "BLOCKS";
    /// Per CPU: [`crate::blocks::Blocked`] by record.
    pub const BLOCKED: &str = "BLOCKED";
    /// Who is protected, by prefix.
    pub const PROTECTED: &str = "PROTECTED";
    /// Per CPU: [`crate::detect::signature::carry::Carry`] by the slot of a connection.
    pub const CARRIES: &str = "CARRIES";
    /// Per CPU: a `u64` by [`super::Tally`].
    pub const TALLIES: &str = "TALLIES";
    /// Ring buffer of [`crate::event::Event`].
    pub const EVENTS: &str = "EVENTS";
    /// Ring buffer of [`crate::evidence::Evidence`], each as long as its frame needs.
    pub const EVIDENCE: &str = "EVIDENCE";
    /// Per CPU: the [`crate::evidence::Desk`] where evidence is put together.
    pub const DESK: &str = "DESK";
    /// Per CPU: the [`crate::pipeline::parsed::Parsed`] of the last packet that was not done with before.
    pub const PARSED: &str = "PARSED";

    /// The file name under which a map is pinned: bpffs takes no dots.
    #[must_use]
    pub fn pin(name: &str) -> &str {
        name.rsplit('.').next().unwrap_or(name)
    }

    /// Every map.
    pub const ALL: [&str; 25] = [
        CONFIG,
        WATCH,
        FILTER,
        RULES,
        WORKSPACE,
        COUNTERS,
        RULE_HITS,
        SOURCES,
        SEGMENTS,
        BINDINGS,
        SERVICES,
        HANDSHAKES,
        THRESHOLDS,
        FLOW_BITS,
        BLOCK_SETS,
        BLOCK_PREFIXES,
        BLOCKS,
        BLOCKED,
        PROTECTED,
        CARRIES,
        TALLIES,
        EVENTS,
        EVIDENCE,
        DESK,
        PARSED,
    ];
}

/// The map of the programs that go on with a packet of this copy, by [`NextProgram`]. Each copy has its own.
pub const PROGRAMS_MAP: &str = "PROGRAMS";

/// A program that goes on with a packet where the one before left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum NextProgram {
    /// With one whose ports rules watch: what may be in it that rules look for?
    Prefilter = 0,
    /// With one in which that is something: which rule does it match?
    Inspector = 1,
}

impl NextProgram {
    /// Every one, by number.
    pub const ALL: [Self; 2] = [Self::Prefilter, Self::Inspector];

    /// The name of the program.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prefilter => "prefilter",
            Self::Inspector => "inspector",
        }
    }
}

/// Names of the constants that the agent sets in each interface's program before it is loaded.
pub mod global {
    /// `u32`: the slot of the interface, below [`super::INTERFACES_MAX`].
    pub const INTERFACE: &str = "INTERFACE";
    /// `u64`: nanoseconds in a tick of the kernel's clock.
    pub const TICK_NS: &str = "TICK_NS";
    /// `u32`: 1 if the kernel has frames in several pieces, and 0 if not.
    pub const HAS_FRAGS: &str = "HAS_FRAGS";
}

/// The most interfaces one agent guards.
pub const INTERFACES_MAX: u32 = 16;
/// Segments of one interface that have a bucket of their own: every VLAN identifier.
pub const SEGMENTS_PER_INTERFACE: u32 = 4096;
/// The size of the ring buffer, in bytes: about three thousand events.
pub const EVENTS_BYTES: u32 = 256 * 1024;
/// The size of the ring buffer of evidence, in bytes: some 600 packets of full length.
pub const EVIDENCE_BYTES: u32 = 1024 * 1024;
/// Counters of a reason: one for each verdict, and one that is never used.
const VERDICT_SLOTS: u32 = 4;
/// Entries of the counters' map.
pub const COUNTERS_LEN: u32 = INTERFACES_MAX * REASON_SLOTS * VERDICT_SLOTS;

/// The most prefixes that are protected.
pub const PROTECTED_MAX: u32 = 4096;

/// Packets and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Counter {
    /// Packets.
    pub packets: u64,
    /// Their bytes on the wire, without the frame check sequence.
    pub bytes: u64,
}

/// What one rule met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct RuleCounter {
    /// Packets that matched.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those that were dropped.
    pub dropped: u64,
    /// When the last one came, in nanoseconds of the classifier's clock.
    pub last_ns: u64,
}

/// Where a packet is counted.
#[inline(always)]
#[must_use]
pub fn counter_index(interface: u32, reason: Reason, verdict: Verdict) -> u32 {
    interface
        .wrapping_mul(REASON_SLOTS * VERDICT_SLOTS)
        .wrapping_add((reason as u32).wrapping_mul(VERDICT_SLOTS))
        .wrapping_add(u32::from(verdict.number()))
}

/// What is counted at `index`: the slot of the interface, the reason and the verdict; `None` where nothing is.
#[must_use]
pub fn counter_place(index: u32) -> Option<(u32, Reason, Verdict)> {
    let verdict = Verdict::ALL.get((index % VERDICT_SLOTS) as usize)?;
    let reason = Reason::ALL.get((index / VERDICT_SLOTS % REASON_SLOTS) as usize)?;
    Some((index / (REASON_SLOTS * VERDICT_SLOTS), *reason, *verdict))
}

/// Where the state of a segment is. A frame with two tags shares the entry of a VLAN identifier with others.
#[inline(always)]
#[must_use]
pub fn segment_index(interface: u32, vlan: crate::net::Vlan) -> u32 {
    // An odd factor, so that the customers of one service VLAN do not share an entry.
    let slot = u32::from(vlan.outer) ^ u32::from(vlan.inner).wrapping_mul(0x9e5);
    interface
        .wrapping_mul(SEGMENTS_PER_INTERFACE)
        .wrapping_add(slot & (SEGMENTS_PER_INTERFACE - 1))
}

/// What the classifier's own tables went through, counted per CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Tally {
    /// Reports handed to the ring buffer.
    EventsSent = 0,
    /// Reports that did not fit into it.
    EventsLost = 1,
    /// Sources without an entry, because a set was full of recent offenders.
    SourcesRefused = 2,
    /// Offenders whose entry went to a newer one.
    SourcesDisplaced = 3,
    /// Packets that were not dropped, or would not have been, because their source is protected.
    ProtectedSpared = 4,
    /// Packets of which rules, or a part of the payload, were left undecided: the work for one packet is bounded.
    RulesCutShort = 5,
    /// Segments on watched ports that were not the next ones of their connection, so that they were looked at by themselves alone.
    SegmentsNotFollowed = 6,
    /// Packets handed to the agent, for which a rule holds as far as the kernel asks it.
    EvidenceSent = 7,
    /// Such packets that were not: there were too many, or the ring buffer was full. No rule is told of for them.
    EvidenceLost = 8,
    /// Connections whose bits that rules had set were forgotten, because another one took their place.
    FlowbitsDisplaced = 9,
}

impl Tally {
    /// Every tally, by number.
    pub const ALL: [Self; 10] = [
        Self::EventsSent,
        Self::EventsLost,
        Self::SourcesRefused,
        Self::SourcesDisplaced,
        Self::ProtectedSpared,
        Self::RulesCutShort,
        Self::SegmentsNotFollowed,
        Self::EvidenceSent,
        Self::EvidenceLost,
        Self::FlowbitsDisplaced,
    ];

    /// The name in every output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EventsSent => "events_sent",
            Self::EventsLost => "events_lost",
            Self::SourcesRefused => "sources_refused",
            Self::SourcesDisplaced => "sources_displaced",
            Self::ProtectedSpared => "protected_spared",
            Self::RulesCutShort => "rules_cut_short",
            Self::SegmentsNotFollowed => "segments_not_followed",
            Self::EvidenceSent => "evidence_sent",
            Self::EvidenceLost => "evidence_lost",
            Self::FlowbitsDisplaced => "flowbits_displaced",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bindings,
        blocks::{self, BLOCKS_MAX, Block, BlockSet, Blocked},
        config::Config,
        detect::signature::{
            carry::{self, Carry},
            flowbits,
            table::{FilterTable, RULES_MAX, RuleTable},
            threshold,
            watch::{GENERATIONS, WatchLists},
            workspace::Workspace,
        },
        evidence::Desk,
        net::Vlan,
        pipeline::parsed::Parsed,
        proof, services,
        sources::{SETS, SourceSet, SourceState},
    };

    /// What docs/detectors/README.md says.
    #[test]
    fn the_tables_of_eight_cpus_and_two_interfaces_take_92_mib_at_most() {
        fn table<T>(records: u32) -> usize {
            size_of::<T>() * records as usize
        }
        let of_a_cpu = table::<SourceSet>(SETS)
            + 2 * table::<SourceState>(SEGMENTS_PER_INTERFACE)
            + table::<Counter>(COUNTERS_LEN)
            + table::<RuleCounter>(RULES_MAX as u32)
            + table::<Blocked>(BLOCKS_MAX)
            + table::<Carry>(carry::SLOTS)
            + table::<Parsed>(1)
            + table::<Desk>(1)
            + table::<Workspace>(1);
        let of_all =
            table::<u64>(services::SLOTS + bindings::SLOTS + proof::SLOTS + threshold::SLOTS)
                + table::<u64>(flowbits::WORDS)
                + table::<BlockSet>(blocks::SETS)
                + table::<Block>(BLOCKS_MAX)
                + table::<FilterTable>(GENERATIONS as u32)
                + table::<RuleTable>(GENERATIONS as u32)
                + table::<WatchLists>(1)
                + table::<Config>(1)
                + (EVENTS_BYTES + EVIDENCE_BYTES) as usize;
        // What the kernel needs for an entry of a trie: two pointers, a prefix with its length, a value, and what it is rounded up to.
        let tries = 128 * (PROTECTED_MAX + BLOCKS_MAX) as usize;
        let whole = 8 * of_a_cpu + of_all + tries;
        assert!(
            whole <= 92 << 20,
            "{of_a_cpu} for a CPU, {of_all} for all: {whole}"
        );
    }

    #[test]
    fn map_names_fit_into_what_the_kernel_keeps() {
        for name in map::ALL {
            assert!(name.len() <= 15, "{name}");
        }
    }

    #[test]
    fn every_counter_is_found_again_at_its_index() {
        for interface in 0..INTERFACES_MAX {
            for reason in Reason::ALL {
                for verdict in Verdict::ALL {
                    let index = counter_index(interface, *reason, verdict);
                    assert_eq!(counter_place(index), Some((interface, *reason, verdict)));
                }
            }
        }
    }

    #[test]
    fn the_last_index_of_every_map_is_inside_it() {
        let last = counter_index(
            INTERFACES_MAX - 1,
            Reason::StateMissing,
            Verdict::WOULD_DROP,
        );
        assert!(last < COUNTERS_LEN);
        let vlan = Vlan {
            outer: 4095,
            inner: 4095,
        };
        assert!(segment_index(INTERFACES_MAX - 1, vlan) < INTERFACES_MAX * SEGMENTS_PER_INTERFACE);
    }
}
