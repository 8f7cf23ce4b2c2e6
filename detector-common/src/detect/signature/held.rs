//! The rules that hold for a packet, where more than the packet decides whether they match or are told: what it is the how-manieth of
//! ([`super::threshold`]), what came before it in its connection ([`super::flowbits`]).
//!
//! They are noted while rules are asked, and taken in the order of their rows when all were. So what becomes of them does not depend on where patterns stand.

use super::{
    table::{Action, Row, RuleTable},
    threshold::{self, Meter, Words},
    workspace::Workspace,
};
use crate::{net::IpAddress, packet::PacketBytes};

/// The most rules of one packet that are noted.
pub const HELD_MAX: usize = 1 << 4;

/// Decides about the next row that was noted, from `from` on, or, when there is none, about the one that is the finding then; gives where to go on, or 0 if all
/// is decided. `source` sent the packet, and `ask_bits` runs [`super::flowbits::run`].
///
/// What a rule lets pass in any case is counted for none behind it, but sets bits. One that matches in any case is counted if it is the finding.
#[inline(always)]
pub fn run<P: PacketBytes>(
    from: u32,
    source: IpAddress,
    meter: &mut Meter<'_, impl Words + ?Sized>,
    table: &RuleTable,
    workspace: &mut Workspace,
    ask_bits: impl FnOnce(u32, &mut Workspace) -> bool,
) -> u32 {
    let number = workspace.next_held::<P>(from);
    if number == u32::MAX {
        conclude(source, meter, table, workspace);
        return 0;
    }
    let next = number.wrapping_add(1);
    let row = table.row(number);
    if row.flow_bits != 0 && !ask_bits(number, workspace) {
        return next;
    }
    let best = workspace.best;
    let is_passed = best < number && table.row(best).action == Action::Pass as u8;
    if is_passed {
        return next;
    }
    let (matches, is_untold) = counts(&row, source, meter);
    if !matches {
        return next;
    }
    if row.only_counts() {
        if workspace.silent == u32::MAX {
            workspace.silent = number;
        }
    } else if workspace.reached == u32::MAX {
        workspace.reached = number;
        workspace.is_untold = is_untold | u32::from(row.flags & Row::SILENT != 0);
    }
    next
}

/// All that were noted are done with: a rule that matches in any case is counted if it is the finding.
#[inline(always)]
fn conclude(
    source: IpAddress,
    meter: &mut Meter<'_, impl Words + ?Sized>,
    table: &RuleTable,
    workspace: &mut Workspace,
) {
    let best = workspace.best;
    if best < workspace.reached {
        // What was awaited, and may not be told, is not the finding.
        let (_, is_untold) = counts(&table.row(best), source, meter);
        workspace.is_untold = is_untold;
    }
}

/// Counts the packet of `source` for the rule of `row`, if it counts any: whether it matches, and 1 if it is not told.
#[inline(always)]
fn counts(row: &Row, source: IpAddress, meter: &mut Meter<'_, impl Words + ?Sized>) -> (bool, u32) {
    if row.window == 0 {
        return (true, 0);
    }
    let counted = threshold::count(row, source, meter);
    let is_untold = row.last != Row::AGAIN && counted > row.last.into();
    (counted >= row.least.into(), u32::from(is_untold))
}

impl Workspace {
    /// The first of the rows that hold, from this one on; [`u32::MAX`] if there is none.
    #[inline(always)]
    #[must_use]
    pub fn next_held<P: PacketBytes>(&self, from: u32) -> u32 {
        let mut next = u32::MAX;
        for (index, held) in (0..).zip(&self.held) {
            // VERIFIER: all ways to a row go on as one.
            next = P::forget(next);
            if index >= P::forget(self.held_len) {
                break;
            }
            let held = P::forget((*held).into());
            if held >= from && held < next {
                next = held;
            }
        }
        next
    }

    /// Notes a row that holds and is awaited: of the rows of a rule the first. So with the rule of one that is partial.
    #[inline(always)]
    pub fn hold(&mut self, number: u32, table: &RuleTable) {
        let Row { slot, flags, .. } = table.row(number);
        if flags & Row::PARTIAL != 0 {
            self.hold_partial(slot);
            return;
        }
        let mut index = 0_u32;
        for held in &self.held {
            if index >= self.held_len || table.row(u32::from(*held)).slot == slot {
                break;
            }
            index = index.wrapping_add(1);
        }
        let Some(place) = self.held.get_mut(index as usize) else {
            self.is_cut_short = 1;
            return;
        };
        let is_new = index >= self.held_len;
        if is_new || number < u32::from(*place) {
            *place = number as u16;
        }
        self.held_len = self.held_len.wrapping_add(is_new.into());
    }
}
