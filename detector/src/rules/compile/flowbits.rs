//! What rules ask and do with bits of connections, as numbers of bits.

use std::{
    collections::{BTreeSet, HashMap},
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use detector_common::detect::signature::{
    flowbits,
    table::{FLOW_BITS_MAX, FlowBits, RuleTable},
};

use super::super::{flowbits::FlowBit, problem::Problem, rule::Rule};

/// The most names of bits that rules ask for.
const NAMES_MAX: usize = flowbits::NAMES_MAX as usize;

/// In which order rules with the same action are taken: those that set bits before those that ask for them, as Suricata has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::rules) enum Turn {
    Sets,
    SetsAndAsks,
    Asks,
    Neither,
}

impl Turn {
    pub(in crate::rules) fn of(rule: &Rule) -> Self {
        let asks = rule.flow_bits.iter().any(FlowBit::asks);
        let sets = rule.is_silent || rule.flow_bits.iter().any(|bit| !bit.asks());
        match (sets, asks) {
            (true, false) => Self::Sets,
            (true, true) => Self::SetsAndAsks,
            (false, true) => Self::Asks,
            (false, false) => Self::Neither,
        }
    }
}

/// The bits that have a number: those that a rule asks for, for what becomes of others makes no difference.
pub(super) struct Bits<'r> {
    /// In the order of their numbers.
    names: Vec<&'r str>,
    entries: HashMap<[u64; 5], u16>,
}

impl<'r> Bits<'r> {
    /// Those of rules; fails with the index of the first one whose bits there are not enough for.
    pub(super) fn of(rules: &'r [Rule]) -> Result<Self, (usize, Problem)> {
        let mut names = BTreeSet::new();
        for (index, rule) in rules.iter().enumerate() {
            let asked = rule.flow_bits.iter().filter(|bit| bit.asks());
            names.extend(asked.flat_map(FlowBit::names).map(String::as_str));
            if names.len() > NAMES_MAX {
                return Err((
                    index,
                    Problem::NoRoom("names of flowbits that are asked for", NAMES_MAX),
                ));
            }
        }
        Ok(Self {
            // With the same names all have the same numbers, so that bits go on when rules are read anew.
            names: names.into_iter().collect(),
            entries: HashMap::new(),
        })
    }

    /// The number of what a rule asks and does; 0 if that is nothing.
    pub(super) fn add(&mut self, rule: &Rule) -> Result<u16, Problem> {
        let entry = self.entry(&rule.flow_bits);
        let is_nothing = FlowBits {
            keep: u64::MAX,
            ..FlowBits::default()
        };
        if entry == is_nothing {
            return Ok(0);
        }
        let next = self.entries.len() + 1;
        let number = *self
            .entries
            .entry(bytemuck::cast(entry))
            .or_insert(next as u16);
        if usize::from(number) < FLOW_BITS_MAX {
            Ok(number)
        } else {
            Err(Problem::NoRoom(
                "different flowbits of rules",
                FLOW_BITS_MAX - 1,
            ))
        }
    }

    pub(super) fn write(self, table: &mut RuleTable) {
        if !self.names.is_empty() {
            let mut hasher = DefaultHasher::new();
            self.names.hash(&mut hasher);
            table.flow_names = hasher.finish().max(1);
        }
        for (entry, number) in self.entries {
            if let Some(place) = table.flow_bits.get_mut(usize::from(number)) {
                *place = bytemuck::cast(entry);
            }
        }
    }

    fn entry(&self, bits: &[FlowBit]) -> FlowBits {
        let mut entry = FlowBits {
            keep: u64::MAX,
            ..FlowBits::default()
        };
        for bit in bits {
            let mask = bit.names().iter().map(|name| self.bit(name));
            let mask = mask.fold(0, |mask, bit| mask | bit);
            match bit {
                FlowBit::IsSet(names) if names.len() > 1 => entry.any = mask,
                FlowBit::IsSet(_) => {
                    entry.mask |= mask;
                    entry.value |= mask;
                }
                FlowBit::IsNotSet(_) => entry.mask |= mask,
                FlowBit::Set(_) => {
                    entry.keep &= !mask;
                    entry.flip |= mask;
                }
                FlowBit::Unset(_) => {
                    entry.keep &= !mask;
                    entry.flip &= !mask;
                }
                FlowBit::Toggle(_) => entry.flip ^= mask,
            }
        }
        entry
    }

    /// The bit of a name; none of one that nobody asks for.
    fn bit(&self, name: &str) -> u64 {
        let number = self.names.binary_search(&name);
        number.map_or(0, |number| 1 << number)
    }
}

#[cfg(test)]
mod tests {
    use std::{fmt::Write as _, path::Path};

    use super::{
        super::super::{Book, RuleSet, Variables, compile},
        *,
    };

    fn rules(text: &str) -> Vec<Rule> {
        let set = RuleSet::from_bytes(Path::new("x.rules"), text.as_bytes());
        assert!(set.refusals.is_empty(), "{:?}", set.refusals);
        set.rules
    }

    #[test]
    fn what_a_rule_does_is_what_it_says_in_its_order() {
        let text = "\
            alert ip any any -> any any (flowbits:isset,b; flowbits:isnotset,a; flowbits:isset,a|c; flowbits:unset,b; sid:1;)\n\
            alert ip any any -> any any (flowbits:set,a; flowbits:toggle,a; flowbits:toggle,b; flowbits:unset,c; flowbits:set,c; flowbits:set,other; sid:2;)\n\
            alert ip any any -> any any (flowbits:set,other; sid:3;)\n\
            alert ip any any -> any any (flowbits:set,other; flowbits:toggle,b; flowbits:set,c; flowbits:unset,a; sid:4;)\n";
        let rules = rules(text);
        let mut bits = Bits::of(&rules).unwrap();
        let numbers: Vec<_> = rules.iter().map(|rule| bits.add(rule).unwrap()).collect();
        // The last one does what the second does.
        assert_eq!(numbers, [1, 2, 0, 2]);
        let mut table: Box<RuleTable> = bytemuck::allocation::zeroed_box();
        bits.write(&mut table);
        let (a, b, c) = (1, 2, 4);
        let first = FlowBits {
            mask: a | b,
            value: b,
            any: a | c,
            keep: !b,
            flip: 0,
        };
        let second = FlowBits {
            keep: !(a | c),
            flip: b | c,
            ..FlowBits::default()
        };
        assert_eq!(table.flow_bits[1..4], [first, second, FlowBits::default()]);
        assert_ne!(table.flow_names, 0);
    }

    #[test]
    fn of_more_names_than_there_is_room_for_it_is_told() {
        let text = |count| {
            (1..=count).fold(String::new(), |mut text, sid| {
                let _ = writeln!(
                    text,
                    "alert ip any any -> any any (flowbits:isset,n{sid}; flowbits:set,other{sid}; sid:{sid};)"
                );
                text
            })
        };
        for (count, refused) in [(62, None), (63, Some(62))] {
            let rules = rules(&text(count));
            let book = Book::of(&rules, &Book::default());
            let slots: Vec<_> = rules.iter().map(|rule| book.slot(rule)).collect();
            let compiled = compile(&rules, &slots, &Variables::default());
            let first = compiled.refused.first();
            assert_eq!(first.map(|(rule, _)| *rule), refused, "{count}");
        }
    }
}
