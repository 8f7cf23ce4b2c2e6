//! Who has its answer, and does the sender answer too much?

use super::{Message, OnItsWay};
use crate::{
    detect::Detector, event::Reach, packet::PacketBytes, pipeline::Runtime, reason::Reason,
    verdict::Decision,
};

/// What becomes of a reply or an announcement.
#[inline(always)]
pub fn answer<'t, P, R>(message: &Message, runtime: &mut R) -> Decision
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    OnItsWay::new(message, runtime).answer(runtime)
}

impl OnItsWay<'_> {
    /// A reply or an announcement: whoever asked has its answer, and the sender may not answer without end.
    #[inline(always)]
    fn answer<'t, P, R>(&self, runtime: &mut R) -> Decision
    where
        P: PacketBytes,
        R: Runtime<'t, P>,
    {
        let Self { link, config, .. } = self;
        if !link.destination.is_group() {
            let asker = self.key_of(link.destination);
            let hash = asker.hash(config.hash_seed);
            if let Some(asker) = runtime
                .source_set(asker.set(hash, false))
                .and_then(|set| set.known(hash))
            {
                let answered = self.hash(self.message.claimed);
                asker.arp_sender_mut().sweep.answered(answered);
            }
        }

        let response = self.response(Detector::ArpFlood);
        let decision = self.decide(response, Reason::ArpReplyFlood);
        let mut conforms = true;
        let mut reach = Reach::default();
        let count = self.account(runtime, |source| {
            self.see(&mut source.state);
            let sender = source.arp_sender_mut();
            self.take_note_of_claim(sender);
            reach = Reach::of_sender(sender);
            conforms = !response.runs()
                || sender
                    .replies
                    .take(&config.arp_replies, self.message.now_ns);
            if conforms {
                0
            } else {
                self.object(&mut source.state.objections, decision)
            }
        });
        if conforms {
            return self.message.passed();
        }
        let key = self.sender();
        self.hand_on(runtime, response, decision, key, count, reach);
        decision
    }
}
