//! ICMP (RFC 792) and `ICMPv6` (RFC 4443) messages: type, code, four bytes that depend on them, and a payload.

use super::{
    CLIENT_IPV6, Layer, PacketBuilder, SERVER_IPV6,
    checksum::{PseudoHeader, internet_checksum, transport_checksum},
};

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// A message of either family; `None` means the right checksum.
#[derive(Clone, Debug)]
pub(super) struct Icmp {
    pub(super) protocol: u8,
    message_type: u8,
    code: u8,
    rest_of_header: [u8; 4],
    pub(super) checksum: Option<u16>,
}

impl PacketBuilder {
    /// Adds an ICMP message, over the default IPv4 header if there is no IP header yet.
    pub fn icmp(self, message_type: u8, code: u8, rest_of_header: [u8; 4]) -> Self {
        self.over_ip().push(Layer::Icmp(Icmp {
            protocol: ICMP,
            message_type,
            code,
            rest_of_header,
            checksum: None,
        }))
    }

    /// Adds an echo request.
    pub fn icmp_echo(self, identifier: u16, sequence: u16) -> Self {
        self.icmp(8, 0, echo(identifier, sequence))
    }

    /// Adds an echo reply.
    pub fn icmp_echo_reply(self, identifier: u16, sequence: u16) -> Self {
        self.icmp(0, 0, echo(identifier, sequence))
    }

    /// Adds an `ICMPv6` message, over the default IPv6 header if there is no IP header yet.
    pub fn icmpv6(self, message_type: u8, code: u8, rest_of_header: [u8; 4]) -> Self {
        let over_ip = if self.has_network_layer() {
            self
        } else {
            self.ipv6(CLIENT_IPV6, SERVER_IPV6)
        };
        let message = Icmp {
            protocol: ICMPV6,
            message_type,
            code,
            rest_of_header,
            checksum: None,
        };
        over_ip.push(Layer::Icmp(message))
    }

    /// Adds an `ICMPv6` echo request.
    pub fn icmpv6_echo(self, identifier: u16, sequence: u16) -> Self {
        self.icmpv6(128, 0, echo(identifier, sequence))
    }
}

impl Icmp {
    pub(super) fn encode(&self, pseudo_header: Option<&PseudoHeader>, inner: &[u8]) -> Vec<u8> {
        let mut bytes = vec![self.message_type, self.code, 0, 0];
        bytes.extend(self.rest_of_header);
        bytes.extend(inner);
        // RFC 4443 §2.3: the pseudo header is part of the sum in ICMPv6, not in ICMP.
        let computed = if self.protocol == ICMPV6 {
            transport_checksum(pseudo_header, ICMPV6, &bytes)
        } else {
            internet_checksum(&bytes)
        };
        bytes[2..4].copy_from_slice(&self.checksum.unwrap_or(computed).to_be_bytes());
        bytes
    }
}

fn echo(identifier: u16, sequence: u16) -> [u8; 4] {
    let [id_high, id_low] = identifier.to_be_bytes();
    let [sequence_high, sequence_low] = sequence.to_be_bytes();
    [id_high, id_low, sequence_high, sequence_low]
}
