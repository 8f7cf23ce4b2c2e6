//! What few packets that make a contact need: those of a scan, and those that find that a host should have answered by now.

use super::{Trial, rule, standing};
use crate::{
    event::{Event, Head, Reach},
    packet::PacketBytes,
    pipeline::{Runtime, hand_on, headers::Headers, unless_protected},
    proof::Proof,
    reason::Reason,
    services::{ServiceHash, Standing},
    sources::Companion,
    verdict::{Decision, Verdict},
};

/// What becomes of such a packet, whose source tried the service with the hash `due` as long ago as an answer takes; 0 is none.
#[inline(always)]
pub fn judge<'t, P, R>(headers: &Headers, due: u64, runtime: &mut R) -> Decision
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    let passed = Decision::pass(Reason::Clean);
    let config = runtime.config();
    let now_ns = headers.now_ns;
    let interface = runtime.interface();
    let transport = &headers.transport();
    let (detector, reason, rule) = rule(transport.protocol, config);
    let response = config.response(detector);
    let Trial {
        service,
        by_lan,
        key,
    } = Trial::new(headers, transport, config, interface);
    let answers = standing(service, by_lan, runtime) == Standing::ANSWERS;
    let due_standing = standing(ServiceHash::from_word(due), by_lan, runtime);
    let hash = key.hash(config.hash_seed);
    let set = key.set(hash, config.is_lan(interface));
    let source = runtime.source_set(set).and_then(|set| set.known(hash));
    let Some(source) = source else {
        return passed;
    };
    if due != 0 {
        source.scan_mut().judge(due_standing);
    }
    // Who tries what answers harms nobody by it, and a scan can be forged: its victim keeps what it uses.
    if !source.scan().is_scan(rule) || answers {
        return passed;
    }
    let conforms = response.limits() && source.state.bucket.take(&rule.limit, now_ns);
    let decision = if conforms {
        Decision::pass(reason)
    } else {
        unless_protected(runtime, headers.source, response.decide(reason))
    };
    let source = runtime.source_set(set).and_then(|set| set.known(hash));
    let Some(source) = source else {
        return decision;
    };
    let objections = &mut source.state.objections;
    objections.flag(decision.verdict == Verdict::DROP);
    let count = objections.report(now_ns, config.report_interval_ns);
    let reach = Reach::of_scan(source.scan());
    hand_on(runtime, response, count != 0, || Event {
        head: Head::new(decision, headers.bytes()),
        at_ns: now_ns,
        key,
        companion: Companion::mac(headers.source_mac()),
        target: headers.target(),
        count: count.max(1),
        reach,
        proof: Proof::SPOOFABLE,
    });
    decision
}
