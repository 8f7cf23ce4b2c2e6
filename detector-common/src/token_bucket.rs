//! A token bucket in one number: the generic cell rate algorithm (ITU-T I.371 annex A, "virtual scheduling").
//!
//! The state is the theoretical arrival time of the next packet. A packet conforms while that lies no further ahead
//! of now than the burst allows. No division and no refill step: it costs a comparison and an addition.

use bytemuck::{Pod, Zeroable};

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// How far packets of a capture overtake one another without its clock having stepped back, in nanoseconds: a second.
const REORDERING_NS: u64 = NANOS_PER_SECOND;

/// So many packets in so long, as the kernel keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Limit {
    /// Nanoseconds between two packets at the sustained rate.
    interval_ns: u64,
    /// How far ahead of now the theoretical arrival may lie, in nanoseconds.
    tolerance_ns: u64,
}

impl Limit {
    /// `packets`, at least 1, at once, and as many in every `window_ns` nanoseconds in the long run.
    #[must_use]
    pub const fn new(packets: u32, window_ns: u64) -> Self {
        let interval_ns = match window_ns.checked_div(packets as u64) {
            Some(interval_ns) => interval_ns,
            None => window_ns,
        };
        Self {
            interval_ns,
            tolerance_ns: interval_ns.saturating_mul((packets as u64).saturating_sub(1)),
        }
    }
}

/// The bucket of one source. Zeroed, it is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct TokenBucket {
    /// When the next packet would arrive at the sustained rate, in nanoseconds of the runtime's clock.
    arrival_ns: u64,
}

impl TokenBucket {
    /// Takes a token for a packet at `now_ns`; `false` if there is none, and then nothing changes.
    ///
    /// A bucket further ahead of now than it can be is one of a clock that has stepped back, and is full again.
    #[inline(always)]
    #[must_use]
    pub fn take(&mut self, limit: &Limit, now_ns: u64) -> bool {
        let mut arrival = if self.arrival_ns > now_ns {
            self.arrival_ns
        } else {
            now_ns
        };
        let ahead = arrival.saturating_sub(now_ns);
        if ahead > limit.tolerance_ns {
            let most = limit.tolerance_ns.saturating_add(limit.interval_ns);
            if ahead <= most.saturating_add(REORDERING_NS) {
                return false;
            }
            arrival = now_ns;
        }
        self.arrival_ns = arrival.saturating_add(limit.interval_ns);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = NANOS_PER_SECOND;

    #[test]
    fn a_burst_conforms_and_the_packet_after_it_does_not() {
        let limit = Limit::new(30, 2 * SECOND);
        let mut bucket = TokenBucket::default();
        assert_eq!((0..100).filter(|_| bucket.take(&limit, SECOND)).count(), 30);
    }

    #[test]
    fn the_sustained_rate_is_what_passes_in_the_long_run() {
        let limit = Limit::new(30, 2 * SECOND);
        let mut bucket = TokenBucket::default();
        let passed = (0..100_000_u64)
            .filter(|packet| bucket.take(&limit, SECOND + packet * SECOND / 1000))
            .count();
        assert!(
            (15 * 100 + 28..=15 * 100 + 31).contains(&passed),
            "{passed} passed in 100 s"
        );
    }

    #[test]
    fn a_clock_that_steps_back_begins_anew() {
        let limit = Limit::new(30, 2 * SECOND);
        let mut bucket = TokenBucket::default();
        for start in [100 * SECOND, 10 * SECOND] {
            let passed = (0..100).filter(|_| bucket.take(&limit, start)).count();
            assert_eq!(passed, 30);
        }
        // Packets that overtake one another are no new beginning.
        assert!(!bucket.take(&limit, 10 * SECOND - REORDERING_NS));
    }

    #[test]
    fn the_end_of_time_does_not_overflow() {
        let limit = Limit::new(u32::MAX, u64::MAX);
        let mut bucket = TokenBucket::default();
        assert!(bucket.take(&limit, u64::MAX));
        assert!(bucket.take(&limit, u64::MAX));
    }
}
