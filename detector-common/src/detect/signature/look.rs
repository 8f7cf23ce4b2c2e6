//! What the prefilter looks at next: the payload, where it meets what came before it, both together, and decoded targets.

use super::{
    prefilter::Text,
    table::Group,
    workspace::{DECODED, EPOCH, Extent, IN_BLOCK, JOINED, Workspace},
};

impl Workspace {
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
}
