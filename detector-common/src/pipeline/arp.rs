//! The way of an ARP message: whose address does it claim, and does its sender ask or answer too much?

use bytemuck::{Pod, Zeroable};

use super::{Runtime, account, hand_on};
use crate::{
    abi,
    bindings::{self, AddressHash, Owner},
    config::{Config, Response},
    detect::{
        Detector, arp_flood,
        arp_spoof::{self, Claim},
    },
    event::{Event, Head, Reach, Target},
    net::{IpAddress, MacAddress, Vlan},
    packet::PacketBytes,
    parse::{
        arp::{Arp, Operation},
        ethernet::Link,
    },
    proof::Proof,
    reason::Reason,
    sources::{Companion, Objections, SourceKey, SourceState},
    token_bucket::TokenBucket,
    verdict::{Decision, Verdict},
};

/// An ARP message with what is known of its frame: all that its way needs.
///
/// VERIFIER: words only, so that the kernel can hand it to a function of its own, see [`Runtime::decide_arp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Message {
    /// MACs as words: of the frame, then of the message.
    source: u64,
    destination: u64,
    sender_mac: u64,
    /// From the lowest: the sender's and the target's IPv4 address, as numbers.
    addresses: u64,
    /// From the lowest: the outer and the inner VLAN (16 bits each), the length of the frame (32).
    frame: u64,
    operation: u64,
}

impl Message {
    #[inline(always)]
    pub(super) fn new<P: PacketBytes>(packet: &P, link: &Link, arp: &Arp) -> Self {
        Self {
            source: link.source.to_word(),
            destination: link.destination.to_word(),
            sender_mac: arp.sender_mac.to_word(),
            addresses: u64::from(arp.sender_ip.to_v4_number())
                | u64::from(arp.target_ip.to_v4_number()) << 32,
            frame: u64::from(link.vlan.outer)
                | u64::from(link.vlan.inner) << 16
                | (packet.wire_len() as u64) << 32,
            operation: arp.operation as u64,
        }
    }

    #[inline(always)]
    fn link(&self) -> Link {
        Link {
            source: MacAddress::from_word(self.source),
            destination: MacAddress::from_word(self.destination),
            vlan: Vlan {
                outer: self.frame as u16,
                inner: (self.frame >> 16) as u16,
            },
        }
    }

    #[inline(always)]
    fn arp(&self) -> Arp {
        Arp {
            operation: if self.operation == Operation::Request as u64 {
                Operation::Request
            } else {
                Operation::Reply
            },
            sender_mac: MacAddress::from_word(self.sender_mac),
            sender_ip: IpAddress::from_v4_number(self.addresses as u32),
            target_ip: IpAddress::from_v4_number((self.addresses >> 32) as u32),
        }
    }
}

/// A message on its way, with what every step needs to know.
struct OnItsWay<'m> {
    link: Link,
    arp: Arp,
    bytes: u64,
    interface: u8,
    now_ns: u64,
    config: &'m Config,
}

/// What becomes of an ARP message.
#[inline(always)]
pub fn decide<'t, P, R>(message: &Message, runtime: &mut R) -> Decision
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    let (link, arp) = (message.link(), message.arp());
    let class = arp_flood::class(&arp, link.destination);
    let Some(config) = runtime.config() else {
        return Decision::pass(Reason::StateMissing);
    };
    let is_watched = config.response(Detector::ArpFlood).runs()
        | config.response(Detector::ArpSweep).runs()
        | config.response(Detector::ArpSpoof).runs();
    if class == Reason::ArpProbe || !is_watched {
        return Decision::pass(class);
    }
    let message = OnItsWay {
        link,
        arp,
        bytes: message.frame >> 32,
        interface: runtime.interface(),
        now_ns: runtime.now_ns(),
        config,
    };
    let is_foreign = message.claim(runtime);
    let decision = if class == Reason::ArpRequest {
        message.request(runtime)
    } else if class == Reason::ArpUnicastRequest {
        Decision::pass(class)
    } else {
        message.answer(runtime, class)
    };
    if is_foreign {
        message.spoof(runtime, class, decision)
    } else {
        decision
    }
}

impl OnItsWay<'_> {
    /// Whether the sender calls an address its own that is another's. Whose it is if it is nobody's is learnt.
    #[inline(always)]
    fn claim<'t, P: PacketBytes, R: Runtime<'t, P>>(&self, runtime: &mut R) -> bool {
        let Self { link, arp, .. } = self;
        let hash = self.hash(arp.sender_ip);
        let Some(word) = runtime.binding(hash.slot()) else {
            return false;
        };
        match arp_spoof::claim(arp, link.source, hash, word) {
            Claim::Own => false,
            Claim::New => {
                runtime.bind(hash.slot(), bindings::word(hash, arp.sender_mac));
                false
            }
            // Proxy ARP (RFC 1027): a router answers for others, and takes nothing from them.
            Claim::Foreign => !self.config.is_gateway(arp.sender_mac),
        }
    }

    /// A message of this class that claims what is another's, and of which this became so far. Once is a damaged frame, and twice
    /// a spoof. It has one reason: what it does comes before what it claims, unless the claim is what costs it something.
    #[inline(always)]
    fn spoof<'t, P, R>(&self, runtime: &mut R, class: Reason, so_far: Decision) -> Decision
    where
        P: PacketBytes,
        R: Runtime<'t, P>,
    {
        let config = self.config;
        let response = config.response(Detector::ArpSpoof);
        if !response.runs() {
            return so_far;
        }
        let key = self.sender();
        let decision = response.decide(Reason::ArpSpoof);
        let hash = self.hash(self.arp.sender_ip);
        let claim = bindings::word(hash, self.arp.sender_mac);
        let mut is_spoof = false;
        let mut reach = Reach::default();
        let count = account(runtime, &key, config, self.now_ns, false, |source| {
            if source.state.packets == 0 {
                self.see(&mut source.state);
            }
            let sender = source.arp_sender_mut();
            reach = Reach::of_sender(sender);
            is_spoof = sender.claims_again(claim, self.now_ns);
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
        let key = key.under(Detector::ArpSpoof);
        let count = count.unwrap_or(0);
        self.hand_on(runtime, response, decision, key, count, reach);
        let costs_more = decision.verdict != Verdict::PASS && so_far.verdict == Verdict::PASS;
        if so_far.reason == class || costs_more {
            decision
        } else {
            so_far
        }
    }

    /// A request that feeds buckets: first the sender's own; only what conforms there is the segment's matter, and only what
    /// conforms there too is a sweep's.
    #[inline(always)]
    fn request<'t, P: PacketBytes, R: Runtime<'t, P>>(&self, runtime: &mut R) -> Decision {
        let config = self.config;
        let flood = config.response(Detector::ArpFlood);
        let sweep = config.response(Detector::ArpSweep);
        let target = self.hash(self.arp.target_ip);
        let word = runtime.binding(target.slot()).unwrap_or(0);
        let counts = sweep.runs() && bindings::owner(word, target) == Owner::Unknown;
        let key = self.sender();
        let decision = flood.decide(Reason::ArpFlood);
        let mut is_swept = false;
        let mut conforms = true;
        let mut reach = Reach::default();
        let count = account(runtime, &key, config, self.now_ns, false, |source| {
            self.see(&mut source.state);
            let sender = source.arp_sender_mut();
            sender.speaks_for(self.arp.sender_ip);
            if counts {
                let (short, long) = (&config.sweep_short, &config.sweep_long);
                is_swept = sender.sweep.ask(target, self.now_ns, short, long);
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
            let count = count.unwrap_or(0);
            self.hand_on(runtime, flood, decision, key, count, reach);
            return decision;
        }
        if flood.runs() && !self.conforms_in_segment(runtime, flood) {
            return flood.decide(Reason::ArpFloodSegment);
        }
        if !is_swept {
            return Decision::pass(Reason::ArpRequest);
        }

        let decision = sweep.decide(Reason::ArpSweep);
        let hash = key.hash(config.hash_seed);
        let source = runtime
            .source_set(key.set(hash, false))
            .and_then(|set| set.known(hash));
        let count = source.map(|source| {
            let sweep = &mut source.arp_sender_mut().sweep;
            self.object(&mut sweep.objections, decision)
        });
        let key = key.under(Detector::ArpSweep);
        let count = count.unwrap_or(0);
        self.hand_on(runtime, sweep, decision, key, count, reach);
        decision
    }

    /// Whether a request conforms to its sender's limit. A gateway asks for whomever a scanner outside looks for.
    #[inline(always)]
    fn conforms(&self, bucket: &mut TokenBucket) -> bool {
        let config = self.config;
        bucket.take(&config.arp_sender, self.now_ns)
            || (config.is_gateway(self.link.source)
                && bucket.take(&config.arp_gateway, self.now_ns))
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
        state.see(self.now_ns, self.bytes, companion);
        if state.bucket.take(&config.arp_segment, self.now_ns) {
            return true;
        }
        let count = self.object(&mut state.objections, decision);
        let key = SourceKey::of_segment(self.interface, link.vlan);
        self.hand_on(runtime, response, decision, key, count, Reach::default());
        false
    }

    /// A reply or an announcement, as `class` says: whoever asked has its answer, and the sender may not answer without end.
    #[inline(always)]
    fn answer<'t, P, R>(&self, runtime: &mut R, class: Reason) -> Decision
    where
        P: PacketBytes,
        R: Runtime<'t, P>,
    {
        let Self { link, config, .. } = self;
        if !link.destination.is_group() {
            let asker = SourceKey::of_sender(self.interface, link.vlan, link.destination);
            let hash = asker.hash(config.hash_seed);
            if let Some(asker) = runtime
                .source_set(asker.set(hash, false))
                .and_then(|set| set.known(hash))
            {
                let answered = self.hash(self.arp.sender_ip);
                asker.arp_sender_mut().sweep.answered(answered);
            }
        }

        let response = config.response(Detector::ArpFlood);
        let key = self.sender();
        let decision = response.decide(Reason::ArpReplyFlood);
        let mut conforms = true;
        let mut reach = Reach::default();
        let count = account(runtime, &key, config, self.now_ns, false, |source| {
            self.see(&mut source.state);
            let sender = source.arp_sender_mut();
            sender.speaks_for(self.arp.sender_ip);
            reach = Reach::of_sender(sender);
            conforms = !response.runs() || sender.replies.take(&config.arp_replies, self.now_ns);
            if conforms {
                0
            } else {
                self.object(&mut source.state.objections, decision)
            }
        });
        if conforms {
            return Decision::pass(class);
        }
        let count = count.unwrap_or(0);
        self.hand_on(runtime, response, decision, key, count, reach);
        decision
    }

    /// The key of who sent the message.
    #[inline(always)]
    fn sender(&self) -> SourceKey {
        SourceKey::of_sender(self.interface, self.link.vlan, self.link.source)
    }

    #[inline(always)]
    fn see(&self, state: &mut SourceState) {
        let companion = Companion::ip(self.arp.sender_ip);
        state.see(self.now_ns, self.bytes, companion);
    }

    /// Takes note of an objection to this message: the messages that a report stands for, 0 if none is due.
    #[inline(always)]
    fn object(&self, objections: &mut Objections, decision: Decision) -> u64 {
        objections.flag(decision.verdict == Verdict::DROP);
        objections.report(self.now_ns, self.config.report_interval_ns)
    }

    #[inline(always)]
    fn hash(&self, address: IpAddress) -> AddressHash {
        AddressHash::new(address, self.link.vlan, self.config.hash_seed)
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
        let Self { link, arp, .. } = self;
        hand_on(runtime, response, count != 0, || Event {
            head: Head::new(decision, self.bytes as u32),
            at_ns: self.now_ns,
            key,
            // A segment has no address of its own.
            companion: if decision.reason == Reason::ArpFloodSegment {
                Companion::mac(link.source)
            } else {
                Companion::ip(arp.sender_ip)
            },
            target: Target::of_arp(if decision.reason == Reason::ArpSpoof {
                arp.sender_ip
            } else {
                arp.target_ip
            }),
            count: count.max(1),
            reach,
            proof: Proof::SPOOFABLE,
        });
    }
}
