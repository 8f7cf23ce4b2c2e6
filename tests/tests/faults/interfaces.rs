//! What befalls a guarded interface while the agent runs.

use std::time::Duration;

use anyhow::{Result, ensure};
use detector::agent::kernel::has_frags;
use detector_tests::{
    agent::running::{
        SOON, attached, ensure_nothing_is_left, json, refusal, run, select, start, stats,
        stats_after, sum,
    },
    lab::{ETH0, Host, Pair, wait_until},
    requirements::kernel_or_skip,
};
use serde_json::Value;

use super::numbered::{number, worm};

/// The interface's name after it was renamed.
const RENAMED: &str = "uplink0";
/// How long to look for a frame that was dropped before it was counted.
const A_MOMENT: Duration = Duration::from_millis(50);

/// An interface that goes down and comes up again is guarded all the time.
#[test]
fn an_interface_that_goes_down_and_comes_up_stays_guarded() -> Result<()> {
    if !kernel_or_skip("an_interface_that_goes_down_and_comes_up_stays_guarded") {
        return Ok(());
    }
    let pair = Pair::new()?;
    let mut agent = start(&pair.server, &["--wan", ETH0, "--enforce"])?;
    let before = attached(&pair.server, ETH0)?;
    pair.server.ip(&format!("link set {ETH0} down"))?;
    assert_eq!(attached(&pair.server, ETH0)?, before);
    pair.server.ip(&format!("link set {ETH0} up"))?;
    is_guarded_as(&pair, ETH0)?;
    assert_eq!(attached(&pair.server, ETH0)?, before);
    assert_eq!(agent.stop(SOON)?.code(), Some(0));
    ensure_nothing_is_left(&pair.server, &[ETH0])
}

/// An interface that is renamed stays guarded, and everything calls it by its new name: the agent within a second, status
/// at once.
#[test]
fn a_renamed_interface_stays_guarded_under_its_new_name() -> Result<()> {
    if !kernel_or_skip("a_renamed_interface_stays_guarded_under_its_new_name") {
        return Ok(());
    }
    let pair = Pair::new()?;
    let mut agent = start(&pair.server, &["--wan", ETH0, "--enforce"])?;
    let before = attached(&pair.server, ETH0)?;
    // Down, for Linux before 6.12 renames no interface that is up.
    pair.server.ip(&format!(
        "link set {ETH0} down\nlink set {ETH0} name {RENAMED}\nlink set {RENAMED} up"
    ))?;
    agent.wait_for_line(SOON, |line| {
        line == format!("detector: {ETH0} is called {RENAMED} now")
    })?;
    is_guarded_as(&pair, RENAMED)?;
    assert_eq!(attached(&pair.server, RENAMED)?, before);
    agent.wait_for_line(SOON, |line| line.contains(&format!(" {RENAMED} (wan): ")))?;

    pair.server.ip(&format!(
        "link set {RENAMED} down\nlink set {RENAMED} name {ETH0}"
    ))?;
    assert_eq!(
        json(&pair.server, &["status", "-o", "json"])?["interfaces"][0]["name"],
        ETH0
    );
    assert_eq!(agent.stop(SOON)?.code(), Some(0));
    ensure_nothing_is_left(&pair.server, &[ETH0])
}

/// An interface that is removed and made again is not guarded: the agent says so, `detector status` exits with 1, and
/// once the agent is started again, it is guarded. (That the agent sees to this by itself waits for pinned links.)
#[test]
fn an_interface_that_was_removed_and_made_again_is_told_as_unguarded() -> Result<()> {
    if !kernel_or_skip("an_interface_that_was_removed_and_made_again_is_told_as_unguarded") {
        return Ok(());
    }
    let pair = Pair::new()?;
    let mut agent = start(&pair.server, &["--wan", ETH0, "--enforce"])?;
    pair.server.ip(&format!("link del {ETH0}"))?;
    pair.client.ip(&format!(
        "link add {ETH0} type veth peer name {ETH0} netns {}\nlink set {ETH0} up",
        pair.server.namespace().network_path()
    ))?;
    pair.server.ip(&format!("link set {ETH0} up"))?;
    agent.wait_for_line(SOON, |line| line.contains("eth0 is no longer guarded"))?;
    is_told_as_unguarded(&pair.server)?;
    assert_eq!(attached(&pair.server, ETH0)?, None);
    assert_eq!(agent.stop(SOON)?.code(), Some(0));

    let mut next = start(&pair.server, &["--wan", ETH0, "--enforce"])?;
    is_guarded_as(&pair, ETH0)?;
    assert_eq!(next.stop(SOON)?.code(), Some(0));
    ensure_nothing_is_left(&pair.server, &[ETH0])
}

/// An interface that is moved to another network namespace is out of the agent's sight: it is told as unguarded, although
/// its program goes on; and the agent's end takes that off wherever it is.
#[test]
fn an_interface_that_was_moved_away_is_told_as_unguarded() -> Result<()> {
    if !kernel_or_skip("an_interface_that_was_moved_away_is_told_as_unguarded") {
        return Ok(());
    }
    let pair = Pair::new()?;
    let elsewhere = Host::new("elsewhere")?;
    let mut agent = start(&pair.server, &["--wan", ETH0, "--enforce"])?;
    let before = attached(&pair.server, ETH0)?;
    let path = elsewhere.namespace().network_path();
    pair.server.ip(&format!("link set {ETH0} netns {path}"))?;
    agent.wait_for_line(SOON, |line| line.contains("eth0 is no longer guarded"))?;
    is_told_as_unguarded(&pair.server)?;
    assert_eq!(
        attached(&elsewhere, ETH0)?,
        before,
        "it goes on where it is"
    );
    assert_eq!(agent.stop(SOON)?.code(), Some(0));
    assert_eq!(attached(&elsewhere, ETH0)?, None);
    ensure_nothing_is_left(&pair.server, &[])
}

/// While an interface is guarded in native mode, its MTU and that of a veth's other end may grow, and it stays guarded. A kernel that gives
/// programs no frames longer than a page keeps such frames away: there the other end gets no larger MTU.
#[test]
fn a_guarded_interface_keeps_its_program_whatever_the_mtu() -> Result<()> {
    if !kernel_or_skip("a_guarded_interface_keeps_its_program_whatever_the_mtu") {
        return Ok(());
    }
    let pair = Pair::new()?;
    let mut agent = start(&pair.server, &["--wan", ETH0, "--enforce"])?;
    let before = attached(&pair.server, ETH0)?;
    pair.server.ip(&format!("link set {ETH0} mtu 9000"))?;
    let larger = pair.client.ip(&format!("link set {ETH0} mtu 9000"));
    assert_eq!(larger.is_ok(), has_frags(), "{larger:?}");
    is_guarded_as(&pair, ETH0)?;
    assert_eq!(attached(&pair.server, ETH0)?, before);
    assert_eq!(agent.stop(SOON)?.code(), Some(0));
    ensure_nothing_is_left(&pair.server, &[ETH0])
}

/// Where the driver has no native XDP at the MTU that is set, an agent that was told to be native says so, and how to go
/// on, and exits with 3; one that was not falls back to generic mode and guards. Where the kernel has frames in several pieces, veth has it
/// at any MTU, and both are native.
#[test]
fn an_mtu_too_large_for_native_mode_is_told_with_exit_code_3_or_generic_mode_is_used() -> Result<()>
{
    if !kernel_or_skip(
        "an_mtu_too_large_for_native_mode_is_told_with_exit_code_3_or_generic_mode_is_used",
    ) {
        return Ok(());
    }
    let pair = Pair::new()?;
    for host in [&pair.client, &pair.server] {
        host.ip(&format!("link set {ETH0} mtu 9000"))?;
    }
    if !has_frags() {
        let (code, said) = refusal(&pair.server, &["run", "--wan", ETH0, "--mode", "native"])?;
        assert_eq!(code, Some(3), "{said}");
        for words in [ETH0, "MTU", "`--mode auto` falls back to generic"] {
            assert!(said.contains(words), "{words:?} in {said}");
        }
        ensure_nothing_is_left(&pair.server, &[ETH0])?;
    }
    let mut agent = start(&pair.server, &["--wan", ETH0, "--enforce"])?;
    let expected = if has_frags() { "native" } else { "generic" };
    let mode = attached(&pair.server, ETH0)?.map(|(_, mode)| mode);
    assert_eq!(mode, Some(expected));
    is_guarded_as(&pair, ETH0)?;
    assert_eq!(agent.stop(SOON)?.code(), Some(0));
    ensure_nothing_is_left(&pair.server, &[ETH0])
}

/// Fails unless worms that the client sends are dropped on the server's interface, and counted, under this name.
fn is_guarded_as(pair: &Pair, name: &str) -> Result<()> {
    let status = json(&pair.server, &["status", "-o", "json"])?;
    assert_eq!(status["interfaces"][0]["name"], name);
    assert_eq!(status["interfaces"][0]["attached"], true);

    // A cable that was down takes a moment to carry again, and what is sent meanwhile is lost.
    let dropped = |stats: &Value| {
        stats["interfaces"][0]["verdicts"]["drop"]
            .as_u64()
            .unwrap_or_default()
    };
    let sender = pair.client.sender(ETH0)?;
    let already = dropped(&stats(&pair.server)?);
    wait_until("the cable to carry", SOON, || {
        sender.send(&worm(0)).ok();
        Ok(dropped(&stats(&pair.server)?) > already)
    })?;
    let behind = pair.server.receiver(name)?;
    let already = sum(&stats(&pair.server)?["interfaces"], "packets");
    sender.send_all((0..10).map(worm))?;
    let after = stats_after(&pair.server, already + 10)?;
    let seen = select(&after["interfaces"], &[("name", name)]);
    ensure!(seen.len() == 1, "{after:#}");
    assert_eq!(seen[0]["packets"], already + 10);
    let passed = behind.wait_for(1, A_MOMENT, |frame| number(frame).is_some())?;
    assert_eq!(passed, 0, "a worm passed");
    let sources = select(&after["sources"], &[("interface", name)]);
    ensure!(sources.len() >= 10, "{after:#}");
    Ok(())
}

/// Fails unless `detector status` says in both forms that `eth0` is not guarded, and exits with 1.
fn is_told_as_unguarded(host: &Host) -> Result<()> {
    let output = run(host, &["status", "-o", "json"])?;
    let status: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(status["interfaces"][0]["attached"], false);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        said,
        "detector: not guarded any more: eth0; start the agent again\n"
    );
    let output = run(host, &["status"])?;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("NO: start the agent again"));
    Ok(())
}
