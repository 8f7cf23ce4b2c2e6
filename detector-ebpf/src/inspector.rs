//! The kernel's way through the rules: each step of `detector_common::detect::signature` is a function of its own, which is verified
//! once and for itself, and finds rules and workspace where the maps have them.

use core::{arch::asm, ptr};

use aya_ebpf::{bindings::xdp_md, programs::XdpContext};
use detector_common::{
    abi::Tally,
    detect::signature::{
        self, Found, Inspector, Search, Text,
        confirm::{self, Step},
        filter,
        find::{self, Sought},
        gather::{self, Options},
        request::{self, Place},
        rule,
        table::{FilterTable, List, RuleTable},
        threshold::{self, Meter, Words},
        uri,
        workspace::Workspace,
    },
    packet::PacketBytes as _,
    pipeline::{self, Runtime as _},
    reason::Reason,
    verdict::Decision,
};

use crate::{
    maps,
    packet::XdpPacket,
    runtime::{KernelRuntime, parsed},
};

/// Goes on with the packet of `ctx` in the program [`crate::inspector`], and does not come back from there; if there is none, it does, and
/// that is counted.
///
/// VERIFIER: a program for itself, which is verified for itself and has a stack of its own.
#[inline(always)]
pub fn hand_over(ctx: *mut xdp_md, search: Search, so_far: Decision) {
    if let Some(workspace) = maps::WORKSPACE.get_ptr_mut(0) {
        // SAFETY: as in `with`.
        unsafe { &mut *workspace }.hand_over(search, so_far);
        // SAFETY: nothing is left to be dropped.
        unsafe { maps::INSPECTOR.tail_call(&XdpContext::new(ctx), 0) };
    }
    KernelRuntime::new().tally(Tally::RulesCutShort);
}

/// What becomes of the packet that was handed over.
#[inline(always)]
pub fn go_on(ctx: *mut xdp_md) -> Decision {
    let mut runtime = KernelRuntime::new();
    let packet = XdpPacket::new(ctx);
    let mut inspector = KernelInspector { ctx };
    // It was there before.
    let handed_over = inspector
        .workspace()
        .map(|workspace| workspace.handed_over());
    let decision = match (handed_over, parsed()) {
        (Some((search, so_far)), Some(parsed)) => {
            let headers = parsed.headers();
            pipeline::signature::inspect(&packet, headers, search, so_far, &mut runtime)
        }
        (Some((_, so_far)), None) => so_far,
        (None, _) => Decision::pass(Reason::StateMissing),
    };
    runtime.count(decision, packet.wire_len() as u64);
    decision
}

/// What the packet of `ctx` matches.
#[inline(always)]
pub fn search(ctx: *mut xdp_md, search: Search) -> Option<Found> {
    let mut inspector = KernelInspector { ctx };
    let row = signature::inspect(search, &mut inspector);
    // It was there before.
    let workspace = inspector.workspace()?;
    let is_untold = workspace.is_untold;
    if workspace.is_cut_short != 0 {
        KernelRuntime::new().tally(Tally::RulesCutShort);
    }
    Found::of(row?, is_untold, search, &XdpPacket::new(ctx))
}

/// Runs the filter over the packet of `ctx`, see [`filter::run`]. The number says nothing, here and below; a global function gives
/// one.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn filter(ctx: *mut xdp_md, search: u64) -> u64 {
    with_filter(search, |search, table, workspace| {
        filter::run(search, &XdpPacket::new(ctx), table, workspace);
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

/// Looks again at each block that the filter kept, see [`signature::confirm_each`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn confirm_each(search: u64, shift: u32) -> u64 {
    let mut inspector = KernelInspector::of_the_copy();
    signature::confirm_each(Search::from_word(search), shift, &mut inspector);
    0
}

/// Finds the patterns of a text, see [`signature::look_through`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn look_through(ctx: *mut xdp_md, search: u64, is_decoded: u32, shift: u32) -> u64 {
    let search = Search::from_word(search);
    let text = if is_decoded == 0 {
        Text::Payload
    } else {
        Text::Decoded
    };
    signature::look_through(search, text, shift, &mut KernelInspector { ctx });
    0
}

/// Finds the requests of the payload, see [`request::read`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn read_requests() -> u64 {
    request::read(&mut KernelInspector::of_the_copy());
    0
}

/// Reads a line, see [`request::read_line`]; places are words, here and below.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn read_line(line: u64) -> u64 {
    let line = Place::from_word(line);
    let next = request::read_line(line, &mut KernelInspector::of_the_copy());
    next.unwrap_or(line).to_word()
}

/// Goes on along the beginning of a line, see [`request::head`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn head(from: u64) -> u64 {
    with_workspace(|workspace| {
        request::head::<XdpPacket>(Place::from_word(from), workspace).to_word()
    })
}

/// Goes on to the end of a line, see [`request::line_end`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn line_end(from: u32) -> u64 {
    with_workspace(|workspace| request::line_end::<XdpPacket>(from, workspace).to_word())
}

/// Goes on to the end of a line, see [`request::end_of_line`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn end_of_line(from: u32) -> u64 {
    request::end_of_line(from, &mut KernelInspector::of_the_copy()).to_word()
}

/// Goes on behind a line of headers, see [`request::header_line`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn header_line(at: u32) -> u64 {
    let next = request::header_line(at, &mut KernelInspector::of_the_copy());
    next.unwrap_or(Place { at, note: 0 }).to_word()
}

/// Leaves the spaces out that something ends with, see [`request::trim`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn trim(begin: u32, end: u32) -> u64 {
    with_workspace(|workspace| request::trim::<XdpPacket>(begin, end, workspace).into())
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
    request::read_headers(index, &mut KernelInspector::of_the_copy());
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

/// Gathers the headers of the packet of `ctx`, which is in `PARSED`; gives where its IPv4 options begin (32 bits), and their length.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn gather_headers(ctx: *mut xdp_md, search: u64) -> u64 {
    let Some(parsed) = maps::PARSED.get_ptr(0) else {
        return 0;
    };
    with(search, |_, _, workspace| {
        // SAFETY: the record is this CPU's, and XDP is not re-entered on a CPU.
        let headers = unsafe { &*parsed }.headers();
        let options = gather::headers(&headers.ip(), &XdpPacket::new(ctx), workspace);
        u64::from(options.from) | u64::from(options.len) << 32
    })
}

/// Gathers the IPv4 options of the packet of `ctx`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn gather_options(ctx: *mut xdp_md, search: u64, from: u32, len: u32) -> u64 {
    with(search, |_, _, workspace| {
        gather::options(Options { from, len }, &XdpPacket::new(ctx), workspace);
        0
    })
}

/// Gathers the payload of the packet of `ctx`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn gather_payload(ctx: *mut xdp_md, search: u64) -> u64 {
    with(search, |search, _, workspace| {
        gather::payload(search, &XdpPacket::new(ctx), workspace);
        0
    })
}

/// Asks the rules of all candidates, see [`signature::ask_all`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn ask_all(search: u64) -> u64 {
    let mut inspector = KernelInspector::of_the_copy();
    signature::ask_all(Search::from_word(search), &mut inspector);
    0
}

/// Asks the rules of a list: where it begins, and how many there are.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn ask_each(search: u64, first: u32, len: u32) -> u64 {
    let list = List {
        first: first as u16,
        len: len as u16,
    };
    with(search, |_, table, _| {
        rule::each(list, table, |row| {
            ask(search, row);
        });
        0
    })
}

/// Asks the rule of a row.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn ask(search: u64, row: u32) -> u64 {
    with(search, |_, table, workspace| {
        let find = |exit, workspace: &mut Workspace| {
            let sought = Sought::from_number(find_pattern(search, exit));
            written(workspace);
            sought
        };
        let note = |workspace: &mut Workspace| {
            hold(search, row);
            written(workspace);
        };
        rule::ask::<XdpPacket>(row, table, workspace, find, note);
        0
    })
}

/// Notes a row that holds and is awaited, see [`Workspace::hold`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn hold(search: u64, row: u32) -> u64 {
    with(search, |_, table, workspace| {
        workspace.hold(row, table);
        0
    })
}

/// Counts the packet in `PARSED` for the rule of this index, see [`threshold::run`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn count(search: u64, index: u32) -> u64 {
    let Some(parsed) = parsed() else {
        return 0;
    };
    with(search, |_, table, workspace| {
        let headers = parsed.headers();
        let mut meter = Meter {
            now_ns: headers.now_ns,
            seed: maps::CONFIG.get().hash_seed,
            words: &mut KernelWords,
        };
        threshold::run(index, headers.source, &mut meter, table, workspace);
        0
    })
}

/// The words of `THRESHOLDS`.
struct KernelWords;

impl Words for KernelWords {
    #[inline(always)]
    fn word(&self, slot: u32) -> Option<u64> {
        let word = maps::THRESHOLDS.get_ptr(slot)?;
        // SAFETY: a word at its own alignment, which other CPUs write as a whole.
        Some(unsafe { word.read_volatile() })
    }

    #[inline(always)]
    fn set_word(&mut self, slot: u32, word: u64) {
        if let Some(place) = maps::THRESHOLDS.get_ptr_mut(slot) {
            // SAFETY: as in `word`; of two CPUs that write, one is the last.
            unsafe { place.write_volatile(word) }
        }
    }
}

/// Tells the compiler that a function which was not given the workspace has written to it.
#[inline(always)]
fn written(workspace: &mut Workspace) {
    let workspace: *mut Workspace = workspace;
    // An instruction that changes nothing, for the kernel takes no two lines of source at the same one.
    // SAFETY: changes nothing.
    unsafe { asm!("{workspace} = {workspace}", workspace = in(reg) workspace, options(nostack)) };
}

/// How the search for the pattern that this exit leads to ends.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn find_pattern(search: u64, exit: u32) -> u64 {
    with(search, |_, table, workspace| {
        find::run::<XdpPacket>(exit, table, workspace) as u64
    })
}

/// Gives a step the rules of the search's generation and this CPU's workspace.
#[inline(always)]
fn with(search: u64, step: impl FnOnce(Search, &RuleTable, &mut Workspace) -> u64) -> u64 {
    let search = Search::from_word(search);
    let (Some(table), Some(workspace)) = (
        maps::RULES.get(search.generation()),
        maps::WORKSPACE.get_ptr_mut(0),
    ) else {
        return 0;
    };
    // SAFETY: the record is this CPU's, and XDP is not re-entered on a CPU.
    step(search, table, unsafe { &mut *workspace })
}

/// Gives a step this CPU's workspace alone.
#[inline(always)]
fn with_workspace(step: impl FnOnce(&mut Workspace) -> u64) -> u64 {
    match maps::WORKSPACE.get_ptr_mut(0) {
        // SAFETY: as in `with`.
        Some(workspace) => step(unsafe { &mut *workspace }),
        None => 0,
    }
}

/// The same with what the filter looks for.
#[inline(always)]
fn with_filter(search: u64, step: impl FnOnce(Search, &FilterTable, &mut Workspace) -> u64) -> u64 {
    let search = Search::from_word(search);
    let (Some(table), Some(workspace)) = (
        maps::FILTER.get(search.generation()),
        maps::WORKSPACE.get_ptr_mut(0),
    ) else {
        return 0;
    };
    // SAFETY: as in `with`.
    step(search, table, unsafe { &mut *workspace })
}

/// Who inspects in the kernel.
struct KernelInspector {
    ctx: *mut xdp_md,
}

impl KernelInspector {
    /// Of steps that only read what was copied of the packet.
    ///
    /// VERIFIER: a context that a function is given and does not use, the compiler leaves out where it calls it, and then it is refused.
    #[inline(always)]
    fn of_the_copy() -> Self {
        Self {
            ctx: ptr::null_mut(),
        }
    }
}

impl Inspector for KernelInspector {
    type Packet = XdpPacket;

    #[inline(always)]
    fn filter_table(&self, search: Search) -> Option<&FilterTable> {
        maps::FILTER.get(search.generation())
    }

    #[inline(always)]
    fn rule_table(&self, search: Search) -> Option<&RuleTable> {
        maps::RULES.get(search.generation())
    }

    #[inline(always)]
    fn workspace(&mut self) -> Option<&mut Workspace> {
        let workspace = maps::WORKSPACE.get_ptr_mut(0)?;
        // SAFETY: as in `with`.
        Some(unsafe { &mut *workspace })
    }

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
    fn look_through(&mut self, search: Search, text: Text, shift: u32) {
        let is_decoded = (text == Text::Decoded).into();
        look_through(self.ctx, search.to_word(), is_decoded, shift);
    }

    #[inline(always)]
    fn read_requests(&mut self) {
        read_requests();
    }

    #[inline(always)]
    fn read_line(&mut self, line: Place) -> Place {
        Place::from_word(read_line(line.to_word()))
    }

    #[inline(always)]
    fn head(&mut self, from: Place) -> Place {
        Place::from_word(head(from.to_word()))
    }

    #[inline(always)]
    fn line_end(&mut self, from: u32) -> Place {
        Place::from_word(line_end(from))
    }

    #[inline(always)]
    fn end_of_line(&mut self, from: u32) -> Place {
        Place::from_word(end_of_line(from))
    }

    #[inline(always)]
    fn header_line(&mut self, at: u32) -> Place {
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

    #[inline(always)]
    fn ask_all(&mut self, search: Search) {
        ask_all(search.to_word());
    }

    #[inline(always)]
    fn gather(&mut self, search: Search) {
        let options = gather_headers(self.ctx, search.to_word());
        let (from, len) = (options as u32, (options >> 32) as u32);
        if len != 0 {
            gather_options(self.ctx, search.to_word(), from, len);
        }
        gather_payload(self.ctx, search.to_word());
    }

    #[inline(always)]
    fn ask_each(&mut self, search: Search, list: List) {
        ask_each(search.to_word(), list.first.into(), list.len.into());
    }

    #[inline(always)]
    fn count(&mut self, search: Search, index: u32) {
        count(search.to_word(), index);
    }
}
