//! Reads the kernel's counters and puts names to them.

use std::{cmp::Reverse, collections::BTreeMap};

use detector_common::{
    abi::{Counter, RuleCounter, Tally},
    sources::{Source, SourceKey},
};

use super::{
    CpuMatches, CpuPackets, EventStats, EvidenceStats, InterfaceStats, ReasonStats, SOURCES_MAX,
    SignatureStats, SourceStats, Stats, TableStats, Verdicts,
};
use crate::{
    agent::{
        interface::Interface,
        kernel::{Clock, Counted, KernelError, PerCpu},
        rates::Totals,
        view::View,
    },
    output::{Identity, SCHEMA_VERSION, Time, Tried, targets},
    rules::Entry,
};

/// Everything that was counted; with a list by CPU if `per_cpu`.
pub(in crate::agent) fn collect(view: &View, per_cpu: bool) -> Result<Stats, KernelError> {
    let maps = view.kernel.maps();
    let counters = maps.counters()?;
    let all = view.sources()?;
    let (mut events, evidence, table) = tallies(view, &maps.tallies()?);
    events.held = sum(&all, |source| {
        let objections = source.objections();
        objections
            .map(|(_, objections)| objections.unreported)
            .sum()
    });
    let (sources, sources_left_out) = sources(view, all)?;
    let clock = view.now()?;
    let interfaces = view.interfaces.iter().enumerate();
    let interfaces = interfaces.filter_map(|(slot, guarded)| {
        let Interface { name, side, .. } = view.interface(slot as u32)?;
        let totals = Totals::of(slot as u32, &counters);
        Some(InterfaceStats {
            name,
            side,
            mode: guarded.hook,
            packets: totals.all.packets,
            bytes: totals.all.bytes,
            verdicts: Verdicts {
                pass: totals.all.packets.saturating_sub(totals.dropped),
                drop: totals.dropped,
                would_drop: totals.would_drop,
            },
            rates: view.rates(slot),
        })
    });
    Ok(Stats {
        schema_version: SCHEMA_VERSION,
        time: Time(clock.unix_ns),
        uptime_s: view.uptime().as_secs(),
        interfaces: interfaces.collect(),
        counters: counters
            .iter()
            .filter_map(|counted| reason(view, counted, per_cpu))
            .collect(),
        signatures: signatures(view, clock, per_cpu)?,
        sources,
        sources_left_out,
        events,
        evidence,
        table,
    })
}

fn reason(view: &View, counted: &Counted, per_cpu: bool) -> Option<ReasonStats> {
    let sum = |of: fn(&Counter) -> u64| sum(&counted.packets, of);
    let cpus = counted.packets.iter().map(|counter| CpuPackets {
        packets: counter.packets,
        bytes: counter.bytes,
    });
    Some(ReasonStats {
        interface: view.interface(counted.interface)?.name,
        reason: counted.reason.name().into(),
        verdict: counted.verdict.name().into(),
        packets: sum(|counter| counter.packets),
        bytes: sum(|counter| counter.bytes),
        per_cpu: per_cpu.then(|| cpus.collect()),
    })
}

/// What the kernel counted of each rule, and the agent.
fn signatures(
    view: &View,
    clock: Clock,
    per_cpu: bool,
) -> Result<Vec<SignatureStats>, KernelError> {
    let book = view.book();
    let slots = book.iter().map(|(slot, _)| slot);
    let in_kernel = view.kernel.maps().rule_hits(slots)?;
    let mut in_kernel: BTreeMap<_, _> = in_kernel.into_iter().collect();
    let partial = view.partial();
    let counted = book.iter().filter_map(|(slot, entry)| {
        let hits = in_kernel.remove(&slot).unwrap_or_default();
        let decided = partial.hits(slot);
        (decided.packets != 0 || !hits.is_empty())
            .then(|| signature(entry, &hits, decided, clock, per_cpu))
    });
    Ok(counted.collect())
}

/// `decided` is what the agent counted.
fn signature(
    rule: &Entry,
    hits: &PerCpu<RuleCounter>,
    decided: RuleCounter,
    clock: Clock,
    per_cpu: bool,
) -> SignatureStats {
    let cpus = hits.iter().map(|counter| CpuMatches {
        packets: counter.packets,
        bytes: counter.bytes,
        dropped: counter.dropped,
    });
    let all: Vec<_> = hits.iter().copied().chain([decided]).collect();
    let last_ns = all.iter().map(|counter| counter.last_ns).max();
    SignatureStats {
        id: rule.sid,
        gid: rule.gid,
        name: rule.name.clone().into(),
        severity: rule.severity.name().into(),
        packets: sum(&all, |counter| counter.packets),
        bytes: sum(&all, |counter| counter.bytes),
        dropped: sum(&all, |counter| counter.dropped),
        last: last_ns.map(|last_ns| Time(clock.to_unix_ns(last_ns))),
        per_cpu: per_cpu.then(|| cpus.collect()),
    }
}

/// The worst offenders of each side, and how many more there are: what is forged on one side hides nobody on the other.
fn sources(view: &View, sources: Vec<Source>) -> Result<(Vec<SourceStats>, u64), KernelError> {
    let offences = |source: Source| {
        let objections: Vec<_> = source.objections().collect();
        objections
            .into_iter()
            .map(move |(key, objections)| (key, objections, source))
    };
    let mut offences: Vec<_> = sources.into_iter().flat_map(offences).collect();
    offences.sort_by_key(|(key, objections, _)| (Reverse(objections.flagged), *key));
    let config = view.config();
    let is_lan = |(key, ..): &(SourceKey, _, _)| config.is_lan(key.interface());
    let (worst, left_out) = first_of_each_side(offences, is_lan);
    let (clock, book) = (view.now()?, view.book());
    let listed = worst.iter().filter_map(|(key, objections, source)| {
        let Interface { name, side, .. } = view.interface(key.interface().into())?;
        let state = &source.state;
        Some(SourceStats {
            interface: name,
            side,
            identity: Identity::of(key, state.companion, &book)?,
            packets: state.packets,
            bytes: state.bytes,
            flagged: objections.flagged,
            dropped: objections.dropped,
            targets: targets(key.detector(), source.reach()),
            tried: Tried::of(key.detector(), source.reach()),
            first: Time(clock.to_unix_ns(state.first_ns)),
            last: Time(clock.to_unix_ns(state.last_ns)),
        })
    });
    Ok((listed.collect(), left_out))
}

/// Of what each side has, what is listed, and how many more there are.
fn first_of_each_side<T>(mut all: Vec<T>, is_lan: impl Fn(&T) -> bool) -> (Vec<T>, u64) {
    let (mut inside, mut outside, found) = (0, 0, all.len());
    all.retain(|one| {
        let listed = if is_lan(one) {
            &mut inside
        } else {
            &mut outside
        };
        *listed += 1;
        *listed <= SOURCES_MAX
    });
    let left_out = (found - all.len()) as u64;
    (all, left_out)
}

fn tallies(
    view: &View,
    tallies: &[(Tally, PerCpu<u64>)],
) -> (EventStats, EvidenceStats, TableStats) {
    let mut events = view.reports.counts();
    let mut table = TableStats::default();
    let mut evidence = view.partial().counts();
    for (tally, counts) in tallies {
        let count = sum(counts, |count| *count);
        match tally {
            Tally::EventsSent => events.sent = count,
            Tally::EventsLost => events.lost = count,
            Tally::SourcesRefused => table.sources_refused = count,
            Tally::SourcesDisplaced => table.sources_displaced = count,
            Tally::ProtectedSpared => table.protected_spared = count,
            Tally::RulesCutShort => table.rules_cut_short = count,
            Tally::SegmentsNotFollowed => table.segments_not_followed = count,
            Tally::EvidenceSent => evidence.sent = count,
            Tally::EvidenceLost => evidence.lost = count,
            Tally::FlowbitsDisplaced => table.flowbits_displaced = count,
        }
    }
    (events, evidence, table)
}

fn sum<T>(all: &[T], of: impl Fn(&T) -> u64) -> u64 {
    all.iter().map(of).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_are_forged_outside_those_inside_are_listed() {
        let outside = 3 * SOURCES_MAX;
        let all: Vec<_> = (0..outside + 2).collect();
        let (listed, left_out) = first_of_each_side(all, |number| *number >= outside);
        assert_eq!(listed.len(), SOURCES_MAX + 2);
        assert_eq!(listed.last(), Some(&(outside + 1)));
        assert_eq!(left_out, 2 * SOURCES_MAX as u64);
    }
}
