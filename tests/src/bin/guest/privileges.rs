//! The agent with three capabilities and no other right, and refused where one of them is missing.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aya::util::KernelVersion;
use detector_tests::{
    agent::binary,
    lab::{ETH0, Host, Pair, Process},
};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, rlim_t, setrlimit};

use super::WITHIN;

/// What README says that the agent needs.
const NEEDED: [&str; 3] = ["+bpf", "+net_admin", "+perfmon"];

/// What an unprivileged process of systemd 240 or later may lock, in bytes.
const LOCKED_BY_DEFAULT: rlim_t = 64 * 1024;

/// The exit code for what one is not permitted to do.
const NOT_PERMITTED: i32 = 4;

/// The first kernel that does not count maps as locked memory.
const NOT_LOCKED_SINCE: KernelVersion = KernelVersion::new(5, 11, 0);

pub(crate) fn check() -> Result<Vec<String>> {
    let pair = Pair::new()?;
    let (soft, hard) = getrlimit(Resource::RLIMIT_MEMLOCK)?;
    setrlimit(
        Resource::RLIMIT_MEMLOCK,
        LOCKED_BY_DEFAULT,
        LOCKED_BY_DEFAULT,
    )?;
    let plain = start(&pair.server, &NEEDED);
    let lacks = if KernelVersion::current()? >= NOT_LOCKED_SINCE {
        plain?;
        Vec::new()
    } else {
        ensure!(
            plain.is_err(),
            "maps do not count as locked memory: README says they do"
        );
        setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY)?;
        start(&pair.server, &NEEDED)?;
        vec![
            "maps that do not count as locked memory: without root, detector asks for CAP_SYS_RESOURCE too, or for \
             LimitMEMLOCK=infinity in its unit"
                .to_owned(),
        ]
    };
    setrlimit(Resource::RLIMIT_MEMLOCK, soft, hard)?;

    // Otherwise the test would show nothing.
    for missing in NEEDED {
        let others: Vec<_> = NEEDED.into_iter().filter(|one| *one != missing).collect();
        let mut agent = spawn(&pair.server, &others)?;
        let status = agent.wait(WITHIN);
        let status = status.with_context(|| format!("without {missing}"))?;
        ensure!(
            status.code() == Some(NOT_PERMITTED),
            "without {missing} the agent ended with {status}, not with code {NOT_PERMITTED}"
        );
    }
    Ok(lacks)
}

/// Runs the agent as nobody with these capabilities until it guards, then stops it.
fn start(host: &Host, capabilities: &[&str]) -> Result<()> {
    let mut agent = spawn(host, capabilities)?;
    agent.wait_for_line(WITHIN, |line| line.starts_with("detector: ready"))?;
    let status = agent.stop(Duration::from_secs(20))?;
    ensure!(status.success(), "the agent ended with {status}");
    Ok(())
}

/// Runs the agent as nobody with these capabilities.
fn spawn(host: &Host, capabilities: &[&str]) -> Result<Process> {
    let set = |kind: &str| format!("--{kind}=-all,{}", capabilities.join(","));
    let mut command = host.command("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .args(["bounding-set", "inh-caps", "ambient-caps"].map(set))
        .arg(binary()?)
        .args(["run", "--lan", ETH0, "--mode", "native"])
        .args(["--socket", "/tmp/nobody/control.sock"]);
    Process::spawn(&mut command)
}
