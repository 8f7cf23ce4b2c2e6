//! What a packet is: all that its way needs from its headers, in one record.

use bytemuck::{Pod, Zeroable};

use super::{headers::Headers, neighbour::Message};
use crate::{
    packet::PacketBytes,
    parse::{Ip, Network, Opened, Packet, arp::Arp, ethernet::Link, open, parse_transport},
    reason::Reason,
};

/// What kind of packet it is.
///
/// VERIFIER: a number that went through memory, so that all ways to parse a packet go on as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(transparent)]
pub struct Kind(u32);

impl Kind {
    /// It has no source that could be said; there is a reason.
    pub const UNKNOWN: Self = Self(0);
    /// An ARP message.
    pub const ARP: Self = Self(1);
    /// An IP packet of which only the source is known; there is a reason.
    pub const IP_UNKNOWN: Self = Self(2);
    /// An IP packet that has a message of neighbour discovery.
    pub const DISCOVERY: Self = Self(3);
    /// Any other IP packet.
    pub const IP: Self = Self(4);
    /// One that was plain, whose source is not blocked: that is asked before anything is kept.
    pub const PLAIN_IP: Self = Self(5);
}

/// A packet that was parsed.
///
/// VERIFIER: words only and always in its place, where the kernel's function that parses leaves it, see [`super::Runtime::parse`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Parsed {
    kind: Kind,
    reason: u32,
    headers: Headers,
    message: Message,
}

impl Parsed {
    /// Parses `packet`, which came at `now_ns`. What it does not have is left as it was.
    #[inline(always)]
    pub fn read<P: PacketBytes>(&mut self, packet: &P, now_ns: u64) {
        match open(packet) {
            Ok((link, Opened::Arp(arp))) => {
                self.keep_arp(packet, &link, &arp, now_ns);
            }
            Ok((link, Opened::Ip(source, carried))) => {
                match carried.and_then(|carried| parse_transport(packet, &carried)) {
                    Ok(ip) => {
                        self.keep_ip(Kind::IP, packet, &link, &ip, now_ns);
                        if let Some(message) = Message::of_ndp(packet, &link, &ip, now_ns) {
                            self.message = message;
                            self.kind = Kind::DISCOVERY;
                        }
                    }
                    Err(reason) => {
                        self.headers.source = source;
                        self.headers.now_ns = now_ns;
                        self.kind = Kind::IP_UNKNOWN;
                        self.reason = reason as u32;
                    }
                }
            }
            Err(reason) => {
                self.kind = Kind::UNKNOWN;
                self.reason = reason as u32;
            }
        }
    }

    /// Keeps what `packet` was parsed as already, as [`Self::read`] keeps it.
    #[inline(always)]
    pub fn keep<P: PacketBytes>(&mut self, packet: &P, plain: &Packet, now_ns: u64) {
        match &plain.network {
            Network::Arp(arp) => self.keep_arp(packet, &plain.link, arp, now_ns),
            Network::Ip(ip) => self.keep_ip(Kind::PLAIN_IP, packet, &plain.link, ip, now_ns),
        }
    }

    #[inline(always)]
    fn keep_arp<P: PacketBytes>(&mut self, packet: &P, link: &Link, arp: &Arp, now_ns: u64) {
        self.kind = Kind::ARP;
        self.message = Message::of_arp(packet, link, arp, now_ns);
    }

    #[inline(always)]
    fn keep_ip<P: PacketBytes>(
        &mut self,
        kind: Kind,
        packet: &P,
        link: &Link,
        ip: &Ip,
        now_ns: u64,
    ) {
        self.kind = kind;
        self.headers = Headers::new(packet.wire_len(), link, ip, now_ns);
    }

    /// What it is.
    #[inline(always)]
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Why no more is known of it.
    #[inline(always)]
    #[must_use]
    pub fn reason(&self) -> Reason {
        Reason::from_number(self.reason as u8)
    }

    /// The headers of an IP packet.
    #[inline(always)]
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The message of ARP or of neighbour discovery.
    #[inline(always)]
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.message
    }
}
