//! Where the bytes of a packet come from.
//!
//! Bytes are copied out by offset, never borrowed: a `&[u8]` over packet memory is rejected by the verifier, and a
//! header cast over it would be unaligned. The offset is bounded here, in shared code, so that the kernel and the host
//! give up on the same odd packet at the same place.

use crate::reason::Reason;

/// The largest offset at which anything is read, in bytes from the start of the frame.
///
/// Ethernet, two tags, IPv6 and its longest sensible chain of extension headers, the longest TCP header and the
/// longest signature fit well below it.
pub const MAX_OFFSET: usize = 4095;

/// Eight bytes of a packet, the first one lowest.
///
/// VERIFIER: its parts are taken out by shifting. Taken apart as an array of bytes it would go through the stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Word(pub u64);

impl Word {
    /// The byte `at` bytes from the start.
    #[inline(always)]
    #[must_use]
    pub fn u8(self, at: u32) -> u8 {
        self.0.wrapping_shr(at.wrapping_mul(8)) as u8
    }

    /// The two bytes `at` bytes from the start, as a number in network order.
    #[inline(always)]
    #[must_use]
    pub fn u16(self, at: u32) -> u16 {
        (self.0.wrapping_shr(at.wrapping_mul(8)) as u16).swap_bytes()
    }

    /// The four bytes `at` bytes from the start, as a number in network order.
    #[inline(always)]
    #[must_use]
    pub fn u32(self, at: u32) -> u32 {
        (self.0.wrapping_shr(at.wrapping_mul(8)) as u32).swap_bytes()
    }
}

/// Some words of a packet, each from a place of its own.
///
/// VERIFIER: not an `Option`, whose branch would double the ways to go on after each of many reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words<const N: usize> {
    /// The words; zero if any byte is missing.
    pub words: [Word; N],
    /// Zero if all bytes are there.
    pub missing: u64,
}

impl<const N: usize> Words<N> {
    /// What is read where bytes are missing.
    pub const MISSING: Self = Self {
        words: [Word(0); N],
        missing: 1,
    };

    /// The words, or `reason` if any byte is missing.
    #[inline(always)]
    pub fn or(self, reason: Reason) -> Result<[Word; N], Reason> {
        if self.missing == 0 {
            Ok(self.words)
        } else {
            Err(reason)
        }
    }
}

/// A packet, from the first byte of its Ethernet header.
pub trait PacketBytes: Sized {
    /// The length of the whole frame on the wire, in bytes, without the frame check sequence. Not all of it may be here: of a capture there may be
    /// the first bytes only, and in the kernel there is the first piece.
    fn wire_len(&self) -> usize;

    /// Copies the `N` bytes at `offset`, or `None` if any of them is missing.
    fn bytes<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;

    /// The same value.
    ///
    /// VERIFIER: in the kernel, without what the verifier knows of it, so that the ways it came by go on as one.
    #[inline(always)]
    #[must_use]
    fn forget(value: u32) -> u32 {
        value
    }

    /// The eight bytes of `memory` from the byte `at` on, the first lowest; zero if any of them is missing.
    #[inline(always)]
    #[must_use]
    fn load<const N: usize>(memory: &[u64; N], at: usize) -> u64 {
        let bytes = bytemuck::bytes_of(memory).get(at..at.wrapping_add(8));
        let bytes = bytes.and_then(|bytes| bytes.first_chunk());
        bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    /// Writes eight bytes over those of `memory` from the byte `at` on, the first lowest; nothing if one of them is missing.
    #[inline(always)]
    fn store<const N: usize>(memory: &mut [u64; N], at: usize, word: u64) {
        let bytes = bytemuck::bytes_of_mut(memory).get_mut(at..at.wrapping_add(8));
        if let Some(bytes) = bytes.and_then(|bytes| bytes.first_chunk_mut()) {
            *bytes = word.to_le_bytes();
        }
    }

    /// Copies the `N` bytes at `offset`, or `None` if any of them is missing or lies beyond [`MAX_OFFSET`].
    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        // VERIFIER: this bounds the variable part of every packet pointer.
        if offset > MAX_OFFSET {
            return None;
        }
        self.bytes(offset)
    }

    /// The word at `offset`; missing where [`Self::read`] gives `None`.
    #[inline(always)]
    fn word(&self, offset: usize) -> Words<1> {
        self.words(offset, [0])
    }

    /// The words at `offset` and `B` bytes behind it; missing if one of them is, or if `offset` is beyond [`MAX_OFFSET`].
    #[inline(always)]
    fn two_words<const B: usize>(&self, offset: usize) -> Words<2> {
        self.words(offset, [0, B])
    }

    /// The words at `offset`, and `B` and `C` bytes behind it, as [`Self::two_words`]. `C` is greater than `B`.
    #[inline(always)]
    fn three_words<const B: usize, const C: usize>(&self, offset: usize) -> Words<3> {
        self.words(offset, [0, B, C])
    }

    /// The four words at `offset`, if all of their bytes are there; `None` as well if it is beyond [`MAX_OFFSET`].
    #[inline(always)]
    fn block(&self, offset: usize) -> Option<[Word; 4]> {
        let block = self.words(offset, [0, 8, 16, 24]);
        (block.missing == 0).then_some(block.words)
    }

    /// The words at these places of a packet that has at least `LEN` bytes, in which all of them lie; `None` of a shorter one.
    #[inline(always)]
    fn front<const LEN: usize, const N: usize>(&self, places: [usize; N]) -> Option<[Word; N]> {
        let front = self.bytes::<LEN>(0)?;
        let word = |at: usize| front.get(at..)?.first_chunk().copied();
        Some(places.map(|at| Word(u64::from_le_bytes(word(at).unwrap_or_default()))))
    }

    /// The words at these distances behind `offset`.
    #[inline(always)]
    fn words<const N: usize>(&self, offset: usize, distances: [usize; N]) -> Words<N> {
        let mut words = Words {
            words: [Word(0); N],
            missing: 0,
        };
        for (word, distance) in words.words.iter_mut().zip(distances) {
            match self.bytes(offset.wrapping_add(distance)) {
                Some(bytes) if offset <= MAX_OFFSET => *word = Word(u64::from_le_bytes(bytes)),
                _ => return Words::MISSING,
            }
        }
        words
    }
}

/// A frame in memory, of which a capture may have kept only the first bytes.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    bytes: &'a [u8],
    wire_len: usize,
}

impl<'a> Frame<'a> {
    /// A whole frame.
    #[must_use]
    pub fn whole(bytes: &'a [u8]) -> Self {
        Self::captured(bytes, bytes.len())
    }

    /// At most `len` bytes of it, from its beginning.
    #[must_use]
    pub fn beginning(&self, len: usize) -> Self {
        Self {
            bytes: self.bytes.get(..len).unwrap_or(self.bytes),
            wire_len: self.wire_len,
        }
    }

    /// The first bytes of a frame that was `wire_len` bytes long.
    #[must_use]
    pub fn captured(bytes: &'a [u8], wire_len: usize) -> Self {
        Self {
            bytes,
            wire_len: wire_len.max(bytes.len()),
        }
    }
}

impl PacketBytes for Frame<'_> {
    #[inline(always)]
    fn wire_len(&self) -> usize {
        self.wire_len
    }

    #[inline(always)]
    fn bytes<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.bytes.get(offset..)?.first_chunk::<N>().copied()
    }
}

/// 1 if it is zero, and 0 if not, without a branch.
#[inline(always)]
pub(crate) fn is_zero(word: u64) -> u64 {
    (!word & word.wrapping_sub(1)) >> 63
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_that_needs_one_byte_too_many_gives_nothing() {
        let frame = Frame::whole(&[1, 2, 3]);
        assert_eq!(frame.read::<3>(0), Some([1, 2, 3]));
        assert_eq!(frame.read::<3>(1), None);
        assert_eq!(frame.read::<1>(usize::MAX), None);
    }

    #[test]
    fn nothing_is_read_beyond_the_largest_offset_even_if_it_is_there() {
        let frame = Frame::whole(&[7; MAX_OFFSET + 10]);
        assert_eq!(frame.read::<2>(MAX_OFFSET), Some([7, 7]));
        assert_eq!(frame.read::<2>(MAX_OFFSET + 1), None);
        assert_eq!(frame.word(MAX_OFFSET + 1), Words::MISSING);
        assert_eq!(frame.two_words::<1>(MAX_OFFSET).missing, 0);
    }

    #[test]
    fn the_parts_of_a_word_are_in_network_order() {
        let [word] = Frame::whole(&[1, 2, 3, 4, 5, 6, 7, 8]).word(0).words;
        assert_eq!((word.u8(0), word.u8(7)), (1, 8));
        assert_eq!((word.u16(0), word.u16(6)), (0x0102, 0x0708));
        assert_eq!((word.u32(0), word.u32(4)), (0x0102_0304, 0x0506_0708));
    }

    #[test]
    fn of_words_all_are_there_or_none() {
        let frame = Frame::whole(&[1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3]);
        assert_eq!(
            frame.three_words::<1, 8>(0).words,
            [1, 2 << 56, 2].map(Word)
        );
        assert_eq!(
            frame.three_words::<1, 9>(0).words,
            [1, 2 << 56, 3 << 56].map(Word)
        );
        assert_eq!(frame.three_words::<1, 10>(0), Words::MISSING);
        assert_eq!(frame.two_words::<8>(1), frame.words(1, [0, 8]));
        assert_eq!(frame.two_words::<8>(2), Words::MISSING);
    }
}
