//! What is kept of a connection from one segment to the next, so that a pattern which is cut in two is found.
//!
//! Of what a sender's segments brought so far the end is kept, for as many connections as there is room for. The segment that comes next is looked at
//! once by itself and once behind that. Nothing is put in order: what comes in any other order is counted, and begins anew.

use bytemuck::{Pod, Zeroable};

use super::{
    table::not_negative,
    workspace::{BLOCK, JOINED, TEXT_MAX, Workspace},
};
use crate::{
    net::{TcpFlags, Vlan},
    packet::{MAX_OFFSET, PacketBytes},
    parse::{Ip, PAYLOAD_OFFSET_MAX, Protocol},
};

/// Connections of one CPU that there is room for. Each has one place, and the last that comes there has it.
pub const SLOTS: u32 = 1 << 12;
/// The most bytes that are kept of what came, and the most that are looked at behind them.
pub const CARRIED_MAX: usize = 256;
/// Their words.
const WORDS: usize = CARRIED_MAX / 8;
/// Where they go.
const JOINED_WORD: usize = JOINED as usize / 8;
/// Bits of a length that is not more.
const LEN_BITS: u32 = 2 * CARRIED_MAX as u32 - 1;
/// A segment that lies whole within so many bytes before the next one is one that was sent again.
const AGAIN_MAX: u32 = 1 << 16;
/// TCP flags that take a sequence number, RFC 9293 §3.4.
const FIN: u8 = TcpFlags::FIN.0;
const SYN: u8 = TcpFlags::SYN.0;

/// What is kept of one side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Carry {
    /// Which one it is of; 0 if of none.
    tag: u64,
    /// The sequence number of the segment that comes next.
    next: u32,
    /// What was dropped ends before this number. Until that has come again, in whatever parts, what is ahead reaches nobody.
    held: u32,
    /// How many bytes are kept.
    len: u16,
    /// 1 while these are all that came since the beginning.
    is_whole: u8,
    /// 1 while something that was dropped is awaited.
    is_held: u8,
    /// 1 while nothing stands in them that rules look for, so that what is found in the next segment and not in that alone stands where they meet.
    is_bare: u8,
    reserved: [u8; 3],
    /// They, and room to read and write a word behind them.
    tail: [u64; WORDS + 1],
}

/// A segment of TCP that has a payload, or begins a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where what is kept of its connection is.
    pub slot: u32,
    tag: u64,
    sequence: u32,
    /// The sequence numbers that it takes.
    takes: u32,
    /// Where its payload begins, in bytes from the start of the frame.
    start: u32,
    /// Its length.
    len: u32,
    /// Whether it begins a connection.
    is_first: bool,
}

impl Segment {
    /// The segment that `ip` is, which came in by this interface; `None` if it is none, or has no payload and begins no connection. `seed` is secret, so that nobody
    /// can choose connections that share a place.
    #[inline(always)]
    #[must_use]
    pub fn of(ip: &Ip, interface: u8, vlan: Vlan, seed: u64) -> Option<Self> {
        let transport = &ip.transport;
        let flags = transport.tcp().flags.0;
        let is_first = flags & SYN != 0;
        if transport.protocol != Protocol::Tcp || ip.payload_len == 0 && !is_first {
            return None;
        }
        let context = u64::from(transport.source_port())
            | u64::from(transport.destination_port()) << 16
            | u64::from(vlan.outer) << 32
            | u64::from(vlan.inner) << 44
            | u64::from(interface) << 56;
        let hash = ip.source.hash(ip.destination.hash(context, seed), seed);
        let tcp = transport.tcp();
        let len = ip.payload_len as u32;
        let others = u32::from(flags & FIN).wrapping_add(u32::from(flags & SYN) >> 1);
        Some(Self {
            slot: hash as u32 & SLOTS.wrapping_sub(1),
            // The place says the rest.
            tag: hash | u64::from(SLOTS.wrapping_sub(1)),
            sequence: tcp.sequence,
            takes: len.wrapping_add(others),
            start: ip.payload_offset as u32 & PAYLOAD_OFFSET_MAX as u32,
            len,
            is_first,
        })
    }

    /// It without its first `back` bytes, at most its length.
    ///
    /// VERIFIER: of it nothing is known then, so that all ways go on as one.
    #[inline(always)]
    fn without_first<P: PacketBytes>(&self, back: u32) -> Self {
        Self {
            sequence: P::forget(self.sequence.wrapping_add(back)),
            takes: P::forget(self.takes.wrapping_sub(back)),
            start: P::forget(self.start.wrapping_add(back)),
            len: P::forget(self.len.wrapping_sub(back)),
            ..*self
        }
    }
}

impl Carry {
    /// Whether the segment comes behind what is kept, and as much of it as does: who receives it does not take again what it has. All of one
    /// that does not.
    #[inline(always)]
    fn next<P: PacketBytes>(&self, segment: &Segment) -> (bool, Segment) {
        let back = self.next.wrapping_sub(segment.sequence);
        let is_known = self.tag == segment.tag && !segment.is_first;
        let is_next = is_known && back < AGAIN_MAX && back < segment.len;
        let back = if is_next { back } else { 0 };
        (is_next, segment.without_first::<P>(back))
    }

    /// Whether all that the segment brings came before.
    #[inline(always)]
    fn has(&self, segment: &Segment) -> bool {
        let back = self.next.wrapping_sub(segment.sequence);
        back < AGAIN_MAX && segment.takes <= back
    }

    /// Leaves in `workspace` what is kept with the beginning of the segment behind it, if that is the next one: no more than `reach` bytes of either, if
    /// all that could be found there reaches no further.
    #[inline(always)]
    pub fn join<P: PacketBytes>(
        &self,
        segment: &Segment,
        reach: u32,
        packet: &P,
        workspace: &mut Workspace,
    ) {
        let (is_next, segment) = self.next::<P>(segment);
        if !is_next || self.len == 0 {
            return;
        }
        let kept = u32::from(self.len) & LEN_BITS;
        let is_seam = self.is_bare != 0 && reach < CARRIED_MAX as u32;
        let reach = if is_seam { reach } else { CARRIED_MAX as u32 };
        workspace.is_seam = is_seam.into();
        let first = kept.saturating_sub(reach) >> BLOCK.trailing_zeros();
        workspace.joined_begin = JOINED.wrapping_add(first << BLOCK.trailing_zeros());
        // VERIFIER: all ways go on as one.
        let (first, reach) = (P::forget(first << 2) as usize, P::forget(reach));
        for number in 0..WORDS {
            let number = number.wrapping_add(first) & (2 * WORDS - 1);
            if number >= WORDS {
                break;
            }
            let place = workspace.text.get_mut(JOINED_WORD.wrapping_add(number));
            if let (Some(place), Some(word)) = (place, self.tail.get(number)) {
                *place = *word;
            }
        }
        let len = if segment.len < reach {
            segment.len
        } else {
            reach
        };
        let len = P::forget(at_most(len)) & LEN_BITS;
        let to = P::forget(JOINED.wrapping_add(kept));
        if copy(segment.start, len, to, packet, &mut workspace.text) {
            let end = to.wrapping_add(len);
            workspace.joined_end = end;
            // Nothing of the packet before is left behind it.
            workspace.set_word::<P>(end & const { TEXT_MAX as u32 - 1 }, 0);
            workspace.seam = to;
            workspace.is_joined_whole = self.is_whole.into();
            workspace.joined_lacks_rest = u32::from(len < segment.len);
        }
    }

    /// Forgets what came before the segment, which begins a connection.
    #[inline(always)]
    pub fn begin(&mut self, segment: &Segment) {
        if self.tag == segment.tag {
            self.tag = 0;
        }
    }

    /// Takes note of a segment that is dropped: until it comes again, nothing is forgotten for what comes ahead of it.
    #[inline(always)]
    pub fn hold<P: PacketBytes>(&mut self, segment: &Segment) {
        let (is_next, _) = self.next::<P>(segment);
        if !is_next {
            return;
        }
        let end = segment.sequence.wrapping_add(segment.takes);
        let is_further = end.wrapping_sub(self.next) > self.held.wrapping_sub(self.next);
        if self.is_held == 0 || is_further {
            self.held = end;
        }
        self.is_held = 1;
    }

    /// Takes note of a segment that passes, in which nothing was found that rules look for if it `is_bare`; gives whether it is one that could not be
    /// followed.
    #[inline(always)]
    pub fn take<P: PacketBytes>(&mut self, segment: &Segment, is_bare: bool, packet: &P) -> bool {
        let is_as_numbered = self.next == segment.sequence;
        let is_other = self.tag == segment.tag && !is_as_numbered && !segment.is_first;
        let (is_next, new) = self.next::<P>(segment);
        if is_other && !is_next && (self.has(segment) || self.is_held != 0) {
            return true;
        }
        let segment = new;
        // VERIFIER: all ways go on as one, here and below.
        let is_other = P::forget(is_other.into());
        let is_next = P::forget(is_next.into()) & 1;
        let known = u32::from(self.len).wrapping_mul(is_next) & LEN_BITS;
        let len = P::forget(at_most(segment.len)) & LEN_BITS;
        let room = (CARRIED_MAX as u32).wrapping_sub(len);
        let kept = P::forget(if known < room { known } else { room });
        let is_all = u32::from(known.wrapping_add(segment.len) <= CARRIED_MAX as u32);
        let is_whole = is_all & (u32::from(self.is_whole) | is_next ^ 1);
        let was_bare = u32::from(self.is_bare) | u32::from(kept == 0);
        // From the beginning on, what is looked for may stand at places of its own.
        let is_bare = P::forget(is_bare.into()) & P::forget(was_bare) & (is_whole ^ 1);
        self.tag = segment.tag;
        self.next = segment.sequence.wrapping_add(segment.takes);
        // It came whole, or the connection is another one.
        let lacks = self.held.wrapping_sub(self.next);
        let is_awaited = u32::from(lacks.wrapping_sub(1) < AGAIN_MAX) & is_next;
        self.is_held &= P::forget(is_awaited) as u8;
        self.len = kept.wrapping_add(len) as u16;
        self.is_whole = is_whole as u8;
        self.is_bare = is_bare as u8;
        self.drop_first::<P>(P::forget(known.wrapping_sub(kept)), kept);
        let from = segment.start.wrapping_add(segment.len.wrapping_sub(len));
        if !copy(from, len, kept, packet, &mut self.tail) {
            // What is not here whole is followed by nothing.
            self.tag = 0;
            return true;
        }
        is_other != 0
    }

    /// Keeps `kept` bytes behind the first `dropped` ones.
    #[inline(always)]
    fn drop_first<P: PacketBytes>(&mut self, dropped: u32, kept: u32) {
        if dropped == 0 {
            return;
        }
        for number in 0..WORDS {
            let at = number.wrapping_mul(8);
            if at >= P::forget(kept) as usize {
                break;
            }
            let from = P::forget(dropped & LEN_BITS) as usize & LEN_BITS as usize;
            let word = P::load(&self.tail, from.wrapping_add(at));
            if let Some(place) = self.tail.get_mut(number) {
                *place = word.to_le();
            }
        }
    }
}

/// How much of so many bytes is kept.
#[inline(always)]
fn at_most(len: u32) -> u32 {
    if len < CARRIED_MAX as u32 {
        len
    } else {
        CARRIED_MAX as u32
    }
}

/// Copies `len` bytes of a packet, at most [`CARRIED_MAX`], which has a header before them, to the place `to` in `memory`; gives whether all
/// were there.
#[inline(always)]
fn copy<P: PacketBytes, const N: usize>(
    from: u32,
    len: u32,
    to: u32,
    packet: &P,
    memory: &mut [u64; N],
) -> bool {
    // VERIFIER: it follows no pointer that it knows no bound of.
    if from > MAX_OFFSET as u32 {
        return false;
    }
    let from = P::forget(from) & MAX_OFFSET as u32;
    let blocks = P::forget(len >> BLOCK.trailing_zeros());
    for block in 0..CARRIED_MAX / BLOCK {
        if block >= P::forget(blocks) as usize {
            break;
        }
        let at = (block as u32).wrapping_mul(BLOCK as u32);
        let Some([a, b, c, d]) = packet.block(from.wrapping_add(at) as usize) else {
            return false;
        };
        let place = P::forget(to.wrapping_add(at)) as usize & (TEXT_MAX - 1);
        // One check for all four.
        if place.wrapping_add(BLOCK) > const { N * 8 } {
            return false;
        }
        P::store(memory, place, a.0);
        P::store(memory, place.wrapping_add(8), b.0);
        P::store(memory, place.wrapping_add(16), c.0);
        P::store(memory, place.wrapping_add(24), d.0);
    }
    let rest = len & !(BLOCK as u32).wrapping_sub(1);
    let mut missing = 0;
    for word in 0..BLOCK as u32 / 8 {
        let at = P::forget(rest.wrapping_add(word.wrapping_mul(8)));
        if at >= P::forget(len) {
            break;
        }
        // Of the last one, which may not be whole, there is a word that ends with it.
        let beyond = not_negative(at.wrapping_add(8).wrapping_sub(len)) & 7;
        let found = packet.word(from.wrapping_add(at).wrapping_sub(beyond) as usize);
        missing = P::forget(missing | found.missing as u32);
        let [word] = found.words;
        let place = P::forget(to.wrapping_add(at)) as usize & (TEXT_MAX - 1);
        P::store(memory, place, word.0.wrapping_shr(beyond.wrapping_mul(8)));
    }
    missing == 0
}
