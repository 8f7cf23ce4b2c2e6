//! What the agent may not do, or has no place for.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    process::Command,
};

use anyhow::Result;
use detector_tests::{
    agent::running::{SOON, detector, ensure_nothing_is_left, refusal, refusal_of},
    lab::{Host, Process},
    requirements::kernel_or_skip,
};

const NOBODY: u32 = 65534;
const CAPABILITIES: [&str; 3] = ["bpf", "net_admin", "perfmon"];
const HOME: &str = "/run/nobody";

/// Without any one of its three capabilities the agent does not start: one line says which it needs, the exit code is 4,
/// and nothing is left. With the three and nothing else it guards.
#[test]
fn without_any_one_of_three_capabilities_the_agent_says_which_it_needs() -> Result<()> {
    if !kernel_or_skip("without_any_one_of_three_capabilities_the_agent_says_which_it_needs") {
        return Ok(());
    }
    let host = Host::new("lonely")?;
    let binary = detector()?;
    host.run(|| {
        fs::create_dir(HOME)?;
        chown(HOME, Some(NOBODY), Some(NOBODY))?;
        fs::copy(binary, format!("{HOME}/detector"))?;
        fs::set_permissions(
            format!("{HOME}/detector"),
            fs::Permissions::from_mode(0o755),
        )
    })??;
    for missing in CAPABILITIES {
        let held = CAPABILITIES.iter().copied().filter(|held| *held != missing);
        let (code, said) = refusal_of(&run_with(&host, held).output()?)?;
        assert_eq!(code, Some(4), "without {missing}: {said}");
        assert!(said.contains("not permitted"), "without {missing}: {said}");
        let named = format!("CAP_{}", missing.to_uppercase());
        assert!(said.contains(&named), "without {missing}: {said}");
        ensure_nothing_is_left(&host, &["lo"])?;
    }
    let mut agent = Process::spawn(&mut run_with(&host, CAPABILITIES))?;
    agent.wait_for_line(SOON, |line| line.starts_with("detector: ready"))?;
    assert_eq!(agent.stop(SOON)?.code(), Some(0));
    ensure_nothing_is_left(&host, &["lo"])
}

/// On a bpf filesystem that is mounted read-only nothing can be pinned: one line says so and how to mend it, whether the
/// directory for the pins is there or not, and nothing is left.
#[test]
fn a_read_only_bpf_filesystem_is_named_with_its_mount_command() -> Result<()> {
    if !kernel_or_skip("a_read_only_bpf_filesystem_is_named_with_its_mount_command") {
        return Ok(());
    }
    let host = Host::new("lonely")?;
    host.output("mkdir", &["/sys/fs/bpf/ready"])?;
    host.output("mount", &["-o", "remount,ro", "/sys/fs/bpf"])?;
    for pins in ["/sys/fs/bpf/detector", "/sys/fs/bpf/ready"] {
        let (code, said) = refusal(&host, &["run", "--lan", "lo", "--pin-dir", pins])?;
        assert_eq!(code, Some(1), "{said}");
        for words in [pins, "read-only", "mount -o remount,rw /sys/fs/bpf"] {
            assert!(said.contains(words), "{words:?} in {said}");
        }
        ensure_nothing_is_left(&host, &["lo"])?;
    }
    Ok(())
}

/// A command that runs the agent as nobody with these capabilities and no other.
fn run_with<'a>(host: &Host, held: impl IntoIterator<Item = &'a str>) -> Command {
    let held: Vec<_> = ["-all"].into_iter().chain(held).collect();
    let held = held.join(",+");
    let mut command = host.command("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .args([
            format!("--inh-caps={held}"),
            format!("--ambient-caps={held}"),
        ])
        .args([&format!("{HOME}/detector"), "run", "--lan", "lo"])
        .args(["--socket", &format!("{HOME}/control.sock")]);
    command
}
