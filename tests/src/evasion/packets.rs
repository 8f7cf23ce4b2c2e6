//! The request as everybody writes it, behind other headers or in fragments.

use super::{
    Case, Way, cases_from,
    connection::{Connection, Headers, REQUEST, Sender, ipv4},
};
use crate::builder::{CLIENT_IPV6, PacketBuilder, SERVER_IPV6};

const BEHIND_HEADERS: u16 = 41_000;
const OTHERWISE: u16 = 41_500;
const TCP: u8 = 6;
const NOPS: &[u8; 40] = &[1; 40];
const IPV4_HEADERS: usize = 34;
const IPV6_HEADERS: usize = 54;
/// Where the segment is cut: behind `GET /default`, and behind the ports and the sequence number.
const IN_THE_PATTERN: usize = 32;
const IN_THE_TCP_HEADER: usize = 8;

/// What stands before the TCP header.
const HEADERS: &[(&str, Headers)] = &[
    ("is on a VLAN", |sender| ipv4(sender).vlan(7)),
    ("is on a VLAN in another's (QinQ)", |sender| {
        ipv4(sender).vlan_ad(100).vlan(7)
    }),
    ("adds a third VLAN tag", |sender| {
        ipv4(sender).vlan_ad(100).vlan(7).vlan(8)
    }),
    ("adds 40 bytes of IP options", |sender| {
        ipv4(sender).ipv4_options(NOPS)
    }),
    ("puts it into a tunnel (GRE)", |sender| {
        let (from, to) = match sender {
            Sender::Client => ([192, 0, 2, 66], [198, 51, 100, 67]),
            Sender::Server => ([198, 51, 100, 67], [192, 0, 2, 66]),
        };
        ipv4(sender).gre().ipv4(from, to)
    }),
    ("speaks IPv6", ipv6),
    (
        "speaks IPv6, with hop-by-hop and destination options",
        |sender| ipv6(sender).hop_by_hop(&[]).destination_options(&[]),
    ),
    (
        "speaks IPv6, with a fragment header on a whole packet (an atomic fragment)",
        |sender| ipv6(sender).ipv6_fragment(0, false, 7),
    ),
];

/// What else is done to packets.
const OTHERS: &[Way] = &[
    ("adds 40 bytes of TCP options", |connection| {
        let connection = Connection {
            tcp_options: NOPS,
            ..connection
        };
        connection.with_payload(REQUEST)
    }),
    ("sends two IPv4 fragments, the name cut", |connection| {
        ipv4_fragments(connection, IN_THE_PATTERN)
    }),
    (
        "sends two IPv4 fragments, the TCP header cut",
        |connection| ipv4_fragments(connection, IN_THE_TCP_HEADER),
    ),
    ("sends two IPv6 fragments, the name cut", |connection| {
        ipv6_fragments(connection, IN_THE_PATTERN)
    }),
    (
        "sends two IPv6 fragments, the TCP header cut",
        |connection| ipv6_fragments(connection, IN_THE_TCP_HEADER),
    ),
];

pub(super) fn cases() -> Vec<Case> {
    let behind = HEADERS.iter().zip(BEHIND_HEADERS..);
    let behind = behind.map(|((name, headers), client_port)| {
        let connection = Connection {
            headers: *headers,
            ..Connection::from_port(client_port)
        };
        Case {
            name,
            client_port,
            frames: connection.with_payload(REQUEST),
        }
    });
    let others = cases_from(OTHERWISE, OTHERS);
    behind.chain(others).collect()
}

fn ipv6(sender: Sender) -> PacketBuilder {
    match sender {
        Sender::Client => PacketBuilder::new().ipv6(CLIENT_IPV6, SERVER_IPV6),
        Sender::Server => PacketBuilder::new().ipv6(SERVER_IPV6, CLIENT_IPV6),
    }
}

/// The request's packet in two fragments, of which the first has so many bytes of it.
fn ipv4_fragments(connection: Connection, cut: usize) -> Vec<Vec<u8>> {
    let whole = connection.data(0, REQUEST).build();
    let (first, second) = whole[IPV4_HEADERS..].split_at(cut);
    let fragment = |offset, more, part: &[u8]| {
        ipv4(Sender::Client)
            .fragment(offset, more)
            .protocol(TCP)
            .payload(part)
    };
    let offset = units(cut);
    connection.with(
        [fragment(0, true, first), fragment(offset, false, second)],
        REQUEST.len(),
    )
}

/// The same over IPv6.
fn ipv6_fragments(connection: Connection, cut: usize) -> Vec<Vec<u8>> {
    let connection = Connection {
        headers: ipv6,
        ..connection
    };
    let whole = connection.data(0, REQUEST).build();
    let (first, second) = whole[IPV6_HEADERS..].split_at(cut);
    let fragment = |offset, more, part: &[u8]| {
        ipv6(Sender::Client)
            .ipv6_fragment(offset, more, 7)
            .next_header(TCP)
            .payload(part)
    };
    let offset = units(cut);
    connection.with(
        [fragment(0, true, first), fragment(offset, false, second)],
        REQUEST.len(),
    )
}

/// A fragment's offset as its header has it.
fn units(bytes: usize) -> u16 {
    u16::try_from(bytes / 8).unwrap_or(u16::MAX)
}
