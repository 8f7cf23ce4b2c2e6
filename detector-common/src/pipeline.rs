//! The way of a packet, straight down: parse, detect, decide, count.
//!
//! It stands here and not in the kernel's crate because `replay` and the tests go the same way. Whoever runs it brings
//! a [`Runtime`]: tables, a clock, a place for reports. Without a table the packet passes, and that is counted.

mod blocked;
pub mod contact;
mod early;
pub mod headers;
mod ip;
pub mod neighbour;
pub mod parsed;
pub mod signature;

use bytemuck::Zeroable as _;
use headers::Headers;
use parsed::{Kind, Parsed};

use crate::{
    abi::{RuleCounter, Tally},
    blocks::{Block, BlockSet, Blocked},
    config::{Config, Response},
    detect::signature::{Found, Search, carry::Carry, watch::WatchLists},
    event::Event,
    net::IpAddress,
    packet::PacketBytes,
    parse::{Network, Packet},
    proof::Proof,
    reason::Reason,
    sources::{Source, SourceKey, SourceSet, SourceState, Visit},
    verdict::{Decision, Verdict},
};

/// Where the classifier keeps its state. `'t` is the life of the tables that it only reads.
pub trait Runtime<'t, P: PacketBytes> {
    /// The slot of the interface the packet came in by.
    fn interface(&self) -> u8;
    /// Whether a frame says who sent it. Not in every capture: a cooked one of a tunnel has no MACs.
    fn knows_senders(&self) -> bool {
        true
    }
    /// Now, in nanoseconds of a clock that only goes forward.
    fn now_ns(&self) -> u64;
    /// What the operator decided.
    fn config(&self) -> &'t Config;
    /// Which ports rules watch.
    fn watch(&self) -> &'t WatchLists;
    /// What `packet` is if it is plain, see [`crate::parse::plain`]. It may be `None` for every packet: all that is plain is faster.
    fn plain(&self, _packet: &P) -> Option<Packet> {
        None
    }
    /// Parses `packet`, unless it is `plain`, and goes on with it; `None` if there is no place for what was parsed. Of a plain one `early.rs` has
    /// asked already whether its source is blocked, and it is not asked again.
    fn parse(
        &mut self,
        packet: &P,
        plain: Option<Packet>,
        go_on: impl FnOnce(&mut Self, &Parsed) -> Decision,
    ) -> Option<Decision>
    where
        Self: Sized,
    {
        let mut parsed = Parsed::zeroed();
        match plain {
            Some(plain) => parsed.keep(packet, &plain, self.now_ns()),
            None => parsed.read(packet, self.now_ns()),
        }
        Some(go_on(self, &parsed))
    }
    /// What becomes of a message of ARP or of neighbour discovery that asks all. This and the next three are always given what [`Self::parse`]
    /// gave: the kernel's functions take it from where that left it.
    fn decide_request(&mut self, message: &neighbour::Message) -> Decision
    where
        Self: Sized,
    {
        neighbour::request(message, self)
    }
    /// What becomes of one that answers or announces.
    fn decide_answer(&mut self, message: &neighbour::Message) -> Decision
    where
        Self: Sized,
    {
        neighbour::answer(message, self)
    }
    /// What becomes of one that claims what is another's, and of which this became so far.
    fn decide_spoof(&mut self, message: &neighbour::Message, so_far: Decision) -> Decision
    where
        Self: Sized,
    {
        neighbour::spoof(message, so_far, self)
    }
    /// What becomes of a packet that tries a host and is one of a scan, or finds that a host should have answered, see [`contact::judge`].
    fn judge(&mut self, headers: &Headers, due: u64) -> Decision
    where
        Self: Sized,
    {
        contact::judge(headers, due, self)
    }
    /// What becomes of `packet`, whose ports rules watch, and of which this became so far. In the kernel a program of its own takes it from
    /// here and does all that is left, so that this comes back only if there is no such program.
    fn inspect(
        &mut self,
        packet: &P,
        headers: &Headers,
        search: Search,
        so_far: Decision,
    ) -> Decision
    where
        Self: Sized,
    {
        signature::inspect(packet, headers, search, so_far, self)
    }
    /// What `packet`, of which these are the headers, matches; see [`crate::detect::signature::inspect`].
    fn search(&mut self, packet: &P, headers: &Headers, search: Search) -> Option<Found>;
    /// Takes note of a segment that begins a connection, see [`signature::begin`].
    fn begin(&mut self, headers: &Headers)
    where
        Self: Sized,
    {
        signature::begin::<P, Self>(headers, self);
    }
    /// Takes note of a segment on watched ports that passes, see [`signature::carry_on`].
    fn carry_on(&mut self, packet: &P, headers: &Headers)
    where
        Self: Sized,
    {
        signature::carry_on(packet, headers, self);
    }
    /// Whether the last [`Self::search`] found nothing in the packet that rules look for, see [`Workspace::is_bare`].
    ///
    /// [`Workspace::is_bare`]: crate::detect::signature::workspace::Workspace::is_bare
    fn is_bare(&self) -> bool;
    /// What is kept of the connection in a slot. Where there is nothing, each packet is looked at by itself.
    fn carry(&mut self, _slot: u32) -> Option<&mut Carry> {
        None
    }
    /// A hash of what bits of connections are called in this generation of the rules; 0 if no rule asks for any.
    fn flow_names(&self, generation: u8) -> u64;
    /// The word at a place of [`crate::detect::signature::flowbits`].
    fn flow_word(&self, place: u32) -> Option<u64>;
    /// Writes that word.
    fn set_flow_word(&mut self, place: u32, word: u64);
    /// What a client proves by its `claim`, see [`signature::prove`].
    fn prove(&mut self, client: IpAddress, claim: u64, now_ns: u64) -> Proof
    where
        Self: Sized,
    {
        signature::prove(client, claim, now_ns, self)
    }
    /// The word of a slot of the services.
    fn service(&self, slot: u32) -> Option<u64>;
    /// Writes the word of a slot of the services.
    fn set_service(&mut self, slot: u32, word: u64);
    /// The word of a slot of the handshakes.
    fn handshake(&self, slot: u32) -> Option<u64>;
    /// Writes the word of a slot of the handshakes.
    fn set_handshake(&mut self, slot: u32, word: u64);
    /// A set of the blocked addresses. Where this and the next four are not there, nobody is blocked and nobody is protected.
    fn block_set(&self, _index: u32) -> Option<BlockSet> {
        None
    }
    /// The record of the longest prefix that is blocked and holds `address`.
    fn blocked_prefix(&self, _address: IpAddress) -> Option<u32> {
        None
    }
    /// The block of a record.
    fn block(&self, _record: u32) -> Option<Block> {
        None
    }
    /// What the block of a record cost its source.
    fn blocked(&mut self, _record: u32) -> Option<&mut Blocked> {
        None
    }
    /// Whether nothing may be done against who has this address.
    fn is_protected(&self, _address: IpAddress) -> bool {
        false
    }
    /// A set of the source table.
    fn source_set(&mut self, index: u32) -> Option<&mut SourceSet>;
    /// The state of a segment, see [`abi::segment_index`].
    fn segment(&mut self, index: u32) -> Option<&mut SourceState>;
    /// The word of a slot of the bindings.
    fn binding(&self, slot: u32) -> Option<u64>;
    /// Writes the word of a slot of the bindings.
    fn bind(&mut self, slot: u32, word: u64);
    /// The counter of a rule.
    fn rule_counter(&mut self, slot: u16) -> Option<&mut RuleCounter>;
    /// Counts a packet of `bytes`.
    fn count(&mut self, decision: Decision, bytes: u64);
    /// Counts something that befell the tables themselves.
    fn tally(&mut self, tally: Tally);
    /// Hands on a finding; `due` if the agent is to hear of it now.
    ///
    /// VERIFIER: the event is made in its place in the ring buffer, for the stack has no room for it.
    fn found(&mut self, due: bool, event: impl FnOnce() -> Event);
}

/// What becomes of a packet.
#[inline(always)]
pub fn classify<'t, P, R>(packet: &P, runtime: &mut R) -> Decision
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    let plain = runtime.plain(packet);
    let early = match &plain {
        Some(Packet {
            network: Network::Ip(ip),
            ..
        }) => early::decide(packet, ip, runtime),
        _ => None,
    };
    let decision = match early {
        Some(decision) => decision,
        None => runtime
            .parse(packet, plain, |runtime, parsed| {
                decide(packet, parsed, runtime)
            })
            .unwrap_or(Decision::pass(Reason::StateMissing)),
    };
    runtime.count(decision, packet.wire_len() as u64);
    decision
}

/// What becomes of a packet that was parsed.
#[inline(always)]
fn decide<'t, P, R>(packet: &P, parsed: &Parsed, runtime: &mut R) -> Decision
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    let kind = parsed.kind();
    if kind == Kind::UNKNOWN {
        return Decision::pass(parsed.reason());
    }
    let config = runtime.config();
    if kind != Kind::ARP {
        let headers = parsed.headers();
        let bytes = packet.wire_len() as u64;
        // Asked before anything else, so that no odd header takes a packet past it.
        if kind != Kind::PLAIN_IP
            && blocked::is_blocked(headers.source, bytes, headers.now_ns, config, runtime)
        {
            return config.blocked();
        }
        if kind == Kind::IP_UNKNOWN {
            let reason = parsed.reason();
            if reason == Reason::FirstFragmentTooShort {
                let decision = config.short_first_fragment();
                return unless_protected(runtime, headers.source, decision);
            }
            return Decision::pass(reason);
        }
        if kind != Kind::DISCOVERY {
            return ip::decide(packet, headers, config, runtime);
        }
    }
    neighbour::decide(parsed.message(), runtime)
}

/// Runs `step` on the state of a source; `None` if it has no entry and gets none.
#[inline(always)]
fn account<'t, P: PacketBytes, R: Runtime<'t, P>, T>(
    runtime: &mut R,
    key: &SourceKey,
    config: &Config,
    now_ns: u64,
    offender: bool,
    step: impl FnOnce(&mut Source) -> T,
) -> Option<T> {
    let hash = key.hash(config.hash_seed);
    let is_lan = config.is_lan(runtime.interface());
    let set = runtime.source_set(key.set(hash, is_lan))?;
    match set.visit(key, hash, now_ns, offender, step) {
        Visit::Known(result) => Some(result),
        Visit::Displaced(result) => {
            runtime.tally(Tally::SourcesDisplaced);
            Some(result)
        }
        Visit::Refused => {
            runtime.tally(Tally::SourcesRefused);
            None
        }
    }
}

/// A decision on a packet of `source`, or that it passes though a detector objects: nothing is done against who is protected.
#[inline(always)]
fn unless_protected<'t, P: PacketBytes, R: Runtime<'t, P>>(
    runtime: &mut R,
    source: IpAddress,
    decision: Decision,
) -> Decision {
    if decision.verdict != Verdict::PASS && runtime.is_protected(source) {
        runtime.tally(Tally::ProtectedSpared);
        return Decision::pass(decision.reason);
    }
    decision
}

/// Hands a finding on if it is reported at all.
#[inline(always)]
fn hand_on<'t, P: PacketBytes, R: Runtime<'t, P>>(
    runtime: &mut R,
    response: Response,
    due: bool,
    event: impl FnOnce() -> Event,
) {
    runtime.found(response.reports() && due, event);
}
