//! The way of most packets: a segment of a TCP connection that stands, on a port that nobody watches.

use super::{Runtime, contact};
use crate::{
    detect::{Detector, signature::Search},
    packet::PacketBytes,
    parse::{Ip, Protocol},
};

/// Whether `ip` is such a segment, and nobody is blocked. Whatever else there is to ask of a packet has the same answer for it.
#[inline(always)]
pub(super) fn passes<'t, P: PacketBytes, R: Runtime<'t, P>>(ip: &Ip, runtime: &R) -> bool {
    if ip.transport.protocol != Protocol::Tcp || contact::tries_or_shows(&ip.transport) {
        return false;
    }
    let (Some(config), Some(table)) = (runtime.config(), runtime.signatures()) else {
        return false;
    };
    let is_watched = config.response(Detector::Signature).runs() && Search::of(ip, table).is_some();
    !is_watched && !config.blocks_addresses() && !config.blocks_prefixes()
}
