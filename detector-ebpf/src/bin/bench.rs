//! Programs that `cargo xtask bench` measures the detector against, and the one that sends its packets. Never attached to an
//! interface of a gateway.

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
    Global,
    bindings::xdp_action::{XDP_ABORTED, XDP_DROP, XDP_PASS},
    btf_maps::{Array, ProgramArray},
    helpers::{bpf_get_prandom_u32, bpf_redirect},
    macros::{btf_map, xdp},
    programs::XdpContext,
};

/// The program that [`random_sender`], [`random_host`] and [`next_segment`] hand the packet to.
#[btf_map]
static NEXT: ProgramArray<1> = ProgramArray::new();

/// Which bits of a source MAC's lower half, or of an IPv4 source, they draw.
#[unsafe(no_mangle)]
static SENDERS_MASK: Global<u32> = Global::new(0);

/// The interface that [`send`] sends out of.
#[unsafe(no_mangle)]
static SEND_TO: Global<u32> = Global::new(0);

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

/// The sums of [`yardstick`].
#[btf_map]
static SUMS: Array<u64, 64> = Array::new();

/// Steps of [`yardstick`].
const STEPS: usize = 16;

/// A fixed piece of work of the kind that a classifier does: a number is mixed, and chooses where a part of the packet is added. It is the
/// same for every packet. How much longer than the empty program it takes is the unit in which costs are compared.
#[xdp]
pub fn yardstick(ctx: XdpContext) -> u32 {
    let start = ctx.data();
    if start.wrapping_add(2 * STEPS) > ctx.data_end() {
        return XDP_ABORTED;
    }
    let mut mixed = 0_u64;
    for step in 0..STEPS {
        // SAFETY: the two bytes were just found to lie inside the packet, which begins at an even address.
        let part = unsafe { (start.wrapping_add(2 * step) as *const u16).read() };
        mixed = (mixed ^ step as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^= mixed >> 32;
        if let Some(sum) = SUMS.get_ptr_mut(mixed as u32 & 63) {
            // SAFETY: a word at its own alignment; nobody asks for the sum.
            unsafe { sum.write_volatile(sum.read_volatile().wrapping_add(part.into())) };
        }
    }
    XDP_PASS
}

/// Gives the packet a source MAC by chance, one of as many as [`SENDERS_MASK`] says, and hands it to the program in [`NEXT`].
#[xdp]
pub fn random_sender(ctx: XdpContext) -> u32 {
    let sender = ctx.data().wrapping_add(6);
    if sender.wrapping_add(6) > ctx.data_end() {
        return XDP_ABORTED;
    }
    // SAFETY: the helper takes no argument; the six bytes were just found to lie inside the packet.
    unsafe {
        let [a, b, c, d] = (bpf_get_prandom_u32() & SENDERS_MASK.load()).to_be_bytes();
        (sender as *mut [u8; 6]).write([0x02, 0x00, a, b, c, d]);
        NEXT.tail_call(&ctx, 0);
    }
    XDP_ABORTED
}

/// Gives the packet an IPv4 source by chance, in a header without VLAN tags before it, and goes on as [`random_sender`].
#[xdp]
pub fn random_host(ctx: XdpContext) -> u32 {
    let source = ctx.data().wrapping_add(26);
    if source.wrapping_add(4) > ctx.data_end() {
        return XDP_ABORTED;
    }
    // SAFETY: as in `random_sender`.
    unsafe {
        let host = bpf_get_prandom_u32() & SENDERS_MASK.load() | 10 << 24;
        (source as *mut [u8; 4]).write(host.to_be_bytes());
        NEXT.tail_call(&ctx, 0);
    }
    XDP_ABORTED
}

/// Makes the packet the segment that comes behind the one before it, of IPv4 without options or VLAN tags, and goes on as [`random_sender`].
#[xdp]
pub fn next_segment(ctx: XdpContext) -> u32 {
    let header = ctx.data().wrapping_add(14);
    if header.wrapping_add(20 + 20) > ctx.data_end() {
        return XDP_ABORTED;
    }
    // SAFETY: all that is read and written was just found to lie inside the packet.
    unsafe {
        let total_len = u16::from_be_bytes((header.wrapping_add(2) as *const [u8; 2]).read());
        let offset = (header.wrapping_add(32) as *const u8).read() >> 4;
        let payload_len = u32::from(total_len).wrapping_sub(20 + 4 * u32::from(offset));
        let sequence = header.wrapping_add(24) as *mut [u8; 4];
        let next = u32::from_be_bytes(sequence.read()).wrapping_add(payload_len);
        sequence.write(next.to_be_bytes());
        NEXT.tail_call(&ctx, 0);
    }
    XDP_ABORTED
}

/// Sends the packet out of the interface in [`SEND_TO`].
#[xdp]
pub fn send(_: XdpContext) -> u32 {
    // SAFETY: the helper takes two numbers.
    unsafe { bpf_redirect(SEND_TO.load(), 0) }.cast_unsigned() as u32
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // VERIFIER: a panic that can be reached is an endless loop, and the program is refused when it is loaded.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
