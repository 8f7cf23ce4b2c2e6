//! The way of an IP packet: is its source blocked, and does it deserve a closer look?

use super::{Runtime, contact, headers::Headers, neighbour};
use crate::{
    blocks::{self, AddressHash},
    config::Config,
    detect::{Detector, signature::Search},
    net::IpAddress,
    packet::PacketBytes,
    parse::{Carried, ethernet::Link, parse_transport},
    reason::Reason,
    verdict::Decision,
};

/// What becomes of an IP packet.
#[inline(always)]
pub(super) fn decide<'t, P, R>(
    packet: &P,
    link: &Link,
    source: IpAddress,
    carried: Result<Carried, Reason>,
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
    // Asked before anything else, so that no odd header takes a packet past it.
    if is_blocked(source, bytes, config, runtime) {
        return config.blocked();
    }
    let ip = match carried.and_then(|carried| parse_transport(packet, &carried)) {
        Ok(ip) => ip,
        Err(reason) => return Decision::pass(reason),
    };
    let ip = &ip;
    let makes_contact = contact::is_made(link, &ip.transport);
    let search = if config.response(Detector::Signature).runs() {
        Search::of(ip, table)
    } else {
        None
    };
    if !makes_contact && search.is_none() {
        return match neighbour::Message::of_ndp(packet, link, ip) {
            Some(message) => runtime.decide_neighbour(&message),
            None => Decision::pass(Reason::Clean),
        };
    }

    // The clock is looked at once, and only for who needs it: it may tick while a packet is on its way.
    let now_ns = runtime.now_ns();
    let headers = || Headers::new(packet.wire_len(), link, ip, now_ns);
    let decision = if makes_contact {
        runtime.decide_contact(&headers())
    } else {
        Decision::pass(Reason::Clean)
    };
    match search.and_then(|search| runtime.search(packet, search, table)) {
        Some(found) => runtime.decide_signature(&headers(), found, decision),
        None => decision,
    }
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
