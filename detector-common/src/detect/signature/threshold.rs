//! How many packets of its source a rule held for: `threshold` and `detection_filter`.
//!
//! A word for each rule and source in a table that all CPUs
//! share, for the connections of a source are spread over them: a part of their hash, when the window began, and how many packets
//! there were since. Rules and sources that share a slot push each other out, and who is pushed out is counted from the start. A word is
//! written as a whole, so nothing is locked; of two packets that two CPUs count at once, one may be lost.
//!
//! A window begins with the first packet, and the next one with the first packet behind its end, as Suricata has it.

use super::table::Row;
use crate::{net::IpAddress, packet::is_zero};

/// Slots of the table, a power of two: half a megabyte.
pub const SLOTS: u32 = 1 << 16;

/// The most packets that a rule may ask for, or have told: a number as large as any counts for all behind it.
pub const COUNT_MAX: u32 = COUNT as u32 - 1;
/// The most seconds of a window, a day: longer ones would soon be taken for others, for the time of a word begins again every 52 days.
pub const SECONDS_MAX: u32 = 86_400;

/// The time of a word is in units of 2²⁴ nanoseconds, about 17 milliseconds.
const UNIT_BITS: u32 = 24;
/// A packet that comes so many units before its window, about a second, is one of it: clocks of captures are not all one.
pub(super) const EARLY: u32 = 1 << 6;

/// From the lowest: how many packets (16 bits), when the window began (28), a part of the hash (20).
const COUNT: u64 = 0xffff;
const BEGAN_SHIFT: u32 = 16;
/// The bits of a time.
pub(super) const TIME: u32 = 0x0fff_ffff;
const HASH_SHIFT: u32 = 44;

/// Where the words are.
pub trait Words {
    /// The word of a slot.
    fn word(&self, slot: u32) -> Option<u64>;
    /// Writes the word of a slot.
    fn set_word(&mut self, slot: u32, word: u64);
}

impl Words for [u64] {
    fn word(&self, slot: u32) -> Option<u64> {
        self.get(slot as usize).copied()
    }

    fn set_word(&mut self, slot: u32, word: u64) {
        if let Some(place) = self.get_mut(slot as usize) {
            *place = word;
        }
    }
}

/// Who keeps count: when the packet came, and where its counts are.
#[derive(Debug)]
pub struct Meter<'w, W: ?Sized> {
    /// When the packet came, in nanoseconds.
    pub now_ns: u64,
    /// Secret, so that nobody can choose sources that share a slot.
    pub seed: u64,
    /// The words.
    pub words: &'w mut W,
}

/// A time, in the units of a word.
#[inline(always)]
pub(super) const fn units(ns: u64) -> u32 {
    (ns >> UNIT_BITS) as u32
}

/// When a rule matches, and when it is told, by the number of a packet of its source within a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The first that matches.
    pub least: u16,
    /// The last that is told; [`Row::AGAIN`] if the count begins again with each that matches.
    pub last: u16,
    /// How long a window is, in the units of a word.
    pub window: u32,
}

impl Limits {
    /// Those of a window of so many seconds, in which the packets up to `told` are told.
    #[must_use]
    pub fn new(least: u32, told: u32, seconds: u32) -> Self {
        let window = (u64::from(seconds) * 1_000_000_000).div_ceil(1 << UNIT_BITS);
        Self {
            least: least as u16,
            last: told as u16,
            window: window as u32,
        }
    }
}

/// Counts a packet of `source` for the rule of `row`: which one of its window it is.
#[inline(always)]
pub(super) fn count(
    row: &Row,
    source: IpAddress,
    meter: &mut Meter<'_, impl Words + ?Sized>,
) -> u32 {
    // A rule that asks for something else now begins anew.
    let context = u64::from(row.slot) | u64::from(row.least) << 16 | u64::from(row.window) << 32;
    // No window is as long as its upper half.
    let context = context ^ u64::from(row.last) << 48;
    let hash = source.hash(context, meter.seed);
    let slot = hash as u32 & SLOTS.wrapping_sub(1);
    let word = meter.words.word(slot).unwrap_or(0);

    let now = units(meter.now_ns) & TIME;
    let began = (word >> BEGAN_SHIFT) as u32 & TIME;
    let age = now.wrapping_sub(began).wrapping_add(EARLY) & TIME;
    let is_known = word != 0 && is_zero((word ^ hash) >> HASH_SHIFT) != 0;
    let (began, before) = if is_known && age <= row.window.wrapping_add(EARLY) {
        (began, word & COUNT)
    } else {
        (now, 0)
    };
    let counted = if before == COUNT {
        COUNT
    } else {
        before.wrapping_add(1)
    };
    let begins_again = row.last == Row::AGAIN && counted >= row.least.into();
    let kept = if begins_again { 0 } else { counted };
    let word = hash >> HASH_SHIFT << HASH_SHIFT | u64::from(began) << BEGAN_SHIFT | kept;
    meter.words.set_word(slot, word);
    counted as u32
}
