//! A finding as people and machines read it: one line for each report of the kernel.

use std::{
    borrow::Cow,
    fmt,
    net::{IpAddr, Ipv6Addr},
};

use detector_common::{
    detect::Detector,
    event::Event,
    neighbour::Family,
    net::{IpAddress, IpProtocol, MacAddress},
    proof::Proof,
    reason::Reason,
};
use serde::Serialize;

use super::{
    interface::{Interface, Side},
    offenders::is_infection,
};
use crate::{
    output::{Identity, SCHEMA_VERSION, Time, Tried, speaks_for_several, targets},
    rules::Book,
};

/// One line of `detector run -o jsonl`: a source did something that a detector objects to. Its keys are stable.
///
/// A source is reported under one detector at most once in `report_interval_ms`; `count` says how many packets it stands for, and
/// `target` whom the last of them was for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The version of this object.
    pub schema_version: u32,
    /// Always `finding`.
    pub event: &'static str,
    /// When the last of the packets came.
    pub time: Time,
    /// The interface it came in by.
    pub interface: String,
    /// Which way that faces. What comes in on a `lan` side was sent by a host of ours.
    pub side: Side,
    /// `detector`, `signature`, `id`, `severity` and `source`.
    #[serde(flatten)]
    pub identity: Identity,
    /// Whom it was for.
    pub target: Target,
    /// Different addresses that a sweep by ARP or neighbour discovery asked for, or hosts that a scan tried, about; `null` for another detector.
    pub targets: Option<u32>,
    /// What became of the hosts that a scan tried; `null` for another detector.
    pub tried: Option<Tried>,
    /// Whether an ARP sender is a gateway, or speaks for several networks as one does: then somebody behind it makes it ask.
    pub relayed_by_gateway: bool,
    /// Packets that this line stands for.
    pub count: u64,
    /// How sure it is that the source is who it says: `spoofable` or `confirmed`.
    pub proof: &'static str,
    /// What became of the last one: `pass`, `drop`, or `would_drop` where the agent only monitors.
    pub verdict: &'static str,
    /// Why.
    pub reason: &'static str,
    /// Whether the agent decided it, of a rule that is partial: the packet has long gone its way then.
    pub decided_in_agent: bool,
}

/// Whom a packet was for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Target {
    /// Its address; of a message of ARP or of neighbour discovery, the address asked for, claimed or told of; `null` of a scan that only all
    /// CPUs together show, whose packets were for many.
    pub ip: Option<IpAddr>,
    /// Its port; `null` where there are none.
    pub port: Option<u16>,
    /// The port the packet came from; `null` where there are none.
    pub source_port: Option<u16>,
    /// `arp`, `nd` (neighbour discovery), `tcp`, `udp`, `icmp`, `icmpv6`, or a protocol's number.
    pub protocol: Cow<'static, str>,
}

impl Finding {
    /// What an event tells of; `None` if it cannot be one of ours: it names an interface that is not guarded, say.
    pub fn of(
        event: &Event,
        interface_in: impl Fn(u8) -> Option<Interface>,
        is_gateway: impl Fn(MacAddress) -> bool,
        to_unix_ns: impl Fn(u64) -> u64,
        book: &Book,
    ) -> Option<Self> {
        let interface = interface_in(event.key.interface())?;
        Some(Self {
            schema_version: SCHEMA_VERSION,
            event: "finding",
            time: Time(to_unix_ns(event.at_ns)),
            interface: interface.name,
            side: interface.side,
            identity: Identity::of(&event.key, event.companion, book)?,
            target: Target::of(event),
            targets: targets(event.key.detector(), event.reach),
            tried: Tried::of(event.key.detector(), event.reach),
            relayed_by_gateway: speaks_for_several(event.reach)
                || event.key.mac().is_some_and(is_gateway),
            count: event.count,
            proof: event.proof.name(),
            verdict: event.verdict().name(),
            reason: event.reason()?.name(),
            decided_in_agent: false,
        })
    }

    /// The same, as the agent decided it.
    #[must_use]
    pub(super) fn decided_in_agent(self) -> Self {
        Self {
            decided_in_agent: true,
            ..self
        }
    }

    /// Whether it means that a host of ours has a worm.
    #[must_use]
    pub fn is_infection_of_ours(&self) -> bool {
        self.side == Side::Lan && is_infection(&self.identity.detector)
    }

    /// What a message of ARP or of neighbour discovery does with the address it is about; `None` of another packet.
    fn done_with_address(&self) -> Option<&'static str> {
        let is = |reason: Reason| self.reason == reason.name();
        let claims = [Detector::ArpSpoof, Detector::NdSpoof]
            .iter()
            .any(|spoof| self.identity.detector == spoof.name());
        self.target.is_neighbours().then_some(if claims {
            "claiming"
        } else if is(Reason::ArpReplyFlood) || is(Reason::NdAdvertisementFlood) {
            "telling of"
        } else {
            "asking for"
        })
    }
}

impl Target {
    fn who(&self) -> &dyn fmt::Display {
        match &self.ip {
            Some(ip) => ip,
            None => &"one host after the other",
        }
    }

    /// Whether it was a message of ARP or of neighbour discovery.
    fn is_neighbours(&self) -> bool {
        self.protocol == "arp" || self.protocol == "nd"
    }

    fn of(event: &Event) -> Self {
        let target = &event.target;
        let protocol = match IpProtocol(target.protocol) {
            _ if event.key.family() == Family::ND => "nd".into(),
            IpProtocol(0) => "arp".into(),
            IpProtocol::TCP => "tcp".into(),
            IpProtocol::UDP => "udp".into(),
            IpProtocol::ICMP => "icmp".into(),
            IpProtocol::ICMPV6 => "icmpv6".into(),
            IpProtocol(number) => number.to_string().into(),
        };
        // What the agent finds has no packet, see `scans.rs`; to `::` no host sends.
        let is_many = event.key.is_scanner() && target.address == IpAddress::default();
        let port = |port| (protocol == "tcp" || protocol == "udp").then_some(port);
        Self {
            ip: (!is_many).then(|| Ipv6Addr::from(target.address.octets()).to_canonical()),
            port: port(target.port),
            source_port: port(target.source_port).filter(|port| *port != 0),
            protocol,
        }
    }
}

/// A line for people.
impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} ({}): ", self.time, self.interface, self.side)?;
        if self.is_infection_of_ours() {
            out.write_str("a host of ours is infected: ")?;
        }
        out.write_str(self.identity.name())?;
        if let Some(severity) = &self.identity.severity {
            write!(out, " [{severity}]")?;
        }
        let source = &self.identity.source;
        out.write_str(" from ")?;
        match (&source.ip, &source.mac) {
            (Some(ip), Some(mac)) => write!(out, "{ip} ({mac})")?,
            (Some(ip), None) => write!(out, "{ip}")?,
            (None, Some(mac)) => write!(out, "{mac}")?,
            (None, None) => out.write_str("many senders")?,
        }
        for vlan in &source.vlan {
            write!(out, " vlan {vlan}")?;
        }
        match self.done_with_address() {
            Some(done) => write!(out, " {done} {}, ", self.target.who())?,
            None => write!(out, " {}, ", self.target)?,
        }
        match (self.targets, self.tried) {
            (Some(targets), Some(tried)) => write!(out, "about {targets} hosts, {tried}, ")?,
            (Some(targets), None) => {
                write!(out, "about {targets} addresses that do not answer, ")?;
            }
            (None, _) => {}
        }
        if self.relayed_by_gateway {
            out.write_str("relayed by the gateway, ")?;
        } else if self.target.is_neighbours() && source.mac.is_some() {
            out.write_str("by this host itself, ")?;
        }
        match self.count {
            1 => out.write_str("1 packet")?,
            count => write!(out, "{count} packets")?,
        }
        if self.proof == Proof::CONFIRMED.name() {
            out.write_str(", confirmed by its handshake")?;
        }
        write!(out, ", {} ({})", self.verdict, self.reason)?;
        if self.decided_in_agent {
            out.write_str(", decided in the agent")?;
        }
        Ok(())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ip, protocol) = (self.who(), &self.protocol);
        match self.port {
            Some(port) => write!(out, "to {ip} {protocol}/{port}"),
            None => write!(out, "to {ip} {protocol}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use detector_common::{
        event::{Head, Reach, Target as EventTarget},
        net::Vlan,
        sources::{Companion, SourceKey},
        verdict::{Decision, Verdict},
    };

    use super::*;

    const MAC: MacAddress = MacAddress::new([2, 0, 0, 0, 0, 9]);
    const GATEWAY: MacAddress = MacAddress::new([2, 0, 0, 0, 0, 1]);

    fn flood(interface: u8) -> Event {
        let vlan = Vlan { outer: 7, inner: 0 };
        let decision = Decision {
            reason: Reason::ArpFlood,
            verdict: Verdict::DROP,
        };
        Event {
            head: Head::new(decision, 60),
            at_ns: 5_000,
            key: SourceKey::of_sender(interface, vlan, MAC),
            companion: Companion::ip(IpAddress::v4([192, 0, 2, 9])),
            target: EventTarget::of_arp(IpAddress::v4([192, 0, 2, 1])),
            count: 12,
            reach: Reach::default(),
            proof: Proof::SPOOFABLE,
        }
    }

    fn worm() -> Event {
        let mut target = EventTarget::of_arp(IpAddress::v4([198, 51, 100, 1]));
        target.source_port = 1024;
        target.port = 1434;
        target.protocol = IpProtocol::UDP.0;
        Event {
            head: Head::new(Decision::pass(Reason::Signature), 418),
            key: SourceKey::of_host(40, 0, Vlan::default(), IpAddress::v4([192, 0, 2, 66])),
            companion: Companion::mac(MAC),
            target,
            count: 1,
            ..flood(0)
        }
    }

    fn finding(event: &Event, side: Side) -> Option<Finding> {
        let interface = Interface {
            name: "eth0".to_owned(),
            index: 2,
            side,
        };
        let interface_in = |slot| (slot == 0).then(|| interface.clone());
        let is_gateway = |mac| mac == GATEWAY;
        let book = Book::of(&crate::rules::worms().rules, &Book::default());
        let to_unix_ns = |kernel_ns| kernel_ns + 1_000;
        Finding::of(event, interface_in, is_gateway, to_unix_ns, &book)
    }

    #[test]
    fn a_worm_from_the_local_network_is_an_infected_host_of_ours() {
        let line = |side| finding(&worm(), side).map(|finding| finding.to_string());
        assert_eq!(
            line(Side::Lan).as_deref(),
            Some(
                "1970-01-01T00:00:00.000006Z eth0 (lan): a host of ours is infected: sql-slammer [high] \
                 from 192.0.2.66 (02:00:00:00:00:09) to 198.51.100.1 udp/1434, 1 packet, pass (signature)"
            )
        );
        let wan = line(Side::Wan).unwrap_or_default();
        assert!(
            !wan.contains("ours") && wan.contains("sql-slammer"),
            "{wan}"
        );
    }

    #[test]
    fn a_spoof_claims_an_address_and_a_flood_of_replies_tells_of_one() {
        let line = |event: &Event| finding(event, Side::Wan).unwrap().to_string();
        let mut spoof = flood(0);
        spoof.key = spoof.key.under(Detector::ArpSpoof);
        assert!(line(&spoof).contains(" claiming 192.0.2.1, "));
        let decision = Decision::pass(Reason::ArpReplyFlood);
        let replies = Event {
            head: Head::new(decision, 60),
            ..flood(0)
        };
        assert!(line(&replies).contains(" telling of 192.0.2.1, "));
    }

    #[test]
    fn a_flood_asks_for_addresses_and_is_no_infection() {
        assert_eq!(
            finding(&flood(0), Side::Lan)
                .map(|finding| finding.to_string())
                .as_deref(),
            Some(
                "1970-01-01T00:00:00.000006Z eth0 (lan): arp_flood from 192.0.2.9 (02:00:00:00:00:09) vlan 7 \
                 asking for 192.0.2.1, by this host itself, 12 packets, drop (arp_flood)"
            )
        );
    }

    #[test]
    fn tries_of_many_hosts_name_none_of_them() {
        for (protocol, port, name) in [
            (IpProtocol::TCP, 23, "tcp/23"),
            (IpProtocol::ICMPV6, 0, "icmpv6"),
        ] {
            let event = Event {
                key: SourceKey::of_scanner(
                    Detector::Scan,
                    port,
                    0,
                    Vlan::default(),
                    IpAddress::v4([192, 0, 2, 66]),
                ),
                target: EventTarget::new(IpAddress::default(), 0, port, protocol.0),
                ..worm()
            };
            let finding = finding(&event, Side::Wan).unwrap();
            let line = finding.to_string();
            let to = format!("to one host after the other {name}, ");
            assert!(line.contains(&to), "{line}");
            assert_eq!(
                (finding.target.ip, finding.target.source_port),
                (None, None)
            );
        }
    }

    #[test]
    fn what_a_gateway_asks_is_relayed_whether_it_is_known_or_speaks_for_several_networks() {
        let relayed = |event: &Event| {
            let finding = finding(event, Side::Wan).unwrap();
            assert_eq!(
                finding.relayed_by_gateway,
                finding.to_string().contains("relayed by the gateway")
            );
            finding.relayed_by_gateway
        };
        assert!(!relayed(&flood(0)));
        let mut several = flood(0);
        several.reach.networks = 0b11;
        assert!(relayed(&several));
        let known = Event {
            key: SourceKey::of_sender(0, Vlan::default(), GATEWAY),
            ..flood(0)
        };
        assert!(relayed(&known));
    }

    #[test]
    fn the_json_of_a_finding_has_these_keys() {
        assert_eq!(
            serde_json::to_value(finding(&worm(), Side::Wan)).unwrap_or_default(),
            serde_json::json!({
                "schema_version": 1, "event": "finding", "time": "1970-01-01T00:00:00.000006Z",
                "interface": "eth0", "side": "wan",
                "detector": "signature", "signature": "sql-slammer", "id": 40, "severity": "high",
                "source": { "mac": "02:00:00:00:00:09", "ip": "192.0.2.66", "vlan": [] },
                "target": { "ip": "198.51.100.1", "port": 1434, "source_port": 1024, "protocol": "udp" },
                "targets": null, "tried": null, "relayed_by_gateway": false, "count": 1, "proof": "spoofable", "verdict": "pass", "reason": "signature",
                "decided_in_agent": false,
            })
        );
    }

    #[test]
    fn an_event_of_an_interface_that_is_not_guarded_is_none_of_ours() {
        assert_eq!(finding(&flood(3), Side::Lan), None);
    }
}
