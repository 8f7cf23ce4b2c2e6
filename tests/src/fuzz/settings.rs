//! The reader of the configuration.

use std::{fmt::Write as _, path::Path};

use detector::{
    settings::{Settings, SettingsError},
    tables::{HashSeed, Tables},
};

use super::assert_one_printable_line;

const FILE: &str = "detector.toml";
/// Longer than any error: a name, a place, two texts of at most 120 characters, and what we say.
const ERROR_CHARS_MAX: usize = 600;

/// A file: its settings come out the same when they are written down and read again, or one line says what is wrong.
///
/// # Panics
///
/// If that is not so.
pub fn settings(input: &[u8]) {
    match read(input) {
        Ok(settings) => accepted(&settings),
        Err(error) => {
            let line = refused(&error);
            let rest = line
                .strip_prefix(FILE)
                .and_then(|rest| rest.strip_prefix(':'));
            let place = rest.and_then(|rest| rest.split_once(": "));
            let (place, _) = place.expect("the error names the file");
            if let Some((row, column)) = place.split_once(':') {
                let row: usize = row.parse().expect("a line is a number");
                let column: usize = column.parse().expect("a column is a number");
                let lines = input.split(|byte| *byte == b'\n').count();
                assert!((1..=lines).contains(&row), "line {row} of {lines}");
                assert!((1..=input.len() + 1).contains(&column), "column {column}");
            }
        }
    }
}

fn read(input: &[u8]) -> Result<Settings, SettingsError> {
    Settings::from_bytes(Path::new(FILE), input.to_vec())
}

/// The line of an error.
fn refused(error: &SettingsError) -> String {
    let line = error.to_string();
    assert_one_printable_line(&line);
    assert!(line.chars().count() <= ERROR_CHARS_MAX, "{line}");
    line
}

fn accepted(settings: &Settings) {
    let again = read(written(settings).as_bytes());
    let again = again.unwrap_or_else(|error| panic!("{error}:\n{}", written(settings)));
    assert_eq!(again.config(), settings.config());
    assert_eq!(written(&again), written(settings));
    // The compiler sees nothing else of a configuration.
    if settings.http_ports != Settings::default().http_ports {
        let _ = Tables::of_worms(settings.config(), HashSeed::FIXED, &settings.http_ports);
    }
}

/// A configuration that says everything.
fn written(settings: &Settings) -> String {
    let flood = &settings.arp_flood;
    let mut text = format!("mode = {:?}\n", settings.mode.name());
    let _ = writeln!(text, "http_ports = {:?}", settings.http_ports);
    let _ = writeln!(text, "report_interval_ms = {}", settings.report_interval_ms);
    let gateways: Vec<_> = settings.gateways.iter().map(ToString::to_string).collect();
    let _ = writeln!(text, "gateways = {gateways:?}");
    let _ = writeln!(
        text,
        "[signature]\npolicy = {:?}",
        settings.signature.policy.name()
    );
    let _ = writeln!(text, "[arp_flood]\npolicy = {:?}", flood.policy.name());
    for (key, quota) in [
        ("sender", flood.sender),
        ("gateway", flood.gateway),
        ("replies", flood.replies),
        ("segment", flood.segment),
    ] {
        let _ = writeln!(text, "{key} = \"{quota}\"");
    }
    let sweep = &settings.arp_sweep;
    let _ = writeln!(
        text,
        "[arp_sweep]\npolicy = {:?}\nshort = \"{}\"\nlong = \"{}\"",
        sweep.policy.name(),
        sweep.short,
        sweep.long
    );
    let spoof = settings.arp_spoof.policy.name();
    let _ = writeln!(text, "[arp_spoof]\npolicy = {spoof:?}");
    for (name, policy) in [
        ("nd_flood", settings.nd_flood),
        ("nd_sweep", settings.nd_sweep),
        ("nd_spoof", settings.nd_spoof),
        (
            "first_fragment_too_short",
            settings.first_fragment_too_short,
        ),
    ] {
        let _ = writeln!(text, "[{name}]\npolicy = {:?}", policy.name());
    }
    for (name, scan) in [
        ("scan", &settings.scan),
        ("udp_sweep", &settings.udp_sweep),
        ("icmp_sweep", &settings.icmp_sweep),
    ] {
        let _ = writeln!(
            text,
            "[{name}]\npolicy = {:?}\nshort = \"{}\"\nlong = \"{}\"",
            scan.policy.name(),
            scan.short,
            scan.long
        );
    }
    text
}
