//! The way of a packet that tries a host, or shows that one answers: is its source looking for victims?

use super::{Runtime, account, hand_on, headers::Headers, unless_protected};
use crate::{
    config::Config,
    detect::{
        Detector,
        scan::{Noted, Rule},
    },
    event::{Event, Head, Reach},
    net::TcpFlags,
    packet::PacketBytes,
    parse::{Protocol, Transport, icmp::Icmp},
    proof::{Handshake, Proof},
    reason::Reason,
    services::{ServiceHash, Standing},
    sources::{Companion, SourceKey},
    verdict::{Decision, Verdict},
};

const SYN_OR_RST: u8 = TcpFlags::SYN.0 | TcpFlags::RST.0;

/// Whether a packet tries a host or shows that one answers, as those of a TCP connection that stands do not.
#[inline(always)]
pub(super) fn is_made(headers: &Headers, transport: &Transport) -> bool {
    let makes = match transport.protocol {
        Protocol::Tcp => transport.tcp().flags.0 & SYN_OR_RST != 0,
        Protocol::Udp => true,
        Protocol::Icmp | Protocol::Icmpv6 => is_echo(transport.icmp()),
    };
    makes && !headers.is_for_group()
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

#[inline(always)]
fn rule(protocol: Protocol, config: &Config) -> (Detector, Reason, &Rule) {
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
pub fn decide<'t, P, R>(headers: &Headers, runtime: &mut R) -> Decision
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    let passed = Decision::pass(Reason::Clean);
    let Some(config) = runtime.config() else {
        return Decision::pass(Reason::StateMissing);
    };
    let transport = &headers.transport();
    let contact = Contact::of(transport);
    if contact.answers {
        remember(headers, transport, config, runtime);
    }
    let (detector, reason, rule) = rule(transport.protocol, config);
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

    let service = ServiceHash::new(
        headers.destination,
        transport.protocol.number(),
        transport.destination_port(),
        config.hash_seed,
    );
    if transport.protocol == Protocol::Udp {
        // A datagram may be one of many to a service that answers, of which nothing more is to be learnt.
        if standing(service, runtime) == Standing::ANSWERS {
            return passed;
        }
    }
    let now_ns = headers.now_ns;
    let (vlan, port) = (headers.vlan(), transport.destination_port());
    let interface = runtime.interface();
    let key = SourceKey::of_scanner(detector, port, interface, vlan, headers.source);
    let near = [8, 16].map(|bits| headers.source.shares_v4(headers.destination, bits));
    let companion = Companion::mac(headers.source_mac());
    let mut noted = Noted {
        is_first: false,
        due: 0,
    };
    let mut scans = false;
    let _ = account(runtime, &key, config, now_ns, false, |source| {
        source.state.see(now_ns, headers.bytes().into(), companion);
        let scan = source.scan_mut();
        noted = scan.note(service, near, now_ns, rule);
        scans = scan.is_scan(rule);
    });
    if noted.is_first {
        let standing = standing(service, runtime);
        if standing != Standing::ANSWERS && standing != Standing::ASKED {
            runtime.set_service(service.slot(), Standing::ASKED.word(service));
        }
    }
    if noted.due == 0 && !scans {
        return passed;
    }

    // What few packets need: one of a scan, and one that finds that a host should have answered.
    let answers = standing(service, runtime) == Standing::ANSWERS;
    let due = standing(ServiceHash::from_word(noted.due), runtime);
    let hash = key.hash(config.hash_seed);
    let set = key.set(hash, config.is_lan(interface));
    let source = runtime.source_set(set).and_then(|set| set.known(hash));
    let Some(source) = source else {
        return passed;
    };
    if noted.due != 0 {
        source.scan_mut().judge(due);
    }
    // Who tries what answers harms nobody by it, and a scan can be forged: its victim keeps what it uses.
    if !source.scan().is_scan(rule) || answers {
        return passed;
    }
    let conforms = response.limits() && source.state.bucket.take(&rule.limit, now_ns);
    let decision = if conforms {
        Decision::pass(reason)
    } else {
        unless_protected(runtime, headers.source, response.decide(reason))
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
        head: Head::new(decision, headers.bytes()),
        at_ns: now_ns,
        key,
        companion,
        target: headers.target(),
        count: count.max(1),
        reach,
        proof: Proof::SPOOFABLE,
    });
    decision
}

/// What is known of a service.
#[inline(always)]
fn standing<'t, P: PacketBytes, R: Runtime<'t, P>>(service: ServiceHash, runtime: &R) -> Standing {
    let word = runtime.service(service.slot()).unwrap_or(0);
    Standing::of(word, service)
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
    let standing = standing(own, runtime);
    // A connection may be reset that was accepted before.
    if contact.refuses && standing == Standing::ASKED {
        runtime.set_service(own.slot(), Standing::REFUSES.word(own));
    } else if contact.answers && standing != Standing::ANSWERS && standing != Standing::UNKNOWN {
        runtime.set_service(own.slot(), Standing::ANSWERS.word(own));
    }
    standing != Standing::UNKNOWN
}
