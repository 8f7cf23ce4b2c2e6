//! `signature`: packets that a rule describes.
//!
//! A packet first looks up who watches its ports: on a port that nobody does, that is all. On a watched one the [`prefilter`] finds which
//! patterns may stand in it, and only where any does is it [inspected](inspect), rule by rule.

pub mod bytes;
pub mod carry;
pub mod confirm;
pub mod filter;
pub mod find;
pub mod flowbits;
pub mod gather;
pub mod held;
pub mod inspect;
pub mod line;
pub mod local;
mod look;
pub mod partial;
pub mod prefilter;
pub mod request;
pub mod rule;
mod subject;
pub mod table;
pub mod test;
pub mod threshold;
pub mod uri;
pub mod watch;
pub mod workspace;

use crate::{
    packet::PacketBytes,
    parse::{Ip, PAYLOAD_OFFSET_MAX},
};
pub use local::Local;
use table::{Action, FilterTable, Group, Row, WITHOUT_PAYLOAD};
use watch::{WatchLists, Watched};
use workspace::Workspace;

/// Where to look into a packet, and for what. It fits into a word, for the kernel does it in functions of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    /// From the lowest: where the payload begins, in bytes from the start of the frame (16 bits); its length (16); the groups of
    /// the destination and of the source port (8 each); the generation (8); the length of a TCP header (8).
    word: u64,
}

impl Search {
    /// What to look for in `ip`; `None` if nobody watches its ports.
    #[inline(always)]
    #[must_use]
    pub fn of(ip: &Ip, watch: &WatchLists) -> Option<Self> {
        let Watched {
            generation,
            to,
            from,
        } = watch.of(&ip.transport);
        // A group that asks for packets without a payload has the highest bit.
        let least = if ip.payload_len == 0 {
            WITHOUT_PAYLOAD
        } else {
            1
        };
        if (to | from) < least {
            return None;
        }
        Some(Self {
            word: u64::from(ip.payload_offset as u16)
                | u64::from(ip.payload_len as u16) << 16
                | u64::from(to) << 32
                | u64::from(from) << 40
                | u64::from(generation) << 48
                | u64::from(ip.transport.tcp_header_len()) << 56,
        })
    }

    /// The search as a word.
    #[inline(always)]
    #[must_use]
    pub fn to_word(self) -> u64 {
        self.word
    }

    /// The search that a word was made of.
    #[inline(always)]
    #[must_use]
    pub fn from_word(word: u64) -> Self {
        Self { word }
    }

    /// Which generation of the tables it goes by.
    #[inline(always)]
    #[must_use]
    pub fn generation(self) -> u32 {
        (self.word >> 48) as u32 & 1
    }

    /// Where the payload begins, in bytes from the start of the frame.
    ///
    /// VERIFIER: the parser holds this bound, but it went through a word.
    #[inline(always)]
    fn start(self) -> usize {
        self.word as usize & PAYLOAD_OFFSET_MAX
    }

    /// Its length, in bytes.
    #[inline(always)]
    fn len(self) -> usize {
        (self.word >> 16) as usize & 0xffff
    }

    /// How much of it is looked through, `reach` bytes at most.
    #[inline(always)]
    fn len_within(self, reach: u16) -> usize {
        filter::within(self.len(), reach)
    }

    /// The groups of the destination and of the source port.
    #[inline(always)]
    fn groups(self, table: &FilterTable) -> [Group; 2] {
        [self.word >> 32, self.word >> 40].map(|group| table.group(group as u8))
    }

    /// What both groups ask together.
    #[inline(always)]
    fn group(self, table: &FilterTable) -> Group {
        let [to, from] = self.groups(table);
        to.with(from)
    }

    /// The acknowledgement number, eight bytes behind the start of the TCP header; 0 for another protocol. Few packets are asked for
    /// it, so the parser does not keep it.
    #[inline(always)]
    pub fn acknowledged<P: PacketBytes>(self, packet: &P) -> u32 {
        let header_len = (self.word >> 56) as usize;
        if header_len == 0 {
            return 0;
        }
        let header = self.start().saturating_sub(header_len);
        let [word] = packet.word(header.wrapping_add(8)).words;
        word.u32(0)
    }
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where the rule is counted (16 bits), whether it is not to be told, and whether it only counts.
    ///
    /// VERIFIER: one number, of which the compiler makes no branches, and no half that nobody wrote.
    word: u32,
    /// Whether it is one that drops.
    pub drops: bool,
    /// The acknowledgement number of TCP; 0 for another protocol.
    pub acknowledged: u32,
}

impl Found {
    /// Where the rule is counted.
    #[inline(always)]
    #[must_use]
    pub fn slot(&self) -> u16 {
        self.word as u16
    }

    /// Whether it may be told.
    #[inline(always)]
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.word >> 16 == 0
    }

    /// Whether nothing is done but to count it.
    #[inline(always)]
    #[must_use]
    pub fn only_counts(&self) -> bool {
        self.word >> 17 != 0
    }

    /// What is found with a row; nothing, if that is to let the packet pass.
    #[inline(always)]
    pub fn of<P: PacketBytes>(
        row: Row,
        is_untold: u32,
        search: Search,
        packet: &P,
    ) -> Option<Self> {
        if row.action == Action::Pass as u8 {
            return None;
        }
        Some(Self {
            word: u32::from(row.slot) | is_untold << 16 | u32::from(row.only_counts()) << 17,
            drops: row.action == Action::Drop as u8,
            acknowledged: search.acknowledged(packet),
        })
    }
}

/// Where steps find the packet's tables and workspace: the kernel in maps, all others in memory.
pub trait Records {
    /// The packet.
    type Packet: PacketBytes;
    /// What the filter looks for.
    fn filter_table(&self, search: Search) -> Option<&FilterTable>;
    /// Where they work.
    fn workspace(&mut self) -> Option<&mut Workspace>;
}
