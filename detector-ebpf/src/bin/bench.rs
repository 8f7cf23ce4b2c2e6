//! Programs that `cargo xtask bench` measures the detector against. Never attached to an interface of a gateway.

#![no_std]
#![no_main]
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::needless_pass_by_value,
    clippy::empty_loop,
    clippy::not_unsafe_ptr_arg_deref,
    reason = "the xdp macro makes public items without documentation; nothing links against a kernel program"
)]

use aya_ebpf::{
    bindings::xdp_action::{XDP_ABORTED, XDP_DROP, XDP_PASS},
    btf_maps::ProgramArray,
    helpers::bpf_get_prandom_u32,
    macros::{btf_map, xdp},
    programs::XdpContext,
};

/// The program that [`random_sender`] hands the packet to.
#[btf_map]
static NEXT: ProgramArray<1> = ProgramArray::new();

/// The floor of every program that drops.
#[xdp]
pub fn floor_drop(_: XdpContext) -> u32 {
    XDP_DROP
}

/// The floor of every program that passes.
#[xdp]
pub fn floor_pass(_: XdpContext) -> u32 {
    XDP_PASS
}

/// Gives the packet one of 2^20 source MACs by chance and hands it to the program in [`NEXT`].
#[xdp]
pub fn random_sender(ctx: XdpContext) -> u32 {
    let sender = ctx.data().wrapping_add(6);
    if sender.wrapping_add(6) > ctx.data_end() {
        return XDP_ABORTED;
    }
    // SAFETY: the helper takes no argument; the six bytes were just found to lie inside the packet.
    unsafe {
        let [a, b, c, _] = bpf_get_prandom_u32().to_le_bytes();
        (sender as *mut [u8; 6]).write([0x02, 0x00, 0x00, a & 0x0f, b, c]);
        NEXT.tail_call(&ctx, 0);
    }
    XDP_ABORTED
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // VERIFIER: a panic that can be reached is an endless loop, and the program is refused when it is loaded.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
