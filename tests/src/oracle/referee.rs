//! The independent referee: what `etherparse`, written by others, reads in a frame, and the same form of what the
//! classifier reads, so that the two can be compared.
//!
//! `etherparse` stops at every fragment. A first one has a transport header all the same, so it is read on here, by
//! `etherparse`'s own slices.

use std::{net::Ipv4Addr, ops::Range};

use detector_common::{
    net::{IpAddress, IpProtocol},
    parse::{self, Packet, arp::Operation},
};
use etherparse::{
    ArpHardwareId, ArpOperation, EtherType, Icmpv4Slice, Icmpv6Slice, IpNumber, IpPayloadSlice,
    LenSource, LinkExtSlice, LinkSlice, NetSlice, SlicedPacket, TcpSlice, TransportSlice, UdpSlice,
    err::packet::SliceError,
};

/// What stands in the headers of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headers {
    /// The Ethernet source.
    pub source_mac: [u8; 6],
    /// The Ethernet destination.
    pub destination_mac: [u8; 6],
    /// The identifiers of the tags, outermost first; 0 where there is none.
    pub vlans: (u16, u16),
    /// What the frame carries.
    pub network: Network,
}

/// What a frame carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// An ARP message.
    Arp {
        /// Whether it asks; it answers otherwise.
        asks: bool,
        /// Who calls itself so.
        sender_mac: [u8; 6],
        /// What it calls itself.
        sender_ip: [u8; 16],
        /// Whom it is about.
        target_ip: [u8; 16],
    },
    /// An IP packet, its addresses in sixteen bytes.
    Ip {
        /// The source.
        source: [u8; 16],
        /// The destination.
        destination: [u8; 16],
        /// The transport header.
        transport: Transport,
        /// Where in the frame the transport's payload is.
        payload: Range<usize>,
    },
}

/// A transport header; what a protocol does not have is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transport {
    /// The IP protocol.
    pub protocol: u8,
    /// The ports, the source first.
    pub ports: (u16, u16),
    /// The sequence number of TCP.
    pub sequence: u32,
    /// Of TCP's flags the four that begin and end connections: FIN, SYN, RST, ACK.
    pub flags: [bool; 4],
    /// Whether TCP has options.
    pub has_options: bool,
    /// Type and code of ICMP.
    pub icmp: (u8, u8),
}

/// Why the referee has no headers to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It refuses the frame.
    Broken(SliceError),
    /// More VLAN tags than the classifier reports on.
    ManyTags,
    /// A header between Ethernet and IP that is no VLAN tag.
    Macsec,
    /// Not a protocol that the classifier reads.
    NotRead,
    /// A fragment that does not begin the packet.
    LaterFragment,
    /// The first fragment of a datagram that says it is shorter than its own header.
    UdpLength,
}

impl From<SliceError> for Refusal {
    fn from(error: SliceError) -> Self {
        Self::Broken(error)
    }
}

/// What `etherparse` reads in `frame`.
pub fn read(frame: &[u8]) -> Result<Headers, Refusal> {
    let sliced = SlicedPacket::from_ethernet(frame)?;
    let Some(LinkSlice::Ethernet2(ethernet)) = &sliced.link else {
        return Err(Refusal::NotRead);
    };
    let mut tags = Vec::new();
    for header in &sliced.link_exts {
        let LinkExtSlice::Vlan(tag) = header else {
            return Err(Refusal::Macsec);
        };
        tags.push(tag.vlan_identifier().value());
    }
    let vlans = match *tags {
        [] => (0, 0),
        [outer] => (outer, 0),
        [outer, inner] => (outer, inner),
        _ => return Err(Refusal::ManyTags),
    };
    Ok(Headers {
        source_mac: ethernet.source(),
        destination_mac: ethernet.destination(),
        vlans,
        network: network(frame, &sliced)?,
    })
}

impl Headers {
    /// What the classifier read.
    #[must_use]
    pub fn of(packet: &Packet) -> Self {
        let link = &packet.link;
        let network = match &packet.network {
            parse::Network::Arp(arp) => Network::Arp {
                asks: arp.operation == Operation::Request,
                sender_mac: arp.sender_mac.octets(),
                sender_ip: arp.sender_ip.octets(),
                target_ip: arp.target_ip.octets(),
            },
            parse::Network::Ip(ip) => {
                let transport = &ip.transport;
                let (tcp, icmp) = (transport.tcp(), transport.icmp());
                Network::Ip {
                    source: ip.source.octets(),
                    destination: ip.destination.octets(),
                    transport: Transport {
                        protocol: ip.transport.protocol.number().0,
                        ports: (transport.source_port(), transport.destination_port()),
                        sequence: tcp.sequence,
                        flags: [0x01, 0x02, 0x04, 0x10].map(|flag| tcp.flags.0 & flag != 0),
                        has_options: tcp.has_options,
                        icmp: (icmp.kind, icmp.code),
                    },
                    payload: ip.payload_offset..ip.payload_offset + ip.payload_len,
                }
            }
        };
        Self {
            source_mac: link.source.octets(),
            destination_mac: link.destination.octets(),
            vlans: (link.vlan.outer, link.vlan.inner),
            network,
        }
    }
}

/// An address of [`Network`] as the classifier keeps it.
#[must_use]
pub fn address(octets: [u8; 16]) -> IpAddress {
    let (first, second) = octets.split_at(8);
    let word = |half: &[u8]| {
        half.iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u64::from(*byte))
    };
    IpAddress::v6(word(first), word(second))
}

fn network(frame: &[u8], sliced: &SlicedPacket<'_>) -> Result<Network, Refusal> {
    let (source, destination, payload, later) = match &sliced.net {
        None => return Err(Refusal::NotRead),
        Some(NetSlice::Arp(arp)) => {
            let asks = match arp.operation() {
                ArpOperation::REQUEST => true,
                ArpOperation::REPLY => false,
                ArpOperation(_) => return Err(Refusal::NotRead),
            };
            // Linux takes both on Ethernet (`arp_process` in net/ipv4/arp.c).
            let hardware = [ArpHardwareId::ETHERNET, ArpHardwareId(6)];
            if !hardware.contains(&arp.hw_addr_type()) || arp.proto_addr_type() != EtherType::IPV4 {
                return Err(Refusal::NotRead);
            }
            let ip = |bytes: &[u8]| -> Result<[u8; 16], Refusal> {
                let octets: [u8; 4] = bytes.try_into().map_err(|_| Refusal::NotRead)?;
                Ok(v4(octets.into()))
            };
            return Ok(Network::Arp {
                asks,
                sender_mac: arp
                    .sender_hw_addr()
                    .try_into()
                    .map_err(|_| Refusal::NotRead)?,
                sender_ip: ip(arp.sender_protocol_addr())?,
                target_ip: ip(arp.target_protocol_addr())?,
            });
        }
        Some(NetSlice::Ipv4(ip)) => {
            let header = ip.header();
            let later = header.fragments_offset().value() != 0;
            (
                v4(header.source_addr()),
                v4(header.destination_addr()),
                ip.payload(),
                later,
            )
        }
        Some(NetSlice::Ipv6(ip)) => {
            let header = ip.header();
            let later = ip.extensions().clone().into_iter().any(|extension| {
                matches!(extension, etherparse::Ipv6ExtensionSlice::Fragment(fragment)
                    if fragment.fragment_offset().value() != 0)
            });
            (
                header.source_addr().octets(),
                header.destination_addr().octets(),
                ip.payload(),
                later,
            )
        }
    };
    if later {
        return Err(Refusal::LaterFragment);
    }
    let begun = if payload.fragmented {
        first_fragment(payload)?
    } else {
        sliced.transport.clone()
    };
    let (transport, rest) = transport(&begun.ok_or(Refusal::NotRead)?)?;
    let start = rest.as_ptr() as usize - frame.as_ptr() as usize;
    Ok(Network::Ip {
        source,
        destination,
        transport,
        payload: start..start + rest.len(),
    })
}

/// What the first fragment of a packet begins with.
fn first_fragment<'a>(payload: &IpPayloadSlice<'a>) -> Result<Option<TransportSlice<'a>>, Refusal> {
    let bytes = payload.payload;
    let length = |mut error: etherparse::err::LenError| {
        error.len_source = LenSource::Slice;
        SliceError::Len(error)
    };
    Ok(match payload.ip_number {
        IpNumber::TCP => Some(TransportSlice::Tcp(TcpSlice::from_slice(bytes).map_err(
            |error| match error {
                etherparse::err::tcp::HeaderSliceError::Len(error) => length(error),
                etherparse::err::tcp::HeaderSliceError::Content(error) => SliceError::Tcp(error),
            },
        )?)),
        // Its length is the whole datagram's, so it is read leniently, and what no datagram can say is refused here.
        IpNumber::UDP => {
            let udp = UdpSlice::from_slice_lax(bytes).map_err(length)?;
            if (1..8).contains(&udp.length()) {
                return Err(Refusal::UdpLength);
            }
            Some(TransportSlice::Udp(udp))
        }
        IpNumber::ICMP => Some(TransportSlice::Icmpv4(
            Icmpv4Slice::from_slice(bytes).map_err(length)?,
        )),
        IpNumber::IPV6_ICMP => Some(TransportSlice::Icmpv6(
            Icmpv6Slice::from_slice(bytes).map_err(length)?,
        )),
        IpNumber(_) => None,
    })
}

/// A transport header and what follows it.
fn transport<'a>(slice: &TransportSlice<'a>) -> Result<(Transport, &'a [u8]), Refusal> {
    // Every ICMP header counts as eight bytes here; `etherparse` has longer ones for timestamps.
    const ICMP_HEADER: usize = 8;
    Ok(match slice {
        TransportSlice::Tcp(tcp) => (
            Transport {
                protocol: IpProtocol::TCP.0,
                ports: (tcp.source_port(), tcp.destination_port()),
                sequence: tcp.sequence_number(),
                flags: [tcp.fin(), tcp.syn(), tcp.rst(), tcp.ack()],
                has_options: tcp.data_offset() > 5,
                ..Transport::default()
            },
            tcp.payload(),
        ),
        TransportSlice::Udp(udp) => (
            Transport {
                protocol: IpProtocol::UDP.0,
                ports: (udp.source_port(), udp.destination_port()),
                ..Transport::default()
            },
            udp.payload(),
        ),
        TransportSlice::Icmpv4(icmp) => (
            Transport {
                protocol: IpProtocol::ICMP.0,
                icmp: (icmp.type_u8(), icmp.code_u8()),
                ..Transport::default()
            },
            &icmp.slice()[ICMP_HEADER..],
        ),
        TransportSlice::Icmpv6(icmp) => (
            Transport {
                protocol: IpProtocol::ICMPV6.0,
                icmp: (icmp.type_u8(), icmp.code_u8()),
                ..Transport::default()
            },
            &icmp.slice()[ICMP_HEADER..],
        ),
        TransportSlice::Igmp(_) => return Err(Refusal::NotRead),
    })
}

fn v4(address: Ipv4Addr) -> [u8; 16] {
    address.to_ipv6_mapped().octets()
}
