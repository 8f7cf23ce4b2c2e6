//! The way of an IP packet of a source that is not blocked: does it deserve a closer look?

use super::{Runtime, contact, headers::Headers};
use crate::{
    config::Config,
    detect::{Detector, signature::Search},
    packet::PacketBytes,
    reason::Reason,
    verdict::Decision,
};

/// What becomes of an IP packet.
#[inline(always)]
pub(super) fn decide<'t, P, R>(
    packet: &P,
    headers: &Headers,
    config: &Config,
    runtime: &mut R,
) -> Decision
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    let ip = headers.ip();
    let search = if config.response(Detector::Signature).runs() {
        Search::of(&ip, runtime.watch())
    } else {
        None
    };
    // VERIFIER: searched before the contact is looked at, or each of a contact's ways would be followed through the search.
    let found = search.and_then(|search| runtime.search(packet, headers, search));
    let decision = if contact::is_made(headers, &ip.transport) {
        contact::decide(headers, runtime)
    } else {
        Decision::pass(Reason::Clean)
    };
    match found {
        Some(found) => runtime.decide_signature(headers, found, decision),
        None => decision,
    }
}
