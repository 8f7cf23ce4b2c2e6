//! Does the sender of a message ask too much, or for many in vain?

use super::{Message, OnItsWay};
use crate::{
    abi,
    bindings::{self, Owner},
    config::Response,
    detect::Detector,
    event::Reach,
    neighbour::Family,
    packet::PacketBytes,
    pipeline::Runtime,
    reason::Reason,
    sources::{Companion, SourceKey},
    token_bucket::TokenBucket,
    verdict::Decision,
};

/// What becomes of a request to all.
#[inline(always)]
pub fn request<'t, P, R>(message: &Message, runtime: &mut R) -> Decision
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    OnItsWay::new(message, runtime).request(runtime)
}

impl OnItsWay<'_> {
    /// A request that feeds buckets: first the sender's own; only what conforms there is the segment's matter, and only what
    /// conforms there too is a sweep's.
    #[inline(always)]
    fn request<'t, P, R>(&self, runtime: &mut R) -> Decision
    where
        P: PacketBytes,
        R: Runtime<'t, P>,
    {
        let config = self.config;
        let flood = self.response(Detector::ArpFlood);
        let sweep = self.response(Detector::ArpSweep);
        let target = self.hash(self.message.target);
        let word = runtime.binding(target.slot()).unwrap_or(0);
        let counts = sweep.runs() && bindings::owner(word, target) == Owner::Unknown;
        let decision = self.decide(flood, Reason::ArpFlood);
        let mut is_swept = false;
        let mut conforms = true;
        let mut reach = Reach::default();
        let count = self.account(runtime, |source| {
            self.see(&mut source.state);
            let sender = source.arp_sender_mut();
            self.take_note_of_claim(sender);
            if counts {
                let (short, long) = (&config.sweep_short, &config.sweep_long);
                is_swept = sender.sweep.ask(target, self.message.now_ns, short, long);
            }
            reach = Reach::of_sender(sender);
            conforms = !flood.runs() || self.conforms(&mut source.state.bucket);
            if conforms {
                0
            } else {
                self.object(&mut source.state.objections, decision)
            }
        });
        if !conforms {
            let key = self.sender();
            self.hand_on(runtime, flood, decision, key, count, reach);
            return decision;
        }
        // The bucket of a segment is ARP's alone, or a flood of one family would cost the other.
        let is_arp = self.family == Family::ARP;
        if is_arp && flood.runs() && !self.conforms_in_segment(runtime, flood) {
            return flood.decide(Reason::ArpFloodSegment);
        }
        if !is_swept {
            return self.message.passed();
        }

        let decision = self.decide(sweep, Reason::ArpSweep);
        let key = self.sender();
        let hash = key.hash(config.hash_seed);
        let source = runtime
            .source_set(key.set(hash, false))
            .and_then(|set| set.known(hash));
        let count = source.map(|source| {
            let sweep = &mut source.arp_sender_mut().sweep;
            self.object(&mut sweep.objections, decision)
        });
        let key = key.under(self.family.detector(Detector::ArpSweep));
        let count = count.unwrap_or(0);
        self.hand_on(runtime, sweep, decision, key, count, reach);
        decision
    }

    /// Whether a request conforms to its sender's limit. A gateway asks for whomever a scanner outside looks for.
    #[inline(always)]
    fn conforms(&self, bucket: &mut TokenBucket) -> bool {
        let config = self.config;
        bucket.take(&config.arp_sender, self.message.now_ns)
            || (config.is_gateway(self.link.source)
                && bucket.take(&config.arp_gateway, self.message.now_ns))
    }

    /// Whether a request conforms to the limit of all senders of its segment together, whose addresses may be forged.
    #[inline(always)]
    fn conforms_in_segment<'t, P, R>(&self, runtime: &mut R, response: Response) -> bool
    where
        P: PacketBytes,
        R: Runtime<'t, P>,
    {
        let Self { link, config, .. } = self;
        let decision = response.decide(Reason::ArpFloodSegment);
        let index = abi::segment_index(u32::from(self.interface), link.vlan);
        let Some(state) = runtime.segment(index) else {
            return true;
        };
        let companion = Companion::mac(link.source);
        state.see(self.message.now_ns, self.message.bytes(), companion);
        if state.bucket.take(&config.arp_segment, self.message.now_ns) {
            return true;
        }
        let count = self.object(&mut state.objections, decision);
        let key = SourceKey::of_segment(self.interface, link.vlan);
        self.hand_on(runtime, response, decision, key, count, Reach::default());
        false
    }
}
