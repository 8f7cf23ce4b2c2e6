//! Rules that change while packets come.

use std::{
    fs,
    net::Ipv4Addr,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use detector_tests::{
    agent::running::{SOON, refusal, run, select, start, stats},
    builder::{PacketBuilder, Route},
    cpu,
    lab::{ETH0, GATEWAY_WAN, Generator, HOST, LAN, Lab, OUTSIDE, Process, WAN, wait_until},
    requirements::kernel_or_skip,
};
use nix::sys::signal::Signal;
use serde_json::Value;

/// Where the gateway has its rules, and what names them.
const RULES: &str = "/run/mine.rules";
const CONFIG: &str = "/run/detector.toml";
/// The rule that is there all the time.
const KEPT: &str =
    "drop udp any any -> any 7777 (msg:\"kept\"; content:\"forbidden\"; sid:1000001;)\n";

/// A gateway that enforces its own rules.
struct Ground {
    lab: Lab,
    agent: Process,
}

impl Ground {
    fn new(rules: &str) -> Result<Self> {
        let lab = Lab::new()?;
        let config = format!("rules.files = ['{RULES}']\n");
        lab.gateway.run(|| {
            fs::write(CONFIG, config)?;
            fs::write(RULES, rules)
        })??;
        let arguments = ["--wan", WAN, "--lan", LAN, "--config", CONFIG, "--enforce"];
        let agent = start(&lab.gateway, &arguments)?;
        Ok(Self { lab, agent })
    }

    /// Puts another file in the place of the rules, as an editor does.
    fn write(&self, rules: &str) -> Result<()> {
        let next = Path::new(RULES).with_extension("next");
        self.lab.gateway.run(|| {
            fs::write(&next, rules)?;
            fs::rename(&next, RULES)
        })??;
        Ok(())
    }

    fn reload(&self) -> Result<()> {
        let output = run(&self.lab.gateway, &["rules", "reload"])?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{said}");
        Ok(())
    }

    /// How often the agent has said that it read its rules anew.
    fn reloads(&self) -> usize {
        let said = self.agent.stderr();
        let reloads = said.iter().filter(|line| line.contains("rules read anew"));
        reloads.count()
    }

    /// What a rule that is called so met.
    fn met(&self, name: &str) -> Result<Option<Value>> {
        let stats = stats(&self.lab.gateway)?;
        let found = select(&stats["signatures"], &[("name", name)]);
        Ok(found.first().map(|rule| (*rule).clone()))
    }

    /// Waits until the rule that is called so has dropped so many packets.
    fn wait_for_drops(&self, name: &str, dropped: u64) -> Result<()> {
        let mut last = None;
        wait_until("every packet to be dropped", SOON, || {
            last = self.met(name)?;
            let rule = last.as_ref();
            Ok(rule.is_some_and(|rule| rule["dropped"] == dropped))
        })
        .with_context(|| format!("{dropped} were sent; the rule met {last:?}"))
    }

    fn send(&self, payload: &[u8]) -> Result<()> {
        let sender = self.lab.outside.sender(ETH0)?;
        sender.send(&to_7777(payload).build())
    }
}

/// A packet of somebody outside who is not protected, as the default gateway is.
fn to_7777(payload: &[u8]) -> PacketBuilder {
    let route = Route {
        src_ip: Ipv4Addr::new(198, 51, 100, 66),
        ..OUTSIDE.route_to(HOST, GATEWAY_WAN)
    };
    route.ipv4().udp(route.src_port, 7777).payload(payload)
}

#[test]
fn no_packet_passes_while_rules_are_read_anew_a_hundred_times() -> Result<()> {
    // How many packets a second there are is up to the machine, and printed.
    const RELOADS: u32 = 100;
    const BATCH: u32 = 65_536;
    const FLOOD_MAX: Duration = Duration::from_mins(2);
    if !kernel_or_skip("no_packet_passes_while_rules_are_read_anew_a_hundred_times") {
        return Ok(());
    }
    let ground = Ground::new(KEPT)?;
    let behind = ground.lab.host.receiver(ETH0)?;
    let frame = to_7777(b"what is forbidden here").build();
    let is_over = AtomicBool::new(false);
    let (sent, took) = thread::scope(|scope| {
        let flood = scope.spawn(|| {
            ground.lab.outside.run(|| -> Result<_> {
                let generator = Generator::new(ETH0)?;
                cpu::hold(cpu::first()?)?;
                let (begin, mut sent) = (Instant::now(), 0_u64);
                while !is_over.load(Ordering::Relaxed) && begin.elapsed() < FLOOD_MAX {
                    generator.send(&frame, BATCH)?;
                    sent += u64::from(BATCH);
                }
                Ok((sent, begin.elapsed()))
            })?
        });
        let mut reload = |number: u32| {
            // Other rules each time, more or fewer, before and behind the one that stays.
            let other = |sid: u32| {
                let (port, text) = (7000 + sid % 900, u64::from(sid) * 7919);
                format!("drop udp any any -> any {port} (content:\"other{text}\"; sid:{sid};)\n")
            };
            let before: String = (1..=number % 5)
                .map(|sid| other(number * 10 + sid))
                .collect();
            let behind = other(2_000_000 + number);
            ground.write(&format!("{before}{KEPT}{behind}"))?;
            ground.reload()
        };
        let reloaded: Result<()> = (1..=RELOADS).try_for_each(&mut reload);
        is_over.store(true, Ordering::Relaxed);
        let flood = flood.join().ok().context("the flood panicked")?;
        reloaded?;
        flood
    })?;
    ground.wait_for_drops("kept", sent)?;
    assert_eq!(
        ground.met("kept")?.map(|rule| rule["packets"].clone()),
        Some(sent.into())
    );
    let to_port = |frame: &[u8]| frame.get(36..38) == Some(&7777_u16.to_be_bytes());
    assert_eq!(behind.wait_for(1, Duration::from_millis(200), to_port)?, 0);
    let rate = u128::from(sent) * 1000 / took.as_millis().max(1);
    println!("{RELOADS} reloads, {sent} packets at {rate} a second, none passed");
    Ok(())
}

#[test]
fn a_bad_file_leaves_the_rules_in_force_and_is_told_with_its_place() -> Result<()> {
    if !kernel_or_skip("a_bad_file_leaves_the_rules_in_force_and_is_told_with_its_place") {
        return Ok(());
    }
    let ground = Ground::new(KEPT)?;
    let bad = "drop udp any any -> any 7777 (content:\"other\"; contend:\"x\"; sid:7000000;)\n";
    ground.write(bad)?;
    let (code, said) = refusal(&ground.lab.gateway, &["rules", "reload"])?;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("/run/mine.rules:1:"), "{said}");
    assert!(said.contains("contend"), "{said}");
    let told = |line: &str| line.contains("those before stay in force") && line.contains("contend");
    ground.agent.wait_for_line(SOON, told)?;
    ground.lab.gateway.run(|| fs::remove_file(RULES))??;
    let (code, said) = refusal(&ground.lab.gateway, &["rules", "reload"])?;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("/run/mine.rules: cannot be read"), "{said}");
    ground.send(b"forbidden still")?;
    ground.wait_for_drops("kept", 1)
}

#[test]
fn a_hangup_and_a_file_that_changed_have_the_rules_read_anew() -> Result<()> {
    if !kernel_or_skip("a_hangup_and_a_file_that_changed_have_the_rules_read_anew") {
        return Ok(());
    }
    let ground = Ground::new(KEPT)?;
    // Looked at again within some seconds, and nobody says anything.
    let second =
        "drop udp any any -> any 7777 (msg:\"second\"; content:\"outlawed\"; sid:8000000;)\n";
    ground.write(&format!("{KEPT}{second}"))?;
    ground
        .agent
        .wait_for_line(SOON, |line| line.ends_with("in force now: 31"))?;
    ground.send(b"outlawed")?;
    ground.wait_for_drops("second", 1)?;
    // The configuration names another file, which is followed from then on; what it says besides takes effect later.
    let config =
        "rules.files = ['/run/other.rules']\nrules.worms = false\nreport_interval_ms = 7\n";
    ground.lab.gateway.run(|| {
        fs::write("/run/other.rules", second)?;
        fs::write(CONFIG, config)
    })??;
    ground
        .agent
        .wait_for_line(SOON, |line| line.ends_with("in force now: 1"))?;
    ground.agent.wait_for_line(SOON, |line| {
        line.contains("when the agent is started again")
    })?;
    ground.send(b"outlawed")?;
    ground.wait_for_drops("second", 2)?;
    assert_eq!(ground.met("kept")?, None);
    // Nothing has changed, so that nothing is read but for the signal.
    let before = ground.reloads();
    ground.agent.signal(Signal::SIGHUP)?;
    wait_until("the rules to be read at a hangup", SOON, || {
        Ok(ground.reloads() == before + 1)
    })
}

#[test]
fn a_file_that_is_not_written_to_its_end_is_not_read_by_itself() -> Result<()> {
    if !kernel_or_skip("a_file_that_is_not_written_to_its_end_is_not_read_by_itself") {
        return Ok(());
    }
    let ground = Ground::new(KEPT)?;
    let second =
        "drop udp any any -> any 7777 (msg:\"second\"; content:\"outlawed\"; sid:8000000;)";
    // Emptied, then written up to the middle of a line, which by itself would be no rule that is wrong: in its place each time.
    for part in ["", "# what is behind", second] {
        let before = ground.agent.stderr().len();
        ground.lab.gateway.run(|| fs::write(RULES, part))??;
        let is_told = |line: &String| line.contains("not read anew, for it does not end");
        wait_until("it to be told", SOON, || {
            let said = ground.agent.stderr();
            Ok(said.iter().skip(before).any(is_told))
        })?;
    }
    ground.send(b"forbidden still, not yet outlawed")?;
    ground.wait_for_drops("kept", 1)?;
    // It is read when it ends, or when somebody says that it does.
    ground.reload()?;
    assert_eq!(ground.met("kept")?, None);
    ground.send(b"forbidden no more, but outlawed")?;
    ground.wait_for_drops("second", 1)?;
    let before = ground.reloads();
    ground
        .lab
        .gateway
        .run(|| fs::write(RULES, format!("{second}\n{KEPT}")))??;
    wait_until("the file to be read", SOON, || {
        Ok(ground.reloads() == before + 1)
    })
}
