//! Every packet is counted once and exactly, and only what policy says is dropped.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result};
use detector::output::Time;
use detector_tests::{
    agent::running::{SOON, attached, json, select, start, stats_after, sum},
    builder::{Arp, PacketBuilder},
    lab::{ETH0, LAN, Lab, Pair, WAN},
    requirements::kernel_or_skip,
    worms::{self, Route, benign},
};
use serde_json::{Value, json};

/// Asks for an address, again and again, in nobody else's name.
const FLOODER: [u8; 6] = [0x02, 0, 0, 0, 0xf1, 0x0d];
const FLOODER_IP: [u8; 4] = [203, 0, 113, 99];
/// How often.
const FLOOD: u64 = 100;
/// Requests that one sender may make at once.
const BURST: u64 = 30;

/// Packets and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sent {
    packets: u64,
    bytes: u64,
}

impl Sent {
    fn add(&mut self, frame: &[u8]) {
        self.packets += 1;
        self.bytes += frame.len() as u64;
    }

    fn of(counted: &Value) -> Self {
        Self {
            packets: counted["packets"].as_u64().unwrap_or_default(),
            bytes: counted["bytes"].as_u64().unwrap_or_default(),
        }
    }
}

/// Frames of all kinds, and what they are.
#[derive(Default)]
struct Mixture {
    frames: Vec<Vec<u8>>,
    all: Sent,
    clean: Sent,
    arp_replies: Sent,
    by_worm: BTreeMap<&'static str, Sent>,
    worms: Sent,
    flood: Sent,
}

impl Mixture {
    /// One of each worm's probes or several, ordinary traffic and its lookalikes, and an ARP flood.
    fn new(route: &Route) -> Self {
        let mut mixture = Self::default();
        for (times, worm) in (0..).map(|index| index % 3 + 1).zip(worms::all()) {
            for _ in 0..times {
                let frame = worm.frame(route);
                mixture.by_worm.entry(worm.name).or_default().add(&frame);
                mixture.worms.add(&frame);
                mixture.push(frame);
            }
        }
        let ordinary = benign::all(route).into_iter();
        for benign in ordinary.chain(benign::lookalikes(route)) {
            let frame = benign.packet.build();
            match benign.name {
                // A flood's worth of them comes below.
                "arp-request" => continue,
                "arp-reply" => mixture.arp_replies.add(&frame),
                _ => mixture.clean.add(&frame),
            }
            mixture.push(frame);
        }
        let request = Arp::request(FLOODER, FLOODER_IP, route.dst_ip);
        let frame = PacketBuilder::new().arp(request).pad_to(60).build();
        for _ in 0..FLOOD {
            mixture.flood.add(&frame);
            mixture.push(frame.clone());
        }
        mixture
    }

    fn push(&mut self, frame: Vec<u8>) {
        self.all.add(&frame);
        self.frames.push(frame);
    }

    /// Packets of the flood above the limit, by what was counted of it; a slow machine sends fewer at once.
    fn excess(&self, stats: &Value) -> u64 {
        let excess = sum_of(&select(&stats["counters"], &[("reason", "arp_flood")]));
        let within = sum_of(&select(&stats["counters"], &[("reason", "arp_request")]));
        assert_eq!(excess.packets + within.packets, self.flood.packets);
        assert_eq!(excess.bytes + within.bytes, self.flood.bytes);
        assert!((1..=FLOOD - BURST).contains(&excess.packets), "{excess:?}");
        excess.packets
    }

    /// Compares what was counted with what was sent, in every split there is.
    fn check(&self, stats: &Value, interface: &str, enforced: bool) {
        let excess = self.excess(stats);
        let objections = self.worms.packets + excess;
        let (drop, would_drop) = if enforced {
            (objections, 0)
        } else {
            (0, objections)
        };
        let seen = select(&stats["interfaces"], &[("name", interface)]);
        assert_eq!(Sent::of(seen[0]), self.all);
        assert_eq!(seen[0]["mode"], "native");
        assert_eq!(
            seen[0]["verdicts"],
            json!({ "pass": self.all.packets - drop, "drop": drop, "would_drop": would_drop })
        );

        let verdict = if enforced { "drop" } else { "would_drop" };
        for (reason, verdict, expected) in [
            ("signature", verdict, self.worms),
            ("clean", "pass", self.clean),
            ("arp_reply", "pass", self.arp_replies),
        ] {
            let fields = [
                ("interface", interface),
                ("reason", reason),
                ("verdict", verdict),
            ];
            let counted = sum_of(&select(&stats["counters"], &fields));
            assert_eq!(counted, expected, "{reason} {verdict}");
        }
        assert_eq!(
            sum(&stats["counters"], "packets"),
            self.all.packets,
            "no other reason"
        );

        for (name, expected) in &self.by_worm {
            let counted = select(&stats["signatures"], &[("name", name)]);
            assert_eq!(counted.len(), 1, "{name}");
            assert_eq!(Sent::of(counted[0]), *expected, "{name}");
            let dropped = if enforced { expected.packets } else { 0 };
            assert_eq!(counted[0]["dropped"], dropped, "{name}");
        }
        assert_eq!(sum(&stats["signatures"], "packets"), self.worms.packets);
    }

    /// Compares what is said of sources with who sent what.
    fn check_sources(&self, stats: &Value, route: &Route, enforced: bool) -> Result<()> {
        let source = json!({
            "mac": route.src_mac.map(|byte| format!("{byte:02x}")).join(":"),
            "ip": route.src_ip.to_string(),
            "vlan": [],
        });
        for (name, expected) in &self.by_worm {
            let found = select(&stats["sources"], &[("signature", name)]);
            assert_eq!(found.len(), 1, "{name}");
            assert_eq!(
                (&found[0]["source"], &found[0]["detector"]),
                (&source, &json!("signature"))
            );
            assert_eq!(Sent::of(found[0]), *expected, "{name}");
            assert_eq!(found[0]["flagged"], expected.packets, "{name}");
            let dropped = if enforced { expected.packets } else { 0 };
            assert_eq!(found[0]["dropped"], dropped, "{name}");
            let (first, last) = (time(&found[0]["first"])?, time(&found[0]["last"])?);
            let now = time(&stats["time"])?;
            assert!(first <= last && last <= now, "{found:?}");
            assert!(now - first < SOON.as_secs_f64(), "{found:?}");
        }
        let flooder = select(&stats["sources"], &[("detector", "arp_flood")]);
        assert_eq!(flooder.len(), 1, "only the flooder is flagged");
        assert_eq!(flooder[0]["source"]["mac"], "02:00:00:00:f1:0d");
        assert_eq!(Sent::of(flooder[0]), self.flood);
        assert_eq!(flooder[0]["flagged"], self.excess(stats));
        assert_eq!(stats["sources_left_out"], 0);
        Ok(())
    }
}

/// Seconds since 1970.
fn time(text: &Value) -> Result<f64> {
    let text = text.as_str().context("a time is a text")?;
    let time = Time::try_from(text.to_owned()).with_context(|| text.to_owned())?;
    Ok(Duration::from_nanos(time.0).as_secs_f64())
}

fn sum_of(counted: &[&Value]) -> Sent {
    counted.iter().fold(Sent::default(), |sum, counted| {
        let one = Sent::of(counted);
        Sent {
            packets: sum.packets + one.packets,
            bytes: sum.bytes + one.bytes,
        }
    })
}

/// Sends the mixture to an agent that monitors or enforces; compares what it counted, and what arrived behind it.
fn counts_are_exact(enforced: bool) -> Result<()> {
    let pair = Pair::new()?;
    let route = Pair::route();
    let mixture = Mixture::new(&route);
    let mut arguments = vec!["--wan", ETH0];
    arguments.extend(enforced.then_some("--enforce"));
    let mut agent = start(&pair.server, &arguments)?;
    assert!(matches!(attached(&pair.server, ETH0)?, Some((_, "native"))));

    let behind = pair.server.receiver(ETH0)?;
    let sender = pair.client.sender(ETH0)?;
    sender.send_all(&mixture.frames)?;
    let stats = stats_after(&pair.server, mixture.all.packets)?;
    mixture.check(&stats, ETH0, enforced);
    mixture.check_sources(&stats, &route, enforced)?;
    assert_eq!(stats["events"]["lost"], 0);
    assert_eq!(stats["events"]["not_understood"], 0);

    let last = benign::ping(&route, 777).build();
    sender.send(&last)?;
    let arrived = behind.count_before(SOON, |frame| frame == last, |_| true)? as u64;
    let dropped = stats["interfaces"][0]["verdicts"]["drop"].as_u64();
    assert_eq!(Some(mixture.all.packets - arrived), dropped);

    assert_eq!(agent.stop(SOON)?.code(), Some(0));
    let summary = format!("{} packets seen", mixture.all.packets + 1);
    agent.wait_for_line(SOON, |line| line.contains(&summary))?;
    Ok(())
}

#[test]
fn monitoring_counts_exactly_and_passes_everything() -> Result<()> {
    if !kernel_or_skip("monitoring_counts_exactly_and_passes_everything") {
        return Ok(());
    }
    counts_are_exact(false)
}

#[test]
fn enforcing_counts_exactly_drops_worms_and_excess_and_passes_the_rest() -> Result<()> {
    if !kernel_or_skip("enforcing_counts_exactly_drops_worms_and_excess_and_passes_the_rest") {
        return Ok(());
    }
    counts_are_exact(true)
}

#[test]
fn each_interface_of_a_gateway_has_counts_and_a_side_of_its_own() -> Result<()> {
    if !kernel_or_skip("each_interface_of_a_gateway_has_counts_and_a_side_of_its_own") {
        return Ok(());
    }
    let lab = Lab::new()?;
    let _agent = start(&lab.gateway, &["--wan", WAN, "--lan", LAN])?;
    // Of a stranger: the next hop itself is the gateway's default gateway, and protected.
    let inbound = Route {
        src_ip: [203, 0, 113, 66].into(),
        ..Lab::inbound()
    };
    let inbound = worms::slammer(&inbound).build();
    let outbound = worms::welchia_ping(&Lab::outbound()).build();
    lab.outside.sender(ETH0)?.send_all(vec![&inbound; 5])?;
    lab.infected.sender(ETH0)?.send_all(vec![&outbound; 7])?;
    let stats = stats_after(&lab.gateway, 12)?;
    for (interface, side, name, packets) in [
        (WAN, "wan", "sql-slammer", 5),
        (LAN, "lan", "welchia-ping", 7),
    ] {
        let fields = [
            ("interface", interface),
            ("side", side),
            ("signature", name),
        ];
        let sources = select(&stats["sources"], &fields);
        assert_eq!(sources.len(), 1, "{stats:#}");
        assert_eq!(sources[0]["flagged"], packets);
        let fields = [
            ("interface", interface),
            ("reason", "signature"),
            ("verdict", "would_drop"),
        ];
        assert_eq!(select(&stats["counters"], &fields)[0]["packets"], packets);
    }
    assert_eq!(stats["sources"][0]["flagged"], 7, "the worst comes first");
    Ok(())
}

#[test]
fn what_the_cpus_counted_adds_up() -> Result<()> {
    if !kernel_or_skip("what_the_cpus_counted_adds_up") {
        return Ok(());
    }
    let pair = Pair::new()?;
    let _agent = start(&pair.server, &["--wan", ETH0])?;
    let frame = worms::slammer(&Pair::route()).build();
    pair.client.sender(ETH0)?.send_all(vec![&frame; 50])?;
    let without = stats_after(&pair.server, 50)?;
    assert!(without["counters"][0].get("per_cpu").is_none());
    let stats = json(&pair.server, &["stats", "-o", "json", "--per-cpu"])?;
    for list in ["counters", "signatures"] {
        let whole = &stats[list][0];
        assert_eq!(Sent::of(whole).packets, 50);
        for field in ["packets", "bytes"] {
            assert_eq!(
                whole[field],
                sum(&whole["per_cpu"], field),
                "{list} {field}"
            );
        }
    }
    Ok(())
}
