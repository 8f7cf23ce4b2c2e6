//! Where steps find the tables and this CPU's workspace.

use core::{arch::asm, ptr};

use aya_ebpf::bindings::xdp_md;
use detector_common::detect::signature::{
    Records, Search,
    table::{FilterTable, RuleTable},
    workspace::Workspace,
};

use crate::{maps, packet::XdpPacket};

/// The same with what the filter looks for.
#[inline(always)]
pub fn with_filter(
    search: u64,
    step: impl FnOnce(Search, &FilterTable, &mut Workspace) -> u64,
) -> u64 {
    let search = Search::from_word(search);
    let (Some(table), Some(workspace)) = (
        maps::FILTER.get(search.generation()),
        maps::WORKSPACE.get_ptr_mut(0),
    ) else {
        return 0;
    };
    // SAFETY: as in `with`.
    step(search, table, unsafe { &mut *workspace })
}

/// Gives a step the rules of the search's generation and this CPU's workspace.
#[inline(always)]
pub fn with(search: u64, step: impl FnOnce(Search, &RuleTable, &mut Workspace) -> u64) -> u64 {
    let search = Search::from_word(search);
    let (Some(table), Some(workspace)) = (
        maps::RULES.get(search.generation()),
        maps::WORKSPACE.get_ptr_mut(0),
    ) else {
        return 0;
    };
    // SAFETY: the record is this CPU's, and XDP is not re-entered on a CPU.
    step(search, table, unsafe { &mut *workspace })
}

/// Gives a step this CPU's workspace alone.
#[inline(always)]
pub fn with_workspace(step: impl FnOnce(&mut Workspace) -> u64) -> u64 {
    match maps::WORKSPACE.get_ptr_mut(0) {
        // SAFETY: as in `with`.
        Some(workspace) => step(unsafe { &mut *workspace }),
        None => 0,
    }
}

/// Tells the compiler that a function which was not given the workspace has written to it.
#[inline(always)]
pub fn written(workspace: &mut Workspace) {
    let workspace: *mut Workspace = workspace;
    // An instruction that changes nothing, for the kernel takes no two lines of source at the same one.
    // SAFETY: changes nothing.
    unsafe { asm!("{workspace} = {workspace}", workspace = in(reg) workspace, options(nostack)) };
}

/// This CPU's workspace.
#[inline(always)]
pub fn workspace() -> Option<&'static mut Workspace> {
    let workspace = maps::WORKSPACE.get_ptr_mut(0)?;
    // SAFETY: as in `with`.
    Some(unsafe { &mut *workspace })
}

/// Who takes the steps in the kernel.
pub struct KernelSteps {
    /// The packet.
    pub ctx: *mut xdp_md,
}

impl KernelSteps {
    /// Of steps that only read what was copied of the packet.
    ///
    /// VERIFIER: a context that a function is given and does not use, the compiler leaves out where it calls it, and then it is refused.
    #[inline(always)]
    pub fn of_the_copy() -> Self {
        Self {
            ctx: ptr::null_mut(),
        }
    }
}

impl Records for KernelSteps {
    type Packet = XdpPacket;

    #[inline(always)]
    fn filter_table(&self, search: Search) -> Option<&FilterTable> {
        maps::FILTER.get(search.generation())
    }

    #[inline(always)]
    fn workspace(&mut self) -> Option<&mut Workspace> {
        workspace()
    }
}
