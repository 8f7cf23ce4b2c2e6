//! The fixtures: frames whose verdict is known beforehand, in one table for the host and for the kernel.
//!
//! A fixture says in words what it is, what the classifier must say of it and which worm it must name. What must be
//! counted, kept and reported follows from that; how is the tests' business. A packet that once broke something is
//! added here. [`UNREACHABLE`] names the reasons that no frame leads to.

mod arp;
mod benign;
pub mod check;
mod extensions;
mod fragments;
mod malformed;
mod mark;
mod nd;
mod patterns;
mod ports;
mod transport;
mod truncated;
mod worms;

use detector::tables::{HashSeed, Tables};
use detector_common::{
    config::{Config, Mode, Policy},
    detect::{
        Detector,
        arp_sweep::{self, SHORT_BITS},
    },
    net::MacAddress,
    reason::Reason,
    token_bucket::Limit,
    verdict::Verdict,
};

pub use self::mark::Mark;
use crate::builder::{Mac, PacketBuilder};

/// The ports that the fixtures' HTTP goes to.
pub const HTTP_PORTS: [u16; 2] = [80, 8080];
/// How many broadcast requests a sender may send at once.
pub const SENDER_BURST: u32 = 30;
/// How many answers a sender may send at once.
pub const REPLY_BURST: u32 = 50;
/// How many different addresses a sender may not ask for in vain.
pub const SWEEP_TARGETS: u32 = 8;
/// The MAC of a gateway.
pub const GATEWAY: Mac = [0x02, 0, 0, 0, 0xa0, 0x01];
/// How many all senders of a segment may send at once.
pub const SEGMENT_BURST: u32 = 40;

const SECOND_NS: u64 = 1_000_000_000;

/// Reasons without a fixture, and why there is none.
pub const UNREACHABLE: [(Reason, &str); 5] = [
    (
        Reason::StateMissing,
        "the maps are arrays, whose entries exist from the start; no frame takes them away",
    ),
    (Reason::Scan, IN_SCANS),
    (Reason::UdpSweep, IN_SCANS),
    (Reason::IcmpSweep, IN_SCANS),
    (
        Reason::Blocked,
        "somebody has to be blocked first: tests/blocks.rs has it",
    ),
];
const IN_SCANS: &str = "it takes many packets and a second between them: tests/scans.rs has it";

/// A frame and what must become of it.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// What it is, in words; no other fixture has the same.
    pub name: String,
    /// What is sent before it. All of it passes.
    pub before: Vec<Step>,
    /// The frame.
    pub frame: Vec<u8>,
    /// What the classifier says of it.
    pub reason: Reason,
    /// The signature that it shows.
    pub signature: Option<&'static str>,
}

/// A frame that is sent to get somewhere.
#[derive(Clone, Debug)]
pub struct Step {
    /// The frame.
    pub frame: Vec<u8>,
    /// What the classifier says of it.
    pub reason: Reason,
}

impl Fixture {
    /// What becomes of the frame: in `enforce` a finding costs it.
    pub fn verdict(&self, mode: Mode) -> Verdict {
        match mode {
            Mode::Enforce if self.is_found() => Verdict::DROP,
            Mode::Monitor if self.is_found() => Verdict::WOULD_DROP,
            Mode::Enforce | Mode::Monitor => Verdict::PASS,
        }
    }

    /// Whether a detector objects to the frame.
    #[must_use]
    pub fn is_found(&self) -> bool {
        matches!(
            self.reason,
            Reason::Signature
                | Reason::ArpFlood
                | Reason::ArpFloodSegment
                | Reason::ArpReplyFlood
                | Reason::ArpSweep
                | Reason::ArpSpoof
                | Reason::NdFlood
                | Reason::NdAdvertisementFlood
                | Reason::NdSweep
                | Reason::NdSpoof
        )
    }

    fn new(name: impl Into<String>, packet: &PacketBuilder, reason: Reason) -> Self {
        Self {
            name: name.into(),
            before: Vec::new(),
            frame: packet.build(),
            reason,
            signature: None,
        }
    }

    fn clean(name: impl Into<String>, packet: &PacketBuilder) -> Self {
        Self::new(name, packet, Reason::Clean)
    }

    fn worm(name: impl Into<String>, packet: &PacketBuilder, signature: &'static str) -> Self {
        Self {
            signature: Some(signature),
            ..Self::new(name, packet, Reason::Signature)
        }
    }

    fn after(self, before: Vec<Step>) -> Self {
        Self { before, ..self }
    }
}

/// Every fixture.
#[must_use]
pub fn all() -> Vec<Fixture> {
    [
        worms::fixtures(),
        ports::fixtures(),
        patterns::fixtures(),
        fragments::fixtures(),
        extensions::fixtures(),
        benign::fixtures(),
        arp::fixtures(),
        nd::fixtures(),
        malformed::fixtures(),
        transport::fixtures(),
        truncated::fixtures(),
    ]
    .concat()
}

/// The tables that the fixtures are written for: every finding is reported at once, and a burst of ARP requests is
/// used up for a second, in which no test sends more.
pub fn tables(mode: Mode) -> anyhow::Result<Tables> {
    let slow = |burst: u32| Limit::new(burst, u64::from(burst) * SECOND_NS);
    let mut config = Config::DEFAULT.with_mode(mode);
    config.arp_sender = slow(SENDER_BURST);
    config.arp_segment = slow(SEGMENT_BURST);
    config.arp_replies = slow(REPLY_BURST);
    config.sweep_short = arp_sweep::threshold(SWEEP_TARGETS, 60 * SECOND_NS, SHORT_BITS);
    config.report_interval_ns = 0;
    config = config
        .with_policy(Detector::ArpSweep, Policy::Drop)
        .with_policy(Detector::ArpSpoof, Policy::Drop)
        .with_policy(Detector::NdFlood, Policy::Limit)
        .with_policy(Detector::NdSweep, Policy::Drop)
        .with_policy(Detector::NdSpoof, Policy::Drop)
        // These have tests of their own: most packets try a host, and would leave a second mark.
        .with_policy(Detector::Scan, Policy::Off)
        .with_policy(Detector::UdpSweep, Policy::Off)
        .with_policy(Detector::IcmpSweep, Policy::Off)
        .with_gateways([MacAddress::new(GATEWAY)]);
    Ok(Tables::of_worms(config, HashSeed::FIXED, &HTTP_PORTS))
}
