//! What the filter saw in a block, looked at again: which patterns really stand there.

use super::{
    Search,
    table::{FilterTable, GRAM_WORDS_MAX, GRAMS_MAX, Gram, STRIDE, WINDOW, hash},
    workspace::{BLOCK, BLOCKS_MAX, TEXT_MAX, Workspace},
};
use crate::packet::PacketBytes;

/// The most grams in one bucket.
pub const CHAIN_MAX: usize = 64;
/// The most whole words of a pattern.
const WORDS: u32 = 32;

/// What is to be done about a gram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Both ends of its pattern stand here: [`look`].
    Look,
    /// It is not the first one of its bucket: [`chain`].
    Chain,
}

/// Looks again at the block of this index among those that the filter kept, at the windows `shift` bytes behind every fourth byte. `go_on` is
/// given the grams that may stand there, each with its window.
///
/// VERIFIER: what is done for each window is short; all that is rare is in functions of their own.
#[inline(always)]
pub fn run<P: PacketBytes>(
    search: Search,
    index: u32,
    shift: u32,
    table: &FilterTable,
    workspace: &mut Workspace,
    mut go_on: impl FnMut(Step, u32, u32, &mut Workspace),
) {
    let group = search.group(table);
    let end = workspace.looked_at.end;
    let block = workspace.blocks.get(index as usize & (BLOCKS_MAX - 1));
    let block = block.map_or(0, |block| *block as usize & (TEXT_MAX / BLOCK - 1));
    let begin = block
        .wrapping_mul(BLOCK)
        .wrapping_add(shift as usize & (STRIDE - 1));
    let begin = P::forget(begin as u32);
    for window in 0..BLOCK / STRIDE {
        let at = begin.wrapping_add(window.wrapping_mul(STRIDE) as u32);
        if at.wrapping_add(WINDOW as u32) > end {
            return;
        }
        let hash = hash(workspace.word::<P>(at) as u32);
        let bucket = FilterTable::bucket(hash) & (GRAMS_MAX - 1);
        let first = table.buckets.get(bucket).copied().unwrap_or_default();
        // VERIFIER: no branch, as in `filter::keep`.
        let is_hit = u32::from(table.classes(hash) & group.classes).wrapping_add(0xff) >> 8;
        // VERIFIER: the compiler knows that a product is small, and Linux 5.10 does not.
        let number = P::forget(u32::from(first).wrapping_mul(is_hit));
        let gram = table.grams.get(number as usize & (GRAMS_MAX - 1));
        if let Some(gram) = gram.filter(|_| number != 0) {
            if stand_ends::<P>(gram, at, table, workspace) {
                go_on(Step::Look, number, at, workspace);
            }
            if gram.next != 0 {
                go_on(Step::Chain, gram.next.into(), at, workspace);
            }
        }
    }
}

/// Gives `look` each gram of the bucket, from this one on, both ends of which stand around the window at `at`.
#[inline(always)]
pub fn chain<P: PacketBytes>(
    first: u32,
    at: u32,
    table: &FilterTable,
    workspace: &mut Workspace,
    mut look: impl FnMut(u32, &mut Workspace),
) {
    if workspace.looks == 0 {
        workspace.is_cut_short = 1;
        return;
    }
    let (mut number, mut steps) = (first, 0_u32);
    for _ in 0..CHAIN_MAX {
        number = P::forget(number);
        let gram = table.grams.get(number as usize & (GRAMS_MAX - 1));
        let Some(gram) = gram.filter(|_| number != 0) else {
            break;
        };
        steps = steps.wrapping_add(1);
        if stand_ends::<P>(gram, at, table, workspace) {
            look(number, workspace);
        }
        number = gram.next.into();
    }
    workspace.looks = workspace.looks.saturating_sub(steps);
}

/// Whether both ends of a gram's pattern stand around the window at `at`.
#[inline(always)]
fn stand_ends<P: PacketBytes>(
    gram: &Gram,
    at: u32,
    table: &FilterTable,
    workspace: &Workspace,
) -> bool {
    let first = workspace.word::<P>(at.wrapping_add_signed(gram.delta.into()));
    if first & gram.mask != gram.value {
        return false;
    }
    let expected = usize::from(gram.last_word) & (GRAM_WORDS_MAX - 1);
    let expected = table.words.get(expected).copied().unwrap_or_default();
    let last = workspace.word::<P>(at.wrapping_add_signed(gram.last_delta.into()));
    last & expected.mask == expected.value
}

/// Adds the pattern of a gram to those that are followed up if all of it stands around the window at `at`, both ends of which do.
#[inline(always)]
pub fn look<P: PacketBytes>(number: u32, at: u32, table: &FilterTable, workspace: &mut Workspace) {
    let Some(gram) = table.grams.get(number as usize & (GRAMS_MAX - 1)) else {
        return;
    };
    if workspace.looks == 0 {
        workspace.is_cut_short = 1;
        return;
    }
    let words = 1 + u32::from(gram.len >> 3);
    workspace.looks = workspace.looks.saturating_sub(words);
    let len = u32::from(gram.len);
    let begins = at.wrapping_sub(gram.at.into());
    let text = workspace.looked_at;
    let is_outside = begins < text.begin || begins.wrapping_add(len) > text.end;
    let place = at.wrapping_sub(workspace.base);
    if place < gram.first.into() || place > gram.last.into() || is_outside {
        return;
    }
    // VERIFIER: the compiler knows that they are 31 at most, and would count down from that; Linux 5.10 does not.
    let words = P::forget(len >> 3);
    let between = u32::from(gram.last_word).wrapping_sub(len.wrapping_sub(1) >> 3);
    for number in 1..WORDS {
        if number >= words {
            break;
        }
        let index = between.wrapping_add(number) as usize & (GRAM_WORDS_MAX - 1);
        let expected = table.words.get(index).copied().unwrap_or_default();
        let here = workspace.word::<P>(begins.wrapping_add(number << 3));
        if here & expected.mask != expected.value {
            return;
        }
    }
    workspace.add_candidate(gram.pattern, begins as u16, begins.wrapping_add(len));
}
