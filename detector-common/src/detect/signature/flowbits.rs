//! Bits of a connection, which rules set and ask for: `flowbits`.
//!
//! Two words for each connection in a table that all CPUs share, for its two directions come in by different interfaces: who it is with until when
//! its bits are kept, and they. Connections that share a slot push each other out, which is counted. Nothing is locked: who takes another's slot marks it as
//! nobody's meanwhile, and of two packets of one connection that two CPUs change bits for at once, one may be lost.
//!
//! Only a packet for which all else of a rule holds comes here, so nothing else pushes anything out.

use super::{
    table::{FlowBits, RuleTable},
    threshold::{EARLY, Meter, TIME, Words, units},
    workspace::Workspace,
};
use crate::{
    packet::is_zero,
    parse::{Ip, Protocol},
};

/// Connections that there is room for, a power of two: a megabyte.
pub const SLOTS: u32 = 1 << 16;
/// The words of all of them.
pub const WORDS: u32 = 2 * SLOTS;

/// How long bits of a TCP connection are kept after the last packet for which a rule with bits held, in the units of a word: a day.
/// The connection itself ends them, as far as it is seen that the next one begins.
const OF_TCP: u32 = units(86_400_000_000_000);
/// The same of others, of which no end is seen: what Suricata has.
const OF_OTHERS: u32 = units(300_000_000_000);

/// The most names of bits.
pub const NAMES_MAX: u32 = 62;
/// Above those of names: that the end that hashes lower has begun a connection. The next one is the other end's.
const BEGUN: u64 = 1 << NAMES_MAX;

/// From the lowest: until when the bits are kept (28 bits), a part of the hash (36).
const TAG_SHIFT: u32 = 28;

/// A connection: the same for both of its directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    hash: u64,
    kept: u32,
    /// 1 if the end that hashes higher sent the packet.
    sender: u32,
}

impl Flow {
    /// The connection that a packet belongs to: all packets of a protocol between two addresses and their ports, whichever interface and VLAN they come
    /// in by. `names` is [`RuleTable::flow_names`], for with other names other bits are meant.
    #[inline(always)]
    #[must_use]
    pub fn of(ip: &Ip, names: u64, seed: u64) -> Self {
        let transport = &ip.transport;
        let protocol = u64::from(transport.protocol.number().0) << 16;
        let source = u64::from(transport.source_port()) | protocol;
        let destination = u64::from(transport.destination_port()) | protocol;
        // A sum is the same whoever sends.
        let (source, destination) = (
            ip.source.hash(source, seed),
            ip.destination.hash(destination, seed),
        );
        let ends = source.wrapping_add(destination);
        let hash = (ends ^ ends >> 32 ^ names).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let kept = if transport.protocol == Protocol::Tcp {
            OF_TCP
        } else {
            OF_OTHERS
        };
        Self {
            hash: hash ^ hash >> 32,
            kept,
            sender: u32::from(source > destination),
        }
    }

    /// Where its first word is; the bits are in the next.
    #[inline(always)]
    #[must_use]
    pub fn place(self) -> u32 {
        (self.hash as u32 & SLOTS.wrapping_sub(1)) << 1
    }

    /// Whether a first word is its.
    #[inline(always)]
    #[must_use]
    pub fn is_in(self, word: u64) -> bool {
        word != 0 && is_zero((word ^ self.hash) >> TAG_SHIFT) != 0
    }

    /// The bit of the second word that says that the packet's sender has begun a connection.
    #[inline(always)]
    #[must_use]
    pub fn begun(self) -> u64 {
        BEGUN << self.sender
    }

    /// The same of who it is sent to.
    #[inline(always)]
    #[must_use]
    pub fn begun_by_other(self) -> u64 {
        BEGUN << (self.sender ^ 1)
    }

    /// Its first word, of which the bits are kept from now on.
    #[inline(always)]
    fn word(self, now: u32) -> u64 {
        let until = now.wrapping_add(self.kept) & TIME;
        self.hash >> TAG_SHIFT << TAG_SHIFT | u64::from(until)
    }
}

/// Whether the bits of a first word are still kept.
#[inline(always)]
fn is_kept(word: u64, now: u32) -> bool {
    let left = (word as u32 & TIME).wrapping_sub(now) & TIME;
    word != 0 && left <= const { OF_TCP + EARLY }
}

impl FlowBits {
    /// Whether these bits are as the rule asks.
    #[inline(always)]
    fn hold(&self, bits: u64) -> bool {
        let is_any = is_zero(self.any) | is_zero(bits & self.any).wrapping_sub(1);
        is_zero(bits & self.mask ^ self.value) & is_any != 0
    }
}

/// Whether the rule of this row, of which all else holds, holds with the bits of the connection of `ip`. Then they are changed as it says.
#[inline(always)]
pub fn run(
    row: u32,
    ip: &Ip,
    meter: &mut Meter<'_, impl Words + ?Sized>,
    table: &RuleTable,
    workspace: &mut Workspace,
) -> bool {
    let asked = table.flow_bits(table.row(row).flow_bits);
    let flow = Flow::of(ip, table.flow_names, meter.seed);
    let place = flow.place();
    let second = place.wrapping_add(1);
    let word = meter.words.word(place).unwrap_or(0);
    let bits = meter.words.word(second).unwrap_or(0);
    // Unless another connection takes the slot between the two.
    let is_one = meter.words.word(place).unwrap_or(0) == word;
    let now = units(meter.now_ns);
    let is_known = is_one && flow.is_in(word) && is_kept(word, now);
    let bits = if is_known { bits } else { 0 };
    if !asked.hold(bits) {
        return false;
    }
    let changed = bits & asked.keep ^ asked.flip;
    if changed == 0 && !is_known {
        return true;
    }
    if !is_known {
        workspace.displaced |= u32::from(is_kept(word, now) && !flow.is_in(word));
        meter.words.set_word(place, 0);
    }
    if changed != bits || !is_known {
        meter.words.set_word(second, changed);
    }
    let kept = if changed == 0 { 0 } else { flow.word(now) };
    meter.words.set_word(place, kept);
    true
}
