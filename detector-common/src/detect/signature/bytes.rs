//! Bytes of a word, looked at together.

/// 1 in every byte.
pub const ONES: u64 = 0x0101_0101_0101_0101;
/// The highest bit of every byte.
pub const HIGHS: u64 = ONES << 7;

/// The same byte in all of a word.
#[inline(always)]
#[must_use]
pub fn all(byte: u8) -> u64 {
    ONES.wrapping_mul(byte.into())
}

/// The highest bits of those bytes that are zero. Of the lowest one that is certain, and no bit at all is; of those above it not.
#[inline(always)]
#[must_use]
pub fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

/// The number of the first byte whose highest bit is set, from 0; 8 if there is none. No other bits are set.
#[inline(always)]
#[must_use]
pub fn first(highs: u64) -> u32 {
    // All bits below the lowest one that is set: the lowest of each byte is one of them up to the byte that it is in.
    let below = highs.wrapping_sub(1) & !highs;
    let bytes = (below & ONES).wrapping_mul(ONES) >> 56;
    (bytes as u32).wrapping_sub(u32::from(highs != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_that_is_zero_is_found() {
        for place in 0..8_u32 {
            let word = !(0xff_u64 << (8 * place));
            assert_eq!(first(zeros(word)), place);
        }
        assert_eq!(first(zeros(0)), 0);
        assert_eq!(first(zeros(u64::MAX)), 8);
    }
}
