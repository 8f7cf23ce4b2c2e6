//! Lines of a text: how a line begins, and where it ends.

use bytemuck::{Pod, Zeroable, must_cast};

use super::{
    bytes::{all, first, zeros},
    prefilter::Prefilter,
    uri,
    workspace::Workspace,
};
use crate::packet::PacketBytes;

/// The longest method, in bytes.
const METHOD_MAX: u32 = 32;
/// Words of a line in one call. VERIFIER: each is followed, so a longer line is taken up again; so with the next.
const LINE_WORDS: u32 = 48;
/// Bytes of a line's beginning in one call.
const HEAD_BYTES: u32 = 16;
/// Spaces at its end.
const SPACES: u32 = 48;
/// Calls for one line, that suffice for each line: all of the payload.
const LINE_CALLS: u32 = 11;

/// A place, and what is to be said of it. It fits into a word, for the kernel gives such out of functions of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<N> {
    /// In bytes from the start of the text memory.
    pub at: u32,
    /// What is to be said.
    pub note: N,
}

impl<N: Pod> Place<N> {
    /// The place as a word.
    #[inline(always)]
    #[must_use]
    pub fn to_word(self) -> u64 {
        u64::from(self.at) | u64::from(must_cast::<N, u32>(self.note)) << 32
    }

    /// The place that a word was made of.
    #[inline(always)]
    #[must_use]
    pub fn from_word(word: u64) -> Self {
        Self {
            at: word as u32,
            note: must_cast((word >> 32) as u32),
        }
    }
}

/// Where a walk along the beginning of a line has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Pod, Zeroable)]
#[repr(transparent)]
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

/// What a walk to the end of a line says: bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(transparent)]
pub struct Ending(pub u32);

impl Ending {
    /// The line ends here; else it goes on, and so does the walk.
    pub const END: Self = Self(1);
    /// Perhaps something in it is to be decoded.
    pub const ENCODED: Self = Self(2);

    /// Whether it says that.
    #[inline(always)]
    #[must_use]
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// What both say.
    #[inline(always)]
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

#[inline(always)]
pub(super) fn is_space(byte: u8) -> bool {
    byte == b' ' || byte == b'\t' || byte == b'\r'
}

/// Goes on along the beginning of a line, from a place in a stage.
#[inline(always)]
pub fn head<P: PacketBytes>(from: Place<Stage>, workspace: &mut Workspace) -> Place<Stage> {
    let Place {
        mut at,
        note: mut stage,
    } = from;
    let end = workspace.lines.end;
    for _ in 0..HEAD_BYTES {
        // VERIFIER: else it would follow each place in each stage.
        (at, stage) = (P::forget(at), Stage(P::forget(stage.0)));
        if stage >= Stage::TARGET {
            break;
        }
        let byte = workspace.word::<P>(at) as u8;
        let is_start = stage == Stage::START;
        if at >= end || byte == b'\n' {
            stage = if is_start { Stage::BLANK } else { Stage::OTHER };
            break;
        }
        if is_space(byte) {
            if stage == Stage::METHOD {
                workspace.method.end = at;
                stage = Stage::GAP;
            }
        } else if stage == Stage::GAP {
            stage = Stage::TARGET;
            break;
        } else {
            if is_start {
                workspace.method.begin = at;
                stage = Stage::METHOD;
            }
            let is_long = at.wrapping_sub(workspace.method.begin) >= METHOD_MAX;
            if is_long || byte == b':' || byte.wrapping_sub(0x21) > 0x7e - 0x21 {
                stage = Stage::OTHER;
            }
        }
        at = at.wrapping_add(1);
    }
    Place { at, note: stage }
}

/// Goes on to the end of the line, from a place in it.
#[inline(always)]
pub fn line_end<P: PacketBytes>(from: u32, workspace: &Workspace) -> Place<Ending> {
    let end = workspace.lines.end;
    let mut at = from;
    let mut marks = 0;
    let mut note = Ending::default();
    for _ in 0..LINE_WORDS {
        // VERIFIER: else it would follow each place.
        at = P::forget(at);
        if at >= end {
            at = end;
            note = Ending::END;
            break;
        }
        let word = workspace.word::<P>(at);
        marks |= uri::marks(word);
        let feeds = zeros(word ^ all(b'\n'));
        if feeds != 0 {
            let feed = at.wrapping_add(first(feeds));
            at = if feed < end { feed } else { end };
            note = Ending::END;
            break;
        }
        at = at.wrapping_add(8);
    }
    if marks != 0 {
        note = note.with(Ending::ENCODED);
    }
    Place { at, note }
}

/// Goes on to the end of the line, however long it is.
#[inline(always)]
pub fn end_of_line<F: Prefilter>(from: u32, prefilter: &mut F) -> Place<Ending> {
    let mut end = Place {
        at: from,
        note: Ending::default(),
    };
    let mut notes = Ending::default();
    for _ in 0..LINE_CALLS {
        if end.note.has(Ending::END) {
            break;
        }
        end = prefilter.line_end(end.at);
        notes = notes.with(end.note);
    }
    Place {
        at: end.at,
        note: notes,
    }
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
