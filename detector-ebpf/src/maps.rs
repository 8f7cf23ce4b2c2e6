//! Every map of the program: what it holds, who writes, who reads. Names, records and sizes are `detector-common::abi`'s.

use aya_ebpf::{
    Global,
    btf_maps::{Array, LpmTrie, PerCpuArray, ProgramArray, RingBuf},
    macros::btf_map,
};
use detector_common::{
    abi::{
        COUNTERS_LEN, Counter, EVENTS_BYTES, EVIDENCE_BYTES, INTERFACES_MAX, NextProgram,
        PROTECTED_MAX, RuleCounter, SEGMENTS_PER_INTERFACE, Tally,
    },
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
    net::IpAddress,
    pipeline::parsed::Parsed,
    proof, services,
    sources::{SETS, SourceSet, SourceState},
};

use crate::record::Record;

/// What the operator decided. The agent writes, the program reads; so with the next.
#[unsafe(link_section = ".bss.config")]
pub static CONFIG: Record<Config> = Record::zeroed();

/// Which ports rules watch.
#[unsafe(link_section = ".bss.watch")]
pub static WATCH: Record<WatchLists> = Record::zeroed();

/// What the filter looks for, by generation. The agent writes, the program reads; so with the next.
#[btf_map]
pub static FILTER: Array<FilterTable, GENERATIONS> = Array::new();

/// The rules, by generation.
#[btf_map]
pub static RULES: Array<RuleTable, GENERATIONS> = Array::new();

/// Where a packet is taken apart for the rules.
#[btf_map]
pub static WORKSPACE: PerCpuArray<Workspace, 1> = PerCpuArray::new();

/// Packets by interface, reason and verdict.
#[btf_map]
pub static COUNTERS: PerCpuArray<Counter, { COUNTERS_LEN as usize }> = PerCpuArray::new();

/// Packets by the slot of a rule.
#[btf_map]
pub static RULE_HITS: PerCpuArray<RuleCounter, RULES_MAX> = PerCpuArray::new();

/// The source table, by hash. The program writes, the agent reads and merges.
#[btf_map]
pub static SOURCES: PerCpuArray<SourceSet, { SETS as usize }> = PerCpuArray::new();

/// The state of segments. The agent shrinks it to the interfaces there are before it is made.
#[btf_map]
pub static SEGMENTS: PerCpuArray<
    SourceState,
    { (INTERFACES_MAX * SEGMENTS_PER_INTERFACE) as usize },
> = PerCpuArray::new();

/// Which MAC an address belongs to, for all CPUs.
#[btf_map]
pub static BINDINGS: Array<u64, { bindings::SLOTS as usize }> = Array::new();

/// Which services answer, for all CPUs.
#[btf_map]
pub static SERVICES: Array<u64, { services::SLOTS as usize }> = Array::new();

/// The numbers with which servers inside accepted connections, for all CPUs.
#[btf_map]
pub static HANDSHAKES: Array<u64, { proof::SLOTS as usize }> = Array::new();

/// How many packets of a source a rule held for, for all CPUs.
#[btf_map]
pub static THRESHOLDS: Array<u64, { threshold::SLOTS as usize }> = Array::new();

/// Bits of connections, for all CPUs.
#[btf_map]
pub static FLOW_BITS: Array<u64, { flowbits::WORDS as usize }> = Array::new();

/// Where the record of a blocked address is. The agent writes this and the next two, the program reads.
#[btf_map]
pub static BLOCK_SETS: Array<BlockSet, { blocks::SETS as usize }> = Array::new();

/// Where the record of a blocked prefix is.
#[btf_map]
pub static BLOCK_PREFIXES: LpmTrie<IpAddress, u32, { BLOCKS_MAX as usize }> = LpmTrie::new();

/// Until when a source is blocked.
#[btf_map]
pub static BLOCKS: Array<Block, { BLOCKS_MAX as usize }> = Array::new();

/// What a block cost its source.
#[btf_map]
pub static BLOCKED: PerCpuArray<Blocked, { BLOCKS_MAX as usize }> = PerCpuArray::new();

/// Against whom nothing is done. The agent writes, the program reads.
#[btf_map]
pub static PROTECTED: LpmTrie<IpAddress, u32, { PROTECTED_MAX as usize }> = LpmTrie::new();

/// What is kept of connections on watched ports.
#[btf_map]
pub static CARRIES: PerCpuArray<Carry, { carry::SLOTS as usize }> = PerCpuArray::new();

/// What befell the tables themselves.
#[btf_map]
pub static TALLIES: PerCpuArray<u64, { Tally::ALL.len() }> = PerCpuArray::new();

/// The packet that the program is at, unless it was done with before.
#[btf_map]
pub static PARSED: PerCpuArray<Parsed, 1> = PerCpuArray::new();

/// The programs that go on with a packet, by [`abi::NextProgram`](detector_common::abi::NextProgram).
#[btf_map]
pub static PROGRAMS: ProgramArray<{ NextProgram::ALL.len() }> = ProgramArray::new();

/// Findings for the agent.
#[btf_map]
pub static EVENTS: RingBuf<(), { EVENTS_BYTES as usize }> = RingBuf::new();

/// Packets for the agent, for which a rule holds as far as it is asked here.
#[btf_map]
pub static EVIDENCE: RingBuf<(), { EVIDENCE_BYTES as usize }> = RingBuf::new();

/// Where such a packet is put together with what is said of it.
#[btf_map]
pub static DESK: PerCpuArray<Desk, 1> = PerCpuArray::new();

/// The slot of the interface that this copy of the program is attached to.
#[unsafe(no_mangle)]
static INTERFACE: Global<u32> = Global::new(0);

/// Nanoseconds in a tick of the kernel's clock: the agent asks the kernel and never assumes.
#[unsafe(no_mangle)]
static TICK_NS: Global<u64> = Global::new(0);

/// 1 if the kernel has frames in several pieces, and so the helper that tells how long they are.
#[unsafe(no_mangle)]
static HAS_FRAGS: Global<u32> = Global::new(0);

/// The slot of the interface.
#[inline(always)]
pub fn interface() -> u32 {
    INTERFACE.load()
}

/// Nanoseconds in a tick.
#[inline(always)]
pub fn tick_ns() -> u64 {
    TICK_NS.load()
}

/// Whether the kernel has frames in several pieces.
///
/// VERIFIER: it knows what the agent set, and does not follow what is for kernels that have them where they are not.
#[inline(always)]
pub fn has_frags() -> bool {
    HAS_FRAGS.load() != 0
}
