//! Requests of HTTP in a payload: which of its lines are request lines, what they ask for, and where their headers end.
//!
//! A request line is a method, a target and a version (RFC 9112 §3), between which spaces, tabs and carriage returns stand as they like. Such lines
//! are looked for wherever they stand: what the filter sees of versions says how far. Only the first line of a payload may lack the version,
//! as in HTTP/0.9 or where the segment ends before the line does.

use bytemuck::{Pod, Zeroable};

use super::{
    line::{Ending, Place, Stage, is_space},
    prefilter::{Prefilter, Text},
    table::PatternWord,
    uri::{self, Decoder},
    workspace::{DECODED, Extent, JOINED, REQUESTS_MAX},
};
use crate::packet::PacketBytes;

/// The most lines that one packet is looked through for.
const LINES_MAX: usize = 128;
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

/// Which line it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(transparent)]
pub struct Order(pub u32);

impl Order {
    /// The first one that is not blank.
    pub const FIRST: Self = Self(1);
    /// Another one.
    pub const LATER: Self = Self(0);
}

/// Notes the requests of the text that lines are [read from](Workspace::lines), as far as there are lines that may be request lines.
#[inline(always)]
pub fn read<F: Prefilter>(prefilter: &mut F) -> Option<()> {
    let workspace = prefilter.workspace()?;
    let mut line = Place {
        at: workspace.lines.begin,
        note: Order::FIRST,
    };
    if !workspace.begins_with_line() {
        let end = prefilter.end_of_line(line.at);
        line = Place {
            at: end.at.wrapping_add(1),
            note: Order::LATER,
        };
    }
    for _ in 0..LINES_MAX {
        // VERIFIER: all ways to a line go on as one.
        line.at = F::Packet::forget(line.at);
        line.note = Order(F::Packet::forget(line.note.0));
        let workspace = prefilter.workspace()?;
        let is_first = line.note != Order::LATER;
        if line.at >= workspace.lines.end || !is_first && line.at > workspace.last_version {
            return Some(());
        }
        line = prefilter.read_line(line);
    }
    prefilter.workspace()?.is_cut_short = 1;
    Some(())
}

/// Notes the request whose line this is, if it is one. Gives the next line.
#[inline(always)]
pub fn read_line<F: Prefilter>(line: Place<Order>, prefilter: &mut F) -> Option<Place<Order>> {
    let is_first = line.note != Order::LATER;
    let mut head = Place {
        at: line.at,
        note: Stage::START,
    };
    for _ in 0..HEAD_CALLS {
        if head.note >= Stage::TARGET {
            break;
        }
        head = prefilter.head(head);
    }
    let workspace = prefilter.workspace()?;
    if head.note == Stage::BLANK {
        return Some(Place {
            at: head.at.wrapping_add(1),
            note: line.note,
        });
    }
    if head.note < Stage::TARGET {
        workspace.is_cut_short = 1;
    }
    let byte = workspace.word::<F::Packet>(head.at) as u8;
    let may_lack_version =
        is_first && head.note == Stage::TARGET && (byte == b'/' || byte == b'\\' || byte == b'%');
    // Nothing comes that could be the end of a request line.
    if workspace.last_version <= head.at && !may_lack_version {
        return Some(Place {
            at: workspace.lines.end,
            note: Order::LATER,
        });
    }
    let end = prefilter.end_of_line(head.at);
    if head.note == Stage::TARGET {
        let target = Extent {
            begin: head.at,
            end: end.at,
        };
        note_request(target, end.at, may_lack_version, end.note, prefilter)?;
    }
    Some(Place {
        at: end.at.wrapping_add(1),
        note: Order::LATER,
    })
}

/// Notes a request, if what begins with its target is as a request line has it.
#[inline(always)]
fn note_request<F: Prefilter>(
    rest: Extent,
    line_end: u32,
    may_lack_version: bool,
    ending: Ending,
    prefilter: &mut F,
) -> Option<()> {
    let Extent { begin, end } = rest;
    let workspace = prefilter.workspace()?;
    // What begins behind the seam was found in the packet by itself.
    if workspace.junction != 0 && workspace.method.begin >= workspace.junction {
        return Some(());
    }
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
    let decoded = if ending.has(Ending::ENCODED) {
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

/// What a line of headers is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(transparent)]
pub struct HeaderLine(pub u32);

impl HeaderLine {
    /// One of them.
    pub const ONE: Self = Self(0);
    /// The end of them.
    pub const END: Self = Self(1);
    /// Where they end is not known.
    pub const LOST: Self = Self(2);
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
        note: HeaderLine::ONE,
    };
    for _ in 0..LINES_MAX {
        // VERIFIER: all ways to a line go on as one.
        line.at = F::Packet::forget(line.at);
        line.note = HeaderLine(F::Packet::forget(line.note.0));
        if line.note != HeaderLine::ONE {
            break;
        }
        line = prefilter.header_line(line.at);
    }
    let request = prefilter.workspace()?.requests.get_mut(index)?;
    request.headers = [begin, line.at as u16];
    request.are_headers_open = u16::from(line.note != HeaderLine::END);
    Some(())
}

/// Goes on behind the line of headers that begins here, if it is one.
#[inline(always)]
pub fn header_line<F: Prefilter>(at: u32, prefilter: &mut F) -> Option<Place<HeaderLine>> {
    let head = prefilter.head(Place {
        at,
        note: Stage::START,
    });
    let workspace = prefilter.workspace()?;
    let lines_end = workspace.lines.end;
    if at >= lines_end {
        let note = if workspace.are_lines_open == 0 {
            HeaderLine::END
        } else {
            HeaderLine::LOST
        };
        return Some(Place {
            at: lines_end,
            note,
        });
    }
    if head.note == Stage::BLANK || head.note == Stage::START {
        let note = if head.note == Stage::BLANK {
            HeaderLine::END
        } else {
            HeaderLine::LOST
        };
        return Some(Place { at, note });
    }
    let end = prefilter.end_of_line(at);
    Some(Place {
        at: end.at.wrapping_add(1),
        note: HeaderLine::ONE,
    })
}
