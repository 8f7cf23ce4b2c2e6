//! A pattern, looked for in a buffer.

use super::{
    bytes::{ONES, zeros},
    table::{OPERATIONS_MAX, RESUME, RuleTable, WORDS_MAX, flag, word_offset},
    workspace::{SLOTS, Workspace},
};
use crate::packet::{PacketBytes, is_zero};

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Sought {
    /// It is not there.
    Absent = 0,
    /// It is, and where it ends is kept.
    Found = 1,
    /// It is not decided: to be taken up again.
    Unfinished = 2,
}

impl Sought {
    /// What a number was made of.
    #[inline(always)]
    #[must_use]
    pub fn from_number(number: u64) -> Self {
        match number {
            0 => Self::Absent,
            1 => Self::Found,
            _ => Self::Unfinished,
        }
    }
}

/// Steps of one call. VERIFIER: each is followed, so a long search is taken up again.
const STEPS: u32 = 48;

/// Looks for the pattern of the operation that `exit` leads to; takes the search up where it left off if that says so.
#[inline(always)]
pub fn run<P: PacketBytes>(exit: u32, table: &RuleTable, workspace: &mut Workspace) -> Sought {
    let index = exit as usize & (OPERATIONS_MAX - 1);
    let Some(operation) = table.operations.get(index) else {
        return Sought::Absent;
    };
    // Here it is not known; where it is, nobody comes here.
    if operation.flags & flag::REGEX != 0 {
        return Sought::Found;
    }
    let [first_word, len, from, span] = operation.numbers;
    let buffer = workspace.buffer(operation.subject);
    let (begin, behind) = (i64::from(buffer.begin), i64::from(buffer.end));
    let pattern_len = len & 0xff;
    let len = i64::from(pattern_len);
    let slot = usize::from(operation.slot) & (SLOTS - 1);

    let mut from = i64::from(from.cast_signed());
    if operation.flags & flag::RELATIVE != 0 {
        let after = operation.after as usize & (SLOTS - 1);
        from = from.wrapping_add(workspace.ends.get(after).map_or(0, |end| i64::from(*end)));
    } else {
        from = from.wrapping_add(begin);
    }
    let limit = from.wrapping_add(i64::from(span));
    let last = (if limit < behind { limit } else { behind }).wrapping_sub(len);
    let end = i64::from(workspace.whole_end(operation.subject, buffer));
    if operation.flags & flag::ENDS != 0 && from < end.wrapping_sub(len) {
        from = end.wrapping_sub(len);
    }
    if operation.flags & flag::SIGN != 0 && from < i64::from(workspace.hint) {
        from = workspace.hint.into();
    }
    if exit & RESUME != 0 {
        from = workspace.nexts.get(slot).map_or(0, |next| i64::from(*next));
    }
    // Before the first place where it may begin there is none, and behind the last one it ends.
    let from = in_text(if from < begin { begin } else { from });
    let behind = P::forget(in_text(last.wrapping_add(1)));

    let word = |number: u32| {
        let index = first_word.wrapping_add(number) as usize & (WORDS_MAX - 1);
        table.words.get(index).copied().unwrap_or_default()
    };
    let first = word(0);
    let (first_mask, first_byte) = (
        (first.mask & 0xff).wrapping_mul(ONES),
        (first.value & 0xff).wrapping_mul(ONES),
    );
    let words = pattern_len.wrapping_add(7) >> 3;
    // Both in one number: where it may begin (16 bits), and how many words of it were compared.
    let mut place = from;
    let mut sought = Sought::Unfinished;
    let mut steps = 0;
    while steps < STEPS {
        steps = steps.wrapping_add(1);
        // VERIFIER: else it would follow each place where a pattern may begin, and each number of words.
        place = P::forget(place);
        let (at, checked) = (place & 0xffff, place >> 16);
        if at >= behind {
            sought = Sought::Absent;
            break;
        }
        let here = workspace.word::<P>(at.wrapping_add(word_offset(checked, pattern_len)));
        let one = word(checked);
        if here & one.mask == one.value {
            place = place.wrapping_add(1 << 16);
            if checked.wrapping_add(1) == words {
                sought = Sought::Found;
                break;
            }
            continue;
        }
        // Where in the next bytes it may begin: a byte of `zeroed` is zero there.
        let zeroed = here & first_mask ^ first_byte;
        let begins = zeros(zeroed);
        // Of the first word it is known what follows; of others nothing.
        let is_first = is_zero(checked.into());
        let none_in_3 = is_zero(begins & 0x8080_8000) & is_first;
        let none_in_7 = is_zero(begins & !0xff) & is_first;
        place = at
            .wrapping_add(1)
            .wrapping_add((none_in_3 as u32).wrapping_mul(3))
            .wrapping_add((none_in_7 as u32).wrapping_mul(4));
    }
    // VERIFIER: all ways out of the loop go on as one.
    let sought = P::forget(sought as u32);
    (place, steps) = (P::forget(place), P::forget(steps));
    workspace.budget = workspace.budget.saturating_sub(steps);
    // What is there is there, whatever comes behind it, but for what a buffer ends with.
    const { assert!(flag::ENDS == 1 << 1) };
    let is_absent = u32::from(sought == Sought::Absent as u32);
    let is_doubtful = is_absent | u32::from(operation.flags >> 1) & 1;
    workspace.is_unsure |= workspace.is_open(operation.subject) & is_doubtful;
    let at = place & 0xffff;
    let found = u32::from(sought == Sought::Found as u32);
    workspace.is_new |= found & u32::from(at.wrapping_add(pattern_len) > workspace.junction);
    if let Some(place) = workspace.ends.get_mut(slot) {
        *place = at.wrapping_add(pattern_len);
    }
    if let Some(place) = workspace.nexts.get_mut(slot) {
        *place = at.wrapping_add(found);
    }
    Sought::from_number(sought.into())
}

/// A place as one that is in a text, or where none is.
#[inline(always)]
fn in_text(place: i64) -> u32 {
    if place < 0 {
        0
    } else if place > 0xffff {
        0xffff
    } else {
        place.cast_unsigned() as u32
    }
}
