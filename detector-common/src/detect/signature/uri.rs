//! The target of a request, decoded once, as Microsoft's servers read it: `%41` and `%u0041`, UTF-8 that is longer than it has to be, and a
//! backslash for a slash.
//!
//! What is no escape stays as it is written, and so does a character that has no letter of ASCII for it. A target never becomes longer.

use bytemuck::{Pod, Zeroable};

use super::{
    bytes::{HIGHS, ONES, all, first, zeros},
    workspace::{DECODED, Workspace},
};
use crate::packet::PacketBytes;

/// Steps of one call. VERIFIER: each is followed, so a long target is taken up again.
const STEPS: u32 = 4;
/// The most bytes that one call writes: a word at a time.
pub(super) const CALL_MAX: u32 = 8 * (STEPS + 1);

/// A target that is being decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Decoder {
    /// Where its next byte stands.
    pub at: u32,
    /// Where it ends.
    pub end: u32,
    /// Where the next decoded byte goes.
    pub out: u32,
    /// Where the decoded bytes of a character in UTF-8 began that is not whole yet.
    pub begin: u32,
    /// How many bytes it lacks.
    pub lacks: u32,
    /// What it says so far.
    pub value: u32,
}

/// The highest bits of those bytes of `word` that are perhaps not themselves: `%`, a backslash, and all that are not ASCII. Of the lowest one that is
/// certain, and no bit at all is.
#[inline(always)]
pub(super) fn marks(word: u64) -> u64 {
    zeros(word ^ all(b'%')) | zeros(word ^ all(b'\\')) | word & HIGHS
}

/// Goes on with the workspace's target.
#[inline(always)]
pub fn decode<P: PacketBytes>(workspace: &mut Workspace) {
    let Decoder {
        mut at,
        end,
        mut out,
        mut begin,
        mut lacks,
        mut value,
    } = workspace.decoder;
    let mut steps = 0_u32;
    while steps < STEPS {
        steps = steps.wrapping_add(1);
        // VERIFIER: else it would follow each place with each character that is not whole.
        (at, out) = (P::forget(at), P::forget(out));
        (begin, lacks, value) = (P::forget(begin), P::forget(lacks), P::forget(value));
        if at >= end {
            break;
        }
        let word = workspace.word::<P>(at);
        let marks = marks(word);
        if marks & 0x80 == 0 {
            // All before the first mark are themselves.
            let (plain, left) = (first(marks), end.wrapping_sub(at));
            let plain = if plain < left { plain } else { left };
            workspace.set_word::<P>(decoded(out), word);
            at = at.wrapping_add(plain);
            out = out.wrapping_add(plain);
            lacks = 0;
            continue;
        }
        // VERIFIER: all ways to write a byte go on as one.
        let Unit { byte, len } = Unit::of::<P>(word);
        let unit = Unit {
            byte: P::forget(byte),
            len: P::forget(len),
        };
        at = at.wrapping_add(unit.len);
        workspace.set_word::<P>(decoded(out), slashed::<P>(unit.byte));
        out = out.wrapping_add(1);
        if lacks != 0 && unit.may_follow() {
            lacks = lacks.wrapping_sub(1);
            value = value << 6 | unit.byte & 0x3f;
            if lacks == 0 && value < 0x80 {
                workspace.set_word::<P>(decoded(begin), slashed::<P>(value));
                out = begin.wrapping_add(1);
            }
        } else {
            begin = out.wrapping_sub(1);
            value = unit.byte & u32::from(unit.byte >> 1 == 0xc0 >> 1);
            lacks = followers(unit.byte);
        }
    }
    workspace.decodings = workspace.decodings.saturating_sub(steps);
    workspace.decoder = Decoder {
        at,
        end,
        out,
        begin,
        lacks,
        value,
    };
}

/// A place behind the payload.
#[inline(always)]
fn decoded(out: u32) -> u32 {
    out | DECODED
}

/// A byte, with a slash for a backslash.
#[inline(always)]
fn slashed<P: PacketBytes>(byte: u32) -> u64 {
    let byte = if byte == b'\\'.into() {
        b'/'.into()
    } else {
        byte
    };
    // VERIFIER: both go on as one.
    P::forget(byte).into()
}

/// How many bytes follow the first one of a character in UTF-8, if that may be one of ASCII that is longer than it has to be.
#[inline(always)]
fn followers(byte: u32) -> u32 {
    // VERIFIER: a sum, for of alternatives the compiler makes a table, which there is no place for.
    let is = |lead: u32| u32::from(byte == lead);
    is(0xc0)
        .wrapping_add(is(0xc1))
        .wrapping_add(is(0xe0).wrapping_mul(2))
        .wrapping_add(is(0xf0).wrapping_mul(3))
        .wrapping_add(is(0xf8).wrapping_mul(4))
        .wrapping_add(is(0xfc).wrapping_mul(5))
}

/// One byte, as it is written.
struct Unit {
    byte: u32,
    /// How many bytes it is written with.
    len: u32,
}

impl Unit {
    /// The first one of `word`.
    #[inline(always)]
    fn of<P: PacketBytes>(word: u64) -> Self {
        let itself = Self {
            byte: word as u32 & 0xff,
            len: 1,
        };
        if itself.byte != b'%'.into() {
            return itself;
        }
        // VERIFIER: sums of what was compared, so that both ways to write a byte go on as one.
        let is_wide = P::forget(u32::from(word >> 8 & 0xdf == b'U'.into()));
        let digits = hex(word >> (is_wide & 1).wrapping_add(1).wrapping_mul(8));
        let (valid, number) = if is_wide == 0 {
            (digits.valid & 0x8080 == 0x8080, digits.number >> 8)
        } else {
            (digits.valid == 0x8080_8080, ascii(digits.number))
        };
        if !valid || number > 0xff {
            return itself;
        }
        Self {
            byte: number,
            len: is_wide.wrapping_mul(3).wrapping_add(3),
        }
    }

    /// Whether it may be a further byte of a character in UTF-8. Microsoft's servers took any.
    #[inline(always)]
    fn may_follow(&self) -> bool {
        self.len != 1 || self.byte >> 6 == 0b10
    }
}

/// The letter of ASCII that a code point of UTF-16 stands for; more than a byte if there is none.
#[inline(always)]
fn ascii(point: u32) -> u32 {
    // The forms of full width begin with that of `!`.
    let of_full_width = point.wrapping_sub(0xff01);
    if of_full_width <= 0x5d {
        of_full_width.wrapping_add(0x21)
    } else if point < 0x80 {
        point
    } else {
        u32::MAX
    }
}

/// Four letters as hexadecimal digits.
struct Digits {
    /// The highest bit of each byte that is one.
    valid: u32,
    /// The number; of what is not valid anything.
    number: u32,
}

/// The four lowest bytes of `word` as hexadecimal digits.
#[inline(always)]
fn hex(word: u64) -> Digits {
    const HIGH: u32 = HIGHS as u32;
    const ONE: u32 = ONES as u32;
    let letters = word as u32;
    // No sum of a byte carries into the next one.
    let low = letters & !HIGH;
    let at_least = |bytes: u32, letter: u8| {
        let distance = 0x80_u32.wrapping_sub(letter.into());
        bytes.wrapping_add(ONE.wrapping_mul(distance))
    };
    let is_digit = at_least(low, b'0') & !at_least(low, b'9' + 1);
    let folded = low | ONE.wrapping_mul(0x20);
    let is_letter = at_least(folded, b'a') & !at_least(folded, b'f' + 1) & HIGH;
    let halves = (low & ONE.wrapping_mul(0x0f)).wrapping_add((is_letter >> 7).wrapping_mul(9));
    // The first digit counts most.
    let number = (halves & 0x0f) << 12
        | (halves >> 8 & 0x0f) << 8
        | (halves >> 16 & 0x0f) << 4
        | halves >> 24 & 0x0f;
    Digits {
        valid: (is_digit | is_letter) & !letters & HIGH,
        number,
    }
}
