//! Kernel and host, packet by packet, in lockstep: the same packets, the same tables, and after every few packets the
//! same bytes in every map.
//!
//! The one thing that the kernel does not let a test choose is its clock, which counts ticks of some milliseconds. So a
//! batch of packets is run between two looks at that clock. If both show the same tick, every packet of the batch met
//! exactly this time, and the host is run with it. If the tick moved on, nobody can say which packet met which time:
//! the batch is taken back - what the host holds is what the kernel held before it - and run again. Nothing is compared
//! approximately and no limit is switched off.

use std::{fmt::Write as _, slice};

use anyhow::{Context as _, Result, bail, ensure};
use detector::tables::Tables;
use detector_common::verdict::Verdict;

use super::{HostMaps, State};
use crate::kernel::TestKernel;

/// How often a batch is taken back before the machine is held too slow for it.
const ATTEMPTS: usize = 100;

/// A frame that comes in by an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The interface's slot.
    pub slot: u32,
    /// The frame.
    pub frame: Vec<u8>,
    /// Where it comes from, so that a failure can be repeated.
    pub origin: String,
}

/// The kernel program and the host's, with the same state.
pub struct Lockstep<'t> {
    kernel: TestKernel,
    host: HostMaps<'t>,
    /// Packets that were compared.
    pub packets: usize,
    /// Batches that were taken back because the clock moved on.
    pub taken_back: usize,
}

impl<'t> Lockstep<'t> {
    /// Both, before the first packet.
    pub fn new(tables: &'t Tables, interfaces: u32) -> Result<Self> {
        Ok(Self {
            kernel: TestKernel::load(tables, interfaces)?,
            host: HostMaps::new(tables, interfaces),
            packets: 0,
            taken_back: 0,
        })
    }

    /// What both hold.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.host.state
    }

    /// Runs `batch` on both and compares verdicts, events and every map; names the packet that tells them apart.
    pub fn run(&mut self, batch: &[Packet]) -> Result<()> {
        let before = self.host.state.clone();
        let Err(difference) = self.compare(batch) else {
            self.packets += batch.len();
            return Ok(());
        };
        if batch.len() > 1 {
            self.kernel.take_events()?;
            self.kernel.set_state(&before)?;
            self.host.state = before;
            for packet in batch {
                self.run(slice::from_ref(packet))?;
            }
            return Err(difference.context(format!(
                "a batch of {} packets differs, though none does by itself, from {}",
                batch.len(),
                batch[0].origin
            )));
        }
        let Packet {
            slot,
            frame,
            origin,
        } = &batch[0];
        let bytes = hex(frame);
        Err(difference.context(format!(
            "after {} packets: {origin}, on interface {slot}, {} bytes: {bytes}",
            self.packets,
            frame.len()
        )))
    }

    /// Runs `batch` on both, and fails with what is different.
    fn compare(&mut self, batch: &[Packet]) -> Result<()> {
        let (verdicts, now_ns) = self.run_in_kernel(batch)?;
        let mut told = Vec::new();
        for (packet, kernel) in batch.iter().zip(verdicts) {
            let host = self.host.run(packet.slot, &packet.frame, now_ns);
            if host.verdict != kernel {
                let origin = &packet.origin;
                told.push(format!("{origin}: host {host:?}, kernel {kernel:?}"));
            }
        }
        let (host, kernel) = (self.host.take_events(), self.kernel.take_events()?);
        if host.len() != kernel.len() {
            told.push(format!(
                "events: {} of the host, {} of the kernel",
                host.len(),
                kernel.len()
            ));
        }
        for (index, (host, kernel)) in host.iter().zip(&kernel).enumerate() {
            if host != kernel {
                told.push(format!(
                    "event {index}:\n    host   {host:?}\n    kernel {kernel:?}"
                ));
            }
        }
        told.extend(self.host.state.differences(&self.kernel.state()?));
        ensure!(
            told.is_empty(),
            "host and kernel differ\n  {}",
            told.join("\n  ")
        );
        Ok(())
    }

    /// The kernel's verdicts, and the one time that all of them were given at.
    fn run_in_kernel(&mut self, batch: &[Packet]) -> Result<(Vec<Verdict>, u64)> {
        for _ in 0..ATTEMPTS {
            let began_ns = self.kernel.now_ns()?;
            let verdicts: Vec<_> = batch
                .iter()
                .map(|packet| self.kernel.run(packet.slot, &packet.frame))
                .collect::<Result<_>>()
                .with_context(|| format!("a batch from {}", batch[0].origin))?;
            if self.kernel.now_ns()? == began_ns {
                return Ok((verdicts, began_ns));
            }
            self.taken_back += 1;
            self.kernel.take_events()?;
            self.kernel.set_state(&self.host.state)?;
        }
        bail!(
            "the machine did not run {} packets within one tick of its clock in {ATTEMPTS} attempts",
            batch.len()
        )
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
