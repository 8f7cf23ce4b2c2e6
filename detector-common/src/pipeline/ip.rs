//! The way of an IP packet: does it try a host, and is there a worm's signature in it?

use super::{Runtime, account, contact::Contact, hand_on};
use crate::{
    detect::{Detector, signature::Search},
    event::{Event, Head, Reach, Target},
    packet::PacketBytes,
    parse::{Ip, ethernet::Link},
    reason::Reason,
    sources::{Companion, SourceKey},
    verdict::{Decision, Verdict},
};

/// What becomes of an IP packet.
#[inline(always)]
pub(super) fn decide<'t, P, R>(packet: &P, link: &Link, ip: &Ip, runtime: &mut R) -> Decision
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    let (Some(config), Some(table)) = (runtime.config(), runtime.signatures()) else {
        return Decision::pass(Reason::StateMissing);
    };
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
    let Some(row) = Search::of(ip, table).and_then(|search| runtime.search(packet, search, table))
    else {
        return decision;
    };

    let decision = response.decide(Reason::Signature);
    let dropped = decision.verdict == Verdict::Drop;
    let bytes = packet.wire_len() as u64;
    if let Some(counter) = runtime.signature_counter(row) {
        counter.packets = counter.packets.wrapping_add(1);
        counter.bytes = counter.bytes.wrapping_add(bytes);
        counter.dropped = counter.dropped.wrapping_add(u64::from(dropped));
    }
    let key = SourceKey::of_host(table.id(row), runtime.interface(), link.vlan, ip.source);
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
    hand_on(runtime, response, count != 0, || Event {
        head: Head::new(decision, bytes as u32),
        at_ns: now_ns,
        key,
        companion,
        target: Target::of_ip(ip),
        count: count.max(1),
        reach: Reach::default(),
    });
    decision
}
