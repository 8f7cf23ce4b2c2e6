//! The way of an IP packet of a source that is not blocked: does it deserve a closer look?

use super::{Runtime, contact, headers::Headers, signature};
use crate::{
    config::Config,
    detect::{
        Detector,
        signature::{Search, watch::Watched},
    },
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
    let decision = if contact::is_made(headers, &ip.transport) {
        contact::decide(headers, runtime)
    } else {
        Decision::pass(Reason::Clean)
    };
    if !config.response(Detector::Signature).runs() {
        return decision;
    }
    let watch = runtime.watch();
    if let Some(search) = Search::of(&ip, watch) {
        return runtime.inspect(packet, headers, search, decision);
    }
    let Watched { to, from, .. } = watch.of(&ip.transport);
    if ip.transport.tcp().flags.0 & TcpFlags::SYN.0 != 0 && to | from != 0 {
        signature::begin::<P, R>(headers, runtime);
    }
    decision
}
