//! A message of ARP or of neighbour discovery, as the parser hands it on.

use bytemuck::{Pod, Zeroable};

use crate::{
    detect::arp_flood,
    neighbour::{Class, Family},
    net::{IpAddress, MacAddress, Vlan},
    packet::PacketBytes,
    parse::{
        Ip,
        arp::Arp,
        ethernet::Link,
        ndp::{self, Ndp},
    },
    verdict::Decision,
};

/// A message with what is known of its frame: all that its way needs.
///
/// VERIFIER: words only, as it is a part of [`crate::pipeline::parsed::Parsed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Message {
    /// MACs as words: of the frame, then of the message.
    source: u64,
    destination: u64,
    sender_mac: u64,
    /// The address that the sender calls its own.
    pub(super) claimed: IpAddress,
    /// The address that the message is about.
    pub(super) target: IpAddress,
    /// From the lowest: the outer and the inner VLAN (16 bits each), the length of the frame (32).
    frame: u64,
    /// From the lowest: the class, the family, whether it says whose an address is that is nobody's yet, and whether it may take
    /// one that is another's (8 bits each).
    kind: u64,
    pub(super) now_ns: u64,
}

impl Message {
    #[inline(always)]
    pub(in crate::pipeline) fn of_arp<P: PacketBytes>(
        packet: &P,
        link: &Link,
        arp: &Arp,
        now_ns: u64,
    ) -> Self {
        let class = arp_flood::class(arp, link.destination);
        Self {
            sender_mac: arp.sender_mac.to_word(),
            claimed: arp.sender_ip,
            target: arp.target_ip,
            kind: u64::from(class.number())
                | u64::from(Family::ARP.number()) << 8
                | u64::from(binds(class)) << 16
                | 1 << 24,
            ..Self::of_frame(packet, link, now_ns)
        }
    }

    /// The message that an IP packet has, if it is one of neighbour discovery.
    #[inline(always)]
    pub(in crate::pipeline) fn of_ndp<P: PacketBytes>(
        packet: &P,
        link: &Link,
        ip: &Ip,
        now_ns: u64,
    ) -> Option<Self> {
        let ndp = ndp::parse(packet, link, ip)?;
        let class = class(&ndp, ip.source, link);
        // An answer that overrides nothing is a proxy's or an anycast address's. Still who waits for one believes it (RFC 4861 §7.2.5).
        let takes = ndp.is_solicitation || ndp.overrides;
        let binds = takes && binds(class);
        let claims = takes || ndp.is_solicited;
        Some(Self {
            sender_mac: ndp.mac.to_word(),
            claimed: if ndp.is_solicitation {
                ip.source
            } else {
                ndp.target
            },
            target: ndp.target,
            kind: u64::from(class.number())
                | u64::from(Family::ND.number()) << 8
                | u64::from(binds) << 16
                | u64::from(claims) << 24,
            ..Self::of_frame(packet, link, now_ns)
        })
    }

    #[inline(always)]
    fn of_frame<P: PacketBytes>(packet: &P, link: &Link, now_ns: u64) -> Self {
        Self {
            source: link.source.to_word(),
            destination: link.destination.to_word(),
            frame: u64::from(link.vlan.outer)
                | u64::from(link.vlan.inner) << 16
                | (packet.wire_len() as u64) << 32,
            now_ns,
            ..Self::zeroed()
        }
    }

    /// What kind of message it is.
    #[inline(always)]
    pub(super) fn class(&self) -> Class {
        Class::from_number(self.kind as u8)
    }

    /// Which protocol it is of.
    #[inline(always)]
    pub(super) fn family(&self) -> Family {
        Family::from_number((self.kind >> 8) as u8)
    }

    /// What becomes of it if nobody objects.
    #[inline(always)]
    pub(super) fn passed(&self) -> Decision {
        Decision::pass(self.class().reason(self.family()))
    }

    /// Whether it says whose an address is that is nobody's yet.
    #[inline(always)]
    pub(super) fn binds(&self) -> bool {
        self.kind >> 16 & 1 == 1
    }

    /// Whether it may take one that is another's.
    #[inline(always)]
    pub(super) fn claims(&self) -> bool {
        self.kind >> 24 & 1 == 1
    }

    /// The frame it came in.
    #[inline(always)]
    pub(super) fn link(&self) -> Link {
        Link {
            source: MacAddress::from_word(self.source),
            destination: MacAddress::from_word(self.destination),
            vlan: Vlan {
                outer: self.frame as u16,
                inner: (self.frame >> 16) as u16,
            },
        }
    }

    /// The length of the frame, in bytes.
    #[inline(always)]
    pub(super) fn bytes(&self) -> u64 {
        self.frame >> 32
    }

    /// The MAC that the sender calls its own.
    #[inline(always)]
    pub(super) fn sender_mac(&self) -> MacAddress {
        MacAddress::from_word(self.sender_mac)
    }
}

/// Whether a message of this class may say whose an address is. A unicast request may not: nobody counts them, so one for each address
/// would make an owner of all, unseen.
#[inline(always)]
fn binds(class: Class) -> bool {
    class != Class::UNICAST_REQUEST
}

/// What kind of message of neighbour discovery it is, sent from `source`.
#[inline(always)]
fn class(ndp: &Ndp, source: IpAddress, link: &Link) -> Class {
    if !ndp.is_solicitation {
        return if ndp.is_solicited {
            Class::REPLY
        } else {
            Class::ANNOUNCEMENT
        };
    }
    if source.is_unspecified_v6() {
        Class::PROBE
    } else if link.destination.is_group() {
        Class::REQUEST
    } else {
        Class::UNICAST_REQUEST
    }
}
