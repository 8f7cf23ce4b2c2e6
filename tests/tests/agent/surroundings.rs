//! What the agent knows of the machine it runs on: shown by `detector status`, and current.

use std::{
    fs,
    net::{TcpListener, TcpStream},
};

use anyhow::{Context as _, Result};
use detector_tests::{
    agent::running::{SOON, json, run, start},
    builder::{Arp, PacketBuilder},
    lab::{ETH0, GATEWAY_LAN, GATEWAY_WAN, HOST, Host, LAN, Lab, OUTSIDE, WAN, wait_until},
    requirements::kernel_or_skip,
};
use serde_json::{Value, json};

/// Waits until `detector status` shows what is expected. Were it only asked for again now and then, this would be too soon.
fn shows(host: &Host, what: &str, expected: impl Fn(&Value) -> bool) -> Result<()> {
    let mut last = Value::Null;
    wait_until(what, SOON, || {
        last = json(host, &["status", "-o", "json"])?;
        Ok(expected(&last))
    })
    .with_context(|| format!("{last:#}"))
}

fn is_protected(status: &Value, address: &str, why: &str) -> bool {
    let entry = json!({ "address": address, "why": why });
    let protected = status["protected"].as_array();
    protected.is_some_and(|protected| protected.contains(&entry))
}

#[test]
fn own_addresses_and_default_gateways_are_shown_and_follow_when_they_change() -> Result<()> {
    if !kernel_or_skip("own_addresses_and_default_gateways_are_shown_and_follow_when_they_change") {
        return Ok(());
    }
    let lab = Lab::new()?;
    let gateway = &lab.gateway;
    let _agent = start(gateway, &["--wan", WAN, "--lan", LAN])?;
    let outside =
        json!({ "ip": OUTSIDE.ipv4.to_string(), "mac": "02:00:00:00:01:0a", "interface": "wan" });
    let host =
        json!({ "ip": HOST.ipv4.to_string(), "mac": "02:00:00:00:02:0a", "interface": "lan" });
    let strange = json!({ "ip": "203.0.113.77", "mac": null, "interface": "wan" });
    let gateways_are = |expected: Value| {
        shows(gateway, "default gateways", |status| {
            let expected = expected.as_array().into_iter().flatten();
            let is_protected = |gateway: &Value| {
                let ip = gateway["ip"].as_str().unwrap_or_default();
                is_protected(status, ip, "default_gateway")
            };
            let protected = status["protected"].as_array().into_iter().flatten();
            let protected = protected.filter(|one| one["why"] == "default_gateway");
            let expected: Vec<_> = expected.collect();
            status["gateways"]
                .as_array()
                .into_iter()
                .flatten()
                .eq(expected.iter().copied())
                && expected.iter().copied().all(is_protected)
                && protected.count() == expected.len()
        })
    };

    gateways_are(json!([outside]))?;
    shows(gateway, "own addresses", |status| {
        let own = [GATEWAY_WAN.ipv4, GATEWAY_LAN.ipv4, [127, 0, 0, 1].into()];
        own.iter()
            .all(|ip| is_protected(status, &ip.to_string(), "own_address"))
    })?;
    let human = String::from_utf8(run(gateway, &["status"])?.stdout)?;
    for line in [
        "203.0.113.10 (02:00:00:00:01:0a) on wan",
        "own_address 127.0.0.1, 192.0.2.1, 203.0.113.1\n",
        "default_gateway 203.0.113.10\n",
    ] {
        assert!(human.contains(line), "{line:?} in {human}");
    }

    gateway.ip("addr add 192.0.2.200/32 dev lan")?;
    let has_another = |status: &Value| is_protected(status, "192.0.2.200", "own_address");
    shows(gateway, "another address of its own", has_another)?;
    gateway.ip("addr del 192.0.2.200/32 dev lan")?;
    shows(gateway, "it to be gone", |status| !has_another(status))?;

    gateway.ip(&format!("route replace default via {}", HOST.ipv4))?;
    gateways_are(json!([host]))?;
    // It is not asked for, so nobody knows its MAC.
    gateway.ip("route add default via 203.0.113.77 metric 9")?;
    gateways_are(json!([strange, host]))?;
    gateway.ip("neigh replace 203.0.113.77 lladdr 02:00:00:00:00:77 dev wan nud permanent")?;
    let known = json!({ "ip": "203.0.113.77", "mac": "02:00:00:00:00:77", "interface": "wan" });
    gateways_are(json!([known, host]))?;
    // Its route goes with it, without a word of the kernel.
    gateway.ip("link set wan down")?;
    gateways_are(json!([host]))?;
    gateway.ip("link set wan up")?;
    gateway.ip(&format!(
        "route replace default nexthop via {} nexthop via {}",
        OUTSIDE.ipv4, HOST.ipv4
    ))?;
    shows(gateway, "both next hops of a multipath route", |status| {
        [OUTSIDE, HOST]
            .iter()
            .all(|router| is_protected(status, &router.ipv4.to_string(), "default_gateway"))
    })
}

#[test]
fn a_default_gateway_of_ipv6_is_shown_with_its_mac() -> Result<()> {
    const SWITCH: &str = "/proc/sys/net/ipv6/conf/wan/disable_ipv6";
    if !kernel_or_skip("a_default_gateway_of_ipv6_is_shown_with_its_mac") {
        return Ok(());
    }
    let lab = Lab::new()?;
    let gateway = &lab.gateway;
    if !gateway.run(|| fs::exists(SWITCH))?? {
        eprintln!("skipped: this kernel has no IPv6");
        return Ok(());
    }
    let _agent = start(gateway, &["--wan", WAN])?;
    gateway.run(|| fs::write(SWITCH, "0"))??;
    gateway.ip("addr add 2001:db8::1/64 dev wan nodad\n\
         neigh replace fe80::99 lladdr 02:00:00:00:00:99 dev wan nud permanent\n\
         route add default via fe80::99 dev wan")?;
    let router = json!({ "ip": "fe80::99", "mac": "02:00:00:00:00:99", "interface": "wan" });
    shows(gateway, "a gateway of IPv6", |status| {
        let gateways = status["gateways"].as_array();
        gateways.is_some_and(|gateways| gateways.contains(&router))
            && is_protected(status, "fe80::99", "default_gateway")
            && is_protected(status, "2001:db8::1", "own_address")
    })
}

#[test]
fn who_is_connected_to_the_ssh_server_is_shown() -> Result<()> {
    if !kernel_or_skip("who_is_connected_to_the_ssh_server_is_shown") {
        return Ok(());
    }
    let lab = Lab::new()?;
    let server = (GATEWAY_LAN.ipv4, 22);
    let _listening = lab.gateway.run(|| TcpListener::bind(server))??;
    let _connected = lab.host.run(|| TcpStream::connect(server))??;
    let _agent = start(&lab.gateway, &["--wan", WAN, "--lan", LAN])?;
    shows(&lab.gateway, "the peer", |status| {
        is_protected(status, &HOST.ipv4.to_string(), "ssh_peer")
    })
}

#[test]
fn an_arp_flood_of_the_default_gateway_is_relayed_by_it_and_anothers_is_not() -> Result<()> {
    const ANOTHER: [u8; 6] = [0x02, 0, 0, 0, 0xf1, 0x0d];
    if !kernel_or_skip("an_arp_flood_of_the_default_gateway_is_relayed_by_it_and_anothers_is_not") {
        return Ok(());
    }
    let lab = Lab::new()?;
    let agent = start(&lab.gateway, &["--wan", WAN, "-o", "jsonl"])?;
    shows(&lab.gateway, "the gateway's MAC", |status| {
        status["gateways"][0]["mac"] == "02:00:00:00:01:0a"
    })?;
    let flood = |mac, times| {
        let request = Arp::request(mac, OUTSIDE.ipv4, GATEWAY_WAN.ipv4);
        let frame = PacketBuilder::new().arp(request).pad_to(60).build();
        lab.outside.sender(ETH0)?.send_all(vec![frame; times])
    };
    // Above a gateway's limit and another's, and both together below the segment's.
    flood(OUTSIDE.mac, 300)?;
    flood(ANOTHER, 60)?;
    for (mac, relayed) in [("02:00:00:00:01:0a", true), ("02:00:00:00:f1:0d", false)] {
        let of = |line: &str| line.contains("arp_flood") && line.contains(mac);
        let line = agent.wait_for_line(SOON, of)?;
        let finding: Value = serde_json::from_str(&line)?;
        assert_eq!(finding["relayed_by_gateway"], relayed, "{line}");
    }
    Ok(())
}
