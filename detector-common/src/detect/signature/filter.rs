//! The filter: which blocks of a payload may have anything in them that a rule looks for. It never misses one.
//!
//! Four bytes are looked at at every fourth byte (or at every byte, where a pattern is too short for that): a bit for each class
//! of traffic, in a table by their hash. What a block shows is gathered without a branch, so that no payload makes it slower than
//! another.

use super::{
    Search,
    table::{FilterTable, STRIDE, WINDOW, hash, hashes},
    workspace::{BLOCK, BLOCKS_MAX, Workspace},
};
use crate::{
    packet::{PacketBytes, Word},
    parse::PAYLOAD_OFFSET_MAX,
};

/// Words of a block.
pub const WORDS: usize = BLOCK / 8;
/// The most whole blocks: behind them there may be two that are not whole.
const WHOLE_MAX: usize = BLOCKS_MAX - 2;
/// The most bytes that are looked through.
const LEN_MAX: usize = WHOLE_MAX * BLOCK;

/// Leaves in `workspace` the blocks of the payload that are to be looked at again, as far as the windows show that stand `shift`
/// bytes behind every fourth byte.
#[inline(always)]
pub fn run<P: PacketBytes>(
    search: Search,
    shift: u32,
    packet: &P,
    table: &FilterTable,
    workspace: &mut Workspace,
) {
    let group = search.group(table);
    let shift = shift as usize & (STRIDE - 1);
    let start = search.start().wrapping_add(shift);
    let reach = if shift == 0 {
        group.reach
    } else {
        group.dense_reach
    };
    let len = search.len_within(reach).saturating_sub(shift);
    if search.len() > LEN_MAX && usize::from(group.reach) > LEN_MAX {
        workspace.is_cut_short = 1;
    }
    let blocks = len / BLOCK;
    let mut hits = 0;
    // VERIFIER: what is behind the last block first, as in `gather::payload`.
    let rest = blocks.wrapping_mul(BLOCK);
    let mut classes = 0;
    for window in 0..BLOCK / STRIDE {
        let at = rest.wrapping_add(window.wrapping_mul(STRIDE));
        if at.wrapping_add(WINDOW) > len {
            break;
        }
        classes |= table.classes(hash(window_at(packet, start.wrapping_add(at))));
    }
    keep(workspace, &mut hits, blocks, classes & group.classes);
    let start = P::forget(start as u32) as usize & PAYLOAD_OFFSET_MAX;
    let blocks = P::forget(blocks as u32) as usize;
    for block in 0..WHOLE_MAX {
        if block >= blocks {
            break;
        }
        let Some(words) = packet.block(start.wrapping_add(block.wrapping_mul(BLOCK))) else {
            break;
        };
        let classes = sampled(words, table) & group.classes;
        keep(workspace, &mut hits, block, classes);
    }
    workspace.blocks_len = hits;
}

/// The bytes of a payload of `len` that can be looked through.
#[inline(always)]
pub(super) fn within_reach(len: usize) -> usize {
    if len > LEN_MAX { LEN_MAX } else { len }
}

/// Keeps the number of a block if it shows any class.
#[inline(always)]
fn keep(workspace: &mut Workspace, hits: &mut u32, block: usize, classes: u8) {
    if let Some(place) = workspace.blocks.get_mut(*hits as usize & (BLOCKS_MAX - 1)) {
        *place = block as u32;
    }
    // 1 if there is a bit.
    *hits = hits.wrapping_add(u32::from(classes).wrapping_add(0xff) >> 8);
}

/// The classes that the windows at every fourth byte of these words show.
#[inline(always)]
fn sampled(words: [Word; WORDS], table: &FilterTable) -> u8 {
    words.iter().fold(0, |classes, word| {
        let [low, high] = hashes(word.0);
        classes | table.classes(low) | table.classes(high)
    })
}

/// The window at `at`. There is a header before it, so that a word that ends with it can be read.
#[inline(always)]
pub(super) fn window_at<P: PacketBytes>(packet: &P, at: usize) -> u32 {
    let [word] = packet.word(at.wrapping_sub(8 - WINDOW)).words;
    (word.0 >> 32) as u32
}
