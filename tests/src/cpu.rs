//! The CPUs that a thread may run on. A machine, or a container, need not give a process all of them, nor the first.

use anyhow::{Context as _, Result};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity},
    unistd::Pid,
};

/// The CPUs that the calling thread may run on, by the kernel's numbers, ascending.
pub fn allowed() -> Result<Vec<usize>> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    let is_allowed = |cpu: &usize| allowed.is_set(*cpu).unwrap_or(false);
    Ok((0..CpuSet::count()).filter(is_allowed).collect())
}

/// The first of them.
pub fn first() -> Result<usize> {
    let allowed = allowed()?;
    allowed.first().copied().context("there is no CPU")
}

/// Keeps the calling thread on a CPU.
pub fn hold(cpu: usize) -> Result<()> {
    let mut only = CpuSet::new();
    only.set(cpu)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &only)?)
}

/// Keeps the calling thread on the CPU that it is on, and says which one that is.
pub fn hold_this() -> Result<usize> {
    let cpu = sched_getcpu()?;
    hold(cpu)?;
    Ok(cpu)
}
