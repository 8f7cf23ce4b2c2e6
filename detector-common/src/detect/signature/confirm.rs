//! What the filter saw in a block, looked at again: which patterns really stand there.

use super::{
    Search,
    filter::window_at,
    table::{FilterTable, GRAM_WORDS_MAX, GRAMS_MAX, STRIDE, WINDOW, hash, sign, word_offset},
    workspace::{BLOCK, BLOCKS_MAX, Workspace},
};
use crate::packet::{PacketBytes, is_zero};

/// The most grams in one bucket.
pub const CHAIN_MAX: usize = 11;
/// The most steps: a window, a gram, and a word of a pattern that begins right, are one each.
const STEPS: usize = 56;

/// Adds the patterns that stand in a block to those that are followed up: the block of this index among those that the filter kept, of
/// which the windows `shift` bytes behind every fourth byte are looked at.
///
/// VERIFIER: one flat loop over windows, grams and words, whose state is two numbers.
#[inline(always)]
pub fn run<P: PacketBytes>(
    search: Search,
    index: u32,
    shift: u32,
    packet: &P,
    table: &FilterTable,
    workspace: &mut Workspace,
) {
    let group = search.group(table);
    let start = search.start();
    let len = P::forget(search.len_within(group.reach) as u32);
    let block = workspace.blocks.get(index as usize & (BLOCKS_MAX - 1));
    let block = block.map_or(0, |block| *block as usize & (BLOCKS_MAX - 1));
    let begin = block
        .wrapping_mul(BLOCK)
        .wrapping_add(shift as usize & (STRIDE - 1));
    let end = P::forget(begin.wrapping_add(BLOCK) as u32);
    // The next window (16 bits), and the gram that is to be looked at before it; and the word of its pattern, from 1.
    let (mut place, mut word) = (begin as u32, 0);
    for _ in 0..STEPS {
        // VERIFIER: else it would follow each window, each gram and each word.
        place = P::forget(place);
        word = P::forget(word);
        let (next, gram) = (place & 0xffff, place >> 16);
        let gram = table.grams.get(gram as usize & (GRAMS_MAX - 1));
        let Some(gram) = gram.filter(|_| place >> 16 != 0) else {
            let behind = next.wrapping_add(WINDOW as u32);
            if next >= end || behind > len {
                return;
            }
            let hash = hash(window_at(packet, start.wrapping_add(next as usize)));
            let bucket = FilterTable::bucket(hash) & (GRAMS_MAX - 1);
            let first = table.buckets.get(bucket).copied().unwrap_or_default();
            // VERIFIER: no branch, as in `filter::keep`.
            let is_hit = u32::from(table.classes(hash) & group.classes).wrapping_add(0xff) >> 8;
            place = next.wrapping_add(STRIDE as u32) | u32::from(first).wrapping_mul(is_hit) << 16;
            continue;
        };
        // Where the window is, and where the pattern begins.
        let at = next.wrapping_sub(STRIDE as u32);
        let begins = at.wrapping_sub(gram.at.into());
        let number = word.wrapping_sub(1);
        let index = u32::from(gram.word).wrapping_add(number) as usize & (GRAM_WORDS_MAX - 1);
        let expected = table.words.get(index).copied().unwrap_or_default();
        // VERIFIER: the bytes around the window or a word of the pattern, and no branch, behind which it would know which word it is.
        let around = 0_u64.wrapping_sub(is_zero(word.into()));
        let offset_around = at.wrapping_add_signed(gram.delta.into());
        let offset = begins.wrapping_add(word_offset(number, gram.len.into()));
        let offset = select(around, offset_around.into(), offset.into()) as u32;
        let mask = select(around, gram.mask, expected.mask);
        let value = select(around, gram.value, expected.value);
        let found = packet.word(start.wrapping_add_signed(offset.cast_signed() as isize));
        let [here] = found.words;
        // VERIFIER: all that must hold in one number, for it would follow both ways of each comparison.
        let differs = u64::from(
            sign(at.wrapping_sub(gram.first.into()))
                | sign(u32::from(gram.last).wrapping_sub(at))
                | sign(
                    (search.len() as u32)
                        .wrapping_sub(begins)
                        .wrapping_sub(gram.len.into()),
                ),
        );
        let differs = differs | (here.0 & mask ^ value) | found.missing;
        if P::forget(is_zero(differs) as u32) != 0 {
            // Of a shorter one the eight bytes around are all.
            let words = u32::from(gram.len >> 3).wrapping_add(u32::from(gram.len & 7 != 0));
            if gram.len >= 8 && word < words {
                word = word.wrapping_add(1);
                continue;
            }
            workspace.add_candidate(gram.pattern, begins as u16);
        }
        word = 0;
        place = next | u32::from(gram.next) << 16;
    }
    workspace.is_cut_short = 1;
}

/// One number where `bits` has all bits, the other where it has none.
#[inline(always)]
fn select(bits: u64, one: u64, other: u64) -> u64 {
    one & bits | other & !bits
}
