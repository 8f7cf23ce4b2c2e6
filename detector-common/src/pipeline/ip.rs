//! The way of an IP packet: is its source blocked, does it try a host, and is there a worm's signature in it?

use super::{Runtime, account, contact::Contact, hand_on, unless_protected};
use crate::{
    blocks::{self, AddressHash},
    config::Config,
    detect::{
        Detector,
        signature::{Found, Search},
    },
    event::{Event, Head, Reach, Target},
    net::IpAddress,
    packet::PacketBytes,
    parse::{Carried, Ip, ethernet::Link, parse_transport},
    proof::{Handshake, Proof},
    reason::Reason,
    sources::{Companion, SourceKey},
    verdict::{Decision, Verdict},
};

/// What becomes of an IP packet.
#[inline(always)]
pub(super) fn decide<'t, P, R>(
    packet: &P,
    link: &Link,
    carried: &Carried,
    runtime: &mut R,
) -> Decision
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    let (Some(config), Some(table)) = (runtime.config(), runtime.signatures()) else {
        return Decision::pass(Reason::StateMissing);
    };
    let bytes = packet.wire_len() as u64;
    if is_blocked(carried.source, bytes, config, runtime) {
        return config.blocked();
    }
    let ip = match parse_transport(packet, carried) {
        Ok(ip) => ip,
        Err(reason) => return Decision::pass(reason),
    };
    let ip = &ip;
    // The clock is looked at once, and only by who needs it: it may tick while a packet is on its way.
    let mut now_ns = None;
    let decision = match Contact::of(packet, link, ip, || *now_ns.insert(runtime.now_ns())) {
        Some(contact) => runtime.decide_contact(&contact),
        None => Decision::pass(Reason::Clean),
    };
    let response = config.response(Detector::Signature);
    if !response.runs() {
        return decision;
    }
    let Some(found) =
        Search::of(ip, table).and_then(|search| runtime.search(packet, search, table))
    else {
        return decision;
    };

    let Found {
        row,
        id,
        acknowledged,
    } = found;
    let key = SourceKey::of_host(id, runtime.interface(), link.vlan, ip.source);
    let so_far = decision;
    let mut decision = unless_protected(runtime, ip.source, response.decide(Reason::Signature));
    if decision.verdict == Verdict::PASS {
        decision.verdict = so_far.verdict;
    }
    let dropped = decision.verdict == Verdict::DROP;
    if let Some(counter) = runtime.signature_counter(row) {
        counter.packets = counter.packets.wrapping_add(1);
        counter.bytes = counter.bytes.wrapping_add(bytes);
        counter.dropped = counter.dropped.wrapping_add(u64::from(dropped));
    }
    let companion = Companion::mac(link.source);
    let now_ns = now_ns.unwrap_or_else(|| runtime.now_ns());
    let report = account(runtime, &key, config, now_ns, true, |source| {
        source.state.see(now_ns, bytes, companion);
        let objections = &mut source.state.objections;
        objections.flag(dropped);
        objections.report(now_ns, config.report_interval_ns)
    });
    // A source without an entry cannot be said not to have been reported: then it is not, and its packet counted.
    let count = report.unwrap_or(0);
    let proof = if count == 0 {
        Proof::SPOOFABLE
    } else {
        runtime.prove(ip.source, claim(ip, acknowledged))
    };
    hand_on(runtime, response, count != 0, || Event {
        head: Head::new(decision, bytes as u32),
        at_ns: now_ns,
        key,
        companion,
        target: Target::of_ip(ip),
        count: count.max(1),
        reach: Reach::default(),
        proof,
    });
    decision
}

/// Whether `source` is blocked. Then its packet of `bytes` is counted.
///
/// VERIFIER: every way not to be blocked ends at once, so that all of them go on as one.
#[inline(always)]
fn is_blocked<'t, P: PacketBytes, R: Runtime<'t, P>>(
    source: IpAddress,
    bytes: u64,
    config: &Config,
    runtime: &mut R,
) -> bool {
    if config.blocks_addresses() {
        let address = AddressHash::new(source, config.hash_seed);
        let record = runtime
            .block_set(address.set())
            .map_or(blocks::NO_RECORD, |set| set.find(address));
        // A part of the hash was compared, so it may be another's.
        if runtime
            .block(record)
            .is_some_and(|block| block.address == source && block.until_ns > runtime.now_ns())
        {
            charge(record, bytes, runtime);
            return true;
        }
    }
    if config.blocks_prefixes() {
        let record = runtime.blocked_prefix(source).unwrap_or(blocks::NO_RECORD);
        if runtime
            .block(record)
            .is_some_and(|block| block.until_ns > runtime.now_ns())
        {
            charge(record, bytes, runtime);
            return true;
        }
    }
    false
}

/// Counts a packet of `bytes` that a block costs its source.
#[inline(always)]
fn charge<'t, P: PacketBytes, R: Runtime<'t, P>>(record: u32, bytes: u64, runtime: &mut R) {
    let now_ns = runtime.now_ns();
    if let Some(blocked) = runtime.blocked(record) {
        blocked.packets = blocked.packets.wrapping_add(1);
        blocked.bytes = blocked.bytes.wrapping_add(bytes);
        blocked.last_ns = now_ns;
    }
}

/// What is asked of [`prove`]: the client's port and the server's in the lower half, what is acknowledged in the upper.
#[inline(always)]
fn claim(ip: &Ip, acknowledged: u32) -> u64 {
    u64::from(ip.transport.source_port())
        | u64::from(ip.transport.destination_port()) << 16
        | u64::from(acknowledged) << 32
}

/// What a client proves by its `claim`.
#[inline(always)]
pub fn prove<'t, P, R>(client: IpAddress, claim: u64, runtime: &mut R) -> Proof
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    let acknowledged = (claim >> 32) as u32;
    let Some(config) = runtime.config() else {
        return Proof::SPOOFABLE;
    };
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
    handshake.proof(word, acknowledged)
}
