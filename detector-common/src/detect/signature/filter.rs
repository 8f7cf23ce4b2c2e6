//! The filter: which blocks of a payload may have anything in them that a rule looks for. It never misses one.
//!
//! Four bytes are looked at at every fourth byte (or at every byte, where a pattern is too short for that): a bit for each class
//! of traffic, in a table by their hash. What a block shows is gathered without a branch, so that no payload makes it slower than
//! another.

use super::{
    Search, gather,
    table::{FilterTable, STRIDE, WINDOW, hash, hashes, sign},
    workspace::{BLOCK, BLOCKS_MAX, Extent, Workspace},
};
use crate::{packet::PacketBytes, parse::PAYLOAD_OFFSET_MAX};

/// Words of a block.
pub const WORDS: usize = BLOCK / 8;
/// The most whole blocks: behind them there may be two that are not whole.
const WHOLE_MAX: usize = BLOCKS_MAX - 2;
/// The most bytes that are looked through.
const LEN_MAX: usize = WHOLE_MAX * BLOCK;

/// Leaves in `workspace` the payload, as far as anything in it is looked for, and the blocks of it that are to be looked at again, as far
/// as the windows at every fourth byte show. Each whole block goes through `sift`, see [`sift`].
#[inline(always)]
pub fn run<P: PacketBytes>(
    search: Search,
    packet: &P,
    table: &FilterTable,
    workspace: &mut Workspace,
    sift: impl Fn(usize, usize, &mut Workspace) -> Option<u8>,
) {
    let group = search.group(table);
    let start = search.start();
    let len = search.len_within(group.reach);
    if search.len() > LEN_MAX && usize::from(group.reach) > LEN_MAX {
        workspace.is_cut_short = 1;
        workspace.lacks_rest = 1;
    }
    workspace.payload_len = len as u32;
    workspace.looked_at = Extent {
        begin: 0,
        end: len as u32,
    };
    let blocks = len / BLOCK;
    // VERIFIER: what is behind the last block first: behind the loop it would be followed once for each way out of it.
    gather::rest(start, len, packet, workspace);
    let mut hits = 0;
    let classes = rest::<P>(len, 0, table, workspace) & group.classes;
    keep(workspace, &mut hits, blocks, classes);
    let start = P::forget(start as u32) as usize & PAYLOAD_OFFSET_MAX;
    let blocks = P::forget(blocks as u32) as usize;
    let mut hits = P::forget(hits);
    for block in 0..WHOLE_MAX {
        if block >= blocks {
            break;
        }
        let at = block.wrapping_mul(BLOCK);
        let Some(classes) = sift(start.wrapping_add(at), at, workspace) else {
            gather::end(at, workspace);
            break;
        };
        keep(workspace, &mut hits, block, classes & group.classes);
    }
    workspace.blocks_len = hits;
}

/// Keeps the block of the payload that begins at `at`, and in the frame at `offset`; gives the classes that its windows show. `None` if it is not all
/// there.
#[inline(always)]
pub fn sift<P: PacketBytes>(
    offset: usize,
    at: usize,
    packet: &P,
    table: &FilterTable,
    workspace: &mut Workspace,
) -> Option<u8> {
    let words = packet.block(offset)?;
    gather::keep(at, words, workspace);
    Some(sampled(words.map(|word| word.0), table))
}

/// How many bytes of the text that is [looked at](Workspace::looked_at) have windows that stand `shift` bytes behind every fourth byte.
#[inline(always)]
#[must_use]
pub fn len_of_again(search: Search, shift: u32, table: &FilterTable, workspace: &Workspace) -> u32 {
    let group = search.group(table);
    let reach = if shift == 0 {
        group.reach
    } else {
        group.dense_reach
    };
    let Extent { begin, end } = workspace.looked_at;
    within(end.wrapping_sub(begin) as usize, reach).saturating_sub(shift as usize) as u32
}

/// The same as [`run`] of so many bytes of the text that is [looked at](Workspace::looked_at), as far as the windows show that stand `shift`
/// bytes behind every fourth byte.
///
/// VERIFIER: given the length, it follows this once, and not once for each way to it.
#[inline(always)]
pub fn again<P: PacketBytes>(
    search: Search,
    shift: u32,
    len: u32,
    table: &FilterTable,
    workspace: &mut Workspace,
) {
    let group = search.group(table);
    let shift = shift as usize & (STRIDE - 1);
    let (begin, len) = (workspace.looked_at.begin, len as usize);
    let (begin, blocks) = (begin as usize, len / BLOCK);
    let (first, start) = (begin / BLOCK, begin.wrapping_add(shift));
    let mut hits = 0;
    let classes = rest::<P>(len, start, table, workspace) & group.classes;
    keep(workspace, &mut hits, first.wrapping_add(blocks), classes);
    let (first, start) = (P::forget(first as u32) as usize, P::forget(start as u32));
    let blocks = P::forget(blocks as u32) as usize;
    let mut hits = P::forget(hits);
    for block in 0..WHOLE_MAX {
        if block >= blocks {
            break;
        }
        let at = (block.wrapping_mul(BLOCK) as u32).wrapping_add(start);
        let words = workspace.block::<P>(at);
        let classes = sampled(words, table) & group.classes;
        keep(workspace, &mut hits, first.wrapping_add(block), classes);
    }
    workspace.blocks_len = hits;
}

/// The classes that the windows behind the last whole block of `len` bytes show, which begins at `start`.
#[inline(always)]
fn rest<P: PacketBytes>(
    len: usize,
    start: usize,
    table: &FilterTable,
    workspace: &Workspace,
) -> u8 {
    let rest = len & !(BLOCK - 1);
    let mut classes = 0;
    for window in 0..BLOCK / STRIDE {
        let at = rest.wrapping_add(window.wrapping_mul(STRIDE));
        let word = workspace.word::<P>(at.wrapping_add(start) as u32);
        // VERIFIER: no way out of the loop, for each would be followed through what comes behind it.
        let last = at.wrapping_add(WINDOW - 1) as u32;
        let is_whole = sign(last.wrapping_sub(len as u32));
        classes |= table.classes(hash(word as u32)) & is_whole as u8;
    }
    classes
}

/// The bytes of a payload of `len` that can be looked through.
#[inline(always)]
pub(super) fn within_reach(len: usize) -> usize {
    if len > LEN_MAX { LEN_MAX } else { len }
}

/// How many of these are looked through, `reach` at most.
#[inline(always)]
pub(super) fn within(len: usize, reach: u16) -> usize {
    let (len, reach) = (within_reach(len), usize::from(reach));
    if len < reach { len } else { reach }
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
fn sampled(words: [u64; WORDS], table: &FilterTable) -> u8 {
    words.iter().fold(0, |classes, word| {
        let [low, high] = hashes(*word);
        classes | table.classes(low) | table.classes(high)
    })
}
