//! The committed list of what the classifier and its referees read or find differently, `tests/disagreements.toml`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

/// A packet of a public capture: the name of the file, and the number of the packet, from 1.
pub type PacketOfCapture = (String, u64);

/// Every difference that is known, by referee.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disagreements {
    /// Of `etherparse`, in the process.
    pub etherparse: Vec<Disagreement>,
    /// Of tshark.
    pub tshark: Vec<Disagreement>,
    /// Of Suricata, about the rules that we ship.
    #[serde(default)]
    pub suricata: Vec<Disagreement>,
}

/// One way to read a frame differently.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disagreement {
    /// What it is called.
    pub name: String,
    /// Why the classifier reads it so.
    pub reason: String,
    /// Where it occurs in the public captures: `FILE NUMBER`, or `FILE FIRST-LAST`.
    #[serde(default)]
    pub packets: Vec<String>,
}

impl Disagreements {
    /// The committed list.
    pub fn load() -> Result<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("disagreements.toml");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        toml::from_str(&text).with_context(|| path.display().to_string())
    }
}

impl Disagreement {
    /// The packets, one by one.
    fn places(&self) -> Result<BTreeSet<PacketOfCapture>> {
        let mut places = BTreeSet::new();
        for packets in &self.packets {
            let parsed = packets.rsplit_once(' ').and_then(|(file, numbers)| {
                let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
                Some((file, first.parse().ok()?..=last.parse().ok()?))
            });
            let (file, numbers) = parsed.with_context(|| {
                format!(
                    "{}: {packets:?} is not FILE NUMBER or FILE FIRST-LAST",
                    self.name
                )
            })?;
            let numbers: std::ops::RangeInclusive<u64> = numbers;
            places.extend(numbers.map(|number| (file.to_owned(), number)));
        }
        Ok(places)
    }
}

/// Fails unless the differences that were `found`, each with what the two read, are those that are `listed`.
pub fn check(listed: &[Disagreement], found: &BTreeMap<PacketOfCapture, String>) -> Result<()> {
    let mut known = BTreeSet::new();
    for disagreement in listed {
        ensure!(
            !disagreement.reason.is_empty(),
            "{} has no reason",
            disagreement.name
        );
        known.extend(disagreement.places()?);
    }
    let mut wrong = Vec::new();
    for ((file, number), difference) in found {
        if !known.contains(&(file.clone(), *number)) {
            wrong.push(format!("not listed: {file} {number}: {difference}"));
        }
    }
    for (file, number) in &known {
        if !found.contains_key(&(file.clone(), *number)) {
            wrong.push(format!("listed, but the two agree: {file} {number}"));
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    bail!(
        "{} differences between tests/disagreements.toml and what was found:\n{}",
        wrong.len(),
        wrong.join("\n")
    )
}
