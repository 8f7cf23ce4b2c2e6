//! What the headers of an IP packet say, for who takes a closer look at it.

use bytemuck::{Pod, Zeroable};

use crate::{
    event::Target,
    net::{IpAddress, MacAddress, Vlan},
    parse::{Ip, Transport, ethernet::Link},
};

/// The headers of an IP packet, with all that its way needs from here.
///
/// VERIFIER: words only, so that the kernel can hand them to a function of its own, see [`super::Runtime::decide_contact`].
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
    /// From the lowest: the outer and the inner VLAN (16 bits each), the length of the frame (32).
    frame: u64,
    /// The transport header, as words.
    transport: [u64; 3],
}

impl Headers {
    #[inline(always)]
    pub(super) fn new(wire_len: usize, link: &Link, ip: &Ip, now_ns: u64) -> Self {
        Self {
            source: ip.source,
            destination: ip.destination,
            now_ns,
            source_mac: link.source.to_word(),
            frame: u64::from(link.vlan.outer)
                | u64::from(link.vlan.inner) << 16
                | (wire_len as u64) << 32,
            transport: ip.transport.to_words(),
        }
    }

    /// Who sent the frame.
    #[inline(always)]
    pub(super) fn source_mac(&self) -> MacAddress {
        MacAddress::from_word(self.source_mac)
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
