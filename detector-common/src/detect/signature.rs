//! `signature`: worms whose pattern stands at a known place near the start of a payload, or in a header.
//!
//! What a signature means is a row of [`worms`]; how it is looked for is a [`table::SignatureTable`], which
//! [`compile`] makes of the rows. A packet first looks its port up: on a port nobody watches that is all. On a watched
//! one, eight bytes at the group's place are hashed to the few signatures that could begin so, and only these are tested,
//! sixteen bytes at a time.

pub mod compile;
pub mod table;
pub mod worms;

use crate::{
    packet::PacketBytes,
    parse::{Ip, PAYLOAD_OFFSET_MAX},
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
        let tcp = ip.transport.tcp();
        let mut traits = 0;
        if tcp.flags.is_opening() {
            traits |= Self::OPENING.0;
        }
        if !tcp.has_options {
            traits |= Self::NO_TCP_OPTIONS.0;
        }
        if ip.destination.is_v4_number(tcp.sequence) {
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
    /// The length of the TCP header before the payload, in bytes; 0 for another protocol.
    tcp_header_len: u8,
}

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The row of the signature in the table.
    pub row: usize,
    /// Its number.
    ///
    /// VERIFIER: taken along, for outside of the search Linux 5.10 and 6.1 forget how large a row can be.
    pub id: u16,
    /// The acknowledgement number of TCP; 0 for another protocol.
    pub acknowledged: u32,
}

impl Found {
    /// It as a word, which is never [`u64::MAX`].
    #[inline(always)]
    #[must_use]
    pub fn to_word(self) -> u64 {
        u64::from(self.row as u16) | u64::from(self.id) << 16 | u64::from(self.acknowledged) << 32
    }

    /// What a word was made of.
    #[inline(always)]
    #[must_use]
    pub fn from_word(word: u64) -> Self {
        Self {
            row: usize::from(word as u16),
            id: (word >> 16) as u16,
            acknowledged: (word >> 32) as u32,
        }
    }
}

impl Search {
    /// What to search `ip` for; `None` if nobody watches its ports.
    #[inline(always)]
    #[must_use]
    pub fn of(ip: &Ip, table: &SignatureTable) -> Option<Self> {
        let mut groups = table.groups(&ip.transport);
        if ip.payload_len == 0 {
            groups &= table.without_payload;
        }
        if groups == 0 {
            return None;
        }
        Some(Self {
            offset: ip.payload_offset as u16,
            len: ip.payload_len as u16,
            traits: Traits::of(ip),
            groups,
            tcp_header_len: ip.transport.tcp_header_len(),
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
            | u64::from(self.tcp_header_len) << 56
    }

    /// The search that a word was made of.
    #[inline(always)]
    #[must_use]
    pub fn from_word(word: u64) -> Self {
        Self {
            offset: word as u16,
            len: (word >> 16) as u16,
            traits: Traits((word >> 32) as u16),
            groups: (word >> 48) as u8,
            tcp_header_len: (word >> 56) as u8,
        }
    }

    /// The first signature of `table` that `packet` shows.
    #[inline(always)]
    pub fn run<P: PacketBytes>(self, packet: &P, table: &SignatureTable) -> Option<Found> {
        // VERIFIER: the parser holds this bound, but it went through a word.
        let start = usize::from(self.offset) & PAYLOAD_OFFSET_MAX;
        let row = self.row(packet, table, start)?;
        Some(Found {
            row,
            id: table.id(row),
            acknowledged: self.acknowledged(packet, start),
        })
    }

    /// The acknowledgement number, eight bytes behind the start of the TCP header. Few packets are asked for it, so the
    /// parser does not keep it.
    #[inline(always)]
    fn acknowledged<P: PacketBytes>(self, packet: &P, start: usize) -> u32 {
        let header_len = usize::from(self.tcp_header_len);
        if header_len == 0 {
            return 0;
        }
        let header = start.saturating_sub(header_len);
        let [word] = packet.word(header.wrapping_add(8)).words;
        word.u32(0)
    }

    /// The row of the first signature that the payload at `start` shows.
    #[inline(always)]
    fn row<P: PacketBytes>(
        self,
        packet: &P,
        table: &SignatureTable,
        start: usize,
    ) -> Option<usize> {
        let found = self.walk(packet, table, start, 0, self.groups & !table.at_query);
        let at_query = self.groups & table.at_query;
        if found.is_some() || at_query == 0 {
            return found;
        }
        let query = find_query(packet, start);
        if query == QUERY_REACH {
            return None;
        }
        self.walk(packet, table, start, query, at_query)
    }

    /// The first signature of `groups` that the payload at `start` shows from `base` on.
    ///
    /// VERIFIER: one flat loop over groups, tests and rows, whose whole state is two numbers from the table, so that
    /// all ways through a step go on as one.
    #[inline(always)]
    fn walk<P: PacketBytes>(
        self,
        packet: &P,
        table: &SignatureTable,
        start: usize,
        base: usize,
        mut groups: u8,
    ) -> Option<usize> {
        let len = usize::from(self.len);
        let anchor = start.wrapping_add(base);
        let mut exit = usize::from(NONE);
        for _ in 0..STEPS_MAX {
            if let Some(test) = table.test(exit) {
                let holds = test.holds(packet.two_words::<8>(at(anchor, test.offset)));
                exit = usize::from(if holds { test.then } else { test.otherwise });
            } else if exit == usize::from(NONE) {
                if groups == 0 {
                    return None;
                }
                let group = table.lowest_group(groups)?;
                groups &= groups.wrapping_sub(1);
                let [window] = packet.word(at(anchor, group.window_offset)).words;
                exit = usize::from(group.first_test(window.0));
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
/// bytes are looked at; [`QUERY_REACH`] if there is none.
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
        let [window] = packet.word(start.wrapping_add(step << 3)).words;
        let zeroed = window.0 ^ ONES.wrapping_mul(u64::from(b'?'));
        let here = zeroed.wrapping_sub(ONES) & !zeroed & HIGHS;
        found |= here.wrapping_mul(GATHER) >> 56 << (step << 3);
    }
    P::forget(found as usize).trailing_zeros() as usize
}

/// The place `offset` bytes behind `anchor`. It may lie in the header before the payload.
#[inline(always)]
fn at(anchor: usize, offset: i16) -> usize {
    anchor.wrapping_add_signed(isize::from(offset))
}
