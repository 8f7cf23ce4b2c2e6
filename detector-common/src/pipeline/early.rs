//! What is decided of a plain IP packet before anything of it is kept: most packets' way ends here.

use super::{Runtime, blocked, contact};
use crate::{
    config::Config,
    detect::{
        Detector,
        signature::{Search, watch::WatchLists},
    },
    packet::PacketBytes,
    parse::{Ip, Protocol},
    reason::Reason,
    verdict::Decision,
};

/// What becomes of `packet`, which is `ip`, if its source is blocked, or if there is nothing more to ask of it.
#[inline(always)]
pub(super) fn decide<'t, P, R>(packet: &P, ip: &Ip, runtime: &mut R) -> Option<Decision>
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    let config = runtime.config();
    if config.blocks_addresses() || config.blocks_prefixes() {
        let bytes = packet.wire_len() as u64;
        if blocked::is_blocked(ip.source, bytes, runtime.now_ns(), config, runtime) {
            return Some(config.blocked());
        }
    }
    is_of_standing_connection(ip, config, runtime.watch()).then_some(Decision::pass(Reason::Clean))
}

/// Whether it is a segment of a TCP connection that stands, on a port that nobody watches.
#[inline(always)]
fn is_of_standing_connection(ip: &Ip, config: &Config, watch: &WatchLists) -> bool {
    ip.transport.protocol == Protocol::Tcp
        && !contact::tries_or_shows(&ip.transport)
        && !(config.response(Detector::Signature).runs() && Search::of(ip, watch).is_some())
}
