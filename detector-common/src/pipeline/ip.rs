//! The way of an IP packet of a source that is not blocked: does it deserve a closer look?

use super::{Runtime, contact, headers::Headers};
use crate::{
    config::Config,
    detect::{Detector, signature::Search},
    net::TcpFlags,
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
    if ip.transport.tcp().flags.0 & TcpFlags::SYN.0 != 0 {
        runtime.begin(headers);
    }
    let decision = if contact::is_made(headers, &ip.transport) {
        contact::decide(headers, runtime)
    } else {
        Decision::pass(Reason::Clean)
    };
    let search = if config.response(Detector::Signature).runs() {
        Search::of(&ip, runtime.watch())
    } else {
        None
    };
    match search {
        Some(search) => runtime.inspect(packet, headers, search, decision),
        None => decision,
    }
}
