//! The kernel side of detector: an XDP program that hands each packet to the classifier of `detector-common`.
//!
//! One copy of [`detector`] is loaded for each interface, with its slot as a constant; all share the maps. What it
//! decides is [`verdict`]; how it decides is `detector_common::pipeline`.
//!
//! Every program takes frames that lie in several pieces (`frags`); the agent has them loaded as ones that do not where the kernel knows of none.

#![no_std]
#![no_main]
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::needless_pass_by_value,
    clippy::empty_loop,
    clippy::semicolon_if_nothing_returned,
    clippy::not_unsafe_ptr_arg_deref,
    reason = "the xdp macro makes public items without documentation; nothing links against a kernel program"
)]
#![feature(asm_experimental_arch)]

mod evidence;
mod inspector;
mod maps;
mod packet;
mod prefilter;
mod program;
mod record;
mod runtime;
mod tables;

use aya_ebpf::{
    bindings::xdp_action::{XDP_DROP, XDP_PASS},
    helpers::bpf_jiffies64,
    macros::xdp,
    programs::XdpContext,
};
use detector_common::{pipeline, verdict::Verdict};
use packet::XdpPacket;
use runtime::KernelRuntime;

/// Classifies a packet and passes or drops it.
#[xdp(frags)]
pub fn detector(ctx: XdpContext) -> u32 {
    let decision = pipeline::classify(&XdpPacket::new(ctx.ctx), &mut KernelRuntime::new());
    #[cfg(feature = "debug-log")]
    aya_log_ebpf::debug!(
        &ctx,
        "reason {} verdict {}",
        decision.reason as u8,
        decision.verdict.number()
    );
    verdict(decision.verdict)
}

/// Goes on with a packet whose ports rules watch, where `detector` left it.
#[xdp(frags)]
pub fn prefilter(ctx: XdpContext) -> u32 {
    verdict(prefilter::go_on(ctx.ctx).verdict)
}

/// Goes on with a packet about which rules are to be asked, where `prefilter` left it.
#[xdp(frags)]
pub fn inspector(ctx: XdpContext) -> u32 {
    verdict(inspector::go_on(ctx.ctx).verdict)
}

/// The action of a verdict. There is no other way out, so what the classifier cannot decide passes.
#[inline(always)]
fn verdict(verdict: Verdict) -> u32 {
    if verdict.passes() { XDP_PASS } else { XDP_DROP }
}

/// Writes what the kernel's tick counter shows over the first eight bytes of the packet.
///
/// The agent runs it once with `BPF_PROG_TEST_RUN` and knows from it what the times in the maps mean. It is never
/// attached.
#[xdp(frags)]
pub fn clock(ctx: XdpContext) -> u32 {
    // SAFETY: the helper takes no argument and only reads.
    let ticks = unsafe { bpf_jiffies64() };
    packet::overwrite(&ctx, ticks.to_le_bytes());
    XDP_PASS
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // VERIFIER: a panic that can be reached is an endless loop, and the program is refused when it is loaded.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
