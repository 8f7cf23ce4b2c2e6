//! The way of a packet that tries a host, or shows that one answers: is its source looking for victims?

use bytemuck::{Pod, Zeroable};

use super::{Runtime, account, hand_on, unless_protected};
use crate::{
    config::Config,
    detect::{
        Detector,
        scan::{Noted, Rule},
    },
    event::{Event, Head, Reach, Target},
    net::{IpAddress, IpProtocol, MacAddress, TcpFlags, Vlan},
    packet::PacketBytes,
    parse::{Ip, Protocol, ethernet::Link, icmp::Icmp},
    proof::{Handshake, Proof},
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
    /// From the lowest: the outer and the inner VLAN (16 bits each), the length of the frame (32).
    frame: u64,
    /// From the lowest: the source port, the port (16 bits each), what the packet says of its source (a [`Standing`]), whether it
    /// tries its destination, and the protocol (8 each). Both an answer and a try can be in one datagram.
    segment: u64,
    /// The sequence number of TCP.
    sequence: u64,
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
            frame: u64::from(link.vlan.outer)
                | u64::from(link.vlan.inner) << 16
                | (packet.wire_len() as u64) << 32,
            segment: u64::from(transport.source_port())
                | u64::from(transport.destination_port()) << 16
                | u64::from(standing) << 32
                | u64::from(tries) << 40
                | u64::from(protocol.0) << 48,
            sequence: transport.tcp().sequence.into(),
        })
    }

    #[inline(always)]
    fn vlan(&self) -> Vlan {
        Vlan {
            outer: self.frame as u16,
            inner: (self.frame >> 16) as u16,
        }
    }

    #[inline(always)]
    fn bytes(&self) -> u32 {
        (self.frame >> 32) as u32
    }

    #[inline(always)]
    fn source_port(&self) -> u16 {
        self.segment as u16
    }

    #[inline(always)]
    fn port(&self) -> u16 {
        (self.segment >> 16) as u16
    }

    #[inline(always)]
    fn standing(&self) -> u8 {
        (self.segment >> 32) as u8
    }

    #[inline(always)]
    fn tries(&self) -> bool {
        self.segment >> 40 & 1 == 1
    }

    #[inline(always)]
    fn protocol(&self) -> IpProtocol {
        IpProtocol((self.segment >> 48) as u8)
    }

    /// Whether it is a SYN-ACK.
    #[inline(always)]
    fn accepts(&self) -> bool {
        self.protocol() == IpProtocol::TCP && self.standing() == ANSWERS
    }

    #[inline(always)]
    fn detector<'c>(&self, config: &'c Config) -> (Detector, Reason, &'c Rule) {
        match self.protocol() {
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
    remember(contact, config, runtime);
    let (detector, reason, rule) = contact.detector(config);
    let response = config.response(detector);
    if !response.runs() {
        return passed;
    }
    // An answer is no try.
    if contact.standing() > 1 && answers(contact, config, runtime) {
        return passed;
    }
    if !contact.tries() {
        return passed;
    }

    let service = ServiceHash::new(
        contact.destination,
        contact.protocol(),
        contact.port(),
        config.hash_seed,
    );
    if contact.protocol() == IpProtocol::UDP {
        // A datagram may be one of many to a service that answers, of which nothing more is to be learnt.
        let word = runtime.service(service.slot()).unwrap_or(0);
        if Standing::of(word, service) == Standing::ANSWERS {
            return passed;
        }
    }
    let now_ns = contact.now_ns;
    let vlan = contact.vlan();
    let interface = runtime.interface();
    let key = SourceKey::of_scanner(detector, contact.port(), interface, vlan, contact.source);
    let near = [8, 16].map(|bits| contact.source.shares_v4(contact.destination, bits));
    let companion = Companion::mac(MacAddress::from_word(contact.source_mac));
    let mut noted = Noted {
        is_first: false,
        due: 0,
    };
    let mut scans = false;
    let _ = account(runtime, &key, config, now_ns, false, |source| {
        source.state.see(now_ns, contact.bytes().into(), companion);
        let scan = source.scan_mut();
        noted = scan.note(service, near, now_ns, rule);
        scans = scan.is_scan(rule);
    });
    if noted.is_first {
        let word = runtime.service(service.slot()).unwrap_or(0);
        let standing = Standing::of(word, service);
        if standing != Standing::ANSWERS && standing != Standing::ASKED {
            runtime.set_service(service.slot(), Standing::ASKED.word(service));
        }
    }
    if noted.due == 0 && !scans {
        return passed;
    }

    // What few packets need: one of a scan, and one that finds that a host should have answered.
    let due = ServiceHash::from_word(noted.due);
    let word = runtime.service(due.slot()).unwrap_or(0);
    let hash = key.hash(config.hash_seed);
    let set = key.set(hash, config.is_lan(interface));
    let source = runtime.source_set(set).and_then(|set| set.known(hash));
    let Some(source) = source else {
        return passed;
    };
    if noted.due != 0 {
        source.scan_mut().judge(Standing::of(word, due));
    }
    if !source.scan().is_scan(rule) {
        return passed;
    }
    let conforms = response.limits() && source.state.bucket.take(&rule.limit, now_ns);
    let decision = if conforms {
        Decision::pass(reason)
    } else {
        unless_protected(runtime, contact.source, response.decide(reason))
    };
    let source = runtime.source_set(set).and_then(|set| set.known(hash));
    let Some(source) = source else {
        return decision;
    };
    let objections = &mut source.state.objections;
    objections.flag(decision.verdict == Verdict::DROP);
    let count = objections.report(now_ns, config.report_interval_ns);
    let reach = Reach::of_scan(source.scan());
    hand_on(runtime, response, count != 0, || Event {
        head: Head::new(decision, contact.bytes()),
        at_ns: now_ns,
        key,
        companion,
        target: Target::of_contact(
            contact.destination,
            contact.source_port(),
            contact.port(),
            contact.protocol().0,
        ),
        count: count.max(1),
        reach,
        proof: Proof::SPOOFABLE,
    });
    decision
}

/// Keeps the number with which a server inside accepts a connection.
#[inline(always)]
fn remember<'t, P, R>(contact: &Contact, config: &Config, runtime: &mut R)
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    if contact.accepts() && config.is_lan(runtime.interface()) {
        let handshake = Handshake::new(
            contact.destination,
            contact.port(),
            contact.source_port(),
            config.hash_seed,
        );
        runtime.set_handshake(handshake.slot(), handshake.word(contact.sequence as u32));
    }
}

/// Takes note that the source speaks, and says whether it is an answer: whether somebody tried the service it speaks from.
#[inline(always)]
fn answers<'t, P, R>(contact: &Contact, config: &Config, runtime: &mut R) -> bool
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    let own = ServiceHash::new(
        contact.source,
        contact.protocol(),
        contact.source_port(),
        config.hash_seed,
    );
    let word = runtime.service(own.slot()).unwrap_or(0);
    let standing = Standing::of(word, own);
    let is_refusal = contact.standing() == REFUSES;
    // A connection may be reset that was accepted before.
    if is_refusal && standing == Standing::ASKED {
        runtime.set_service(own.slot(), Standing::REFUSES.word(own));
    } else if !is_refusal && standing != Standing::ANSWERS && standing != Standing::UNKNOWN {
        runtime.set_service(own.slot(), Standing::ANSWERS.word(own));
    }
    standing != Standing::UNKNOWN
}
