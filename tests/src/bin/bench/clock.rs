//! What a measurement is taken with: this thread's own CPU time, on one CPU.
//!
//! The kernel gives a test run's duration in whole nanoseconds a packet, a twentieth of what an empty program costs. The
//! thread's CPU time is as fine as is wanted, and the time that other programs had the CPU is not in it.

use std::{panic::resume_unwind, thread, time::Duration};

use anyhow::Result;
use detector_tests::cpu;
use nix::{
    libc,
    time::{ClockId, clock_gettime},
};

/// Runs `action` and gives the CPU time it took, with what it gave.
pub(crate) fn cpu_time<T>(action: impl FnOnce() -> Result<T>) -> Result<(Duration, T)> {
    let before = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
    let result = action()?;
    let after = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
    Ok((Duration::from(after - before), result))
}

/// The nanoseconds of one of `count` things that took `time` together.
pub(crate) fn nanoseconds_each(time: Duration, count: u32) -> f64 {
    time.as_secs_f64() * 1e9 / f64::from(count)
}

/// Runs `action` on a thread of its own that is kept on the first CPU; what it starts is not.
pub(crate) fn on_first_cpu<T: Send>(action: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let held = scope.spawn(|| {
            cpu::hold(cpu::first()?)?;
            go_first();
            action()
        });
        held.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Asks for more of the CPU than others get, so that a measurement of seconds does not take minutes on a busy machine. What is
/// measured is this thread's time either way, so a kernel that refuses does no harm.
fn go_first() {
    const NICENESS: libc::c_int = -10;
    // SAFETY: setpriority takes three numbers; 0 is the calling thread.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS) };
}
