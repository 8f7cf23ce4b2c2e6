//! What `docs/rules.md` says that a rule means, put as plainly as it can be and of the rule itself: no tables, no filter, no
//! program, and every place of a payload is tried.
//!
//! A content that is relative hangs off the one that it is relative to. So a rule's contents are trees, and a place of one is good
//! if what hangs off it has a good place behind it. From the last content on backwards, all good places of each are known before they
//! are asked for, and no search has to be taken back. A number that leads to a place is followed from where it stands.
//!
//! A rule that asks something of an HTTP request is asked of each request of a packet, see [`http`], and there of both forms of its
//! target.

use std::{iter, net::IpAddr};

use detector::rules::{
    Action, AddressRange, Anchor, Buffer, ByteJump, ByteTest, Endpoint, How, JumpFrom, Numbers,
    Operator, Pattern, PortRange, Protocol, Rule, Runs, Set, Test,
};
use detector_common::detect::signature::table::trait_bit;

use super::{
    http::{self, Request},
    packet::{IpOptions, Packet, Transport},
};
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
        | Test::ByteTest(_)
        | Test::IcmpType(_)
        | Test::IcmpCode(_)
        | Test::TimeToLive(_)
        | Test::Identification(_)
        | Test::Acknowledgement(_)
        | Test::Sequence(_)
        | Test::Window(_)
        | Test::IcmpId(_)
        | Test::IcmpSequence(_)
        | Test::IpProtocol(_)
        | Test::Flags(_)
        | Test::IpOption(_)
        | Test::FragmentBits(_)
        | Test::Trait(_) => true,
    });
    is_for(rule, packet) && has_size && payload_holds(rule, &packet.payload)
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
    let is_tcp = matches!(packet.transport, Transport::Tcp { .. });
    let has_id = |kind| [0, 8, 13, 14, 15, 16, 17, 18, 128, 129].contains(&kind);
    match test {
        Test::IcmpType(numbers) => icmp.is_some_and(|(kind, _)| is_one_of(numbers, kind.into())),
        Test::IcmpCode(numbers) => icmp.is_some_and(|(_, code)| is_one_of(numbers, code.into())),
        Test::TimeToLive(numbers) => is_one_of(numbers, packet.ttl.into()),
        Test::Identification(id) => is_v4 && packet.id == id,
        Test::Acknowledgement(number) => is_tcp && number == Packet::ACKNOWLEDGEMENT,
        Test::Sequence(number) => is_tcp && number == Packet::SEQUENCE,
        Test::Window(numbers) => is_tcp && is_one_of(numbers, Packet::WINDOW.into()),
        Test::IcmpId(number) => {
            icmp.is_some_and(|(kind, _)| has_id(kind)) && number == Packet::ICMP_ID
        }
        Test::IcmpSequence(number) => {
            icmp.is_some_and(|(kind, _)| has_id(kind)) && number == Packet::ICMP_SEQUENCE
        }
        Test::IpProtocol(numbers) => {
            let number = match packet.transport {
                Transport::Tcp { .. } => 6,
                Transport::Udp { .. } => 17,
                Transport::Icmp { .. } if is_v4 => 1,
                Transport::Icmp { .. } => 58,
            };
            is_one_of(numbers, number)
        }
        Test::Trait(trait_bit::SAME_ADDRESS) => packet.source == packet.destination,
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
        Test::DataSize(_) | Test::DataAt { .. } | Test::ByteTest(_) => true,
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

/// Whether a rule asks anything of an HTTP request, so that there must be one.
pub(super) fn is_of_requests(rule: &Rule) -> bool {
    let is_of_request = |buffer: Buffer| buffer != Buffer::Payload;
    let mut patterns = rule.patterns.iter();
    patterns.any(|pattern| is_of_request(pattern.buffer))
        || rule
            .tests
            .iter()
            .any(|test| data_at(*test).is_some_and(|DataAt { buffer, .. }| is_of_request(buffer)))
}

fn payload_holds(rule: &Rule, payload: &[u8]) -> bool {
    if !is_of_requests(rule) {
        return contents_hold(rule, &Buffers::without_request(payload));
    }
    http::requests(payload).iter().any(|request| {
        let as_it_is = &payload[request.target.clone()];
        // Both forms at once would be neither.
        [&request.decoded, as_it_is]
            .iter()
            .any(|uri| contents_hold(rule, &Buffers::of(request, uri, payload)))
    })
}

/// What contents are looked for in.
struct Buffers<'p> {
    payload: &'p [u8],
    uri: &'p [u8],
    uri_as_it_is: &'p [u8],
    method: &'p [u8],
    headers: &'p [u8],
}

impl<'p> Buffers<'p> {
    fn without_request(payload: &'p [u8]) -> Self {
        Self {
            payload,
            uri: &[],
            uri_as_it_is: &[],
            method: &[],
            headers: &[],
        }
    }

    /// Those of a request, its target in the form `uri`.
    fn of(request: &Request, uri: &'p [u8], payload: &'p [u8]) -> Self {
        Self {
            payload,
            uri,
            uri_as_it_is: &payload[request.target.clone()],
            method: &payload[request.method.clone()],
            headers: &payload[request.headers.clone()],
        }
    }

    fn get(&self, buffer: Buffer) -> &'p [u8] {
        match buffer {
            Buffer::Payload => self.payload,
            Buffer::HttpUri => self.uri,
            Buffer::HttpUriRaw => self.uri_as_it_is,
            Buffer::HttpMethod => self.method,
            Buffer::HttpHeader => self.headers,
        }
    }
}

fn contents_hold(rule: &Rule, buffers: &Buffers<'_>) -> bool {
    // Where each content stands with all that hangs off it, from the last one on; what hangs off one stands behind it in the rule.
    let mut places = vec![Vec::new(); rule.patterns.len()];
    for (number, pattern) in rule.patterns.iter().enumerate().rev() {
        let len = pattern.length();
        let buffer = buffers.get(pattern.buffer);
        let good = (0..buffer.len()).filter(|at| {
            stands(pattern, buffer, *at)
                && hanging_holds(rule, buffers, &places, Some(number), at + len)
        });
        places[number] = good.collect();
    }
    hanging_holds(rule, buffers, &places, None, 0)
}

/// Whether the bytes of a content are at this place.
fn stands(pattern: &Pattern, buffer: &[u8], at: usize) -> bool {
    let end = at + pattern.length();
    let is_equal = buffer.get(at..end).is_some_and(|bytes| {
        if let Some(runs) = &pattern.runs {
            return are_in_sets(runs, bytes);
        }
        bytes == pattern.bytes || pattern.nocase && bytes.eq_ignore_ascii_case(&pattern.bytes)
    });
    is_equal && (!pattern.ends || end == buffer.len())
}

/// Whether each byte is one of the set that its place has.
fn are_in_sets(runs: &Runs, bytes: &[u8]) -> bool {
    let sets = runs.runs.iter();
    let mut sets = sets.flat_map(|(set, len)| iter::repeat_n(set, *len as usize));
    bytes
        .iter()
        .all(|byte| sets.next().is_some_and(|set| set.has(*byte)))
}

/// Whether all holds that is relative to the content `after`, which ends at `end` of its buffer; or to no content, if that is `None`.
fn hanging_holds(
    rule: &Rule,
    buffers: &Buffers<'_>,
    all_places: &[Vec<usize>],
    after: Option<usize>,
    end: usize,
) -> bool {
    let mut contents = rule.patterns.iter().zip(all_places).enumerate();
    let contents = contents.all(|(number, (pattern, places))| {
        if parent(pattern) != after {
            return true;
        }
        if let Some(jump) = &pattern.jump {
            let place = leads_to(jump, pattern, buffers.payload, end);
            return place.is_some_and(|place| {
                hanging_holds(rule, buffers, all_places, Some(number), place)
            });
        }
        let mut places = places.iter();
        places.any(|at| is_within(pattern, *at, end)) != pattern.negated
    });
    let tests = || rule.tests.iter().filter_map(|test| data_at(*test));
    let numbers = rule.tests.iter().all(|test| {
        if let Test::ByteTest(test) = test {
            test.after != after || number_is_so(test, buffers.payload, end)
        } else {
            true
        }
    });
    contents
        && numbers
        && tests().all(|test| {
            let len = buffers.get(test.buffer).len();
            test.after != after || (end + test.bytes <= len) != test.negated
        })
}

/// The number of so many bytes at `at`, if they are all there.
fn number(payload: &[u8], at: usize, len: u8, is_little: bool) -> Option<u64> {
    let bytes = payload.get(at..at + usize::from(len))?;
    let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
    Some(if is_little {
        bytes.iter().rev().fold(0, add)
    } else {
        bytes.iter().fold(0, add)
    })
}

/// Where a number leads that counts from `end`, or from the start of the payload; `None` if there is none, or it leads behind the end.
pub(super) fn leads_to(
    jump: &ByteJump,
    pattern: &Pattern,
    payload: &[u8],
    end: usize,
) -> Option<usize> {
    let at = match pattern.anchor {
        Anchor::Absolute { offset, .. } => offset as usize,
        Anchor::Relative { distance, .. } => end.checked_add_signed(distance as isize)?,
    };
    let number = number(payload, at, jump.bytes, jump.is_little)?;
    let far = number * u64::from(jump.multiplier);
    let far = if jump.aligns {
        far.next_multiple_of(4)
    } else {
        far
    };
    let from = match jump.from {
        JumpFrom::Number => at + usize::from(jump.bytes),
        JumpFrom::Start => 0,
        JumpFrom::End => payload.len(),
    };
    let place = i128::from(far) + from as i128 + i128::from(jump.post_offset);
    let place = usize::try_from(place.max(0)).ok();
    place.filter(|place| *place <= payload.len())
}

/// Whether a number that counts from `from` is in the payload, and as a test asks.
fn number_is_so(test: &ByteTest, payload: &[u8], from: usize) -> bool {
    let Some(at) = from.checked_add_signed(test.offset as isize) else {
        return false;
    };
    let Some(mut number) = number(payload, at, test.bytes, test.is_little) else {
        return false;
    };
    if let Some(mask) = test.bitmask {
        number = (number & u64::from(mask)) >> mask.trailing_zeros();
    }
    let is_so = match test.operator {
        Operator::Less => number < test.value,
        Operator::Greater => number > test.value,
        Operator::Equal => number == test.value,
        Operator::AtMost => number <= test.value,
        Operator::AtLeast => number >= test.value,
        Operator::And => number & test.value != 0,
        Operator::Xor => number != test.value,
    };
    is_so != test.negated
}

/// That a buffer must have so many bytes more.
struct DataAt {
    buffer: Buffer,
    bytes: usize,
    after: Option<usize>,
    negated: bool,
}

fn data_at(test: Test) -> Option<DataAt> {
    match test {
        Test::DataAt {
            buffer,
            bytes,
            after,
            negated,
        } => Some(DataAt {
            buffer,
            bytes: bytes as usize,
            after,
            negated,
        }),
        Test::DataSize(_)
        | Test::ByteTest(_)
        | Test::IcmpType(_)
        | Test::IcmpCode(_)
        | Test::TimeToLive(_)
        | Test::Identification(_)
        | Test::Acknowledgement(_)
        | Test::Sequence(_)
        | Test::Window(_)
        | Test::IcmpId(_)
        | Test::IcmpSequence(_)
        | Test::IpProtocol(_)
        | Test::Flags(_)
        | Test::IpOption(_)
        | Test::FragmentBits(_)
        | Test::Trait(_) => None,
    }
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
    let behind = signed(at + pattern.length());
    signed(at) >= first && room.is_none_or(|room| behind <= first + i64::from(room))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use detector::rules::RuleSet;

    use super::*;

    /// Whether a rule with these options, to a web server, matches a segment with this payload.
    fn finds(options: &str, payload: &[u8]) -> bool {
        let text = format!("alert tcp any any -> any 80 (flow:to_server; {options} sid:1;)");
        let set = RuleSet::from_bytes(Path::new("made-up.rules"), text.as_bytes());
        assert_eq!(set.rules.len(), 1, "{text}");
        matches(&set.rules[0], &Packet::to_web(payload.to_vec()))
    }

    fn all(payload: &str, cases: &[(&str, bool)]) {
        for (options, expected) in cases {
            let found = finds(options, payload.as_bytes());
            assert_eq!(found, *expected, "{options} in {payload:?}");
        }
    }

    #[test]
    fn contents_are_looked_for_in_their_buffer() {
        all(
            "GET /a%2fb HTTP/1.0\r\nHost: c\r\n\r\nbody",
            &[
                ("http.method; content:\"GET\"; startswith; endswith;", true),
                ("content:\"get\"; http_method;", false),
                ("content:\"get\"; http_method; nocase;", true),
                ("http.method; content:\"/a\";", false),
                ("http.uri; content:\"/a/b\"; startswith; endswith;", true),
                ("http.uri; content:\"/a%2fb\"; startswith; endswith;", true),
                ("uricontent:\"GET\";", false),
                ("uricontent:\"HTTP\";", false),
                ("content:\"/a/b\"; http_raw_uri;", false),
                ("content:\"/a%2fb\"; http_raw_uri; depth:6;", true),
                ("http.uri.raw; content:\"a\"; startswith;", false),
                (
                    "http.header; content:\"Host: c|0d0a|\"; startswith; endswith;",
                    true,
                ),
                ("http.header; content:\"body\";", false),
                ("content:\"body\"; content:\"a/b\"; http_uri;", true),
                ("content:\"a/b\"; content:\"a/b\"; http_uri;", false),
                (
                    "http.uri; content:\"b\"; pkt_data; content:\"GET\"; startswith;",
                    true,
                ),
            ],
        );
    }

    #[test]
    fn places_count_within_a_buffer() {
        all(
            "POST /abc?d HTTP/1.0\nA: b\n",
            &[
                ("http.uri; content:\"b\"; offset:2; depth:1;", true),
                ("http.uri; content:\"b\"; offset:3;", false),
                (
                    "http.uri; content:\"/a\"; content:\"c\"; distance:1; within:1;",
                    true,
                ),
                (
                    "http.uri; content:\"c\"; content:\"/a\"; distance:-4;",
                    true,
                ),
                (
                    "http.uri; content:\"c\"; content:\"/a\"; distance:-3;",
                    false,
                ),
                ("http.uri; content:\"?d\"; isdataat:!1,relative;", true),
                ("http.uri; isdataat:5; isdataat:!6;", true),
                ("http.uri; isdataat:6;", false),
                ("http.method; isdataat:3; isdataat:!4;", true),
                ("http.header; isdataat:!5; isdataat:4;", true),
                // From the last one in the same buffer.
                (
                    "http.method; content:\"POST\"; http.uri; content:\"/\"; distance:0; within:1;",
                    true,
                ),
                (
                    "content:\"/a\"; http_uri; content:\"O\"; content:\"bc\"; distance:0; within:2; http_uri;",
                    true,
                ),
            ],
        );
    }

    #[test]
    fn a_rule_of_requests_asks_for_one() {
        for options in [
            "http.uri; content:!\"z\";",
            "content:!\"z\"; http_method;",
            "http.uri; isdataat:!60;",
            "content:\"x\"; http.header; content:!\"z\";",
        ] {
            assert!(!finds(options, b""));
            assert!(!finds(options, b"x: GET /a HTTP/1.0"));
            assert!(finds(options, b"x /a HTTP/1.0"));
        }
        assert!(finds("content:!\"z\";", b"x: GET /a HTTP/1.0"));
    }

    #[test]
    fn all_is_asked_of_one_request_and_one_form_of_its_target() {
        let two = "GET /a HTTP/1.0\n\nPOST /b HTTP/1.0\nC: d\n";
        all(
            two,
            &[
                (
                    "http.method; content:\"POST\"; http.uri; content:\"/b\";",
                    true,
                ),
                (
                    "http.method; content:\"GET\"; http.uri; content:\"/b\";",
                    false,
                ),
                ("content:\"/a\"; http_uri; content:\"/b\"; http_uri;", false),
                ("content:\"/a\"; content:\"/b\"; http_uri;", true),
                ("content:!\"/a\"; http_uri;", true),
                (
                    "http.uri; content:\"/a\"; http.header; content:\"C\";",
                    false,
                ),
            ],
        );
        all(
            "GET /%41%42 HTTP/1.0\n\n",
            &[
                ("uricontent:\"A\"; uricontent:\"B\";", true),
                ("uricontent:\"A\"; uricontent:\"%42\";", false),
                ("uricontent:\"A\"; content:\"%42\"; http_raw_uri;", true),
                ("uricontent:\"%41\"; uricontent:\"%42\";", true),
                // One of them has it not.
                ("uricontent:!\"A\";", true),
                ("uricontent:!\"%41\";", true),
                ("uricontent:!\"A\"; uricontent:!\"%41\";", false),
                ("http.uri; isdataat:2; isdataat:!3;", true),
                ("http.uri; isdataat:6; isdataat:!7;", true),
                ("http.uri; content:\"A\"; isdataat:3;", false),
            ],
        );
    }
}
