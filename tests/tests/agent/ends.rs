//! However an agent ends, nothing of it stays attached, and the next one starts.

use std::{fs, os::unix::fs::symlink};

use anyhow::{Context as _, Result};
use detector_tests::{
    agent::running::{
        PINS, SOCKET, SOON, attached, detector, ensure_nothing_is_left, exists, json, refusal, run,
        start,
    },
    lab::{ETH0, Host, LAN, Lab, Pair, Process, WAN},
    requirements::kernel_or_skip,
};
use nix::sys::signal::Signal;

#[test]
fn a_signal_ends_the_agent_in_good_order() -> Result<()> {
    if !kernel_or_skip("a_signal_ends_the_agent_in_good_order") {
        return Ok(());
    }
    let lab = Lab::new()?;
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut agent = start(&lab.gateway, &["--wan", WAN, "--lan", LAN])?;
        for interface in [WAN, LAN] {
            assert!(matches!(
                attached(&lab.gateway, interface)?,
                Some((_, "native"))
            ));
        }
        assert!(exists(&lab.gateway, PINS)? && exists(&lab.gateway, SOCKET)?);
        agent.signal(signal)?;
        assert_eq!(agent.wait(SOON)?.code(), Some(0), "{signal}");
        ensure_nothing_is_left(&lab.gateway, &[WAN, LAN])?;
        let last = format!("detector: {signal}: detached");
        agent.wait_for_line(SOON, |line| line.starts_with(&last))?;
    }
    Ok(())
}

#[test]
fn the_directories_of_a_killed_agent_go_with_the_next_one_whatever_the_umask() -> Result<()> {
    if !kernel_or_skip("the_directories_of_a_killed_agent_go_with_the_next_one_whatever_the_umask")
    {
        return Ok(());
    }
    let host = Host::new("lonely")?;
    for umask in ["0022", "0027", "0077"] {
        let mut command = host.command("sh");
        command
            .args(["-c", "umask \"$0\" && exec \"$@\"", umask])
            .arg(detector()?)
            .args(["run", "--lan", "lo"]);
        let mut killed = Process::spawn(&mut command)?;
        killed.wait_for_line(SOON, |line| line.starts_with("detector: ready"))?;
        killed.signal(Signal::SIGKILL)?;
        killed.wait(SOON)?;
        assert!(exists(&host, PINS)? && exists(&host, SOCKET)?, "{umask}");
        let mut next = start(&host, &["--lan", "lo"])?;
        assert_eq!(next.stop(SOON)?.code(), Some(0), "{umask}");
        ensure_nothing_is_left(&host, &["lo"]).with_context(|| format!("umask {umask}"))?;
    }
    Ok(())
}

#[test]
fn what_stands_in_the_sockets_place_and_is_none_stays() -> Result<()> {
    if !kernel_or_skip("what_stands_in_the_sockets_place_and_is_none_stays") {
        return Ok(());
    }
    let pair = Pair::new()?;
    pair.server.run(|| {
        fs::write("/run/precious", "kept")?;
        symlink("/run/precious", "/run/link")
    })??;
    for path in ["/run/precious", "/run/link"] {
        let (code, said) = refusal(&pair.server, &["run", "--wan", ETH0, "--socket", path])?;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(path) && said.contains("no socket"), "{said}");
    }
    let kept = pair.server.run(|| fs::read_to_string("/run/link"))??;
    assert_eq!(kept, "kept");
    ensure_nothing_is_left(&pair.server, &[ETH0])
}

#[test]
fn an_interface_that_goes_away_is_told_and_ends_nothing() -> Result<()> {
    if !kernel_or_skip("an_interface_that_goes_away_is_told_and_ends_nothing") {
        return Ok(());
    }
    let pair = Pair::new()?;
    let mut agent = start(&pair.server, &["--wan", ETH0])?;
    let status = json(&pair.server, &["status", "-o", "json"])?;
    let (program, mode) = attached(&pair.server, ETH0)?.unwrap_or_default();
    let interface = &status["interfaces"][0];
    assert_eq!(interface["name"], ETH0);
    assert_eq!(interface["side"], "wan");
    assert_eq!(interface["mode"], mode);
    assert_eq!(interface["program_id"], program);
    assert_eq!(interface["attached"], true);
    assert_eq!(status["mode"], "monitor");
    assert_eq!(status["pin_dir"], PINS);
    assert_eq!(status["socket"], SOCKET);
    assert_eq!(status["events_lost"], 0);
    assert!(status["program"]["verified_instructions"].as_u64() > Some(0));

    pair.server.ip(&format!("link del {ETH0}"))?;
    agent.wait_for_line(SOON, |line| line.contains("eth0 is no longer guarded"))?;
    assert_eq!(run(&pair.server, &["status"])?.status.code(), Some(1));
    assert_eq!(agent.stop(SOON)?.code(), Some(0));
    ensure_nothing_is_left(&pair.server, &[])
}
