//! The way of a packet that tries a host, or shows that one answers: is its source looking for victims?

mod judge;

pub use self::judge::judge;
use super::{Runtime, account, headers::Headers};
use crate::{
    config::Config,
    detect::{
        Detector,
        scan::{Noted, Rule},
    },
    net::TcpFlags,
    packet::PacketBytes,
    parse::{Protocol, Transport, icmp::Icmp},
    proof::Handshake,
    reason::Reason,
    services::{Sender, ServiceHash, Standing},
    sources::{Companion, SourceKey},
    verdict::Decision,
};

const SYN_OR_RST: u8 = TcpFlags::SYN.0 | TcpFlags::RST.0;

/// Whether a packet makes a contact.
#[inline(always)]
pub(super) fn is_made(headers: &Headers, transport: &Transport) -> bool {
    tries_or_shows(transport) && !headers.is_for_group()
}

/// Whether a packet tries a host or shows that one answers, as those of a TCP connection that stands do not.
#[inline(always)]
pub(super) fn tries_or_shows(transport: &Transport) -> bool {
    match transport.protocol {
        Protocol::Tcp => transport.tcp().flags.0 & SYN_OR_RST != 0,
        Protocol::Udp => true,
        Protocol::Icmp | Protocol::Icmpv6 => is_echo(transport.icmp()),
    }
}

/// What a packet says that makes a contact. A datagram may both try its destination and answer.
#[derive(Clone, Copy)]
struct Contact {
    tries: bool,
    answers: bool,
    refuses: bool,
}

impl Contact {
    #[inline(always)]
    fn of(transport: &Transport) -> Self {
        let none = Self {
            tries: false,
            answers: false,
            refuses: false,
        };
        match transport.protocol {
            Protocol::Tcp => {
                let flags = transport.tcp().flags;
                let refuses = flags.0 & TcpFlags::RST.0 != 0;
                Self {
                    tries: flags.is_opening(),
                    answers: flags.0 & TcpFlags::ACK.0 != 0 && !refuses,
                    refuses,
                }
            }
            Protocol::Udp => Self {
                tries: true,
                answers: true,
                ..none
            },
            Protocol::Icmp | Protocol::Icmpv6 => {
                let tries = is_request(transport.icmp());
                Self {
                    tries,
                    answers: !tries,
                    ..none
                }
            }
        }
    }
}

#[inline(always)]
fn is_request(icmp: Icmp) -> bool {
    icmp == Icmp::ECHO_REQUEST || icmp == Icmp::ECHO_REQUEST_V6
}

#[inline(always)]
fn is_echo(icmp: Icmp) -> bool {
    is_request(icmp) || icmp == Icmp::ECHO_REPLY || icmp == Icmp::ECHO_REPLY_V6
}

/// The detector of scans by a protocol, what it says, and what it calls a scan.
#[inline(always)]
#[must_use]
pub fn rule(protocol: Protocol, config: &Config) -> (Detector, Reason, &Rule) {
    match protocol {
        Protocol::Tcp => (Detector::Scan, Reason::Scan, &config.scan),
        Protocol::Udp => (Detector::UdpSweep, Reason::UdpSweep, &config.udp_sweep),
        Protocol::Icmp | Protocol::Icmpv6 => {
            (Detector::IcmpSweep, Reason::IcmpSweep, &config.icmp_sweep)
        }
    }
}

/// What becomes of a packet that makes a contact, as far as that goes.
#[inline(always)]
pub(super) fn decide<'t, P, R>(headers: &Headers, runtime: &mut R) -> Decision
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    let passed = Decision::pass(Reason::Clean);
    let config = runtime.config();
    let transport = &headers.transport();
    let contact = Contact::of(transport);
    if contact.answers {
        remember(headers, transport, config, runtime);
    }
    let (detector, _, rule) = rule(transport.protocol, config);
    let response = config.response(detector);
    if !response.runs() {
        return passed;
    }
    // An answer is no try.
    if contact.answers | contact.refuses && is_answer(headers, transport, contact, config, runtime)
    {
        return passed;
    }
    if !contact.tries {
        return passed;
    }

    let trial = Trial::new(headers, transport, config, runtime.interface());
    let (service, by_lan) = (trial.service, trial.by_lan);
    if transport.protocol == Protocol::Udp {
        // A datagram may be one of many to a service that answers, of which nothing more is to be learnt.
        if standing(service, by_lan, runtime) == Standing::ANSWERS {
            return passed;
        }
    }
    let now_ns = headers.now_ns;
    let near = [8, 16].map(|bits| headers.source.shares_v4(headers.destination, bits));
    let companion = Companion::mac(headers.source_mac());
    let mut noted = Noted {
        is_first: false,
        due: 0,
    };
    let mut scans = false;
    let _ = account(runtime, &trial.key, config, now_ns, false, |source| {
        source.state.see(now_ns, headers.bytes().into(), companion);
        let scan = source.scan_mut();
        noted = scan.note(service, near, now_ns, rule);
        scans = scan.is_scan(rule);
    });
    if noted.is_first {
        let standing = standing(service, by_lan, runtime);
        if standing != Standing::ANSWERS && standing != Standing::ASKED {
            let sender = sender(headers, runtime.interface());
            runtime.set_service(service.slot(by_lan), Standing::ASKED.word(service, sender));
        }
    }
    if noted.due == 0 && !scans {
        return passed;
    }
    runtime.judge(headers, noted.due)
}

/// A try of a host: what is tried, and by whom.
struct Trial {
    service: ServiceHash,
    /// Whether a host of ours tries.
    by_lan: bool,
    key: SourceKey,
}

impl Trial {
    #[inline(always)]
    fn new(headers: &Headers, transport: &Transport, config: &Config, interface: u8) -> Self {
        let port = transport.destination_port();
        let (detector, _, _) = rule(transport.protocol, config);
        Self {
            service: ServiceHash::new(
                headers.destination,
                transport.protocol.number(),
                port,
                config.hash_seed,
            ),
            by_lan: config.is_lan(interface),
            key: SourceKey::of_scanner(detector, port, interface, headers.vlan(), headers.source),
        }
    }
}

/// What is known of a service that hosts of ours ask, or others.
#[inline(always)]
fn standing<'t, P: PacketBytes, R: Runtime<'t, P>>(
    service: ServiceHash,
    by_lan: bool,
    runtime: &R,
) -> Standing {
    let word = runtime.service(service.slot(by_lan)).unwrap_or(0);
    Standing::of(word, service)
}

/// Who sent the packet, and where it came in.
#[inline(always)]
fn sender(headers: &Headers, interface: u8) -> Sender {
    Sender::new(headers.source_mac(), interface, headers.vlan())
}

/// Keeps the number with which a server inside accepts a connection.
#[inline(always)]
fn remember<'t, P, R>(headers: &Headers, transport: &Transport, config: &Config, runtime: &mut R)
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    if transport.protocol == Protocol::Tcp && config.is_lan(runtime.interface()) {
        let handshake = Handshake::new(
            headers.destination,
            transport.destination_port(),
            transport.source_port(),
            config.hash_seed,
        );
        let word = handshake.word(transport.tcp().sequence, headers.now_ns);
        runtime.set_handshake(handshake.slot(), word);
    }
}

/// Takes note that the source speaks, and says whether it is an answer: whether somebody tried the service it speaks from.
#[inline(always)]
fn is_answer<'t, P, R>(
    headers: &Headers,
    transport: &Transport,
    contact: Contact,
    config: &Config,
    runtime: &mut R,
) -> bool
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    let own = ServiceHash::new(
        headers.source,
        transport.protocol.number(),
        transport.source_port(),
        config.hash_seed,
    );
    let sender = sender(headers, runtime.interface());
    let mut known = 0;
    // Hosts of ours may have asked, and others.
    for by_lan in [true, false] {
        let slot = own.slot(by_lan);
        let word = runtime.service(slot).unwrap_or(0);
        let standing = if runtime.knows_senders() {
            Standing::of_answer(word, own, sender)
        } else {
            Standing::of(word, own)
        };
        known |= standing.number();
        let now = standing.after(contact.answers, contact.refuses);
        if now != standing {
            runtime.set_service(slot, now.instead(word));
        }
    }
    known != 0
}
