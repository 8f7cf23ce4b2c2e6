//! The clock of a pcapng interface: what a tick is (`if_tsresol`) and when it began (`if_tsoffset`).
//!
//! Every tick becomes nanoseconds since 1970 without overflow: times before 1970 are 0, times after 2554 are
//! `u64::MAX`. Source: draft-ietf-opsawg-pcapng, "Interface Description Block".

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// How the timestamps of an interface are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    tick: Tick,
    offset_ns: i64,
}

/// How long a tick is. Three ways of saying it, so that no packet costs a 128-bit division.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tick {
    /// This many nanoseconds.
    Nanoseconds(u64),
    /// A nanosecond divided by this.
    PartOfNanosecond(u64),
    /// A second divided by two this many times.
    BinaryPartOfSecond(u32),
}

impl Clock {
    /// From the values of `if_tsresol` (6, microseconds, where it is missing) and of `if_tsoffset`, in seconds.
    pub(super) fn new(resolution: u8, offset_seconds: i64) -> Self {
        let exponent = u32::from(resolution & 0x7f);
        let tick = if resolution & 0x80 != 0 {
            Tick::BinaryPartOfSecond(exponent)
        } else if exponent <= 9 {
            Tick::Nanoseconds(10_u64.pow(9 - exponent))
        } else {
            // A tick so short that the divisor does not fit: all that 64 bits can count is less than a nanosecond.
            Tick::PartOfNanosecond(10_u64.checked_pow(exponent - 9).unwrap_or(u64::MAX))
        };
        let offset_ns = offset_seconds.saturating_mul(NANOS_PER_SECOND.cast_signed());
        Self { tick, offset_ns }
    }

    /// The time of `ticks`, in nanoseconds since 1970.
    pub(super) fn unix_ns(self, ticks: u64) -> u64 {
        let since_offset = match self.tick {
            Tick::Nanoseconds(length) => ticks.saturating_mul(length),
            Tick::PartOfNanosecond(divisor) => ticks / divisor,
            Tick::BinaryPartOfSecond(exponent) => {
                let nanos = (u128::from(ticks) * u128::from(NANOS_PER_SECOND)) >> exponent;
                u64::try_from(nanos).unwrap_or(u64::MAX)
            }
        };
        since_offset.saturating_add_signed(self.offset_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_a_second_at_every_decimal_resolution() {
        for digits in 0..=19 {
            let second = 10_u64.pow(digits.into());
            assert_eq!(
                Clock::new(digits, 0).unix_ns(second),
                NANOS_PER_SECOND,
                "10^-{digits}"
            );
        }
    }

    #[test]
    fn a_second_is_a_second_at_every_binary_resolution() {
        for digits in 0..=63 {
            assert_eq!(
                Clock::new(0x80 | digits, 0).unix_ns(1 << digits),
                NANOS_PER_SECOND,
                "2^-{digits}"
            );
        }
    }

    #[test]
    fn a_resolution_that_makes_no_sense_gives_a_time_and_no_panic() {
        for resolution in 0..=u8::MAX {
            for ticks in [0, 1, u64::MAX] {
                for offset in [i64::MIN, -1, 0, 1, i64::MAX] {
                    let _ = Clock::new(resolution, offset).unix_ns(ticks);
                }
            }
        }
        assert_eq!(Clock::new(0x7f, 0).unix_ns(1 << 63), 0);
        assert_eq!(Clock::new(0xff, 0).unix_ns(u64::MAX), 0);
    }

    #[test]
    fn an_offset_moves_the_time_and_never_below_1970() {
        assert_eq!(Clock::new(6, 100).unix_ns(1), 100 * NANOS_PER_SECOND + 1000);
        assert_eq!(Clock::new(0, -100).unix_ns(101), NANOS_PER_SECOND);
        assert_eq!(Clock::new(0, -100).unix_ns(99), 0);
        assert_eq!(Clock::new(0, 0).unix_ns(u64::MAX), u64::MAX);
    }
}
