//! The bytes of a packet in the driver's buffer. The only reads and writes of packet memory are here.

use core::{arch::asm, hint::black_box};

use aya_ebpf::{bindings::xdp_md, programs::XdpContext};
use detector_common::packet::PacketBytes;

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
    fn word(&self, offset: usize) -> Option<u64> {
        let mut start = self.data.wrapping_add(offset);
        // VERIFIER: the compiler must not see where `start` comes from, or it checks one sum and reads from another
        // with the same value, of which the verifier knows nothing.
        // SAFETY: moves a register to itself. (An empty text would give two instructions one line's place, which the
        // kernel refuses.)
        unsafe { asm!("{0} = {0}", inout(reg) start, options(nomem, nostack)) };
        if start.wrapping_add(8) > self.data_end {
            return None;
        }
        let word: u64;
        // SAFETY: `start..start + 8` was just found to lie inside the packet. One load at any alignment, which packet
        // memory allows and the compiler does not know of: it would load byte by byte.
        unsafe {
            asm!("{0} = *(u64 *)({1} + 0)", out(reg) word, in(reg) start, options(readonly, nostack))
        };
        Some(u64::from_le(word))
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
