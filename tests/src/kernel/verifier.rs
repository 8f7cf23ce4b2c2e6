//! What a program costs the verifier, in its own words.
//!
//! A kernel tells of the instructions it verified only since 5.16, and of the stack never, except in the verifier's log;
//! and aya hands that on only when a program is refused. So the program is loaded by a process that has no room for
//! another descriptor: the verifier does all its work, and then the kernel refuses.

use anyhow::{Context as _, Result, bail, ensure};
use aya::{
    EbpfLoader, VerifierLogLevel,
    programs::{ProgramError, Xdp},
};
use detector::agent::kernel::has_frags;
use detector_common::abi::global;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What the verifier says of a program that it has accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// The instructions it followed.
    pub instructions: u64,
    /// The stack of the deepest chain of functions, in bytes.
    pub stack: u64,
}

/// Has the verifier look at one program of an object; then loads it, and where the kernel counts too, the two must agree.
///
/// # Errors
///
/// There is no such program, or the verifier refuses it.
pub fn cost(object: &[u8], program: &str) -> Result<Cost> {
    let mut loader = EbpfLoader::new();
    // Any value of the kernel's does; with none the verifier would leave out what it is for.
    let tick_ns = 4_000_000_u64;
    let has_frags = u32::from(has_frags());
    let mut object = loader
        .verifier_log_level(VerifierLogLevel::STATS)
        .override_global(global::TICK_NS, &tick_ns, false)
        .override_global(global::HAS_FRAGS, &has_frags, false)
        .load(object)?;
    let found = object.program_mut(program);
    let found: &mut Xdp = found
        .with_context(|| format!("no program {program}"))?
        .try_into()?;
    let refused = without_room(|| found.load())?;
    let Err(ProgramError::LoadError {
        io_error,
        verifier_log,
    }) = refused
    else {
        bail!("{program} was not refused as it must be: {refused:?}");
    };
    let log = verifier_log.to_string();
    let cost = Cost::of_log(&log);
    let cost = cost.with_context(|| format!("the verifier says: {io_error}: {log}"))?;
    found.load()?;
    if let Some(counted) = found.info()?.verified_instruction_count() {
        ensure!(
            u64::from(counted) == cost.instructions,
            "the verifier followed {} instructions, and the kernel counts {counted}",
            cost.instructions
        );
    }
    Ok(cost)
}

impl Cost {
    /// Reads the statistics, which end the log.
    fn of_log(log: &str) -> Option<Self> {
        let after = |words: &str| log.lines().rev().find_map(|line| line.strip_prefix(words));
        let depths = after("stack depth ")?;
        // Linux 7.3 says "max" and the sum of the deepest chain; before, it is the depths of all functions. Then it is the main one's and the
        // largest, for those that call others are less with them.
        let depths = depths.strip_prefix("max ").unwrap_or(depths);
        let depths: Result<Vec<u64>, _> = depths.trim().split('+').map(str::parse).collect();
        let depths = depths.ok()?;
        let (main, others) = depths.split_first()?;
        let processed = after("processed ")?.split_whitespace().next()?;
        Some(Self {
            instructions: processed.parse().ok()?,
            stack: main + others.iter().max().unwrap_or(&0),
        })
    }
}

/// Runs `action` while this process can open nothing.
fn without_room<T>(action: impl FnOnce() -> T) -> Result<T> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, 0, hard)?;
    let result = action();
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard)?;
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::Cost;

    #[test]
    fn the_stacks_of_all_functions_count() {
        let log = "verification time 5 usec\nstack depth 160+64+128\n\
            processed 27830 insns (limit 1000000) max_states_per_insn 24 total_states 1201\n";
        let cost = Cost {
            instructions: 27_830,
            stack: 288,
        };
        assert_eq!(Cost::of_log(log), Some(cost));
    }

    #[test]
    fn the_newer_words_are_understood_too() {
        let log = "verification time 5 usec\nstack depth max 288\n\
            subprog 0 (clock) main insns_self 31 insns_total 31 stack 288\nprocessed 31 insns (limit 1000000)\n";
        let cost = Cost {
            instructions: 31,
            stack: 288,
        };
        assert_eq!(Cost::of_log(log), Some(cost));
    }

    #[test]
    fn a_log_without_statistics_tells_nothing() {
        assert_eq!(Cost::of_log("R1 invalid mem access 'scalar'\n"), None);
    }
}
