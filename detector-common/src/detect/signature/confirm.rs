//! What the filter saw in a block, looked at again: which patterns really stand there.

use super::{
    Search,
    filter::window_at,
    table::{
        BOTH_ENDS, FilterTable, GRAM_WORDS_MAX, GRAMS_MAX, Gram, PatternWord, STRIDE, WINDOW, hash,
        word_offset,
    },
    workspace::{BLOCK, BLOCKS_MAX, PAYLOAD_MAX, Workspace},
};
use crate::packet::{PacketBytes, is_zero};

/// The most grams in one bucket.
pub const CHAIN_MAX: usize = 11;
/// The most words of a pattern.
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
    packet: &P,
    table: &FilterTable,
    workspace: &mut Workspace,
    mut go_on: impl FnMut(Step, u32, u32, &mut Workspace),
) {
    let group = search.group(table);
    let start = search.start();
    let len = P::forget(search.len_within(group.reach) as u32);
    let block = workspace.blocks.get(index as usize & (BLOCKS_MAX - 1));
    let block = block.map_or(0, |block| *block as usize & (BLOCKS_MAX - 1));
    let begin = block
        .wrapping_mul(BLOCK)
        .wrapping_add(shift as usize & (STRIDE - 1));
    let mut at = begin as u32;
    for _ in 0..BLOCK / STRIDE {
        // VERIFIER: else it would follow each window by itself.
        at = P::forget(at);
        if at.wrapping_add(WINDOW as u32) > len {
            return;
        }
        let here = start.wrapping_add(at as usize);
        let hash = hash(window_at(packet, here));
        let bucket = FilterTable::bucket(hash) & (GRAMS_MAX - 1);
        let first = table.buckets.get(bucket).copied().unwrap_or_default();
        // VERIFIER: no branch, as in `filter::keep`.
        let is_hit = u32::from(table.classes(hash) & group.classes).wrapping_add(0xff) >> 8;
        // VERIFIER: the compiler knows that a product is small, and Linux 5.10 does not.
        let number = P::forget(u32::from(first).wrapping_mul(is_hit));
        let gram = table.grams.get(number as usize & (GRAMS_MAX - 1));
        if let Some(gram) = gram.filter(|_| number != 0) {
            if stand_ends(gram, here, packet, table) {
                go_on(Step::Look, number, at, workspace);
            }
            if gram.next != 0 {
                go_on(Step::Chain, gram.next.into(), at, workspace);
            }
        }
        at = at.wrapping_add(STRIDE as u32);
    }
}

/// Gives `look` each gram of the bucket, from this one on, both ends of which stand around the window at `at`.
#[inline(always)]
pub fn chain<P: PacketBytes>(
    search: Search,
    first: u32,
    at: u32,
    packet: &P,
    table: &FilterTable,
    workspace: &mut Workspace,
    mut look: impl FnMut(u32, &mut Workspace),
) {
    let here = search.start().wrapping_add(at as usize & (PAYLOAD_MAX - 1));
    let mut number = first;
    for _ in 0..CHAIN_MAX {
        number = P::forget(number);
        let gram = table.grams.get(number as usize & (GRAMS_MAX - 1));
        let Some(gram) = gram.filter(|_| number != 0) else {
            return;
        };
        if stand_ends(gram, here, packet, table) {
            look(number, workspace);
        }
        number = gram.next.into();
    }
}

/// Whether both ends of a gram's pattern stand around the window at `here`.
#[inline(always)]
fn stand_ends<P: PacketBytes>(gram: &Gram, here: usize, packet: &P, table: &FilterTable) -> bool {
    let first = PatternWord {
        mask: gram.mask,
        value: gram.value,
    };
    if !stands(first, here.wrapping_add_signed(gram.delta.into()), packet) {
        return false;
    }
    let last = usize::from(gram.last_word) & (GRAM_WORDS_MAX - 1);
    let last = table.words.get(last).copied().unwrap_or_default();
    stands(
        last,
        here.wrapping_add_signed(gram.last_delta.into()),
        packet,
    )
}

/// Whether a word of a pattern stands at `at`.
#[inline(always)]
fn stands<P: PacketBytes>(expected: PatternWord, at: usize, packet: &P) -> bool {
    let found = packet.word(at);
    let [word] = found.words;
    let differs = word.0 & expected.mask ^ expected.value | found.missing;
    // VERIFIER: all ways to read it go on as one.
    P::forget(is_zero(differs) as u32) != 0
}

/// Adds the pattern of a gram to those that are followed up if all of it stands around the window at `at`, both ends of which do.
#[inline(always)]
pub fn look<P: PacketBytes>(
    search: Search,
    number: u32,
    at: u32,
    packet: &P,
    table: &FilterTable,
    workspace: &mut Workspace,
) {
    let Some(gram) = table.grams.get(number as usize & (GRAMS_MAX - 1)) else {
        return;
    };
    let len = u32::from(gram.len);
    let begins = at.wrapping_sub(gram.at.into());
    let is_behind = begins.wrapping_add(len) > search.len() as u32;
    if at < gram.first.into() || at > gram.last.into() || is_behind {
        return;
    }
    if len > BOTH_ENDS {
        let begin = search.start().wrapping_add(begins as usize);
        let words = len.wrapping_add(7) >> 3;
        let first_word = u32::from(gram.last_word)
            .wrapping_add(1)
            .wrapping_sub(words);
        for number in 0..WORDS {
            if number >= words {
                break;
            }
            let index = first_word.wrapping_add(number) as usize & (GRAM_WORDS_MAX - 1);
            let expected = table.words.get(index).copied().unwrap_or_default();
            let place = begin.wrapping_add(word_offset(number, len) as usize);
            if !stands(expected, place, packet) {
                return;
            }
        }
    }
    workspace.add_candidate(gram.pattern, begins as u16);
}
