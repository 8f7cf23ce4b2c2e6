//! `arp_sweep`: many different addresses that an ARP sender asks for and that do not answer.
//!
//! Who looks for victims in a network asks for every address of it, and most belong to nobody. Counted are *different*
//! addresses of which no sign of life has been seen: asking again counts once, asking for a neighbour that has spoken never
//! counts, and an answer takes its address back. Two windows: a short one for a scan in seconds, and a long one for a scan
//! at less than an address a second, which no limit of a rate sees.

use bytemuck::{Pod, Zeroable};

use crate::{
    bindings::AddressHash,
    sketch,
    sources::Objections,
    window::{Threshold, coarse},
};

/// Bits of the sketch of the short window.
pub const SHORT_BITS: u32 = 128;
/// Bits of the sketch of the long window.
pub const LONG_BITS: u32 = 256;

/// So many different addresses in `window_ns` are a sweep, counted in a sketch of `bits`.
#[must_use]
pub const fn threshold(targets: u32, window_ns: u64, bits: u32) -> Threshold {
    Threshold::new(sketch::expected_ones(bits, targets), window_ns)
}

/// What one ARP sender asked for, in two windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Sweep {
    /// What the detector objected to.
    pub objections: Objections,
    /// When the short window began, in [`coarse`] time.
    short_since: u32,
    /// When the long window began.
    long_since: u32,
    short: [u64; SHORT_BITS as usize / 64],
    long: [u64; LONG_BITS as usize / 64],
    short_ones: u32,
    long_ones: u32,
}

impl Sweep {
    /// Takes note of a request for an address that nobody answers for, and says whether there were too many such.
    #[inline(always)]
    pub fn ask(
        &mut self,
        target: AddressHash,
        now_ns: u64,
        short: &Threshold,
        long: &Threshold,
    ) -> bool {
        let now = coarse(now_ns);
        if now.wrapping_sub(self.short_since) >= short.window {
            self.short_since = now;
            self.short = [0; 2];
            self.short_ones = 0;
        }
        if now.wrapping_sub(self.long_since) >= long.window {
            self.long_since = now;
            self.long = [0; 4];
            self.long_ones = 0;
        }
        let is_new = sketch::insert(&mut self.short, target.bits());
        self.short_ones = self.short_ones.wrapping_add(u32::from(is_new));
        let is_new = sketch::insert(&mut self.long, target.bits());
        self.long_ones = self.long_ones.wrapping_add(u32::from(is_new));
        self.short_ones >= short.count || self.long_ones >= long.count
    }

    /// Takes note that an address answered.
    #[inline(always)]
    pub fn answered(&mut self, target: AddressHash) {
        let was_set = sketch::remove(&mut self.short, target.bits());
        self.short_ones = self.short_ones.wrapping_sub(u32::from(was_set));
        let was_set = sketch::remove(&mut self.long, target.bits());
        self.long_ones = self.long_ones.wrapping_sub(u32::from(was_set));
    }

    /// The bits set in the long window's sketch: [`sketch::estimate`] has the number of addresses.
    #[inline(always)]
    #[must_use]
    pub fn targets_ones(&self) -> u32 {
        self.long_ones
    }

    /// Unites what two CPUs (or two gateways) saw of the same sender.
    pub fn merge(&mut self, other: &Self) {
        self.objections.merge(&other.objections);
        sketch::unite(&mut self.short, &other.short);
        sketch::unite(&mut self.long, &other.long);
        self.short_ones = sketch::ones(&self.short);
        self.long_ones = sketch::ones(&self.long);
        self.short_since = self.short_since.max(other.short_since);
        self.long_since = self.long_since.max(other.long_since);
    }
}
