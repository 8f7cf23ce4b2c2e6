//! What rules ask of a packet, gathered in one place: fields of its headers, and its payload.

use super::{
    Search,
    filter::within_reach,
    table::{ANY_OPTION, Field, option_bit, protocol, trait_bit},
    workspace::{BLOCK, BLOCKS_MAX, Workspace},
};
use crate::{
    net::{EtherType, IpAddress},
    packet::{PacketBytes, Word, is_zero},
    parse::{Ip, PAYLOAD_OFFSET_MAX, Protocol, ethernet, ipv4},
};

/// Gathers what the headers of `ip` say; gives where its IPv4 options are, if it has any, for [`options`].
#[inline(always)]
pub fn headers<P: PacketBytes>(
    search: Search,
    ip: &Ip,
    packet: &P,
    workspace: &mut Workspace,
) -> Options {
    let acknowledgement = P::forget(search.acknowledged(packet));
    let transport = &ip.transport;
    let tcp = transport.tcp();
    let icmp = transport.icmp();
    // VERIFIER: both in one number, and all ways go on as one.
    let protocol = P::forget(match transport.protocol {
        Protocol::Tcp => protocol::TCP | 6 << 8,
        Protocol::Udp => protocol::UDP | 17 << 8,
        Protocol::Icmp => protocol::ICMP | 1 << 8,
        Protocol::Icmpv6 => protocol::ICMP | 58 << 8,
    });
    let mut traits = 0;
    if !tcp.has_options {
        traits |= trait_bit::NO_TCP_OPTIONS;
    }
    if ip.destination.is_v4_number(tcp.sequence) {
        traits |= trait_bit::SEQUENCE_IS_DESTINATION;
    }
    let addresses = [ip.source, ip.destination].map(IpAddress::to_numbers);
    let [[source, source_end], [destination, destination_end]] = addresses;
    let is_same = is_zero(source ^ destination | source_end ^ destination_end);
    traits |= (is_same as u32).wrapping_mul(trait_bit::SAME_ADDRESS);
    // VERIFIER: all ways go on as one.
    let mut traits = P::forget(traits);
    let [id, sequence] = transport.icmp_numbers();
    let mut set = |field: Field, value: u32| {
        if let Some(place) = workspace.fields.get_mut(field as usize) {
            *place = value;
        }
    };
    set(Field::Protocol, protocol & protocol::IP);
    set(Field::IpProtocol, protocol >> 8);
    set(Field::SourcePort, transport.source_port().into());
    set(Field::DestinationPort, transport.destination_port().into());
    set(Field::PayloadLen, ip.payload_len as u32);
    set(Field::TcpFlags, tcp.flags.0.into());
    set(Field::IcmpType, icmp.kind.into());
    set(Field::IcmpCode, icmp.code.into());
    set(Field::Acknowledgement, acknowledgement);
    set(Field::Sequence, tcp.sequence);
    set(Field::Window, transport.tcp_window().into());
    set(Field::IcmpId, id);
    set(Field::IcmpSequence, sequence);
    set(Field::Identification, u32::MAX);
    set(Field::FragmentBits, 0);
    set(Field::IpOptions, 0);
    let mut found = Options::default();
    if let Ok((_, ethertype, offset)) = ethernet::parse(packet) {
        let [first, second] = packet.two_words::<8>(offset).words;
        if ethertype == EtherType::IPV4 {
            traits |= trait_bit::IPV4;
            set(Field::TimeToLive, second.u8(0).into());
            set(Field::Identification, first.u16(4).into());
            // RFC 791 §3.1: reserved, don't fragment, more fragments, from the highest bit on.
            set(Field::FragmentBits, u32::from(first.u16(6) >> 13));
            found = Options {
                from: offset.wrapping_add(ipv4::HEADER_LEN) as u32,
                len: (u32::from(first.u8(0) & 0x0f) << 2).saturating_sub(ipv4::HEADER_LEN as u32),
            };
        } else {
            set(Field::TimeToLive, first.u8(7).into());
        }
    }
    set(Field::Traits, traits);
    workspace.addresses = addresses;
    found
}

/// Whether it is the type of an option of IPv4 that rules can name.
#[inline(always)]
fn is_named(kind: u8) -> bool {
    matches!(kind, 0 | 1 | 7 | 68 | 130..=133 | 136 | 137)
}

/// The most options of a header: of one byte each.
const OPTIONS_MAX: u32 = 40;

/// Where the options of an IPv4 header are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Where they begin, in bytes from the start of the frame.
    pub from: u32,
    /// How long they are, in bytes.
    pub len: u32,
}

/// Gathers the options of an IPv4 header.
#[inline(always)]
pub fn options<P: PacketBytes>(options: Options, packet: &P, workspace: &mut Workspace) {
    let (mut found, mut at) = (0, 0);
    for _ in 0..OPTIONS_MAX {
        if at >= options.len {
            break;
        }
        let [option] = packet.word(options.from.wrapping_add(at) as usize).words;
        let (kind, len) = (option.u8(0), option.u8(1));
        let index = option_bit(kind);
        found |= ANY_OPTION;
        if is_named(kind) {
            found |= 1 << index;
        }
        // The end of the list; no operation, which has no length; and all that have one.
        at = at.wrapping_add(match kind {
            0 => OPTIONS_MAX,
            1 => 1,
            _ => u32::from(if len > 2 { len } else { 2 }),
        });
        // VERIFIER: all ways go on as one.
        (found, at) = (P::forget(found), P::forget(at));
    }
    if let Some(place) = workspace.fields.get_mut(Field::IpOptions as usize) {
        *place = found;
    }
}

/// Gathers the payload, unless the filter has done that already.
#[inline(always)]
pub fn payload<P: PacketBytes>(search: Search, packet: &P, workspace: &mut Workspace) {
    let start = search.start();
    let len = within_reach(search.len());
    if len < search.len() {
        workspace.is_cut_short = 1;
    }
    if workspace.payload_len == len as u32 {
        return;
    }
    workspace.payload_len = len as u32;
    let blocks = len / BLOCK;
    // VERIFIER: as in `filter::run`.
    rest(start, len, packet, workspace);
    let start = P::forget(start as u32) as usize & PAYLOAD_OFFSET_MAX;
    let blocks = P::forget(blocks as u32) as usize;
    for block in 0..BLOCKS_MAX {
        if block >= blocks {
            break;
        }
        let at = block.wrapping_mul(BLOCK);
        let Some(words) = packet.block(start.wrapping_add(at)) else {
            end(at, workspace);
            break;
        };
        keep(at, words, workspace);
    }
}

/// Of a payload no more than this is here, for the rest stands too far in the packet, or in another piece of it.
#[inline(always)]
pub(super) fn end(at: usize, workspace: &mut Workspace) {
    workspace.payload_len = at as u32;
    // What stands behind it is the packet's before.
    workspace.looked_at.end = at as u32;
    workspace.is_cut_short = 1;
    workspace.lacks_rest = 1;
}

/// Keeps the words of a block that begins at `at`.
#[inline(always)]
pub(super) fn keep(at: usize, words: [Word; 4], workspace: &mut Workspace) {
    let [a, b, c, d] = words;
    workspace.keep(at, a.0);
    workspace.keep(at.wrapping_add(8), b.0);
    workspace.keep(at.wrapping_add(16), c.0);
    workspace.keep(at.wrapping_add(24), d.0);
}

/// Keeps what is behind the last whole block of a payload of `len` bytes that begins at `start`.
#[inline(always)]
pub(super) fn rest<P: PacketBytes>(
    start: usize,
    len: usize,
    packet: &P,
    workspace: &mut Workspace,
) {
    let rest = len & !(BLOCK - 1);
    for word in 0..BLOCK / 8 {
        let at = rest.wrapping_add(word.wrapping_mul(8));
        // Nothing of the packet before is left behind it.
        workspace.keep(at, 0);
        if at >= len {
            break;
        }
        // Of the last one, which may not be whole, there is a word that ends with it, for there is a header before it.
        let behind = at.wrapping_add(8);
        let beyond = behind.saturating_sub(len);
        let found = packet.word(start.wrapping_add(at).wrapping_sub(beyond));
        let [word] = found.words;
        workspace.keep(at, word.0.wrapping_shr((beyond as u32).wrapping_mul(8)));
        if found.missing != 0 {
            end(at, workspace);
            break;
        }
    }
}
