//! What the headers of an IP packet say, for who takes a closer look at it.

use bytemuck::{Pod, Zeroable};

use crate::{
    detect::signature::carry::Segment,
    event::Target,
    net::{IpAddress, MacAddress, Vlan},
    parse::{Ip, Transport, ethernet::Link},
};

/// The headers of an IP packet, with all that its way needs from here.
///
/// VERIFIER: words only, as they are a part of [`super::parsed::Parsed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Headers {
    /// The source address.
    pub source: IpAddress,
    /// The destination address.
    pub destination: IpAddress,
    /// When the packet came, in nanoseconds of the runtime's clock.
    pub now_ns: u64,
    source_mac: u64,
    destination_mac: u64,
    /// From the lowest: the outer and the inner VLAN (16 bits each), the length of the frame (32).
    frame: u64,
    /// The transport header, as words.
    transport: [u64; 3],
    /// From the lowest: where the payload begins (16 bits), whether a neighbour sent it (16), the payload's length (32).
    payload: u64,
}

impl Headers {
    #[inline(always)]
    pub(super) fn new(wire_len: usize, link: &Link, ip: &Ip, now_ns: u64) -> Self {
        Self {
            source: ip.source,
            destination: ip.destination,
            now_ns,
            source_mac: link.source.to_word(),
            destination_mac: link.destination.to_word(),
            frame: u64::from(link.vlan.outer)
                | u64::from(link.vlan.inner) << 16
                | (wire_len as u64) << 32,
            transport: ip.transport.to_words(),
            payload: ip.payload_offset as u64
                | u64::from(ip.from_neighbour) << 16
                | (ip.payload_len as u64) << 32,
        }
    }

    /// Who sent the frame.
    #[inline(always)]
    pub(super) fn source_mac(&self) -> MacAddress {
        MacAddress::from_word(self.source_mac)
    }

    /// Whether the frame is for more than one host.
    #[inline(always)]
    pub(super) fn is_for_group(&self) -> bool {
        MacAddress::from_word(self.destination_mac).is_group()
    }

    #[inline(always)]
    pub(super) fn vlan(&self) -> Vlan {
        Vlan {
            outer: self.frame as u16,
            inner: (self.frame >> 16) as u16,
        }
    }

    /// The length of the frame, in bytes.
    #[inline(always)]
    pub(super) fn bytes(&self) -> u32 {
        (self.frame >> 32) as u32
    }

    /// The transport header.
    #[inline(always)]
    pub(super) fn transport(&self) -> Transport {
        Transport::from_words(self.transport)
    }

    /// The packet.
    #[inline(always)]
    #[must_use]
    pub fn ip(&self) -> Ip {
        Ip {
            source: self.source,
            destination: self.destination,
            transport: self.transport(),
            payload_offset: usize::from(self.payload as u16),
            payload_len: (self.payload >> 32) as usize,
            from_neighbour: self.payload >> 16 & 1 == 1,
        }
    }

    /// The segment of TCP that the packet is, which came in by `interface`; `None` if it is none, or has no payload.
    #[inline(always)]
    #[must_use]
    pub fn segment(&self, interface: u8, seed: u64) -> Option<Segment> {
        Segment::of(&self.ip(), interface, self.vlan(), seed)
    }

    /// Whom the packet is for.
    #[inline(always)]
    pub(super) fn target(&self) -> Target {
        let transport = self.transport();
        Target::new(
            self.destination,
            transport.source_port(),
            transport.destination_port(),
            transport.protocol.number().0,
        )
    }
}
