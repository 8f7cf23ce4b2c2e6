//! How many different things there were, in a few words: linear counting (Whang, Vander-Zanden, Taylor 1990).
//!
//! Each thing sets one bit of `m`, chosen by its hash. `n` different ones leave `m · (1 − 1/m)ⁿ` bits clear on average, so
//! the bits that are set tell `n`, however often each came. With `t = n / m` the standard error of `n` is
//! `√(m · (eᵗ − t − 1)) / (t · m)`: 5.5 % at 303 of 256. Only the number of set bits is looked at, and each insertion says
//! whether it set one, so that a caller can keep count.

/// Sets the bit of a thing with this hash, and says whether it was clear.
///
/// `W`, the number of words, is a power of two.
#[inline(always)]
pub fn insert<const W: usize>(words: &mut [u64; W], hash: u64) -> bool {
    let (word, bit) = place::<W>(hash);
    let Some(word) = words.get_mut(word) else {
        return false;
    };
    let is_new = *word & bit == 0;
    *word |= bit;
    is_new
}

/// Clears the bit of a thing with this hash, and says whether it was set. Others that share the bit are gone with it.
#[inline(always)]
pub fn remove<const W: usize>(words: &mut [u64; W], hash: u64) -> bool {
    let (word, bit) = place::<W>(hash);
    let Some(word) = words.get_mut(word) else {
        return false;
    };
    let was_set = *word & bit != 0;
    *word &= !bit;
    was_set
}

/// Which word and which bit of it.
#[inline(always)]
fn place<const W: usize>(hash: u64) -> (usize, u64) {
    ((hash >> 6) as usize & W.wrapping_sub(1), 1 << (hash & 63))
}

/// Adds what another sketch of the same size holds.
pub fn unite(words: &mut [u64], others: &[u64]) {
    for (word, other) in words.iter_mut().zip(others) {
        *word |= other;
    }
}

/// The bits that are set.
#[must_use]
pub fn ones(words: &[u64]) -> u32 {
    words.iter().map(|word| word.count_ones()).sum()
}

/// A part of a bit, for [`expected_ones`] and [`estimate`]: they count in 2⁻²⁰.
const FRACTION: u64 = 1 << 20;

/// How many bits of `bits` so many different things set on average, rounded.
#[must_use]
pub const fn expected_ones(bits: u32, things: u32) -> u32 {
    let (mut ones, mut left) = (0, things);
    while left > 0 {
        let more = one_more(bits, ones);
        if more == ones {
            break;
        }
        (ones, left) = (more, left.saturating_sub(1));
    }
    (ones.saturating_add(FRACTION / 2) / FRACTION) as u32
}

/// How many different things there were if `ones` bits of `bits` are set: the most likely number, and when all are set
/// the least one.
#[must_use]
pub fn estimate(bits: u32, ones: u32) -> u32 {
    // With the last bit half expected to be set, nothing more can be told.
    let target = u64::from(ones.min(bits)).saturating_mul(FRACTION).min(
        u64::from(bits)
            .saturating_mul(FRACTION)
            .saturating_sub(FRACTION / 2),
    );
    let (mut expected, mut things) = (0, 0_u32);
    while expected < target {
        let next = one_more(bits, expected);
        if next == expected || target.saturating_sub(expected) < next.saturating_sub(expected) / 2 {
            break;
        }
        expected = next;
        things = things.saturating_add(1);
    }
    things
}

/// The bits that one more thing leaves set on average: it finds a clear bit as often as there are any.
const fn one_more(bits: u32, ones: u64) -> u64 {
    let clear = (bits as u64).saturating_mul(FRACTION).saturating_sub(ones);
    match clear.checked_div(bits as u64) {
        Some(more) => ones.saturating_add(more),
        None => ones,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    /// Hashes that look random: the sequence of `SplitMix64`.
    fn hashes(seed: u64) -> impl Iterator<Item = u64> {
        (1..).map(move |number: u64| {
            let mut word = (seed ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            word ^ (word >> 31)
        })
    }

    /// The standard error of the estimate of `things` with `bits` bits, as a share.
    fn standard_error(bits: u32, things: u32) -> f64 {
        let (bits, things) = (f64::from(bits), f64::from(things));
        let load = things / bits;
        (bits * (load.exp() - load - 1.0)).sqrt() / things
    }

    #[test]
    fn the_estimate_is_within_its_standard_error_as_often_as_it_should_be() {
        for things in [20_u32, 100, 303, 600, 1000] {
            let (mut within_one, mut within_three, runs) = (0, 0, 1000);
            let allowed = standard_error(512, things) * f64::from(things) + 0.5;
            for seed in 0..runs {
                let mut words = [0; 8];
                let mut set = 0;
                for hash in hashes(seed << 32).take(things as usize) {
                    set += u32::from(insert(&mut words, hash));
                    // What came before changes nothing.
                    assert!(!insert(&mut words, hash));
                }
                assert_eq!(set, ones(&words));
                let error = f64::from(estimate(512, set)) - f64::from(things);
                within_one += u32::from(error.abs() <= allowed);
                within_three += u32::from(error.abs() <= 3.0 * allowed);
            }
            // A normal distribution has 68 % and 99.7 %.
            assert!(within_one > 600, "{things}: {within_one}");
            assert!(within_three > 980, "{things}: {within_three}");
        }
    }

    #[test]
    fn the_expected_bits_are_those_of_the_formula_and_lead_back() {
        for bits in [64_u32, 128, 256, 512] {
            for things in (1..bits * 2).step_by(7) {
                let expected = expected_ones(bits, things);
                let formula = f64::from(bits)
                    * (1.0 - (1.0 - 1.0 / f64::from(bits)).powi(things.try_into().unwrap()));
                assert!(
                    (f64::from(expected) - formula).abs() <= 0.51,
                    "{bits} {things}"
                );
                let back = estimate(bits, expected);
                let slope = (f64::from(things) / f64::from(bits)).exp();
                assert!(
                    f64::from(back.abs_diff(things)) <= slope / 2.0 + 1.0,
                    "{bits} {things}: {back}"
                );
            }
        }
    }

    #[test]
    fn a_full_sketch_has_an_estimate_too_and_an_empty_one_has_none() {
        assert_eq!(estimate(64, 0), 0);
        assert!((250..400).contains(&estimate(64, 64)));
        assert_eq!(estimate(64, 1000), estimate(64, 64));
        assert_eq!(estimate(0, 5), 0);
        assert_eq!(expected_ones(64, u32::MAX), 64);
    }

    #[test]
    fn what_is_removed_can_be_inserted_again() {
        let mut words = [0; 2];
        assert!(!remove(&mut words, 77));
        assert!(insert(&mut words, 77) && remove(&mut words, 77) && insert(&mut words, 77));
    }
}
