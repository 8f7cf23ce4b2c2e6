//! Kernel and host, packet by packet, in lockstep: the same packets, the same tables, the same bytes in every map.
//!
//! Verdicts and events are compared after every few packets, every byte of every map after some ten thousand and at the
//! end. Nothing systematic escapes by that: counts only grow, segments and counters stay, and an entry that differs stays
//! different or leads another packet astray. What could hide is a source whose entry another takes before the maps are
//! compared; so in one batch of sixteen, and in each during which the clock ticked, everything it changed is compared at
//! once. What is found is run again from where the two were last equal, with everything compared more and more often,
//! until it is known which packet tells them apart.

use std::{fmt, fs, mem, ops::Range, path::Path, time::Duration};

use anyhow::{Context as _, Error, Result, ensure};
use detector::tables::Tables;

use super::{Packets, State, pair::Pair};
use crate::{capture::pcapng, worms::TimedFrame};

/// Packets between two looks at the kernel's clock.
const BATCH: usize = 32;
/// How often packets are run again because of the clock before the machine is held too slow for them.
const ATTEMPTS: usize = 100;
/// Packets between two comparisons of every map.
const COMPARED: usize = 32_768;
/// Packets between two comparisons when a difference is looked for.
const STEPS: [usize; 3] = [1024, BATCH, 1];
/// Bytes of a packet that are shown: its headers and the beginning of its payload.
const SHOWN: usize = 256;

/// The kernel program and the host's, run side by side.
pub struct Lockstep<'t> {
    pair: Pair<'t>,
    interfaces: u32,
    /// What both held when they were compared last.
    equal: State,
    /// The packets since then.
    packets: Packets,
    /// How many of these were run.
    run: usize,
    /// Packets before these.
    settled: u64,
}

/// Kernel and host differ.
#[derive(Debug)]
pub struct Difference {
    /// The number of the packet that tells them apart, counted from 0; `None` if it did not when it was run again.
    pub packet: Option<u64>,
    /// Packets that show it; if `from_nothing`, to empty maps.
    pub packets: Packets,
    /// Whether the packets are enough, or show it only to maps that hold what they held then.
    pub from_nothing: bool,
    told: Vec<String>,
}

impl<'t> Lockstep<'t> {
    /// Both, before the first packet.
    pub fn new(tables: &'t Tables, interfaces: u32) -> Result<Self> {
        Ok(Self {
            pair: Pair::new(tables, interfaces)?,
            interfaces,
            equal: State::empty(interfaces),
            packets: Packets::default(),
            run: 0,
            settled: 0,
        })
    }

    /// Runs `frame`, which comes in by the interface in `slot`, on both, now or a little later.
    ///
    /// Fails with a [`Difference`] if one has shown by now.
    pub fn push(&mut self, slot: u32, frame: &[u8]) -> Result<()> {
        self.packets.push(slot, frame);
        if self.packets.len() - self.run == BATCH {
            self.run_rest()?;
        }
        if self.packets.len() == COMPARED {
            self.settle()?;
        }
        Ok(())
    }

    /// Runs what is left and compares every byte of every map.
    ///
    /// Fails with a [`Difference`] if there is one.
    pub fn settle(&mut self) -> Result<()> {
        self.run_rest()?;
        let told = self.pair.differences()?;
        if !told.is_empty() {
            return Err(self.look_for(told));
        }
        self.equal.clone_from(&self.pair.host.state);
        self.settled += self.packets.len() as u64;
        self.packets.clear();
        self.run = 0;
        Ok(())
    }

    /// Gives both other tables, once they are equal.
    pub fn set_tables(&mut self, tables: &'t Tables) -> Result<()> {
        self.settle()?;
        self.pair.set_tables(tables)
    }

    /// What both hold.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.equal
    }

    /// Packets that were compared.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.settled
    }

    /// Batches during which the clock ticked, and those of them because of which packets had to be run again.
    #[must_use]
    pub fn ticked(&self) -> (u64, u64) {
        (self.pair.ticked, self.pair.unexplained)
    }

    fn run_rest(&mut self) -> Result<()> {
        let mut attempts = 0;
        while self.run < self.packets.len() {
            let batch = self.run..self.packets.len().min(self.run + BATCH);
            self.run = batch.end;
            match self.pair.run(&self.packets, batch)? {
                Some(told) if told.is_empty() => {}
                Some(told) => return Err(self.look_for(told)),
                None => {
                    // Not from the batch on: what the kernel holds may differ already, and setting it would hide that.
                    again(&mut attempts)?;
                    self.pair.set_state(&self.equal)?;
                    self.run = 0;
                }
            }
        }
        Ok(())
    }

    /// Finds out which packet tells the two apart.
    fn look_for(&mut self, told: Vec<String>) -> Error {
        let packets = mem::take(&mut self.packets);
        match self.narrow(&packets, told) {
            Ok(mut difference) => {
                let settled = self.settled;
                difference.packet = difference.packet.map(|packet| settled + packet);
                difference.into()
            }
            Err(error) => error.context("host and kernel differ, and the packet cannot be found"),
        }
    }

    /// Runs `packets`, which told the two apart, again from where they were equal.
    fn narrow(&mut self, packets: &Packets, told: Vec<String>) -> Result<Difference> {
        let mut difference = Difference {
            packet: None,
            packets: packets.clone(),
            from_nothing: false,
            told,
        };
        let mut state = self.equal.clone();
        let mut range = 0..packets.len();
        for step in STEPS {
            let Some(found) = self.first_difference(&state, packets, range, step)? else {
                return Ok(difference);
            };
            difference.told = found.told;
            (state, range) = (found.before, found.range);
        }
        let end = range.end;
        difference.packet = Some(range.start as u64);

        // Fewest packets first; half of them more each time.
        let mut length = 1;
        loop {
            let fewer: Packets = packets.range(end.saturating_sub(length)..end).collect();
            let nothing = State::empty(self.interfaces);
            let all = 0..fewer.len();
            let from_nothing = self
                .first_difference(&nothing, &fewer, all, usize::MAX)?
                .is_some();
            if from_nothing || length >= end {
                difference.packets = fewer;
                difference.from_nothing = from_nothing;
                return Ok(difference);
            }
            length *= 2;
        }
    }

    /// Runs the packets of `range` from `state`, and compares everything after every `step` of them.
    fn first_difference(
        &mut self,
        state: &State,
        packets: &Packets,
        range: Range<usize>,
        step: usize,
    ) -> Result<Option<Found>> {
        self.pair.set_state(state)?;
        let mut start = range.start;
        let mut attempts = 0;
        while start < range.end {
            let before = self.pair.host.state.clone();
            let step = start..range.end.min(start.saturating_add(step));
            let Some(told) = self.compare_after(packets, step.clone())? else {
                again(&mut attempts)?;
                self.pair.set_state(&before)?;
                continue;
            };
            if !told.is_empty() {
                return Ok(Some(Found {
                    range: step,
                    before,
                    told,
                }));
            }
            start = step.end;
        }
        Ok(None)
    }

    /// Runs packets and says where the two differ then, in anything; `None` if the clock keeps anybody from knowing.
    fn compare_after(
        &mut self,
        packets: &Packets,
        range: Range<usize>,
    ) -> Result<Option<Vec<String>>> {
        let mut told = Vec::new();
        for start in range.clone().step_by(BATCH) {
            let batch = start..range.end.min(start + BATCH);
            match self.pair.run(packets, batch)? {
                Some(more) => told.extend(more),
                None => return Ok(None),
            }
        }
        told.extend(self.pair.differences()?);
        Ok(Some(told))
    }
}

/// Counts an attempt that failed; an error if there were too many.
fn again(attempts: &mut usize) -> Result<()> {
    *attempts += 1;
    ensure!(
        *attempts < ATTEMPTS,
        "the machine did not run {BATCH} packets within two ticks of its clock in {ATTEMPTS} attempts"
    );
    Ok(())
}

/// Where a difference is.
struct Found {
    /// Among these packets.
    range: Range<usize>,
    /// What both held before them.
    before: State,
    told: Vec<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.packet {
            Some(packet) => write!(out, "host and kernel differ at packet {packet}")?,
            None => write!(
                out,
                "host and kernel differed within {} packets, but not when these were run again",
                self.packets.len()
            )?,
        }
        for line in &self.told {
            write!(out, "\n  {line}")?;
        }
        let packets = &self.packets;
        let last = packets.range(packets.len().saturating_sub(1)..packets.len());
        for (slot, frame) in last {
            write!(out, "\n  on interface {slot}, {} bytes: ", frame.len())?;
            for byte in frame.iter().take(SHOWN) {
                write!(out, "{byte:02x}")?;
            }
            if frame.len() > SHOWN {
                out.write_str("…")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Difference {}

impl Difference {
    /// Writes the packets to a pcapng file, each by the interface of its slot.
    pub fn write(&self, file: &Path) -> Result<()> {
        let interfaces = self.packets.iter().map(|(slot, _)| slot + 1).max();
        let frames = self.packets.iter().map(|(slot, frame)| {
            let timed = TimedFrame {
                at: Duration::ZERO,
                frame: frame.to_vec(),
            };
            (slot, timed)
        });
        let capture = pcapng(interfaces.unwrap_or(0), frames)?;
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        fs::write(file, capture).with_context(|| file.display().to_string())
    }
}
