//! The packets that are measured, with what the detector makes of each.

use detector_common::{config::Config, token_bucket::Limit, verdict::Verdict};
use detector_tests::{
    builder::{ACK, CLIENT_IPV6, Mac, PacketBuilder, Route, SERVER_IPV6, SYN, SYN_OPTIONS},
    worms::{self, FULL_SEGMENT, benign},
};

/// Distinct sources of the rows where each packet has another one, less one.
pub(crate) const MANY_SENDERS_MASK: u32 = (1 << 20) - 1;

/// Who sends the ARP requests, and nothing else: xdp-filter drops all that comes from there.
pub(crate) const ARP_SENDER: Mac = [0x02, 0, 0, 0, 0, 0x66];

pub(crate) const HTTP: u16 = 80;
const DNS: u16 = 53;
/// The shortest frame on the wire, without its check sequence.
const SHORTEST: usize = 60;

/// What each packet has another of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Varied {
    /// The source's MAC, by chance.
    Mac,
    /// Its IPv4 address, by chance.
    Host,
    /// The sequence number: each is the segment that comes behind the one before.
    Sequence,
}

impl Varied {
    /// The program that does it.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Mac => "random_sender",
            Self::Host => "random_host",
            Self::Sequence => "next_segment",
        }
    }
}

/// One kind of packet.
pub(crate) struct Packet {
    /// What it is called in the table and in the budget.
    pub(crate) name: &'static str,
    pub(crate) frame: Vec<u8>,
    /// What becomes of it.
    pub(crate) verdict: Verdict,
    /// What the operator decided.
    pub(crate) config: Config,
    /// What differs from one to the next.
    pub(crate) varied: Option<Varied>,
    /// Whether its source is blocked.
    pub(crate) is_blocked: bool,
    /// The most it may cost, as a ratio to the empty program.
    pub(crate) goal: Option<f64>,
}

impl Packet {
    fn new(name: &'static str, packet: &PacketBuilder, verdict: Verdict) -> Self {
        Self {
            name,
            frame: packet.build(),
            verdict,
            config: Config::DEFAULT,
            varied: None,
            is_blocked: false,
            goal: None,
        }
    }

    fn goal(self, goal: f64) -> Self {
        Self {
            goal: Some(goal),
            ..self
        }
    }
}

/// Every kind of packet, in the order of the table.
pub(crate) fn all() -> Vec<Packet> {
    let route = Route::default();
    let opening = |packet: PacketBuilder| packet.flags(SYN).tcp_options(SYN_OPTIONS);
    let arp = arp_request(&route);
    let syn = route.ipv4().tcp(route.src_port, HTTP);
    let syn = syn.flags(SYN).pad_to(SHORTEST);
    // More than any machine can ask, and a burst that the other rows cannot have used up.
    let mut unlimited = Config::DEFAULT;
    unlimited.arp_sender = Limit::new(u32::MAX, u32::MAX.into());
    unlimited.arp_segment = unlimited.arp_sender;
    vec![
        Packet {
            config: unlimited,
            ..Packet::new("ARP request within its limit", &arp, Verdict::PASS)
        },
        Packet::new("ARP request above its limit", &arp, Verdict::DROP).goal(2.0),
        Packet {
            varied: Some(Varied::Mac),
            ..Packet::new("ARP request, 1,048,576 senders", &arp, Verdict::DROP).goal(2.5)
        },
        Packet::new("SYN to port 80", &syn, Verdict::PASS).goal(2.5),
        Packet {
            varied: Some(Varied::Host),
            ..Packet::new("SYN to port 80, 1,048,576 sources", &syn, Verdict::PASS).goal(3.0)
        },
        Packet {
            is_blocked: true,
            config: Config::DEFAULT.with_blocks(true, false),
            ..Packet::new("SYN of a blocked source", &syn, Verdict::DROP).goal(1.6)
        },
        Packet::new(
            "UDP to port 53",
            &route
                .ipv4()
                .udp(route.src_port, DNS)
                .payload(&[0; 12])
                .pad_to(SHORTEST),
            Verdict::PASS,
        ),
        Packet::new("SQL Slammer", &worms::slammer(&route), Verdict::DROP),
        Packet::new("Code Red", &worms::code_red(&route), Verdict::DROP).goal(2.0),
        Packet::new(
            "HTTP response",
            &benign::http_response(&route),
            Verdict::PASS,
        )
        .goal(1.5),
        Packet {
            config: Config::DEFAULT.with_blocks(true, false),
            ..Packet::new(
                "HTTP response while another is blocked",
                &benign::http_response(&Route {
                    src_ip: [203, 0, 113, 99].into(),
                    ..route
                }),
                Verdict::PASS,
            )
        },
        Packet::new(
            "HTTP request",
            &http_request(&route, FULL_SEGMENT),
            Verdict::PASS,
        ),
        Packet {
            varied: Some(Varied::Sequence),
            ..Packet::new(
                "HTTP request, segments in order",
                &http_request(&route, FULL_SEGMENT),
                Verdict::PASS,
            )
        },
        Packet::new(
            "IPv6 SYN behind two extensions",
            &opening(
                PacketBuilder::new()
                    .ipv6(CLIENT_IPV6, SERVER_IPV6)
                    .hop_by_hop(&[])
                    .destination_options(&[])
                    .tcp(route.src_port, HTTP),
            ),
            Verdict::PASS,
        ),
        Packet::new(
            "SYN behind two VLAN tags",
            &opening(
                PacketBuilder::new()
                    .ethernet(route.src_mac, route.dst_mac)
                    .vlan_ad(100)
                    .vlan(7)
                    .ipv4(route.src_ip, route.dst_ip)
                    .tcp(route.src_port, HTTP),
            ),
            Verdict::PASS,
        ),
    ]
}

/// A request of [`ARP_SENDER`]'s.
pub(crate) fn arp_request(route: &Route) -> PacketBuilder {
    benign::arp_request(&Route {
        src_mac: ARP_SENDER,
        ..*route
    })
}

/// A segment of eight requests, the most that are looked at, of whose targets every letter is encoded as far as there is room.
pub(crate) fn http_requests(route: &Route) -> PacketBuilder {
    let mut requests = Vec::new();
    for number in 0..8 {
        requests.extend_from_slice(b"GET /");
        requests.extend_from_slice("%61".repeat(50).as_bytes());
        requests.extend_from_slice(format!("{number} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
    }
    let packet = route.ipv4().tcp(route.src_port, HTTP);
    packet.flags(ACK).payload(&requests)
}

/// An ordinary request with `payload_bytes` in all, most of them a cookie, as browsers send them.
pub(crate) fn http_request(route: &Route, payload_bytes: usize) -> PacketBuilder {
    let mut request = b"GET /index.html HTTP/1.1\r\nHost: example.org\r\nCookie: session=".to_vec();
    request.resize(payload_bytes, b'c');
    route
        .ipv4()
        .tcp(route.src_port, HTTP)
        .flags(ACK)
        .seq(0x0ace_0001)
        .ack(0x0bad_0001)
        .payload(&request)
}
