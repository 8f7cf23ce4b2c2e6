//! The way of a packet, straight down: parse, detect, decide, count.
//!
//! It stands here and not in the kernel's crate because `replay` and the tests go the same way. Whoever runs it brings
//! a [`Runtime`]: tables, a clock, a place for reports. Without a table the packet passes, and that is counted.

pub mod arp;
pub mod contact;
mod ip;

use crate::{
    abi::{SignatureCounter, Tally},
    config::{Config, Response},
    detect::signature::{Search, table::SignatureTable},
    event::Event,
    packet::PacketBytes,
    parse::{Network, parse},
    sources::{Source, SourceKey, SourceSet, SourceState, Visit},
    verdict::Decision,
};

/// Where the classifier keeps its state. `'t` is the life of the tables that it only reads.
pub trait Runtime<'t, P: PacketBytes> {
    /// The slot of the interface the packet came in by.
    fn interface(&self) -> u8;
    /// Now, in nanoseconds of a clock that only goes forward.
    fn now_ns(&self) -> u64;
    /// What the operator decided.
    fn config(&self) -> Option<&'t Config>;
    /// What the signature detector looks for.
    fn signatures(&self) -> Option<&'t SignatureTable>;
    /// The signature that `packet` shows, as its row in `table`.
    fn search(&self, packet: &P, search: Search, table: &SignatureTable) -> Option<usize> {
        search.run(packet, table)
    }
    /// What becomes of an ARP message.
    fn decide_arp(&mut self, message: &arp::Message) -> Decision
    where
        Self: Sized,
    {
        arp::decide(message, self)
    }
    /// What becomes of a packet that tries a host or shows that one answers, as far as that goes.
    fn decide_contact(&mut self, contact: &contact::Contact) -> Decision
    where
        Self: Sized,
    {
        contact::decide(contact, self)
    }
    /// The word of a slot of the services.
    fn service(&self, slot: u32) -> Option<u64>;
    /// Writes the word of a slot of the services.
    fn set_service(&mut self, slot: u32, word: u64);
    /// A set of the source table.
    fn source_set(&mut self, index: u32) -> Option<&mut SourceSet>;
    /// The state of a segment, see [`abi::segment_index`].
    fn segment(&mut self, index: u32) -> Option<&mut SourceState>;
    /// The word of a slot of the bindings.
    fn binding(&self, slot: u32) -> Option<u64>;
    /// Writes the word of a slot of the bindings.
    fn bind(&mut self, slot: u32, word: u64);
    /// The counter of a row of the signature table.
    fn signature_counter(&mut self, row: usize) -> Option<&mut SignatureCounter>;
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
    let decision = match parse(packet) {
        Ok(parsed) => match parsed.network {
            Network::Arp(arp) => runtime.decide_arp(&arp::Message::new(packet, &parsed.link, &arp)),
            Network::Ip(ip) => ip::decide(packet, &parsed.link, &ip, runtime),
        },
        Err(reason) => Decision::pass(reason),
    };
    runtime.count(decision, packet.wire_len() as u64);
    decision
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
