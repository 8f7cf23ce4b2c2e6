//! IPv4 (RFC 791): version, header length with options, total length against the frame, fragments.

use super::Carried;
use crate::{
    net::{IpAddress, IpProtocol},
    packet::PacketBytes,
    reason::Reason,
};

/// The length of an IPv4 header without options, in bytes.
pub const HEADER_LEN: usize = 20;

/// Reads the IPv4 header at `offset`.
#[inline(always)]
pub(super) fn parse<P: PacketBytes>(packet: &P, offset: usize) -> Result<Carried, Reason> {
    // Bytes 0 to 7, 8 to 15 and 12 to 19.
    let [first, second, addresses] = packet
        .three_words::<8, 12>(offset)
        .or(Reason::Ipv4Truncated)?;
    let version_and_length = first.u8(0);
    if version_and_length >> 4 != 4 {
        return Err(Reason::Ipv4Version);
    }
    let header_len = usize::from(version_and_length & 0x0f) << 2;
    if header_len < HEADER_LEN {
        return Err(Reason::Ipv4HeaderLength);
    }
    let total_len = usize::from(first.u16(2));
    if total_len < header_len {
        return Err(Reason::Ipv4TotalLength);
    }
    let end = offset.saturating_add(total_len);
    if end > packet.wire_len() {
        return Err(Reason::Ipv4BeyondFrame);
    }
    // RFC 791 §3.1: reserved, don't fragment, more fragments, and the offset in units of eight bytes.
    let fragment = first.u16(6);
    if fragment & 0x1fff != 0 {
        return Err(Reason::Ipv4LaterFragment);
    }
    Ok(Carried {
        source: IpAddress::from_v4_number(addresses.u32(0)),
        destination: IpAddress::from_v4_number(addresses.u32(4)),
        protocol: IpProtocol(second.u8(1)),
        offset: offset.saturating_add(header_len),
        end,
        fragmented: fragment & 0x2000 != 0,
        udp_length_of_zero: 0,
    })
}
