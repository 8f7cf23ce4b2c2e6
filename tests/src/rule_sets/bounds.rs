//! That what was compiled stays within its tables: every index that the kernel would follow is followed here.

#![expect(
    clippy::panic,
    reason = "to fail where something does not hold is what this is for"
)]

use std::collections::BTreeSet;

use detector::tables::Tables;
use detector_common::detect::signature::{
    confirm::CHAIN_MAX,
    table::{
        Action, BUFFERS, FLOW_BITS_MAX, FOUND, GRAM_WORDS_MAX, Gram, Group, Kind, LIST_LEN_MAX,
        List, NONE, Operation, PATTERNS_MAX, RESUME, RULES_MAX, RUN_MAX, Row, STRIDE, VERSION,
        WINDOW,
    },
    workspace::SLOTS,
};

/// Fails unless all that the tables refer to is there.
///
/// # Panics
///
/// If something is not.
pub fn check(tables: &Tables) {
    let rows = rows(tables);
    let rules = &tables.rules;
    for group in &tables.filter.groups {
        check_group(*group);
        check_list(group.always, rows, tables);
    }
    for list in &rules.patterns {
        check_list(*list, rows, tables);
    }
    let mut before = 0;
    for row in &rules.rows[..rows] {
        assert!(
            before <= row.action && row.action <= Action::Alert as u8,
            "rows are in the order in which they count"
        );
        before = row.action;
        assert!(tables.book.get(row.slot).is_some(), "slot {}", row.slot);
        assert!(row.of_request <= 1);
        assert!(row.flags <= Row::PARTIAL | Row::SILENT);
        assert!(usize::from(row.flow_bits) < FLOW_BITS_MAX);
        check_threshold(*row);
        check_program(*row, tables);
    }
    check_grams(tables);
}

/// How many rows there are: of one that is not used, all is zero, and none that is used begins as the one before it.
fn rows(tables: &Tables) -> usize {
    let used = tables
        .rules
        .rows
        .iter()
        .rposition(|row| *row != Row::default());
    used.map_or(0, |last| last + 1).min(RULES_MAX)
}

fn check_group(group: Group) {
    assert!(group.requests <= Group::REQUESTS | Group::HEADERS);
    assert_eq!(
        group.shifts >> STRIDE,
        0,
        "no window is farther than a stride"
    );
    assert_eq!(group.shifts & 1, 0, "at every fourth byte is always looked");
    assert!(group.dense_reach <= group.reach);
}

fn check_list(list: List, rows: usize, tables: &Tables) {
    assert!(u32::from(list.len) <= LIST_LEN_MAX, "{list:?}");
    let first = usize::from(list.first);
    let entries = tables.rules.lists.get(first..first + usize::from(list.len));
    let entries = entries.unwrap_or_else(|| panic!("{list:?} is outside"));
    for entry in entries {
        assert!(usize::from(*entry) < rows, "row {entry} of {rows}");
    }
    let different: BTreeSet<_> = entries.iter().collect();
    assert_eq!(different.len(), entries.len(), "a row twice in {list:?}");
}

fn check_threshold(row: Row) {
    let is_counted = row.window != 0;
    assert_eq!(is_counted, row.least != 0, "counted in no time: {row:?}");
    assert!(is_counted || row.last == 0, "{row:?} is not counted");
    assert!(u64::from(row.window) << 20 < 86_401 * 1_000_000_000);
}

/// Follows every way through a rule. But for searches that are taken up again, all lead on, so it ends.
fn check_program(row: Row, tables: &Tables) {
    let operations = &tables.rules.operations;
    let mut seen = BTreeSet::new();
    let mut next = vec![row.first];
    while let Some(exit) = next.pop() {
        if exit & (FOUND | NONE) != 0 {
            assert!(
                exit == FOUND || exit == NONE,
                "{exit:x} leads to more than an end"
            );
            continue;
        }
        let index = exit & !RESUME;
        let operation = operations.get(index as usize);
        let operation = operation.unwrap_or_else(|| panic!("operation {index} is outside"));
        let is_search = [Kind::Content as u8, Kind::Run as u8].contains(&operation.kind);
        assert!(
            exit & RESUME == 0 || is_search,
            "only a search is taken up again"
        );
        if !seen.insert(index) {
            continue;
        }
        check_operation(operation, tables);
        for exit in [operation.then, operation.otherwise] {
            let leads_on = exit & (FOUND | NONE | RESUME) != 0 || exit > index;
            assert!(leads_on, "operation {index} leads back to {exit}");
            next.push(exit);
        }
    }
}

fn check_operation(operation: &Operation, tables: &Tables) {
    assert!(operation.kind <= Kind::Run as u8);
    assert!(usize::from(operation.slot) < SLOTS);
    assert!((operation.after as usize) < SLOTS);
    if operation.kind == Kind::ByteTest as u8 {
        assert!((1..=4).contains(&operation.slot), "{operation:?}");
    }
    if operation.kind == Kind::ByteJump as u8 {
        let [bytes, ..] = operation.numbers;
        assert!((1..=4).contains(&bytes), "{operation:?}");
    }
    if operation.kind >= Kind::Content as u8 {
        assert!(usize::from(operation.subject) < BUFFERS);
    }
    if operation.kind == Kind::Run as u8 {
        let [set, len, ..] = operation.numbers;
        assert!((1..=RUN_MAX).contains(&len), "a run of {len} bytes");
        assert!(tables.rules.words.get(set as usize + 1).is_some());
    }
    if operation.kind == Kind::Content as u8 {
        let [first, len, ..] = operation.numbers.map(|number| number as usize);
        assert!((1..=255).contains(&len), "a pattern of {len} bytes");
        let words = tables.rules.words.get(first..first + len.div_ceil(8));
        let words = words.unwrap_or_else(|| panic!("words from {first} on are outside"));
        for word in words {
            assert_eq!(word.value & !word.mask, 0, "a bit that never counts");
            assert_ne!(word.mask, 0, "a word that asks nothing");
        }
    }
}

/// Follows each bucket to its end.
fn check_grams(tables: &Tables) {
    let filter = &tables.filter;
    let mut seen = BTreeSet::new();
    for first in filter.buckets.iter().filter(|first| **first != 0) {
        let mut number = *first;
        let mut length = 0;
        while number != 0 {
            length += 1;
            assert!(
                length <= CHAIN_MAX,
                "a bucket of more than {CHAIN_MAX} grams"
            );
            assert!(seen.insert(number), "gram {number} is in two places");
            let gram = filter.grams[usize::from(number)];
            check_gram(gram, tables);
            number = gram.next;
        }
    }
    let patterns: BTreeSet<_> = seen
        .iter()
        .map(|number| filter.grams[usize::from(*number)].pattern)
        .collect();
    for (pattern, list) in tables.rules.patterns.iter().enumerate() {
        if pattern == usize::from(VERSION) {
            assert_eq!(list.len, 0, "what speaks for no rule");
            continue;
        }
        let has_gram = patterns.contains(&(pattern as u16));
        assert_eq!(
            list.len != 0,
            has_gram,
            "pattern {pattern} is found by nothing, or leads nowhere"
        );
    }
}

fn check_gram(gram: Gram, tables: &Tables) {
    let (len, at) = (usize::from(gram.len), usize::from(gram.at));
    assert!(usize::from(gram.pattern) < PATTERNS_MAX);
    assert!(at + WINDOW <= len, "a window at {at} of {len} bytes");
    assert!(gram.first <= gram.last, "{gram:?} stands nowhere");
    assert_eq!(gram.value & !gram.mask, 0, "a bit that never counts");
    let last = usize::from(gram.last_word);
    if len <= 8 {
        assert_eq!(last, 0, "a short pattern has no other words");
        return;
    }
    // All but the first word of a pattern stand one behind the other, and the first of all is nobody's.
    let others = len.div_ceil(8) - 1;
    assert!(last < GRAM_WORDS_MAX && last >= others, "{gram:?}");
    let words = &tables.filter.words[last + 1 - others..=last];
    assert!(
        words.iter().all(|word| word.mask != 0),
        "a word that asks nothing"
    );
}
