//! The real kernel program, run on one frame at a time by `BPF_PROG_TEST_RUN`; attached to nothing.
//!
//! A test run happens on the CPU of the calling thread. So the thread is held on one CPU, and what is read here is that
//! CPU's copy of every map. Maps are read as a whole and through their pins, not through the agent's reader: two
//! readings of the same bytes are worth more than one.

mod per_cpu;
mod test_run;
pub mod verifier;

use std::{
    fs,
    os::fd::{AsFd as _, AsRawFd as _},
    path::PathBuf,
};

use anyhow::{Context as _, Result, ensure};
use aya::maps::{MapData, RingBuf};
use detector::{agent::kernel::Kernel, tables::Tables};
use detector_common::{
    abi::{COUNTERS_LEN, Counter, INTERFACES_MAX, RuleCounter, map},
    detect::signature::carry::Carry,
    event::Event,
    sources::{SourceSet, SourceState},
    verdict::Verdict,
};
use nix::time::{ClockId, clock_getres};

use self::{per_cpu::PerCpuMap, test_run::TestRun};
use crate::{
    cpu,
    lab::PrivateBpffs,
    oracle::{Journal, State},
};

/// The shortest frame that the kernel runs a program on, in bytes: an Ethernet header.
pub const FRAME_MIN: usize = 14;
/// The longest frame that lies in one piece, in bytes: a page less the headroom and the kernel's own record behind it.
pub const FRAME_MAX: usize = 4096 - 256 - 320;

const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;

/// Where a packet may leave something in the large maps.
#[derive(Clone, Copy, Debug, Default)]
pub struct Places {
    /// The set of the source table.
    pub source_set: Option<u32>,
    /// The index of the segment.
    pub segment: Option<u32>,
}

/// The program with its maps, on a bpf filesystem of its own.
pub struct TestKernel {
    /// The program, as the agent loads it.
    pub kernel: Kernel,
    /// Nanoseconds in a tick of the program's clock.
    pub tick_ns: u64,
    /// By slot.
    programs: Vec<TestRun>,
    events: RingBuf<MapData>,
    cpu: usize,
    /// How many copies of the program there are.
    copies: u32,
    counters: PerCpuMap<Counter>,
    rule_hits: PerCpuMap<RuleCounter>,
    sources: PerCpuMap<SourceSet>,
    segments: PerCpuMap<SourceState>,
    bindings: PerCpuMap<u64>,
    services: PerCpuMap<u64>,
    handshakes: PerCpuMap<u64>,
    thresholds: PerCpuMap<u64>,
    flow_words: PerCpuMap<u64>,
    carries: PerCpuMap<Carry>,
    tallies: PerCpuMap<u64>,
    pins: PathBuf,
    /// Last, for it is dropped last.
    _bpffs: PrivateBpffs,
}

impl TestKernel {
    /// Loads a copy of the program for each of `interfaces` and holds the thread on the CPU that it is on.
    pub fn load(tables: &Tables, interfaces: u32) -> Result<Self> {
        let cpu = cpu::hold_this()?;
        let bpffs = PrivateBpffs::new()?;
        let pins = bpffs.path().join("detector");
        let mut kernel = Kernel::load(tables, interfaces, &pins)?;
        let events = kernel.maps_mut().take_events();
        let programs = (0..interfaces).map(|slot| TestRun::of(kernel.program(slot)?));
        let tick = clock_getres(ClockId::CLOCK_MONOTONIC_COARSE)?;
        Ok(Self {
            programs: programs.collect::<Result<_>>()?,
            kernel,
            tick_ns: u64::try_from(tick.tv_nsec())?,
            events: events.context("somebody has taken the events already")?,
            cpu,
            copies: interfaces,
            counters: PerCpuMap::open(&pins.join(map::COUNTERS))?,
            rule_hits: PerCpuMap::open(&pins.join(map::RULE_HITS))?,
            sources: PerCpuMap::open(&pins.join(map::SOURCES))?,
            segments: PerCpuMap::open(&pins.join(map::SEGMENTS))?,
            bindings: PerCpuMap::open_shared(&pins.join(map::BINDINGS))?,
            services: PerCpuMap::open_shared(&pins.join(map::SERVICES))?,
            handshakes: PerCpuMap::open_shared(&pins.join(map::HANDSHAKES))?,
            thresholds: PerCpuMap::open_shared(&pins.join(map::THRESHOLDS))?,
            flow_words: PerCpuMap::open_shared(&pins.join(map::FLOW_BITS))?,
            carries: PerCpuMap::open(&pins.join(map::CARRIES))?,
            tallies: PerCpuMap::open(&pins.join(map::TALLIES))?,
            pins,
            _bpffs: bpffs,
        })
    }

    /// What becomes of `frame` on the interface in `slot`.
    pub fn run(&mut self, slot: u32, frame: &[u8]) -> Result<Verdict> {
        let program = self.programs.get_mut(slot as usize);
        let run = program
            .with_context(|| format!("no program for interface {slot}"))?
            .run(frame);
        let action =
            run.with_context(|| format!("the kernel does not run {} bytes", frame.len()))?;
        match action {
            XDP_PASS => Ok(Verdict::PASS),
            XDP_DROP => Ok(Verdict::DROP),
            other => anyhow::bail!("the program returned {other}, which is neither pass nor drop"),
        }
    }

    /// What the program's clock shows, in nanoseconds.
    pub fn now_ns(&self) -> Result<u64> {
        Ok(self.kernel.clock()?.kernel_ns)
    }

    /// What this CPU's copy of every map holds.
    pub fn state(&self) -> Result<State> {
        Ok(State {
            bindings: self.bindings.read(0)?,
            services: self.services.read(0)?,
            handshakes: self.handshakes.read(0)?,
            thresholds: self.thresholds.read(0)?,
            flow_words: self.flow_words.read(0)?,
            ..self.own_state()?
        })
    }

    /// The same without the tables that all CPUs share, which take most of the time to read.
    pub fn own_state(&self) -> Result<State> {
        Ok(State {
            counters: self.counters.read(self.cpu)?,
            rule_hits: self.rule_hits.read(self.cpu)?,
            sources: self.sources.read(self.cpu)?,
            segments: self.segments.read(self.cpu)?,
            bindings: Vec::new(),
            services: Vec::new(),
            handshakes: Vec::new(),
            thresholds: Vec::new(),
            flow_words: Vec::new(),
            carries: self.carries.read(self.cpu)?,
            tallies: self.tallies.read(self.cpu)?,
        })
    }

    /// The same, but of the large maps only the entries at `places`, and no table that all CPUs share. It is much less to read.
    pub fn state_at(&self, places: &Places) -> Result<State> {
        let counters = if self.counters.is_read_whole() {
            self.counters.read(self.cpu)?
        } else {
            let used = self.copies * COUNTERS_LEN / INTERFACES_MAX;
            self.counters.read_at(self.cpu, 0..used)?
        };
        Ok(State {
            counters,
            rule_hits: self.rule_hits()?,
            sources: self.sources.read_at(self.cpu, places.source_set)?,
            segments: self.segments.read_at(self.cpu, places.segment)?,
            bindings: Vec::new(),
            services: Vec::new(),
            handshakes: Vec::new(),
            thresholds: Vec::new(),
            flow_words: Vec::new(),
            carries: Vec::new(),
            tallies: self.tallies.read(self.cpu)?,
        })
    }

    /// What rules met; where entries are read one by one, of the ones that we ship.
    fn rule_hits(&self) -> Result<Vec<RuleCounter>> {
        if self.rule_hits.is_read_whole() {
            self.rule_hits.read(self.cpu)
        } else {
            self.rule_hits.read_at(self.cpu, 0..100)
        }
    }

    /// Makes this CPU's copy of every map hold `state`, and the other CPUs' nothing.
    pub fn set_state(&mut self, state: &State) -> Result<()> {
        self.counters.write(self.cpu, &state.counters)?;
        self.rule_hits.write(self.cpu, &state.rule_hits)?;
        self.sources.write(self.cpu, &state.sources)?;
        self.segments.write(self.cpu, &state.segments)?;
        self.bindings.write(0, &state.bindings)?;
        self.services.write(0, &state.services)?;
        self.handshakes.write(0, &state.handshakes)?;
        self.thresholds.write(0, &state.thresholds)?;
        self.flow_words.write(0, &state.flow_words)?;
        self.carries.write(self.cpu, &state.carries)?;
        self.tallies.write(self.cpu, &state.tallies)
    }

    /// Whether this CPU's copy of every map holds what `host` does, at the places that `journal` names.
    pub fn agrees_with(&self, host: &State, journal: &Journal) -> Result<bool> {
        // Sources first: they tell times apart.
        Ok(self
            .sources
            .agrees_with(self.cpu, &host.sources, &journal.sources)?
            && self
                .segments
                .agrees_with(self.cpu, &host.segments, &journal.segments)?
            && self
                .bindings
                .agrees_with(0, &host.bindings, &journal.bindings)?
            && self
                .services
                .agrees_with(0, &host.services, &journal.services)?
            && self
                .handshakes
                .agrees_with(0, &host.handshakes, &journal.handshakes)?
            && self
                .thresholds
                .agrees_with(0, &host.thresholds, &journal.thresholds)?
            && self
                .flow_words
                .agrees_with(0, &host.flow_words, &journal.flow_words)?
            && self
                .counters
                .agrees_with(self.cpu, &host.counters, &journal.counters)?
            && self
                .rule_hits
                .agrees_with(self.cpu, &host.rule_hits, &journal.rule_hits)?
            && self
                .carries
                .agrees_with(self.cpu, &host.carries, &journal.carries)?
            && self
                .tallies
                .agrees_with(self.cpu, &host.tallies, &journal.tallies)?)
    }

    /// Every event since the last call.
    pub fn take_events(&mut self) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        while let Some(record) = self.events.next() {
            let event = Event::from_bytes(&record);
            events.push(event.with_context(|| format!("not an event: {:02x?}", &*record))?);
        }
        Ok(events)
    }

    /// What the kernel holds for the maps, in bytes.
    pub fn memory(&self) -> Result<u64> {
        let bytes = map::ALL.map(|name| {
            let map = MapData::from_pin(self.pins.join(map::pin(name)))?;
            let file = format!("/proc/self/fdinfo/{}", map.fd().as_fd().as_raw_fd());
            let info = fs::read_to_string(&file)?;
            let line = info.lines().find_map(|line| line.strip_prefix("memlock:"));
            let bytes = line.with_context(|| format!("{file} of {name} names no memory"))?;
            Ok(bytes.trim().parse::<u64>()?)
        });
        bytes.into_iter().sum()
    }

    /// The number of CPUs that the kernel keeps a copy of the maps for.
    pub fn cpus(&self) -> Result<usize> {
        let cpus = self.counters.cpus();
        ensure!(self.cpu < cpus, "CPU {} of {cpus}", self.cpu);
        Ok(cpus)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use aya_obj::{Object, ProgramSection};
    use detector::agent::kernel::{OBJECT, object};
    use detector_common::abi::{PROGRAMS_MAP, map};

    #[test]
    fn the_maps_of_the_object_are_those_that_copies_of_it_share() -> anyhow::Result<()> {
        let object = Object::parse(OBJECT)?;
        let names = object.maps.keys().map(String::as_str);
        // Constants, and the program that goes on, are each copy's own.
        let shared: BTreeSet<_> = names
            .filter(|name| ![".rodata", PROGRAMS_MAP].contains(name))
            .collect();
        assert_eq!(shared, BTreeSet::from(map::ALL));
        Ok(())
    }

    #[test]
    fn all_programs_of_the_object_take_frames_in_pieces_or_none_does() -> anyhow::Result<()> {
        for has_frags in [true, false] {
            let object = Object::parse(&object(has_frags))?;
            assert!(!object.programs.is_empty());
            for (name, program) in &object.programs {
                let ProgramSection::Xdp { frags, .. } = program.section else {
                    anyhow::bail!("{name} is no XDP program");
                };
                assert_eq!(frags, has_frags, "{name}");
            }
        }
        Ok(())
    }
}
