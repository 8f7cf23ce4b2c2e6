//! Against whom nothing is done: what the machine is part of, and what the operator adds.

use std::collections::{BTreeMap, BTreeSet};

use detector_common::abi::PROTECTED_MAX;
use serde::{Deserialize, Serialize};

use super::Refused;
use crate::{
    agent::{
        kernel::{KernelError, ResponseMaps},
        surroundings::{Surroundings, Why},
    },
    output::{Prefix, SCHEMA_VERSION},
};

/// The most that the operator adds: half of what there is room for, the other half is for what the machine is part of.
pub const ADDED_MAX: usize = PROTECTED_MAX as usize / 2;

/// The answer to `detector protect list`; its keys are stable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtectedList {
    /// The version of this object.
    pub schema_version: u32,
    /// Who is protected, in order; one stands there once for each reason.
    pub protected: Vec<Protected>,
}

/// An address, or a prefix, that nothing is ever done against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protected {
    /// The address or prefix.
    pub address: Prefix,
    /// Why.
    pub why: Why,
}

/// Who is protected, as the kernel has it too.
#[derive(Debug, Default)]
pub(super) struct ProtectedSet {
    /// What the operator added.
    added: BTreeSet<Prefix>,
    /// What the machine is part of.
    learnt: BTreeSet<(Prefix, Why)>,
    /// What the kernel was told.
    told: BTreeSet<Prefix>,
}

impl ProtectedSet {
    /// Protects what the operator named.
    ///
    /// # Errors
    ///
    /// The kernel does not take it.
    pub(super) fn new(added: &[Prefix], maps: &mut ResponseMaps) -> Result<Self, KernelError> {
        let mut set = Self {
            added: added.iter().copied().collect(),
            ..Self::default()
        };
        set.tell(maps)?;
        Ok(set)
    }

    /// Who is protected, each with a reason.
    pub(super) fn iter(&self) -> impl Iterator<Item = Protected> {
        let added = self.added.iter().map(|prefix| (*prefix, Why::Operator));
        let all: BTreeSet<_> = self.learnt.iter().copied().chain(added).collect();
        all.into_iter()
            .map(|(address, why)| Protected { address, why })
    }

    /// The list.
    pub(super) fn list(&self) -> ProtectedList {
        ProtectedList {
            schema_version: SCHEMA_VERSION,
            protected: self.iter().collect(),
        }
    }

    /// Who of them has an address in common with `prefix`.
    pub(super) fn overlapping(&self, prefix: Prefix) -> Option<Protected> {
        // Asked for every finding that may block, so it is not put together for those that may.
        let learnt = self.learnt.iter().map(|(learnt, _)| learnt);
        if !learnt.chain(&self.added).any(|one| one.overlaps(prefix)) {
            return None;
        }
        self.iter().find(|one| one.address.overlaps(prefix))
    }

    /// Takes note of what the machine is part of now.
    ///
    /// # Errors
    ///
    /// The kernel does not take all of it; the agent blocks none of it even so.
    pub(super) fn learn(
        &mut self,
        surroundings: &Surroundings,
        maps: &mut ResponseMaps,
    ) -> Result<(), KernelError> {
        let learnt = surroundings.protected().into_iter();
        self.learnt = learnt
            .map(|(address, why)| (Prefix::of_address(address), why))
            .collect();
        self.tell(maps)
    }

    /// Adds what the operator wants.
    ///
    /// # Errors
    ///
    /// There is no room, or the kernel does not take it.
    pub(super) fn add(&mut self, prefix: Prefix, maps: &mut ResponseMaps) -> Result<(), Refused> {
        if self.added.len() >= ADDED_MAX && !self.added.contains(&prefix) {
            return Err(Refused::NoRoom);
        }
        let is_new = self.added.insert(prefix);
        self.tell(maps).map_err(|error| {
            if is_new {
                self.added.remove(&prefix);
            }
            error.into()
        })
    }

    /// Takes back what the operator added.
    ///
    /// # Errors
    ///
    /// It was not added, or the kernel does not take it.
    pub(super) fn remove(
        &mut self,
        prefix: Prefix,
        maps: &mut ResponseMaps,
    ) -> Result<(), Refused> {
        if !self.added.remove(&prefix) {
            let learnt: BTreeMap<_, _> = self.learnt.iter().copied().collect();
            return Err(match learnt.get(&prefix) {
                Some(why) => Refused::Learnt(prefix, *why),
                None => Refused::NotThere(prefix, "protected"),
            });
        }
        Ok(self.tell(maps)?)
    }

    /// Tells the kernel: first who is protected from now on, what the machine depends on before all else; then who is not any more.
    /// What the kernel refuses stops nothing of the rest, and is told again next time.
    fn tell(&mut self, maps: &mut ResponseMaps) -> Result<(), KernelError> {
        let mut outcome = Ok(());
        let mut wanted: Vec<_> = self.iter().map(|one| (one.why, one.address)).collect();
        wanted.sort_unstable();
        for (_, prefix) in &wanted {
            if !self.told.contains(prefix) {
                match maps.protect(prefix.to_key()) {
                    Ok(()) => drop(self.told.insert(*prefix)),
                    Err(error) => outcome = outcome.and(Err(error)),
                }
            }
        }
        let wanted: BTreeSet<_> = wanted.into_iter().map(|(_, prefix)| prefix).collect();
        for prefix in self.told.clone().difference(&wanted) {
            match maps.unprotect(prefix.to_key()) {
                Ok(()) => drop(self.told.remove(prefix)),
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome
    }
}
