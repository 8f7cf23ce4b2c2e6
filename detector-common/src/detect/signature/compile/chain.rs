//! Signatures that begin alike: where a packet that fails one of them goes on with the next.
//!
//! What a packet has shown on the way to a failed test is not asked again, and who is ruled out by it is left out. So
//! a packet walks something like a trie, and the longest walk is known.

use super::{
    super::table::{FOUND, Group, NONE, ROWS_MAX, Row, TESTS_MAX, Test},
    image::Image,
};

/// Sets the exits of the signature in row `index` to those behind it in its bucket.
pub(super) fn link(
    tests: &mut [Test; TESTS_MAX],
    rows: &mut [Row; ROWS_MAX],
    images: &[Image; ROWS_MAX],
    index: usize,
) {
    let Some(image) = images.get(index) else {
        return;
    };
    for held in 0..=image.tests {
        let exit = (FOUND..)
            .zip(images)
            .skip(index.saturating_add(1))
            .filter(|(_, other)| other.group == image.group && other.bucket == image.bucket)
            .find_map(|(found, other)| {
                let at = resume(image.program(tests), held, other.program(tests))?;
                Some(if at == other.tests {
                    found
                } else {
                    other.first_test.saturating_add(at) as u16
                })
            })
            .unwrap_or(NONE);
        if held == image.tests {
            if let Some(row) = rows.get_mut(index) {
                row.otherwise = exit;
            }
        } else if let Some(test) = tests.get_mut(image.first_test.saturating_add(held)) {
            test.otherwise = exit;
        }
    }
}

/// Of `tried`, the first `held` tests hold and the one behind them, if there is one, does not: at which test of `next`
/// to go on; `None` if it cannot match.
fn resume(tried: &[Test], held: usize, next: &[Test]) -> Option<usize> {
    let shared = tried
        .iter()
        .zip(next)
        .take_while(|(one, other)| asks(one) == asks(other))
        .count();
    if shared > held {
        return None;
    }
    match (tried.get(shared), next.get(shared)) {
        (Some(one), Some(other)) if shared < held && excludes(one, other) => None,
        _ => Some(shared),
    }
}

/// What a test asks, without where it leads.
fn asks(test: &Test) -> Test {
    Test {
        then: NONE,
        otherwise: NONE,
        ..*test
    }
}

/// Whether what passes `one` must fail `other`: they want something else of the same bytes.
fn excludes(one: &Test, other: &Test) -> bool {
    let wants =
        |test: &Test, word: usize, common: u64| test.value.get(word).map(|value| value & common);
    (one.offset, one.same, other.same) == (other.offset, [0; 2], [0; 2])
        && one
            .mask
            .iter()
            .zip(&other.mask)
            .enumerate()
            .any(|(word, (one_mask, other_mask))| {
                let common = one_mask & other_mask;
                wants(one, word, common) != wants(other, word, common)
            })
}

/// For each test and each row, the most steps that a packet takes from there on.
pub(super) struct Steps {
    tests: [usize; TESTS_MAX],
    rows: [usize; ROWS_MAX],
}

impl Steps {
    /// Counts them from the last row to the first, for every exit leads to a later row.
    pub(super) fn count(
        tests: &[Test; TESTS_MAX],
        rows: &[Row; ROWS_MAX],
        images: &[Image; ROWS_MAX],
    ) -> Self {
        let mut steps = Self {
            tests: [0; TESTS_MAX],
            rows: [0; ROWS_MAX],
        };
        for (index, (row, image)) in rows.iter().zip(images).enumerate().rev() {
            let on = steps.of_exit(row.otherwise).saturating_add(1);
            if let Some(count) = steps.rows.get_mut(index) {
                *count = on;
            }
            for (at, test) in image.program(tests).iter().enumerate().rev() {
                let then = steps.of_exit(test.then);
                let on = then.max(steps.of_exit(test.otherwise)).saturating_add(1);
                if let Some(count) = steps.tests.get_mut(image.first_test.saturating_add(at)) {
                    *count = on;
                }
            }
        }
        steps
    }

    /// Of a packet that enters `group`, which is a step as well.
    pub(super) fn of_group(&self, group: &Group) -> usize {
        let chains = group.buckets.iter().map(|first| self.of_exit(*first));
        chains.max().unwrap_or(0).saturating_add(1)
    }

    /// Of a packet that is to be tested with the test of this number.
    pub(super) fn of_test(&self, test: usize) -> usize {
        self.tests.get(test).copied().unwrap_or(0)
    }

    fn of_exit(&self, exit: u16) -> usize {
        match exit.checked_sub(FOUND) {
            Some(row) => self.rows.get(usize::from(row)).copied().unwrap_or(0),
            None => self.of_test(usize::from(exit)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytemuck::Zeroable;

    fn window(offset: i16, text: &[u8; 16]) -> Test {
        let (words, _) = text.as_chunks::<8>();
        Test {
            mask: [u64::MAX; 2],
            value: [words[0], words[1]].map(u64::from_le_bytes),
            offset,
            ..Test::zeroed()
        }
    }

    #[test]
    fn what_held_is_not_asked_again_and_what_it_rules_out_is_left_out() {
        let (a, b, c, d) = (
            window(0, b"GET /scripts/../"),
            window(16, b"root.exe?/c+dir "),
            window(16, b"..%c0%af../winnt"),
            window(32, b"/system32/cmd.ex"),
        );
        // `a` held and `b` did not: `[a, c]` goes on at `c`, and `[a, b]` cannot match.
        assert_eq!(resume(&[a, b], 1, &[a, c, d]), Some(1));
        assert_eq!(resume(&[a, b], 1, &[a, b, d]), None);
        // `b` held as well, so `c` cannot.
        assert_eq!(resume(&[a, b, d], 2, &[a, c, d]), None);
        // All held but the headers did not: who asks for less is found, who asks for more goes on.
        assert_eq!(resume(&[a, c], 2, &[a]), Some(1));
        assert_eq!(resume(&[a, c], 2, &[a, c, d]), Some(2));
        // Nothing held.
        assert_eq!(resume(&[a, c], 0, &[b]), Some(0));
        assert_eq!(resume(&[a, c], 0, &[a]), None);
    }
}
