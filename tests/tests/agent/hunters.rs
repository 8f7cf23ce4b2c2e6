//! Who looks for victims, on a real gateway: an infected host is named, and what a router relays is told as such.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use detector_tests::{
    agent::running::{SOON, json, start},
    builder::{ACK, Arp, PacketBuilder, Route, SYN},
    cpu,
    lab::{ETH0, INFECTED, LAN, Lab, OUTSIDE, WAN, wait_until},
    requirements::kernel_or_skip,
    worms::benign,
};

#[test]
fn a_host_that_tries_host_after_host_is_named_and_one_that_is_answered_is_not() -> Result<()> {
    if !kernel_or_skip("a_host_that_tries_host_after_host_is_named_and_one_that_is_answered_is_not")
    {
        return Ok(());
    }
    let lab = Lab::new()?;
    let agent = start(&lab.gateway, &["--wan", WAN, "--lan", LAN])?;
    let (inside, outside) = (lab.infected.sender(ETH0)?, lab.outside.sender(ETH0)?);
    let to = |number: u8| Route {
        dst_ip: [198, 18, number, 1].into(),
        ..Lab::outbound()
    };
    // Somebody inside is answered on one port, and is not on another.
    let mut numbers = 0..=u8::MAX;
    let mut next = Instant::now();
    wait_until("the scan to be told", SOON, || {
        // A few hosts at a time are looked after, so a flood of tries would not be found sooner.
        if Instant::now() < next {
            return Ok(false);
        }
        next += Duration::from_millis(50);
        let Some(number) = numbers.next() else {
            return Ok(true);
        };
        inside.send(&benign::syn(&to(number), 443).build())?;
        let back = Lab::inbound();
        let answer = PacketBuilder::new()
            .ethernet(back.src_mac, back.dst_mac)
            .ipv4(to(number).dst_ip, back.dst_ip)
            .tcp(443, 50_000)
            .flags(SYN | ACK);
        outside.send(&answer.build())?;
        inside.send(&benign::syn(&to(number), 23).build())?;
        Ok(agent.stdout().iter().any(|line| line.contains("scan")))
    })?;
    let line = agent.wait_for_line(SOON, |line| line.contains("scan"))?;
    let who = format!("a host of ours is infected: scan from {}", INFECTED.ipv4);
    assert!(line.contains(&who) && line.contains("tcp/23"), "{line}");
    let list = ["offenders", "--side", "lan", "--since", "1h", "-o", "json"];
    let offenders = json(&lab.gateway, &list)?;
    let host = &offenders["offenders"][0];
    assert_eq!(host["source"]["ip"], INFECTED.ipv4.to_string());
    assert_eq!(host["infected"], true);
    let scan = &host["findings"][0];
    assert_eq!(scan["detector"], "scan");
    assert_eq!(scan["tried"]["judged"], scan["tried"]["silent"], "{scan}");
    let lines = agent.stdout();
    assert!(
        !lines.iter().any(|line| line.contains("tcp/443")),
        "{lines:?}"
    );
    Ok(())
}

#[test]
fn a_scan_of_which_each_cpu_saw_a_part_is_told() -> Result<()> {
    if !kernel_or_skip("a_scan_of_which_each_cpu_saw_a_part_is_told") {
        return Ok(());
    }
    let cpus = cpu::allowed()?;
    assert!(cpus.len() > 1, "this takes two CPUs");
    let lab = Lab::new()?;
    let agent = start(&lab.gateway, &["--wan", WAN, "--lan", LAN])?;
    // A cable delivers on the CPU that sends. Ten silent hosts a minute are a scan, and neither CPU sees so many: four are looked after at a
    // time and a host is given up after a second, so of eleven seven are judged.
    let inside = lab.infected.sender(ETH0)?;
    let mut tries = (0..11).flat_map(|number| [(cpus[0], number), (cpus[1], 100 + number)]);
    let mut next = Instant::now();
    wait_until("both halves to be sent", SOON, || {
        if Instant::now() < next {
            return Ok(false);
        }
        next += Duration::from_millis(150);
        let Some((cpu, number)) = tries.next() else {
            return Ok(true);
        };
        cpu::hold(cpu)?;
        let route = Route {
            dst_ip: [198, 18, number, 1].into(),
            ..Lab::outbound()
        };
        inside.send(&benign::syn(&route, 23).build())?;
        Ok(false)
    })?;
    let line = agent.wait_for_line(SOON, |line| line.contains("scan"))?;
    let who = format!("a host of ours is infected: scan from {}", INFECTED.ipv4);
    assert!(line.contains(&who), "{line}");
    assert!(
        line.contains("one host after the other tcp/23") && line.contains("pass (scan)"),
        "{line}"
    );
    let offenders = json(&lab.gateway, &["offenders", "-o", "json"])?;
    let scan = &offenders["offenders"][0]["findings"][0];
    assert_eq!(scan["detector"], "scan");
    let silent = scan["packets"].as_u64().context("no packets")?;
    assert!((10..=22).contains(&silent), "{scan}");
    assert_eq!(scan["tried"]["judged"], scan["tried"]["silent"], "{scan}");
    Ok(())
}

#[test]
fn the_default_gateway_is_learnt_and_what_it_asks_is_relayed() -> Result<()> {
    if !kernel_or_skip("the_default_gateway_is_learnt_and_what_it_asks_is_relayed") {
        return Ok(());
    }
    let lab = Lab::new()?;
    let agent = start(&lab.gateway, &["--wan", WAN, "--lan", LAN])?;
    let knows = |mac: &str| {
        wait_until("the gateway to be learnt", SOON, || {
            let status = json(&lab.gateway, &["status", "-o", "json"])?;
            let gateways = status["gateways"].as_array().context("no gateways")?;
            Ok(gateways.iter().any(|gateway| gateway["mac"] == mac))
        })
    };
    knows("02:00:00:00:01:0a")?;
    let asked = |number: u8| Arp::request(OUTSIDE.mac, OUTSIDE.ipv4, [203, 0, 113, number]);
    for number in 100..200 {
        let frame = PacketBuilder::new().arp(asked(number)).pad_to(60).build();
        lab.outside.sender(ETH0)?.send(&frame)?;
    }
    let line = agent.wait_for_line(SOON, |line| line.contains("arp_sweep"))?;
    assert!(line.contains("relayed by the gateway"), "{line}");

    lab.gateway.output(
        "ip",
        &[
            "neigh",
            "replace",
            &OUTSIDE.ipv4.to_string(),
            "lladdr",
            "02:00:00:00:01:77",
            "dev",
            WAN,
            "nud",
            "permanent",
        ],
    )?;
    knows("02:00:00:00:01:77")
}
