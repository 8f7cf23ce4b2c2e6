//! Which rule is counted where, and what it is called: what findings and counters are told by.

use std::collections::BTreeMap;

use detector_common::detect::signature::table::RULES_MAX;

use super::rule::Rule;
use crate::text::Shown;

/// The rules below this number that we ship are counted in the slot of their number, so that this means the same in every version.
const OWN: u32 = 100;

/// What is known of a rule where it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The generator of its number.
    pub gid: u32,
    /// Its number.
    pub sid: u32,
    /// Its revision.
    pub rev: u32,
    /// What it finds, in words; its number if it says nothing.
    pub name: String,
    /// How much it matters.
    pub severity: Severity,
}

/// How much a match matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Of priority 3 or more, or of none.
    Low,
    /// Of priority 2.
    Medium,
    /// Of priority 1.
    High,
}

impl Severity {
    /// The name in every output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// How much a rule of this priority matters.
    #[must_use]
    pub fn of(priority: Option<u32>) -> Self {
        match priority {
            Some(0 | 1) => Self::High,
            Some(2) => Self::Medium,
            _ => Self::Low,
        }
    }
}

/// The rules that are in force, by the slots in which they are counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    entries: BTreeMap<u16, Entry>,
    slots: BTreeMap<(u32, u32), u16>,
}

impl Book {
    /// The book of `rules`, in which those of `before` keep their slots.
    #[must_use]
    pub fn of(rules: &[Rule], before: &Self) -> Self {
        let mut book = Self::default();
        // Who has a slot keeps it; the others get what is free.
        for rule in rules {
            let known = before.slots.get(&(rule.gid, rule.sid)).copied();
            let own = u16::try_from(rule.sid)
                .ok()
                .filter(|_| rule.gid == 1 && rule.sid < OWN);
            if let Some(slot) = known.or(own) {
                book.enter(slot, rule);
            }
        }
        let mut free =
            (OWN as u16..RULES_MAX as u16).filter(|slot| !before.entries.contains_key(slot));
        let mut again =
            (OWN as u16..RULES_MAX as u16).filter(|slot| before.entries.contains_key(slot));
        for rule in rules {
            if book.slot(rule).is_some() {
                continue;
            }
            // One that nobody had before, if there is any.
            let slot = free
                .next()
                .or_else(|| again.find(|slot| !book.entries.contains_key(slot)));
            if let Some(slot) = slot {
                book.enter(slot, rule);
            }
        }
        book
    }

    fn enter(&mut self, slot: u16, rule: &Rule) {
        let Rule { gid, sid, rev, .. } = *rule;
        let name = if rule.msg.is_empty() {
            format!("rule {sid}")
        } else {
            Shown::from(&*rule.msg).to_string()
        };
        self.slots.insert((gid, sid), slot);
        self.entries.insert(
            slot,
            Entry {
                gid,
                sid,
                rev,
                name,
                severity: Severity::of(rule.priority),
            },
        );
    }

    /// Where a rule is counted; `None` if there was no room for it.
    #[must_use]
    pub fn slot(&self, rule: &Rule) -> Option<u16> {
        self.slots.get(&(rule.gid, rule.sid)).copied()
    }

    /// The rule that is counted in a slot.
    #[must_use]
    pub fn get(&self, slot: u16) -> Option<&Entry> {
        self.entries.get(&slot)
    }

    /// All of them, by slot.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &Entry)> {
        self.entries.iter().map(|(slot, entry)| (*slot, entry))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::RuleSet, *};
    use std::{fmt::Write as _, path::Path};

    fn rules(sids: &[u32]) -> Vec<Rule> {
        let mut text = String::new();
        for sid in sids {
            let _ = writeln!(
                text,
                "alert tcp any any -> any 80 (content:\"abcd\"; sid:{sid};)"
            );
        }
        RuleSet::from_bytes(Path::new("x.rules"), text.as_bytes()).rules
    }

    #[test]
    fn a_rule_keeps_its_slot_from_one_set_of_rules_to_the_next() {
        let first = Book::of(&rules(&[7, 1000, 2000]), &Book::default());
        let next = rules(&[2000, 3000, 7]);
        let book = Book::of(&next, &first);
        let slots: Vec<_> = next.iter().map(|rule| book.slot(rule)).collect();
        // The slot of 1000 is not given to another while there are others: somebody may still read its counter.
        assert_eq!(slots, [Some(101), Some(102), Some(7)]);
        assert_eq!(book.get(101).map(|entry| entry.sid), Some(2000));
        assert_eq!(book.get(100), None);
    }
}
