//! ARP for IPv4 over Ethernet (RFC 826), with the classes of RFC 5227.

use crate::{
    net::{IpAddress, MacAddress},
    packet::{PacketBytes, Word},
    reason::Reason,
};

/// The length of an ARP message for IPv4 over Ethernet, in bytes.
pub const MESSAGE_LEN: usize = 28;

/// How a message for IPv4 over Ethernet begins: hardware type 1, protocol type 0x0800, addresses of 6 and of 4 bytes.
const ETHERNET_IPV4: u64 = u64::from_le_bytes([0, 1, 8, 0, 6, 4, 0, 0]);
/// The same of hardware type 6, IEEE 802. Linux answers it like the other.
const IEEE_802_IPV4: u64 = u64::from_le_bytes([0, 6, 8, 0, 6, 4, 0, 0]);

/// An ARP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// Whether it asks or answers.
    pub operation: Operation,
    /// The MAC that the sender gives as its own.
    pub sender_mac: MacAddress,
    /// The IPv4 address that the sender gives as its own.
    pub sender_ip: IpAddress,
    /// The IPv4 address it is about.
    pub target_ip: IpAddress,
}

/// What an ARP message does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Operation {
    /// It asks.
    Request,
    /// It answers.
    Reply,
}

impl Arp {
    /// Whether it asks for an address while owning none: an RFC 5227 probe.
    #[inline(always)]
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.operation == Operation::Request && self.sender_ip.is_unspecified_v4()
    }

    /// Whether it is about the sender's own address: an RFC 5227 announcement, or a gratuitous reply.
    #[inline(always)]
    #[must_use]
    pub fn is_announcement(&self) -> bool {
        self.sender_ip == self.target_ip
    }
}

/// Reads the ARP message at `offset`.
#[inline(always)]
pub fn parse<P: PacketBytes>(packet: &P, offset: usize) -> Result<Arp, Reason> {
    let [kind, sender_mac] = packet.two_words::<8>(offset).or(Reason::ArpTruncated)?;
    let [sender, target] = packet
        .two_words::<6>(offset.saturating_add(14))
        .or(Reason::ArpTruncated)?;
    of_words([kind, sender_mac, sender, target])
}

/// The message whose bytes 0 to 7, 8 to 15, 14 to 21 and 20 to 27 these are.
#[inline(always)]
pub(super) fn of_words([kind, sender_mac, sender, target]: [Word; 4]) -> Result<Arp, Reason> {
    if kind.0 << 16 != ETHERNET_IPV4 << 16 && kind.0 << 16 != IEEE_802_IPV4 << 16 {
        return Err(Reason::ArpNotEthernetIpv4);
    }
    let operation = match kind.u16(6) {
        1 => Operation::Request,
        2 => Operation::Reply,
        _ => return Err(Reason::ArpOperationUnknown),
    };
    Ok(Arp {
        operation,
        sender_mac: MacAddress::from_word(sender_mac.0),
        sender_ip: IpAddress::from_v4_number(sender.u32(0)),
        target_ip: IpAddress::from_v4_number(target.u32(4)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Frame;

    const REQUEST: [u8; MESSAGE_LEN] = [
        0, 1, 8, 0, 6, 4, 0, 1, // Ethernet, IPv4, request
        2, 0, 0, 0, 0, 1, 192, 0, 2, 1, // from
        0, 0, 0, 0, 0, 0, 192, 0, 2, 9, // to
    ];

    fn with(at: usize, value: u8) -> Result<Arp, Reason> {
        let mut message = REQUEST;
        message[at] = value;
        parse(&Frame::whole(&message), 0)
    }

    #[test]
    fn a_request_is_read_field_by_field() {
        let request = Arp {
            operation: Operation::Request,
            sender_mac: MacAddress::new([2, 0, 0, 0, 0, 1]),
            sender_ip: IpAddress::v4([192, 0, 2, 1]),
            target_ip: IpAddress::v4([192, 0, 2, 9]),
        };
        assert_eq!(parse(&Frame::whole(&REQUEST), 0), Ok(request));
        assert!(!request.is_probe() && !request.is_announcement());
    }

    #[test]
    fn arp_for_anything_but_ipv4_over_ethernet_is_a_reason() {
        for (at, value) in [(0, 1), (1, 7), (2, 0x86), (3, 1), (4, 8), (5, 16)] {
            assert_eq!(
                with(at, value),
                Err(Reason::ArpNotEthernetIpv4),
                "byte {at}"
            );
        }
    }

    #[test]
    fn the_hardware_type_of_ieee_802_is_ethernet_too() {
        assert_eq!(with(1, 6), with(1, 1));
        assert!(with(1, 6).is_ok());
    }

    #[test]
    fn an_operation_that_is_neither_request_nor_reply_is_a_reason() {
        assert_eq!(with(7, 2).map(|arp| arp.operation), Ok(Operation::Reply));
        assert_eq!(with(7, 0), Err(Reason::ArpOperationUnknown));
        assert_eq!(with(6, 1), Err(Reason::ArpOperationUnknown));
    }

    #[test]
    fn a_message_that_ends_early_is_truncated() {
        for len in 0..MESSAGE_LEN {
            assert_eq!(
                parse(&Frame::whole(&REQUEST[..len]), 0),
                Err(Reason::ArpTruncated)
            );
        }
    }

    #[test]
    fn probes_and_announcements_are_told_apart() {
        let mut message = REQUEST;
        message[14..18].fill(0);
        assert!(
            parse(&Frame::whole(&message), 0)
                .is_ok_and(|arp| arp.is_probe() && !arp.is_announcement())
        );
        message = REQUEST;
        message[27] = 1;
        assert!(
            parse(&Frame::whole(&message), 0)
                .is_ok_and(|arp| !arp.is_probe() && arp.is_announcement())
        );
    }
}
