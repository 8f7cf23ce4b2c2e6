//! The reader of rules.

use std::path::Path;

use detector::rules::{Anchor, RuleSet, Test};

use super::assert_one_printable_line;

/// Longer than any reason: two texts of at most 120 characters, and what we say.
const WHY_CHARS_MAX: usize = 500;

/// A file: each of its rules is taken and within the bounds that are stated, or one line says where and why it is not.
///
/// # Panics
///
/// If that is not so.
pub fn rules(input: &[u8]) {
    let file = RuleSet::from_bytes(Path::new("a.rules"), input);
    let lines = input.split(|byte| *byte == b'\n').count();
    assert!(file.rules.len() + file.refusals.len() <= lines);
    for refusal in &file.refusals {
        assert!(
            (1..=lines).contains(&refusal.origin.line),
            "line {}",
            refusal.origin.line
        );
        assert!((1..=input.len() + 1).contains(&refusal.column));
        let why = refusal.problem.to_string();
        assert_one_printable_line(&why);
        assert!(why.chars().count() <= WHY_CHARS_MAX, "{why}");
        assert!(!refusal.problem.topic().is_empty());
    }
    for rule in &file.rules {
        assert!((1..=lines).contains(&rule.origin.line));
        for (number, pattern) in rule.patterns.iter().enumerate() {
            let lengths = if pattern.jump.is_some() {
                0..=0
            } else {
                1..=255
            };
            assert!(lengths.contains(&pattern.bytes.len()));
            let (from, room) = match pattern.anchor {
                Anchor::Absolute { offset, depth } => (i64::from(offset), depth),
                Anchor::Relative {
                    after,
                    distance,
                    within,
                } => {
                    assert!(after.is_none_or(|after| after < number));
                    (i64::from(distance), within)
                }
            };
            assert!(from.abs() <= 65_535);
            assert!(room.is_none_or(|room| room as usize >= pattern.bytes.len()));
        }
        for test in &rule.tests {
            if let Test::DataAt {
                after: Some(after), ..
            } = test
            {
                assert!(*after < rule.patterns.len());
            }
        }
    }
    let mut numbers: Vec<_> = file.rules.iter().map(|rule| (rule.gid, rule.sid)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), file.rules.len(), "a number twice");
}
