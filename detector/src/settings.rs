//! What the operator decides: the configuration file, checked, and the way from it to the classifier's tables.
//!
//! A file says only what differs from the defaults. A key that is not known, a policy that its detector does not have
//! and a number out of range are refused with their place, for a guard that ignores half of its orders is worse than
//! one that does not start.

mod block;
mod detectors;
mod error;
mod file;
mod quota;
mod rules;
mod section;

use std::{collections::BTreeMap, path::Path};

use detector_common::{
    config::{Config, GATEWAYS_MAX, Mode, Policy},
    detect::Detector,
};

pub use block::BlockSettings;
pub use detectors::{ArpFloodSettings, ArpSpoofSettings, SignatureSettings, SweepSettings};
use detectors::{COUNTING, FLOODING, UNLIMITED};
use error::Problem;
pub use error::SettingsError;
use file::File;
pub use quota::Quota;
pub use rules::RulesSettings;
use section::Fault;

use crate::{
    agent::response::ADDED_MAX,
    output::{Mac, Prefix},
    rules::{Book, RuleSet, Variables},
    tables::{HashSeed, Tables},
};

/// The longest time between two reports of the same finding, in milliseconds: an hour.
const REPORT_INTERVAL_MS_MAX: u32 = 3_600_000;

/// What the operator decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `mode`: whether anything is dropped at all.
    pub mode: Mode,
    /// `http_ports`: the TCP ports on which HTTP worms are looked for.
    pub http_ports: Vec<u16>,
    /// `report_interval_ms`: at most one report of a finding in this time.
    pub report_interval_ms: u32,
    /// `[signature]`.
    pub signature: SignatureSettings,
    /// `protected`: addresses and prefixes that nothing is ever done against, besides those that the machine depends on.
    pub protected: Vec<Prefix>,
    /// `[block]`.
    pub block: BlockSettings,
    /// `gateways`: the MACs of routers, which ask and answer for others.
    pub gateways: Vec<Mac>,
    /// `[arp_flood]`.
    pub arp_flood: ArpFloodSettings,
    /// `[arp_sweep]`.
    pub arp_sweep: SweepSettings,
    /// `[arp_spoof]`.
    pub arp_spoof: ArpSpoofSettings,
    /// `[nd_flood]`: as of ARP, within the same limits; so are the next two.
    pub nd_flood: Policy,
    /// `[nd_sweep]`.
    pub nd_sweep: Policy,
    /// `[nd_spoof]`.
    pub nd_spoof: Policy,
    /// `[scan]`.
    pub scan: SweepSettings,
    /// `[udp_sweep]`.
    pub udp_sweep: SweepSettings,
    /// `[icmp_sweep]`.
    pub icmp_sweep: SweepSettings,
    /// `[first_fragment_too_short]`: what a first fragment leads to that does not hold its headers.
    pub first_fragment_too_short: Policy,
    /// `[rules]`.
    pub rules: RulesSettings,
}

impl Default for Settings {
    /// The defaults of [`Config::DEFAULT`], with HTTP on its own port and on the usual other one.
    fn default() -> Self {
        Self {
            mode: Mode::Monitor,
            http_ports: vec![80, 8080],
            report_interval_ms: 1000,
            signature: SignatureSettings {
                policy: Policy::Drop,
                block_unproven: false,
            },
            arp_flood: ArpFloodSettings {
                policy: Policy::Limit,
                sender: Quota::new(30, 2),
                gateway: Quota::new(200, 2),
                replies: Quota::new(200, 2),
                segment: Quota::new(400, 2),
            },
            protected: Vec::new(),
            block: BlockSettings::DEFAULT,
            gateways: Vec::new(),
            arp_sweep: SweepSettings::new(Quota::new(20, 10), Quota::new(60, 600)),
            arp_spoof: ArpSpoofSettings {
                policy: Policy::Alert,
                bindings: BTreeMap::new(),
            },
            nd_flood: Policy::Alert,
            nd_sweep: Policy::Alert,
            nd_spoof: Policy::Alert,
            scan: SweepSettings::new(Quota::new(10, 60), Quota::new(25, 600)),
            udp_sweep: SweepSettings::new(Quota::new(20, 60), Quota::new(50, 600)),
            icmp_sweep: SweepSettings::new(Quota::new(20, 60), Quota::new(50, 600)),
            first_fragment_too_short: Policy::Count,
            rules: RulesSettings::new(),
        }
    }
}

impl Settings {
    /// The settings of a configuration file, or the defaults where there is none; in enforcing mode if `enforce` is
    /// asked for on the command line.
    pub fn of_command_line(file: Option<&Path>, enforce: bool) -> Result<Self, SettingsError> {
        let mut settings = file.map_or_else(|| Ok(Self::default()), Self::load)?;
        if enforce {
            settings.mode = Mode::Enforce;
        }
        Ok(settings)
    }

    /// Reads a configuration file.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        Self::of_file(&File::read(path)?)
    }

    /// Reads a configuration file that is called `path` and holds `bytes`.
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self, SettingsError> {
        Self::of_file(&File::from_bytes(path, bytes)?)
    }

    fn of_file(file: &File) -> Result<Self, SettingsError> {
        read(file.text()).map_err(|Fault { at, problem }| file.error(at, problem))
    }

    /// Whether nothing but the rules, and what they are compiled with, is different.
    #[must_use]
    pub fn differs_in_rules_only(&self, other: &Self) -> bool {
        let with_rules_of_other = Self {
            rules: other.rules.clone(),
            http_ports: other.http_ports.clone(),
            ..self.clone()
        };
        with_rules_of_other == *other
    }

    /// The tables of the classifier. What is said of rules that are refused because a packet filter cannot honour them is in the
    /// [`RuleSet`].
    ///
    /// Fails if a file of rules cannot be read, or if one of its rules is wrong.
    pub fn tables(&self, seed: HashSeed) -> Result<(Tables, RuleSet), SettingsError> {
        self.tables_after(&Book::default(), seed)
    }

    /// The same, in which rules keep the slots that they had `before`.
    pub fn tables_after(
        &self,
        before: &Book,
        seed: HashSeed,
    ) -> Result<(Tables, RuleSet), SettingsError> {
        let mut set = self.load_rules()?;
        let tables = Tables::after(before, self.config(), seed, &set.rules, &self.variables());
        set.refuse_compiled(&tables.refused);
        if let Some(problem) = Problem::of_rules(&set) {
            return Err(SettingsError::new(None, None, problem));
        }
        Ok((tables, set))
    }

    /// The rules of all files, and ours unless they are not wanted.
    pub fn load_rules(&self) -> Result<RuleSet, SettingsError> {
        RuleSet::load_as(
            self.rules.allow_partial,
            self.rules.worms,
            &self.rules.files,
        )
        .map_err(|error| SettingsError::new(None, None, Problem::Rules(error)))
    }

    /// What variables stand for.
    #[must_use]
    pub fn variables(&self) -> Variables {
        let mut variables = Variables::with_http(&self.http_ports);
        let Variables { addresses, ports } = self.rules.variables.clone();
        variables.addresses.extend(addresses);
        variables.ports.extend(ports);
        variables
    }

    /// The configuration of the classifier.
    #[must_use]
    pub fn config(&self) -> Config {
        let flood = &self.arp_flood;
        let mut config = Config::DEFAULT
            .with_mode(self.mode)
            .with_policy(Detector::Signature, self.signature.policy)
            .with_policy(Detector::ArpFlood, flood.policy)
            .with_policy(Detector::ArpSweep, self.arp_sweep.policy)
            .with_policy(Detector::ArpSpoof, self.arp_spoof.policy)
            .with_policy(Detector::NdFlood, self.nd_flood)
            .with_policy(Detector::NdSweep, self.nd_sweep)
            .with_policy(Detector::NdSpoof, self.nd_spoof)
            .with_policy(Detector::Scan, self.scan.policy)
            .with_policy(Detector::UdpSweep, self.udp_sweep.policy)
            .with_policy(Detector::IcmpSweep, self.icmp_sweep.policy)
            .with_short_first_fragments(self.first_fragment_too_short)
            .with_gateways(self.gateways.iter().map(|mac| mac.address()));
        config.arp_sender = flood.sender.to_limit();
        config.arp_gateway = flood.gateway.to_limit();
        config.arp_replies = flood.replies.to_limit();
        config.arp_segment = flood.segment.to_limit();
        [config.sweep_short, config.sweep_long] = self.arp_sweep.arp_thresholds();
        config.scan = self.scan.scan_rule();
        config.udp_sweep = self.udp_sweep.scan_rule();
        config.icmp_sweep = self.icmp_sweep.scan_rule();
        config.report_interval_ns = u64::from(self.report_interval_ms) * 1_000_000;
        config
    }
}

/// The settings that `text` says.
fn read(text: &str) -> Result<Settings, Fault> {
    let Settings {
        mode,
        http_ports,
        report_interval_ms,
        signature,
        arp_flood,
        arp_sweep,
        arp_spoof,
        nd_flood,
        nd_sweep,
        nd_spoof,
        scan,
        udp_sweep,
        icmp_sweep,
        first_fragment_too_short,
        ..
    } = Settings::default();
    section::document(text, |root| {
        Ok(Settings {
            mode: root.choice("mode", &[Mode::Monitor, Mode::Enforce], Mode::name, mode)?,
            http_ports: root.ports("http_ports", http_ports)?,
            report_interval_ms: root.number(
                "report_interval_ms",
                REPORT_INTERVAL_MS_MAX,
                report_interval_ms,
            )?,
            signature: root.section("signature", |section| {
                SignatureSettings::read(section, &signature)
            })?,
            protected: root.prefixes("protected", ADDED_MAX)?,
            block: root.section("block", BlockSettings::read)?,
            gateways: root.macs("gateways", GATEWAYS_MAX)?,
            arp_flood: root.section("arp_flood", |section| {
                ArpFloodSettings::read(section, &arp_flood)
            })?,
            arp_sweep: root.section("arp_sweep", |section| {
                SweepSettings::read_arp(section, &arp_sweep)
            })?,
            arp_spoof: root.section("arp_spoof", |section| {
                ArpSpoofSettings::read(section, &arp_spoof)
            })?,
            nd_flood: root.section("nd_flood", |section| {
                section.choice("policy", &FLOODING, Policy::name, nd_flood)
            })?,
            nd_sweep: root.section("nd_sweep", |section| {
                section.choice("policy", &UNLIMITED, Policy::name, nd_sweep)
            })?,
            nd_spoof: root.section("nd_spoof", |section| {
                section.choice("policy", &UNLIMITED, Policy::name, nd_spoof)
            })?,
            scan: root.section("scan", |section| SweepSettings::read_scan(section, &scan))?,
            udp_sweep: root.section("udp_sweep", |section| {
                SweepSettings::read_scan(section, &udp_sweep)
            })?,
            icmp_sweep: root.section("icmp_sweep", |section| {
                SweepSettings::read_scan(section, &icmp_sweep)
            })?,
            first_fragment_too_short: root.section("first_fragment_too_short", |section| {
                section.choice("policy", &COUNTING, Policy::name, first_fragment_too_short)
            })?,
            rules: root.section("rules", RulesSettings::read)?,
        })
    })
}

#[cfg(test)]
mod tests;
