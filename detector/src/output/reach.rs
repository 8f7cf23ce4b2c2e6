//! How widely a source reaches, in numbers that mean something outside the classifier.

use detector_common::{
    detect::{Detector, arp_sweep::LONG_BITS},
    event::Reach,
    sketch,
};

/// How many different addresses that did not answer an ARP sender asked for in the present window of minutes: an estimate, whose
/// standard error is 5.5 % at 300 and 11 % at 1000. `None` for another detector.
#[must_use]
pub fn targets(detector: Option<Detector>, reach: Reach) -> Option<u32> {
    (detector == Some(Detector::ArpSweep)).then(|| sketch::estimate(LONG_BITS, reach.targets_ones))
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
        let reach = Reach {
            targets_ones: sketch::expected_ones(LONG_BITS, 303),
            networks: 0b101,
        };
        let told = targets(Some(Detector::ArpSweep), reach);
        assert!(told.is_some_and(|told| told.abs_diff(303) < 3), "{told:?}");
        assert_eq!(targets(Some(Detector::ArpFlood), reach), None);
        assert!(speaks_for_several(reach) && !speaks_for_several(Reach::default()));
    }
}
