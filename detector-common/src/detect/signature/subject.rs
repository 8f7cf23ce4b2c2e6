//! What rules are asked about next: the packet by itself, or together with what came before it, and in either each of its requests.

use super::{
    prefilter::Text,
    request::View,
    table::{BUFFERS, Buffer, Field, Joins},
    workspace::{Extent, JOINED, REQUESTS_MAX, Workspace},
};

/// The bits of [`Workspace::open`] of what is the target of a request.
const TARGETS: u32 = 1 << Buffer::Uri as u32 | 1 << Buffer::UriRaw as u32;

impl Workspace {
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
}
