//! TCP (RFC 9293): ports, sequence number, flags, and a payload behind the options.

use super::{Carried, Protocol, Segment, Transport, icmp::Icmp};
use crate::{net::TcpFlags, packet::PacketBytes, reason::Reason};

/// The length of a TCP header without options, in bytes.
pub const HEADER_LEN: usize = 20;

/// What a TCP header has besides ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tcp {
    /// The sequence number.
    pub sequence: u32,
    /// The flags.
    pub flags: TcpFlags,
    /// Whether there are options behind the header.
    pub has_options: bool,
}

/// Reads the TCP header that `carried` begins with.
#[inline(always)]
pub(super) fn parse<P: PacketBytes>(packet: &P, carried: &Carried) -> Result<Segment, Reason> {
    if carried.offset.saturating_add(HEADER_LEN) > carried.end {
        return Err(Reason::TcpTruncated);
    }
    let [
        a,
        b,
        c,
        d,
        s0,
        s1,
        s2,
        s3,
        _,
        _,
        _,
        _,
        data_offset,
        flags,
        ..,
    ] = packet
        .read::<HEADER_LEN>(carried.offset)
        .ok_or(Reason::TcpTruncated)?;
    let header_len = usize::from(data_offset >> 4) << 2;
    if header_len < HEADER_LEN {
        return Err(Reason::TcpDataOffset);
    }
    let payload_offset = carried.offset.saturating_add(header_len);
    if payload_offset > carried.end {
        return Err(Reason::TcpOptionsTruncated);
    }
    Ok(Segment {
        transport: Transport {
            protocol: Protocol::Tcp,
            source_port: u16::from_be_bytes([a, b]),
            destination_port: u16::from_be_bytes([c, d]),
            tcp: Tcp {
                sequence: u32::from_be_bytes([s0, s1, s2, s3]),
                flags: TcpFlags(flags),
                has_options: header_len > HEADER_LEN,
            },
            icmp: Icmp::default(),
        },
        payload_offset,
        end: carried.end,
    })
}
