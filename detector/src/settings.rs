//! What the operator decides: the configuration file, checked, and the way from it to the classifier's tables.
//!
//! A file says only what differs from the defaults. A key that is not known, a policy that its detector does not have
//! and a number out of range are refused with their place, for a guard that ignores half of its orders is worse than
//! one that does not start.

mod error;
mod file;
mod section;

use std::path::Path;

use detector_common::{
    config::{Config, Mode, Policy},
    detect::{Detector, signature::compile::CompileError},
    token_bucket::Limit,
};

pub use error::SettingsError;
use error::{Place, Problem};
use file::File;
use section::{Fault, Section};

use crate::{
    output::FileName,
    tables::{HashSeed, Tables},
};

/// The most packets per second, or at once, that a limit may allow. Beyond a thousand million a limit is none.
const RATE_MAX: u32 = 1_000_000;
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
    /// `[arp_flood]`.
    pub arp_flood: ArpFloodSettings,
    /// Where the HTTP ports come from, for the signatures may not fit on all of them.
    http_ports_origin: Option<(FileName, Place)>,
}

/// `[signature]`: worms by their patterns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureSettings {
    /// `policy`: what a match leads to.
    pub policy: Policy,
}

/// `[arp_flood]`: broadcast ARP requests above a rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArpFloodSettings {
    /// `policy`: what the excess leads to.
    pub policy: Policy,
    /// `rate`: requests per second of one sender in the long run.
    pub rate: u32,
    /// `burst`: requests of one sender at once.
    pub burst: u32,
    /// `segment_rate`: requests per second of all senders of one interface and VLAN together.
    pub segment_rate: u32,
    /// `segment_burst`: requests of all of them at once.
    pub segment_burst: u32,
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
            },
            arp_flood: ArpFloodSettings {
                policy: Policy::Limit,
                rate: 15,
                burst: 30,
                segment_rate: 200,
                segment_burst: 400,
            },
            http_ports_origin: None,
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
        let (mut settings, http_ports_at) =
            read(file.text()).map_err(|Fault { at, problem }| file.error(at, problem))?;
        settings.http_ports_origin = http_ports_at.map(|at| (file.name().clone(), file.place(at)));
        Ok(settings)
    }

    /// The tables of the classifier.
    ///
    /// Fails if so many signatures would be looked for on one of the HTTP ports that a packet took too long.
    pub fn tables(&self, seed: HashSeed) -> Result<Tables, SettingsError> {
        Tables::new(self.config(), seed, &self.http_ports)
            .map_err(|error| self.does_not_compile(error))
    }

    /// The configuration of the classifier.
    #[must_use]
    pub fn config(&self) -> Config {
        let flood = &self.arp_flood;
        let mut config = Config::DEFAULT
            .with_mode(self.mode)
            .with_policy(Detector::Signature, self.signature.policy)
            .with_policy(Detector::ArpFlood, flood.policy);
        config.arp_sender = Limit::new(flood.rate, flood.burst);
        config.arp_segment = Limit::new(flood.segment_rate, flood.segment_burst);
        config.report_interval_ns = u64::from(self.report_interval_ms) * 1_000_000;
        config
    }

    /// The HTTP ports are all that the operator has to do with it.
    fn does_not_compile(&self, error: CompileError) -> SettingsError {
        let (file, place) = self.http_ports_origin.clone().unzip();
        SettingsError::new(file, place, Problem::HttpPorts(error))
    }
}

/// The settings that `text` says, and where in it the HTTP ports stand.
fn read(text: &str) -> Result<(Settings, Option<usize>), Fault> {
    let Settings {
        mode,
        http_ports,
        report_interval_ms,
        signature,
        arp_flood,
        http_ports_origin,
    } = Settings::default();
    section::document(text, |root| {
        let settings = Settings {
            mode: root.choice("mode", &[Mode::Monitor, Mode::Enforce], Mode::name, mode)?,
            http_ports: root.ports("http_ports", http_ports)?,
            report_interval_ms: root.number(
                "report_interval_ms",
                REPORT_INTERVAL_MS_MAX,
                report_interval_ms,
            )?,
            signature: root.section("signature", |section| read_signature(section, &signature))?,
            arp_flood: root.section("arp_flood", |section| read_arp_flood(section, &arp_flood))?,
            http_ports_origin,
        };
        Ok((settings, root.place_of("http_ports")))
    })
}

fn read_signature(
    section: &mut Section<'_>,
    default: &SignatureSettings,
) -> Result<SignatureSettings, Fault> {
    // There is no rate in it that could be limited.
    let policies = [Policy::Off, Policy::Count, Policy::Alert, Policy::Drop];
    Ok(SignatureSettings {
        policy: section.choice("policy", &policies, Policy::name, default.policy)?,
    })
}

fn read_arp_flood(
    section: &mut Section<'_>,
    default: &ArpFloodSettings,
) -> Result<ArpFloodSettings, Fault> {
    let policies = [
        Policy::Off,
        Policy::Count,
        Policy::Alert,
        Policy::Limit,
        Policy::Drop,
    ];
    Ok(ArpFloodSettings {
        policy: section.choice("policy", &policies, Policy::name, default.policy)?,
        rate: section.number("rate", RATE_MAX, default.rate)?,
        burst: section.number("burst", RATE_MAX, default.burst)?,
        segment_rate: section.number("segment_rate", RATE_MAX, default.segment_rate)?,
        segment_burst: section.number("segment_burst", RATE_MAX, default.segment_burst)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        read(text).map(|(settings, _)| settings).unwrap()
    }

    fn refusal(text: &str) -> (usize, String) {
        let Fault { at, problem } = read(text).unwrap_err();
        (at, problem.to_string())
    }

    #[test]
    fn a_file_that_says_nothing_is_the_defaults_which_are_those_of_the_classifier() {
        assert_eq!(settings("# nothing"), Settings::default());
        assert_eq!(Settings::default().config(), Config::DEFAULT);
    }

    #[test]
    fn everything_that_can_be_said_reaches_the_classifier() {
        let settings = settings(
            "mode = 'enforce'
            http_ports = [80, 8_000]
            report_interval_ms = 0x10
            [signature]
            policy = 'alert'
            [arp_flood]
            policy = 'off'
            rate = 1
            burst = 2
            segment_rate = 3
            segment_burst = 4",
        );
        let config = settings.config();
        let mut expected = Config::DEFAULT
            .with_mode(Mode::Enforce)
            .with_policy(Detector::Signature, Policy::Alert)
            .with_policy(Detector::ArpFlood, Policy::Off);
        expected.arp_sender = Limit::new(1, 2);
        expected.arp_segment = Limit::new(3, 4);
        expected.report_interval_ns = 16_000_000;
        assert_eq!((config, settings.http_ports), (expected, vec![80, 8000]));
    }

    #[test]
    fn an_unknown_key_is_refused_where_it_stands_with_the_nearest_known_one() {
        for (text, at, message) in [
            (
                "[arp_flood]\nburst = 5\nratee = 5",
                22,
                r#"unknown key "ratee" in [arp_flood]: did you mean "rate"?"#,
            ),
            (
                "Mode = 'enforce'",
                0,
                r#"unknown key "Mode": did you mean "mode"?"#,
            ),
            (
                "[arp-flood]\nrate = 5",
                1,
                r#"unknown key "arp-flood": did you mean "arp_flood"?"#,
            ),
            (
                "[signature]\nqqq = 5",
                12,
                r#"unknown key "qqq" in [signature]: known is policy"#,
            ),
            (
                r#""\u001b[2J" = 1"#,
                0,
                r#"unknown key "\u{1b}[2J": known are mode, http_ports, report_interval_ms, signature, arp_flood"#,
            ),
        ] {
            assert_eq!(refusal(text), (at, message.to_owned()));
        }
    }

    #[test]
    fn a_policy_that_its_detector_does_not_have_is_refused() {
        for (policy, choices) in [
            (
                "[signature]\npolicy = 'limit'",
                "one of off, count, alert, drop",
            ),
            ("[arp_flood]\npolicy = 'limits'", r#""limit""#),
        ] {
            let (at, message) = refusal(policy);
            assert_eq!(at, 21);
            assert!(message.contains(choices), "{message}");
        }
    }

    #[test]
    fn a_number_out_of_range_is_refused_with_the_range() {
        for (text, message) in [
            (
                "http_ports = [80, 0]",
                "http_ports: 0 is out of range: from 1 to 65535",
            ),
            (
                "http_ports = [65536]",
                "http_ports: 65536 is out of range: from 1 to 65535",
            ),
            (
                "[arp_flood]\nrate = 0",
                "rate in [arp_flood]: 0 is out of range: from 1 to 1000000",
            ),
            (
                "[arp_flood]\nsegment_burst = -1",
                "segment_burst in [arp_flood]: -1 is out of range: from 1 to 1000000",
            ),
            (
                "report_interval_ms = 99999999999999999999999999",
                "report_interval_ms: 99999999999999999999999999 is out of range: from 1 to 3600000",
            ),
        ] {
            assert_eq!(refusal(text).1, message);
        }
    }

    #[test]
    fn a_value_of_another_type_is_refused_with_the_one_that_is_wanted() {
        for (text, message) in [
            ("mode = true", "mode: expected a string, found a boolean"),
            (
                "http_ports = 80",
                "http_ports: expected an array of numbers, found an integer",
            ),
            (
                "http_ports = ['http']",
                "http_ports: expected a whole number, found a string",
            ),
            (
                "signature = 'drop'",
                "signature: expected a table, found a string",
            ),
            (
                "[arp_flood]\nrate = 1.5",
                "rate in [arp_flood]: expected a whole number, found a float",
            ),
        ] {
            assert_eq!(refusal(text).1, message);
        }
    }

    #[test]
    fn http_may_be_looked_for_on_the_ports_of_other_worms() {
        let settings = Settings {
            http_ports: vec![23, 445, 2323, 3127],
            ..Settings::default()
        };
        assert!(settings.tables(HashSeed::FIXED).is_ok());
    }

    #[test]
    fn a_port_where_too_much_is_looked_for_is_refused_where_it_was_asked_for() {
        let settings = Settings {
            http_ports_origin: Some((
                FileName::new(Path::new("a.toml")),
                Place { line: 7, column: 9 },
            )),
            ..Settings::default()
        };
        let error = settings.does_not_compile(CompileError::PortShared(445));
        assert_eq!(
            error.to_string(),
            "a.toml:7:9: http_ports: too many signatures look at TCP port 445 already: leave it out"
        );
    }

    #[test]
    fn what_is_not_toml_is_refused_in_one_line() {
        for text in [
            "mode",
            "mode = ",
            "[arp_flood",
            "a = 1\na = 2",
            "x = '''",
            "\u{1}",
            &"[".repeat(10_000),
        ] {
            let (_, message) = refusal(text);
            assert!(message.starts_with("not TOML: "), "{message}");
            assert!(!message.contains(char::is_control), "{message:?}");
        }
    }
}
