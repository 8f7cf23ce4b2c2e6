//! The way of a message of ARP or of neighbour discovery: whose address does it claim, and does its sender ask or answer too much?

mod answer;
mod claim;
mod message;
mod request;

pub use self::{answer::answer, claim::spoof, message::Message, request::request};
use super::{Runtime, account, hand_on};
use crate::{
    bindings::AddressHash,
    config::{Config, Response},
    detect::Detector,
    event::{Event, Head, Reach, Target},
    neighbour::{Class, Family},
    net::{IpAddress, IpProtocol, MacAddress},
    packet::PacketBytes,
    parse::ethernet::Link,
    proof::Proof,
    reason::Reason,
    sources::{ArpSender, Companion, Objections, Source, SourceKey, SourceState},
    verdict::{Decision, Verdict},
};

/// A message on its way, with what every step needs to know.
struct OnItsWay<'m> {
    message: &'m Message,
    link: Link,
    family: Family,
    interface: u8,
    config: &'m Config,
}

/// What becomes of a message.
#[inline(always)]
pub(super) fn decide<'t, P, R>(message: &Message, runtime: &mut R) -> Decision
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    let on_its_way = OnItsWay::new(message, runtime);
    let (class, passed) = (message.class(), message.passed());
    if class == Class::PROBE || !on_its_way.is_watched() {
        return passed;
    }
    let is_foreign = on_its_way.claims_foreign(runtime);
    let decision = if class == Class::REQUEST {
        runtime.decide_request(message)
    } else if class == Class::UNICAST_REQUEST {
        passed
    } else {
        runtime.decide_answer(message)
    };
    if is_foreign {
        runtime.decide_spoof(message, decision)
    } else {
        decision
    }
}

impl<'m> OnItsWay<'m> {
    #[inline(always)]
    fn new<'t: 'm, P: PacketBytes, R: Runtime<'t, P>>(message: &'m Message, runtime: &R) -> Self {
        Self {
            message,
            link: message.link(),
            family: message.family(),
            interface: runtime.interface(),
            config: runtime.config(),
        }
    }

    /// Whether any detector looks at it.
    #[inline(always)]
    fn is_watched(&self) -> bool {
        self.response(Detector::ArpFlood).runs()
            | self.response(Detector::ArpSweep).runs()
            | self.response(Detector::ArpSpoof).runs()
    }

    /// Runs `step` on what is known of the sender, and gives what it gives; 0 if there is no room to know anything.
    #[inline(always)]
    fn account<'t, P: PacketBytes, R: Runtime<'t, P>>(
        &self,
        runtime: &mut R,
        step: impl FnOnce(&mut Source) -> u64,
    ) -> u64 {
        let (key, now_ns) = (self.sender(), self.message.now_ns);
        account(runtime, &key, self.config, now_ns, false, step).unwrap_or(0)
    }

    /// The key of who sent the message.
    #[inline(always)]
    fn sender(&self) -> SourceKey {
        self.key_of(self.link.source)
    }

    #[inline(always)]
    fn key_of(&self, sender: MacAddress) -> SourceKey {
        SourceKey::of_sender(self.interface, self.link.vlan, sender)
            .under(self.family.detector(Detector::ArpFlood))
    }

    #[inline(always)]
    fn response(&self, detector: Detector) -> Response {
        self.config.response(self.family.detector(detector))
    }

    #[inline(always)]
    fn decide(&self, response: Response, reason: Reason) -> Decision {
        response.decide(self.family.reason(reason))
    }

    /// Every host of IPv6 has addresses of several networks, so they tell nothing.
    #[inline(always)]
    fn take_note_of_claim(&self, sender: &mut ArpSender) {
        if self.family == Family::ARP {
            sender.speaks_for(self.message.claimed);
        }
    }

    #[inline(always)]
    fn companion(&self) -> Companion {
        if self.family == Family::ARP {
            Companion::ip(self.message.claimed)
        } else {
            // An IPv6 address has no room.
            Companion::default()
        }
    }

    #[inline(always)]
    fn see(&self, state: &mut SourceState) {
        state.see(self.message.now_ns, self.message.bytes(), self.companion());
    }

    /// Takes note of an objection to this message: the messages that a report stands for, 0 if none is due.
    #[inline(always)]
    fn object(&self, objections: &mut Objections, decision: Decision) -> u64 {
        objections.flag(decision.verdict == Verdict::DROP);
        objections.report(self.message.now_ns, self.config.report_interval_ns)
    }

    #[inline(always)]
    fn about(&self, address: IpAddress) -> Target {
        let protocol = IpProtocol::ICMPV6.0.wrapping_mul(self.family.number());
        Target::new(address, 0, 0, protocol)
    }

    #[inline(always)]
    fn hash(&self, address: IpAddress) -> AddressHash {
        let seed = self.config.hash_seed;
        AddressHash::of_link(address, self.link.vlan, self.interface, seed)
    }

    /// Hands on an objection to this message, and all that its report stands for.
    #[inline(always)]
    fn hand_on<'t, P: PacketBytes, R: Runtime<'t, P>>(
        &self,
        runtime: &mut R,
        response: Response,
        decision: Decision,
        key: SourceKey,
        count: u64,
        reach: Reach,
    ) {
        let is_about_claim = decision.reason == self.family.reason(Reason::ArpSpoof)
            || decision.reason == self.family.reason(Reason::ArpReplyFlood);
        let is_of_segment = decision.reason == Reason::ArpFloodSegment;
        hand_on(runtime, response, count != 0, || Event {
            head: Head::new(decision, self.message.bytes() as u32),
            at_ns: self.message.now_ns,
            key,
            // A segment has no address of its own.
            companion: if is_of_segment {
                Companion::mac(self.link.source)
            } else {
                self.companion()
            },
            target: self.about(if is_about_claim {
                self.message.claimed
            } else {
                self.message.target
            }),
            count: count.max(1),
            reach,
            proof: Proof::SPOOFABLE,
        });
    }
}
