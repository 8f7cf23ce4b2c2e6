//! How long findings block, and what is to be said about it before they do.

use std::time::Duration;

use detector_common::{config::Policy, detect::Detector};

use super::{
    Settings,
    error::{Key, Problem},
    section::{Fault, Section},
};
use crate::agent::response::{BLOCK_SECONDS_MAX, Terms};

/// `[block]`: the blocks of findings whose policy is to block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockSettings {
    /// `time`: how long the first time.
    pub time: Duration,
    /// `time_max`: how long at most; each time is twice the last one.
    pub time_max: Duration,
}

impl BlockSettings {
    /// Ten minutes, and a day.
    pub const DEFAULT: Self = Self {
        time: Duration::from_mins(10),
        time_max: Duration::from_hours(24),
    };

    pub(super) fn read(section: &mut Section<'_>) -> Result<Self, Fault> {
        let max = Duration::from_secs(BLOCK_SECONDS_MAX);
        let time_max = section.time("time_max", max, Self::DEFAULT.time_max)?;
        let time = section.time("time", max, Self::DEFAULT.time.min(time_max))?;
        if time > time_max {
            return Err(Fault {
                at: section.place_of("time").unwrap_or_default(),
                problem: Problem::TimeAboveMax {
                    key: Key {
                        key: "time",
                        section: Some("block"),
                    },
                    time: time.as_secs(),
                    max: time_max.as_secs(),
                },
            });
        }
        Ok(Self { time, time_max })
    }
}

impl Settings {
    /// How long findings block, and which do.
    #[must_use]
    pub fn terms(&self) -> Terms {
        let detectors = self.blocking();
        Terms {
            time: self.block.time,
            time_max: self.block.time_max,
            detectors: detectors
                .filter(|(_, policy, _)| *policy == Policy::Block)
                .map(|(detector, _, unproven)| (detector, unproven))
                .collect(),
        }
    }

    /// What an operator should know of these settings before they are used, a line each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for (detector, policy, unproven) in self.blocking() {
            let name = detector.name();
            if policy == Policy::Block && !unproven && detector == Detector::Signature {
                warnings.push(format!(
                    "[{name}] blocks who shows a worm over a connection of its own: a page or a link can make an innocent's browser \
                     do so, and a host on a lan interface that is in league with somebody outside can forge it"
                ));
            } else if policy == Policy::Block && unproven {
                warnings.push(format!(
                    "[{name}] blocks on evidence that can be forged: whoever sends a packet in the name of another gets that \
                     one blocked, unless it is protected"
                ));
            } else if policy == Policy::Block && detector != Detector::Signature {
                warnings.push(format!(
                    "[{name}] blocks nobody, because what it finds can always be forged: say block_unproven = true where \
                     nobody forges addresses, or policy = \"drop\""
                ));
            } else if unproven && policy != Policy::Block {
                warnings.push(format!(
                    "[{name}] has block_unproven but does not block: say policy = \"block\""
                ));
            }
        }
        warnings
    }

    /// The detectors that may block, with their policies and whether these block without proof.
    fn blocking(&self) -> impl Iterator<Item = (Detector, Policy, bool)> {
        let signature = &self.signature;
        let sweeps = [
            (Detector::Scan, &self.scan),
            (Detector::UdpSweep, &self.udp_sweep),
            (Detector::IcmpSweep, &self.icmp_sweep),
        ];
        let sweeps = sweeps.map(|(detector, sweep)| (detector, sweep.policy, sweep.block_unproven));
        let signature = (
            Detector::Signature,
            signature.policy,
            signature.block_unproven,
        );
        [signature].into_iter().chain(sweeps)
    }
}
