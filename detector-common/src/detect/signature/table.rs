//! The signatures as the kernel reads them: plain tables in one map value, every index checked.
//!
//! What a group of signatures looks for is a small decision program: tests with two exits each. Running it is one flat
//! loop, whose length the verifier knows and no packet can stretch.

use bytemuck::{Pod, Zeroable};

use crate::{
    packet::Words,
    parse::{Protocol, Transport, icmp::Icmp},
};

/// The most signatures a table holds.
pub const ROWS_MAX: usize = 64;
/// The most groups a table holds: a bit each in a port's entry.
pub const GROUPS_MAX: usize = 8;
/// The most tests of all signatures together.
pub const TESTS_MAX: usize = 512;
/// The most steps that are taken for a packet: one for each group, test and finding.
pub const STEPS_MAX: usize = 28;
/// How far into a payload the `?` that ends a request's path is looked for, in bytes.
pub const QUERY_REACH: usize = 64;

const BUCKETS: usize = 64;
const PORTS: usize = 1 << 16;

/// The exit to the signature whose row is the rest of the number.
pub(super) const FOUND: u16 = 0x8000;
/// The exit to nothing: no test has this number, and no row.
pub(super) const NONE: u16 = 0x7fff;

/// The length of a test's window, in bytes: two words.
pub(super) const WINDOW: u16 = 16;

/// One test of a decision program: two words of the packet are `value` under `mask`; or, where `same` has bits, the second
/// word is what it was before it was turned, and the first is the second.
///
/// One form for all tests, without a branch: each would double what the verifier has to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Test {
    /// Which bits count, the first byte lowest.
    pub(super) mask: [u64; 2],
    /// What they must be.
    pub(super) value: [u64; 2],
    /// Which bits repeat: a run of one byte, or of two in turn.
    pub(super) same: [u64; 2],
    /// Where the window begins, in bytes from the anchor.
    pub(super) offset: i16,
    /// How far the second word is turned, in bits.
    pub(super) turn: u16,
    /// The exit if it holds: the next test, or [`FOUND`].
    pub(super) then: u16,
    /// The exit if it does not: the next signature's first test, or [`NONE`].
    pub(super) otherwise: u16,
}

impl Test {
    #[inline(always)]
    pub(super) fn holds(&self, window: Words<2>) -> bool {
        let [first, second] = window.words.map(|word| word.0);
        let ([mask, second_mask], [value, second_value]) = (self.mask, self.value);
        let [same, second_same] = self.same;
        let turned = second.rotate_right(u32::from(self.turn));
        let differ = (first ^ (second & same)) & mask ^ value;
        let second_differ = (second ^ (turned & second_same)) & second_mask ^ second_value;
        differ | second_differ | window.missing == 0
    }
}

/// What a signature asks of a packet besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Row {
    /// The signature's number; 0 in a row that is not used.
    pub(super) id: u16,
    /// The least length of the payload, in bytes.
    pub(super) payload_min: u16,
    /// The greatest.
    pub(super) payload_max: u16,
    /// How far behind the anchor the pattern reaches, in bytes.
    pub(super) reach: u16,
    /// How far before it the pattern begins.
    pub(super) lead: u16,
    /// Bits of [`super::Traits`].
    pub(super) traits: u16,
    /// The exit if it is found but this does not hold: as [`Test::otherwise`].
    pub(super) otherwise: u16,
    pub(super) reserved: u16,
}

impl Row {
    /// Whether a payload of `len` bytes, whose anchor is at `base`, in a packet with these traits fits.
    ///
    /// VERIFIER: differences that may be negative and a mask instead of comparisons, each of which would leave the verifier
    /// with two states.
    #[inline(always)]
    pub(super) fn fits(&self, len: usize, base: usize, traits: u16) -> bool {
        let over_min = len.wrapping_sub(usize::from(self.payload_min));
        let under_max = usize::from(self.payload_max).wrapping_sub(len);
        let over_reach = len.wrapping_sub(base).wrapping_sub(usize::from(self.reach));
        let over_lead = base.wrapping_sub(usize::from(self.lead));
        let negative = (over_min | under_max | over_reach | over_lead) >> (usize::BITS - 1);
        negative | usize::from(!traits & self.traits) == 0
    }
}

/// The signatures that are looked for in the same packets at the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Group {
    /// Which of the window's bytes are hashed.
    pub(super) window_mask: u64,
    /// Where the window begins, in bytes from the anchor.
    pub(super) window_offset: i16,
    pub(super) reserved: [u8; 6],
    /// The first test for each hash, or [`NONE`].
    pub(super) buckets: [u16; BUCKETS],
}

impl Group {
    /// The bucket of a window.
    #[inline(always)]
    pub(super) fn bucket(&self, window: u64) -> usize {
        // The golden ratio spreads the bytes into the upper bits; six of them are a bucket.
        ((window & self.window_mask).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize
    }

    /// The first test for a packet with this window.
    #[inline(always)]
    pub(super) fn first_test(&self, window: u64) -> u16 {
        self.buckets
            .get(self.bucket(window))
            .map_or(NONE, |test| *test)
    }
}

/// All signatures, for one map value.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct SignatureTable {
    pub(super) groups: [Group; GROUPS_MAX],
    pub(super) tests: [Test; TESTS_MAX],
    pub(super) rows: [Row; ROWS_MAX],
    /// For each port, at its [`port_slot`], a bit for each group that looks at packets to (or from) it.
    pub(super) tcp_destination: [u8; PORTS],
    pub(super) udp_destination: [u8; PORTS],
    pub(super) udp_source: [u8; PORTS],
    pub(super) icmp_echo: u8,
    /// A bit for each group whose anchor is the first `?` of the payload, not its first byte.
    pub(super) at_query: u8,
    /// A bit for each group that has a signature which asks for no payload.
    pub(super) without_payload: u8,
    pub(super) reserved: [u8; 5],
}

impl SignatureTable {
    /// The number of the signature in `row`; 0 if there is none.
    #[inline(always)]
    #[must_use]
    pub fn id(&self, row: usize) -> u16 {
        self.row(row).map_or(0, |row| row.id)
    }

    /// The groups that look at the packets with this transport header.
    #[inline(always)]
    pub(super) fn groups(&self, transport: &Transport) -> u8 {
        match transport.protocol {
            Protocol::Tcp => groups_of(&self.tcp_destination, transport.destination_port()),
            Protocol::Udp => {
                groups_of(&self.udp_source, transport.source_port())
                    | groups_of(&self.udp_destination, transport.destination_port())
            }
            Protocol::Icmp if transport.icmp() == Icmp::ECHO_REQUEST => self.icmp_echo,
            Protocol::Icmp | Protocol::Icmpv6 => 0,
        }
    }

    /// The group of the lowest bit of `groups`.
    #[inline(always)]
    pub(super) fn lowest_group(&self, groups: u8) -> Option<&Group> {
        self.groups.get(group_slot(groups))
    }

    #[inline(always)]
    pub(super) fn row(&self, index: usize) -> Option<&Row> {
        self.rows.get(index)
    }

    #[inline(always)]
    pub(super) fn test(&self, index: usize) -> Option<&Test> {
        self.tests.get(index)
    }
}

/// Where the group of the lowest bit of `groups` is kept.
///
/// Multiplied by a de Bruijn sequence, a bit is a number of its own in the upper three bits. BPF has no instruction that
/// finds a bit, and the usual way takes two dozen.
#[inline(always)]
pub(super) fn group_slot(groups: u8) -> usize {
    let lowest = groups & groups.wrapping_neg();
    usize::from(lowest.wrapping_mul(0b0001_1101) >> 5)
}

/// Where a port is kept: in the order its bytes have in a packet.
///
/// VERIFIER: of a number whose bytes were turned, Linux 5.10 and 6.1 know no bound. Turned once more it is what was read, and
/// the compiler turns nothing at all.
#[inline(always)]
pub(super) fn port_slot(port: u16) -> usize {
    usize::from(port.swap_bytes())
}

#[inline(always)]
fn groups_of(entries: &[u8; PORTS], port: u16) -> u8 {
    entries.get(port_slot(port)).map_or(0, |groups| *groups)
}
