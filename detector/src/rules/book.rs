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

/// The rules that are in force, by the slots in which they are counted; and those that were, as long as nobody else needs their slots: a
/// packet that they met may still be told of, and one that comes back goes on where it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    entries: BTreeMap<u16, Entry>,
    former: BTreeMap<u16, Entry>,
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
        let is_known =
            |slot: &u16| before.entries.contains_key(slot) || before.former.contains_key(slot);
        let all = OWN as u16..RULES_MAX as u16;
        // Those that nobody had before; then those of rules that were given up long ago, or just now.
        let mut free = all.clone().filter(|slot| !is_known(slot));
        let mut former = all.clone().filter(|slot| before.former.contains_key(slot));
        let mut gone = all.filter(|slot| before.entries.contains_key(slot));
        for rule in rules {
            if book.slot(rule).is_some() {
                continue;
            }
            let mut others = former.by_ref().chain(gone.by_ref());
            let slot = free
                .next()
                .or_else(|| others.find(|slot| !book.entries.contains_key(slot)));
            if let Some(slot) = slot {
                book.enter(slot, rule);
            }
        }
        book.keep(&before.former);
        book.keep(&before.entries);
        book
    }

    /// Keeps those of `entries` whose slots and numbers are nobody else's.
    fn keep(&mut self, entries: &BTreeMap<u16, Entry>) {
        for (slot, entry) in entries {
            let number = (entry.gid, entry.sid);
            if !self.entries.contains_key(slot) && !self.slots.contains_key(&number) {
                self.former.insert(*slot, entry.clone());
                self.slots.insert(number, *slot);
            }
        }
    }

    /// The slots that had another rule, or none, `before`: nothing is counted in them yet.
    pub fn new_slots(&self, before: &Self) -> impl Iterator<Item = u16> {
        let number = |entry: &Entry| (entry.gid, entry.sid);
        self.iter()
            .filter(move |(slot, entry)| before.get(*slot).map(number) != Some(number(entry)))
            .map(|(slot, _)| slot)
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

    /// Where a rule that is in force is counted; `None` if there was no room for it.
    #[must_use]
    pub fn slot(&self, rule: &Rule) -> Option<u16> {
        self.slots.get(&(rule.gid, rule.sid)).copied()
    }

    /// How many there are that are in force.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The rule that is counted in a slot, or was before.
    #[must_use]
    pub fn get(&self, slot: u16) -> Option<&Entry> {
        self.entries.get(&slot).or_else(|| self.former.get(&slot))
    }

    /// Those that are in force, by slot.
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
    }

    #[test]
    fn a_rule_that_comes_back_has_the_slot_that_it_had() {
        let first = Book::of(&rules(&[1000, 2000]), &Book::default());
        let without = Book::of(&rules(&[2000]), &first);
        // A packet that it met before may still be told of.
        assert_eq!(without.get(100).map(|entry| entry.sid), Some(1000));
        assert_eq!(without.len(), 1);
        let again = rules(&[3000, 1000]);
        let book = Book::of(&again, &without);
        let slots: Vec<_> = again.iter().map(|rule| book.slot(rule)).collect();
        assert_eq!(slots, [Some(102), Some(100)]);
        assert_eq!(book.new_slots(&without).collect::<Vec<_>>(), [102]);
    }

    #[test]
    fn when_every_slot_was_used_those_of_rules_that_are_gone_are_used_again() {
        let all: Vec<_> = (1000..1000 + RULES_MAX as u32 - OWN).collect();
        let first = Book::of(&rules(&all), &Book::default());
        let next = rules(&[1001, 99_999]);
        let book = Book::of(&next, &first);
        assert_eq!(book.slot(&next[1]), Some(100));
        assert_eq!(book.new_slots(&first).collect::<Vec<_>>(), [100]);
        assert_eq!(book.get(100).map(|entry| entry.sid), Some(99_999));
    }
}
