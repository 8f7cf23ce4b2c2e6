//! UDP (RFC 768): ports, and a payload that ends where the UDP length says.

use super::{Carried, Protocol, Segment, Transport, icmp::Icmp, tcp::Tcp};
use crate::{packet::PacketBytes, reason::Reason};

/// The length of a UDP header, in bytes.
pub const HEADER_LEN: usize = 8;

/// Reads the UDP header that `carried` begins with.
#[inline(always)]
pub(super) fn parse<P: PacketBytes>(packet: &P, carried: &Carried) -> Result<Segment, Reason> {
    let payload_offset = carried.offset.saturating_add(HEADER_LEN);
    if payload_offset > carried.end {
        return Err(Reason::UdpTruncated);
    }
    let [a, b, c, d, length_high, length_low, ..] = packet
        .read::<HEADER_LEN>(carried.offset)
        .ok_or(Reason::UdpTruncated)?;
    let length = usize::from(u16::from_be_bytes([length_high, length_low]));
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
            source_port: u16::from_be_bytes([a, b]),
            destination_port: u16::from_be_bytes([c, d]),
            tcp: Tcp::default(),
            icmp: Icmp::default(),
        },
        payload_offset,
        end,
    })
}
