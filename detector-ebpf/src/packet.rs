//! The bytes of a packet in the driver's buffer. The only reads and writes of packet memory are here.

use core::{arch::asm, hint::black_box};

use aya_ebpf::{bindings::xdp_md, programs::XdpContext};
use detector_common::packet::{MAX_OFFSET, PacketBytes, Word};

use crate::maps;

/// The linear part of a packet.
#[derive(Clone, Copy)]
pub struct XdpPacket {
    /// Where it came from.
    pub ctx: *mut xdp_md,
    data: usize,
    data_end: usize,
    len: usize,
}

impl XdpPacket {
    /// The packet of `ctx`.
    #[inline(always)]
    pub fn new(ctx: *mut xdp_md) -> Self {
        // SAFETY: the kernel gives the program a context that outlives it.
        let (data, data_end) = unsafe { ((*ctx).data, (*ctx).data_end) };
        let (data, data_end) = (data as usize, data_end as usize);
        Self {
            ctx,
            data,
            data_end,
            // VERIFIER: without the barrier the compiler takes a length that was checked for a pointer that was, and
            // leaves out the check on the pointer, which is the only one the verifier understands.
            len: black_box(data_end.wrapping_sub(data)),
        }
    }
}

impl PacketBytes for XdpPacket {
    #[inline(always)]
    fn wire_len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    fn bytes<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let start = self.data.wrapping_add(offset);
        // VERIFIER: the check is `pointer + N > data_end` on the pointer that is read; kernels before 5.16 get other
        // forms wrong (2fa7d94afc1a).
        if start.wrapping_add(N) > self.data_end {
            return None;
        }
        // SAFETY: `start..start + N` was just found to lie inside the packet, and an array of bytes has no alignment.
        Some(unsafe { (start as *const [u8; N]).read() })
    }

    #[inline(always)]
    fn load_word(&self, offset: usize) -> Word {
        let (bits, missing): (u64, u64);
        // VERIFIER: what is checked and what is read from must be one register, and the compiler likes to make two. So
        // the whole read is one text.
        // SAFETY: loads eight bytes at any alignment, which packet memory allows, only after it found that they lie
        // inside the packet.
        unsafe {
            asm!(
                "{bits} = 0",
                "{missing} = 1",
                "if {offset} > {max} goto +6",
                "{start} = {data}",
                "{start} += {offset}",
                "{end} = {start}",
                "{end} += 8",
                "if {end} > {data_end} goto +2",
                "{bits} = *(u64 *)({start} + 0)",
                "{missing} = 0",
                data = in(reg) self.data,
                data_end = in(reg) self.data_end,
                offset = in(reg) offset,
                max = const MAX_OFFSET,
                start = out(reg) _,
                end = out(reg) _,
                bits = out(reg) bits,
                missing = out(reg) missing,
                options(pure, readonly, nostack)
            )
        };
        Word { bits, missing }
    }

    #[inline(always)]
    fn forget(value: usize) -> usize {
        let Some(scratch) = maps::SCRATCH.get_ptr_mut(0) else {
            return 0;
        };
        // SAFETY: the number is this CPU's, and XDP is not re-entered on a CPU.
        unsafe {
            scratch.write_volatile(value);
            scratch.read_volatile()
        }
    }
}

/// Writes `bytes` over the beginning of the packet, if it is that long.
#[inline(always)]
pub fn overwrite<const N: usize>(ctx: &XdpContext, bytes: [u8; N]) {
    let start = ctx.data();
    if start.wrapping_add(N) > ctx.data_end() {
        return;
    }
    // SAFETY: as in `bytes`; the program owns the packet while it runs.
    unsafe { (start as *mut [u8; N]).write(bytes) }
}
