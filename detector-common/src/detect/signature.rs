//! `signature`: worms whose pattern stands at a known place near the start of a payload, or in a header.
//!
//! What a signature means is a row of [`worms`]; how it is looked for is a [`table::SignatureTable`], which
//! [`compile`] makes of the rows. A packet first looks its port up: on a port nobody watches that is all. On a watched
//! one, eight bytes at the group's place are hashed to the few signatures that could begin so, and only these are tested.

pub mod compile;
pub mod table;
pub mod worms;

use crate::{
    packet::{PacketBytes, Word},
    parse::{Ip, PAYLOAD_OFFSET_MAX, Protocol, icmp::Icmp},
};
use table::{FOUND, NONE, QUERY_REACH, STEPS_MAX, SignatureTable};

/// What a row may ask of a packet's headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits(u16);

impl Traits {
    /// The first packet of a TCP handshake.
    pub const OPENING: Self = Self(1);
    /// A TCP header without options.
    pub const NO_TCP_OPTIONS: Self = Self(2);
    /// A TCP sequence number that is the IPv4 destination address.
    pub const SEQUENCE_IS_DESTINATION: Self = Self(4);

    /// The traits of a packet.
    #[inline(always)]
    fn of(ip: &Ip) -> Self {
        let tcp = &ip.transport.tcp;
        let mut traits = 0;
        if tcp.flags.is_opening() {
            traits |= Self::OPENING.0;
        }
        if !tcp.has_options {
            traits |= Self::NO_TCP_OPTIONS.0;
        }
        if ip.destination.is_v4(tcp.sequence.to_be_bytes()) {
            traits |= Self::SEQUENCE_IS_DESTINATION.0;
        }
        Self(traits)
    }

    /// All of `traits`.
    pub(crate) fn all(traits: &[Self]) -> Self {
        Self(traits.iter().fold(0, |all, one| all | one.0))
    }
}

/// Where to search a packet, and for what. It fits into a word, for the kernel searches in a function of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    /// Where the payload begins, in bytes from the start of the frame.
    offset: u16,
    /// Its length, in bytes.
    len: u16,
    traits: Traits,
    /// A bit for each group to look for; never none.
    groups: u8,
}

impl Search {
    /// What to search `ip` for; `None` if nobody watches its ports.
    #[inline(always)]
    #[must_use]
    pub fn of(ip: &Ip, table: &SignatureTable) -> Option<Self> {
        let transport = &ip.transport;
        let groups = match transport.protocol {
            Protocol::Tcp => table.groups_for_tcp(transport.destination_port),
            Protocol::Udp => {
                table.groups_for_udp(transport.source_port, transport.destination_port)
            }
            Protocol::Icmp if transport.icmp == Icmp::ECHO_REQUEST => table.icmp_echo,
            Protocol::Icmp | Protocol::Icmpv6 => 0,
        };
        if groups == 0 {
            return None;
        }
        Some(Self {
            offset: ip.payload_offset as u16,
            len: ip.payload_len as u16,
            traits: Traits::of(ip),
            groups,
        })
    }

    /// The search as a word.
    #[inline(always)]
    #[must_use]
    pub fn to_word(self) -> u64 {
        u64::from(self.offset)
            | u64::from(self.len) << 16
            | u64::from(self.traits.0) << 32
            | u64::from(self.groups) << 48
    }

    /// The search that a word was made of.
    #[inline(always)]
    #[must_use]
    pub fn from_word(word: u64) -> Self {
        let [a, b, c, d, e, f, groups, _] = word.to_le_bytes();
        Self {
            offset: u16::from_le_bytes([a, b]),
            len: u16::from_le_bytes([c, d]),
            traits: Traits(u16::from_le_bytes([e, f])),
            groups,
        }
    }

    /// The first signature that `packet` shows, as its row in `table`.
    ///
    /// VERIFIER: one flat loop over groups, tests and rows, whose whole state is two numbers from the table, so that
    /// all ways through a step go on as one.
    #[inline(always)]
    pub fn run<P: PacketBytes>(self, packet: &P, table: &SignatureTable) -> Option<usize> {
        // VERIFIER: the parser holds this bound, but it went through a word.
        let start = usize::from(self.offset) & PAYLOAD_OFFSET_MAX;
        let len = usize::from(self.len);
        let query = find_query(packet, start);
        let mut groups = self.groups;
        let mut base = 0;
        let mut exit = usize::from(NONE);
        for _ in 0..STEPS_MAX {
            let anchor = start.wrapping_add(base);
            if let Some(test) = table.test(exit) {
                let holds = test.holds(window(packet, anchor, test.offset));
                exit = usize::from(if holds { test.then } else { test.otherwise });
            } else if exit == usize::from(NONE) {
                if groups == 0 {
                    return None;
                }
                let group = table.group(groups.trailing_zeros())?;
                groups &= groups.wrapping_sub(1);
                base = group.base(query);
                let window = window(packet, start.wrapping_add(base), group.window_offset);
                exit = usize::from(group.first_test(window.bits));
            } else {
                let index = exit.wrapping_sub(usize::from(FOUND));
                let row = table.row(index)?;
                if row.fits(len, base, self.traits.0) {
                    return Some(index);
                }
                exit = usize::from(row.otherwise);
            }
        }
        None
    }
}

/// Where the first `?` of the payload at `start` stands: the end of a request's path. Only the first [`QUERY_REACH`]
/// bytes are looked at; 64 if there is none.
///
/// VERIFIER: a bit for every byte and one look at them in the end. Leaving the loop where the first is found would
/// leave the verifier with as many states as there are steps.
#[inline(always)]
fn find_query<P: PacketBytes>(packet: &P, start: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES << 7;
    // Gathers the highest bit of each byte in the highest byte, in order.
    const GATHER: u64 = 0x0002_0408_1020_4081;
    let mut found = 0_u64;
    for step in 0..QUERY_REACH / 8 {
        // A byte of `zeroed` is zero where the window has a `?`. Borrows reach only bytes above the first such byte,
        // and only the first one counts.
        let window = packet.load_word(start.wrapping_add(step << 3));
        let zeroed = window.bits ^ ONES.wrapping_mul(u64::from(b'?'));
        let here = zeroed.wrapping_sub(ONES) & !zeroed & HIGHS;
        found |= here.wrapping_mul(GATHER) >> 56 << (step << 3);
    }
    P::forget(found as usize).trailing_zeros() as usize
}

/// The eight bytes at `offset` from `anchor`. They may begin in the header before the payload.
#[inline(always)]
fn window<P: PacketBytes>(packet: &P, anchor: usize, offset: i16) -> Word {
    packet.load_word(anchor.wrapping_add_signed(isize::from(offset)))
}
