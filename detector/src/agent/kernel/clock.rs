//! The clock of the kernel program: ticks since boot, and what they mean.
//!
//! The program counts time in ticks because reading anything finer costs more than all the rest of it. How long a tick
//! is depends on how the kernel was built, so the kernel is asked.

use std::time::{SystemTime, UNIX_EPOCH};

use aya::programs::{TestRun as _, TestRunOptions, Xdp};
use nix::time::{ClockId, clock_getres};

use super::KernelError;

/// The shortest frame that the kernel test-runs a program on, in bytes.
const FRAME_MIN: usize = 14;

/// Nanoseconds in a tick: the resolution of the coarse clock, which moves on with each tick.
pub(super) fn tick_ns() -> Result<u64, KernelError> {
    let resolution = clock_getres(ClockId::CLOCK_MONOTONIC_COARSE)
        .map_err(|errno| KernelError::Clock(errno.into()))?;
    Ok(u64::try_from(resolution.tv_nsec()).unwrap_or_default())
}

/// What time it was in the kernel program and outside at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Nanoseconds of the program's clock.
    pub kernel_ns: u64,
    /// Nanoseconds since 1970, UTC.
    pub unix_ns: u64,
}

impl Clock {
    pub(super) fn read(program: &Xdp) -> Result<Self, KernelError> {
        let mut ticks = [0; FRAME_MIN];
        program.test_run(TestRunOptions {
            data_in: Some(&[0; FRAME_MIN]),
            data_out: Some(&mut ticks),
            ..TestRunOptions::new()
        })?;
        let [a, b, c, d, e, f, g, h, ..] = ticks;
        let ticks = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let unix = SystemTime::now().duration_since(UNIX_EPOCH);
        Ok(Self {
            kernel_ns: ticks.wrapping_mul(tick_ns()?),
            unix_ns: unix.map_or(0, |since| {
                u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
            }),
        })
    }

    /// A time of the program's clock as nanoseconds since 1970, UTC.
    #[must_use]
    pub fn to_unix_ns(self, kernel_ns: u64) -> u64 {
        if kernel_ns > self.kernel_ns {
            self.unix_ns.saturating_add(kernel_ns - self.kernel_ns)
        } else {
            self.unix_ns.saturating_sub(self.kernel_ns - kernel_ns)
        }
    }
}
