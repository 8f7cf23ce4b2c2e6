//! Who speaks ARP and who owns which address, as `detector arp` tells it.

use std::{fs, net::Ipv6Addr};

use anyhow::{Context as _, Result};
use detector_tests::{
    agent::running::{SOON, json, run, start},
    builder::{Arp, Mac, OVERRIDE, PacketBuilder},
    cpu,
    lab::{ETH0, GATEWAY_WAN, LAN, Lab, WAN, wait_until},
    requirements::kernel_or_skip,
};
use serde_json::Value;

/// An address whose owner the operator names, and who claims it first.
const NAMED: [u8; 4] = [203, 0, 113, 50];
const FORGER: Mac = [0x02, 0, 0, 0, 0xf1, 0x0d];

#[test]
fn an_owner_of_an_ipv6_address_that_the_operator_named_is_believed_whoever_claims_first()
-> Result<()> {
    if !kernel_or_skip(
        "an_owner_of_an_ipv6_address_that_the_operator_named_is_believed_whoever_claims_first",
    ) {
        return Ok(());
    }
    let lab = Lab::new()?;
    let config = "[arp_spoof.bindings]\n'2001:db8::50' = '02:00:00:00:00:50'\n";
    lab.gateway.run(|| fs::write("/run/arp.toml", config))??;
    let arguments = ["--wan", WAN, "--lan", LAN, "--config", "/run/arp.toml"];
    let agent = start(&lab.gateway, &arguments)?;
    // A cable delivers on the CPU that sends, and both claims of a pair are to be one CPU's.
    cpu::hold_this()?;
    let sender = lab.outside.sender(ETH0)?;
    let all_nodes = (
        [0x33, 0x33, 0, 0, 0, 1],
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
    );
    let address = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x50);
    let claim = PacketBuilder::new()
        .advertisement(FORGER, address, all_nodes, OVERRIDE)
        .build();
    sender.send_all([claim.clone(), claim])?;
    let told = format!("claiming {address}, ");
    agent.wait_for_line(SOON, |line| {
        line.contains("nd_spoof") && line.contains(&told)
    })?;
    Ok(())
}

#[test]
fn an_owner_that_the_operator_named_is_believed_whoever_claims_first() -> Result<()> {
    if !kernel_or_skip("an_owner_that_the_operator_named_is_believed_whoever_claims_first") {
        return Ok(());
    }
    let lab = Lab::new()?;
    let config = "[arp_spoof.bindings]\n'203.0.113.50' = '02:00:00:00:00:50'\n";
    lab.gateway.run(|| fs::write("/run/arp.toml", config))??;
    let arguments = ["--wan", WAN, "--lan", LAN, "--config", "/run/arp.toml"];
    let agent = start(&lab.gateway, &arguments)?;
    // A cable delivers on the CPU that sends, and both claims of a pair are to be one CPU's.
    cpu::hold_this()?;
    let sender = lab.outside.sender(ETH0)?;
    let claim = Arp::reply(FORGER, NAMED, GATEWAY_WAN.mac, GATEWAY_WAN.ipv4);
    let claim = PacketBuilder::new().arp(claim).pad_to(60).build();
    let spoofed =
        |sender: &Value| sender["source"]["mac"] == "02:00:00:00:f1:0d" && sender["spoofed"] == 2;
    // The second is a spoof, after which the agent insists on the owner; so the fourth is one again.
    let mut table = Value::Null;
    for _ in 0..2 {
        sender.send_all([claim.clone(), claim.clone()])?;
        wait_until("the owner to be the one that was named", SOON, || {
            table = json(&lab.gateway, &["arp", "bindings", "-o", "json"])?;
            let bindings = table["bindings"].as_array().context("no list")?;
            let named = bindings
                .iter()
                .find(|binding| binding["ip"] == "203.0.113.50");
            let named = named.context("the address is not told")?;
            Ok(named["mac"] == "02:00:00:00:00:50"
                && named["named"] == true
                && named["claimed_by"][0] == "02:00:00:00:f1:0d")
        })?;
    }
    let senders = table["senders"].as_array().context("no list")?;
    assert!(senders.iter().any(spoofed), "{table:#}");
    let line = agent.wait_for_line(SOON, |line| line.contains("arp_spoof"))?;
    assert!(line.contains("02:00:00:00:f1:0d"), "{line}");
    let human = |what| -> Result<String> {
        Ok(String::from_utf8(
            run(&lab.gateway, &["arp", what])?.stdout,
        )?)
    };
    let bindings = human("bindings")?;
    assert!(
        bindings.contains("02:00:00:00:00:50, you say so"),
        "{bindings}"
    );
    assert!(human("senders")?.contains("02:00:00:00:f1:0d"));
    Ok(())
}
