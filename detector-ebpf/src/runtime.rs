//! The classifier's state in the kernel: this CPU's part of the maps, and the tick counter for a clock.

use aya_ebpf::{bindings::xdp_md, btf_maps::lpm_trie::Key, helpers::bpf_jiffies64};
use detector_common::{
    abi::{self, RuleCounter, Tally},
    blocks::{Block, BlockSet, Blocked},
    config::Config,
    detect::signature::{Found, Search, carry::Carry, watch::WatchLists},
    event::Event,
    net::IpAddress,
    parse::{Packet, plain},
    pipeline::{
        Runtime, contact,
        headers::Headers,
        neighbour::{self, Message},
        parsed::Parsed,
        signature,
    },
    proof::Proof,
    reason::Reason,
    sources::{SourceSet, SourceState},
    verdict::Decision,
};

use crate::{inspector, maps, packet::XdpPacket, program, tables::workspace};

/// Parses the packet of `ctx` into `PARSED`. The number says nothing; a global function gives one.
///
/// VERIFIER: a global function, as all that follow: it is verified once and for itself. Inlined, all that comes after would be verified
/// anew for each of the many ways to parse a packet.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn parse(ctx: *mut xdp_md) -> u64 {
    if let Some(place) = maps::PARSED.get_ptr_mut(0) {
        let now_ns = KernelRuntime::new().now_ns();
        // SAFETY: the record is this CPU's, and XDP is not re-entered on a CPU.
        unsafe { &mut *place }.read(&XdpPacket::new(ctx), now_ns);
    }
    0
}

/// What becomes of the message in `PARSED`, which asks all, as a word.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn decide_request() -> u64 {
    with_parsed(|parsed, runtime| neighbour::request::<XdpPacket, _>(parsed.message(), runtime))
}

/// What becomes of the message in `PARSED`, which answers or announces, as a word.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn decide_answer() -> u64 {
    with_parsed(|parsed, runtime| neighbour::answer::<XdpPacket, _>(parsed.message(), runtime))
}

/// What becomes of the message in `PARSED`, which claims what is another's, given what is decided so far, as a word.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn decide_spoof(so_far: u64) -> u64 {
    with_parsed(|parsed, runtime| {
        neighbour::spoof::<XdpPacket, _>(parsed.message(), Decision::from_word(so_far), runtime)
    })
}

/// What becomes of the packet in `PARSED`, as [`contact::judge`] has it, as a word.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn judge(due: u64) -> u64 {
    with_parsed(|parsed, runtime| contact::judge::<XdpPacket, _>(parsed.headers(), due, runtime))
}

#[inline(always)]
fn with_parsed(decide: impl FnOnce(&Parsed, &mut KernelRuntime) -> Decision) -> u64 {
    let decision = match parsed() {
        Some(parsed) => decide(parsed, &mut KernelRuntime::new()),
        None => Decision::pass(Reason::StateMissing),
    };
    decision.to_word()
}

/// The packet in `PARSED`.
#[inline(always)]
pub fn parsed() -> Option<&'static Parsed> {
    let parsed = maps::PARSED.get_ptr(0)?;
    // SAFETY: as in `parse`.
    Some(unsafe { &*parsed })
}

/// What the client whose address these words are proves by its `claim`, as a word.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn prove(first: u64, second: u64, claim: u64, now_ns: u64) -> u64 {
    let client = IpAddress::from_words([first, second]);
    signature::prove(client, claim, now_ns, &mut KernelRuntime::new()).word()
}

/// Takes note of the packet in `PARSED`, which begins a connection, see [`signature::begin`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn begin() -> u64 {
    if let Some(parsed) = parsed() {
        signature::begin::<XdpPacket, _>(parsed.headers(), &mut KernelRuntime::new());
    }
    0
}

/// Takes note of the packet of `ctx`, which is in `PARSED` and passes, see [`signature::carry_on`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn carry_on(ctx: *mut xdp_md) -> u64 {
    if let Some(parsed) = parsed() {
        let packet = XdpPacket::new(ctx);
        signature::carry_on(&packet, parsed.headers(), &mut KernelRuntime::new());
    }
    0
}

/// The record of the longest prefix that is blocked and holds the address whose words these are, or [`u64::MAX`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn blocked_prefix(first: u64, second: u64) -> u64 {
    let address = whole(IpAddress::from_words([first, second]));
    let record = maps::BLOCK_PREFIXES.get(&address);
    record.map_or(u64::MAX, |record| u64::from(*record))
}

/// Whether nothing is done against who has the address whose words these are.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn is_protected(first: u64, second: u64) -> u64 {
    let address = whole(IpAddress::from_words([first, second]));
    u64::from(maps::PROTECTED.get(&address).is_some())
}

/// The key of the longest prefix that holds `address`.
#[inline(always)]
fn whole(address: IpAddress) -> Key<IpAddress> {
    Key::new(128, address)
}

/// One packet's view of the maps.
pub struct KernelRuntime {
    interface: u32,
}

impl KernelRuntime {
    /// The runtime of this copy of the program.
    #[inline(always)]
    pub fn new() -> Self {
        Self {
            interface: maps::interface(),
        }
    }
}

impl Runtime<'static, XdpPacket> for KernelRuntime {
    #[inline(always)]
    fn interface(&self) -> u8 {
        self.interface as u8
    }

    /// The tick counter costs nothing, the nanosecond clock more than all the rest.
    #[inline(always)]
    fn now_ns(&self) -> u64 {
        // SAFETY: the helper takes no argument and only reads.
        unsafe { bpf_jiffies64() }.wrapping_mul(maps::tick_ns())
    }

    #[inline(always)]
    fn config(&self) -> &'static Config {
        maps::CONFIG.get()
    }

    #[inline(always)]
    fn watch(&self) -> &'static WatchLists {
        maps::WATCH.get()
    }

    #[inline(always)]
    fn plain(&self, packet: &XdpPacket) -> Option<Packet> {
        plain::parse(packet)
    }

    #[inline(always)]
    fn parse(
        &mut self,
        packet: &XdpPacket,
        plain: Option<Packet>,
        go_on: impl FnOnce(&mut Self, &Parsed) -> Decision,
    ) -> Option<Decision> {
        let place = maps::PARSED.get_ptr_mut(0)?;
        match plain {
            // SAFETY: as in the function `parse`.
            Some(plain) => unsafe { &mut *place }.keep(packet, &plain, self.now_ns()),
            None => {
                parse(packet.ctx);
            }
        }
        // SAFETY: as before.
        Some(go_on(self, unsafe { &*place }))
    }

    #[inline(always)]
    fn decide_request(&mut self, _: &Message) -> Decision {
        Decision::from_word(decide_request())
    }

    #[inline(always)]
    fn decide_answer(&mut self, _: &Message) -> Decision {
        Decision::from_word(decide_answer())
    }

    #[inline(always)]
    fn decide_spoof(&mut self, _: &Message, so_far: Decision) -> Decision {
        Decision::from_word(decide_spoof(so_far.to_word()))
    }

    #[inline(always)]
    fn judge(&mut self, _: &Headers, due: u64) -> Decision {
        Decision::from_word(judge(due))
    }

    #[inline(always)]
    fn search(&mut self, packet: &XdpPacket, _: &Headers, search: Search) -> Option<Found> {
        inspector::search(packet.ctx, search)
    }

    #[inline(always)]
    fn inspect(
        &mut self,
        packet: &XdpPacket,
        _: &Headers,
        search: Search,
        so_far: Decision,
    ) -> Decision {
        program::hand_over(packet.ctx, search, so_far);
        so_far
    }

    #[inline(always)]
    fn begin(&mut self, _: &Headers) {
        begin();
    }

    #[inline(always)]
    fn carry_on(&mut self, packet: &XdpPacket, _: &Headers) {
        carry_on(packet.ctx);
    }

    #[inline(always)]
    fn is_bare(&self) -> bool {
        workspace().is_some_and(|workspace| workspace.is_bare())
    }

    #[inline(always)]
    fn carry(&mut self, slot: u32) -> Option<&mut Carry> {
        let carry = maps::CARRIES.get_ptr_mut(slot)?;
        // SAFETY: as for `source_set`.
        Some(unsafe { &mut *carry })
    }

    #[inline(always)]
    fn flow_names(&self, generation: u8) -> u64 {
        maps::RULES
            .get(generation.into())
            .map_or(0, |table| table.flow_names)
    }

    #[inline(always)]
    fn flow_word(&self, place: u32) -> Option<u64> {
        let word = maps::FLOW_BITS.get_ptr(place)?;
        // SAFETY: as in `binding`.
        Some(unsafe { word.read_volatile() })
    }

    #[inline(always)]
    fn set_flow_word(&mut self, place: u32, word: u64) {
        if let Some(place) = maps::FLOW_BITS.get_ptr_mut(place) {
            // SAFETY: as in `bind`.
            unsafe { place.write_volatile(word) }
        }
    }

    #[inline(always)]
    fn prove(&mut self, client: IpAddress, claim: u64, now_ns: u64) -> Proof {
        let [first, second] = client.words();
        Proof::from_word(prove(first, second, claim, now_ns))
    }

    #[inline(always)]
    fn service(&self, slot: u32) -> Option<u64> {
        let word = maps::SERVICES.get_ptr(slot)?;
        // SAFETY: as in `binding`.
        Some(unsafe { word.read_volatile() })
    }

    #[inline(always)]
    fn set_service(&mut self, slot: u32, word: u64) {
        if let Some(place) = maps::SERVICES.get_ptr_mut(slot) {
            // SAFETY: as in `bind`.
            unsafe { place.write_volatile(word) }
        }
    }

    #[inline(always)]
    fn handshake(&self, slot: u32) -> Option<u64> {
        let word = maps::HANDSHAKES.get_ptr(slot)?;
        // SAFETY: as in `binding`.
        Some(unsafe { word.read_volatile() })
    }

    #[inline(always)]
    fn set_handshake(&mut self, slot: u32, word: u64) {
        if let Some(place) = maps::HANDSHAKES.get_ptr_mut(slot) {
            // SAFETY: as in `bind`.
            unsafe { place.write_volatile(word) }
        }
    }

    #[inline(always)]
    fn block_set(&self, index: u32) -> Option<BlockSet> {
        maps::BLOCK_SETS.get(index).copied()
    }

    #[inline(always)]
    fn blocked_prefix(&self, address: IpAddress) -> Option<u32> {
        let [first, second] = address.words();
        u32::try_from(blocked_prefix(first, second)).ok()
    }

    #[inline(always)]
    fn block(&self, record: u32) -> Option<Block> {
        maps::BLOCKS.get(record).copied()
    }

    #[inline(always)]
    fn blocked(&mut self, record: u32) -> Option<&mut Blocked> {
        let blocked = maps::BLOCKED.get_ptr_mut(record)?;
        // SAFETY: as for `source_set`.
        Some(unsafe { &mut *blocked })
    }

    #[inline(always)]
    fn is_protected(&self, address: IpAddress) -> bool {
        let [first, second] = address.words();
        is_protected(first, second) != 0
    }

    #[inline(always)]
    fn source_set(&mut self, index: u32) -> Option<&mut SourceSet> {
        let set = maps::SOURCES.get_ptr_mut(index)?;
        // SAFETY: the slot is this CPU's, XDP is not re-entered on a CPU, and the agent only reads.
        Some(unsafe { &mut *set })
    }

    #[inline(always)]
    fn segment(&mut self, index: u32) -> Option<&mut SourceState> {
        let state = maps::SEGMENTS.get_ptr_mut(index)?;
        // SAFETY: as for `source_set`.
        Some(unsafe { &mut *state })
    }

    #[inline(always)]
    fn binding(&self, slot: u32) -> Option<u64> {
        let word = maps::BINDINGS.get_ptr(slot)?;
        // SAFETY: a word at its own alignment, which other CPUs write as a whole.
        Some(unsafe { word.read_volatile() })
    }

    #[inline(always)]
    fn bind(&mut self, slot: u32, word: u64) {
        if let Some(place) = maps::BINDINGS.get_ptr_mut(slot) {
            // SAFETY: as in `binding`; of two CPUs that write, one is the last.
            unsafe { place.write_volatile(word) }
        }
    }

    #[inline(always)]
    fn rule_counter(&mut self, slot: u16) -> Option<&mut RuleCounter> {
        let counter = maps::RULE_HITS.get_ptr_mut(slot.into())?;
        // SAFETY: as for `source_set`.
        Some(unsafe { &mut *counter })
    }

    #[inline(always)]
    fn count(&mut self, decision: Decision, bytes: u64) {
        let index = abi::counter_index(self.interface, decision.reason, decision.verdict);
        if let Some(counter) = maps::COUNTERS.get_ptr_mut(index) {
            // SAFETY: as for `source_set`.
            let counter = unsafe { &mut *counter };
            counter.packets = counter.packets.wrapping_add(1);
            counter.bytes = counter.bytes.wrapping_add(bytes);
        }
    }

    #[inline(always)]
    fn tally(&mut self, tally: Tally) {
        if let Some(count) = maps::TALLIES.get_ptr_mut(tally as u32) {
            // SAFETY: as for `source_set`.
            let count = unsafe { &mut *count };
            *count = count.wrapping_add(1);
        }
    }

    #[inline(always)]
    fn found(&mut self, due: bool, event: impl FnOnce() -> Event) {
        if !due {
            return;
        }
        match maps::EVENTS.reserve_untyped::<Event>(0) {
            Some(mut slot) => {
                slot.write(event());
                slot.submit(0);
                self.tally(Tally::EventsSent);
            }
            None => self.tally(Tally::EventsLost),
        }
    }
}
