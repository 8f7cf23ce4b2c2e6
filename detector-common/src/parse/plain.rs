//! What most packets are, read at fixed places: ARP, and TCP or UDP in IPv4 without options or fragments, in frames without VLAN tags.
//!
//! It says what [`super::parse`] says of such a packet, and nothing of any other: an odd packet is the parser's matter.

use super::{
    Ip, Network, Packet, Protocol, Transport, arp, ethernet, ethernet::Link, ipv4, tcp, udp,
};
use crate::{
    net::{EtherType, IpAddress, IpProtocol, MacAddress, Vlan},
    packet::{PacketBytes, Word},
};

/// Where an ARP message or an IP header begins, in bytes from the start of the frame.
const NETWORK: usize = ethernet::HEADER_LEN;
/// Where the transport header begins.
const TRANSPORT: usize = NETWORK + ipv4::HEADER_LEN;
/// Version 4 and a header of five words, as the first byte of an IPv4 header says.
const VERSION_AND_LEN: u8 = 0x45;
/// RFC 791 §3.1: more fragments, and the offset. Of a packet that is whole both are zero.
const FRAGMENT: u16 = 0x3fff;

/// Reads a packet; `None` if it is not plain or anything is wrong with it.
#[inline(always)]
#[must_use]
pub fn parse<P: PacketBytes>(packet: &P) -> Option<Packet> {
    const LEN: usize = NETWORK + arp::MESSAGE_LEN;
    let [destination, source, kind] = packet.front::<LEN, 3>([0, 6, 12])?;
    let link = Link {
        source: MacAddress::from_word(source.0),
        destination: MacAddress::from_word(destination.0),
        vlan: Vlan::default(),
    };
    let network = match EtherType(kind.u16(0)) {
        EtherType::IPV4 => Network::Ip(ip(packet, kind)?),
        EtherType::ARP => {
            let at = [0, 8, 14, 20].map(|at| NETWORK.wrapping_add(at));
            let message = packet.front::<LEN, 4>(at)?;
            Network::Arp(arp::of_words(message).ok()?)
        }
        EtherType(_) => return None,
    };
    Some(Packet { link, network })
}

/// Reads an IPv4 packet in a frame whose bytes 12 to 19 are `first`.
#[inline(always)]
fn ip<P: PacketBytes>(packet: &P, first: Word) -> Option<Ip> {
    const LEN: usize = TRANSPORT + tcp::HEADER_LEN;
    // The fragment to the source, both addresses, and what of a TCP header counts.
    let [second, addresses, header, last] =
        packet.front::<LEN, 4>([20, 26, TRANSPORT, TRANSPORT + 12])?;
    let is_plain = first.u8(2) == VERSION_AND_LEN && second.u16(0) & FRAGMENT == 0;
    let end = NETWORK.wrapping_add(usize::from(first.u16(4)));
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
    Some(Ip {
        source: IpAddress::from_v4_number(addresses.u32(0)),
        destination: IpAddress::from_v4_number(addresses.u32(4)),
        transport,
        payload_offset,
        payload_len: end.saturating_sub(payload_offset),
        from_neighbour: false,
    })
}
