//! The disk that a report is written to is full.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    process::Stdio,
    time::Duration,
};

use anyhow::Result;
use detector_tests::{
    agent::running::command,
    capture::{self, Link, evenly},
    lab::Host,
    requirements::kernel_or_skip,
};

use super::numbered::worm;

const CAPTURE: &str = "/run/infected.pcap";
/// What the disk has room for, in bytes: a page.
const ROOM: u64 = 4096;

/// A report that does not fit on the disk is a failure with one line that says so, never a panic and never a success.
#[test]
fn a_report_on_a_full_disk_is_one_line_and_exit_code_1() -> Result<()> {
    if !kernel_or_skip("a_report_on_a_full_disk_is_one_line_and_exit_code_1") {
        return Ok(());
    }
    let host = Host::new("lonely")?;
    let capture = capture::pcap(
        Link::Ethernet,
        evenly((0..2000).map(worm), Duration::from_millis(1)),
    )?;
    host.run(|| {
        fs::create_dir("/run/full")?;
        fs::write(CAPTURE, capture)
    })??;
    let size = format!("size={ROOM}");
    host.output("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", "/run/full"])?;
    for format in ["human", "json", "jsonl"] {
        let report = host.run(|| File::create("/run/full/report"))??;
        let output = command(&host, &["replay", "-o", format, CAPTURE])?
            .stdout(report.try_clone()?)
            .stderr(Stdio::piped())
            .output()?;
        let said = String::from_utf8(output.stderr)?;
        let expected =
            "detector: cannot write to standard output: No space left on device (os error 28)\n";
        assert_eq!(
            (output.status.code(), &*said),
            (Some(1), expected),
            "{format}"
        );
        assert_eq!(
            report.metadata()?.size(),
            ROOM,
            "{format}: the disk is full"
        );
    }
    Ok(())
}
