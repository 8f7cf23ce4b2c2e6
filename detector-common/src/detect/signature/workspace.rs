//! Where a packet is taken apart for the rules: one record for each CPU.

use bytemuck::{Pod, Zeroable};

use super::{
    Search,
    carry::CARRIED_MAX,
    held::HELD_MAX,
    partial::PARTIALS_MAX,
    prefilter::Text,
    request::{Request, View},
    table::{BUFFERS, Buffer, FIELDS, Field, Group, Joins, Row, RuleTable, VERSION},
    uri::Decoder,
};
use crate::{packet::PacketBytes, verdict::Decision};

/// The bytes that one look of the filter takes in.
pub const BLOCK: usize = 32;
/// The bits of a place that say where in its block it is.
const IN_BLOCK: u32 = BLOCK as u32 - 1;
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
const EPOCH: u64 = 1 << 24;

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

/// The bits of [`Workspace::open`] of what is the target of a request.
const TARGETS: u32 = 1 << Buffer::Uri as u32 | 1 << Buffer::UriRaw as u32;

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
    fn joined(&self) -> Extent {
        Extent {
            begin: JOINED,
            end: self.joined_end,
        }
    }

    /// What is looked through next is the joined text; what was found so far stands in the packet by itself.
    #[inline(always)]
    pub fn enter_joined(&mut self) {
        // Blocks are looked at from their beginning on.
        self.decoded_len = self.decoded_len.wrapping_add(IN_BLOCK) & !IN_BLOCK;
        self.decoded_before = self.decoded_len;
        self.junction = self.seam;
        // A pattern is followed up once more, for it may stand at other places.
        self.epoch = self.epoch.wrapping_add(EPOCH);
    }

    /// All that the packet has by itself was found.
    #[inline(always)]
    pub fn end_payload(&mut self) {
        self.requests_of_payload = self.requests_len;
        self.candidates_of_payload = self.candidates_len;
    }

    /// What is looked through next is what was decoded since the last text.
    #[inline(always)]
    pub fn look_at_decoded(&mut self) {
        self.base = 0;
        self.looked_at = Extent {
            begin: DECODED.wrapping_add(self.decoded_before),
            end: DECODED.wrapping_add(self.decoded_len),
        };
    }

    /// What is looked through next is where the packet meets what came before.
    #[inline(always)]
    pub fn look_at_seam(&mut self, group: Group) {
        self.look_at_joined(group);
        self.looked_at.begin = self.joined_begin;
    }

    /// Whether anything stands there. If not, there is nothing to be asked about both together; if so, all of both is looked at instead.
    #[inline(always)]
    #[must_use]
    pub fn leave_seam(&mut self) -> bool {
        let stands = self.candidates_len != self.candidates_of_payload || self.last_version != 0;
        self.candidates_len = self.candidates_of_payload;
        self.joined_end = 0;
        stands
    }

    /// Whether nothing stands in the packet that rules look for, and nothing was left undecided.
    #[inline(always)]
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.candidates_len | self.last_version | self.is_cut_short == 0
    }

    /// What is looked through next is what came before, with as much of the segment's beginning as a pattern may reach into. Places count from its
    /// beginning.
    #[inline(always)]
    pub fn look_at_joined(&mut self, group: Group) {
        self.base = JOINED;
        self.looked_at = self.joined();
        let end = self.seam.wrapping_add(group.longest.into());
        // What stands behind that is found in the packet by itself; of a request line, and of a place from the beginning, all may be needed.
        if group.requests == 0 && self.is_joined_whole == 0 && end < self.joined_end {
            self.looked_at.end = end;
        }
    }

    /// Lines are read next from what this text is.
    #[inline(always)]
    pub fn read_lines_of(&mut self, text: Text) {
        let (lines, is_open) = if text == Text::Joined {
            (self.joined(), self.joined_lacks_rest)
        } else {
            let payload = Extent {
                begin: 0,
                end: self.payload_len,
            };
            (payload, self.lacks_rest)
        };
        self.lines = lines;
        self.are_lines_open = is_open;
    }

    /// Whether the first line of the text begins where its lines are read from.
    #[inline(always)]
    #[must_use]
    pub fn begins_with_line(&self) -> bool {
        self.junction == 0 || self.is_joined_whole != 0
    }

    /// What is asked next is asked about this text, and about none of its requests. Gives whether there is such a text.
    #[inline(always)]
    pub fn ask_about(&mut self, text: Text) -> bool {
        let is_joined = text == Text::Joined;
        self.is_of_request = 0;
        self.open = 0;
        self.is_request_new = u32::from(!is_joined);
        if is_joined {
            self.junction = self.seam;
            self.least_joins_of_text = if self.is_joined_whole != 0 {
                Joins::Whole as u32
            } else {
                Joins::Always as u32
            };
            self.set_buffer(Buffer::Payload, JOINED, self.joined_end);
        } else {
            self.junction = 0;
            self.least_joins_of_text = Joins::Never as u32;
            self.least_joins = Joins::Never as u32;
            self.set_buffer(Buffer::Payload, 0, self.payload_len);
        }
        !is_joined || self.joined_end != 0
    }

    /// How many patterns are followed up in the text that is asked about.
    #[inline(always)]
    #[must_use]
    pub fn candidates_of_text(&self) -> u32 {
        if self.junction == 0 {
            self.candidates_of_payload
        } else {
            self.candidates_len
        }
    }

    /// The rules that are asked next are those of the pattern of the candidate of this index; gives the pattern.
    #[inline(always)]
    pub fn enter_candidate(&mut self, index: u32) -> u16 {
        let candidate = self.candidate(index);
        self.starts_new = self.is_request_new | candidate.is_new;
        if self.junction == 0 {
            self.hint = candidate.place.into();
        } else if index < self.candidates_of_payload {
            // It stands in the packet, and perhaps not where a place from the beginning says.
            self.least_joins = Joins::Always as u32;
        } else {
            self.least_joins = self.least_joins_of_text;
        }
        candidate.pattern
    }

    /// The rules that are asked next are those that no pattern speaks for.
    #[inline(always)]
    pub fn leave_candidates(&mut self) {
        self.hint = 0;
        self.starts_new = self.is_request_new;
        self.least_joins = self.least_joins_of_text;
    }

    /// What is asked next is asked about the request of this index; not if nothing of it is to be decoded and this view of it is.
    #[inline(always)]
    pub fn enter_request(&mut self, index: u32, view: View) -> bool {
        let request = self.requests.get(index as usize & (REQUESTS_MAX - 1));
        let request = request.copied().unwrap_or_default();
        let uri = match view {
            View::Decoded => request.decoded,
            View::AsItIs => request.target,
        };
        if uri == [0; 2] {
            return false;
        }
        self.is_of_request = 1;
        let [headers, _] = request.headers;
        // Else its line came before.
        self.is_request_new = u32::from(u32::from(headers) > self.junction);
        self.open = u32::from(request.is_target_open).wrapping_mul(TARGETS)
            | u32::from(request.are_headers_open) << Buffer::Headers as u32;
        for (buffer, [begin, end]) in [
            (Buffer::Uri, uri),
            (Buffer::UriRaw, request.target),
            (Buffer::Method, request.method),
            (Buffer::Headers, request.headers),
        ] {
            self.set_buffer(buffer, begin.into(), end.into());
        }
        true
    }

    /// 1 if the buffer of this number goes on where no more is here.
    #[inline(always)]
    #[must_use]
    pub fn is_open(&self, buffer: u8) -> u32 {
        let bit = u32::from(buffer) & const { BUFFERS as u32 - 1 };
        self.open >> bit & 1
    }

    #[inline(always)]
    fn set_buffer(&mut self, buffer: Buffer, begin: u32, end: u32) {
        if let Some(place) = self.buffers.get_mut(buffer as usize) {
            *place = Extent { begin, end };
        }
    }

    /// Where a buffer ends, of which perhaps not all is here.
    #[inline(always)]
    #[must_use]
    pub fn whole_end(&self, buffer: u8, here: Extent) -> u32 {
        if buffer == Buffer::Payload as u8 {
            self.field(Field::PayloadLen)
        } else {
            here.end
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

    /// The row that counts; [`u32::MAX`] if there is none.
    #[inline(always)]
    #[must_use]
    pub fn finding(&self) -> u32 {
        let first = if self.reached < self.best {
            self.reached
        } else {
            self.best
        };
        if first == u32::MAX {
            self.silent
        } else {
            first
        }
    }

    /// The first of the rows that hold, from this one on; [`u32::MAX`] if there is none.
    #[inline(always)]
    #[must_use]
    pub fn next_held<P: PacketBytes>(&self, from: u32) -> u32 {
        let mut next = u32::MAX;
        for (index, held) in (0..).zip(&self.held) {
            // VERIFIER: all ways to a row go on as one.
            next = P::forget(next);
            if index >= P::forget(self.held_len) {
                break;
            }
            let held = P::forget((*held).into());
            if held >= from && held < next {
                next = held;
            }
        }
        next
    }

    /// Notes a row that holds and is awaited: of the rows of a rule the first. So with the rule of one that is partial.
    #[inline(always)]
    pub fn hold(&mut self, number: u32, table: &RuleTable) {
        let Row { slot, flags, .. } = table.row(number);
        if flags & Row::PARTIAL != 0 {
            self.hold_partial(slot);
            return;
        }
        let mut index = 0_u32;
        for held in &self.held {
            if index >= self.held_len || table.row(u32::from(*held)).slot == slot {
                break;
            }
            index = index.wrapping_add(1);
        }
        let Some(place) = self.held.get_mut(index as usize) else {
            self.is_cut_short = 1;
            return;
        };
        let is_new = index >= self.held_len;
        if is_new || number < u32::from(*place) {
            *place = number as u16;
        }
        self.held_len = self.held_len.wrapping_add(is_new.into());
    }

    /// Notes a rule that holds as far as it is asked here. Whoever decides the rest has one packet: of a joined text that is left undecided.
    #[inline(always)]
    fn hold_partial(&mut self, slot: u16) {
        if self.junction != 0 {
            self.is_cut_short = 1;
            return;
        }
        let mut index = 0_u32;
        for known in &self.partials {
            if index >= self.partials_len || *known == slot {
                break;
            }
            index = index.wrapping_add(1);
        }
        let Some(place) = self.partials.get_mut(index as usize) else {
            self.is_cut_short = 1;
            return;
        };
        *place = slot;
        if index >= self.partials_len {
            self.partials_len = index.wrapping_add(1);
        }
    }

    /// The rules that hold as far as they are asked here: where they are counted.
    #[must_use]
    pub fn partials(&self) -> &[u16] {
        let here = self.partials.get(..self.partials_len as usize);
        here.unwrap_or(&self.partials)
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
