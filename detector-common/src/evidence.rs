//! What the kernel hands to the agent of a packet for which a rule holds as far as the kernel asks it: which rules, and the beginning of the frame.
//!
//! Nothing depends on its arrival but that the rule is told of: no verdict, and no other rule.

use bytemuck::{Pod, Zeroable};

use crate::{
    detect::signature::partial::PARTIALS_MAX,
    packet::PacketBytes,
    reason::Reason,
    verdict::{Decision, Verdict},
};

/// The version of [`EvidenceHead`]. A reader refuses any other.
pub const EVIDENCE_VERSION: u16 = 1;
/// The most bytes of a frame that are handed over; a power of two.
pub const EVIDENCE_MAX: usize = 1 << 11;
/// The bytes that are copied at once.
const BLOCK: usize = 32;

/// A CPU hands over so many packets in one unit of time.
const SENT_MAX: u32 = 64;
/// A unit is 2²⁴ nanoseconds, about 17 milliseconds.
const UNIT_BITS: u32 = 24;

/// What stands before the frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct EvidenceHead {
    version: u16,
    reason: u8,
    verdict: u8,
    /// The length of the frame on the wire, in bytes.
    pub wire_len: u32,
    /// When it came, in nanoseconds of the runtime's clock.
    pub at_ns: u64,
    /// Where the rules are counted that hold as far as they were asked.
    pub slots: [u16; PARTIALS_MAX],
    /// How many there are.
    pub slots_len: u8,
    /// The slot of the interface that it came in by.
    pub interface: u8,
    /// How many bytes of the frame follow.
    pub len: u16,
}

impl EvidenceHead {
    /// The head of the evidence of a packet of `wire_len` bytes, of which this became; of its frame, nothing follows yet.
    #[inline(always)]
    #[must_use]
    pub fn new(decision: Decision, wire_len: u32, at_ns: u64, interface: u8) -> Self {
        Self {
            version: EVIDENCE_VERSION,
            reason: decision.reason as u8,
            verdict: decision.verdict.number(),
            wire_len,
            at_ns,
            interface,
            slots: [0; PARTIALS_MAX],
            slots_len: 0,
            len: 0,
        }
    }

    /// The same for these rules, of whose frame so many bytes follow.
    #[inline(always)]
    #[must_use]
    pub fn with(self, slots: [u16; PARTIALS_MAX], slots_len: u32, len: usize) -> Self {
        Self {
            slots,
            slots_len: slots_len as u8,
            len: len as u16,
            ..self
        }
    }

    /// What became of the packet.
    #[must_use]
    pub fn decision(&self) -> Decision {
        Decision {
            reason: Reason::from_number(self.reason),
            verdict: Verdict::from_number(self.verdict),
        }
    }

    /// The rules that hold as far as they were asked.
    #[must_use]
    pub fn slots(&self) -> &[u16] {
        let slots = self.slots.get(..usize::from(self.slots_len));
        slots.unwrap_or(&self.slots)
    }

    /// Takes a record of the ring buffer apart: its head, and the beginning of the frame; `None` if it is not one of this version.
    #[must_use]
    pub fn split(record: &[u8]) -> Option<(Self, &[u8])> {
        let (head, frame) = record.split_at_checked(size_of::<Self>())?;
        let head: Self = bytemuck::try_pod_read_unaligned(head).ok()?;
        let is_whole = head.version == EVIDENCE_VERSION
            && (1..=PARTIALS_MAX).contains(&usize::from(head.slots_len))
            && usize::from(head.reason) < Reason::ALL.len()
            && u32::from(head.len) <= head.wire_len;
        let frame = frame.get(..usize::from(head.len))?;
        is_whole.then_some((head, frame))
    }
}

/// A record of the ring buffer: as much of it as there is of the frame.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Evidence {
    /// What stands before the frame.
    pub head: EvidenceHead,
    /// The beginning of the frame in words, the first byte lowest, and room to write a block behind it, which is never handed over.
    pub frame: [u64; (EVIDENCE_MAX + BLOCK) / 8],
}

/// Where a CPU puts a record together.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Desk {
    /// The record.
    pub evidence: Evidence,
    /// The unit of time in which the last one was.
    unit: u32,
    /// How many there were in it.
    sent: u32,
}

impl Desk {
    /// Whether one more may be handed over now.
    #[inline(always)]
    pub fn has_turn(&mut self, now_ns: u64) -> bool {
        let unit = (now_ns >> UNIT_BITS) as u32;
        if unit != self.unit {
            self.unit = unit;
            self.sent = 0;
        }
        self.sent = self.sent.saturating_add(1);
        self.sent <= SENT_MAX
    }

    /// Copies the beginning of a packet, of which `here` bytes can be read, but for what is behind its last whole block; gives how many bytes it has with
    /// that. Of a frame that is shorter than any with a payload there is none.
    #[inline(always)]
    pub fn copy_blocks<P: PacketBytes>(&mut self, packet: &P, here: usize) -> usize {
        let len = if here < EVIDENCE_MAX {
            here
        } else {
            EVIDENCE_MAX
        };
        if len < BLOCK {
            return 0;
        }
        // VERIFIER: not known, so that the ways out of the loop go on as one.
        let blocks = P::forget((len / BLOCK) as u32) as usize;
        for block in 0..EVIDENCE_MAX / BLOCK {
            if block >= blocks || !self.copy_block(packet, block.wrapping_mul(BLOCK)) {
                break;
            }
        }
        len
    }

    /// Copies the last bytes of a beginning of `len` bytes, with some of those before once more.
    #[inline(always)]
    pub fn copy_end<P: PacketBytes>(&mut self, packet: &P, len: usize) -> bool {
        self.copy_block(packet, len.wrapping_sub(BLOCK) & (EVIDENCE_MAX - 1))
    }

    #[inline(always)]
    fn copy_block<P: PacketBytes>(&mut self, packet: &P, at: usize) -> bool {
        let Some([a, b, c, d]) = packet.block(at) else {
            return false;
        };
        let frame = &mut self.evidence.frame;
        P::store(frame, at, a.0);
        P::store(frame, at.wrapping_add(8), b.0);
        P::store(frame, at.wrapping_add(16), c.0);
        P::store(frame, at.wrapping_add(24), d.0);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Frame;

    /// The record of a frame of so many bytes, which count up, and how long it is.
    fn record(len: usize) -> (Evidence, usize) {
        let mut bytes = [0; 4000];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = (at * 7 % 251) as u8;
        }
        let packet = Frame::whole(&bytes[..len]);
        let mut desk = Desk::zeroed();
        let copied = desk.copy_blocks(&packet, len);
        assert_eq!(desk.copy_end(&packet, copied), len >= BLOCK);
        let here = &bytemuck::bytes_of(&desk.evidence.frame)[..copied];
        assert_eq!(here, &bytes[..copied]);
        let head = EvidenceHead::new(Decision::pass(Reason::Clean), len as u32, 7, 3);
        desk.evidence.head = head.with([0; PARTIALS_MAX], 1, copied);
        (desk.evidence, size_of::<EvidenceHead>() + copied)
    }

    #[test]
    fn a_frame_is_copied_to_its_end_or_as_far_as_there_is_room() {
        for (len, copied) in [
            (31, 0),
            (32, 32),
            (60, 60),
            (95, 95),
            (2047, 2047),
            (2048, 2048),
            (4000, 2048),
        ] {
            let (record, end) = record(len);
            let (head, frame) = EvidenceHead::split(&bytemuck::bytes_of(&record)[..end]).unwrap();
            assert_eq!((frame.len(), head.wire_len as usize), (copied, len));
            assert_eq!((head.slots(), head.interface, head.at_ns), (&[0][..], 3, 7));
        }
    }

    #[test]
    fn a_record_that_is_too_short_or_of_another_version_is_refused() {
        let (record, end) = record(60);
        let bytes = &bytemuck::bytes_of(&record)[..end];
        assert!(EvidenceHead::split(&bytes[..end - 1]).is_none());
        assert!(EvidenceHead::split(&bytes[..10]).is_none());
        for (at, value) in [(0, 9), (2, 255), (36, 0), (36, 99)] {
            let mut changed = record;
            bytemuck::bytes_of_mut(&mut changed)[at] = value;
            let changed = &bytemuck::bytes_of(&changed)[..end];
            assert!(EvidenceHead::split(changed).is_none(), "byte {at}");
        }
    }

    #[test]
    fn a_cpu_has_so_many_turns_in_a_unit_of_time() {
        let mut desk = Desk::zeroed();
        let mut turns = |now_ns| (0..100).filter(|_| desk.has_turn(now_ns)).count();
        assert_eq!((turns(1 << 24), turns(2 << 24)), (64, 64));
    }
}
