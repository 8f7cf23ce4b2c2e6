//! Ordinary traffic: what must pass whatever the policy, and what merely looks like a worm.
//!
//! Each packet goes along its route; `http_response` is the server's, so give it the route back.

use super::{FULL_SEGMENT, Route, client_data, smb};
use crate::builder::{ACK, Arp, PacketBuilder, SYN, SYN_OPTIONS};

const HTTP: u16 = 80;
const DNS: u16 = 53;

/// A packet nothing may be found in.
#[derive(Clone, Debug)]
pub struct Benign {
    /// What it is.
    pub name: &'static str,
    /// The packet, still open to change.
    pub packet: PacketBuilder,
}

/// One of each kind of ordinary packet.
#[must_use]
pub fn all(route: &Route) -> Vec<Benign> {
    vec![
        named("http-request", http_request(route)),
        named("http-response", http_response(route)),
        named("ping", ping(route, 1)),
        named("arp-request", arp_request(route)),
        named("arp-reply", arp_reply(route)),
        named("syn", syn(route, HTTP)),
        named("dns-query", dns_query(route)),
    ]
}

/// Packets that share a worm's words, port or size, each without what makes it the worm.
#[must_use]
pub fn lookalikes(route: &Route) -> Vec<Benign> {
    let get = |url: &str| {
        client_data(
            route,
            HTTP,
            format!("GET {url} HTTP/1.1\r\nHost: example.org\r\n\r\n").as_bytes(),
        )
    };
    let echo = |payload: &[u8]| route.ipv4().icmp_echo(0x0200, 1).payload(payload);
    vec![
        named("ida statistics picture", get("/stats/default.ida-week.gif")),
        named("ida with a short query", get("/default.ida?NNNN&XXXX")),
        named("scripts without a shell", get("/scripts/menu.js")),
        named("a page about root.exe", get("/wiki/root.exe")),
        named(
            "short SEARCH",
            client_data(
                route,
                HTTP,
                b"SEARCH / HTTP/1.1\r\nHost: example.org\r\n\r\n",
            ),
        ),
        named(
            "SQL Server instance query",
            route
                .ipv4()
                .udp(route.src_port, 1434)
                .payload(b"\x04MSSQLSERVER\0"),
        ),
        named(
            "376 bytes to SQL Server",
            route.ipv4().udp(route.src_port, 1434).payload(&[0x05; 376]),
        ),
        named("LANDesk ping, 1052 times 0xAA", echo(&[0xaa; 1052])),
        named("64-byte ping of letters", echo(&[b'a'; 64])),
        named(
            "UDP from port 4000",
            route.ipv4().udp(4000, route.src_port).payload(&[0x05; 900]),
        ),
        named("SMB file query", smb::file_query(route)),
        named("telnet SYN", syn(route, 23)),
        named(
            "SYN without options",
            route.ipv4().tcp(route.src_port, 23).flags(SYN).seq(7),
        ),
    ]
}

fn named(name: &'static str, packet: PacketBuilder) -> Benign {
    Benign { name, packet }
}

/// A browser's request.
pub fn http_request(route: &Route) -> PacketBuilder {
    client_data(
        route,
        HTTP,
        b"GET /index.html HTTP/1.1\r\nHost: example.org\r\nAccept: text/html\r\n\r\n",
    )
}

/// A full-size segment of a web page, from the server's port 80 to the client's port.
pub fn http_response(route: &Route) -> PacketBuilder {
    let mut page =
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 90000\r\n\r\n".to_vec();
    let length = FULL_SEGMENT - route.tcp_options.len().next_multiple_of(4);
    while page.len() < length {
        page.extend(b"<p>The quick brown fox jumps over the lazy dog.</p>\n");
    }
    page.truncate(length);
    route
        .ipv4()
        .tcp(HTTP, route.src_port)
        .flags(ACK)
        .seq(0x0bad_0001)
        .ack(0x0ace_0001)
        .tcp_options(route.tcp_options)
        .payload(&page)
}

/// A ping as Linux sends it: 56 bytes of data.
pub fn ping(route: &Route, sequence: u16) -> PacketBuilder {
    let data: Vec<u8> = (0x10..0x48).collect();
    route.ipv4().icmp_echo(0x4d2, sequence).payload(&data)
}

/// Who has the destination?
pub fn arp_request(route: &Route) -> PacketBuilder {
    PacketBuilder::new()
        .arp(Arp::request(route.src_mac, route.src_ip, route.dst_ip))
        .pad_to(60)
}

/// The source is here, said to the destination.
pub fn arp_reply(route: &Route) -> PacketBuilder {
    PacketBuilder::new()
        .arp(Arp::reply(
            route.src_mac,
            route.src_ip,
            route.dst_mac,
            route.dst_ip,
        ))
        .pad_to(60)
}

/// The beginning of an ordinary connection.
pub fn syn(route: &Route, destination_port: u16) -> PacketBuilder {
    route
        .ipv4()
        .tcp(route.src_port, destination_port)
        .flags(SYN)
        .seq(0x6b8b_4567)
        .window(64_240)
        .tcp_options(SYN_OPTIONS)
}

/// A question for the address of example.org.
pub fn dns_query(route: &Route) -> PacketBuilder {
    let mut query = vec![0x1a, 0x2b, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
    query.extend(b"\x07example\x03org\x00");
    query.extend([0, 1, 0, 1]);
    route.ipv4().udp(route.src_port, DNS).payload(&query)
}
