//! How widely a source reaches, in numbers that mean something outside the classifier.

use std::fmt;

use detector_common::{
    detect::{Detector, arp_sweep::LONG_BITS, scan::HOSTS_BITS},
    event::Reach,
    sketch,
};
use serde::{Deserialize, Serialize};

/// Both sketches have the same size.
const _: () = assert!(LONG_BITS == HOSTS_BITS);

/// How many different addresses that did not answer a sender of ARP or neighbour discovery asked for in the present window of minutes, or how many hosts a
/// scanner tried: an estimate, whose standard error is 5.5 % at 300 and 11 % at 1000. `None` for another detector.
#[must_use]
pub fn targets(detector: Option<Detector>, reach: Reach) -> Option<u32> {
    match detector? {
        Detector::ArpSweep
        | Detector::NdSweep
        | Detector::Scan
        | Detector::UdpSweep
        | Detector::IcmpSweep => Some(sketch::estimate(LONG_BITS, reach.targets_ones)),
        Detector::Signature
        | Detector::ArpFlood
        | Detector::ArpFloodSegment
        | Detector::ArpSpoof
        | Detector::NdFlood
        | Detector::NdSpoof => None,
    }
}

/// What became of the hosts that a scanner tried in the present window of minutes. A fast scan is a sample: a few hosts a second are
/// looked after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// Hosts that were looked after, or were known to answer.
    pub judged: u16,
    /// Those that did not answer within a second, or refused.
    pub silent: u16,
    /// Those that refused.
    pub refused: u16,
    /// Whether it prefers its neighbours, as Code Red II and Nimda do: of at least twenty hosts that it tried, a quarter are
    /// in its own /16, or half in its own /8. By chance it would be one in 65,536, or in 256.
    pub prefers_neighbours: bool,
}

impl Tried {
    /// What became of the hosts of a scanner; `None` for another detector.
    #[must_use]
    pub fn of(detector: Option<Detector>, reach: Reach) -> Option<Self> {
        let is_scan = matches!(
            detector?,
            Detector::Scan | Detector::UdpSweep | Detector::IcmpSweep
        );
        let outcome = reach.outcome;
        is_scan.then(|| Self {
            judged: outcome.judged,
            silent: outcome.silent,
            refused: outcome.refused,
            prefers_neighbours: outcome.hosts_ones >= 20
                && (u32::from(outcome.in_own_16) * 4 >= u32::from(outcome.hosts_ones)
                    || u32::from(outcome.in_own_8) * 2 >= u32::from(outcome.hosts_ones)),
        })
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { judged, silent, .. } = self;
        write!(out, "{silent} of {judged} looked after did not answer")?;
        if self.refused > 0 {
            write!(out, " ({} refused)", self.refused)?;
        }
        if self.prefers_neighbours {
            out.write_str(", prefers its neighbours as Code Red II and Nimda do")?;
        }
        Ok(())
    }
}

/// Whether an ARP sender spoke for addresses of several networks (/24), as a router does that looks for what others send to.
#[must_use]
pub fn speaks_for_several(reach: Reach) -> bool {
    reach.networks.count_ones() > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sweep_has_targets_and_they_are_estimated() {
        let mut reach = Reach::default();
        reach.targets_ones = sketch::expected_ones(LONG_BITS, 303);
        reach.networks = 0b101;
        let told = targets(Some(Detector::ArpSweep), reach);
        assert!(told.is_some_and(|told| told.abs_diff(303) < 3), "{told:?}");
        assert_eq!(targets(Some(Detector::ArpFlood), reach), None);
        assert!(speaks_for_several(reach) && !speaks_for_several(Reach::default()));
    }

    #[test]
    fn a_scan_that_keeps_to_its_own_network_is_told() {
        let mut reach = Reach::default();
        reach.outcome.hosts_ones = 40;
        (reach.outcome.judged, reach.outcome.silent) = (12, 11);
        let told = |reach| Tried::of(Some(Detector::Scan), reach).map(|tried| tried.to_string());
        assert_eq!(
            told(reach).as_deref(),
            Some("11 of 12 looked after did not answer")
        );
        (reach.outcome.refused, reach.outcome.in_own_16) = (3, 10);
        assert_eq!(
            told(reach).as_deref(),
            Some(
                "11 of 12 looked after did not answer (3 refused), prefers its neighbours as Code Red II and Nimda do"
            )
        );
        (reach.outcome.in_own_16, reach.outcome.in_own_8) = (0, 19);
        assert!(!told(reach).is_some_and(|line| line.contains("neighbours")));
        reach.outcome.in_own_8 = 20;
        assert!(told(reach).is_some_and(|line| line.contains("neighbours")));
        assert_eq!(Tried::of(Some(Detector::ArpSweep), reach), None);
    }
}
