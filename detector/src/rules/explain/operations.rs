//! The operations of a rule in words.

use std::collections::BTreeSet;

use detector_common::detect::signature::table::{
    FOUND, Field, Kind, NONE, Operation, RESUME, RuleTable, flag, protocol,
};

use super::{
    super::{pattern::Pattern, rule::Rule},
    said::address,
};

/// The names of fields, by number.
const FIELDS: [&str; 18] = [
    "protocol",
    "source port",
    "destination port",
    "payload length",
    "tcp flags",
    "icmp type",
    "icmp code",
    "traits",
    "ttl",
    "identification",
    "fragment bits",
    "ip options",
    "acknowledgement number",
    "sequence number",
    "window",
    "icmp identifier",
    "icmp sequence number",
    "ip protocol",
];

/// The names of buffers, by number.
const BUFFERS: [&str; 5] = ["payload", "uri", "raw uri", "method", "headers"];

/// The names of protocols, by their bit.
const PROTOCOLS: [(u32, &str); 3] = [
    (protocol::TCP, "tcp"),
    (protocol::UDP, "udp"),
    (protocol::ICMP, "icmp"),
];

/// Each operation that is reached from `first`, by its number from there.
pub(super) fn said(rule: &Rule, first: u32, table: &RuleTable) -> Vec<String> {
    let mut reached = BTreeSet::new();
    let mut next = vec![first];
    while let Some(exit) = next.pop() {
        if exit & (FOUND | NONE) != 0 || !reached.insert(exit & !RESUME) {
            continue;
        }
        if let Some(operation) = table.operations.get((exit & !RESUME) as usize) {
            next.extend([operation.then, operation.otherwise]);
        }
    }
    reached
        .iter()
        .filter_map(|index| {
            let operation = table.operations.get(*index as usize)?;
            let exit = |exit: u32| {
                if exit & FOUND != 0 {
                    "a match".to_owned()
                } else if exit & NONE != 0 {
                    "no match".to_owned()
                } else if exit & RESUME != 0 {
                    format!("the next place of {}", (exit & !RESUME) - first)
                } else {
                    (exit - first).to_string()
                }
            };
            Some(format!(
                "{}: {}: then {}, else {}",
                index - first,
                question(rule, operation),
                exit(operation.then),
                exit(operation.otherwise)
            ))
        })
        .collect()
}

fn question(rule: &Rule, operation: &Operation) -> String {
    let [first, second, third, fourth] = operation.numbers;
    if operation.kind == Kind::Field as u8 {
        let name = FIELDS.get(usize::from(operation.subject));
        let name = name.copied().unwrap_or("field");
        if operation.subject == Field::Protocol as u8 {
            let protocol = PROTOCOLS.iter().find(|(bit, _)| *bit == second);
            return format!("{name} {}", protocol.map_or("ip", |(_, name)| name));
        }
        let values = match (second, second.saturating_add(third)) {
            (first, last) if first == last => first.to_string(),
            (first, u32::MAX) => format!("{first} or more"),
            (first, last) => format!("{first} to {last}"),
        };
        if first == u32::MAX {
            format!("{name} {values}")
        } else {
            format!("{name} under {first:#x} {values}")
        }
    } else if operation.kind == Kind::Address as u8 {
        let words = [first, second, third, fourth];
        let number = words
            .into_iter()
            .fold(0_u128, |number, word| number << 32 | u128::from(word));
        let who = if operation.subject == 0 {
            "source"
        } else {
            "destination"
        };
        format!("{who} from {} on", address(number))
    } else if operation.kind == Kind::Regex as u8 {
        let buffer = BUFFERS.get(usize::from(operation.subject));
        let buffer = buffer.copied().unwrap_or("a buffer");
        format!("a regular expression of {buffer}, in the agent")
    } else if operation.kind == Kind::Run as u8 {
        let pattern = rule.patterns.get(usize::from(operation.slot));
        let pattern = pattern.map(ToString::to_string).unwrap_or_default();
        format!("{second} bytes of {pattern}")
    } else if operation.kind == Kind::Content as u8 || operation.kind == Kind::ByteJump as u8 {
        let pattern = rule.patterns.get(usize::from(operation.slot));
        // Whether it must be there is in the exits.
        pattern.map_or_else(String::new, |pattern| {
            let there = Pattern {
                negated: false,
                ..pattern.clone()
            };
            there.to_string()
        })
    } else if operation.kind == Kind::ByteTest as u8 {
        byte_test(rule, operation)
    } else if operation.flags & flag::RELATIVE != 0 {
        format!("{first} bytes {}", anchor(rule, operation.after))
    } else {
        let buffer = BUFFERS.get(usize::from(operation.subject));
        format!("{first} bytes of {}", buffer.copied().unwrap_or("a buffer"))
    }
}

/// What counts from the pattern of this number counts from there.
fn anchor(rule: &Rule, after: u32) -> String {
    let before = rule.patterns.get(..=after as usize).unwrap_or_default();
    match before.last() {
        Some(pattern) if pattern.jump.is_some() => format!("from where {pattern} leads"),
        Some(_) | None => {
            let contents = before.iter().filter(|pattern| pattern.jump.is_none());
            format!("behind content {}", contents.count())
        }
    }
}

/// What is asked of a number in the payload.
fn byte_test(rule: &Rule, operation: &Operation) -> String {
    let [mask, first, span, offset] = operation.numbers;
    let order = if operation.flags & flag::LITTLE == 0 {
        "big"
    } else {
        "little"
    };
    let from = if operation.flags & flag::RELATIVE == 0 {
        "of the payload".to_owned()
    } else {
        anchor(rule, operation.after)
    };
    let (bytes, offset) = (operation.slot, offset.cast_signed());
    let last = first.wrapping_add(span);
    format!(
        "{bytes} bytes at {offset} {from}, {order} end first, under {mask:#x} from {first} on to {last}"
    )
}
