//! ARP messages for IPv4 over Ethernet (RFC 826), with every field open to change.

use std::net::Ipv4Addr;

use super::{BROADCAST_MAC, Layer, Mac, PacketBuilder};

pub(super) const ETHERTYPE: u16 = 0x0806;

const REQUEST: u16 = 1;
const REPLY: u16 = 2;

/// An ARP message. Change a field for a wrong one: `Arp { operation: 9, ..Arp::request(mac, ip, target) }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// HTYPE, 1 for Ethernet.
    pub hardware_type: u16,
    /// PTYPE, 0x0800 for IPv4.
    pub protocol_type: u16,
    /// HLEN, 6.
    pub hardware_length: u8,
    /// PLEN, 4.
    pub protocol_length: u8,
    /// OPER, 1 request, 2 reply.
    pub operation: u16,
    /// SHA.
    pub sender_mac: Mac,
    /// SPA.
    pub sender_ip: Ipv4Addr,
    /// THA.
    pub target_mac: Mac,
    /// TPA.
    pub target_ip: Ipv4Addr,
}

impl Arp {
    /// Who has `target_ip`? Tell `sender_ip`.
    #[must_use]
    pub fn request(
        sender_mac: Mac,
        sender_ip: impl Into<Ipv4Addr>,
        target_ip: impl Into<Ipv4Addr>,
    ) -> Self {
        Self {
            hardware_type: 1,
            protocol_type: 0x0800,
            hardware_length: 6,
            protocol_length: 4,
            operation: REQUEST,
            sender_mac,
            sender_ip: sender_ip.into(),
            target_mac: [0; 6],
            target_ip: target_ip.into(),
        }
    }

    /// `sender_ip` is at `sender_mac`, said to the target.
    #[must_use]
    pub fn reply(
        sender_mac: Mac,
        sender_ip: impl Into<Ipv4Addr>,
        target_mac: Mac,
        target_ip: impl Into<Ipv4Addr>,
    ) -> Self {
        Self {
            operation: REPLY,
            target_mac,
            ..Self::request(sender_mac, sender_ip, target_ip)
        }
    }

    /// RFC 5227 §1.1: a probe asks for an address before it is used, from the sender 0.0.0.0.
    #[must_use]
    pub fn probe(sender_mac: Mac, wanted: impl Into<Ipv4Addr>) -> Self {
        Self::request(sender_mac, Ipv4Addr::UNSPECIFIED, wanted)
    }

    /// RFC 5227 §1.1: an announcement is a request for the sender's own address.
    #[must_use]
    pub fn announcement(sender_mac: Mac, sender_ip: impl Into<Ipv4Addr>) -> Self {
        let sender_ip = sender_ip.into();
        Self::request(sender_mac, sender_ip, sender_ip)
    }

    pub(super) fn encode(&self, inner: &[u8]) -> Vec<u8> {
        let mut bytes = self.hardware_type.to_be_bytes().to_vec();
        bytes.extend(self.protocol_type.to_be_bytes());
        bytes.extend([self.hardware_length, self.protocol_length]);
        bytes.extend(self.operation.to_be_bytes());
        bytes.extend(self.sender_mac);
        bytes.extend(self.sender_ip.octets());
        bytes.extend(self.target_mac);
        bytes.extend(self.target_ip.octets());
        bytes.extend(inner);
        bytes
    }
}

impl PacketBuilder {
    /// Adds any ARP message; the frame goes from its sender to its target, or to everybody if that is all zeros.
    pub fn arp(self, message: Arp) -> Self {
        let destination = if message.target_mac == [0; 6] {
            BROADCAST_MAC
        } else {
            message.target_mac
        };
        self.ethernet_defaults(message.sender_mac, destination)
            .push(Layer::Arp(message))
    }

    /// Adds a broadcast request.
    pub fn arp_request(
        self,
        sender_mac: Mac,
        sender_ip: impl Into<Ipv4Addr>,
        target_ip: impl Into<Ipv4Addr>,
    ) -> Self {
        self.arp(Arp::request(sender_mac, sender_ip, target_ip))
    }

    /// Adds a unicast reply.
    pub fn arp_reply(
        self,
        sender_mac: Mac,
        sender_ip: impl Into<Ipv4Addr>,
        target_mac: Mac,
        target_ip: impl Into<Ipv4Addr>,
    ) -> Self {
        self.arp(Arp::reply(sender_mac, sender_ip, target_mac, target_ip))
    }
}
