//! IPv6 neighbour discovery (RFC 4861): solicitations and advertisements of neighbours, as far as hosts heed them.

use super::{Ip, Protocol, ethernet::Link};
use crate::{
    net::{IpAddress, MacAddress},
    packet::PacketBytes,
};

/// The type of a neighbour solicitation.
pub const SOLICITATION: u8 = 135;
/// The type of a neighbour advertisement.
pub const ADVERTISEMENT: u8 = 136;
/// The option with the sender's link-layer address, in a solicitation; one more is the target's, in an advertisement.
const SOURCE_ADDRESS: u8 = 1;
/// The length of the target in a message, and of an option with an Ethernet address, in bytes.
const TARGET_LEN: usize = 16;
const OPTION_LEN: usize = 8;

/// A neighbour solicitation or advertisement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ndp {
    /// Whether it asks.
    pub is_solicitation: bool,
    /// Of an advertisement: whether somebody asked for it.
    pub is_solicited: bool,
    /// Of an advertisement: whether it overrides what was known. A proxy's does not.
    pub overrides: bool,
    /// Which address it asks for, or says whose it is.
    pub target: IpAddress,
    /// The MAC that it names, of the source or of the target, in its first option; who sent the frame where it has no option. Where
    /// another option is the first, which no host does that has a MAC to name, it is nobody's.
    pub mac: MacAddress,
}

/// Reads the message that `ip` has, if it has one that a host would heed (RFC 4861 §7.1, RFC 6980).
#[inline(always)]
pub fn parse<P: PacketBytes>(packet: &P, link: &Link, ip: &Ip) -> Option<Ndp> {
    if ip.transport.protocol != Protocol::Icmpv6 {
        return None;
    }
    let header = ip.transport.first_word();
    let kind = header.u8(0);
    let is_message = kind == SOLICITATION || kind == ADVERTISEMENT;
    let is_heeded = ip.from_neighbour && header.u8(1) == 0 && ip.payload_len >= TARGET_LEN;
    if !is_message || !is_heeded {
        return None;
    }
    let [target, target_end] = packet.two_words::<8>(ip.payload_offset).words;
    let flags = header.u8(4);
    let is_solicitation = kind == SOLICITATION;
    let mut mac = link.source;
    if ip.payload_len >= TARGET_LEN + OPTION_LEN {
        let [option] = packet
            .word(ip.payload_offset.saturating_add(TARGET_LEN))
            .words;
        let named = SOURCE_ADDRESS.wrapping_add(u8::from(!is_solicitation));
        mac = if option.u8(0) == named && option.u8(1) == 1 {
            MacAddress::from_word(option.0 >> 16)
        } else {
            MacAddress::default()
        };
    }
    Some(Ndp {
        is_solicitation,
        is_solicited: flags & 0x40 != 0,
        overrides: flags & 0x20 != 0,
        target: IpAddress::v6(target.0, target_end.0),
        mac,
    })
}
