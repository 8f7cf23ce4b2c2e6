//! The maps of the kernel program, with their types: what the agent writes, and what it reads and sums over CPUs.

use std::{collections::BTreeMap, os::fd::AsFd as _};

use aya::{
    Ebpf, Pod,
    maps::{Array, Map, MapData, MapError, PerCpuArray, RingBuf},
};
use detector_common::{
    abi::{
        self, COUNTERS_LEN, Counter, INTERFACES_MAX, RuleCounter, SEGMENTS_PER_INTERFACE, Tally,
        map,
    },
    bindings::{self, AddressHash, Owner},
    config::Config,
    net::{MacAddress, Vlan},
    reason::Reason,
    sources::{SCANNER_SETS, Source, SourceKey, SourceSet, SourceState},
    verdict::Verdict,
};

use super::{KernelError, ResponseMaps, RuleMaps};
use crate::tables::Tables;

/// A record of the shared crate as aya wants it.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Record<T>(pub(super) T);

// SAFETY: a `bytemuck::Pod` is valid for every bit pattern and has no padding, which is all that `aya::Pod` asks for.
unsafe impl<T: bytemuck::Pod> Pod for Record<T> {}

/// A value for each CPU, by its number.
pub type PerCpu<T> = Vec<T>;

/// How many packets of an interface got a verdict for a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The slot of the interface.
    pub interface: u32,
    /// The reason.
    pub reason: Reason,
    /// The verdict.
    pub verdict: Verdict,
    /// How many there were.
    pub packets: PerCpu<Counter>,
}

/// What the operator decided, where the program reads it.
pub struct ConfigMap(Array<MapData, Record<Config>>);

impl ConfigMap {
    /// Replaces it. A packet that comes meanwhile may meet a part of either.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn set(&mut self, config: Config) -> Result<(), KernelError> {
        Ok(self.0.set(0, Record(config), 0)?)
    }
}

/// Which MAC an address belongs to, by the slot of its hash.
pub struct BindingMap(Array<MapData, u64>);

impl BindingMap {
    /// Whose the address of this hash is.
    ///
    /// # Errors
    ///
    /// The map cannot be read.
    pub fn owner(&self, address: AddressHash) -> Result<Owner, KernelError> {
        let word = self.0.get(&address.slot(), 0)?;
        Ok(bindings::owner(word, address))
    }

    /// It is this MAC's from now on.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn bind(&mut self, address: AddressHash, mac: MacAddress) -> Result<(), KernelError> {
        let word = bindings::word(address, mac);
        Ok(self.0.set(address.slot(), word, 0)?)
    }
}

/// The maps.
pub struct Maps {
    config: Option<ConfigMap>,
    response: Option<ResponseMaps>,
    bindings: Option<BindingMap>,
    rules: Option<RuleMaps>,
    counters: PerCpuArray<MapData, Record<Counter>>,
    rule_hits: PerCpuArray<MapData, Record<RuleCounter>>,
    sources: PerCpuArray<MapData, Record<SourceSet>>,
    segments: PerCpuArray<MapData, Record<SourceState>>,
    tallies: PerCpuArray<MapData, u64>,
    events: Option<RingBuf<MapData>>,
    evidence: Option<RingBuf<MapData>>,
}

impl Maps {
    pub(super) fn take(object: &mut Ebpf) -> Result<Self, KernelError> {
        let rule_hits = object.map(map::RULE_HITS);
        let Some(Map::PerCpuArray(rule_hits)) = rule_hits else {
            return Err(KernelError::Missing(map::RULE_HITS));
        };
        let second = rule_hits.fd().as_fd().try_clone_to_owned();
        let second = MapData::from_fd(second.map_err(KernelError::Descriptor)?)?;
        let second = Map::PerCpuArray(second).try_into()?;
        Ok(Self {
            config: Some(ConfigMap(take(object, map::CONFIG)?)),
            response: Some(ResponseMaps::take(object)?),
            bindings: Some(BindingMap(take(object, map::BINDINGS)?)),
            rules: Some(RuleMaps::take(object, second)?),
            counters: take(object, map::COUNTERS)?,
            rule_hits: take(object, map::RULE_HITS)?,
            sources: take(object, map::SOURCES)?,
            segments: take(object, map::SEGMENTS)?,
            tallies: take(object, map::TALLIES)?,
            events: Some(take(object, map::EVENTS)?),
            evidence: Some(take(object, map::EVIDENCE)?),
        })
    }

    /// Gives the program its tables. A packet may meet the old configuration and the new rules, or the other way round.
    ///
    /// # Errors
    ///
    /// The kernel refuses, or somebody has taken the configuration or the rules.
    pub fn set_tables(&mut self, tables: &Tables) -> Result<(), KernelError> {
        let config = self.config.as_mut();
        let config = config.ok_or(KernelError::Missing(map::CONFIG))?;
        config.set(tables.config)?;
        let rules = self.rules.as_mut();
        let rules = rules.ok_or(KernelError::Missing(map::RULES))?;
        rules.switch(tables)
    }

    /// The configuration, to change it while the program runs; `None` if somebody has taken it already.
    pub fn take_config(&mut self) -> Option<ConfigMap> {
        self.config.take()
    }

    /// The rules, to change them while the program runs; `None` if somebody has taken them already.
    pub fn take_rules(&mut self) -> Option<RuleMaps> {
        self.rules.take()
    }

    /// Who is blocked and who is protected; `None` if somebody has taken it already.
    pub fn take_response(&mut self) -> Option<ResponseMaps> {
        self.response.take()
    }

    /// Who owns which address; `None` if somebody has taken it already.
    pub fn take_bindings(&mut self) -> Option<BindingMap> {
        self.bindings.take()
    }

    /// The ring buffer of events; `None` if somebody has taken it already.
    pub fn take_events(&mut self) -> Option<RingBuf<MapData>> {
        self.events.take()
    }

    /// The ring buffer of evidence; `None` if somebody has taken it already.
    pub fn take_evidence(&mut self) -> Option<RingBuf<MapData>> {
        self.evidence.take()
    }

    /// Packets by interface, reason and verdict, where there were any.
    ///
    /// # Errors
    ///
    /// The map cannot be read.
    pub fn counters(&self) -> Result<Vec<Counted>, KernelError> {
        let mut found = Vec::new();
        let interfaces = self.segments.len() / SEGMENTS_PER_INTERFACE;
        for index in 0..interfaces * (COUNTERS_LEN / INTERFACES_MAX) {
            let Some((interface, reason, verdict)) = abi::counter_place(index) else {
                continue;
            };
            let packets = read(&self.counters, index)?;
            if packets.iter().any(|counter| counter.packets != 0) {
                found.push(Counted {
                    interface,
                    reason,
                    verdict,
                    packets,
                });
            }
        }
        Ok(found)
    }

    /// What the rules that are counted in these slots met, per CPU, where there was anything.
    ///
    /// # Errors
    ///
    /// The map cannot be read.
    pub fn rule_hits(
        &self,
        slots: impl Iterator<Item = u16>,
    ) -> Result<Vec<(u16, PerCpu<RuleCounter>)>, KernelError> {
        let mut found = Vec::new();
        for slot in slots {
            let values = read(&self.rule_hits, slot.into())?;
            if values.iter().any(|counter| counter.packets != 0) {
                found.push((slot, values));
            }
        }
        Ok(found)
    }

    /// What befell the tables themselves, per CPU.
    ///
    /// # Errors
    ///
    /// The map cannot be read.
    pub fn tallies(&self) -> Result<Vec<(Tally, PerCpu<u64>)>, KernelError> {
        Tally::ALL
            .into_iter()
            .map(|tally| Ok((tally, self.tallies.get(&(tally as u32), 0)?.to_vec())))
            .collect()
    }

    /// Gives `look` every source that tries hosts, with what each CPU saw of it, where more than one did.
    ///
    /// # Errors
    ///
    /// The map cannot be read.
    pub fn scanners(&self, mut look: impl FnMut(SourceKey, &[Source])) -> Result<(), KernelError> {
        for index in SCANNER_SETS {
            // Every CPU keeps a source in the same set, so no more than one is held at a time, however many sources somebody forges.
            let mut here: BTreeMap<SourceKey, Vec<Source>> = BTreeMap::new();
            for set in read(&self.sources, index)? {
                let sources = set.sources().filter(|source| source.key.is_scanner());
                sources.for_each(|source| here.entry(source.key).or_default().push(*source));
            }
            let several = here.iter().filter(|(_, parts)| parts.len() > 1);
            several.for_each(|(key, parts)| look(*key, parts));
        }
        Ok(())
    }

    /// Every source and segment that is known, with what all CPUs saw of it.
    ///
    /// A segment with two VLAN tags shares its state with others and is given by the identifier it is found at.
    ///
    /// # Errors
    ///
    /// A map cannot be read.
    pub fn sources(&self) -> Result<Vec<Source>, KernelError> {
        let mut merged: BTreeMap<SourceKey, Source> = BTreeMap::new();
        let mut merge = |source: Source| {
            let Source { key, .. } = source;
            let entry = merged.entry(key);
            entry
                .and_modify(|known| known.merge(&source))
                .or_insert(source);
        };
        for index in 0..self.sources.len() {
            for set in read(&self.sources, index)? {
                set.sources().for_each(|source| merge(*source));
            }
        }
        for index in 0..self.segments.len() {
            for state in read(&self.segments, index)? {
                if state.packets != 0 {
                    let vlan = Vlan {
                        outer: (index % SEGMENTS_PER_INTERFACE) as u16,
                        inner: 0,
                    };
                    let interface = (index / SEGMENTS_PER_INTERFACE) as u8;
                    merge(Source::of_segment(interface, vlan, state));
                }
            }
        }
        Ok(merged.into_values().collect())
    }
}

impl<T> Record<T> {
    /// The record around a value that is too large to copy.
    pub(super) fn wrap(value: &T) -> &Self {
        // SAFETY: `Self` is transparent over `T`.
        unsafe { &*std::ptr::from_ref(value).cast() }
    }
}

fn read<T: bytemuck::Pod>(
    map: &PerCpuArray<MapData, Record<T>>,
    index: u32,
) -> Result<PerCpu<T>, KernelError> {
    Ok(map.get(&index, 0)?.iter().map(|record| record.0).collect())
}

pub(super) fn take<T: TryFrom<Map, Error = MapError>>(
    object: &mut Ebpf,
    name: &'static str,
) -> Result<T, KernelError> {
    let map = object.take_map(name).ok_or(KernelError::Missing(name))?;
    Ok(map.try_into()?)
}
