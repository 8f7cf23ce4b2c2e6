//! Rules, asked of a packet: each is a small decision program, whose operations have two exits each.

use super::{
    find::Sought,
    table::{
        FIELDS, FOUND, Kind, LIST_LEN_MAX, LISTS_MAX, List, NONE, OPERATIONS_MAX, Operation,
        RESUME, Row, RuleTable,
    },
    workspace::Workspace,
};
use crate::packet::PacketBytes;

/// The most steps that one rule takes in a packet.
const STEPS: usize = 96;
/// What a rule takes of the budget besides its searches.
const COST: u32 = 8;

/// Gives `ask` each row of a list.
#[inline(always)]
pub fn each(list: List, table: &RuleTable, mut ask: impl FnMut(u32)) {
    for index in 0..LIST_LEN_MAX {
        if index >= u32::from(list.len) {
            break;
        }
        let place = u32::from(list.first).wrapping_add(index) as usize;
        let row = table.lists.get(place & (LISTS_MAX - 1));
        ask(row.map_or(0, |row| u32::from(*row)));
    }
}

/// Asks the rule of a row, and keeps it if it holds and is the first one; `find` looks for the pattern that an exit leads to, `test`
/// runs [`super::test::is_so`], and `hold` runs [`Workspace::hold`] on a row whose holding is noted only.
#[inline(always)]
pub fn ask<P: PacketBytes>(
    row: u32,
    table: &RuleTable,
    workspace: &mut Workspace,
    find: impl FnMut(u32, &mut Workspace) -> Sought,
    test: impl FnMut(u32, &mut Workspace) -> bool,
    hold: impl FnOnce(&mut Workspace),
) {
    // One that comes later would change nothing, unless it is counted, or told by somebody else.
    if row >= workspace.best && !table.row(row).is_noted() {
        return;
    }
    let Row {
        first,
        of_request,
        joins,
        ..
    } = table.row(row);
    if u32::from(of_request) != workspace.is_of_request || u32::from(joins) < workspace.least_joins
    {
        workspace.budget = workspace.budget.saturating_sub(1);
        return;
    }
    if workspace.budget == 0 {
        workspace.is_cut_short = 1;
        return;
    }
    workspace.budget = workspace.budget.saturating_sub(COST);
    workspace.is_unsure = 0;
    workspace.is_new = workspace.starts_new;
    let holds = holds::<P>(first, table, workspace, find, test);
    if workspace.is_unsure != 0 {
        workspace.is_cut_short = 1;
        return;
    }
    // What was all there before this segment was asked about then.
    if holds && workspace.is_new != 0 {
        if table.row(row).is_noted() {
            hold(workspace);
        } else {
            workspace.best = row;
        }
    }
}

/// Whether the rule holds whose first operation this is.
#[inline(always)]
fn holds<P: PacketBytes>(
    first: u32,
    table: &RuleTable,
    workspace: &mut Workspace,
    mut find: impl FnMut(u32, &mut Workspace) -> Sought,
    mut test: impl FnMut(u32, &mut Workspace) -> bool,
) -> bool {
    let mut exit = first;
    for _ in 0..STEPS {
        // VERIFIER: all ways to an operation go on as one.
        exit = P::forget(exit);
        if exit & (FOUND | NONE) != 0 {
            return exit & FOUND != 0;
        }
        exit = step::<P>(exit, table, workspace, &mut find, &mut test);
    }
    workspace.is_cut_short = 1;
    false
}

/// The exit of the operation that `exit` leads to.
#[inline(always)]
fn step<P: PacketBytes>(
    exit: u32,
    table: &RuleTable,
    workspace: &mut Workspace,
    find: &mut impl FnMut(u32, &mut Workspace) -> Sought,
    test: &mut impl FnMut(u32, &mut Workspace) -> bool,
) -> u32 {
    let index = exit as usize & (OPERATIONS_MAX - 1);
    let Some(operation) = table.operations.get(index) else {
        return NONE;
    };
    let holds = if operation.kind == Kind::Content as u8 {
        if workspace.budget == 0 {
            workspace.is_cut_short = 1;
            return NONE;
        }
        match find(exit, workspace) {
            Sought::Found => true,
            Sought::Absent => false,
            Sought::Unfinished => return index as u32 | RESUME,
        }
    } else if operation.kind <= Kind::Address as u8 {
        is_so(operation, workspace)
    } else {
        // VERIFIER: a function of its own, for few rules ask so, and each operation is followed many times.
        test(exit, workspace)
    };
    // VERIFIER: as in `holds`.
    if P::forget(holds.into()) != 0 {
        operation.then
    } else {
        operation.otherwise
    }
}

/// Whether an operation holds that asks of headers.
#[inline(always)]
fn is_so(operation: &Operation, workspace: &Workspace) -> bool {
    let [first, second, third, fourth] = operation.numbers;
    if operation.kind == Kind::Field as u8 {
        let field = workspace
            .fields
            .get(usize::from(operation.subject) & (FIELDS - 1));
        let value = field.map_or(0, |field| field & first);
        value.wrapping_sub(second) <= third
    } else {
        let address = workspace.addresses.get(usize::from(operation.subject & 1));
        let [high, low] = address.copied().unwrap_or_default();
        let least_high = u64::from(first) << 32 | u64::from(second);
        let least_low = u64::from(third) << 32 | u64::from(fourth);
        high > least_high || high == least_high && low >= least_low
    }
}
