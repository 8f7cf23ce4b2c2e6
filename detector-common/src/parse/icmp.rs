//! ICMP (RFC 792) and `ICMPv6` (RFC 4443): type and code, and what follows the eight-byte header both share.

use super::{Carried, Protocol, Segment, Transport};
use crate::{
    packet::{PacketBytes, Word},
    reason::Reason,
};

/// The length of the header of every message of both that is defined, in bytes.
pub const HEADER_LEN: usize = 8;

/// What an ICMP or `ICMPv6` header has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Icmp {
    /// The type.
    pub kind: u8,
    /// The code.
    pub code: u8,
}

impl Icmp {
    /// The type and code of an ICMP (not `ICMPv6`) echo request, RFC 792.
    pub const ECHO_REQUEST: Self = Self { kind: 8, code: 0 };

    /// Those of an ICMP echo reply.
    pub const ECHO_REPLY: Self = Self { kind: 0, code: 0 };
    /// Those of an `ICMPv6` echo request, RFC 4443.
    pub const ECHO_REQUEST_V6: Self = Self { kind: 128, code: 0 };
    /// Those of an `ICMPv6` echo reply.
    pub const ECHO_REPLY_V6: Self = Self { kind: 129, code: 0 };

    /// What a header says.
    #[inline(always)]
    pub(super) fn new(header: Word) -> Self {
        Self {
            kind: header.u8(0),
            code: header.u8(1),
        }
    }
}

/// Reads the ICMP or `ICMPv6` header that `carried` begins with.
#[inline(always)]
pub(super) fn parse<P: PacketBytes>(
    packet: &P,
    carried: &Carried,
    protocol: Protocol,
) -> Result<Segment, Reason> {
    let payload_offset = carried.offset.saturating_add(HEADER_LEN);
    if payload_offset > carried.end {
        return Err(carried.ends_in_header(Reason::IcmpTruncated));
    }
    let [header] = packet.word(carried.offset).or(Reason::IcmpTruncated)?;
    Ok(Segment {
        transport: Transport {
            protocol,
            first: header,
            last: Word::default(),
        },
        payload_offset,
        end: carried.end,
    })
}
