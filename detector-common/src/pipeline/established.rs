//! The way of most packets: a segment of a TCP connection that stands, on a port that nobody watches.

use super::{Runtime, blocked, contact};
use crate::{
    detect::{Detector, signature::Search},
    packet::PacketBytes,
    parse::{Ip, Protocol},
    reason::Reason,
    verdict::Decision,
};

/// What becomes of `packet` if `ip` is such a segment: there is nothing to ask of it but whether its source is blocked.
#[inline(always)]
pub(super) fn decide<'t, P, R>(packet: &P, ip: &Ip, runtime: &mut R) -> Option<Decision>
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    if ip.transport.protocol != Protocol::Tcp || contact::tries_or_shows(&ip.transport) {
        return None;
    }
    let (config, table) = (runtime.config(), runtime.signatures());
    if config.response(Detector::Signature).runs() && Search::of(ip, table).is_some() {
        return None;
    }
    if config.blocks_addresses() || config.blocks_prefixes() {
        let bytes = packet.wire_len() as u64;
        if blocked::is_blocked(ip.source, bytes, runtime.now_ns(), config, runtime) {
            return Some(config.blocked());
        }
    }
    Some(Decision::pass(Reason::Clean))
}
