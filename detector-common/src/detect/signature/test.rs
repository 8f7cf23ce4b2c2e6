//! What rules ask of a buffer besides patterns: how long it is, which number stands in it, where that leads, and which bytes may stand there.

use super::{
    table::{Kind, Operation, RESUME, RUN_MAX, RuleTable, flag},
    workspace::{SLOTS, Workspace},
};
use crate::packet::PacketBytes;

/// Whether the operation holds that `exit` leads to, a [`Kind::DataAt`] or one of those behind it.
#[inline(always)]
pub fn is_so<P: PacketBytes>(exit: u32, table: &RuleTable, workspace: &mut Workspace) -> bool {
    let Some(operation) = table.operation(exit) else {
        return false;
    };
    if operation.kind == Kind::Regex as u8 {
        // What it matches may go over to the new segment.
        workspace.is_new = 1;
        return true;
    }
    let mut from = workspace.buffer(operation.subject).begin;
    if operation.flags & flag::RELATIVE != 0 {
        let after = operation.after as usize & (SLOTS - 1);
        from = workspace.ends.get(after).copied().unwrap_or_default();
    }
    let from = P::forget(from);
    if operation.kind == Kind::ByteTest as u8 {
        is_number::<P>(operation, from, workspace)
    } else if operation.kind == Kind::ByteJump as u8 {
        leads::<P>(operation, from, workspace)
    } else if operation.kind == Kind::Run as u8 {
        // There is no other place for it.
        exit & RESUME == 0 && is_run::<P>(operation, from, table, workspace)
    } else {
        has_bytes(operation, from, workspace)
    }
}

/// Whether a buffer has so many bytes behind `from`.
#[inline(always)]
fn has_bytes(operation: &Operation, from: u32, workspace: &mut Workspace) -> bool {
    let [bytes, ..] = operation.numbers;
    let buffer = workspace.buffer(operation.subject);
    let end = workspace.whole_end(operation.subject, buffer);
    let lacks = u64::from(from).wrapping_add(bytes.into()) > end.into();
    workspace.is_unsure |= workspace.is_open(operation.subject) & u32::from(lacks);
    !lacks
}

/// Whether a number that counts from `from` is as an operation asks; all of it must be there.
#[inline(always)]
fn is_number<P: PacketBytes>(operation: &Operation, from: u32, workspace: &mut Workspace) -> bool {
    let [mask, first, span, offset] = operation.numbers;
    let at = from.wrapping_add(offset);
    let (number, is_there) = number::<P>(operation, at, operation.slot.into(), workspace);
    is_there & ((number & mask).wrapping_sub(first) <= span)
}

/// Whether a number that counts from `from` leads not behind the end of the buffer; the place is kept. Before the start is the start.
#[inline(always)]
fn leads<P: PacketBytes>(operation: &Operation, from: u32, workspace: &mut Workspace) -> bool {
    let [len, multiplier, more, offset] = operation.numbers;
    let at = from.wrapping_add(offset);
    let (number, is_there) = number::<P>(operation, at, len, workspace);
    let buffer = workspace.buffer(operation.subject);
    let end = workspace.whole_end(operation.subject, buffer);
    let mut base = at.wrapping_add(len);
    if operation.flags & flag::FROM_START != 0 {
        base = buffer.begin;
    }
    if operation.flags & flag::FROM_END != 0 {
        base = end;
    }
    const { assert!(flag::ALIGN == 1 << 6) };
    let below = u64::from(operation.flags >> 6 & 1).wrapping_mul(3);
    let far = u64::from(number).wrapping_mul(multiplier.into());
    let far = far.wrapping_add(below) & !below;
    // VERIFIER: all ways here go on as one.
    let place = u64::from(P::forget(base))
        .wrapping_add(far)
        .wrapping_add_signed(more.cast_signed().into())
        .wrapping_sub(buffer.begin.into())
        .cast_signed();
    let place = (place & !(place >> 63)).cast_unsigned();
    let slot = usize::from(operation.slot) & (SLOTS - 1);
    if let Some(kept) = workspace.ends.get_mut(slot) {
        *kept = (place as u32).wrapping_add(buffer.begin);
    }
    is_there & (place <= end.wrapping_sub(buffer.begin).into())
}

/// The number of `len` bytes that begins at `at`, and whether all of it is there.
#[inline(always)]
fn number<P: PacketBytes>(
    operation: &Operation,
    at: u32,
    len: u32,
    workspace: &mut Workspace,
) -> (u32, bool) {
    let end = workspace.buffer(operation.subject).end;
    // Before the start of the payload, which is zero, is far behind its end.
    let lacks = u64::from(at).wrapping_add(len.into()) > end.into();
    workspace.is_unsure |= workspace.is_open(operation.subject) & u32::from(lacks);
    let word = workspace.word::<P>(at);
    // How many bits of a word are not its.
    let others = 64_u32.wrapping_sub(len.wrapping_mul(8));
    let high = if operation.flags & flag::LITTLE == 0 {
        word.swap_bytes()
    } else {
        word.wrapping_shl(others)
    };
    (high.wrapping_shr(others) as u32, !lacks)
}

/// Whether the bytes from `from` on are each one of a set; all of them must be there.
#[inline(always)]
fn is_run<P: PacketBytes>(
    operation: &Operation,
    from: u32,
    table: &RuleTable,
    workspace: &mut Workspace,
) -> bool {
    let [set, len, ..] = operation.numbers;
    let behind = from.wrapping_add(len);
    let lacks = u32::from(behind > workspace.buffer(operation.subject).end);
    workspace.is_unsure |= workspace.is_open(operation.subject) & lacks;
    workspace.budget = workspace.budget.saturating_sub(len);
    let mut at = from;
    let mut others = lacks;
    for _ in 0..RUN_MAX {
        // VERIFIER: else it would follow each place, and what was found so far.
        (at, others) = (P::forget(at), P::forget(others));
        if at >= behind || others != 0 {
            break;
        }
        others = table.has(set, workspace.word::<P>(at) as u8) ^ 1;
        at = at.wrapping_add(1);
    }
    let is_there = P::forget(others) ^ 1;
    workspace.is_new |= is_there & u32::from(behind > workspace.junction);
    let slot = usize::from(operation.slot) & (SLOTS - 1);
    if let Some(end) = workspace.ends.get_mut(slot) {
        *end = behind;
    }
    is_there != 0
}
