//! What should be known of rules that are taken: what they cost, which can never match, and which another one always goes before.
//!
//! Nothing is guessed: what is told follows from what the rules compile to. That nothing is told proves nothing.

mod cost;
mod fields;
mod never;
mod places;
pub(super) mod ports;
mod shadow;

use std::fmt;

pub use self::{
    cost::{Blamed, FULL_PAYLOAD, GroupCost, costs},
    never::Never,
};
use self::{fields::Fields, places::Places};
use super::{
    RuleSet,
    compile::{Stage, Variables, Way, stages, ways},
    rule::Rule,
};
use crate::tables::Tables;

/// Something that should be known of a rule that is taken.
#[derive(Clone, Debug)]
pub struct Warning {
    /// The index of the rule.
    pub rule: usize,
    /// What it is.
    pub why: Why,
}

/// What should be known of a rule.
#[derive(Clone, Debug)]
pub enum Why {
    /// No packet can match it.
    Never(Never),
    /// It is partial, and no content of it is long: of much traffic nearly every packet is handed to the agent.
    HandedOver,
    /// Whatever it matches, the rule of this index matches too, and goes before it.
    Shadowed(usize),
}

impl Why {
    /// The name in every output.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Never(_) => "never",
            Self::HandedOver => "handed_over",
            Self::Shadowed(_) => "shadowed",
        }
    }
}

/// A content of so many bytes is said to be long.
const LONG: usize = 4;

/// What should be known of rules, and whether all was looked at.
#[derive(Clone, Debug, Default)]
pub struct Warnings {
    /// In the order of the rules.
    pub found: Vec<Warning>,
    /// How many rules were not compared with all others, because too many are alike.
    pub not_compared: usize,
}

/// Looks for rules that never match, or that another one always goes before, among those of `set` that compiled to `tables`.
#[must_use]
pub fn warnings(set: &RuleSet, tables: &Tables, variables: &Variables) -> Warnings {
    let mut found = Vec::new();
    let mut asked = Vec::new();
    for (index, rule) in set.rules.iter().enumerate() {
        let Ok(ways) = ways(rule, variables) else {
            continue;
        };
        if is_handed_over_often(rule) {
            found.push(Warning {
                rule: index,
                why: Why::HandedOver,
            });
        }
        match never::bits(rule, &set.rules).and_then(|()| Asked::of(index, rule, ways)) {
            Ok(rule) => asked.push(rule),
            Err(never) => found.push(Warning {
                rule: index,
                why: Why::Never(never),
            }),
        }
    }
    let (shadowed, not_compared) = shadow::shadowed(&asked, tables);
    found.extend(shadowed.into_iter().map(|(rule, by)| Warning {
        rule,
        why: Why::Shadowed(by),
    }));
    found.sort_by_key(|warning| warning.rule);
    Warnings {
        found,
        not_compared,
    }
}

fn is_handed_over_often(rule: &Rule) -> bool {
    let mut patterns = rule.patterns.iter();
    let has_long = patterns.any(|pattern| !pattern.negated && pattern.bytes.len() >= LONG);
    rule.is_partial() && !has_long
}

/// What a rule that may match asks of a packet.
struct Asked<'r> {
    /// Its index.
    index: usize,
    rule: &'r Rule,
    ways: Vec<AskedWay>,
    places: Places,
}

/// One way of it: who sends to whom, and the fields of such a packet.
struct AskedWay {
    way: Way,
    fields: Fields,
}

impl<'r> Asked<'r> {
    /// Fails if no packet can match.
    fn of(index: usize, rule: &'r Rule, ways: Vec<Way>) -> Result<Self, Never> {
        let mut first_fault = None;
        let mut possible = Vec::new();
        for way in ways {
            match never::fields(rule, &way) {
                Ok(fields) => possible.push(AskedWay { way, fields }),
                Err(fault) => {
                    first_fault.get_or_insert(fault);
                }
            }
        }
        if let (Some(fault), []) = (first_fault, possible.as_slice()) {
            return Err(fault);
        }
        let payload = possible.first().map(|way| way.fields.payload());
        let places = never::places(rule, payload.unwrap_or((0, u32::MAX)))?;
        Ok(Self {
            index,
            rule,
            ways: possible,
            places,
        })
    }
}

/// The stages of a way; none if the rule does not compile, of which the compiler tells.
fn stages_of<'r>(rule: &'r Rule, way: &'r Way) -> Vec<Stage<'r>> {
    stages(rule, way).unwrap_or_default()
}

impl fmt::Display for Why {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never(never) => write!(out, "can never match: {never}"),
            Self::HandedOver => write!(
                out,
                "is partial, and none of its contents has {LONG} bytes: many packets are handed to the agent for it"
            ),
            Self::Shadowed(_) => out.write_str("is never the finding"),
        }
    }
}

#[cfg(test)]
mod tests;
