//! IPv6 (RFC 8200): the fixed header and a bounded walk over the extension headers.

use super::{Carried, Opened, PAYLOAD_OFFSET_MAX};
use crate::{
    net::{IpAddress, IpProtocol},
    packet::{PacketBytes, Word},
    reason::Reason,
};

/// The length of the fixed header, in bytes.
pub const HEADER_LEN: usize = 40;
/// What a hop limit is that no router has passed on.
const NEIGHBOURS_HOP_LIMIT: u8 = 255;
/// The option of a jumbogram, RFC 2675 §2.
const JUMBO_PAYLOAD: u8 = 0xc2;
/// How many extension headers are followed. RFC 8200 §4.1 has each at most once, destination options twice: six.
pub const EXTENSIONS_MAX: usize = 6;
/// The farthest that a transport header may begin: the longest one still ends before [`PAYLOAD_OFFSET_MAX`].
const TRANSPORT_OFFSET_MAX: usize = PAYLOAD_OFFSET_MAX - 60;

/// Reads the IPv6 header at `offset`: the source, and what the packet carries or why that cannot be said.
#[inline(always)]
pub(super) fn parse<P: PacketBytes>(packet: &P, offset: usize) -> Result<Opened, Reason> {
    let [header, source, source_end] = packet
        .three_words::<8, 16>(offset)
        .or(Reason::Ipv6Truncated)?;
    let [destination, destination_end] = packet
        .two_words::<8>(offset.saturating_add(24))
        .or(Reason::Ipv6Truncated)?;
    if header.u8(0) >> 4 != 6 {
        return Err(Reason::Ipv6Version);
    }
    let source = IpAddress::v6(source.0, source_end.0);
    let transport = offset.saturating_add(HEADER_LEN);
    let carried = end(packet, header, transport).and_then(|end| {
        walk(
            packet,
            Carried {
                source,
                destination: IpAddress::v6(destination.0, destination_end.0),
                protocol: next_header(header),
                offset: transport,
                end,
                fragmented: false,
                from_neighbour: header.u8(7) == NEIGHBOURS_HOP_LIMIT,
                udp_length_of_zero: 0,
            },
        )
    });
    Ok(Opened::Ip(source, carried))
}

#[inline(always)]
fn next_header(header: Word) -> IpProtocol {
    IpProtocol(header.u8(6))
}

/// Where the packet ends whose fixed header begins so and ends at `transport`.
#[inline(always)]
fn end<P: PacketBytes>(packet: &P, header: Word, transport: usize) -> Result<usize, Reason> {
    let payload_len = usize::from(header.u16(4));
    let mut end = transport.saturating_add(payload_len);
    if payload_len == 0 && next_header(header) == IpProtocol::HOP_BY_HOP {
        // RFC 2675 §3: a jumbogram says 0 here and its length in a hop-by-hop option. Without that option Linux takes
        // what there is for the packet.
        let [options] = packet.word(transport).or(Reason::Ipv6ExtensionTruncated)?;
        if options.u8(2) == JUMBO_PAYLOAD {
            return Err(Reason::Ipv6Jumbogram);
        }
        end = packet.wire_len();
    }
    if end > packet.wire_len() {
        return Err(Reason::Ipv6BeyondFrame);
    }
    Ok(end)
}

/// Steps over the extension headers that `carried` begins with.
#[inline(always)]
fn walk<P: PacketBytes>(packet: &P, mut carried: Carried) -> Result<Carried, Reason> {
    // VERIFIER: a loop with a constant bound; an open one costs half a million instructions to verify.
    for _ in 0..EXTENSIONS_MAX {
        if !is_extension(carried.protocol) {
            break;
        }
        // Every extension header begins with the next one's type, and is at least eight bytes long.
        if carried.offset.saturating_add(8) > carried.end {
            return Err(carried.ends_in_header(Reason::Ipv6ExtensionTruncated));
        }
        let [next_header, length, high, low] = packet
            .read::<4>(carried.offset)
            .ok_or(Reason::Ipv6ExtensionTruncated)?;
        let len = match carried.protocol {
            IpProtocol::FRAGMENT => {
                // RFC 8200 §4.5: the offset in units of eight bytes, two reserved bits, more fragments.
                let fragment = u16::from_be_bytes([high, low]);
                if fragment & 0xfff8 != 0 {
                    return Err(Reason::Ipv6LaterFragment);
                }
                // One header inside another: it is a fragment if any says so.
                carried.fragmented |= fragment & 1 != 0;
                // RFC 6980: hosts ignore neighbour discovery in fragments.
                carried.from_neighbour = false;
                8
            }
            // RFC 4302 §2.2: in units of four bytes, less two.
            IpProtocol::AUTHENTICATION => usize::from(length).saturating_add(2) << 2,
            IpProtocol(_) => usize::from(length).saturating_add(1) << 3,
        };
        carried.protocol = IpProtocol(next_header);
        carried.offset = carried.offset.saturating_add(len);
        if carried.offset > carried.end {
            return Err(carried.ends_in_header(Reason::Ipv6ExtensionTruncated));
        }
    }
    if is_extension(carried.protocol) || carried.offset > TRANSPORT_OFFSET_MAX {
        return Err(Reason::Ipv6ExtensionTooDeep);
    }
    carried.udp_length_of_zero = carried.end.saturating_sub(carried.offset);
    Ok(carried)
}

#[inline(always)]
fn is_extension(protocol: IpProtocol) -> bool {
    matches!(
        protocol,
        IpProtocol::HOP_BY_HOP
            | IpProtocol::ROUTING
            | IpProtocol::FRAGMENT
            | IpProtocol::AUTHENTICATION
            | IpProtocol::DESTINATION_OPTIONS
            | IpProtocol::MOBILITY
    )
}
