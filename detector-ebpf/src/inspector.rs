//! The kernel's way through the rules: each step of `detector_common::detect::signature::inspect` is a function of its own, which is
//! verified once and for itself, and finds rules and workspace where the maps have them.

use aya_ebpf::{bindings::xdp_md, btf_maps::Array};
use detector_common::{
    abi::Tally,
    detect::signature::{
        Found, Search,
        find::{self, Sought},
        flowbits,
        gather::{self, Options},
        held,
        inspect::{self, Inspector},
        prefilter::Text,
        rule,
        table::{List, RuleTable},
        test,
        threshold::{Meter, Words},
        workspace::Workspace,
    },
    pipeline::{self, Runtime as _},
    verdict::Decision,
};

use crate::{
    evidence::send_evidence,
    maps,
    packet::XdpPacket,
    program,
    runtime::{KernelRuntime, parsed},
    tables::{KernelSteps, with, workspace, written},
};

/// What becomes of the packet about which rules are to be asked.
#[inline(always)]
pub fn go_on(ctx: *mut xdp_md) -> Decision {
    program::take_over(ctx, |headers, search, so_far, runtime| {
        let packet = XdpPacket::new(ctx);
        let decision = pipeline::signature::inspect(&packet, headers, search, so_far, runtime);
        if workspace().is_some_and(|workspace| workspace.partials_len != 0) {
            send_evidence(ctx, decision.to_word());
        }
        decision
    })
}

/// What the packet of `ctx` matches.
#[inline(always)]
pub fn search(ctx: *mut xdp_md, search: Search) -> Option<Found> {
    let row = inspect::run(search, &mut KernelSteps { ctx });
    // It was there before.
    let workspace = workspace()?;
    let is_untold = workspace.is_untold;
    if workspace.is_cut_short != 0 {
        KernelRuntime::new().tally(Tally::RulesCutShort);
    }
    if workspace.displaced != 0 {
        KernelRuntime::new().tally(Tally::FlowbitsDisplaced);
    }
    Found::of(row?, is_untold, search, &XdpPacket::new(ctx))
}

/// Gathers the headers of the packet of `ctx`, which is in `PARSED`; gives where its IPv4 options begin (32 bits), and their length.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn gather_headers(ctx: *mut xdp_md, search: u64) -> u64 {
    let Some(parsed) = maps::PARSED.get_ptr(0) else {
        return 0;
    };
    with(search, |search, _, workspace| {
        // SAFETY: the record is this CPU's, and XDP is not re-entered on a CPU.
        let headers = unsafe { &*parsed }.headers();
        let options = gather::headers(search, &headers.ip(), &XdpPacket::new(ctx), workspace);
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

/// Asks the rules about a text, see [`inspect::ask_about`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn ask_about(search: u64, text: u32) -> u64 {
    let mut inspector = KernelSteps::of_the_copy();
    inspect::ask_about(
        Search::from_word(search),
        Text::from_number(text),
        &mut inspector,
    );
    0
}

/// Asks the rules of all candidates, see [`inspect::ask_all`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn ask_all(search: u64) -> u64 {
    let mut inspector = KernelSteps::of_the_copy();
    inspect::ask_all(Search::from_word(search), &mut inspector);
    0
}

/// Asks the rules of a candidate, see [`inspect::ask_candidate`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn ask_candidate(search: u64, index: u32) -> u64 {
    let mut inspector = KernelSteps::of_the_copy();
    inspect::ask_candidate(Search::from_word(search), index, &mut inspector);
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
        let test = |exit, workspace: &mut Workspace| {
            let is_so = test_buffer(search, exit);
            written(workspace);
            is_so != 0
        };
        let note = |workspace: &mut Workspace| {
            hold(search, row);
            written(workspace);
        };
        rule::ask::<XdpPacket>(row, table, workspace, find, test, note);
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

/// Decides about the next rule that was noted for the packet in `PARSED`, see [`held::run`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn decide_held(search: u64, from: u32) -> u64 {
    let Some(parsed) = parsed() else {
        return 0;
    };
    with(search, |_, table, workspace| {
        let headers = parsed.headers();
        let mut meter = Meter {
            now_ns: headers.now_ns,
            seed: maps::CONFIG.get().hash_seed,
            words: &mut KernelWords(&maps::THRESHOLDS),
        };
        let ask_bits = |row, workspace: &mut Workspace| {
            let hold = ask_bits(search, row);
            written(workspace);
            hold != 0
        };
        held::run::<XdpPacket>(from, headers.source, &mut meter, table, workspace, ask_bits).into()
    })
}

/// 1 if the rule of a row holds with the bits of the connection of the packet in `PARSED`, see [`flowbits::run`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn ask_bits(search: u64, row: u32) -> u64 {
    let Some(parsed) = parsed() else {
        return 0;
    };
    with(search, |_, table, workspace| {
        let headers = parsed.headers();
        let mut meter = Meter {
            now_ns: headers.now_ns,
            seed: maps::CONFIG.get().hash_seed,
            words: &mut KernelWords(&maps::FLOW_BITS),
        };
        flowbits::run(row, &headers.ip(), &mut meter, table, workspace).into()
    })
}

/// The words of a map that all CPUs share.
struct KernelWords<const N: usize>(&'static Array<u64, N>);

impl<const N: usize> Words for KernelWords<N> {
    #[inline(always)]
    fn word(&self, slot: u32) -> Option<u64> {
        let word = self.0.get_ptr(slot)?;
        // SAFETY: a word at its own alignment, which other CPUs write as a whole.
        Some(unsafe { word.read_volatile() })
    }

    #[inline(always)]
    fn set_word(&mut self, slot: u32, word: u64) {
        if let Some(place) = self.0.get_ptr_mut(slot) {
            // SAFETY: as in `word`; of two CPUs that write, one is the last.
            unsafe { place.write_volatile(word) }
        }
    }
}

/// How the search for the pattern that this exit leads to ends.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn find_pattern(search: u64, exit: u32) -> u64 {
    with(search, |_, table, workspace| {
        find::run::<XdpPacket>(exit, table, workspace) as u64
    })
}

/// 1 if the operation holds that this exit leads to, see [`test::is_so`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn test_buffer(search: u64, exit: u32) -> u64 {
    with(search, |_, table, workspace| {
        test::is_so::<XdpPacket>(exit, table, workspace).into()
    })
}

impl Inspector for KernelSteps {
    #[inline(always)]
    fn rule_table(&self, search: Search) -> Option<&RuleTable> {
        maps::RULES.get(search.generation())
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
    fn ask_about(&mut self, search: Search, text: Text) {
        ask_about(search.to_word(), text as u32);
    }

    #[inline(always)]
    fn ask_all(&mut self, search: Search) {
        ask_all(search.to_word());
    }

    #[inline(always)]
    fn ask_candidate(&mut self, search: Search, index: u32) {
        ask_candidate(search.to_word(), index);
    }

    #[inline(always)]
    fn ask_each(&mut self, search: Search, list: List) {
        ask_each(search.to_word(), list.first.into(), list.len.into());
    }

    #[inline(always)]
    fn decide_held(&mut self, search: Search, from: u32) -> u32 {
        decide_held(search.to_word(), from) as u32
    }
}
