//! What the operator decides of each detector: a section of the file each.

use std::{collections::BTreeMap, net::IpAddr};

use detector_common::{
    config::Policy,
    detect::{
        arp_sweep,
        scan::{self, HOSTS_BITS, WATCHED},
    },
    window::Threshold,
};

use super::{
    quota::Quota,
    section::{Fault, Section},
};
use crate::output::Mac;

/// The most addresses whose owners the operator names: of more, some would share a slot of the table of owners.
const BINDINGS_MAX: usize = 1024;
/// The most packets of a limit. Beyond a million at once it is none.
const PACKETS_MAX: u32 = 1_000_000;
/// The policies of a detector of ARP or neighbour discovery without a rate that could be limited. ARP is never blocked: what a gateway asks, somebody behind it
/// makes it ask.
pub(super) const UNLIMITED: [Policy; 4] = [Policy::Off, Policy::Count, Policy::Alert, Policy::Drop];
/// The policies of what no detector finds: it is counted whatever the operator says, and reported by nobody.
pub(super) const COUNTING: [Policy; 2] = [Policy::Count, Policy::Drop];
/// The policies of the ones with such a rate, which drop the excess and nothing else.
pub(super) const FLOODING: [Policy; 4] = [Policy::Off, Policy::Count, Policy::Alert, Policy::Limit];
/// The policies of a detector whose sources have IP addresses, and of whom one packet is enough.
const BLOCKING: [Policy; 5] = [
    Policy::Off,
    Policy::Count,
    Policy::Alert,
    Policy::Drop,
    Policy::Block,
];
/// The same of one that sees many packets of a source, whose rate can be limited.
const LIMITING: [Policy; 6] = [
    Policy::Off,
    Policy::Count,
    Policy::Alert,
    Policy::Limit,
    Policy::Drop,
    Policy::Block,
];

/// `[signature]`: one packet is enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureSettings {
    /// `policy`: what a finding leads to.
    pub policy: Policy,
    /// `block_unproven`: whether that blocks whom anybody can have sent the packet in the name of.
    pub block_unproven: bool,
}

/// `[arp_spoof]`: claims of what is another's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArpSpoofSettings {
    /// `policy`: what a claim leads to.
    pub policy: Policy,
    /// `bindings`: addresses outside of VLANs whose owners are known for good.
    pub bindings: BTreeMap<IpAddr, Mac>,
}

/// `[arp_flood]`: ARP messages above a rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArpFloodSettings {
    /// `policy`: what the excess leads to.
    pub policy: Policy,
    /// `sender`: the requests to all of one sender.
    pub sender: Quota,
    /// `gateway`: the same of one of the `gateways`.
    pub gateway: Quota,
    /// `replies`: the replies and announcements of one sender.
    pub replies: Quota,
    /// `segment`: the requests of all senders of one interface and VLAN together.
    pub segment: Quota,
}

/// `[arp_sweep]`, `[scan]`, `[udp_sweep]` and `[icmp_sweep]`: many different hosts that do not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepSettings {
    /// `policy`: what a packet that looks for one more leads to.
    pub policy: Policy,
    /// `block_unproven`: as of a signature.
    pub block_unproven: bool,
    /// `short`: so many are a scan in seconds.
    pub short: Quota,
    /// `long`: so many are a slow scan.
    pub long: Quota,
    /// `limit`: so many hosts may a source that scans still try where `policy` is to limit it.
    pub limit: Quota,
}

impl ArpSpoofSettings {
    pub(super) fn read(section: &mut Section<'_>, default: &Self) -> Result<Self, Fault> {
        Ok(Self {
            policy: section.choice("policy", &UNLIMITED, Policy::name, default.policy)?,
            bindings: section.bindings("bindings", BINDINGS_MAX)?,
        })
    }
}

impl SignatureSettings {
    pub(super) fn read(section: &mut Section<'_>, default: &Self) -> Result<Self, Fault> {
        Ok(Self {
            policy: section.choice("policy", &BLOCKING, Policy::name, default.policy)?,
            block_unproven: section.flag("block_unproven", default.block_unproven)?,
        })
    }
}

impl ArpFloodSettings {
    pub(super) fn read(section: &mut Section<'_>, default: &Self) -> Result<Self, Fault> {
        Ok(Self {
            policy: section.choice("policy", &FLOODING, Policy::name, default.policy)?,
            sender: section.quota("sender", PACKETS_MAX, default.sender)?,
            gateway: section.quota("gateway", PACKETS_MAX, default.gateway)?,
            replies: section.quota("replies", PACKETS_MAX, default.replies)?,
            segment: section.quota("segment", PACKETS_MAX, default.segment)?,
        })
    }
}

impl SweepSettings {
    /// So many, in two windows, are reported.
    pub(super) const fn new(short: Quota, long: Quota) -> Self {
        Self {
            policy: Policy::Alert,
            block_unproven: false,
            short,
            long,
            limit: Quota::new(1, 1),
        }
    }

    /// Twice as many addresses as a sketch has bits set 86 % of them, so a count up to that is reached.
    pub(super) fn read_arp(section: &mut Section<'_>, default: &Self) -> Result<Self, Fault> {
        Ok(Self {
            policy: section.choice("policy", &UNLIMITED, Policy::name, default.policy)?,
            block_unproven: false,
            short: section.quota("short", 2 * arp_sweep::SHORT_BITS, default.short)?,
            long: section.quota("long", 2 * arp_sweep::LONG_BITS, default.long)?,
            limit: default.limit,
        })
    }

    /// Hosts count themselves here and not the bits they set, so fewer fit; and but a few a second are looked after.
    pub(super) fn read_scan(section: &mut Section<'_>, default: &Self) -> Result<Self, Fault> {
        let mut quota =
            |key, default| section.sampled_quota(key, HOSTS_BITS / 2, WATCHED as u32 / 2, default);
        let (short, long) = (quota("short", default.short)?, quota("long", default.long)?);
        Ok(Self {
            policy: section.choice("policy", &LIMITING, Policy::name, default.policy)?,
            block_unproven: section.flag("block_unproven", default.block_unproven)?,
            limit: section.quota("limit", PACKETS_MAX, default.limit)?,
            short,
            long,
        })
    }

    /// The two thresholds of an ARP sweep.
    pub(super) fn arp_thresholds(&self) -> [Threshold; 2] {
        [
            (self.short, arp_sweep::SHORT_BITS),
            (self.long, arp_sweep::LONG_BITS),
        ]
        .map(|(quota, bits)| arp_sweep::threshold(quota.count(), quota.window_ns(), bits))
    }

    /// What is a scan.
    pub(super) fn scan_rule(&self) -> scan::Rule {
        let threshold = |quota: Quota| Threshold::new(quota.count(), quota.window_ns());
        scan::Rule::new(
            threshold(self.short),
            threshold(self.long),
            scan::ANSWER_WITHIN_NS,
            self.limit.to_limit(),
        )
    }
}
