//! Packets per second of each interface, from two looks at the counters a second apart.

use std::time::{Duration, Instant};

use detector_common::{abi::Counter, verdict::Verdict};
use serde::{Deserialize, Serialize};

use super::kernel::Counted;

/// How far the looks are apart.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// How much comes in by an interface, in the last second or so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Packets in a second.
    pub packets_per_s: f64,
    /// Bytes in a second.
    pub bytes_per_s: f64,
    /// Dropped packets in a second.
    pub dropped_per_s: f64,
}

/// What an interface has met so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// All packets.
    pub(super) all: Counter,
    /// Those that were dropped.
    pub(super) dropped: u64,
    /// Those that would have been, if the agent did not only monitor.
    pub(super) would_drop: u64,
}

impl Totals {
    /// The totals of the interface in `slot`.
    pub(super) fn of(slot: u32, counters: &[Counted]) -> Self {
        let mut totals = Self::default();
        for counted in counters.iter().filter(|counted| counted.interface == slot) {
            for counter in &counted.packets {
                totals.all.packets = totals.all.packets.saturating_add(counter.packets);
                totals.all.bytes = totals.all.bytes.saturating_add(counter.bytes);
                let dropped = match counted.verdict {
                    Verdict::DROP => &mut totals.dropped,
                    Verdict::WOULD_DROP => &mut totals.would_drop,
                    _ => continue,
                };
                *dropped = dropped.saturating_add(counter.packets);
            }
        }
        totals
    }
}

/// The last two looks.
#[derive(Debug)]
pub(super) struct Sampler {
    at: Instant,
    /// By slot.
    totals: Vec<Totals>,
    rates: Vec<Rates>,
}

impl Sampler {
    /// Begins with interfaces that have met nothing.
    pub(super) fn new(interfaces: usize) -> Self {
        Self {
            at: Instant::now(),
            totals: vec![Totals::default(); interfaces],
            rates: vec![Rates::default(); interfaces],
        }
    }

    /// Takes note of a look at `at`.
    pub(super) fn sample(&mut self, at: Instant, counters: &[Counted]) {
        let seconds = at.saturating_duration_since(self.at).as_secs_f64();
        if seconds <= 0.0 {
            return;
        }
        self.at = at;
        for ((slot, last), rates) in (0..).zip(&mut self.totals).zip(&mut self.rates) {
            let now = Totals::of(slot, counters);
            *rates = Rates {
                packets_per_s: per_second(last.all.packets, now.all.packets, seconds),
                bytes_per_s: per_second(last.all.bytes, now.all.bytes, seconds),
                dropped_per_s: per_second(last.dropped, now.dropped, seconds),
            };
            *last = now;
        }
    }

    /// The rates of the interface in `slot`.
    pub(super) fn rates(&self, slot: usize) -> Rates {
        self.rates.get(slot).copied().unwrap_or_default()
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a rate with sixteen digits is exact enough"
)]
fn per_second(before: u64, after: u64, seconds: f64) -> f64 {
    let rate = after.saturating_sub(before) as f64 / seconds;
    // A tenth of a packet is all that anybody wants to read.
    (rate * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use detector_common::reason::Reason;

    use super::*;

    fn counted(interface: u32, verdict: Verdict, packets: &[u64]) -> Counted {
        let counter = |packets: &u64| Counter {
            packets: *packets,
            bytes: packets * 60,
        };
        Counted {
            interface,
            reason: Reason::Clean,
            verdict,
            packets: packets.iter().map(counter).collect(),
        }
    }

    #[test]
    fn a_rate_is_what_came_since_the_last_look_by_the_time_since() {
        let mut sampler = Sampler::new(2);
        let start = sampler.at;
        let first = [counted(1, Verdict::PASS, &[100, 100])];
        sampler.sample(start + INTERVAL, &first);
        let second = [
            counted(1, Verdict::PASS, &[250, 350]),
            counted(1, Verdict::DROP, &[20, 0]),
        ];
        sampler.sample(start + 3 * INTERVAL, &second);
        let expected = Rates {
            packets_per_s: 210.0,
            bytes_per_s: 12_600.0,
            dropped_per_s: 10.0,
        };
        assert_eq!(sampler.rates(1), expected);
        assert_eq!(sampler.rates(0), Rates::default());
        sampler.sample(start + 3 * INTERVAL, &first);
        assert_eq!(sampler.rates(1), expected, "no time went by");
    }
}
