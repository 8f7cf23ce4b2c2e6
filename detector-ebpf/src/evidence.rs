//! Hands a packet to the agent for which rules hold as far as they are asked here.

use core::slice;

use aya_ebpf::bindings::xdp_md;
use detector_common::{
    abi::Tally,
    detect::signature::workspace::Workspace,
    evidence::{Desk, EVIDENCE_MAX, EvidenceHead},
    packet::PacketBytes as _,
    pipeline::Runtime as _,
    verdict::Decision,
};

use crate::{
    maps,
    packet::XdpPacket,
    runtime::{KernelRuntime, parsed},
    tables::workspace,
};

/// Hands the packet of `ctx` over, which is in `PARSED`, and of which this became. The number says nothing.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn send_evidence(ctx: *mut xdp_md, decision: u64) -> u64 {
    let (Some(desk), Some(workspace)) = (maps::DESK.get_ptr_mut(0), workspace()) else {
        return 0;
    };
    // SAFETY: the record is this CPU's, and XDP is not re-entered on a CPU.
    let desk = unsafe { &mut *desk };
    let sent = send(ctx, Decision::from_word(decision), desk, workspace);
    KernelRuntime::new().tally(if sent {
        Tally::EvidenceSent
    } else {
        Tally::EvidenceLost
    });
    0
}

/// Copies the beginning of the packet of `ctx`, see [`Desk::copy_blocks`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn copy_blocks(ctx: *mut xdp_md) -> u64 {
    let Some(desk) = maps::DESK.get_ptr_mut(0) else {
        return 0;
    };
    let packet = XdpPacket::new(ctx);
    // SAFETY: as in `send_evidence`.
    unsafe { &mut *desk }.copy_blocks(&packet, packet.here()) as u64
}

/// Copies the end of that, see [`Desk::copy_end`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn copy_end(ctx: *mut xdp_md, len: u64) -> u64 {
    let Some(desk) = maps::DESK.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: as in `send_evidence`.
    let desk = unsafe { &mut *desk };
    desk.copy_end(&XdpPacket::new(ctx), len as usize).into()
}

#[inline(always)]
fn send(ctx: *mut xdp_md, decision: Decision, desk: &mut Desk, workspace: &Workspace) -> bool {
    let Some(parsed) = parsed() else {
        return false;
    };
    let at_ns = parsed.headers().now_ns;
    if !desk.has_turn(at_ns) {
        return false;
    }
    let len = copy_blocks(ctx);
    if len == 0 || copy_end(ctx, len) == 0 {
        return false;
    }
    let len = len as usize;
    let wire_len = XdpPacket::new(ctx).wire_len() as u32;
    let interface = maps::interface() as u8;
    let head = EvidenceHead::new(decision, wire_len, at_ns, interface);
    desk.evidence.head = head.with(workspace.partials, workspace.partials_len, len);
    // VERIFIER: at least one, and at most all of it.
    let len = XdpPacket::forget(len.wrapping_sub(1) as u32) & const { EVIDENCE_MAX as u32 - 1 };
    let bytes = (len as usize)
        .wrapping_add(1)
        .wrapping_add(size_of::<EvidenceHead>());
    let record = (&raw const desk.evidence).cast();
    // SAFETY: it has so many bytes, all of which are written.
    let record = unsafe { slice::from_raw_parts(record, bytes) };
    maps::EVIDENCE.output_untyped::<[u8]>(record, 0).is_ok()
}
