//! `[rules]`: the files of rules, and what their variables stand for.

use std::path::PathBuf;

use super::{
    error::Problem,
    section::{Fault, Section},
};
use crate::rules::{AddressRange, PortRange, Set, Variables};

/// The most files of rules.
const FILES_MAX: usize = 1024;
/// The most variables of a kind.
const VARIABLES_MAX: usize = 1024;

/// What the operator decides of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesSettings {
    /// `worms`: whether the rules that we ship are in force.
    pub worms: bool,
    /// `allow_partial`: whether rules are taken of which a part is decided in the agent.
    pub allow_partial: bool,
    /// `files`: files of rules besides.
    pub files: Vec<PathBuf>,
    /// `addresses` and `ports`: what variables stand for.
    pub variables: Variables,
}

impl RulesSettings {
    /// Our own rules, and no others.
    pub(super) fn new() -> Self {
        Self {
            worms: true,
            allow_partial: false,
            files: Vec::new(),
            variables: Variables::default(),
        }
    }

    pub(super) fn read(section: &mut Section<'_>) -> Result<Self, Fault> {
        Ok(Self {
            worms: section.flag("worms", true)?,
            allow_partial: section.flag("allow_partial", false)?,
            files: section.paths("files", FILES_MAX)?,
            variables: Variables {
                addresses: section.sets("addresses", VARIABLES_MAX, Set::<AddressRange>::parse)?,
                ports: section.sets("ports", VARIABLES_MAX, Set::<PortRange>::parse)?,
            },
        })
    }
}

impl Problem {
    /// Of the files of rules, as far as they are to blame.
    pub(super) fn of_rules(set: &crate::rules::RuleSet) -> Option<Self> {
        let wrong = set.first_wrong()?;
        Some(Self::Rule {
            file: set.files.get(wrong.origin.file)?.clone(),
            line: wrong.origin.line,
            column: wrong.column,
            why: wrong.problem.clone(),
        })
    }
}
