//! The way of a packet that matches a rule: who does it come from, and how sure is that?

use super::{Runtime, account, hand_on, headers::Headers, unless_protected};
use crate::{
    abi::Tally,
    detect::{
        Detector,
        signature::{
            Found, Search,
            carry::{Carry, Segment},
            flowbits::Flow,
            watch::Watched,
        },
    },
    event::{Event, Head, Reach},
    net::{IpAddress, TcpFlags},
    packet::PacketBytes,
    proof::{Handshake, Proof},
    reason::Reason,
    sources::{Companion, SourceKey},
    verdict::{Decision, Verdict},
};

/// What becomes of a packet whose ports rules watch, and of which this became so far.
#[inline(always)]
pub fn inspect<'t, P, R>(
    packet: &P,
    headers: &Headers,
    search: Search,
    so_far: Decision,
    runtime: &mut R,
) -> Decision
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    let found = runtime.search(packet, headers, search);
    conclude(packet, headers, found, so_far, runtime)
}

/// What becomes of a packet in which this was found, if anything was, and of which this became so far.
#[inline(always)]
pub fn conclude<'t, P, R>(
    packet: &P,
    headers: &Headers,
    found: Option<Found>,
    so_far: Decision,
    runtime: &mut R,
) -> Decision
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    let decision = match found {
        Some(found) => decide(headers, found, so_far, runtime),
        None => so_far,
    };
    // What is dropped does not come, and when it is sent again it comes behind the same.
    if decision.verdict.passes() {
        runtime.carry_on(packet, headers);
    } else {
        hold_back::<P, R>(headers, runtime);
    }
    decision
}

/// Takes note of a segment that begins a connection: on watched ports nothing of one before is carried on into it.
#[inline(always)]
pub fn begin<'t, P, R>(headers: &Headers, runtime: &mut R)
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    let transport = headers.transport();
    let Watched {
        generation,
        to,
        from,
    } = runtime.watch().of(&transport);
    if to | from != 0 {
        carried::<P, R, _>(headers, runtime, |segment, carry| carry.begin(segment));
    }
    let accepts = transport.tcp().flags.0 & TcpFlags::ACK.0 != 0;
    begin_bits::<P, R>(headers, accepts, generation, runtime);
}

/// Forgets the bits of the connection before that had the same ends, if the packet accepts the next one, and the other end has begun that: who would be rid of
/// its bits could say either, and the other end takes no notice of it.
#[inline(always)]
fn begin_bits<'t, P, R>(headers: &Headers, accepts: bool, generation: u8, runtime: &mut R)
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    let names = runtime.flow_names(generation);
    if names == 0 {
        return;
    }
    let flow = Flow::of(&headers.ip(), names, runtime.config().hash_seed);
    let (place, second) = (flow.place(), flow.place().wrapping_add(1));
    if !flow.is_in(runtime.flow_word(place).unwrap_or(0)) {
        return;
    }
    let bits = runtime.flow_word(second).unwrap_or(0);
    if !accepts {
        runtime.set_flow_word(second, bits | flow.begun());
    } else if bits & flow.begun_by_other() != 0 {
        runtime.set_flow_word(place, 0);
    }
}

/// Takes note of a segment that is dropped.
#[inline(always)]
fn hold_back<'t, P, R>(headers: &Headers, runtime: &mut R)
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    carried::<P, R, _>(headers, runtime, |segment, carry| carry.hold::<P>(segment));
}

/// Gives `note` the segment and what is kept where its connection has its place; nothing if there is none.
#[inline(always)]
fn carried<'t, P, R, N>(
    headers: &Headers,
    runtime: &mut R,
    note: impl FnOnce(&Segment, &mut Carry) -> N,
) -> Option<N>
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    let seed = runtime.config().hash_seed;
    let segment = headers.segment(runtime.interface(), seed)?;
    Some(note(&segment, runtime.carry(segment.slot)?))
}

/// Takes note of a segment that passes, for what comes behind it.
#[inline(always)]
pub fn carry_on<'t, P, R>(packet: &P, headers: &Headers, runtime: &mut R)
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    let is_bare = runtime.is_bare();
    let is_lost = carried::<P, R, _>(headers, runtime, |segment, carry| {
        carry.take(segment, is_bare, packet)
    });
    if is_lost == Some(true) {
        runtime.tally(Tally::SegmentsNotFollowed);
    }
}

/// What becomes of a packet in which this was found, and of which this became so far.
#[inline(always)]
fn decide<'t, P, R>(headers: &Headers, found: Found, so_far: Decision, runtime: &mut R) -> Decision
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    let config = runtime.config();
    if found.only_counts() {
        count(headers, found.slot(), false, runtime);
        return so_far;
    }
    let (slot, drops, acknowledged) = (found.slot(), found.drops, found.acknowledged);
    let response = config.response(Detector::Signature).of_rule(drops);
    let source = headers.source;
    let key = SourceKey::of_host(slot, runtime.interface(), headers.vlan(), source);
    let mut decision = unless_protected(runtime, source, response.decide(Reason::Signature));
    let dropped = decision.verdict == Verdict::DROP;
    if decision.verdict == Verdict::PASS && so_far.verdict != Verdict::PASS {
        // Another detector's doing, and counted and told as that.
        decision = so_far;
    }
    count(headers, slot, dropped, runtime);
    let bytes = headers.bytes().into();
    let companion = Companion::mac(headers.source_mac());
    let now_ns = headers.now_ns;
    let report = account(runtime, &key, config, now_ns, true, |source| {
        source.state.see(now_ns, bytes, companion);
        let objections = &mut source.state.objections;
        objections.flag(dropped);
        if found.is_told() {
            objections.report(now_ns, config.report_interval_ns)
        } else {
            0
        }
    });
    // A source without an entry cannot be said not to have been reported: then it is not, and its packet counted.
    let count = report.unwrap_or(0);
    let proof = if count == 0 {
        Proof::SPOOFABLE
    } else {
        runtime.prove(source, claim(headers, acknowledged), now_ns)
    };
    hand_on(runtime, response, count != 0, || Event {
        head: Head::new(decision, headers.bytes()),
        at_ns: now_ns,
        key,
        companion,
        target: headers.target(),
        count: count.max(1),
        reach: Reach::default(),
        proof,
    });
    decision
}

/// What is told of a packet with these headers, which came in by `interface`, for which a rule holds that is only decided now: this became of it
/// before. It may be anybody's: a handshake is looked up where packets are decided.
#[must_use]
pub fn told_later(headers: &Headers, slot: u16, interface: u8, decision: Decision) -> Event {
    Event {
        head: Head::new(
            Decision {
                reason: Reason::Signature,
                ..decision
            },
            headers.bytes(),
        ),
        at_ns: headers.now_ns,
        key: SourceKey::of_host(slot, interface, headers.vlan(), headers.source),
        companion: Companion::mac(headers.source_mac()),
        target: headers.target(),
        count: 1,
        reach: Reach::default(),
        proof: Proof::SPOOFABLE,
    }
}

/// Counts a packet for the rule that is counted in this slot.
#[inline(always)]
fn count<'t, P, R>(headers: &Headers, slot: u16, dropped: bool, runtime: &mut R)
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    if let Some(counter) = runtime.rule_counter(slot) {
        counter.packets = counter.packets.wrapping_add(1);
        counter.bytes = counter.bytes.wrapping_add(headers.bytes().into());
        counter.dropped = counter.dropped.wrapping_add(u64::from(dropped));
        counter.last_ns = headers.now_ns;
    }
}

/// What is asked of [`prove`]: the client's port and the server's in the lower half, what is acknowledged in the upper.
#[inline(always)]
fn claim(headers: &Headers, acknowledged: u32) -> u64 {
    let transport = headers.transport();
    u64::from(transport.source_port())
        | u64::from(transport.destination_port()) << 16
        | u64::from(acknowledged) << 32
}

/// What a client proves by its `claim`.
#[inline(always)]
pub fn prove<'t, P, R>(client: IpAddress, claim: u64, now_ns: u64, runtime: &mut R) -> Proof
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    let acknowledged = (claim >> 32) as u32;
    let config = runtime.config();
    // Servers inside have clients outside.
    if acknowledged == 0 || config.is_lan(runtime.interface()) {
        return Proof::SPOOFABLE;
    }
    let handshake = Handshake::new(client, claim as u16, (claim >> 16) as u16, config.hash_seed);
    let word = runtime.handshake(handshake.slot()).unwrap_or(0);
    if !handshake.is_in(word) {
        return Proof::SPOOFABLE;
    }
    runtime.set_handshake(handshake.slot(), 0);
    handshake.proof(word, acknowledged, now_ns)
}
