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
