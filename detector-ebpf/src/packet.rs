//! The bytes of a packet in the driver's buffer. The only reads and writes of packet memory are here.

use core::arch::asm;

use aya_ebpf::{bindings::xdp_md, programs::XdpContext};
use detector_common::packet::{MAX_OFFSET, PacketBytes, Word, Words};

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
        let len;
        // VERIFIER: if the compiler knew how the length comes about, it would take a length that was checked for a pointer
        // that was, and leave out the check on the pointer, which is the only one the verifier understands.
        // SAFETY: arithmetic on registers.
        unsafe {
            asm!(
                "{len} = {data_end}",
                "{len} -= {data}",
                len = out(reg) len,
                data = in(reg) data,
                data_end = in(reg) data_end,
                options(pure, nomem, nostack)
            )
        };
        Self {
            ctx,
            data,
            data_end,
            len,
        }
    }
}

/// Loads words behind `offset` of a packet, each at its distance, if all of the `len` bytes there are in the packet.
///
/// VERIFIER: what is checked and what is read from must be one register, and the compiler likes to make two. So the whole
/// read is one text.
macro_rules! load {
    ($packet:expr, $offset:expr, $missing:ident, $len:expr, $($word:ident @ $at:ident = $distance:expr),+) => {
        // SAFETY: loads eight bytes at any alignment, which packet memory allows, only after it found that they lie
        // inside the packet.
        unsafe {
            asm!(
                $(concat!("{", stringify!($word), "} = 0"),)+
                "{missing} = 1",
                "if {offset} > {max} goto 1f",
                "{start} = {data}",
                "{start} += {offset}",
                "{end} = {start}",
                "{end} += {len}",
                "if {end} > {data_end} goto 1f",
                $(concat!(
                    "{", stringify!($word), "} = *(u64 *)({start} + {", stringify!($at), "})"
                ),)+
                "{missing} = 0",
                "1:",
                data = in(reg) $packet.data,
                data_end = in(reg) $packet.data_end,
                offset = in(reg) $offset,
                max = const MAX_OFFSET,
                len = const $len,
                start = out(reg) _,
                end = out(reg) _,
                missing = out(reg) $missing,
                $($word = out(reg) $word, $at = const $distance,)+
                options(pure, readonly, nostack)
            )
        }
    };
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
    fn word(&self, offset: usize) -> Words<1> {
        let (a, missing);
        load!(self, offset, missing, 8, a @ a_at = 0);
        Words {
            words: [Word(a)],
            missing,
        }
    }

    #[inline(always)]
    fn two_words<const B: usize>(&self, offset: usize) -> Words<2> {
        let (a, b, missing);
        load!(self, offset, missing, B + 8, a @ a_at = 0, b @ b_at = B);
        Words {
            words: [Word(a), Word(b)],
            missing,
        }
    }

    #[inline(always)]
    fn three_words<const B: usize, const C: usize>(&self, offset: usize) -> Words<3> {
        let (a, b, c, missing);
        load!(self, offset, missing, C + 8, a @ a_at = 0, b @ b_at = B, c @ c_at = C);
        Words {
            words: [Word(a), Word(b), Word(c)],
            missing,
        }
    }

    #[inline(always)]
    fn front<const LEN: usize, const N: usize>(&self, places: [usize; N]) -> Option<[Word; N]> {
        // VERIFIER: as in `bytes`.
        if self.data.wrapping_add(LEN) > self.data_end {
            return None;
        }
        Some(places.map(|at| {
            let word;
            // SAFETY: loads eight bytes at any alignment, which packet memory allows. `LEN` bytes were just found to lie inside the
            // packet, and the verifier refuses a program that reads others. Not `pure`, so that it stays behind that check.
            unsafe {
                asm!(
                    "{word} = *(u64 *)({start} + 0)",
                    word = out(reg) word,
                    start = in(reg) self.data.wrapping_add(at),
                    options(readonly, nostack)
                )
            };
            Word(word)
        }))
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
