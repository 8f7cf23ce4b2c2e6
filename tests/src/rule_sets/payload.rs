//! Packets that are made up for rules: most show what a rule looks for, or almost.

use std::net::{Ipv4Addr, Ipv6Addr};

use detector::rules::{Anchor, JumpFrom, Pattern, Protocol, Rule};

use super::{
    choices::Choices,
    matcher,
    packet::{IpOptions, Packet, Transport},
    request,
};
use crate::builder::{ACK, FIN, PSH, SYN};

/// The longest payload: what a frame of Ethernet has room for.
const PAYLOAD_MAX: usize = 1460;
/// What stands between contents; some of it begins as they do.
const FILLING: &[u8] = b"a.xA/z";
const PORTS: [u16; 12] = [80, 80, 80, 80, 8080, 8005, 8004, 53, 1023, 1024, 40_000, 0];
const FLAGS: [u8; 8] = [ACK, ACK, ACK, PSH | ACK, SYN, SYN | ACK, FIN | ACK, 0];
const V4: [[u8; 4]; 5] = [
    [192, 0, 2, 9],
    [192, 0, 2, 200],
    [198, 51, 100, 9],
    [198, 51, 100, 10],
    [10, 1, 2, 3],
];
const V6: [u16; 3] = [0, 1, 0x8000];

/// How often headers are drawn until there are some that a rule is for.
const DRAWS: usize = 6;

/// A packet, most of the time one for one of `rules`.
pub(super) fn packet(rules: &[Rule], choices: &mut Choices<'_>) -> Packet {
    let aim = rules.get(choices.below(rules.len()));
    let payload = payload(aim, rules, choices);
    let mut packet = headers(aim, choices);
    for _ in 1..DRAWS {
        if aim.is_none_or(|rule| matcher::is_for(rule, &packet)) {
            break;
        }
        packet = headers(aim, choices);
    }
    Packet { payload, ..packet }
}

/// A packet without a payload.
fn headers(aim: Option<&Rule>, choices: &mut Choices<'_>) -> Packet {
    let ports = [choices.one_of(&PORTS), choices.one_of(&PORTS)];
    let protocol = aim.map_or(Protocol::Tcp, |rule| rule.header.protocol);
    let protocol = if protocol == Protocol::Ip {
        choices.one_of(&[Protocol::Tcp, Protocol::Udp, Protocol::Icmp])
    } else {
        protocol
    };
    let transport = match protocol {
        Protocol::Tcp | Protocol::Ip => Transport::Tcp {
            ports,
            flags: choices.one_of(&FLAGS),
            has_options: choices.one_in(3),
        },
        Protocol::Udp => Transport::Udp { ports },
        Protocol::Icmp => Transport::Icmp {
            kind: choices.one_of(&[8, 0, 128]),
            code: choices.below(2) as u8,
        },
    };
    let v4 = |choices: &mut Choices<'_>| Ipv4Addr::from(choices.one_of(&V4)).into();
    let v6 = |choices: &mut Choices<'_>| {
        let net = choices.one_of(&V6);
        Ipv6Addr::new(0x2001, 0xdb8, net, 0, 0, 0, 0, 9).into()
    };
    let (source, destination) = if choices.one_in(5) {
        (v6(choices), v6(choices))
    } else {
        (v4(choices), v4(choices))
    };
    Packet {
        source,
        destination,
        ttl: choices.one_of(&[64, 64, 63, 1, 255]),
        id: choices.one_of(&[0, 7]),
        dont_fragment: choices.one_in(2),
        options: if choices.one_in(3) {
            choices.one_of(&IpOptions::ALL)
        } else {
            IpOptions::None
        },
        transport,
        payload: Vec::new(),
    }
}

fn payload(aim: Option<&Rule>, rules: &[Rule], choices: &mut Choices<'_>) -> Vec<u8> {
    let is_of_requests = aim.is_some_and(matcher::is_of_requests);
    if choices.one_in(12) != is_of_requests {
        let mut payload = request::requests(aim, choices);
        payload.truncate(PAYLOAD_MAX);
        return payload;
    }
    let mut payload = Vec::new();
    if choices.one_in(8) {
        let len = choices.below(PAYLOAD_MAX);
        fill(&mut payload, len, choices);
    }
    // Decoys, or the same twice.
    let others: Vec<_> = rules.iter().flat_map(|rule| &rule.patterns).collect();
    if choices.one_in(3) && !others.is_empty() {
        for _ in 0..=choices.below(6) {
            put(others[choices.below(others.len())], &mut payload, choices);
        }
    }
    for _ in 0..=choices.below(2) {
        for pattern in aim.iter().flat_map(|rule| &rule.patterns) {
            put_unless_negated(pattern, &mut payload, choices);
        }
    }
    if choices.one_in(2) {
        let len = choices.below(40);
        fill(&mut payload, len, choices);
    }
    if choices.one_in(16) {
        let len = choices.below(PAYLOAD_MAX);
        fill(&mut payload, len, choices);
    }
    payload.truncate(PAYLOAD_MAX);
    payload
}

/// A pattern where it asks to be; one that must not be there only now and then.
pub(super) fn put_unless_negated(
    pattern: &Pattern,
    payload: &mut Vec<u8>,
    choices: &mut Choices<'_>,
) {
    if !pattern.negated || choices.one_in(6) {
        put(pattern, payload, choices);
    }
}

/// A pattern where it asks to be, or a little behind that.
fn put(pattern: &Pattern, payload: &mut Vec<u8>, choices: &mut Choices<'_>) {
    if pattern.jump.is_some() {
        put_jump(pattern, payload, choices);
        return;
    }
    let bytes = almost(pattern, choices);
    let more = if choices.one_in(3) {
        choices.below(9)
    } else {
        0
    };
    let (from, room) = match pattern.anchor {
        Anchor::Absolute { offset, depth } => (offset as usize, depth),
        Anchor::Relative {
            distance, within, ..
        } => {
            let back = distance.min(0).unsigned_abs() as usize;
            let far = distance.max(0).unsigned_abs() as usize;
            (payload.len().saturating_sub(back) + far, within)
        }
    };
    // What may stand anywhere does so behind the others.
    let is_free = room.is_none() && matches!(pattern.anchor, Anchor::Absolute { .. });
    let at = if is_free {
        from.max(payload.len())
    } else {
        from
    } + more;
    let missing = at.saturating_sub(payload.len());
    fill(payload, missing, choices);
    let end = (at + bytes.len()).min(payload.len());
    payload.splice(at..end, bytes);
}

/// A number where it asks to be, that leads a little further or back, and as much as is missing until there.
fn put_jump(pattern: &Pattern, payload: &mut Vec<u8>, choices: &mut Choices<'_>) {
    let Some(jump) = &pattern.jump else {
        return;
    };
    let end = payload.len();
    let at = match pattern.anchor {
        Anchor::Absolute { offset, .. } => offset as usize,
        Anchor::Relative { distance, .. } => end.saturating_add_signed(distance as isize),
    };
    let width = usize::from(jump.bytes);
    let far = match jump.from {
        JumpFrom::Number => choices.below(12),
        JumpFrom::Start => end.saturating_sub(4) + choices.below(12),
        JumpFrom::End => choices.below(4),
    };
    let mut bytes = (far as u32).to_be_bytes()[4 - width..].to_vec();
    if jump.is_little {
        bytes.reverse();
    }
    let missing = at.saturating_sub(payload.len());
    fill(payload, missing, choices);
    let behind = (at + width).min(payload.len());
    payload.splice(at..behind, bytes);
    // Others are put behind what is there.
    let mut room = payload.clone();
    room.resize(payload.len() + 128, 0);
    if let Some(place) = matcher::leads_to(jump, pattern, &room, end)
        && jump.from != JumpFrom::End
    {
        fill(payload, place.saturating_sub(payload.len()), choices);
    }
}

/// The bytes of a pattern, now and then in the other case, cut or with another byte among them.
fn almost(pattern: &Pattern, choices: &mut Choices<'_>) -> Vec<u8> {
    let mut bytes = pattern.bytes.clone();
    for (set, len) in pattern.runs.iter().flat_map(|runs| &runs.runs) {
        let members: Vec<_> = (0..=u8::MAX).filter(|byte| set.has(*byte)).collect();
        bytes.extend((0..*len).map(|_| choices.one_of(&members)));
    }
    match choices.below(24) {
        21 => {
            let at = choices.below(bytes.len());
            bytes[at] ^= choices.one_of(&[0x80, 0x20, 1]);
        }
        22 => bytes.truncate(choices.below(bytes.len())),
        23 => bytes.make_ascii_uppercase(),
        _ => {}
    }
    bytes
}

pub(super) fn fill(payload: &mut Vec<u8>, len: usize, choices: &mut Choices<'_>) {
    let from = choices.below(FILLING.len());
    let filling = FILLING.iter().cycle().skip(from);
    payload.extend(filling.take(len.min(PAYLOAD_MAX)));
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use detector::rules::{Buffer, RuleSet, Test};

    use super::{super::grammar, *};
    use crate::generate::Dice;

    /// Rules of requests as they are made up, each with packets for it, and how many of them it matches.
    ///
    /// They are read, and not compiled.
    #[test]
    fn of_the_packets_for_rules_of_requests_many_have_what_they_ask_for() {
        let mut rules = 0;
        let (mut packets, mut found) = (0, 0);
        let mut asked = [0; 5];
        for seed in 0..120 {
            let bytes = Dice::new(seed).bytes(8192);
            let mut choices = Choices::new(&bytes);
            let text = grammar::file(&mut choices);
            let set = RuleSet::from_bytes(Path::new("made-up.rules"), text.as_bytes());
            let made_up = set.rules.iter();
            for rule in made_up.filter(|rule| matcher::is_of_requests(rule)) {
                rules += 1;
                let patterns = rule.patterns.iter().map(|pattern| pattern.buffer);
                let tests = rule.tests.iter().filter_map(|test| {
                    if let Test::DataAt { buffer, .. } = test {
                        Some(*buffer)
                    } else {
                        None
                    }
                });
                for buffer in patterns.chain(tests) {
                    asked[buffer as usize] += 1;
                }
                let bytes = Dice::new(!seed).bytes(8192);
                let mut choices = Choices::new(&bytes);
                for _ in 0..8 {
                    let packet = packet(std::slice::from_ref(rule), &mut choices);
                    packets += 1;
                    found += usize::from(matcher::matches(rule, &packet));
                }
            }
            let misread = set
                .refusals
                .iter()
                .map(|refusal| refusal.problem.to_string());
            let misread: Vec<_> = misread
                .filter(|problem| !problem.contains(": can never match"))
                .collect();
            assert!(misread.is_empty(), "{misread:?} in {text}");
        }
        println!("{rules} rules, {found} of {packets} packets, {asked:?}");
        assert!(rules > 120, "{rules}");
        assert!(found * 9 > packets, "{found} of {packets}");
        assert!(asked[Buffer::HttpUri as usize] > 200, "{asked:?}");
        assert!(asked.iter().all(|count| *count > 50), "{asked:?}");
    }
}
