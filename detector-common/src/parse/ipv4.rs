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
    let [
        version_and_length,
        _,
        total_high,
        total_low,
        _,
        _,
        fragment_high,
        fragment_low,
        _,
        protocol,
        _,
        _,
        a,
        b,
        c,
        d,
        e,
        f,
        g,
        h,
    ] = packet
        .read::<HEADER_LEN>(offset)
        .ok_or(Reason::Ipv4Truncated)?;

    if version_and_length >> 4 != 4 {
        return Err(Reason::Ipv4Version);
    }
    let header_len = usize::from(version_and_length & 0x0f) << 2;
    if header_len < HEADER_LEN {
        return Err(Reason::Ipv4HeaderLength);
    }
    let total_len = usize::from(u16::from_be_bytes([total_high, total_low]));
    if total_len < header_len {
        return Err(Reason::Ipv4TotalLength);
    }
    let end = offset.saturating_add(total_len);
    if end > packet.wire_len() {
        return Err(Reason::Ipv4BeyondFrame);
    }
    // RFC 791 §3.1: reserved, don't fragment, more fragments, and the offset in units of eight bytes.
    let fragment = u16::from_be_bytes([fragment_high, fragment_low]);
    if fragment & 0x1fff != 0 {
        return Err(Reason::Ipv4LaterFragment);
    }
    Ok(Carried {
        source: IpAddress::v4([a, b, c, d]),
        destination: IpAddress::v4([e, f, g, h]),
        protocol: IpProtocol(protocol),
        offset: offset.saturating_add(header_len),
        end,
        fragmented: fragment & 0x2000 != 0,
    })
}
