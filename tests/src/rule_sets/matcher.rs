//! What `docs/rules.md` says that a rule means, put as plainly as it can be and of the rule itself: no tables, no filter, no
//! program, and every place of a payload is tried.
//!
//! A content that is relative hangs off the one that it is relative to. So a rule's contents are trees, and a place of one is good
//! if what hangs off it has a good place behind it. From the last content on backwards, all good places of each are known before they
//! are asked for, and no search has to be taken back.

use std::net::IpAddr;

use detector::rules::{
    Action, AddressRange, Anchor, Endpoint, How, Numbers, Pattern, PortRange, Protocol, Rule, Set,
    Test,
};
use detector_common::detect::signature::table::trait_bit;

use super::packet::{IpOptions, Packet, Transport};
use crate::builder::{ACK, SYN};

/// Who is at home in rules that are made up.
pub(super) const HOME_NET: &str = "192.0.2.0/24";
/// The ports of HTTP in rules that are made up.
pub(super) const HTTP_PORTS: [u16; 2] = [80, 8080];

/// The rule that counts: of those that match, one that passes before one that drops, and that before one that alerts; of these the first.
#[must_use]
pub fn first<'r>(rules: &'r [Rule], packet: &Packet) -> Option<&'r Rule> {
    let matching = rules.iter().filter(|rule| matches(rule, packet));
    matching.min_by_key(|rule| match rule.header.action {
        Action::Pass => 0,
        Action::Drop => 1,
        Action::Alert => 2,
    })
}

/// Whether a rule matches a packet, whatever others do.
#[must_use]
pub fn matches(rule: &Rule, packet: &Packet) -> bool {
    let len = packet.payload.len();
    let has_size = rule.tests.iter().all(|test| match test {
        Test::DataSize(numbers) => is_one_of(*numbers, len),
        Test::DataAt { .. }
        | Test::IcmpType(_)
        | Test::IcmpCode(_)
        | Test::TimeToLive(_)
        | Test::Identification(_)
        | Test::Flags(_)
        | Test::IpOption(_)
        | Test::FragmentBits(_)
        | Test::Trait(_) => true,
    });
    is_for(rule, packet) && has_size && contents_hold(rule, &packet.payload)
}

/// Whether a rule is for packets with such headers.
pub(super) fn is_for(rule: &Rule, packet: &Packet) -> bool {
    is_addressed(rule, packet)
        && is_of_flow(rule, packet)
        && rule.tests.iter().all(|test| header_holds(*test, packet))
}

fn is_addressed(rule: &Rule, packet: &Packet) -> bool {
    let header = &rule.header;
    let (protocol, [from_port, to_port]) = match packet.transport {
        Transport::Tcp { ports, .. } => (Protocol::Tcp, ports),
        Transport::Udp { ports } => (Protocol::Udp, ports),
        Transport::Icmp { .. } => (Protocol::Icmp, [0, 0]),
    };
    let (from, to) = ((packet.source, from_port), (packet.destination, to_port));
    let goes =
        |source: &Endpoint, destination: &Endpoint| is_at(source, from) && is_at(destination, to);
    let is_of_protocol = header.protocol == Protocol::Ip || header.protocol == protocol;
    is_of_protocol
        && (goes(&header.source, &header.destination)
            || header.both_ways && goes(&header.destination, &header.source))
}

fn is_at((addresses, ports): &Endpoint, (address, port): (IpAddr, u16)) -> bool {
    let is_in = |range: &AddressRange| {
        let is_of_family = range.first.is_ipv4() == address.is_ipv4();
        is_of_family && range.first <= address && address <= range.last
    };
    let is_home =
        matches!(address, IpAddr::V4(address) if address.octets().starts_with(&[192, 0, 2]));
    let stands_for = |name: &str| (name == "EXTERNAL_NET") != is_home;
    let is_port = |range: &PortRange| range.first <= port && port <= range.last;
    contains(addresses, &is_in, &stands_for)
        && contains(ports, &is_port, &|_| HTTP_PORTS.contains(&port))
}

/// Whether something is in a set, by whether it is in a range, and whether a name stands for it.
fn contains<T>(
    set: &Set<T>,
    is_in: &impl Fn(&T) -> bool,
    stands_for: &impl Fn(&str) -> bool,
) -> bool {
    match set {
        Set::Any => true,
        Set::Range(range) => is_in(range),
        Set::Variable(name) => stands_for(name),
        Set::Not(set) => !contains(set, is_in, stands_for),
        Set::AnyOf(sets) => {
            let is_negated = |set: &&Set<T>| matches!(set, Set::Not(_));
            let mut others = sets.iter().filter(|set| !is_negated(set));
            let is_in_any = sets.iter().all(|set| is_negated(&set))
                || others.any(|set| contains(set, is_in, stands_for));
            let mut negated = sets.iter().filter(is_negated);
            is_in_any && negated.all(|set| contains(set, is_in, stands_for))
        }
    }
}

fn is_of_flow(rule: &Rule, packet: &Packet) -> bool {
    let flags = tcp_flags(packet);
    let (syn, ack) = (flags & SYN != 0, flags & ACK != 0);
    let is_of_side = match rule.flow.to_server {
        Some(true) => !(syn && ack),
        Some(false) => !syn || ack,
        None => true,
    };
    is_of_side && (!rule.flow.established || ack && !syn)
}

fn tcp_flags(packet: &Packet) -> u8 {
    match packet.transport {
        Transport::Tcp { flags, .. } => flags,
        Transport::Udp { .. } | Transport::Icmp { .. } => 0,
    }
}

fn header_holds(test: Test, packet: &Packet) -> bool {
    let icmp = match packet.transport {
        Transport::Icmp { kind, code } => Some((kind, code)),
        Transport::Tcp { .. } | Transport::Udp { .. } => None,
    };
    let is_v4 = packet.source.is_ipv4();
    match test {
        Test::IcmpType(numbers) => icmp.is_some_and(|(kind, _)| is_one_of(numbers, kind.into())),
        Test::IcmpCode(numbers) => icmp.is_some_and(|(_, code)| is_one_of(numbers, code.into())),
        Test::TimeToLive(numbers) => is_one_of(numbers, packet.ttl.into()),
        Test::Identification(id) => is_v4 && packet.id == id,
        Test::Flags(flags) => {
            let counted = !flags.ignored;
            bits_are(
                flags.how,
                flags.flags & counted,
                tcp_flags(packet) & counted,
            )
        }
        Test::IpOption(option) => match packet.options {
            IpOptions::Some(numbers, _) if is_v4 => {
                option.0.is_none_or(|number| numbers.contains(&number))
            }
            IpOptions::Some(..) | IpOptions::None => false,
        },
        Test::FragmentBits(fragment) => {
            is_v4
                && bits_are(
                    fragment.how,
                    fragment.bits,
                    u8::from(packet.dont_fragment) << 1,
                )
        }
        Test::Trait(bit) => match packet.transport {
            Transport::Tcp { has_options, .. } => {
                let is_destination =
                    IpAddr::from(Packet::SEQUENCE.to_be_bytes()) == packet.destination;
                bit == trait_bit::NO_TCP_OPTIONS && !has_options
                    || bit == trait_bit::SEQUENCE_IS_DESTINATION && is_destination
            }
            Transport::Udp { .. } | Transport::Icmp { .. } => false,
        },
        // These are of the payload.
        Test::DataSize(_) | Test::DataAt { .. } => true,
    }
}

fn is_one_of(numbers: Numbers, value: usize) -> bool {
    (numbers.first as usize..=numbers.last as usize).contains(&value) != numbers.negated
}

fn bits_are(how: How, asked: u8, bits: u8) -> bool {
    match how {
        How::Exactly => bits == asked,
        How::All => bits & asked == asked,
        How::Any => bits & asked != 0,
        How::NotAll => bits & asked != asked,
    }
}

fn contents_hold(rule: &Rule, payload: &[u8]) -> bool {
    // Where each content stands with all that hangs off it, from the last one on; what hangs off one stands behind it in the rule.
    let mut places = vec![Vec::new(); rule.patterns.len()];
    for (number, pattern) in rule.patterns.iter().enumerate().rev() {
        let len = pattern.bytes.len();
        let good = (0..payload.len()).filter(|at| {
            stands(pattern, payload, *at)
                && hanging_holds(rule, payload, &places, Some(number), at + len)
        });
        places[number] = good.collect();
    }
    hanging_holds(rule, payload, &places, None, 0)
}

/// Whether the bytes of a content are at this place.
fn stands(pattern: &Pattern, payload: &[u8], at: usize) -> bool {
    let end = at + pattern.bytes.len();
    let is_equal = payload.get(at..end).is_some_and(|bytes| {
        bytes == pattern.bytes || pattern.nocase && bytes.eq_ignore_ascii_case(&pattern.bytes)
    });
    is_equal && (!pattern.ends || end == payload.len())
}

/// Whether all holds that is relative to the content `after`, which ends at `end`; or to no content, if that is `None`.
fn hanging_holds(
    rule: &Rule,
    payload: &[u8],
    places: &[Vec<usize>],
    after: Option<usize>,
    end: usize,
) -> bool {
    let contents = rule.patterns.iter().zip(places).all(|(pattern, places)| {
        let mut places = places.iter();
        parent(pattern) != after || places.any(|at| is_within(pattern, *at, end)) != pattern.negated
    });
    contents
        && rule.tests.iter().all(|test| match *test {
            Test::DataAt {
                bytes,
                after: other,
                negated,
                ..
            } => other != after || (end + bytes as usize <= payload.len()) != negated,
            Test::DataSize(_)
            | Test::IcmpType(_)
            | Test::IcmpCode(_)
            | Test::TimeToLive(_)
            | Test::Identification(_)
            | Test::Flags(_)
            | Test::IpOption(_)
            | Test::FragmentBits(_)
            | Test::Trait(_) => true,
        })
}

/// The content that one is relative to.
fn parent(pattern: &Pattern) -> Option<usize> {
    match pattern.anchor {
        Anchor::Relative { after, .. } => after,
        Anchor::Absolute { .. } => None,
    }
}

/// Whether a content that stands at `at` is whole in the bytes that are looked at, which count from `end` if it is relative.
fn is_within(pattern: &Pattern, at: usize, end: usize) -> bool {
    let signed = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let (first, room) = match pattern.anchor {
        Anchor::Absolute { offset, depth } => (i64::from(offset), depth),
        Anchor::Relative {
            distance, within, ..
        } => (signed(end) + i64::from(distance), within),
    };
    let behind = signed(at + pattern.bytes.len());
    signed(at) >= first && room.is_none_or(|room| behind <= first + i64::from(room))
}
