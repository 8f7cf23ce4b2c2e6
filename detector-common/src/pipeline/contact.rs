//! The way of a packet that tries a host, or shows that one answers: is its source looking for victims?

use bytemuck::{Pod, Zeroable};

use super::{Runtime, account, hand_on};
use crate::{
    config::Config,
    detect::{
        Detector,
        scan::{Rule, Try},
    },
    event::{Event, Head, Reach, Target},
    net::{IpAddress, IpProtocol, MacAddress, TcpFlags, Vlan},
    packet::PacketBytes,
    parse::{Ip, Protocol, ethernet::Link, icmp::Icmp},
    reason::Reason,
    services::{ServiceHash, Standing},
    sources::{Companion, SourceKey},
    verdict::{Decision, Verdict},
};

/// A packet that tries a host or shows that one answers, with all that its way needs.
///
/// VERIFIER: words only, so that the kernel can hand it to a function of its own, see [`Runtime::decide_contact`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Contact {
    source: IpAddress,
    destination: IpAddress,
    source_mac: u64,
    /// When it came, in nanoseconds of the runtime's clock.
    now_ns: u64,
    vlan: [u16; 2],
    /// The length of the frame.
    bytes: u32,
    source_port: u16,
    port: u16,
    /// What the packet says of its source, a [`Standing`]; of ICMP and UDP, both an answer and a try can be in one.
    standing: u8,
    /// Whether it tries its destination.
    tries: u8,
    protocol: u8,
    reserved: u8,
}

const ANSWERS: u8 = 2;
const REFUSES: u8 = 3;

impl Contact {
    /// The contact that a packet makes; `None` of one that makes none, as those of a TCP connection that stands do.
    #[inline(always)]
    pub(super) fn of<P: PacketBytes>(
        packet: &P,
        link: &Link,
        ip: &Ip,
        now_ns: impl FnOnce() -> u64,
    ) -> Option<Self> {
        if link.destination.is_group() {
            return None;
        }
        let transport = &ip.transport;
        let (protocol, tries, standing) = match transport.protocol {
            Protocol::Tcp => {
                let flags = transport.tcp().flags;
                if flags.0 & (TcpFlags::SYN.0 | TcpFlags::RST.0) == 0 {
                    return None;
                }
                let standing = if flags.0 & TcpFlags::RST.0 != 0 {
                    REFUSES
                } else {
                    // Of a first packet this is never looked at, for it has no ACK.
                    (flags.0 & TcpFlags::ACK.0) >> 3
                };
                (IpProtocol::TCP, u8::from(flags.is_opening()), standing)
            }
            Protocol::Udp => (IpProtocol::UDP, 1, ANSWERS),
            Protocol::Icmp | Protocol::Icmpv6 => {
                let icmp = transport.icmp();
                let tries = icmp == Icmp::ECHO_REQUEST || icmp == Icmp::ECHO_REQUEST_V6;
                if !tries && icmp != Icmp::ECHO_REPLY && icmp != Icmp::ECHO_REPLY_V6 {
                    return None;
                }
                let standing = if tries { 0 } else { ANSWERS };
                (IpProtocol::ICMP, u8::from(tries), standing)
            }
        };
        Some(Self {
            source: ip.source,
            destination: ip.destination,
            source_mac: link.source.to_word(),
            now_ns: now_ns(),
            vlan: [link.vlan.outer, link.vlan.inner],
            bytes: packet.wire_len() as u32,
            source_port: transport.source_port(),
            port: transport.destination_port(),
            standing,
            tries,
            protocol: protocol.0,
            reserved: 0,
        })
    }

    #[inline(always)]
    fn detector<'c>(&self, config: &'c Config) -> (Detector, Reason, &'c Rule) {
        match IpProtocol(self.protocol) {
            IpProtocol::TCP => (Detector::Scan, Reason::Scan, &config.scan),
            IpProtocol::UDP => (Detector::UdpSweep, Reason::UdpSweep, &config.udp_sweep),
            _ => (Detector::IcmpSweep, Reason::IcmpSweep, &config.icmp_sweep),
        }
    }
}

/// What becomes of a packet that makes a contact, as far as that goes.
#[inline(always)]
pub fn decide<'t, P, R>(contact: &Contact, runtime: &mut R) -> Decision
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    let passed = Decision::pass(Reason::Clean);
    let Some(config) = runtime.config() else {
        return Decision::pass(Reason::StateMissing);
    };
    let (detector, reason, rule) = contact.detector(config);
    let response = config.response(detector);
    if !response.runs() {
        return passed;
    }
    let protocol = IpProtocol(contact.protocol);
    if contact.standing > 1 {
        // Whoever speaks is there; but only of a service that somebody tried is note taken.
        let own = ServiceHash::new(
            contact.source,
            protocol,
            contact.source_port,
            config.hash_seed,
        );
        let word = runtime.service(own.slot()).unwrap_or(0);
        let standing = Standing::of(word, own);
        if standing != Standing::UNKNOWN {
            let is_refusal = contact.standing == REFUSES;
            // A connection may be reset that was accepted before.
            if !is_refusal && standing != Standing::ANSWERS {
                runtime.set_service(own.slot(), Standing::ANSWERS.word(own));
            } else if is_refusal && standing == Standing::ASKED {
                runtime.set_service(own.slot(), Standing::REFUSES.word(own));
            }
            // An answer is no try.
            return passed;
        }
    }
    if contact.tries == 0 {
        return passed;
    }

    let service = ServiceHash::new(
        contact.destination,
        protocol,
        contact.port,
        config.hash_seed,
    );
    let standing = Standing::of(runtime.service(service.slot()).unwrap_or(0), service);
    if standing != Standing::ANSWERS && standing != Standing::ASKED {
        runtime.set_service(service.slot(), Standing::ASKED.word(service));
    }
    let now_ns = contact.now_ns;
    let [outer, inner] = contact.vlan;
    let vlan = Vlan { outer, inner };
    let interface = runtime.interface();
    let key = SourceKey::of_scanner(detector, contact.port, interface, vlan, contact.source);
    let hash = key.hash(config.hash_seed);
    let set = key.set(hash, config.is_lan(interface));
    let due = runtime
        .source_set(set)
        .and_then(|set| set.known(hash))
        .map_or(0, |source| source.scan().due(now_ns, rule));
    let due = ServiceHash::from_word(due);
    let word = runtime.service(due.slot()).unwrap_or(0);
    let tried = Try {
        service,
        standing,
        due: Standing::of(word, due),
        in_own_8: contact.source.shares_v4(contact.destination, 8),
        in_own_16: contact.source.shares_v4(contact.destination, 16),
        now_ns,
    };
    let companion = Companion::mac(MacAddress::from_word(contact.source_mac));
    let decision = response.decide(reason);
    let bytes = u64::from(contact.bytes);
    let mut scans = false;
    let mut reach = Reach::default();
    let count = account(runtime, &key, config, now_ns, false, |source| {
        source.state.see(now_ns, bytes, companion);
        let scan = source.scan_mut();
        scans = scan.note(&tried, rule);
        reach = Reach::of_scan(scan);
        if scans {
            let objections = &mut source.state.objections;
            objections.flag(decision.verdict == Verdict::Drop);
            objections.report(now_ns, config.report_interval_ns)
        } else {
            0
        }
    });
    if !scans {
        return passed;
    }
    let count = count.unwrap_or(0);
    hand_on(runtime, response, count != 0, || Event {
        head: Head::new(decision, contact.bytes),
        at_ns: now_ns,
        key,
        companion,
        target: Target::of_contact(
            contact.destination,
            contact.source_port,
            contact.port,
            contact.protocol,
        ),
        count: count.max(1),
        reach,
    });
    decision
}
