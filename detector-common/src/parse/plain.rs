//! What most packets are: TCP or UDP in IPv4 without options, fragments or VLAN tags, read at fixed places.
//!
//! It says what [`super::parse`] says of such a packet, and nothing of any other: an odd packet is the parser's matter.

use super::{Ip, Protocol, Transport, ethernet, ethernet::Link, ipv4, tcp, udp};
use crate::{
    net::{EtherType, IpAddress, IpProtocol, MacAddress, Vlan},
    packet::{PacketBytes, Word},
};

/// Where the transport header begins, in bytes from the start of the frame.
const TRANSPORT: usize = ethernet::HEADER_LEN + ipv4::HEADER_LEN;
/// The fewest bytes that are looked at: up to the end of a TCP header.
const LEN: usize = TRANSPORT + tcp::HEADER_LEN;
/// Version 4 and a header of five words, as the first byte of an IPv4 header says.
const VERSION_AND_LEN: u8 = 0x45;
/// RFC 791 §3.1: more fragments, and the offset. Of a packet that is whole both are zero.
const FRAGMENT: u16 = 0x3fff;

/// Reads a packet; `None` if it is not plain or anything is wrong with it.
#[inline(always)]
#[must_use]
pub fn parse<P: PacketBytes>(packet: &P) -> Option<(Link, Ip)> {
    // The type of the frame to the identification, then the fragment to the source; behind them what of a plain packet counts.
    let [
        first,
        second,
        destination_mac,
        source_mac,
        addresses,
        header,
        last,
    ] = packet.front::<LEN, 7>([12, 20, 0, 6, 26, TRANSPORT, TRANSPORT + 12])?;
    let is_plain = EtherType(first.u16(0)) == EtherType::IPV4
        && first.u8(2) == VERSION_AND_LEN
        && second.u16(0) & FRAGMENT == 0;
    let end = ethernet::HEADER_LEN.wrapping_add(usize::from(first.u16(4)));
    if !is_plain || end > packet.wire_len() {
        return None;
    }
    let (transport, payload_offset, end) = match IpProtocol(second.u8(3)) {
        IpProtocol::TCP => {
            let header_len = tcp::header_len(last);
            let payload_offset = TRANSPORT.wrapping_add(header_len);
            if header_len < tcp::HEADER_LEN || payload_offset > end {
                return None;
            }
            let transport = Transport {
                protocol: Protocol::Tcp,
                first: header,
                last,
            };
            (transport, payload_offset, end)
        }
        IpProtocol::UDP => {
            let len = usize::from(header.u16(4));
            let datagram_end = TRANSPORT.wrapping_add(len);
            if len < udp::HEADER_LEN || datagram_end > end {
                return None;
            }
            let transport = Transport {
                protocol: Protocol::Udp,
                first: header,
                last: Word::default(),
            };
            (transport, TRANSPORT + udp::HEADER_LEN, datagram_end)
        }
        IpProtocol(_) => return None,
    };
    Some((
        Link {
            source: MacAddress::from_word(source_mac.0),
            destination: MacAddress::from_word(destination_mac.0),
            vlan: Vlan::default(),
        },
        Ip {
            source: IpAddress::from_v4_number(addresses.u32(0)),
            destination: IpAddress::from_v4_number(addresses.u32(4)),
            transport,
            payload_offset,
            payload_len: end.saturating_sub(payload_offset),
            from_neighbour: false,
        },
    ))
}
