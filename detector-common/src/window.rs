//! So many in so long, in two words: what the detectors that count over windows keep of time.

use bytemuck::{Pod, Zeroable};

/// A time in units of 2²⁰ nanoseconds, about a millisecond; it begins again every 52 days.
#[inline(always)]
#[must_use]
pub const fn coarse(ns: u64) -> u32 {
    (ns >> 20) as u32
}

/// So many in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Threshold {
    /// The window, in [`coarse`] time.
    pub(crate) window: u32,
    /// What must be reached in it.
    pub(crate) count: u32,
}

impl Threshold {
    /// `count` in `window_ns` nanoseconds.
    #[must_use]
    pub const fn new(count: u32, window_ns: u64) -> Self {
        Self {
            window: coarse(window_ns),
            count,
        }
    }
}
