//! What is done against whom, on a real gateway: a real server and real clients make the handshakes, and somebody forges.

use std::{
    fs,
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use detector_tests::{
    agent::running::{SOON, json, refusal, run, start},
    builder::{ACK, PacketBuilder, Route, SYN},
    lab::{ETH0, GATEWAY_WAN, HOST, LAN, Lab, OUTSIDE, Process, WAN, wait_until},
    requirements::kernel_or_skip,
    worms,
};
use serde_json::Value;
use tempfile::TempDir;

/// Two hosts outside that are not the default gateway, which is protected.
const WORM: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 66);
const VICTIM: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 77);
const SERVER: (Ipv4Addr, u16) = (HOST.ipv4, 80);
/// How long a handshake is waited for where it should not come about.
const NO_HANDSHAKE: Duration = Duration::from_millis(500);

/// A gateway that blocks, a server behind it, and two hosts outside.
struct Ground {
    lab: Lab,
    agent: Process,
    server: TcpListener,
}

impl Ground {
    fn new(config: &str, arguments: &[&str]) -> Result<Self> {
        let lab = Lab::new()?;
        lab.outside.ip(&format!(
            "addr add {WORM}/32 dev {ETH0}\naddr add {VICTIM}/32 dev {ETH0}"
        ))?;
        lab.gateway
            .run(|| fs::write("/run/blocks.toml", config))??;
        let mut all = vec!["--wan", WAN, "--lan", LAN, "--config", "/run/blocks.toml"];
        all.extend(arguments);
        let agent = start(&lab.gateway, &all)?;
        let server = lab.host.run(|| TcpListener::bind(SERVER))??;
        Ok(Self { lab, agent, server })
    }

    /// Connects from one of the addresses outside, and has the server accept: the client's end, and the server's.
    fn connect(&self, from: Ipv4Addr) -> Result<(TcpStream, TcpStream)> {
        let client = self
            .handshake(from, SOON)?
            .with_context(|| format!("{from} cannot connect"))?;
        let (accepted, _) = self.server.accept()?;
        Ok((client, accepted))
    }

    /// Whether nobody answers who connects from there.
    fn is_cut_off(&self, from: Ipv4Addr) -> Result<bool> {
        Ok(self.handshake(from, NO_HANDSHAKE)?.is_err())
    }

    fn handshake(&self, from: Ipv4Addr, within: Duration) -> Result<io::Result<TcpStream>> {
        let (host, gateway) = (HOST.ipv4, GATEWAY_WAN.ipv4);
        let outside = &self.lab.outside;
        outside.ip(&format!("route replace {host}/32 via {gateway} src {from}"))?;
        let server = SocketAddr::from(SERVER);
        outside.run(|| TcpStream::connect_timeout(&server, within))
    }

    /// The route of a packet that `from` sends, or that is forged in its name.
    fn route(from: Ipv4Addr) -> Route {
        Route {
            src_ip: from,
            ..OUTSIDE.route_to(HOST, GATEWAY_WAN)
        }
    }

    fn blocks(&self) -> Result<Vec<Value>> {
        let list = json(&self.lab.gateway, &["block", "list", "-o", "json"])?;
        Ok(list["blocks"].as_array().context("no list")?.clone())
    }

    /// Who is blocked.
    fn blocked(&self) -> Result<Vec<String>> {
        let name = |block: &Value| block["prefix"].as_str().unwrap_or_default().to_owned();
        Ok(self.blocks()?.iter().map(name).collect())
    }

    /// Waits until somebody is blocked.
    fn wait_for_block(&self, who: Ipv4Addr) -> Result<Value> {
        wait_until("the block", SOON, || {
            Ok(self.blocked()?.contains(&who.to_string()))
        })
        .with_context(|| format!("the agent said {:#?}", self.agent.stdout()))?;
        let blocks = self.blocks()?;
        let mut blocks = blocks.into_iter();
        let found = blocks.find(|block| block["prefix"] == who.to_string());
        found.context("the block is gone")
    }
}

/// The first data of Code Red, as its client sends it.
fn code_red(route: &Route) -> Vec<u8> {
    let frame = worms::code_red(route).build();
    frame[14 + 20 + 20..].to_vec()
}

#[test]
fn a_worm_over_a_real_handshake_gets_its_host_blocked_and_nobody_else() -> Result<()> {
    if !kernel_or_skip("a_worm_over_a_real_handshake_gets_its_host_blocked_and_nobody_else") {
        return Ok(());
    }
    let ground = Ground::new("signature.policy = 'block'", &["--enforce"])?;
    let gateway = &ground.lab.gateway;
    for (times, left_s) in [(1, 540..=600), (2, 1140..=1200)] {
        let (mut worm, _accepted) = ground.connect(WORM)?;
        worm.write_all(&code_red(&Ground::route(WORM)))?;
        let block = ground.wait_for_block(WORM)?;
        assert_eq!(block["reason"], "finding", "{block}");
        assert_eq!(block["signature"], "code-red", "{block}");
        assert_eq!(block["proof"], "confirmed", "{block}");
        assert_eq!(block["times"], times, "{block}");
        let left = block["left_s"].as_u64().context("no time left")?;
        assert!(left_s.contains(&left), "{block}");
        // Its kernel sends again what was dropped, and that is dropped for the block.
        wait_until("a packet that the block costs it", SOON, || {
            Ok(ground.blocks()?[0]["packets"].as_u64() > Some(0))
        })?;
        assert!(ground.is_cut_off(WORM)?, "it gets through");
        ground.connect(VICTIM)?;
        // As if it were over, so that it comes again.
        let expire = ["block", "add", &WORM.to_string(), "--for", "1s"];
        assert!(run(gateway, &expire)?.status.success());
        wait_until("the block to end", SOON, || {
            Ok(ground.blocked()?.is_empty())
        })?;
    }
    let list = ["block", "add", &WORM.to_string()];
    assert!(run(gateway, &list)?.status.success());
    assert!(
        run(gateway, &["block", "del", &WORM.to_string()])?
            .status
            .success()
    );
    ground.connect(WORM)?;
    let line =
        |line: &str| line.contains("code-red") && line.contains("confirmed by its handshake");
    ground.agent.wait_for_line(SOON, line)?;
    Ok(())
}

#[test]
fn who_forges_tcp_data_blindly_gets_nobody_blocked() -> Result<()> {
    const GUESSES: u32 = 20_000;
    if !kernel_or_skip("who_forges_tcp_data_blindly_gets_nobody_blocked") {
        return Ok(());
    }
    // Everything is reported, so that everything is asked for its proof.
    let config = "report_interval_ms = 1\nsignature.policy = 'block'";
    let ground = Ground::new(config, &["--enforce"])?;
    // A connection that stands, so that there is a number to guess; the forger knows everything else of it.
    let (victim, _accepted) = ground.connect(VICTIM)?;
    let port = victim.local_addr()?.port();
    let route = Ground::route(VICTIM);
    let forged = |acknowledged: u32| {
        let data = code_red(&route);
        let segment = route.ipv4().tcp(port, SERVER.1).flags(ACK).seq(1);
        segment.ack(acknowledged).payload(&data).build()
    };
    let sender = ground.lab.outside.sender(ETH0)?;
    let guess = |number: u32| number.wrapping_mul(0x9e37_79b9);
    sender.send_all((0..GUESSES).map(|number| forged(guess(number))))?;
    // And one after whose handshake, forged too, the server answers the victim.
    let opening = |port: u16| route.ipv4().tcp(port, SERVER.1).flags(SYN).build();
    sender.send(&opening(4321))?;
    wait_until("what was forged to be counted", SOON, || {
        let stats = json(&ground.lab.gateway, &["stats", "-o", "json"])?;
        Ok(stats["signatures"][0]["packets"].as_u64() >= Some(GUESSES.into()))
    })?;
    assert!(ground.blocked()?.is_empty(), "{:?}", ground.blocked()?);
    let lines = ground.agent.stdout();
    assert!(!lines.iter().any(|line| line.contains("confirmed")));
    // A SYN-ACK that somebody outside forged says nothing of a server inside.
    let number = 7_000_000;
    let accept = PacketBuilder::new()
        .ethernet(route.src_mac, route.dst_mac)
        .ipv4(VICTIM, HOST.ipv4)
        .tcp(SERVER.1, 5555)
        .flags(SYN | ACK)
        .seq(number);
    sender.send(&accept.build())?;
    let data = code_red(&route);
    let claims = route.ipv4().tcp(5555, SERVER.1).flags(ACK).ack(number + 1);
    sender.send(&claims.payload(&data).build())?;
    wait_until("the last to be counted", SOON, || {
        let stats = json(&ground.lab.gateway, &["stats", "-o", "json"])?;
        Ok(stats["signatures"][0]["packets"].as_u64() > Some(GUESSES.into()))
    })?;
    assert!(ground.blocked()?.is_empty());
    ground.connect(VICTIM)?;
    Ok(())
}

#[test]
fn without_proof_a_block_is_the_operators_risk_and_never_of_who_is_protected() -> Result<()> {
    if !kernel_or_skip("without_proof_a_block_is_the_operators_risk_and_never_of_who_is_protected")
    {
        return Ok(());
    }
    let config =
        "protected = ['198.51.100.77']\n[signature]\npolicy = 'block'\nblock_unproven = true";
    let ground = Ground::new(config, &["--enforce"])?;
    let warned =
        |line: &str| line.contains("warning: [signature] blocks on evidence that can be forged");
    ground.agent.wait_for_line(SOON, warned)?;
    // Known before the first packet may be dropped.
    let list = json(&ground.lab.gateway, &["protect", "list", "-o", "json"])?;
    let protected = list["protected"].as_array().context("no list")?;
    assert!(protected.iter().any(|one| one["why"] == "default_gateway"));
    let sender = ground.lab.outside.sender(ETH0)?;
    for source in [VICTIM, OUTSIDE.ipv4, WORM] {
        sender.send(&worms::slammer(&Ground::route(source)).build())?;
    }
    let block = ground.wait_for_block(WORM)?;
    assert_eq!(block["proof"], "spoofable");
    assert_eq!(ground.blocked()?, [WORM.to_string()]);
    let stats = json(&ground.lab.gateway, &["stats", "-o", "json"])?;
    assert_eq!(stats["table"]["protected_spared"], 2);
    Ok(())
}

#[test]
fn the_operator_blocks_and_protects_by_hand() -> Result<()> {
    if !kernel_or_skip("the_operator_blocks_and_protects_by_hand") {
        return Ok(());
    }
    let ground = Ground::new("", &["--enforce"])?;
    let gateway = &ground.lab.gateway;
    let does = |arguments: &[&str]| -> Result<()> {
        let output = run(gateway, arguments)?;
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        Ok(())
    };
    let refuses = |arguments: &[&str], words: &str| -> Result<()> {
        let (code, said) = refusal(gateway, arguments)?;
        assert_eq!(code, Some(1), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
        Ok(())
    };
    does(&[
        "block",
        "add",
        "198.51.100.64/28",
        "--for",
        "1h",
        "--note",
        "scans \u{1b}[2J us",
    ])?;
    assert!(ground.is_cut_off(VICTIM)?, "it gets through");
    let blocks = ground.blocks()?;
    assert_eq!(blocks[0]["prefix"], "198.51.100.64/28");
    assert_eq!(blocks[0]["note"], "scans \\u{1b}[2J us");
    assert!(blocks[0]["packets"].as_u64() > Some(0));
    let human = String::from_utf8(run(gateway, &["block", "list"])?.stdout)?;
    assert!(human.contains("operator: scans \\u{1b}[2J us"), "{human}");

    // Who is protected while blocked is released.
    does(&["protect", "add", &VICTIM.to_string()])?;
    assert!(ground.blocked()?.is_empty());
    ground.connect(VICTIM)?;
    refuses(
        &["block", "add", "198.51.100.0/24"],
        "198.51.100.77 is protected (operator)",
    )?;
    does(&["block", "add", "198.51.100.0/24", "--force"])?;
    assert!(ground.is_cut_off(VICTIM)?, "it gets through");
    assert_eq!(ground.blocks()?[0]["forced"], true);
    does(&["block", "del", "198.51.100.0/24"])?;
    refuses(&["block", "del", "198.51.100.0/24"], "is not blocked")?;
    does(&["protect", "del", &VICTIM.to_string()])?;
    refuses(&["protect", "del", &VICTIM.to_string()], "is not protected")?;

    refuses(
        &["protect", "del", &GATEWAY_WAN.ipv4.to_string()],
        "the machine depends on it (own_address)",
    )?;
    refuses(
        &["block", "add", &GATEWAY_WAN.ipv4.to_string()],
        "own_address",
    )?;
    refuses(&["block", "add", "0.0.0.0/0", "--force"], "too wide")?;
    let no_second = ["block", "add", "198.51.100.7", "--for", "500ms"];
    assert_eq!(run(gateway, &no_second)?.status.code(), Some(2));
    let (code, said) = refusal(gateway, &["confirm"])?;
    assert!(code == Some(1) && said.contains("nothing waits"), "{said}");
    Ok(())
}

#[test]
fn enforcement_that_nobody_confirms_ends_by_itself() -> Result<()> {
    if !kernel_or_skip("enforcement_that_nobody_confirms_ends_by_itself") {
        return Ok(());
    }
    let ground = Ground::new("", &["--enforce", "--confirm-timeout", "1s"])?;
    let mode = || -> Result<Value> {
        Ok(json(&ground.lab.gateway, &["status", "-o", "json"])?["mode"].clone())
    };
    wait_until("the agent to fall back", SOON, || Ok(mode()? == "monitor"))?;
    let (code, said) = refusal(&ground.lab.gateway, &["confirm"])?;
    assert!(
        code == Some(1) && said.contains("not confirmed in time"),
        "{said}"
    );
    // Truly: a blocked host gets through.
    assert!(
        run(&ground.lab.gateway, &["block", "add", &WORM.to_string()])?
            .status
            .success()
    );
    ground.connect(WORM)?;
    let block = &ground.blocks()?[0];
    assert!(block["packets"].as_u64() > Some(0), "{block}");
    Ok(())
}

#[test]
fn enforcement_that_is_confirmed_goes_on() -> Result<()> {
    if !kernel_or_skip("enforcement_that_is_confirmed_goes_on") {
        return Ok(());
    }
    let ground = Ground::new("", &["--enforce", "--confirm-timeout", "2s"])?;
    let status = || json(&ground.lab.gateway, &["status", "-o", "json"]);
    assert_eq!(status()?["unconfirmed"], true);
    assert!(run(&ground.lab.gateway, &["confirm"])?.status.success());
    assert_eq!(status()?["unconfirmed"], false);
    let confirmed = |line: &str| line.contains("confirmed: what policy says is dropped");
    ground.agent.wait_for_line(SOON, confirmed)?;
    // Longer than it would have waited.
    thread::sleep(Duration::from_secs(3));
    assert_eq!(status()?["mode"], "enforce");
    Ok(())
}

/// Each packet is one of a scan, which is dropped, and one that a rule alerts on, whose detector blocks without proof.
#[test]
fn a_rule_that_alerts_blocks_nobody_for_what_another_detector_drops() -> Result<()> {
    if !kernel_or_skip("a_rule_that_alerts_blocks_nobody_for_what_another_detector_drops") {
        return Ok(());
    }
    let folder = TempDir::new()?;
    let rules = folder.path().join("alert.rules");
    let rule = "alert tcp any any -> any 445 (msg:\"first\"; flags:S; sid:1000001;)\n";
    fs::write(&rules, rule)?;
    let config = format!(
        "report_interval_ms = 1\nsignature.policy = 'block'\nsignature.block_unproven = true\n\
         scan.policy = 'drop'\nscan.short = '2/60s'\nrules.worms = false\nrules.files = ['{}']",
        rules.display()
    );
    let ground = Ground::new(&config, &["--enforce"])?;
    let sender = ground.lab.outside.sender(ETH0)?;
    let route = Ground::route(WORM);
    let mut number = 0;
    let is_told = |line: &String| line.contains(": first ") && line.contains("drop (scan)");
    wait_until("a scan to be dropped and the rule to be told", SOON, || {
        number += 1;
        let victim = Ipv4Addr::from(u32::from(Ipv4Addr::new(203, 0, 113, 0)) + number % 250);
        let victim = Route {
            dst_ip: victim,
            ..route
        };
        let opening = victim.ipv4().tcp(40_000, 445).flags(SYN);
        sender.send(&opening.build())?;
        Ok(ground
            .agent
            .stdout()
            .iter()
            .filter(|line| is_told(line))
            .count()
            > 3)
    })
    .with_context(|| format!("the agent said {:#?}", ground.agent.stdout()))?;
    assert!(ground.blocked()?.is_empty(), "{:?}", ground.blocked()?);
    let stats = json(&ground.lab.gateway, &["stats", "-o", "json"])?;
    assert_eq!(stats["signatures"][0]["dropped"], 0, "{stats}");
    Ok(())
}
