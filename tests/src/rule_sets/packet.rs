//! A packet, as far as rules can ask about it.

use std::net::IpAddr;

use crate::builder::{ACK, CLIENT_IPV4, PacketBuilder, SERVER_IPV4, TIMESTAMP_OPTIONS};

/// A packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Who sent it.
    pub source: IpAddr,
    /// To whom, of the same family.
    pub destination: IpAddr,
    /// The hops that are left.
    pub ttl: u8,
    /// The identification of an IPv4 header.
    pub id: u16,
    /// Whether an IPv4 header says that it must not be fragmented.
    pub dont_fragment: bool,
    /// The options of an IPv4 header.
    pub options: IpOptions,
    /// The transport header.
    pub transport: Transport,
    /// What follows.
    pub payload: Vec<u8>,
}

/// The options of an IPv4 header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpOptions {
    /// None.
    None,
    /// Of these numbers, in four bytes.
    Some(&'static [u8], [u8; 4]),
}

impl IpOptions {
    /// Padding, a recorded route, and a router alert (RFC 2113), for which rules have no name.
    pub(super) const ALL: [Self; 4] = [
        Self::None,
        Self::Some(&[1], [1, 1, 1, 1]),
        Self::Some(&[7], [7, 4, 4, 0]),
        Self::Some(&[148], [148, 4, 0, 0]),
    ];
}

/// A transport header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Of TCP.
    Tcp {
        /// The source's and the destination's.
        ports: [u16; 2],
        /// The flags.
        flags: u8,
        /// Whether it has options.
        has_options: bool,
    },
    /// Of UDP.
    Udp {
        /// The source's and the destination's.
        ports: [u16; 2],
    },
    /// Of ICMP, or of `ICMPv6` behind an IPv6 header.
    Icmp {
        /// The type.
        kind: u8,
        /// The code.
        code: u8,
    },
}

impl Packet {
    /// The sequence number of every TCP segment.
    pub const SEQUENCE: u32 = 0xc000_0209;

    /// The acknowledgement number of every TCP segment.
    pub const ACKNOWLEDGEMENT: u32 = 0x8000_0007;
    /// The window of every TCP segment.
    pub const WINDOW: u16 = 0x4321;
    /// The identifier of every ICMP message that has one.
    pub const ICMP_ID: u16 = 0x0102;
    /// The sequence number of every ICMP message that has one.
    pub const ICMP_SEQUENCE: u16 = 0x0304;

    /// A segment to a web server.
    #[must_use]
    pub fn to_web(payload: Vec<u8>) -> Self {
        Self {
            source: CLIENT_IPV4.into(),
            destination: SERVER_IPV4.into(),
            ttl: 64,
            id: 0,
            dont_fragment: true,
            options: IpOptions::None,
            transport: Transport::Tcp {
                ports: [40_000, 80],
                flags: ACK,
                has_options: false,
            },
            payload,
        }
    }

    /// It as a frame.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let packet = PacketBuilder::new();
        let (packet, is_v6) = match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let packet = packet
                    .ipv4(source, destination)
                    .ttl(self.ttl)
                    .ip_id(self.id);
                let packet = packet.dont_fragment(self.dont_fragment);
                match &self.options {
                    IpOptions::None => (packet, false),
                    IpOptions::Some(_, bytes) => (packet.ipv4_options(bytes), false),
                }
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                (packet.ipv6(source, destination).hop_limit(self.ttl), true)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => (packet, false),
        };
        let packet = match self.transport {
            Transport::Tcp {
                ports: [from, to],
                flags,
                has_options,
            } => {
                let packet = packet.tcp(from, to).flags(flags).seq(Self::SEQUENCE);
                let packet = packet.ack(Self::ACKNOWLEDGEMENT).window(Self::WINDOW);
                if has_options {
                    packet.tcp_options(TIMESTAMP_OPTIONS)
                } else {
                    packet
                }
            }
            Transport::Udp { ports: [from, to] } => packet.udp(from, to),
            Transport::Icmp { kind, code } if is_v6 => packet.icmpv6(kind, code, [1, 2, 3, 4]),
            Transport::Icmp { kind, code } => packet.icmp(kind, code, [1, 2, 3, 4]),
        };
        packet.payload(&self.payload).build()
    }
}
