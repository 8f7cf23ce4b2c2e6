//! The receivers that filter in the kernel.

use anyhow::{Context as _, Result};
use aya::{Ebpf, EbpfLoader, programs::XdpMode};
use detector::agent::kernel::BENCH_OBJECT;
use detector_common::verdict::Verdict;
use detector_tests::{
    agent::Agent,
    lab::{ETH0, Host, Pair},
};
use serde_json::Value;

use super::{Kind, Receiver};
use crate::{
    programs::load,
    xdp_filter::{Features, XdpFilter},
};

/// The rule where every packet that got so far ends, whatever receiver let it pass.
pub(super) const SINK: &str = "counter drop comment \"sink\"";
/// 30 bytes at the start of a payload behind a TCP header without options: `GET /default.ida?NNNNNNNNNNNNN`.
const NFT_CODE_RED: &str = "tcp dport 80 @th,160,128 0x474554202f64656661756c742e696461 \
    @th,288,112 0x3f4e4e4e4e4e4e4e4e4e4e4e4e4e counter drop comment \"code-red\"";
const NFT_ARP: &str = "arp operation request limit rate over 15/second burst 30 packets \
    counter drop comment \"arp\"";
const CODE_RED: &str = "GET /default.ida?NNNNNNNNNNNNN";

/// Two hosts whose cable takes live frames, and a sink on the server.
pub(super) fn pair_with_sink(rules: &str) -> Result<Pair> {
    let pair = Pair::new()?;
    take_frames(&pair.server)?;
    install(&pair.server, ETH0, &format!("{rules}{SINK}"))?;
    Ok(pair)
}

/// Has the receiving end of a cable poll, as a card does: without a program it does so only where it joins segments (GRO).
pub(super) fn take_frames(host: &Host) -> Result<()> {
    host.output("ethtool", &["-K", ETH0, "gro", "on"]).map(drop)
}

/// Installs rules for everything that comes in by an interface, before the stack does anything with it.
pub(super) fn install(host: &Host, interface: &str, rules: &str) -> Result<()> {
    let table = format!(
        "table netdev bench {{\nchain ingress {{\n\
         type filter hook ingress device {interface} priority 0\n{rules}\n}}\n}}"
    );
    host.output("nft", &[&table]).map(drop)
}

/// The packets that a rule has counted, by its comment.
pub(super) fn counted(host: &Host, comment: &str) -> Result<u64> {
    let listed = host.output(
        "nft",
        &["--json", "list", "chain", "netdev", "bench", "ingress"],
    )?;
    let listed: Value = serde_json::from_str(&listed)?;
    let rules = listed["nftables"].as_array().into_iter().flatten();
    let mut rules = rules.map(|entry| &entry["rule"]);
    let rule = rules.find(|rule| rule["comment"] == comment);
    let expressions = rule.and_then(|rule| rule["expr"].as_array());
    let counter = expressions
        .into_iter()
        .flatten()
        .find_map(|expression| expression["counter"]["packets"].as_u64());
    counter.with_context(|| format!("nft lists no counter of {comment}"))
}

pub(super) fn sunk(host: &Host) -> Result<u64> {
    counted(host, "sink")
}

/// The empty programs, one on a host each.
struct Empty {
    drop: Pair,
    pass: Pair,
    /// Attached as long as they are loaded.
    _programs: [Ebpf; 2],
}

pub(super) fn empty() -> Result<Box<dyn Receiver>> {
    let (drop, pass) = (pair_with_sink("")?, pair_with_sink("")?);
    let programs = [
        attach(&drop.server, "floor_drop")?,
        attach(&pass.server, "floor_pass")?,
    ];
    Ok(Box::new(Empty {
        drop,
        pass,
        _programs: programs,
    }))
}

fn attach(host: &Host, name: &str) -> Result<Ebpf> {
    let mut object = EbpfLoader::new().load(BENCH_OBJECT)?;
    let program = load(&mut object, name)?;
    host.run(|| program.attach(ETH0, XdpMode::Driver).map(drop))??;
    Ok(object)
}

impl Receiver for Empty {
    fn pair(&self, kind: &Kind) -> &Pair {
        match kind.verdict {
            Verdict::DROP => &self.drop,
            _ => &self.pass,
        }
    }

    fn handled(&self, kind: &Kind) -> Result<u64> {
        match kind.verdict {
            Verdict::DROP => dropped_by_driver(&self.drop.server),
            _ => sunk(&self.pass.server),
        }
    }
}

/// The packets that a program had the driver drop, by the driver.
fn dropped_by_driver(host: &Host) -> Result<u64> {
    let statistics = host.output("ethtool", &["-S", ETH0])?;
    let drops = statistics.lines().filter_map(|line| {
        let (name, count) = line.trim().split_once(": ")?;
        name.ends_with("xdp_drops")
            .then(|| count.parse::<u64>().ok())?
    });
    Ok(drops.sum())
}

struct Detector {
    pair: &'static Pair,
    agent: Agent<'static>,
}

pub(super) fn detector() -> Result<Box<dyn Receiver>> {
    // The agent needs its host as long as it runs, which is until this program ends.
    let pair: &'static Pair = Box::leak(Box::new(pair_with_sink("")?));
    let agent = Agent::start(
        &pair.server,
        &["--wan", ETH0, "--enforce", "--mode", "native"],
    )?;
    Ok(Box::new(Detector { pair, agent }))
}

impl Receiver for Detector {
    fn pair(&self, _: &Kind) -> &Pair {
        self.pair
    }

    fn handled(&self, kind: &Kind) -> Result<u64> {
        match kind.verdict {
            Verdict::DROP => {
                let stats = self.agent.stats()?;
                Ok(stats.interfaces.iter().map(|each| each.verdicts.drop).sum())
            }
            _ => sunk(&self.pair.server),
        }
    }
}

pub(super) fn xdp_filter() -> Result<Box<dyn Receiver>> {
    let filter = XdpFilter::load(Features::All)?;
    take_frames(filter.host())?;
    install(filter.host(), ETH0, SINK)?;
    Ok(Box::new(filter))
}

impl Receiver for XdpFilter {
    fn pair(&self, _: &Kind) -> &Pair {
        &self.pair
    }

    fn handled(&self, kind: &Kind) -> Result<u64> {
        match kind.verdict {
            Verdict::DROP => self.dropped(),
            _ => sunk(self.host()),
        }
    }
}

struct Nftables(Pair);

pub(super) fn nftables() -> Result<Box<dyn Receiver>> {
    let pair = pair_with_sink(&format!("{NFT_CODE_RED}\n{NFT_ARP}\n"))?;
    Ok(Box::new(Nftables(pair)))
}

impl Receiver for Nftables {
    fn pair(&self, _: &Kind) -> &Pair {
        &self.0
    }

    fn handled(&self, kind: &Kind) -> Result<u64> {
        let rule = match kind.verdict {
            Verdict::PASS => "sink",
            Verdict::DROP if kind.name.starts_with("ARP") => "arp",
            _ => "code-red",
        };
        counted(&self.0.server, rule)
    }
}

struct Iptables(Pair);

pub(super) fn iptables() -> Result<Box<dyn Receiver>> {
    let pair = Pair::new()?;
    take_frames(&pair.server)?;
    let rule = |arguments: &[&str]| {
        let start = ["-t", "raw", "-A", "PREROUTING"];
        pair.server
            .output("iptables", &[&start, arguments].concat())
    };
    let http = [
        "-p", "tcp", "--dport", "80", "-m", "string", "--algo", "bm", "--string",
    ];
    rule(&[&http[..], &[CODE_RED, "-j", "DROP"]].concat())?;
    // Its sink: what comes by here has been past every sink on ingress.
    rule(&["-i", ETH0, "-j", "DROP"])?;
    Ok(Box::new(Iptables(pair)))
}

impl Receiver for Iptables {
    fn pair(&self, _: &Kind) -> &Pair {
        &self.0
    }

    /// The counters of the two rules, which stand in the order in which they were made.
    fn handled(&self, kind: &Kind) -> Result<u64> {
        let arguments = ["-t", "raw", "-L", "PREROUTING", "-v", "-x", "-n"];
        let listed = self.0.server.output("iptables", &arguments)?;
        let mut counts = listed
            .lines()
            .filter(|line| line.contains("DROP"))
            .map(|line| {
                let count = line.split_whitespace().next();
                count.and_then(|count| count.parse().ok())
            });
        let rule = match kind.verdict {
            Verdict::DROP => counts.next(),
            _ => counts.nth(1),
        };
        rule.flatten()
            .with_context(|| format!("iptables lists no such counter: {listed}"))
    }

    fn unable(&self, kind: &Kind) -> Option<&'static str> {
        let is_arp = kind.name.starts_with("ARP");
        is_arp.then_some("iptables sees no ARP")
    }
}
