//! What one CPU's copy of every map holds, from the kernel or from the host, and where two of them differ.

use std::{collections::BTreeMap, fmt::Debug};

use bytemuck::{Pod, allocation::zeroed_vec};
use detector_common::{
    abi::{
        self, COUNTERS_LEN, Counter, INTERFACES_MAX, RuleCounter, SEGMENTS_PER_INTERFACE, Tally,
        map,
    },
    bindings,
    detect::signature::{
        carry::{self, Carry},
        flowbits,
        table::RULES_MAX,
        threshold,
    },
    proof,
    reason::Reason,
    services,
    sources::{SETS, SourceKey, SourceSet, SourceState},
    verdict::Verdict,
};

use crate::rule_names;

/// How many differences of one map are told.
const TOLD: usize = 3;

/// One CPU's copy of every map that the classifier writes.
#[derive(Clone)]
pub struct State {
    /// Packets by interface, reason and verdict.
    pub counters: Vec<Counter>,
    /// Packets by the slot of a rule.
    pub rule_hits: Vec<RuleCounter>,
    /// The source table.
    pub sources: Vec<SourceSet>,
    /// The segments.
    pub segments: Vec<SourceState>,
    /// Which MAC an address belongs to.
    pub bindings: Vec<u64>,
    /// Which services answer.
    pub services: Vec<u64>,
    /// With which numbers servers inside accepted connections.
    pub handshakes: Vec<u64>,
    /// How many packets of a source a rule held for.
    pub thresholds: Vec<u64>,
    /// Bits of connections.
    pub flow_words: Vec<u64>,
    /// What is kept of connections.
    pub carries: Vec<Carry>,
    /// What befell the tables.
    pub tallies: Vec<u64>,
}

impl State {
    /// Maps for this many interfaces, before the first packet.
    #[must_use]
    pub fn empty(interfaces: u32) -> Self {
        let segments = interfaces.min(INTERFACES_MAX) * SEGMENTS_PER_INTERFACE;
        Self {
            counters: zeroed_vec(COUNTERS_LEN as usize),
            rule_hits: zeroed_vec(RULES_MAX),
            sources: zeroed_vec(SETS as usize),
            segments: zeroed_vec(segments as usize),
            bindings: zeroed_vec(bindings::SLOTS as usize),
            services: zeroed_vec(services::SLOTS as usize),
            handshakes: zeroed_vec(proof::SLOTS as usize),
            thresholds: zeroed_vec(threshold::SLOTS as usize),
            flow_words: zeroed_vec(flowbits::WORDS as usize),
            carries: zeroed_vec(carry::SLOTS as usize),
            tallies: zeroed_vec(Tally::ALL.len()),
        }
    }

    /// Where this state, of the host, and `kernel` differ in any byte: a line for each of the first places.
    #[must_use]
    pub fn differences(&self, kernel: &Self) -> Vec<String> {
        let place = |index| match abi::counter_place(index) {
            Some((slot, reason, verdict)) => {
                format!("interface {slot}, {}, {}", reason.name(), verdict.name())
            }
            None => "unused".to_owned(),
        };
        let row = |index| {
            let name = u16::try_from(index).ok().and_then(rule_names::name_of);
            name.unwrap_or("unused").to_owned()
        };
        let tally = |index| Tally::ALL.map(Tally::name)[index as usize].to_owned();
        let mut told = Vec::new();
        compare(
            map::COUNTERS,
            &self.counters,
            &kernel.counters,
            place,
            &mut told,
        );
        compare(
            map::RULE_HITS,
            &self.rule_hits,
            &kernel.rule_hits,
            row,
            &mut told,
        );
        compare(
            map::SOURCES,
            &self.sources,
            &kernel.sources,
            |_| "set".to_owned(),
            &mut told,
        );
        compare(
            map::SEGMENTS,
            &self.segments,
            &kernel.segments,
            |_| "segment".to_owned(),
            &mut told,
        );
        for (map, host, kernel, name) in [
            (map::BINDINGS, &self.bindings, &kernel.bindings, "address"),
            (map::SERVICES, &self.services, &kernel.services, "service"),
            (
                map::HANDSHAKES,
                &self.handshakes,
                &kernel.handshakes,
                "handshake",
            ),
            (
                map::THRESHOLDS,
                &self.thresholds,
                &kernel.thresholds,
                "rule and source",
            ),
            (
                map::FLOW_BITS,
                &self.flow_words,
                &kernel.flow_words,
                "bits of a connection",
            ),
        ] {
            compare(map, host, kernel, |_| name.to_owned(), &mut told);
        }
        compare(
            map::CARRIES,
            &self.carries,
            &kernel.carries,
            |_| "connection".to_owned(),
            &mut told,
        );
        compare(
            map::TALLIES,
            &self.tallies,
            &kernel.tallies,
            tally,
            &mut told,
        );
        told
    }

    /// Packets by interface, reason and verdict, where there are any.
    #[must_use]
    pub fn counted(&self) -> BTreeMap<(u32, Reason, Verdict), Counter> {
        (0..)
            .zip(&self.counters)
            .filter(|(_, counter)| **counter != Counter::default())
            .filter_map(|(index, counter)| Some((abi::counter_place(index)?, *counter)))
            .collect()
    }

    /// What a tally counts.
    #[must_use]
    pub fn tally(&self, tally: Tally) -> u64 {
        self.tallies[tally as usize]
    }

    /// Every segment that has been seen, by its index.
    #[must_use]
    pub fn known_segments(&self) -> BTreeMap<u32, SourceState> {
        (0..)
            .zip(&self.segments)
            .filter(|(_, state)| state.packets != 0)
            .map(|(index, state)| (index, *state))
            .collect()
    }

    /// Every source that has an entry.
    #[must_use]
    pub fn known_sources(&self) -> BTreeMap<SourceKey, SourceState> {
        self.sources
            .iter()
            .flat_map(SourceSet::sources)
            .map(|source| (source.key, source.state))
            .collect()
    }
}

/// Tells where two copies of one map differ.
fn compare<T: Pod + Debug>(
    map: &str,
    host: &[T],
    kernel: &[T],
    name: impl Fn(u32) -> String,
    told: &mut Vec<String>,
) {
    if host.len() != kernel.len() {
        told.push(format!(
            "{map}: {} entries on the host, {} in the kernel",
            host.len(),
            kernel.len()
        ));
    }
    // One comparison of the whole is fast even unoptimised; entry by entry is for when it fails.
    if bytemuck::cast_slice::<T, u8>(host) == bytemuck::cast_slice::<T, u8>(kernel) {
        return;
    }
    let different = (0..)
        .zip(host.iter().zip(kernel))
        .filter(|(_, (host, kernel))| bytemuck::bytes_of(*host) != bytemuck::bytes_of(*kernel));
    for (index, (host, kernel)) in different.take(TOLD) {
        let name = name(index);
        told.push(format!(
            "{map}[{index}] ({name}):\n    host   {host:?}\n    kernel {kernel:?}"
        ));
    }
}
