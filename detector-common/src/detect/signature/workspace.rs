//! Where a packet is taken apart for the rules: one record for each CPU.

use bytemuck::{Pod, Zeroable};

use super::{
    Search,
    carry::CARRIED_MAX,
    held::HELD_MAX,
    partial::PARTIALS_MAX,
    request::Request,
    table::{BUFFERS, FIELDS, Field, VERSION},
    uri::Decoder,
};
use crate::{packet::PacketBytes, verdict::Decision};

/// The bytes that one look of the filter takes in.
pub const BLOCK: usize = 32;
/// The bits of a place that say where in its block it is.
pub(super) const IN_BLOCK: u32 = BLOCK as u32 - 1;
/// The most blocks of a payload.
pub const BLOCKS_MAX: usize = 1 << 7;
/// The most bytes of a payload that are looked at.
pub const PAYLOAD_MAX: usize = BLOCK * BLOCKS_MAX;
/// Where the decoded targets of requests begin, behind the payload. Decoded, none is longer than it was.
pub const DECODED: u32 = PAYLOAD_MAX as u32;
/// The bytes of all texts.
pub const TEXT_MAX: usize = 2 * PAYLOAD_MAX;
/// Where what came before a segment begins, with the segment's beginning behind it: behind the decoded targets.
pub const JOINED: u32 = (TEXT_MAX - 2 * CARRIED_MAX) as u32;
/// Their words.
const WORDS: usize = TEXT_MAX / 8;
/// The most requests of a payload.
pub const REQUESTS_MAX: usize = 1 << 3;
/// The most patterns that are followed up in one packet.
pub const CANDIDATES_MAX: usize = 1 << 6;
/// How many of them are remembered, so that none is followed up twice.
const SEEN: usize = 1 << 11;
/// The most patterns of a rule, as far as their places are kept.
pub const SLOTS: usize = 1 << 4;
/// The most steps of searching that one packet is given: a step looks at eight bytes.
pub const BUDGET: u32 = 4096;
/// The most looks at grams that one packet is given besides the first of each window: a gram of a bucket is one, and so is a pattern whose ends
/// stand. They are not taken from the searches, so that what only looks like patterns keeps no rule from being asked.
pub const LOOKS: u32 = 4096;
/// The most steps of decoding that one packet is given: a step is a byte that is written in some other way, or up to eight that are not.
pub const DECODINGS: u32 = 512;

/// The number of the next packet lies so much above that of the one before.
pub(super) const EPOCH: u64 = 1 << 24;

/// A pattern that stands in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Candidate {
    /// Its number.
    pub pattern: u16,
    /// Where it stands first, in bytes from the start of the text memory.
    pub place: u16,
    /// 1 if it stands anywhere where not all of it came with a segment before.
    pub is_new: u32,
}

/// A part of the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Extent {
    /// Its first byte.
    pub begin: u32,
    /// Behind its last one.
    pub end: u32,
}

/// What is known of a packet while rules are asked.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Workspace {
    /// By [`super::table::Field`].
    pub fields: [u32; FIELDS],
    /// The source and the destination, as numbers in network order, the upper half first.
    pub addresses: [[u64; 2]; 2],
    /// Where what a slot stands for ends.
    pub ends: [u32; SLOTS],
    /// Where its search is taken up.
    pub nexts: [u32; SLOTS],
    /// What is looked for in the packet, as [`Search::to_word`] has it.
    search: u64,
    /// What became of it so far, as [`Decision::to_word`] has it.
    so_far: u64,
    /// The number of the packet, in the upper 40 bits.
    pub epoch: u64,
    /// By the lower bits of a pattern: the packet in which it was followed up last, the pattern (16 bits), and its place among the
    /// candidates (8).
    pub seen: [u64; SEEN],
    /// The blocks in which the filter saw something.
    pub blocks: [u32; BLOCKS_MAX],
    /// How many there are.
    pub blocks_len: u32,
    /// How many patterns are followed up.
    pub candidates_len: u32,
    /// They.
    pub candidates: [Candidate; CANDIDATES_MAX],
    /// The steps that are left.
    pub budget: u32,
    /// The looks that are left.
    pub looks: u32,
    /// The steps of decoding that are left.
    pub decodings: u32,
    /// Where the pattern stands first by which the next rules were found.
    pub hint: u32,
    /// How much of the payload is here, in bytes.
    pub payload_len: u32,
    /// 1 if something was not followed up.
    pub is_cut_short: u32,
    /// The first row that holds and is not awaited; [`u32::MAX`] if there is none yet.
    pub best: u32,
    /// The first row that was awaited and matches; [`u32::MAX`] if there is none yet.
    pub reached: u32,
    /// 1 if the rule that is asked has asked for what may only stand where no more of a buffer is here.
    pub is_unsure: u32,
    /// 1 if nothing is told of what was found.
    pub is_untold: u32,
    /// The first row that was awaited, matches, and is only counted; [`u32::MAX`] if there is none yet.
    pub silent: u32,
    /// 1 if bits of another connection were forgotten for this packet's, see [`super::flowbits`].
    pub displaced: u32,
    /// How many rows hold that may not match or be told, see [`super::held`].
    pub held_len: u32,
    /// They.
    pub held: [u16; HELD_MAX],
    /// How many rules hold of which a part is decided elsewhere, see [`super::partial`].
    pub partials_len: u32,
    /// Where they are counted.
    pub partials: [u16; PARTIALS_MAX],
    /// The last place where [`VERSION`] stands, for a line of a request ends with it; 0 if there is none.
    pub last_version: u32,
    /// How many requests there are.
    pub requests_len: u32,
    /// They.
    pub requests: [Request; REQUESTS_MAX],
    /// How many of them, and of the patterns that are followed up, stand in the packet by itself; the others in the joined text.
    pub requests_of_payload: u32,
    /// See before.
    pub candidates_of_payload: u32,
    /// How much of their decoded targets is here, in bytes.
    pub decoded_len: u32,
    /// How much of it was looked through before.
    pub decoded_before: u32,
    /// Where the joined text begins: at [`JOINED`], or where it is no more than the seam, before that.
    pub joined_begin: u32,
    /// 1 if it is no more than the seam.
    pub is_seam: u32,
    /// Where the joined text ends; 0 if nothing is known to have come right before the packet.
    pub joined_end: u32,
    /// 1 if that is all that came.
    pub is_joined_whole: u32,
    /// 1 if the segment has more than is there.
    pub joined_lacks_rest: u32,
    /// Where the segment begins in it.
    pub seam: u32,
    /// Behind this place in the text is what is new; 0 while it is about the packet by itself.
    pub junction: u32,
    /// Which rules are asked: those of this [`Joins`] and above.
    pub least_joins: u32,
    /// Which may be asked about the text.
    pub least_joins_of_text: u32,
    /// 1 if what is asked next is asked about a request, or a packet, that is new as such.
    pub is_request_new: u32,
    /// 1 if what the next rule is asked about is new in any case.
    pub starts_new: u32,
    /// 1 if anything that the rule found is.
    pub is_new: u32,
    /// 1 while rules are asked about one of them, and 0 while they are asked about the packet alone.
    pub is_of_request: u32,
    /// 1 if the payload has more than is here.
    pub lacks_rest: u32,
    /// The part of the text that lines are read from.
    pub lines: Extent,
    /// 1 if it goes on where no more is here.
    pub are_lines_open: u32,
    /// A bit by [`Buffer`] of each that goes on where no more is here: of what is not found there nothing is known.
    pub open: u32,
    /// By [`Buffer`]: what is meant by it now.
    pub buffers: [Extent; BUFFERS],
    /// The part of the text that is being looked through.
    pub looked_at: Extent,
    /// Where places count from that patterns may stand at.
    pub base: u32,
    /// The method of the line that is being read.
    pub method: Extent,
    /// The target that is being decoded.
    pub decoder: Decoder,
    /// The payload in words, the first byte lowest; behind it, from [`DECODED`] on, decoded targets; from [`JOINED`] on what came before
    /// with the beginning of the payload; and room to read a block behind that.
    pub text: [u64; WORDS + BLOCK / 8],
}

impl Workspace {
    /// The eight bytes of the text from `at` on, the first lowest.
    #[inline(always)]
    #[must_use]
    pub fn word<P: PacketBytes>(&self, at: u32) -> u64 {
        P::load(&self.text, at as usize & (TEXT_MAX - 1))
    }

    /// The words of the block of the text from `at` on.
    ///
    /// VERIFIER: one mask for all of them.
    #[inline(always)]
    #[must_use]
    pub fn block<P: PacketBytes>(&self, at: u32) -> [u64; BLOCK / 8] {
        let at = at as usize & (TEXT_MAX - 1);
        [0, 8, 16, 24].map(|distance| P::load(&self.text, at.wrapping_add(distance)))
    }

    /// Writes eight bytes over those of the text from `at` on, the first lowest.
    #[inline(always)]
    pub fn set_word<P: PacketBytes>(&mut self, at: u32, word: u64) {
        P::store(&mut self.text, at as usize & (TEXT_MAX - 1), word);
    }

    /// What is meant by the buffer of this number, see [`Buffer`].
    #[inline(always)]
    #[must_use]
    pub fn buffer(&self, number: u8) -> Extent {
        let buffer = self.buffers.get(usize::from(number) & (BUFFERS - 1));
        buffer.copied().unwrap_or_default()
    }

    /// What came before the segment, with its beginning.
    #[inline(always)]
    pub(super) fn joined(&self) -> Extent {
        Extent {
            begin: JOINED,
            end: self.joined_end,
        }
    }

    /// Keeps what is to be looked for in a packet, and what became of it so far, for who goes on with it.
    #[inline(always)]
    pub fn hand_over(&mut self, search: Search, so_far: Decision) {
        self.search = search.to_word();
        self.so_far = so_far.to_word();
    }

    /// What was handed over.
    #[inline(always)]
    #[must_use]
    pub fn handed_over(&self) -> (Search, Decision) {
        let search = Search::from_word(self.search);
        (search, Decision::from_word(self.so_far))
    }

    /// A field of the packet's headers.
    #[inline(always)]
    #[must_use]
    pub fn field(&self, field: Field) -> u32 {
        let field = self.fields.get(field as usize & (FIELDS - 1));
        field.copied().unwrap_or_default()
    }

    /// Forgets the packet before.
    #[inline(always)]
    pub fn begin(&mut self) {
        self.epoch = self.epoch.wrapping_add(EPOCH);
        self.blocks_len = 0;
        self.candidates_len = 0;
        self.payload_len = 0;
        self.lacks_rest = 0;
        self.budget = BUDGET;
        self.looks = LOOKS;
        self.decodings = DECODINGS;
        self.is_cut_short = 0;
        self.best = u32::MAX;
        self.reached = u32::MAX;
        self.is_untold = 0;
        self.silent = u32::MAX;
        self.displaced = 0;
        self.held_len = 0;
        self.partials_len = 0;
        self.last_version = 0;
        self.requests_len = 0;
        self.decoded_len = 0;
        self.decoded_before = 0;
        self.joined_end = 0;
        self.junction = 0;
        self.base = 0;
    }

    /// Follows up a pattern that stands at `place` and ends before `end`. Twice is no harm.
    #[inline(always)]
    pub fn add_candidate(&mut self, pattern: u16, place: u16, end: u32) {
        if pattern == VERSION {
            if self.last_version < place.into() {
                self.last_version = place.into();
            }
            return;
        }
        let word = self.epoch | u64::from(pattern) << 8;
        let Some(seen) = self.seen.get_mut(usize::from(pattern) & (SEEN - 1)) else {
            return;
        };
        let known = *seen ^ word;
        let index = if known < u64::from(self.candidates_len) {
            known as u32
        } else {
            self.candidates_len
        };
        let Some(candidate) = self.candidates.get_mut(index as usize) else {
            self.is_cut_short = 1;
            return;
        };
        let is_new = u32::from(end > self.junction);
        if index == self.candidates_len {
            *seen = word | u64::from(index);
            *candidate = Candidate {
                pattern,
                place,
                is_new,
            };
            self.candidates_len = index.wrapping_add(1);
            return;
        }
        candidate.is_new |= is_new;
        if place < candidate.place {
            candidate.place = place;
        }
    }

    /// The candidate of this index.
    #[inline(always)]
    #[must_use]
    pub fn candidate(&self, index: u32) -> Candidate {
        let index = index as usize & (CANDIDATES_MAX - 1);
        self.candidates.get(index).copied().unwrap_or_default()
    }

    /// Keeps a word of the payload; `at` is a multiple of eight.
    #[inline(always)]
    pub fn keep(&mut self, at: usize, word: u64) {
        if let Some(place) = self.text.get_mut(at >> 3 & (PAYLOAD_MAX / 8 - 1)) {
            *place = word.to_le();
        }
    }
}
