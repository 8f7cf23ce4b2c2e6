//! Where the bytes of a packet come from.
//!
//! Bytes are copied out by offset, never borrowed: a `&[u8]` over packet memory is rejected by the verifier, and a
//! header cast over it would be unaligned. The offset is bounded here, in shared code, so that the kernel and the host
//! give up on the same odd packet at the same place.

/// The largest offset at which anything is read, in bytes from the start of the frame.
///
/// Ethernet, two tags, IPv6 and its longest sensible chain of extension headers, the longest TCP header and the
/// longest signature fit well below it.
pub const MAX_OFFSET: usize = 4095;

/// Eight bytes of a packet.
///
/// VERIFIER: not an `Option`, whose branch would double the ways to go on after each of many reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// The bytes, the first one lowest; zero if they are missing.
    pub bits: u64,
    /// Zero if all bytes are there.
    pub missing: u64,
}

impl Word {
    /// What is read where bytes are missing.
    pub const MISSING: Self = Self {
        bits: 0,
        missing: 1,
    };
}

/// A packet, from the first byte of its Ethernet header.
pub trait PacketBytes: Sized {
    /// The length of the whole frame on the wire, in bytes, without the frame check sequence.
    fn wire_len(&self) -> usize;

    /// Copies the `N` bytes at `offset`, or `None` if any of them is missing.
    fn bytes<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;

    /// The same value.
    ///
    /// VERIFIER: in the kernel, without what the verifier knows of it, so that the ways it came by go on as one.
    #[inline(always)]
    #[must_use]
    fn forget(value: usize) -> usize {
        value
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

    /// The eight bytes at `offset` as one word, or none of them, where [`Self::read`] gives `None`.
    #[inline(always)]
    fn load_word(&self, offset: usize) -> Word {
        self.read(offset).map_or(Word::MISSING, |bytes| Word {
            bits: u64::from_le_bytes(bytes),
            missing: 0,
        })
    }

    /// The eight bytes at `offset` as one word, the first one lowest, or `None` as for [`Self::read`].
    #[inline(always)]
    fn read_word(&self, offset: usize) -> Option<u64> {
        let Word { bits, missing } = self.load_word(offset);
        (missing == 0).then_some(bits)
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
        assert_eq!(frame.load_word(MAX_OFFSET + 1), Word::MISSING);
    }
}
