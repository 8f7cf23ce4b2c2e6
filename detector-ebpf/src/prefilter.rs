//! The kernel's way through the prefilter: each step of `detector_common::detect::signature::prefilter` is a function of its own, which is
//! verified once and for itself, and finds tables and workspace where the maps have them.

use aya_ebpf::bindings::xdp_md;
use detector_common::{
    abi::Tally,
    detect::signature::{
        Search,
        confirm::{self, Step},
        filter,
        line::{self, Ending, Place, Stage},
        prefilter::{self, Prefilter, Text},
        request::{self, HeaderLine, Order},
        uri,
        workspace::Workspace,
    },
    pipeline::{self, Runtime as _},
    verdict::Decision,
};

use crate::{
    maps,
    packet::XdpPacket,
    program::{self, Program},
    runtime::{KernelRuntime, parsed},
    tables::{KernelSteps, with_filter, with_workspace, workspace, written},
};

/// What becomes of the packet whose ports rules watch; it goes on where rules are asked if any is to be.
#[inline(always)]
pub fn go_on(ctx: *mut xdp_md) -> Decision {
    program::take_over(ctx, |headers, search, so_far, runtime| {
        if prefilter::run(search, &mut KernelSteps { ctx }) {
            program::go_on_in(Program::Inspector, ctx);
        } else if workspace().is_some_and(|workspace| workspace.is_cut_short != 0) {
            runtime.tally(Tally::RulesCutShort);
        }
        pipeline::signature::conclude(&XdpPacket::new(ctx), headers, None, so_far, runtime)
    })
}

/// Runs the filter over the packet of `ctx`, see [`filter::run`]. The number says nothing, here and below; a global function gives
/// one.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn filter(ctx: *mut xdp_md, search: u64) -> u64 {
    with_filter(search, |search, table, workspace| {
        let packet = XdpPacket::new(ctx);
        let sift = |offset, at, workspace: &mut Workspace| {
            packet.sift(offset, at, &mut workspace.text, &table.filter)
        };
        filter::run(search, &packet, table, workspace, sift);
        0
    })
}

/// How far the filter is run once more, see [`filter::len_of_again`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn len_of_again(search: u64, shift: u32) -> u64 {
    with_filter(search, |search, table, workspace| {
        filter::len_of_again(search, shift, table, workspace).into()
    })
}

/// Runs the filter once more, see [`filter::again`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn filter_again(search: u64, shift: u32, len: u32) -> u64 {
    with_filter(search, |search, table, workspace| {
        filter::again::<XdpPacket>(search, shift, len, table, workspace);
        0
    })
}

/// Looks again at each block that the filter kept, see [`prefilter::confirm_each`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn confirm_each(search: u64, shift: u32) -> u64 {
    let mut prefilter = KernelSteps::of_the_copy();
    prefilter::confirm_each(Search::from_word(search), shift, &mut prefilter);
    0
}

/// Joins the packet of `ctx`, which is in `PARSED`, to what came before it, see [`Carry::join`].
///
/// [`Carry::join`]: detector_common::detect::signature::carry::Carry::join
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn join(ctx: *mut xdp_md, reach: u32) -> u64 {
    let mut runtime = KernelRuntime::new();
    let seed = maps::CONFIG.get().hash_seed;
    let segment = parsed().and_then(|parsed| parsed.headers().segment(runtime.interface(), seed));
    let Some(segment) = segment else {
        return 0;
    };
    let Some(carry) = runtime.carry(segment.slot) else {
        return 0;
    };
    with_workspace(|workspace| {
        carry.join(&segment, reach, &XdpPacket::new(ctx), workspace);
        0
    })
}

/// Finds what a text has, see [`prefilter::look_at`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn look_at(ctx: *mut xdp_md, search: u64, text: u32) -> u64 {
    let search = Search::from_word(search);
    let text = Text::from_number(text);
    prefilter::look_at(search, text, &mut KernelSteps { ctx });
    0
}

/// Finds the patterns of a text, see [`prefilter::look_through`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn look_through(ctx: *mut xdp_md, search: u64, text: u32, shift: u32) -> u64 {
    let search = Search::from_word(search);
    let text = Text::from_number(text);
    prefilter::look_through(search, text, shift, &mut KernelSteps { ctx });
    0
}

/// Finds the requests of a text, see [`request::read`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn read_requests() -> u64 {
    request::read(&mut KernelSteps::of_the_copy());
    0
}

/// Reads a line, see [`request::read_line`]; places are words, here and below.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn read_line(line: u64) -> u64 {
    let line = Place::from_word(line);
    let next = request::read_line(line, &mut KernelSteps::of_the_copy());
    next.unwrap_or(line).to_word()
}

/// Goes on along the beginning of a line, see [`line::head`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn head(from: u64) -> u64 {
    with_workspace(|workspace| line::head::<XdpPacket>(Place::from_word(from), workspace).to_word())
}

/// Goes on to the end of a line, see [`line::line_end`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn line_end(from: u32) -> u64 {
    with_workspace(|workspace| line::line_end::<XdpPacket>(from, workspace).to_word())
}

/// Goes on to the end of a line, see [`line::end_of_line`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn end_of_line(from: u32) -> u64 {
    line::end_of_line(from, &mut KernelSteps::of_the_copy()).to_word()
}

/// Goes on behind a line of headers, see [`request::header_line`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn header_line(at: u32) -> u64 {
    let next = request::header_line(at, &mut KernelSteps::of_the_copy());
    next.unwrap_or(Place {
        at,
        note: HeaderLine::ONE,
    })
    .to_word()
}

/// Leaves the spaces out that something ends with, see [`line::trim`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn trim(begin: u32, end: u32) -> u64 {
    with_workspace(|workspace| line::trim::<XdpPacket>(begin, end, workspace).into())
}

/// Goes on with the target that is being decoded, see [`uri::decode`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn decode() -> u64 {
    with_workspace(|workspace| {
        uri::decode::<XdpPacket>(workspace);
        0
    })
}

/// Finds where the headers of a request end, see [`request::read_headers`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn read_headers(index: u32) -> u64 {
    request::read_headers(index, &mut KernelSteps::of_the_copy());
    0
}

/// Looks again at a block, see [`confirm::run`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn confirm(search: u64, index: u32, shift: u32) -> u64 {
    with_filter(search, |search, table, workspace| {
        let go_on = |step, number, at, workspace: &mut Workspace| {
            match step {
                Step::Look => look(search.to_word(), number, at),
                Step::Chain => chain(search.to_word(), number, at),
            };
            written(workspace);
        };
        confirm::run::<XdpPacket>(search, index, shift, table, workspace, go_on);
        0
    })
}

/// Looks at the other grams of a bucket, see [`confirm::chain`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn chain(search: u64, first: u32, at: u32) -> u64 {
    with_filter(search, |search, table, workspace| {
        let look = |number, workspace: &mut Workspace| {
            look(search.to_word(), number, at);
            written(workspace);
        };
        confirm::chain::<XdpPacket>(first, at, table, workspace, look);
        0
    })
}

/// Looks whether all of a pattern stands where its ends do, see [`confirm::look`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn look(search: u64, number: u32, at: u32) -> u64 {
    with_filter(search, |_, table, workspace| {
        confirm::look::<XdpPacket>(number, at, table, workspace);
        0
    })
}

impl Prefilter for KernelSteps {
    #[inline(always)]
    fn filter(&mut self, search: Search) {
        filter(self.ctx, search.to_word());
    }

    #[inline(always)]
    fn len_of_again(&mut self, search: Search, shift: u32) -> u32 {
        len_of_again(search.to_word(), shift) as u32
    }

    #[inline(always)]
    fn filter_again(&mut self, search: Search, shift: u32, len: u32) {
        filter_again(search.to_word(), shift, len);
    }

    #[inline(always)]
    fn confirm(&mut self, search: Search, index: u32, shift: u32) {
        confirm(search.to_word(), index, shift);
    }

    #[inline(always)]
    fn confirm_each(&mut self, search: Search, shift: u32) {
        confirm_each(search.to_word(), shift);
    }

    #[inline(always)]
    fn join(&mut self, reach: u32) {
        join(self.ctx, reach);
    }

    #[inline(always)]
    fn look_at(&mut self, search: Search, text: Text) {
        look_at(self.ctx, search.to_word(), text as u32);
    }

    #[inline(always)]
    fn look_through(&mut self, search: Search, text: Text, shift: u32) {
        look_through(self.ctx, search.to_word(), text as u32, shift);
    }

    #[inline(always)]
    fn read_requests(&mut self) {
        read_requests();
    }

    #[inline(always)]
    fn read_line(&mut self, line: Place<Order>) -> Place<Order> {
        Place::from_word(read_line(line.to_word()))
    }

    #[inline(always)]
    fn head(&mut self, from: Place<Stage>) -> Place<Stage> {
        Place::from_word(head(from.to_word()))
    }

    #[inline(always)]
    fn line_end(&mut self, from: u32) -> Place<Ending> {
        Place::from_word(line_end(from))
    }

    #[inline(always)]
    fn end_of_line(&mut self, from: u32) -> Place<Ending> {
        Place::from_word(end_of_line(from))
    }

    #[inline(always)]
    fn header_line(&mut self, at: u32) -> Place<HeaderLine> {
        Place::from_word(header_line(at))
    }

    #[inline(always)]
    fn trim(&mut self, begin: u32, end: u32) -> u32 {
        trim(begin, end) as u32
    }

    #[inline(always)]
    fn decode(&mut self) {
        decode();
    }

    #[inline(always)]
    fn read_headers(&mut self, index: u32) {
        read_headers(index);
    }
}
