//! The Internet checksum (RFC 1071) and the pseudo headers that TCP, UDP and `ICMPv6` put in front of it.

/// What a transport checksum takes from the IP header: both addresses, in wire order.
pub(super) struct PseudoHeader {
    /// Source and destination, 8 bytes (IPv4) or 32 (IPv6).
    pub(super) addresses: Vec<u8>,
}

impl PseudoHeader {
    /// The bytes summed before the transport header.
    ///
    /// RFC 9293 §3.1 and RFC 8200 §8.1 place zeros and widths differently; the sum of the two forms is the same.
    fn bytes(&self, protocol: u8, length: usize) -> Vec<u8> {
        let mut bytes = self.addresses.clone();
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        bytes.extend(length.to_be_bytes());
        bytes.extend([0, 0, 0, protocol]);
        bytes
    }
}

/// The checksum of a header whose own checksum field is zero.
pub(super) fn internet_checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for word in bytes.chunks(2) {
        let high = word.first().copied().unwrap_or(0);
        let low = word.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_be_bytes([high, low]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let [_, _, high, low] = sum.to_be_bytes();
    !u16::from_be_bytes([high, low])
}

/// The checksum of a transport segment; without an IP header around it, of the segment alone.
pub(super) fn transport_checksum(
    pseudo_header: Option<&PseudoHeader>,
    protocol: u8,
    segment: &[u8],
) -> u16 {
    let mut bytes =
        pseudo_header.map_or_else(Vec::new, |header| header.bytes(protocol, segment.len()));
    bytes.extend(segment);
    internet_checksum(&bytes)
}
