//! Requests of HTTP in a payload: which of its lines are request lines, what they ask for, and where their headers end.
//!
//! A request line is a method, a target and a version (RFC 9112 §3), between which spaces, tabs and carriage returns stand as they like. Such lines
//! are looked for wherever they stand: what the filter sees of versions says how far. Only the first line of a payload may lack the version,
//! as in HTTP/0.9 or where the segment ends before the line does.

use bytemuck::{Pod, Zeroable};

use super::{
    bytes::{all, first, zeros},
    prefilter::{Prefilter, Text},
    table::PatternWord,
    uri::{self, Decoder},
    workspace::{DECODED, Extent, JOINED, REQUESTS_MAX, Workspace},
};
use crate::packet::PacketBytes;

/// The longest method, in bytes.
const METHOD_MAX: u32 = 32;
/// The most lines that one packet is looked through for.
const LINES_MAX: usize = 128;
/// Words of a line in one call. VERIFIER: each is followed, so a longer line is taken up again; so with the next.
const LINE_WORDS: u32 = 48;
/// Bytes of a line's beginning in one call.
const HEAD_BYTES: u32 = 16;
/// Spaces at its end.
const SPACES: u32 = 48;
/// Calls for one line, that suffice for each line: all of the payload.
const LINE_CALLS: u32 = 11;
/// Calls for its beginning: what is spread further is not looked at, and counted.
const HEAD_CALLS: u32 = 24;
/// Calls for its target, that suffice for all steps that a packet is given.
const DECODE_CALLS: u32 = 129;
/// The most decoded bytes, so that what a call adds to them still has room.
const DECODED_MAX: u32 = JOINED - DECODED - uri::CALL_MAX;

/// `HTTP/1.` in either case, and any byte.
const VERSION: PatternWord = PatternWord {
    mask: 0x00ff_ffff_dfdf_dfdf,
    value: u64::from_le_bytes(*b"HTTP/1.\0"),
};

/// A request, as far as rules ask for it: where each part begins, and where it ends, in the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Request {
    /// The method.
    pub method: [u16; 2],
    /// The target.
    pub target: [u16; 2],
    /// The target, decoded; nothing if there is nothing to decode.
    pub decoded: [u16; 2],
    /// The headers, each line with its end.
    pub headers: [u16; 2],
    /// 1 if the target goes on where no more is here.
    pub is_target_open: u16,
    /// 1 if the headers do, or if their end was not found.
    pub are_headers_open: u16,
}

/// Which target of a request rules are asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The decoded one.
    Decoded,
    /// As it is written.
    AsItIs,
}

/// Where a walk along a line has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage(pub u32);

impl Stage {
    /// Before the method.
    pub const START: Self = Self(0);
    /// In it.
    pub const METHOD: Self = Self(1);
    /// Behind it.
    pub const GAP: Self = Self(2);
    /// At the target.
    pub const TARGET: Self = Self(3);
    /// Behind a line that has nothing but spaces.
    pub const BLANK: Self = Self(4);
    /// In a line that is no request line.
    pub const OTHER: Self = Self(5);
}

/// A place (32 bits) and what is to be said of it, as a word: the kernel gives such out of functions of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// In bytes from the start of the text.
    pub at: u32,
    /// What is to be said.
    pub note: u32,
}

impl Place {
    /// The place as a word.
    #[inline(always)]
    #[must_use]
    pub fn to_word(self) -> u64 {
        u64::from(self.at) | u64::from(self.note) << 32
    }

    /// The place that a word was made of.
    #[inline(always)]
    #[must_use]
    pub fn from_word(word: u64) -> Self {
        Self {
            at: word as u32,
            note: (word >> 32) as u32,
        }
    }
}

/// Bits of [`Place::note`] of the end of a line.
pub mod note {
    /// It ends here; else it goes on, and so does the search.
    pub const END: u32 = 1;
    /// Perhaps something is to be decoded.
    pub const ENCODED: u32 = 2;
}

#[inline(always)]
fn is_space(byte: u8) -> bool {
    byte == b' ' || byte == b'\t' || byte == b'\r'
}

/// Goes on along the beginning of a line, from a place in a stage.
#[inline(always)]
pub fn head<P: PacketBytes>(from: Place, workspace: &mut Workspace) -> Place {
    let Place {
        mut at,
        note: mut stage,
    } = from;
    let end = workspace.lines.end;
    for _ in 0..HEAD_BYTES {
        // VERIFIER: else it would follow each place in each stage.
        (at, stage) = (P::forget(at), P::forget(stage));
        if stage >= Stage::TARGET.0 {
            break;
        }
        let byte = workspace.word::<P>(at) as u8;
        let is_start = stage == Stage::START.0;
        if at >= end || byte == b'\n' {
            stage = if is_start {
                Stage::BLANK.0
            } else {
                Stage::OTHER.0
            };
            break;
        }
        if is_space(byte) {
            if stage == Stage::METHOD.0 {
                workspace.method.end = at;
                stage = Stage::GAP.0;
            }
        } else if stage == Stage::GAP.0 {
            stage = Stage::TARGET.0;
            break;
        } else {
            if is_start {
                workspace.method.begin = at;
                stage = Stage::METHOD.0;
            }
            let is_long = at.wrapping_sub(workspace.method.begin) >= METHOD_MAX;
            if is_long || byte == b':' || byte.wrapping_sub(0x21) > 0x7e - 0x21 {
                stage = Stage::OTHER.0;
            }
        }
        at = at.wrapping_add(1);
    }
    Place { at, note: stage }
}

/// Goes on to the end of the line, from a place in it.
#[inline(always)]
pub fn line_end<P: PacketBytes>(from: u32, workspace: &Workspace) -> Place {
    let end = workspace.lines.end;
    let mut at = from;
    let mut marks = 0;
    let mut note = 0;
    for _ in 0..LINE_WORDS {
        // VERIFIER: else it would follow each place.
        at = P::forget(at);
        if at >= end {
            at = end;
            note = note::END;
            break;
        }
        let word = workspace.word::<P>(at);
        marks |= uri::marks(word);
        let feeds = zeros(word ^ all(b'\n'));
        if feeds != 0 {
            let feed = at.wrapping_add(first(feeds));
            at = if feed < end { feed } else { end };
            note = note::END;
            break;
        }
        at = at.wrapping_add(8);
    }
    if marks != 0 {
        note |= note::ENCODED;
    }
    Place { at, note }
}

/// Where what ends before `end` ends without the spaces there, which begins at `begin` with something else; 0 if there are too many.
#[inline(always)]
pub fn trim<P: PacketBytes>(begin: u32, end: u32, workspace: &mut Workspace) -> u32 {
    let mut end = end;
    for _ in 0..SPACES {
        end = P::forget(end);
        let last = end.wrapping_sub(1);
        if end <= begin || !is_space(workspace.word::<P>(last) as u8) {
            return end;
        }
        end = last;
    }
    workspace.is_cut_short = 1;
    0
}

/// Notes the requests of the text that lines are [read from](Workspace::lines), as far as there are lines that may be request lines.
#[inline(always)]
pub fn read<F: Prefilter>(prefilter: &mut F) -> Option<()> {
    let workspace = prefilter.workspace()?;
    let mut line = Place {
        at: workspace.lines.begin,
        note: 1,
    };
    if !workspace.begins_with_line() {
        let end = prefilter.end_of_line(line.at);
        line = Place {
            at: end.at.wrapping_add(1),
            note: 0,
        };
    }
    for _ in 0..LINES_MAX {
        // VERIFIER: all ways to a line go on as one.
        line.at = F::Packet::forget(line.at);
        line.note = F::Packet::forget(line.note);
        let workspace = prefilter.workspace()?;
        let is_first = line.note != 0;
        if line.at >= workspace.lines.end || !is_first && line.at > workspace.last_version {
            return Some(());
        }
        line = prefilter.read_line(line);
    }
    prefilter.workspace()?.is_cut_short = 1;
    Some(())
}

/// Notes the request whose line this is, if it is one; its note is 1 if it is the first one that is not blank. Gives the next one.
#[inline(always)]
pub fn read_line<F: Prefilter>(line: Place, prefilter: &mut F) -> Option<Place> {
    let is_first = line.note != 0;
    let mut head = Place {
        at: line.at,
        note: Stage::START.0,
    };
    for _ in 0..HEAD_CALLS {
        if head.note >= Stage::TARGET.0 {
            break;
        }
        head = prefilter.head(head);
    }
    let workspace = prefilter.workspace()?;
    if head.note == Stage::BLANK.0 {
        return Some(Place {
            at: head.at.wrapping_add(1),
            note: line.note,
        });
    }
    if head.note < Stage::TARGET.0 {
        workspace.is_cut_short = 1;
    }
    let byte = workspace.word::<F::Packet>(head.at) as u8;
    let may_lack_version =
        is_first && head.note == Stage::TARGET.0 && (byte == b'/' || byte == b'\\' || byte == b'%');
    // Nothing comes that could be the end of a request line.
    if workspace.last_version <= head.at && !may_lack_version {
        return Some(Place {
            at: workspace.lines.end,
            note: 0,
        });
    }
    let end = prefilter.end_of_line(head.at);
    if head.note == Stage::TARGET.0 {
        let target = Extent {
            begin: head.at,
            end: end.at,
        };
        note_request(target, end.at, may_lack_version, end.note, prefilter)?;
    }
    Some(Place {
        at: end.at.wrapping_add(1),
        note: 0,
    })
}

/// Notes a request, if what begins with its target is as a request line has it.
#[inline(always)]
fn note_request<F: Prefilter>(
    rest: Extent,
    line_end: u32,
    may_lack_version: bool,
    notes: u32,
    prefilter: &mut F,
) -> Option<()> {
    let Extent { begin, end } = rest;
    let mut end = prefilter.trim(begin, end);
    if end == 0 {
        return Some(());
    }
    let workspace = prefilter.workspace()?;
    let version = end.wrapping_sub(8);
    let is_version = workspace.word::<F::Packet>(version) & VERSION.mask == VERSION.value;
    // There is something else before it, and a space.
    let before = workspace.word::<F::Packet>(version.wrapping_sub(1)) as u8;
    if is_version && end > begin.wrapping_add(9) && is_space(before) {
        end = prefilter.trim(begin, version);
        if end == 0 {
            return Some(());
        }
    } else if !may_lack_version {
        return Some(());
    }
    let decoded = if notes & note::ENCODED != 0 {
        decode(Extent { begin, end }, prefilter)?
    } else {
        [0; 2]
    };
    let workspace = prefilter.workspace()?;
    let method = [workspace.method.begin as u16, workspace.method.end as u16];
    let behind = line_end.wrapping_add(1);
    let text_end = workspace.lines.end;
    let is_open = u16::from(line_end >= text_end && workspace.are_lines_open != 0);
    let behind = if behind < text_end { behind } else { text_end };
    let index = workspace.requests_len;
    let Some(request) = workspace.requests.get_mut(index as usize) else {
        workspace.is_cut_short = 1;
        return Some(());
    };
    *request = Request {
        method,
        target: [begin as u16, end as u16],
        decoded,
        headers: [behind as u16; 2],
        is_target_open: is_open,
        are_headers_open: is_open,
    };
    workspace.requests_len = index.wrapping_add(1);
    Some(())
}

/// Decodes a target; gives where that stands. One that is not decoded to its end has no such view.
#[inline(always)]
fn decode<F: Prefilter>(target: Extent, prefilter: &mut F) -> Option<[u16; 2]> {
    let workspace = prefilter.workspace()?;
    let begin = workspace.decoded_len;
    workspace.decoder = Decoder {
        at: target.begin,
        end: target.end,
        out: begin,
        ..Decoder::default()
    };
    for _ in 0..DECODE_CALLS {
        let workspace = prefilter.workspace()?;
        if workspace.decoder.at >= workspace.decoder.end {
            break;
        }
        if workspace.decodings == 0 || workspace.decoder.out > DECODED_MAX {
            workspace.is_cut_short = 1;
            return Some([0; 2]);
        }
        prefilter.decode();
    }
    let workspace = prefilter.workspace()?;
    let end = workspace.decoder.out;
    // Windows are looked at from the first byte of each on.
    workspace.decoded_len = end.wrapping_add(7) & !7;
    Some([(DECODED | begin) as u16, (DECODED | end) as u16])
}

/// What is to be said of the next line of headers.
mod header {
    /// There is one.
    pub(super) const GOES_ON: u32 = 0;
    /// The headers end here.
    pub(super) const ENDS: u32 = 1;
    /// Where they end is not known.
    pub(super) const LOST: u32 = 2;
}

/// Notes how far the headers of the request of this index go: up to a line that is blank. If that is not found, their end is not known.
#[inline(always)]
pub fn read_headers<F: Prefilter>(index: u32, prefilter: &mut F) -> Option<()> {
    let index = index as usize & (REQUESTS_MAX - 1);
    let workspace = prefilter.workspace()?;
    let [begin, _] = workspace.requests.get(index)?.headers;
    workspace.read_lines_of(if u32::from(begin) < JOINED {
        Text::Payload
    } else {
        Text::Joined
    });
    let mut line = Place {
        at: begin.into(),
        note: header::GOES_ON,
    };
    for _ in 0..LINES_MAX {
        // VERIFIER: all ways to a line go on as one.
        line.at = F::Packet::forget(line.at);
        line.note = F::Packet::forget(line.note);
        if line.note != header::GOES_ON {
            break;
        }
        line = prefilter.header_line(line.at);
    }
    let request = prefilter.workspace()?.requests.get_mut(index)?;
    request.headers = [begin, line.at as u16];
    request.are_headers_open = u16::from(line.note != header::ENDS);
    Some(())
}

/// Goes on behind the line of headers that begins here, if it is one.
#[inline(always)]
pub fn header_line<F: Prefilter>(at: u32, prefilter: &mut F) -> Option<Place> {
    let head = prefilter.head(Place {
        at,
        note: Stage::START.0,
    });
    let workspace = prefilter.workspace()?;
    let lines_end = workspace.lines.end;
    if at >= lines_end {
        let note = if workspace.are_lines_open == 0 {
            header::ENDS
        } else {
            header::LOST
        };
        return Some(Place {
            at: lines_end,
            note,
        });
    }
    if head.note == Stage::BLANK.0 || head.note == Stage::START.0 {
        let note = if head.note == Stage::BLANK.0 {
            header::ENDS
        } else {
            header::LOST
        };
        return Some(Place { at, note });
    }
    let end = prefilter.end_of_line(at);
    Some(Place {
        at: end.at.wrapping_add(1),
        note: header::GOES_ON,
    })
}

/// Goes on to the end of the line, however long it is.
#[inline(always)]
pub fn end_of_line<F: Prefilter>(from: u32, prefilter: &mut F) -> Place {
    let mut end = Place { at: from, note: 0 };
    let mut notes = 0;
    for _ in 0..LINE_CALLS {
        if end.note & note::END != 0 {
            break;
        }
        end = prefilter.line_end(end.at);
        notes |= end.note;
    }
    Place {
        at: end.at,
        note: notes,
    }
}
