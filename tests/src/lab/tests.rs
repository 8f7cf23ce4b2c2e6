//! The laboratory itself: it carries packets, keeps counts exact, keeps the machine out, and leaves nothing.

use std::{
    env, fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;

use super::*;
use crate::{requirements::kernel_or_skip, worms::benign};

const SOON: Duration = Duration::from_secs(10);

/// What the machine would show of a laboratory that leaked: its interfaces, named namespaces and mounts.
fn leaks() -> Result<Vec<String>> {
    let mut seen = entries("/sys/class/net")?;
    seen.retain(|name| [WAN, LAN, "switch", "port1", "port2", "port3"].contains(&name.as_str()));
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let targets = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    seen.extend(
        targets
            .filter(|target| target.starts_with("/sys") || *target == "/run")
            .map(str::to_owned),
    );
    seen.extend(entries("/run/netns").unwrap_or_default());
    Ok(seen)
}

fn entries(directory: &str) -> Result<Vec<String>> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot list {directory}"))?;
    let mut names: Vec<_> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}

#[test]
fn pings_pass_through_the_gateway_and_counts_are_exact() -> Result<()> {
    if !kernel_or_skip("pings_pass_through_the_gateway_and_counts_are_exact") {
        return Ok(());
    }
    let lab = Lab::new()?;
    assert!(lab.infected.ping(OUTSIDE.ipv4, SOON)?);
    assert!(lab.infected.ping(HOST.ipv4, SOON)?);
    assert!(
        !lab.outside
            .ping(HOST.silent().ipv4, Duration::from_millis(50))?
    );

    for (from, interface, to, route) in [
        (&lab.outside, ETH0, &lab.host, Lab::inbound()),
        (&lab.infected, ETH0, &lab.outside, Lab::outbound()),
    ] {
        let at_gateway = lab
            .gateway
            .receiver(if to.name == "host" { WAN } else { LAN })?;
        let at_end = to.receiver(ETH0)?;
        let back = from.receiver(interface)?;
        let sender = from.sender(interface)?;
        let frame = benign::http_request(&route).build();
        assert_eq!(sender.send_all((0..3000).map(|_| &frame))?, 3000);
        sender.send(&benign::ping(&route, 1).build())?;
        let is_ping = |frame: &[u8]| frame[23] == 1;
        assert_eq!(at_gateway.count_before(SOON, is_ping, |_| true)?, 3000);
        assert_eq!(at_end.count_before(SOON, is_ping, |_| true)?, 3000);
        assert_eq!(
            back.wait_for(1, Duration::from_millis(20), |_| true)?,
            0,
            "the silent address answered"
        );
    }
    Ok(())
}

#[test]
fn nobody_speaks_unasked() -> Result<()> {
    if !kernel_or_skip("nobody_speaks_unasked") {
        return Ok(());
    }
    let lab = Lab::new()?;
    let places = [
        (&lab.outside, ETH0),
        (&lab.gateway, WAN),
        (&lab.gateway, LAN),
        (&lab.host, ETH0),
        (&lab.infected, ETH0),
    ];
    let receivers = places.map(|(host, interface)| (host.name, host.receiver(interface)));
    thread::sleep(Duration::from_millis(300));
    for (name, receiver) in receivers {
        assert_eq!(receiver?.next(Instant::now())?, None, "{name}");
    }
    Ok(())
}

#[test]
fn tagged_frames_arrive_with_their_tags() -> Result<()> {
    if !kernel_or_skip("tagged_frames_arrive_with_their_tags") {
        return Ok(());
    }
    let pair = Pair::new()?;
    let (sender, receiver) = (pair.client.sender(ETH0)?, pair.server.receiver(ETH0)?);
    for frame in [
        benign::dns_query(&Pair::route()).vlan(7).build(),
        benign::dns_query(&Pair::route())
            .vlan_ad(100)
            .vlan(7)
            .build(),
        benign::http_response(&Pair::route()).vlan(7).build(),
        benign::arp_request(&Pair::route()).build(),
    ] {
        sender.send(&frame)?;
        assert_eq!(receiver.next(Instant::now() + SOON)?, Some(frame));
    }
    Ok(())
}

#[test]
fn a_host_sees_a_machine_of_its_own_and_leaves_the_real_one_alone() -> Result<()> {
    if !kernel_or_skip("a_host_sees_a_machine_of_its_own_and_leaves_the_real_one_alone") {
        return Ok(());
    }
    let before = leaks()?;
    let lab = Lab::new()?;
    let (interfaces, pins, run, directory) = lab.gateway.run(|| {
        fs::create_dir("/sys/fs/bpf/pins")?;
        Ok::<_, anyhow::Error>((
            entries("/sys/class/net")?,
            entries("/sys/fs/bpf")?,
            entries("/run")?,
            env::current_dir()?,
        ))
    })??;
    assert_eq!(interfaces, ["lan", "lo", "wan"]);
    assert!(
        pins.contains(&"pins".to_owned()) && run.is_empty(),
        "{pins:?} {run:?}"
    );
    assert_eq!(directory, env::current_dir()?);
    assert_eq!(
        lab.gateway.output("pwd", &[])?.trim_end(),
        env::current_dir()?.to_string_lossy()
    );
    assert!(lab.gateway.output("ls", &["/sys/fs/bpf"])?.contains("pins"));
    assert!(!Path::new("/sys/fs/bpf/pins").exists());
    assert_eq!(leaks()?, before);
    drop(lab);
    assert_eq!(leaks()?, before);
    Ok(())
}

#[test]
fn a_failing_tool_is_quoted_and_a_panic_reaches_the_caller() -> Result<()> {
    if !kernel_or_skip("a_failing_tool_is_quoted_and_a_panic_reaches_the_caller") {
        return Ok(());
    }
    let host = Host::new("lonely")?;
    let error = host
        .ip("link set nowhere up")
        .map_err(|error| format!("{error:#}"));
    assert!(
        matches!(&error, Err(message) if message.contains("ip on lonely") && message.contains("nowhere")),
        "{error:?}"
    );
    assert!(host.sender("nowhere").is_err());
    let panicked = thread::spawn(move || host.run(|| assert_eq!(1, 2, "said inside"))).join();
    let message = panicked
        .err()
        .and_then(|panic| panic.downcast::<String>().ok());
    assert!(message.is_some_and(|message| message.contains("said inside")));
    Ok(())
}

#[test]
fn programs_run_on_the_host_and_end_with_the_test() -> Result<()> {
    if !kernel_or_skip("programs_run_on_the_host_and_end_with_the_test") {
        return Ok(());
    }
    let host = Host::new("lonely")?;
    let script = "trap 'echo stopping; exit 3' TERM; echo ready; ls /sys/class/net >&2; while :; do sleep 0.01; done";
    let mut process = Process::spawn(host.command("sh").args(["-c", script]))?;
    assert_eq!(
        process.wait_for_line(SOON, |line| line.starts_with("rea"))?,
        "ready"
    );
    assert_eq!(process.wait_for_line(SOON, |line| line == "lo")?, "lo");
    assert_eq!(process.stop(SOON)?.code(), Some(3));
    assert!(
        process
            .wait_for_line(SOON, |line| line == "stopping")
            .is_ok()
    );
    assert!(process.wait_for_line(SOON, |line| line == "never").is_err());
    assert_eq!(process.stderr(), ["lo"]);

    // The thread that starts a program takes it along.
    let orphan = thread::scope(|scope| {
        scope
            .spawn(|| host.command("sleep").arg("1000").spawn())
            .join()
    });
    let mut orphan = orphan.map_err(|_| anyhow::anyhow!("the thread panicked"))??;
    wait_until("the orphan to end", SOON, || {
        Ok(orphan.try_wait()?.is_some())
    })?;

    let process = Process::spawn(host.command("sleep").arg("1000"))?;
    process.signal(Signal::SIGKILL)
}

#[test]
fn a_private_bpffs_takes_directories_and_is_gone_with_its_owner() -> Result<()> {
    if !kernel_or_skip("a_private_bpffs_takes_directories_and_is_gone_with_its_owner") {
        return Ok(());
    }
    let bpffs = PrivateBpffs::new()?;
    let pins = bpffs.path().join("detector/maps");
    fs::create_dir_all(&pins)?;
    assert!(pins.is_dir());
    assert!(
        !fs::read_to_string("/proc/self/mountinfo")?
            .contains(&bpffs.path().to_string_lossy().into_owned())
    );
    drop(bpffs);
    assert!(!pins.exists());
    Ok(())
}

#[test]
fn waiting_ends_with_the_condition_or_says_what_was_missing() {
    let started = Instant::now();
    assert!(
        wait_until("a moment", SOON, || Ok(
            started.elapsed() > Duration::from_millis(5)
        ))
        .is_ok()
    );
    let error = wait_until("godot", Duration::from_millis(5), || Ok(false))
        .map_err(|error| error.to_string());
    assert_eq!(error, Err("waited 5ms in vain for godot".to_owned()));
}
