//! Whose address does a message claim?

use super::{Message, OnItsWay};
use crate::{
    bindings,
    detect::{
        Detector,
        arp_spoof::{self, Claim},
    },
    event::Reach,
    neighbour::Class,
    packet::PacketBytes,
    pipeline::Runtime,
    reason::Reason,
    verdict::{Decision, Verdict},
};

/// What becomes of a message that claims what is another's, and of which this became so far. Once is a damaged frame, and twice a spoof. It
/// has one reason: what it does comes before what it claims, unless the claim is what costs it something.
#[inline(always)]
pub fn spoof<'t, P, R>(message: &Message, so_far: Decision, runtime: &mut R) -> Decision
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    OnItsWay::new(message, runtime).spoof(runtime, so_far)
}

impl OnItsWay<'_> {
    /// Whether the sender calls an address its own that is another's. Whose it is if it is nobody's is learnt.
    #[inline(always)]
    pub(super) fn claims_foreign<'t, P: PacketBytes, R: Runtime<'t, P>>(
        &self,
        runtime: &mut R,
    ) -> bool {
        let hash = self.hash(self.message.claimed);
        let Some(word) = runtime.binding(hash.slot()) else {
            return false;
        };
        match arp_spoof::claim(self.message.sender_mac(), self.link.source, hash, word) {
            Claim::Own => false,
            Claim::New => {
                if self.message.binds() {
                    runtime.bind(hash.slot(), bindings::word(hash, self.message.sender_mac()));
                }
                false
            }
            // Proxy ARP (RFC 1027): a router answers for others, and takes nothing from them.
            Claim::Foreign => self.message.claims() && !self.is_from_gateway(),
        }
    }

    /// Whether a gateway sent it in its own name.
    #[inline(always)]
    fn is_from_gateway(&self) -> bool {
        let sender = self.message.sender_mac();
        sender == self.link.source && self.config.is_gateway(sender)
    }

    #[inline(always)]
    fn spoof<'t, P, R>(&self, runtime: &mut R, so_far: Decision) -> Decision
    where
        P: PacketBytes,
        R: Runtime<'t, P>,
    {
        let response = self.response(Detector::ArpSpoof);
        if !response.runs() {
            return so_far;
        }
        let decision = self.decide(response, Reason::ArpSpoof);
        let hash = self.hash(self.message.claimed);
        let claim = bindings::word(hash, self.message.sender_mac());
        let mut is_spoof = false;
        let mut reach = Reach::default();
        let count = self.account(runtime, |source| {
            // Nobody has looked at a unicast request before, nor at a message whose sender had no room.
            if self.message.class() == Class::UNICAST_REQUEST || source.state.packets == 0 {
                self.see(&mut source.state);
            }
            let sender = source.arp_sender_mut();
            reach = Reach::of_sender(sender);
            is_spoof = sender.claims_again(claim, self.message.now_ns);
            if is_spoof {
                self.object(&mut sender.spoof_objections, decision)
            } else {
                0
            }
        });
        if !is_spoof {
            return so_far;
        }
        runtime.bind(hash.slot(), claim);
        let key = self.sender();
        let key = key.under(self.family.detector(Detector::ArpSpoof));
        self.hand_on(runtime, response, decision, key, count, reach);
        let costs_more = decision.verdict != Verdict::PASS && so_far.verdict == Verdict::PASS;
        if so_far.reason == self.message.passed().reason || costs_more {
            decision
        } else {
            so_far
        }
    }
}
