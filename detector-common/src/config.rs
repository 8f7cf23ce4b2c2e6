//! What the operator decided, in the form the classifier reads: one fixed-size record in a map.

use bytemuck::{Pod, Zeroable};

use crate::{
    reason::Reason,
    token_bucket::Limit,
    verdict::{Decision, Verdict},
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
}

impl Policy {
    /// The policy of a number in a [`Config`]; one that is not known detects nothing.
    #[inline(always)]
    fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Count,
            2 => Self::Alert,
            3 => Self::Drop,
            4 => Self::Limit,
            _ => Self::Off,
        }
    }

    /// The name in the configuration and in every output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Count => "count",
            Self::Alert => "alert",
            Self::Drop => "drop",
            Self::Limit => "limit",
        }
    }

    /// Whether findings are reported.
    #[inline(always)]
    #[must_use]
    pub fn reports(self) -> bool {
        self >= Self::Alert
    }

    /// Whether it costs packets in [`Mode::Enforce`].
    #[inline(always)]
    #[must_use]
    pub fn drops(self) -> bool {
        self >= Self::Drop
    }
}

/// The whole configuration of the classifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Config {
    /// The limit of one ARP sender.
    pub arp_sender: Limit,
    /// The limit of one segment: all senders of one interface and VLAN together.
    pub arp_segment: Limit,
    /// At most one report of a source under a detector in this time, in nanoseconds.
    pub report_interval_ns: u64,
    /// The secret of the source table's hash.
    pub hash_seed: u64,
    mode: u8,
    signature: u8,
    arp_flood: u8,
    reserved: [u8; 5],
}

impl Config {
    /// The defaults: monitor; signatures drop, ARP floods are limited (to 15/s a sender: what Cisco allows an
    /// untrusted port; and 200/s a segment), a report a second.
    pub const DEFAULT: Self = Self {
        arp_sender: Limit::new(15, 30),
        arp_segment: Limit::new(200, 400),
        report_interval_ns: 1_000_000_000,
        hash_seed: 0,
        mode: Mode::Monitor as u8,
        signature: Policy::Drop as u8,
        arp_flood: Policy::Limit as u8,
        reserved: [0; 5],
    };

    /// The same with the switch set to `mode`.
    #[must_use]
    pub fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = mode as u8;
        self
    }

    /// The same with these policies.
    #[must_use]
    pub fn with_policies(mut self, signature: Policy, arp_flood: Policy) -> Self {
        self.signature = signature as u8;
        self.arp_flood = arp_flood as u8;
        self
    }

    /// The switch.
    #[inline(always)]
    #[must_use]
    pub fn mode(&self) -> Mode {
        if self.mode == Mode::Enforce as u8 {
            Mode::Enforce
        } else {
            Mode::Monitor
        }
    }

    /// The policy of the signature detector.
    #[inline(always)]
    #[must_use]
    pub fn signature(&self) -> Policy {
        Policy::from_number(self.signature)
    }

    /// The policy of the ARP flood detector.
    #[inline(always)]
    #[must_use]
    pub fn arp_flood(&self) -> Policy {
        Policy::from_number(self.arp_flood)
    }

    /// What `policy` makes of a packet that was flagged for `reason`.
    #[inline(always)]
    #[must_use]
    pub fn verdict(&self, policy: Policy, reason: Reason) -> Decision {
        let verdict = if policy.drops() && self.mode() == Mode::Enforce {
            Verdict::Drop
        } else {
            Verdict::Pass
        };
        Decision { reason, verdict }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::DEFAULT
    }
}
