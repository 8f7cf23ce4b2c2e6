//! Every fixture through the real program, and each CPU's own counts. Needs root; nothing is attached to an interface.

use std::thread;

use anyhow::{Context as _, Result};
use detector_common::{config::Mode, reason::Reason, verdict::Verdict};
use detector_tests::{
    cpu,
    fixtures::{
        self,
        check::{INTERFACES, Outcome, Reading, SLOT},
    },
    kernel::{FRAME_MIN, TestKernel},
    requirements::kernel_or_skip,
};

#[test]
fn every_fixture_leaves_its_mark_and_no_other_when_monitoring() -> Result<()> {
    check(
        "every_fixture_leaves_its_mark_and_no_other_when_monitoring",
        Mode::Monitor,
    )
}

#[test]
fn every_fixture_leaves_its_mark_and_no_other_when_enforcing() -> Result<()> {
    check(
        "every_fixture_leaves_its_mark_and_no_other_when_enforcing",
        Mode::Enforce,
    )
}

#[test]
fn only_frames_shorter_than_a_header_are_kept_from_the_kernel() {
    let kept: Vec<_> = fixtures::all()
        .into_iter()
        .filter(|fixture| fixture.frame.len() < FRAME_MIN)
        .map(|fixture| fixture.reason)
        .collect();
    assert_eq!(kept, [Reason::EthernetTruncated; 2]);
}

#[test]
fn each_cpu_counts_for_itself_and_the_agent_reads_them_all() -> Result<()> {
    if !kernel_or_skip("each_cpu_counts_for_itself_and_the_agent_reads_them_all") {
        return Ok(());
    }
    let tables = fixtures::tables(Mode::Enforce)?;
    let worm = fixtures::all()
        .into_iter()
        .find(|fixture| fixture.name == "sql-slammer")
        .context("there is no fixture of SQL Slammer")?;
    let mut cpus = cpu::allowed()?;
    cpus.truncate(4);
    let mut kernel = TestKernel::load(&tables, INTERFACES)?;
    // The n-th CPU sees n packets; the thread that ran the test is not held on any of them afterwards.
    thread::scope(|scope| {
        let run = scope.spawn(|| -> Result<()> {
            for (packets, cpu) in (1..).zip(&cpus) {
                cpu::hold(*cpu)?;
                for _ in 0..packets {
                    assert_eq!(kernel.run(SLOT, &worm.frame)?, Verdict::DROP);
                }
            }
            Ok(())
        });
        run.join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;

    let counted = kernel.kernel.maps().counters()?;
    assert_eq!(counted.len(), 1, "one reason and one verdict: {counted:?}");
    let counted = &counted[0];
    assert_eq!(
        (counted.interface, counted.reason, counted.verdict),
        (SLOT, Reason::Signature, Verdict::DROP)
    );
    assert_eq!(counted.packets.len(), kernel.cpus()?);
    let mut all = 0;
    for (packets, cpu) in (1..).zip(&cpus) {
        assert_eq!(
            counted.packets[*cpu].packets, packets,
            "packets on CPU {cpu}"
        );
        all += packets;
    }
    let sources = kernel.kernel.maps().sources()?;
    let packets: Vec<_> = sources.iter().map(|source| source.state.packets).collect();
    assert_eq!(
        packets,
        [all],
        "packets of the one source, of all CPUs together"
    );
    Ok(())
}

/// Runs every fixture on this machine's kernel, and fails with all that went wrong.
fn check(test: &str, mode: Mode) -> Result<()> {
    if !kernel_or_skip(test) {
        return Ok(());
    }
    let Outcome { run, wrong } = fixtures::check::run_in_kernel(mode, Reading::Whole)?;
    assert!(run > 300, "only {run} fixtures were run");
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    Ok(())
}
