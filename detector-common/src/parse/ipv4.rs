//! IPv4 (RFC 791): version, header length with options, total length against the frame, fragments.

use super::{Carried, Opened};
use crate::{
    net::{IpAddress, IpProtocol},
    packet::{PacketBytes, Word},
    reason::Reason,
};

/// The length of an IPv4 header without options, in bytes.
pub const HEADER_LEN: usize = 20;

/// Reads the IPv4 header at `offset`: the source, and what the packet carries or why that cannot be said.
#[inline(always)]
pub(super) fn parse<P: PacketBytes>(packet: &P, offset: usize) -> Result<Opened, Reason> {
    // Bytes 0 to 7, 8 to 15 and 12 to 19.
    let [first, second, addresses] = packet
        .three_words::<8, 12>(offset)
        .or(Reason::Ipv4Truncated)?;
    if first.u8(0) >> 4 != 4 {
        return Err(Reason::Ipv4Version);
    }
    let source = IpAddress::from_v4_number(addresses.u32(0));
    let carried = look(first, offset, packet.wire_len()).map(|end| Carried {
        source,
        destination: IpAddress::from_v4_number(addresses.u32(4)),
        protocol: IpProtocol(second.u8(1)),
        offset: offset.saturating_add(header_len(first)),
        end,
        fragmented: fragment(first) & 0x2000 != 0,
        from_neighbour: false,
        udp_length_of_zero: 0,
    });
    Ok(Opened::Ip(source, carried))
}

#[inline(always)]
fn header_len(first: Word) -> usize {
    usize::from(first.u8(0) & 0x0f) << 2
}

/// RFC 791 §3.1: reserved, don't fragment, more fragments, and the offset in units of eight bytes.
#[inline(always)]
fn fragment(first: Word) -> u16 {
    first.u16(6)
}

/// Where the packet ends whose header begins so at `offset` of a frame of `wire_len` bytes.
#[inline(always)]
fn look(first: Word, offset: usize, wire_len: usize) -> Result<usize, Reason> {
    let header_len = header_len(first);
    if header_len < HEADER_LEN {
        return Err(Reason::Ipv4HeaderLength);
    }
    let total_len = usize::from(first.u16(2));
    if total_len < header_len {
        return Err(Reason::Ipv4TotalLength);
    }
    let end = offset.saturating_add(total_len);
    if end > wire_len {
        return Err(Reason::Ipv4BeyondFrame);
    }
    if fragment(first) & 0x1fff != 0 {
        return Err(Reason::Ipv4LaterFragment);
    }
    Ok(end)
}
