//! The programs that one packet goes through, each of which goes on where the one before left it.
//!
//! VERIFIER: each is verified for itself, and has a stack of its own.

use aya_ebpf::{bindings::xdp_md, programs::XdpContext};
pub use detector_common::abi::NextProgram as Program;
use detector_common::{
    abi::Tally,
    detect::signature::Search,
    packet::PacketBytes as _,
    pipeline::{Runtime as _, headers::Headers},
    reason::Reason,
    verdict::Decision,
};

use crate::{
    maps,
    packet::XdpPacket,
    runtime::{KernelRuntime, parsed},
    tables::workspace,
};

/// Hands the packet of `ctx` over to those that look for what rules ask for, and does not come back from there unless there is none.
#[inline(always)]
pub fn hand_over(ctx: *mut xdp_md, search: Search, so_far: Decision) {
    if let Some(workspace) = workspace() {
        workspace.hand_over(search, so_far);
    }
    go_on_in(Program::Prefilter, ctx);
}

/// Goes on in another program, and does not come back from there; if there is none, it does, and that is counted.
#[inline(always)]
pub fn go_on_in(program: Program, ctx: *mut xdp_md) {
    // SAFETY: nothing is left to be dropped.
    unsafe { maps::PROGRAMS.tail_call(&XdpContext::new(ctx), program as u32) };
    KernelRuntime::new().tally(Tally::RulesCutShort);
}

/// What becomes of the packet that was handed over; it is counted.
#[inline(always)]
pub fn take_over(
    ctx: *mut xdp_md,
    decide: impl FnOnce(&Headers, Search, Decision, &mut KernelRuntime) -> Decision,
) -> Decision {
    let mut runtime = KernelRuntime::new();
    // It was there before.
    let handed_over = workspace().map(|workspace| workspace.handed_over());
    let decision = match (handed_over, parsed()) {
        (Some((search, so_far)), Some(parsed)) => {
            decide(parsed.headers(), search, so_far, &mut runtime)
        }
        (Some((_, so_far)), None) => so_far,
        (None, _) => Decision::pass(Reason::StateMissing),
    };
    runtime.count(decision, XdpPacket::new(ctx).wire_len() as u64);
    decision
}
