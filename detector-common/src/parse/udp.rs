//! UDP (RFC 768): ports, and a payload that ends where the UDP length says.

use super::{Carried, Protocol, Segment, Transport};
use crate::{
    packet::{PacketBytes, Word},
    reason::Reason,
};

/// The length of a UDP header, in bytes.
pub const HEADER_LEN: usize = 8;

/// Reads the UDP header that `carried` begins with.
#[inline(always)]
pub(super) fn parse<P: PacketBytes>(packet: &P, carried: &Carried) -> Result<Segment, Reason> {
    let payload_offset = carried.offset.saturating_add(HEADER_LEN);
    if payload_offset > carried.end {
        return Err(carried.ends_in_header(Reason::UdpTruncated));
    }
    let [header] = packet.word(carried.offset).or(Reason::UdpTruncated)?;
    let mut length = usize::from(header.u16(4));
    if length == 0 {
        length = carried.udp_length_of_zero;
    }
    if length < HEADER_LEN {
        return Err(Reason::UdpLength);
    }
    let mut end = carried.offset.saturating_add(length);
    if end > carried.end {
        // A first fragment carries the length of the whole datagram.
        if !carried.fragmented {
            return Err(Reason::UdpLength);
        }
        end = carried.end;
    }
    Ok(Segment {
        transport: Transport {
            protocol: Protocol::Udp,
            first: header,
            last: Word::default(),
        },
        payload_offset,
        end,
    })
}
