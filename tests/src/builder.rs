//! The packet builder: the one place of the project that makes frames.
//!
//! A builder is a list of headers, outermost first, and a payload. `build` writes it from the inside out, so
//! every length, protocol number and checksum is right by itself; whatever a test wants wrong it overrides by
//! name (`total_length`, `ihl`, `checksum`, …) or afterwards (`overwrite`, `truncate`). The bytes are written
//! here and by no other crate, so that a parser under test can be compared with an independent one.
//! A setter whose header is not there yet panics at the line of the test that called it.

mod arp;
mod checksum;
mod ethernet;
mod gre;
mod icmp;
mod ipv4;
mod ipv6;
mod ndp;
mod route;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;

use std::net::{Ipv4Addr, Ipv6Addr};

pub use self::{
    arp::Arp,
    ethernet::Mac,
    ndp::{OVERRIDE, SOLICITED},
    route::Route,
    tcp::{ACK, CWR, ECE, FIN, PSH, RST, SYN, SYN_OPTIONS, TIMESTAMP_OPTIONS, URG},
};
use self::{
    checksum::PseudoHeader,
    ethernet::{Ethernet, Vlan},
    icmp::Icmp,
    ipv4::Ipv4,
    ipv6::{Extension, Ipv6},
    tcp::Tcp,
    udp::Udp,
};

/// Default source of a frame (locally administered).
pub const CLIENT_MAC: Mac = [0x02, 0, 0, 0, 0, 0x0a];
/// Default destination of a frame (locally administered).
pub const SERVER_MAC: Mac = [0x02, 0, 0, 0, 0, 0x50];
/// The Ethernet broadcast address.
pub const BROADCAST_MAC: Mac = [0xff; 6];
/// Default source of a packet (RFC 5737, TEST-NET-1).
pub const CLIENT_IPV4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// Default destination of a packet (RFC 5737, TEST-NET-2).
pub const SERVER_IPV4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 80);
/// Default IPv6 source (RFC 3849).
pub const CLIENT_IPV6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x10);
/// Default IPv6 destination (RFC 3849).
pub const SERVER_IPV6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 0x80);

/// Makes one Ethernet frame, header by header.
///
/// ```
/// use detector_tests::builder::{PacketBuilder, SYN};
///
/// let frame = PacketBuilder::new().vlan(7).tcp(40_000, 80).flags(SYN).pad_to(60).build();
/// assert_eq!(frame.len(), 60);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct PacketBuilder {
    layers: Vec<Layer>,
    payload: Vec<u8>,
    padded_length: usize,
    overwrites: Vec<(usize, Vec<u8>)>,
    truncated_length: Option<usize>,
}

/// One header, with the values the test gave it.
#[derive(Clone, Debug)]
enum Layer {
    Ethernet(Ethernet),
    Vlan(Vlan),
    Arp(Arp),
    Ipv4(Ipv4),
    Ipv6(Ipv6),
    Extension(Extension),
    Gre,
    Tcp(Tcp),
    Udp(Udp),
    Icmp(Icmp),
}

impl PacketBuilder {
    /// Starts a frame with an Ethernet header from [`CLIENT_MAC`] to [`SERVER_MAC`] and nothing else.
    pub fn new() -> Self {
        Self {
            layers: vec![Layer::Ethernet(Ethernet::default())],
            payload: Vec::new(),
            padded_length: 0,
            overwrites: Vec::new(),
            truncated_length: None,
        }
    }

    /// Sets the bytes behind the last header.
    pub fn payload(mut self, bytes: &[u8]) -> Self {
        self.payload = bytes.to_vec();
        self
    }

    /// Appends zeros behind the packet up to this frame length, as a card does up to 60 bytes.
    pub fn pad_to(mut self, frame_length: usize) -> Self {
        self.padded_length = frame_length;
        self
    }

    /// Replaces bytes of the finished frame from an offset on; what lies behind its end is left out.
    pub fn overwrite(mut self, offset: usize, bytes: &[u8]) -> Self {
        self.overwrites.push((offset, bytes.to_vec()));
        self
    }

    /// Cuts the finished frame to at most this length; the headers keep claiming the whole.
    pub fn truncate(mut self, frame_length: usize) -> Self {
        self.truncated_length = Some(frame_length);
        self
    }

    /// Writes the frame.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let mut frame = self.payload.clone();
        let mut next = None;
        for (index, layer) in self.layers.iter().enumerate().rev() {
            let pseudo_header = self.layers[..index]
                .iter()
                .rev()
                .find_map(Layer::pseudo_header);
            frame = layer.encode(next, pseudo_header.as_ref(), &frame);
            next = Some(layer);
        }
        if frame.len() < self.padded_length {
            frame.resize(self.padded_length, 0);
        }
        for (offset, bytes) in &self.overwrites {
            for (target, byte) in frame.iter_mut().skip(*offset).zip(bytes) {
                *target = *byte;
            }
        }
        if let Some(length) = self.truncated_length {
            frame.truncate(length);
        }
        frame
    }

    fn push(mut self, layer: Layer) -> Self {
        self.layers.push(layer);
        self
    }

    fn has_network_layer(&self) -> bool {
        self.layers
            .iter()
            .any(|layer| layer.pseudo_header().is_some())
    }

    /// The innermost header that `select` takes.
    #[track_caller]
    #[expect(
        clippy::panic,
        reason = "a setter without its header is a mistake in the test that called it"
    )]
    fn innermost<T>(
        &mut self,
        setter: &str,
        select: impl Fn(&mut Layer) -> Option<&mut T>,
    ) -> &mut T {
        match self.layers.iter_mut().rev().find_map(select) {
            Some(header) => header,
            None => panic!("PacketBuilder::{setter} was called before the header it belongs to"),
        }
    }
}

impl Default for PacketBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl Layer {
    /// The number an Ethernet header or a VLAN tag names this header by.
    fn ethertype(&self) -> Option<u16> {
        match self {
            Self::Vlan(tag) => Some(tag.tpid),
            Self::Arp(_) => Some(arp::ETHERTYPE),
            Self::Ipv4(_) => Some(ipv4::ETHERTYPE),
            Self::Ipv6(_) => Some(ipv6::ETHERTYPE),
            Self::Ethernet(_)
            | Self::Extension(_)
            | Self::Gre
            | Self::Tcp(_)
            | Self::Udp(_)
            | Self::Icmp(_) => None,
        }
    }

    /// The number an IP header names this header by.
    fn ip_protocol(&self) -> Option<u8> {
        match self {
            Self::Ipv4(_) => Some(4),
            Self::Tcp(_) => Some(6),
            Self::Udp(_) => Some(17),
            Self::Ipv6(_) => Some(41),
            Self::Gre => Some(gre::PROTOCOL),
            Self::Extension(extension) => Some(extension.protocol),
            Self::Icmp(icmp) => Some(icmp.protocol),
            Self::Ethernet(_) | Self::Vlan(_) | Self::Arp(_) => None,
        }
    }

    fn pseudo_header(&self) -> Option<PseudoHeader> {
        match self {
            Self::Ipv4(header) => Some(header.pseudo_header()),
            Self::Ipv6(header) => Some(header.pseudo_header()),
            Self::Ethernet(_)
            | Self::Vlan(_)
            | Self::Arp(_)
            | Self::Extension(_)
            | Self::Gre
            | Self::Tcp(_)
            | Self::Udp(_)
            | Self::Icmp(_) => None,
        }
    }

    /// This header and what it carries, in front of which the enclosing header goes.
    fn encode(
        &self,
        next: Option<&Self>,
        pseudo_header: Option<&PseudoHeader>,
        inner: &[u8],
    ) -> Vec<u8> {
        let ethertype = next.and_then(Self::ethertype);
        let protocol = next.and_then(Self::ip_protocol);
        match self {
            Self::Ethernet(header) => header.encode(ethertype, inner),
            Self::Vlan(tag) => tag.encode(ethertype, inner),
            Self::Arp(message) => message.encode(inner),
            Self::Ipv4(header) => header.encode(protocol, inner),
            Self::Ipv6(header) => header.encode(protocol, inner),
            Self::Extension(header) => header.encode(protocol, inner),
            Self::Gre => gre::encode(ethertype, inner),
            Self::Tcp(header) => header.encode(pseudo_header, inner),
            Self::Udp(header) => header.encode(pseudo_header, inner),
            Self::Icmp(header) => header.encode(pseudo_header, inner),
        }
    }
}

/// A length as a 16-bit field can state it.
fn length_field(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

/// A count of words or units as an 8-bit field can state it.
fn count_field(count: usize) -> u8 {
    u8::try_from(count).unwrap_or(u8::MAX)
}

/// Header options, padded with zeros to a whole number of `unit` bytes.
fn padded(options: &[u8], unit: usize) -> Vec<u8> {
    let mut bytes = options.to_vec();
    bytes.resize(options.len().next_multiple_of(unit), 0);
    bytes
}
