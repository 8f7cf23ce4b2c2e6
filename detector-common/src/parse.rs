//! From bytes to a [`Packet`]: link layer, then network, then transport.
//!
//! Every length is checked before it is used and every way not to understand a packet is a [`Reason`]. Where a
//! payload ends is what the IP header says; what follows is padding. A later fragment has no transport header, so it
//! is a reason of its own and never a [`Packet`].

pub mod arp;
pub mod ethernet;
pub mod icmp;
pub mod ipv4;
pub mod ipv6;
pub mod ndp;
pub mod plain;
pub mod tcp;
pub mod udp;

use crate::{
    net::{EtherType, IpAddress, IpProtocol},
    packet::{PacketBytes, Word, is_zero},
    reason::Reason,
};
use arp::Arp;
use ethernet::Link;
use icmp::Icmp;
use tcp::Tcp;

/// The farthest that a payload may begin, in bytes from the start of the frame. Only IPv6 extension headers reach
/// farther, and six sensible ones do not.
pub const PAYLOAD_OFFSET_MAX: usize = 2047;

/// A packet that was understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Its Ethernet header and tags.
    pub link: Link,
    /// What the Ethernet header carries.
    pub network: Network,
}

/// What an Ethernet frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// An ARP message.
    Arp(Arp),
    /// An IP packet.
    Ip(Ip),
}

/// An IP packet with a transport header: whole, or the first fragment of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ip {
    /// The source address.
    pub source: IpAddress,
    /// The destination address.
    pub destination: IpAddress,
    /// The transport header.
    pub transport: Transport,
    /// Where the transport's payload begins, in bytes from the start of the frame; at most [`PAYLOAD_OFFSET_MAX`].
    pub payload_offset: usize,
    /// The length of that payload in this packet, in bytes, without padding.
    pub payload_len: usize,
    /// Whether it is an IPv6 packet that is whole and that no router has passed on, as neighbour discovery asks.
    pub from_neighbour: bool,
}

/// A transport header, as it stands in the packet. What a protocol does not have is zero.
///
/// VERIFIER: words, not fields or an enum of headers. The compiler would copy those through the stack byte by byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// Which protocol.
    pub protocol: Protocol,
    /// The first eight bytes: all that UDP and ICMP have.
    first: Word,
    /// Bytes 12 to 19 of TCP.
    last: Word,
}

impl Transport {
    #[inline(always)]
    fn first_word(&self) -> Word {
        self.first
    }

    /// The header as words, of which [`Self::from_words`] makes it again.
    #[inline(always)]
    pub(crate) fn to_words(self) -> [u64; 3] {
        [self.protocol as u64, self.first.0, self.last.0]
    }

    /// The header that the words were made of.
    #[inline(always)]
    pub(crate) fn from_words([protocol, first, last]: [u64; 3]) -> Self {
        Self {
            protocol: match protocol {
                0 => Protocol::Tcp,
                1 => Protocol::Udp,
                2 => Protocol::Icmp,
                _ => Protocol::Icmpv6,
            },
            first: Word(first),
            last: Word(last),
        }
    }

    /// The source port of TCP and UDP.
    #[inline(always)]
    #[must_use]
    pub fn source_port(&self) -> u16 {
        if self.protocol.has_ports() {
            self.first.u16(0)
        } else {
            0
        }
    }

    /// The destination port of TCP and UDP.
    #[inline(always)]
    #[must_use]
    pub fn destination_port(&self) -> u16 {
        if self.protocol.has_ports() {
            self.first.u16(2)
        } else {
            0
        }
    }

    /// What only TCP has.
    #[inline(always)]
    #[must_use]
    pub fn tcp(&self) -> Tcp {
        if self.protocol == Protocol::Tcp {
            Tcp::new(self.first, self.last)
        } else {
            Tcp::default()
        }
    }

    /// The length of a TCP header, in bytes; 0 for another protocol.
    #[inline(always)]
    #[must_use]
    pub fn tcp_header_len(&self) -> u8 {
        if self.protocol == Protocol::Tcp {
            tcp::header_len(self.last) as u8
        } else {
            0
        }
    }

    /// The window of a TCP header; of another protocol nothing.
    #[inline(always)]
    #[must_use]
    pub fn tcp_window(&self) -> u16 {
        self.last.u16(2)
    }

    /// The identifier and the sequence number of an ICMP message; [`u32::MAX`] each of one that has none. Those are of types 0, 8 and 13 to 18
    /// (RFC 792, RFC 950), and of `ICMPv6` 128 and 129 (RFC 4443).
    #[inline(always)]
    #[must_use]
    pub fn icmp_numbers(&self) -> [u32; 2] {
        // VERIFIER: without a branch: bits by the type, of which only the lower five are taken, and whether the others are as they must be.
        const OF_ICMP: u32 = 1 | 1 << 8 | 0x3f << 13;
        let kind = u32::from(self.first.u8(0));
        let is_icmp = OF_ICMP.wrapping_shr(kind & 31) & is_zero(u64::from(kind >> 5)) as u32;
        let is_v6 = is_zero(u64::from(kind >> 1 ^ 64)) as u32;
        let missing = ((is_icmp | is_v6) & 1).wrapping_sub(1);
        [4, 6].map(|at| u32::from(self.first.u16(at)) | missing)
    }

    /// What only ICMP and `ICMPv6` have.
    #[inline(always)]
    #[must_use]
    pub fn icmp(&self) -> Icmp {
        if self.protocol.has_ports() {
            Icmp::default()
        } else {
            Icmp::new(self.first)
        }
    }
}

/// A transport protocol that is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP for IPv4.
    Icmp,
    /// ICMP for IPv6.
    Icmpv6,
}

impl Protocol {
    /// Its number in an IP header.
    #[inline(always)]
    #[must_use]
    pub fn number(self) -> IpProtocol {
        match self {
            Self::Tcp => IpProtocol::TCP,
            Self::Udp => IpProtocol::UDP,
            Self::Icmp => IpProtocol::ICMP,
            Self::Icmpv6 => IpProtocol::ICMPV6,
        }
    }

    #[inline(always)]
    fn has_ports(self) -> bool {
        matches!(self, Self::Tcp | Self::Udp)
    }
}

/// A packet whose transport header was not looked at yet.
pub(crate) enum Opened {
    /// An ARP message.
    Arp(Arp),
    /// The source of an IP packet, and what its header says of what it carries, or why it says nothing.
    Ip(IpAddress, Result<Carried, Reason>),
}

/// What an IP header says of what it carries.
pub(crate) struct Carried {
    source: IpAddress,
    destination: IpAddress,
    protocol: IpProtocol,
    /// Where the transport header begins, in bytes from the start of the frame.
    offset: usize,
    /// Where the IP packet ends, in bytes from the start of the frame.
    end: usize,
    /// Whether more fragments follow: then a transport's own length may reach beyond `end`.
    fragmented: bool,
    /// Whether an IPv6 packet is whole and no router has passed it on, as neighbour discovery asks.
    from_neighbour: bool,
    /// What a UDP length of 0 means, in bytes: nothing in IPv4, and in IPv6 all there is. RFC 2675 §4 has it in jumbograms;
    /// Linux takes it in any IPv6 packet.
    udp_length_of_zero: usize,
}

impl Carried {
    /// Why a header that does not end before the packet does is not read: `reason`, unless the packet is a first fragment, which must hold
    /// all of its headers. Of one that does not, a filter cannot say what it is (RFC 1858 §3, RFC 7112 §5).
    #[inline(always)]
    fn ends_in_header(&self, reason: Reason) -> Reason {
        if self.fragmented {
            Reason::FirstFragmentTooShort
        } else {
            reason
        }
    }
}

/// A transport header with what follows it.
struct Segment {
    transport: Transport,
    /// Where the payload begins, in bytes from the start of the frame.
    payload_offset: usize,
    /// Where it ends.
    end: usize,
}

/// Understands a packet, or says why not.
#[inline(always)]
pub fn parse<P: PacketBytes>(packet: &P) -> Result<Packet, Reason> {
    let (link, opened) = open(packet)?;
    let network = match opened {
        Opened::Arp(arp) => Network::Arp(arp),
        Opened::Ip(_, carried) => Network::Ip(parse_transport(packet, &carried?)?),
    };
    Ok(Packet { link, network })
}

/// The first part of [`parse`]: who it is from.
#[inline(always)]
pub(crate) fn open<P: PacketBytes>(packet: &P) -> Result<(Link, Opened), Reason> {
    let (link, ethertype, offset) = ethernet::parse(packet)?;
    let opened = match ethertype {
        EtherType::ARP => Opened::Arp(arp::parse(packet, offset)?),
        EtherType::IPV4 => ipv4::parse(packet, offset)?,
        EtherType::IPV6 => ipv6::parse(packet, offset)?,
        EtherType(_) => return Err(Reason::EtherTypeUnknown),
    };
    Ok((link, opened))
}

/// The second part of [`parse`], of an IP packet: what it carries.
#[inline(always)]
pub(crate) fn parse_transport<P: PacketBytes>(packet: &P, carried: &Carried) -> Result<Ip, Reason> {
    let Segment {
        transport,
        payload_offset,
        end,
    } = match carried.protocol {
        IpProtocol::TCP => tcp::parse(packet, carried)?,
        IpProtocol::UDP => udp::parse(packet, carried)?,
        IpProtocol::ICMP => icmp::parse(packet, carried, Protocol::Icmp)?,
        IpProtocol::ICMPV6 => icmp::parse(packet, carried, Protocol::Icmpv6)?,
        IpProtocol(_) => return Err(Reason::IpProtocolUnknown),
    };
    Ok(Ip {
        source: carried.source,
        destination: carried.destination,
        transport,
        payload_offset,
        payload_len: end.saturating_sub(payload_offset),
        from_neighbour: carried.from_neighbour,
    })
}
