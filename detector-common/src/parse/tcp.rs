//! TCP (RFC 9293): ports, sequence number, flags, and a payload behind the options.

use super::{Carried, Protocol, Segment, Transport};
use crate::{
    net::TcpFlags,
    packet::{PacketBytes, Word},
    reason::Reason,
};

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

impl Tcp {
    /// What bytes 0 to 7 and 12 to 19 of a header say.
    #[inline(always)]
    pub(super) fn new(first: Word, last: Word) -> Self {
        Self {
            sequence: first.u32(4),
            flags: TcpFlags(last.u8(1)),
            has_options: header_len(last) > HEADER_LEN,
        }
    }
}

#[inline(always)]
pub(super) fn header_len(last: Word) -> usize {
    usize::from(last.u8(0) >> 4) << 2
}

/// Reads the TCP header that `carried` begins with.
#[inline(always)]
pub(super) fn parse<P: PacketBytes>(packet: &P, carried: &Carried) -> Result<Segment, Reason> {
    if carried.offset.saturating_add(HEADER_LEN) > carried.end {
        return Err(carried.ends_in_header(Reason::TcpTruncated));
    }
    // Bytes 0 to 7 and 12 to 19.
    let [first, last] = packet
        .two_words::<12>(carried.offset)
        .or(Reason::TcpTruncated)?;
    let header_len = header_len(last);
    if header_len < HEADER_LEN {
        return Err(Reason::TcpDataOffset);
    }
    let payload_offset = carried.offset.saturating_add(header_len);
    if payload_offset > carried.end {
        return Err(carried.ends_in_header(Reason::TcpOptionsTruncated));
    }
    Ok(Segment {
        transport: Transport {
            protocol: Protocol::Tcp,
            first,
            last,
        },
        payload_offset,
        end: carried.end,
    })
}
