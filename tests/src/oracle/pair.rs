//! The kernel program and the host's, with the same state, at the same time.
//!
//! The one thing that the kernel does not let a test choose is its clock, which counts ticks of some milliseconds. So it is
//! looked at before and after every few packets. If it shows the same tick, every packet met exactly this time, and the host
//! is run with it. If it ticked, the host is run with each place at which it can have done so, and one of them must make
//! the two agree on every verdict, every event and every entry that the packets changed. If it ticked more than once and no
//! one moment explains it, nobody can say which packet met which time: then everything is run again since the two were last
//! known to be equal. Nothing is compared approximately and no limit is switched off.

use std::{cmp::Ordering, ops::Range};

use anyhow::Result;
use detector::tables::Tables;
use detector_common::{
    event::Event,
    verdict::{Decision, Verdict},
};

use super::{HostMaps, Packets, State};
use crate::kernel::TestKernel;

/// So many ticks during one packet are still tried one by one.
const TICKS_TRIED: u64 = 64;
/// In one batch of so many, what it changed is compared at once.
const SAMPLED: u64 = 16;
/// How many differences of a kind are told.
const TOLD: usize = 3;

/// Both, with the same state.
pub(super) struct Pair<'t> {
    kernel: TestKernel,
    pub(super) host: HostMaps<'t>,
    /// What the kernel's clock showed after the batch, in nanoseconds.
    now_ns: u64,
    /// What the kernel made of the batch.
    verdicts: Vec<Verdict>,
    /// What the host made of it.
    decisions: Vec<Decision>,
    batches: u64,
    /// Batches during which the clock ticked.
    pub(super) ticked: u64,
    /// Those of which nobody can say which packet met which time.
    pub(super) unexplained: u64,
}

/// When the packets of a batch are run: those before `turn` at `before_ns`, those behind it at `after_ns`.
#[derive(Clone, Copy)]
struct Times {
    before_ns: u64,
    turn: usize,
    at_turn_ns: u64,
    after_ns: u64,
}

impl<'t> Pair<'t> {
    /// Both, before the first packet.
    pub(super) fn new(tables: &'t Tables, interfaces: u32) -> Result<Self> {
        Ok(Self {
            kernel: TestKernel::load(tables, interfaces)?,
            now_ns: 0,
            host: HostMaps::new(tables, interfaces),
            verdicts: Vec::new(),
            decisions: Vec::new(),
            batches: 0,
            ticked: 0,
            unexplained: 0,
        })
    }

    /// Gives both other tables.
    pub(super) fn set_tables(&mut self, tables: &'t Tables) -> Result<()> {
        self.kernel.kernel.maps_mut().set_tables(tables)?;
        self.host.set_tables(tables);
        Ok(())
    }

    /// Makes both hold `state`, with no event on its way.
    pub(super) fn set_state(&mut self, state: &State) -> Result<()> {
        self.kernel.take_events()?;
        self.kernel.set_state(state)?;
        self.host.take_events();
        self.host.settle();
        self.host.state.clone_from(state);
        Ok(())
    }

    /// Where the two differ in any byte of any map.
    pub(super) fn differences(&self) -> Result<Vec<String>> {
        Ok(self.host.state.differences(&self.kernel.state()?))
    }

    /// Runs a few packets on both, and says where they differ in a verdict or an event.
    ///
    /// `None` if nobody can say which packet met which time: then the two are no longer equal, and it takes
    /// [`Self::set_state`] to make them so.
    pub(super) fn run(
        &mut self,
        packets: &Packets,
        range: Range<usize>,
    ) -> Result<Option<Vec<String>>> {
        let before_ns = self.kernel.now_ns()?;
        let events = self.run_kernel(packets, range.clone())?;
        if self.now_ns == before_ns {
            self.run_host(packets, range, |_| before_ns);
            let mut told = self.told(&events);
            self.batches += 1;
            if self.batches.is_multiple_of(SAMPLED)
                && !self
                    .kernel
                    .agrees_with(&self.host.state, self.host.journal())?
            {
                told.push(format!(
                    "an entry that {} packets changed",
                    self.decisions.len()
                ));
            }
            self.host.take_events();
            self.host.settle();
            return Ok(Some(told));
        }
        self.ticked += 1;
        if self.is_explained(packets, &range, before_ns, &events)? {
            return Ok(Some(Vec::new()));
        }
        if self.now_ns - before_ns == self.kernel.tick_ns {
            return Ok(Some(vec![format!(
                "wherever the clock ticked among {} packets, the two differ",
                range.len()
            )]));
        }
        self.unexplained += 1;
        Ok(None)
    }

    /// Runs the batch in the kernel, looks at its clock, and gives the events.
    fn run_kernel(&mut self, packets: &Packets, range: Range<usize>) -> Result<Vec<Event>> {
        self.verdicts.clear();
        for (slot, frame) in packets.range(range) {
            self.verdicts.push(self.kernel.run(slot, frame)?);
        }
        self.now_ns = self.kernel.now_ns()?;
        self.kernel.take_events()
    }

    /// Runs the batch on the host, each packet at its time.
    fn run_host(&mut self, packets: &Packets, range: Range<usize>, time: impl Fn(usize) -> u64) {
        self.decisions.clear();
        for (packet, (slot, frame)) in packets.range(range).enumerate() {
            self.decisions
                .push(self.host.run(slot, frame, time(packet)));
        }
    }

    /// Whether the two agree if the clock ticked at one moment of the batch; if not, the host is as before the batch.
    fn is_explained(
        &mut self,
        packets: &Packets,
        range: &Range<usize>,
        before_ns: u64,
        events: &[Event],
    ) -> Result<bool> {
        for times in Times::possible(before_ns, self.now_ns, self.kernel.tick_ns, range.len()) {
            self.run_host(packets, range.clone(), |packet| times.of(packet));
            let explained = self.told(events).is_empty()
                && self
                    .kernel
                    .agrees_with(&self.host.state, self.host.journal())?;
            self.host.take_events();
            if explained {
                self.host.settle();
                return Ok(true);
            }
            self.host.take_back();
        }
        Ok(false)
    }

    /// Where the two differ in what they made of the batch.
    fn told(&self, kernel_events: &[Event]) -> Vec<String> {
        let mut told = Vec::new();
        let verdicts = self.decisions.iter().zip(&self.verdicts).enumerate();
        let different =
            verdicts.filter(|(_, (host, kernel))| host.verdict.passes() != kernel.passes());
        for (packet, (host, kernel)) in different.take(TOLD) {
            told.push(format!(
                "packet {packet} of the batch: host {host:?}, kernel {kernel:?}"
            ));
        }
        let host_events = &self.host.events;
        if host_events.len() != kernel_events.len() {
            told.push(format!(
                "events: {} of the host, {} of the kernel",
                host_events.len(),
                kernel_events.len()
            ));
        }
        let events = host_events.iter().zip(kernel_events).enumerate();
        let different = events.filter(|(_, (host, kernel))| host != kernel);
        for (event, (host, kernel)) in different.take(TOLD) {
            told.push(format!(
                "event {event} of the batch:\n    host   {host:?}\n    kernel {kernel:?}"
            ));
        }
        told
    }
}

impl Times {
    /// When `packet` is run.
    fn of(&self, packet: usize) -> u64 {
        match packet.cmp(&self.turn) {
            Ordering::Less => self.before_ns,
            Ordering::Equal => self.at_turn_ns,
            Ordering::Greater => self.after_ns,
        }
    }

    /// All that can be if the clock moved on during or beside one packet, or none, of `packets`.
    fn possible(
        before_ns: u64,
        after_ns: u64,
        tick_ns: u64,
        packets: usize,
    ) -> impl Iterator<Item = Self> {
        let ticks = (after_ns - before_ns).checked_div(tick_ns).unwrap_or(0);
        let between = if ticks <= TICKS_TRIED { 1..ticks } else { 0..0 };
        // Beside a packet first: that is what it mostly is.
        let moments = [ticks].into_iter().chain(between);
        moments.flat_map(move |moment| {
            (0..=packets).map(move |turn| Self {
                before_ns,
                turn,
                at_turn_ns: before_ns + moment * tick_ns,
                after_ns,
            })
        })
    }
}
