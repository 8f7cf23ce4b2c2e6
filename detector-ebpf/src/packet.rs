//! The bytes of a packet in the driver's buffer. The only reads and writes of packet memory are here.

use core::{arch::asm, mem::MaybeUninit};

use aya_ebpf::{bindings::xdp_md, programs::XdpContext};
use detector_common::{
    detect::signature::{
        table::{FILTER_MAX, FOLD, FilterTable, HASH_FACTOR},
        workspace::BLOCK,
    },
    packet::{MAX_OFFSET, PacketBytes, Word, Words},
};

use crate::maps;

/// The first piece of a packet, which is all that is read of it; most packets have no other.
#[derive(Clone, Copy)]
pub struct XdpPacket {
    /// Where it came from.
    pub ctx: *mut xdp_md,
    data: usize,
    data_end: usize,
    /// Of the whole packet, in bytes.
    len: usize,
}

impl XdpPacket {
    /// The packet of `ctx`.
    #[inline(always)]
    pub fn new(ctx: *mut xdp_md) -> Self {
        // SAFETY: the kernel gives the program a context that outlives it.
        let (data, data_end) = unsafe { ((*ctx).data, (*ctx).data_end) };
        let (data, data_end) = (data as usize, data_end as usize);
        let len = if maps::has_frags() {
            len_of_all_pieces(ctx)
        } else {
            distance(data, data_end)
        };
        Self {
            ctx,
            data,
            data_end,
            len,
        }
    }
}

impl XdpPacket {
    /// The length of the first piece, in bytes.
    #[inline(always)]
    pub fn here(&self) -> usize {
        distance(self.data, self.data_end)
    }
}

/// How far it is from `data` to `data_end`.
///
/// VERIFIER: if the compiler knew how the length comes about, it would take a length that was checked for a pointer that was, and leave
/// out the check on the pointer, which is the only one the verifier understands.
#[inline(always)]
fn distance(data: usize, data_end: usize) -> usize {
    let len;
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
    len
}

/// The length of the packet of `ctx`, whatever pieces it lies in; only where the kernel has such packets.
///
/// The helper `bpf_xdp_get_buff_len` by its number, for the compiler leaves out a text whose result nobody asks for, but no call of a helper.
#[inline(always)]
fn len_of_all_pieces(ctx: *mut xdp_md) -> usize {
    let len;
    // SAFETY: the helper only reads, and takes the context that the kernel gave the program. It keeps what a function does not own.
    unsafe {
        asm!(
            "call {helper}",
            helper = const HELPER_LEN,
            inlateout("r1") ctx => _,
            lateout("r0") len,
            lateout("r2") _,
            lateout("r3") _,
            lateout("r4") _,
            lateout("r5") _,
            options(pure, readonly, nostack)
        )
    };
    len
}

/// `BPF_FUNC_xdp_get_buff_len` of `linux/bpf.h`.
const HELPER_LEN: u32 = 188;

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

/// Of a word in `r4`, also written to `$at` behind `r3`: the entries of the table at `r2` for both its windows, or-ed into `r0`.
macro_rules! sift_word {
    ($at:literal) => {
        concat!(
            "r4 = *(u64 *)(r1 + ",
            $at,
            ")\n",
            "*(u64 *)(r3 + ",
            $at,
            ") = r4\n",
            "r4 |= r5\n",
            "w6 = w4\n",
            "w6 *= {factor}\n",
            "w6 >>= {shift}\n",
            "r6 += r2\n",
            "r6 = *(u8 *)(r6 + 0)\n",
            "w0 |= w6\n",
            "r4 >>= 32\n",
            "w4 *= {factor}\n",
            "w4 >>= {shift}\n",
            "r4 += r2\n",
            "r4 = *(u8 *)(r4 + 0)\n",
            "w0 |= w4",
        )
    };
}

impl XdpPacket {
    /// What [`filter::sift`] does, in a sixth fewer instructions than the compiler makes of the loop: no packet has more of any other.
    ///
    /// [`filter::sift`]: detector_common::detect::signature::filter::sift
    #[inline(always)]
    pub fn sift<const N: usize>(
        &self,
        offset: usize,
        at: usize,
        text: &mut [u64; N],
        table: &[u8; FILTER_MAX],
    ) -> Option<u8> {
        /// More than any entry.
        const MISSING: u32 = 1 << 8;
        if offset > MAX_OFFSET || at.wrapping_add(BLOCK) > N * 8 {
            return None;
        }
        let classes: u64;
        // VERIFIER: as in `load!`.
        // SAFETY: loads words at any alignment, which packet memory allows, only after it found that they lie inside the packet; stores as many
        // inside `text`; a hash that is shifted so far is an index of the table.
        unsafe {
            asm!(
                "r0 = {missing}",
                "r6 = r1",
                "r6 += {len}",
                "if r6 > r4 goto 1f",
                "r0 = 0",
                sift_word!(0),
                sift_word!(8),
                sift_word!(16),
                sift_word!(24),
                "1:",
                missing = const MISSING,
                len = const BLOCK,
                factor = const HASH_FACTOR.cast_signed(),
                shift = const FilterTable::INDEX_SHIFT,
                out("r0") classes,
                inout("r1") self.data.wrapping_add(offset) => _,
                in("r2") table.as_ptr(),
                in("r3") text.as_mut_ptr().cast::<u8>().wrapping_add(at),
                inout("r4") self.data_end => _,
                in("r5") FOLD,
                out("r6") _,
                options(nostack)
            )
        };
        (classes < MISSING.into()).then_some(classes as u8)
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
    fn block(&self, offset: usize) -> Option<[Word; 4]> {
        if offset > MAX_OFFSET {
            return None;
        }
        let mut start = self.data.wrapping_add(offset);
        let missing: u64;
        // VERIFIER: as in `load!`, but the register that was checked comes out of the text, so that the compiler can only read from
        // that one.
        // SAFETY: arithmetic on registers.
        unsafe {
            asm!(
                "{missing} = {start}",
                "{missing} += 32",
                "if {missing} > {data_end} goto 1f",
                "{missing} = 0",
                "goto 2f",
                "1:",
                "{missing} = 1",
                "2:",
                data_end = in(reg) self.data_end,
                start = inout(reg) start,
                missing = out(reg) missing,
                options(pure, nomem, nostack)
            )
        };
        if missing != 0 {
            return None;
        }
        macro_rules! word {
            ($at:literal) => {{
                let word;
                // SAFETY: as in `front`: the 32 bytes from `start` on were just found to lie inside the packet.
                unsafe {
                    asm!(
                        concat!("{word} = *(u64 *)({start} + ", $at, ")"),
                        word = out(reg) word,
                        start = in(reg) start,
                        options(readonly, nostack)
                    )
                };
                Word(word)
            }};
        }
        Some([word!(0), word!(8), word!(16), word!(24)])
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
    fn forget(value: u32) -> u32 {
        let mut slot = MaybeUninit::<u64>::uninit();
        let forgotten: u64;
        // VERIFIER: of a number on the stack it remembers what it knows, but not of the upper half alone. The lower half is 1, for of zero
        // it would know that all of it is.
        // SAFETY: writes eight bytes to a slot of eight, and reads four of them.
        unsafe {
            asm!(
                "{value} <<= 32",
                "{value} |= 1",
                "*(u64 *)({slot} + 0) = {value}",
                "{value} = *(u32 *)({slot} + 4)",
                value = inout(reg) u64::from(value) => forgotten,
                slot = in(reg) slot.as_mut_ptr(),
                options(nostack)
            )
        };
        forgotten as u32
    }

    #[inline(always)]
    fn load<const N: usize>(memory: &[u64; N], at: usize) -> u64 {
        if at.wrapping_add(8) > N * 8 {
            return 0;
        }
        let word;
        // SAFETY: loads eight bytes at any alignment, which memory of a map allows, that were just found to lie inside `memory`.
        unsafe {
            asm!(
                "{word} = *(u64 *)({place} + 0)",
                word = out(reg) word,
                place = in(reg) memory.as_ptr().cast::<u8>().wrapping_add(at),
                options(readonly, nostack)
            )
        };
        word
    }

    #[inline(always)]
    fn store<const N: usize>(memory: &mut [u64; N], at: usize, word: u64) {
        if at.wrapping_add(8) > N * 8 {
            return;
        }
        // SAFETY: as in `load`, and nobody else has `memory`.
        unsafe {
            asm!(
                "*(u64 *)({place} + 0) = {word}",
                word = in(reg) word,
                place = in(reg) memory.as_mut_ptr().cast::<u8>().wrapping_add(at),
                options(nostack)
            )
        };
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
