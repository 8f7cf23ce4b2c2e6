//! What the operator decided, in the form the classifier reads: one fixed-size record in a map.

use bytemuck::{Pod, Zeroable};

use crate::{
    detect::{Detector, arp_sweep, scan},
    net::MacAddress,
    packet::is_zero,
    reason::Reason,
    token_bucket::Limit,
    verdict::{Decision, Verdict},
    window::Threshold,
};

/// Whether a policy that drops may drop: one switch for the whole agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Mode {
    /// Everything passes; what was found is counted and reported. The default.
    #[default]
    Monitor = 0,
    /// Policies that drop, drop.
    Enforce = 1,
}

impl Mode {
    /// The name in the configuration and in every output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Monitor => "monitor",
            Self::Enforce => "enforce",
        }
    }
}

/// What a detector's finding leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Policy {
    /// The detector does not run.
    Off = 0,
    /// It is counted.
    Count = 1,
    /// It is counted and reported.
    Alert = 2,
    /// As `alert`; in `enforce` the packet is dropped.
    Drop = 3,
    /// As `alert`; in `enforce` the excess over the limit is dropped.
    Limit = 4,
    /// As `drop`, and the agent blocks a source that is who it says.
    Block = 5,
}

impl Policy {
    /// The name in the configuration and in every output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Count => "count",
            Self::Alert => "alert",
            Self::Drop => "drop",
            Self::Limit => "limit",
            Self::Block => "block",
        }
    }

    /// Its bits in a [`Response`].
    const fn bits(self) -> u8 {
        match self {
            Self::Off => 0,
            Self::Count => Response::RUNS,
            Self::Alert => Response::RUNS | Response::REPORTS,
            Self::Drop | Self::Block => Response::RUNS | Response::REPORTS | Response::DROPS,
            Self::Limit => Response::RUNS | Response::REPORTS | Response::DROPS | Response::LIMITS,
        }
    }
}

/// What a detector's policy and the switch allow: a few bits, for the classifier.
///
/// VERIFIER: a number whose bits are asked for one by one. Of an enum the compiler makes a branch for each policy, and the
/// verifier follows all that comes after once for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    bits: u8,
}

impl Response {
    const RUNS: u8 = 1;
    const REPORTS: u8 = 2;
    const DROPS: u8 = 4;
    const ENFORCES: u8 = 8;
    const LIMITS: u8 = 16;

    /// Whether the detector runs.
    #[inline(always)]
    #[must_use]
    pub fn runs(self) -> bool {
        self.bits & Self::RUNS != 0
    }

    /// The same for a rule that drops, or for one that does not.
    #[inline(always)]
    #[must_use]
    pub fn of_rule(self, drops: bool) -> Self {
        // Arithmetic, for a branch would double what the verifier has to follow.
        let kept = Self::DROPS.wrapping_mul(u8::from(drops));
        Self {
            bits: self.bits & (!Self::DROPS | kept),
        }
    }

    /// Whether its findings are reported.
    #[inline(always)]
    #[must_use]
    pub fn reports(self) -> bool {
        self.bits & Self::REPORTS != 0
    }

    /// Whether only the excess over a limit is dropped.
    #[inline(always)]
    #[must_use]
    pub fn limits(self) -> bool {
        self.bits & Self::LIMITS != 0
    }

    /// What becomes of a packet that was flagged.
    #[inline(always)]
    pub fn verdict(self) -> Verdict {
        let drops = (self.bits / Self::DROPS) & 1;
        let enforces = (self.bits / Self::ENFORCES) & 1;
        // DROP if it drops and enforces, WOULD_DROP if it drops and does not.
        Verdict::from_number(drops.wrapping_mul(2_u8.wrapping_sub(enforces)))
    }

    /// The same with its reason.
    #[inline(always)]
    pub fn decide(self, reason: Reason) -> Decision {
        Decision {
            reason,
            verdict: self.verdict(),
        }
    }
}

/// The most gateways whose ARP requests have a limit of their own.
pub const GATEWAYS_MAX: usize = 4;

/// The whole configuration of the classifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Config {
    /// The limit of one sender's requests, of ARP or of neighbour discovery; so are the next.
    pub arp_sender: Limit,
    /// The same of a gateway: what scanners outside make it ask is not its fault.
    pub arp_gateway: Limit,
    /// The limit of one ARP sender's replies.
    pub arp_replies: Limit,
    /// The limit of one segment's requests: all senders of one interface and VLAN together.
    pub arp_segment: Limit,
    /// What is a sweep in seconds.
    pub sweep_short: Threshold,
    /// What is a sweep in minutes.
    pub sweep_long: Threshold,
    /// What is a scan of a TCP port.
    pub scan: scan::Rule,
    /// What is a sweep of a UDP port.
    pub udp_sweep: scan::Rule,
    /// What is a sweep of ICMP echo requests.
    pub icmp_sweep: scan::Rule,
    /// At most one report of a source under a detector in this time, in nanoseconds.
    pub report_interval_ns: u64,
    /// The secret of the tables' hashes.
    pub hash_seed: u64,
    /// The MACs of gateways as words; [`u64::MAX`] is none.
    gateways: [u64; GATEWAYS_MAX],
    /// A bit for each interface, by slot, that faces hosts of ours.
    lan: u16,
    reserved: u8,
    /// The bits of the policy of first fragments that are too short, see [`Response`].
    short_first_fragments: u8,
    /// Whether anybody is blocked, see [`Self::blocks_addresses`].
    blocks: u8,
    mode: u8,
    /// The bits of each detector's policy, see [`Response`].
    policies: [u8; 10],
}

impl Config {
    /// The defaults: monitor; signatures drop; an ARP sender's requests are limited to 15/s (what Cisco allows an untrusted
    /// port), a gateway's and everybody's replies to 100/s, a segment's requests to 200/s; sweeps, spoofs and scans are
    /// reported, at most once a second each; first fragments that are too short are counted.
    pub const DEFAULT: Self = Self {
        arp_sender: Limit::new(30, 2_000_000_000),
        arp_gateway: Limit::new(200, 2_000_000_000),
        arp_replies: Limit::new(200, 2_000_000_000),
        arp_segment: Limit::new(400, 2_000_000_000),
        sweep_short: arp_sweep::threshold(20, 10_000_000_000, arp_sweep::SHORT_BITS),
        sweep_long: arp_sweep::threshold(60, 600_000_000_000, arp_sweep::LONG_BITS),
        scan: scan_rule(10, 25),
        udp_sweep: scan_rule(20, 50),
        icmp_sweep: scan_rule(20, 50),
        report_interval_ns: 1_000_000_000,
        hash_seed: 0,
        gateways: [u64::MAX; GATEWAYS_MAX],
        lan: 0,
        reserved: 0,
        short_first_fragments: Policy::Count.bits(),
        blocks: 0,
        mode: Mode::Monitor as u8,
        policies: [
            Policy::Drop.bits(),
            Policy::Limit.bits(),
            Policy::Alert.bits(),
            Policy::Alert.bits(),
            Policy::Alert.bits(),
            Policy::Alert.bits(),
            Policy::Alert.bits(),
            Policy::Alert.bits(),
            Policy::Alert.bits(),
            Policy::Alert.bits(),
        ],
    };

    /// The same with the switch set to `mode`.
    #[must_use]
    pub fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = mode as u8;
        self
    }

    /// The same with this policy of a detector.
    #[must_use]
    pub fn with_policy(mut self, detector: Detector, policy: Policy) -> Self {
        if let Some(slot) = self.policies.get_mut(slot(detector)) {
            *slot = policy.bits();
        }
        self
    }

    /// The same with this policy of first fragments that are too short.
    #[must_use]
    pub fn with_short_first_fragments(mut self, policy: Policy) -> Self {
        self.short_first_fragments = policy.bits();
        self
    }

    /// The same with these gateways: the first [`GATEWAYS_MAX`].
    #[must_use]
    pub fn with_gateways(mut self, gateways: impl IntoIterator<Item = MacAddress>) -> Self {
        self.gateways = [u64::MAX; GATEWAYS_MAX];
        for (slot, gateway) in self.gateways.iter_mut().zip(gateways) {
            *slot = gateway.to_word();
        }
        self
    }

    /// The same with these slots for the interfaces that face hosts of ours.
    #[must_use]
    pub fn with_lan(mut self, slots: impl IntoIterator<Item = u8>) -> Self {
        let bit = |slot: u8| 1_u16.checked_shl(slot.into()).unwrap_or(0);
        self.lan = slots.into_iter().map(bit).fold(0, |lan, bit| lan | bit);
        self
    }

    /// Whether the interface in this slot faces hosts of ours.
    #[inline(always)]
    #[must_use]
    pub fn is_lan(&self, slot: u8) -> bool {
        self.lan >> (slot & 15) & 1 == 1
    }

    /// Whether it is the MAC of a gateway.
    #[inline(always)]
    #[must_use]
    pub fn is_gateway(&self, mac: MacAddress) -> bool {
        // VERIFIER: all are compared by arithmetic, so that there is one way to follow.
        let [a, b, c, d] = self.gateways.map(|gateway| gateway ^ mac.to_word());
        is_zero(a) | is_zero(b) | is_zero(c) | is_zero(d) != 0
    }

    /// The same while addresses, or prefixes, are blocked.
    #[must_use]
    pub fn with_blocks(mut self, addresses: bool, prefixes: bool) -> Self {
        self.blocks = u8::from(addresses) | u8::from(prefixes) << 1;
        self
    }

    /// Whether an address is blocked, so that the classifier looks who.
    #[inline(always)]
    #[must_use]
    pub fn blocks_addresses(&self) -> bool {
        self.blocks & 1 != 0
    }

    /// The same of a prefix.
    #[inline(always)]
    #[must_use]
    pub fn blocks_prefixes(&self) -> bool {
        self.blocks & 2 != 0
    }

    /// What becomes of the packets of who is blocked.
    #[inline(always)]
    pub fn blocked(&self) -> Decision {
        let response = Response {
            bits: Response::DROPS | self.mode.wrapping_mul(Response::ENFORCES),
        };
        response.decide(Reason::Blocked)
    }

    /// What becomes of a first fragment that is too short.
    #[inline(always)]
    pub fn short_first_fragment(&self) -> Decision {
        let response = Response {
            bits: self.short_first_fragments | self.mode.wrapping_mul(Response::ENFORCES),
        };
        response.decide(Reason::FirstFragmentTooShort)
    }

    /// The switch.
    #[must_use]
    pub fn mode(&self) -> Mode {
        if self.mode == Mode::Enforce as u8 {
            Mode::Enforce
        } else {
            Mode::Monitor
        }
    }

    /// What a finding of a detector leads to.
    #[inline(always)]
    #[must_use]
    pub fn response(&self, detector: Detector) -> Response {
        let bits = match self.policies.get(slot(detector)) {
            Some(bits) => *bits,
            None => 0,
        };
        Response {
            bits: bits | self.mode.wrapping_mul(Response::ENFORCES),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// So many silent hosts in a minute, or in ten.
const fn scan_rule(short: u32, long: u32) -> scan::Rule {
    const SECOND_NS: u64 = 1_000_000_000;
    scan::Rule::new(
        Threshold::new(short, 60 * SECOND_NS),
        Threshold::new(long, 600 * SECOND_NS),
        scan::ANSWER_WITHIN_NS,
        Limit::new(1, SECOND_NS),
    )
}

/// Where the policy of a detector stands. All senders of a segment are under the policy of one.
#[inline(always)]
fn slot(detector: Detector) -> usize {
    match detector {
        Detector::Signature => 0,
        Detector::ArpFlood | Detector::ArpFloodSegment => 1,
        Detector::ArpSweep => 2,
        Detector::ArpSpoof => 3,
        Detector::Scan => 4,
        Detector::UdpSweep => 5,
        Detector::IcmpSweep => 6,
        Detector::NdFlood => 7,
        Detector::NdSweep => 8,
        Detector::NdSpoof => 9,
    }
}
