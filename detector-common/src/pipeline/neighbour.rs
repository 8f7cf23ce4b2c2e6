//! The way of a message of ARP or of neighbour discovery: whose address does it claim, and does its sender ask or answer too much?

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
    neighbour::{Class, Family},
    net::{IpAddress, IpProtocol, MacAddress, Vlan},
    packet::PacketBytes,
    parse::{
        Ip,
        arp::Arp,
        ethernet::Link,
        ndp::{self, Ndp},
    },
    proof::Proof,
    reason::Reason,
    sources::{ArpSender, Companion, Objections, SourceKey, SourceState},
    token_bucket::TokenBucket,
    verdict::{Decision, Verdict},
};

/// A message with what is known of its frame: all that its way needs.
///
/// VERIFIER: words only, so that the kernel can hand it to a function of its own, see [`Runtime::decide_neighbour`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Message {
    /// MACs as words: of the frame, then of the message.
    source: u64,
    destination: u64,
    sender_mac: u64,
    /// The address that the sender calls its own.
    claimed: IpAddress,
    /// The address that the message is about.
    target: IpAddress,
    /// From the lowest: the outer and the inner VLAN (16 bits each), the length of the frame (32).
    frame: u64,
    /// From the lowest: the class, the family, whether it says whose an address is that is nobody's yet, and whether it may take
    /// one that is another's (8 bits each).
    kind: u64,
}

impl Message {
    #[inline(always)]
    pub(super) fn of_arp<P: PacketBytes>(packet: &P, link: &Link, arp: &Arp) -> Self {
        let class = arp_flood::class(arp, link.destination);
        Self {
            sender_mac: arp.sender_mac.to_word(),
            claimed: arp.sender_ip,
            target: arp.target_ip,
            kind: u64::from(class.number())
                | u64::from(Family::ARP.number()) << 8
                | 1 << 16
                | 1 << 24,
            ..Self::of_frame(packet, link)
        }
    }

    /// The message that an IP packet has, if it is one of neighbour discovery.
    #[inline(always)]
    pub(super) fn of_ndp<P: PacketBytes>(packet: &P, link: &Link, ip: &Ip) -> Option<Self> {
        let ndp = ndp::parse(packet, link, ip)?;
        let class = class(&ndp, ip.source, link);
        // An answer that overrides nothing is a proxy's or an anycast address's. Still who waits for one believes it (RFC 4861 §7.2.5).
        let binds = ndp.is_solicitation || ndp.overrides;
        let claims = binds || ndp.is_solicited;
        Some(Self {
            sender_mac: ndp.mac.to_word(),
            claimed: if ndp.is_solicitation {
                ip.source
            } else {
                ndp.target
            },
            target: ndp.target,
            kind: u64::from(class.number())
                | u64::from(Family::ND.number()) << 8
                | u64::from(binds) << 16
                | u64::from(claims) << 24,
            ..Self::of_frame(packet, link)
        })
    }

    #[inline(always)]
    fn of_frame<P: PacketBytes>(packet: &P, link: &Link) -> Self {
        Self {
            source: link.source.to_word(),
            destination: link.destination.to_word(),
            frame: u64::from(link.vlan.outer)
                | u64::from(link.vlan.inner) << 16
                | (packet.wire_len() as u64) << 32,
            ..Self::zeroed()
        }
    }
}

/// What kind of message of neighbour discovery it is, sent from `source`.
#[inline(always)]
fn class(ndp: &Ndp, source: IpAddress, link: &Link) -> Class {
    if !ndp.is_solicitation {
        return if ndp.is_solicited {
            Class::REPLY
        } else {
            Class::ANNOUNCEMENT
        };
    }
    if source.is_unspecified_v6() {
        Class::PROBE
    } else if link.destination.is_group() {
        Class::REQUEST
    } else {
        Class::UNICAST_REQUEST
    }
}

/// A message on its way, with what every step needs to know.
struct OnItsWay<'m> {
    link: Link,
    family: Family,
    sender_mac: MacAddress,
    claimed: IpAddress,
    target: IpAddress,
    /// Whether it says whose an address is that is nobody's yet.
    binds: bool,
    /// Whether it may take one that is another's.
    claims: bool,
    bytes: u64,
    interface: u8,
    now_ns: u64,
    config: &'m Config,
}

/// What becomes of a message.
#[inline(always)]
pub fn decide<'t, P, R>(message: &Message, runtime: &mut R) -> Decision
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    let class = Class::from_number(message.kind as u8);
    let family = Family::from_number((message.kind >> 8) as u8);
    let passed = Decision::pass(class.reason(family));
    let Some(config) = runtime.config() else {
        return Decision::pass(Reason::StateMissing);
    };
    let is_watched = config.response(family.detector(Detector::ArpFlood)).runs()
        | config.response(family.detector(Detector::ArpSweep)).runs()
        | config.response(family.detector(Detector::ArpSpoof)).runs();
    if class == Class::PROBE || !is_watched {
        return passed;
    }
    let message = OnItsWay {
        link: Link {
            source: MacAddress::from_word(message.source),
            destination: MacAddress::from_word(message.destination),
            vlan: Vlan {
                outer: message.frame as u16,
                inner: (message.frame >> 16) as u16,
            },
        },
        family,
        sender_mac: MacAddress::from_word(message.sender_mac),
        claimed: message.claimed,
        target: message.target,
        binds: message.kind >> 16 & 1 == 1,
        claims: message.kind >> 24 & 1 == 1,
        bytes: message.frame >> 32,
        interface: runtime.interface(),
        now_ns: runtime.now_ns(),
        config,
    };
    let is_foreign = message.claim(runtime);
    let decision = if class == Class::REQUEST {
        message.request(runtime, passed)
    } else if class == Class::UNICAST_REQUEST {
        passed
    } else {
        message.answer(runtime, passed)
    };
    if is_foreign {
        message.spoof(runtime, passed, decision)
    } else {
        decision
    }
}

impl OnItsWay<'_> {
    /// Whether the sender calls an address its own that is another's. Whose it is if it is nobody's is learnt.
    #[inline(always)]
    fn claim<'t, P: PacketBytes, R: Runtime<'t, P>>(&self, runtime: &mut R) -> bool {
        let hash = self.hash(self.claimed);
        let Some(word) = runtime.binding(hash.slot()) else {
            return false;
        };
        match arp_spoof::claim(self.sender_mac, self.link.source, hash, word) {
            Claim::Own => false,
            Claim::New => {
                if self.binds {
                    runtime.bind(hash.slot(), bindings::word(hash, self.sender_mac));
                }
                false
            }
            // Proxy ARP (RFC 1027): a router answers for others, and takes nothing from them.
            Claim::Foreign => self.claims && !self.config.is_gateway(self.sender_mac),
        }
    }

    /// A message that claims what is another's, would pass so for its class, and of which this became so far. Once is a damaged frame, and twice
    /// a spoof. It has one reason: what it does comes before what it claims, unless the claim is what costs it something.
    #[inline(always)]
    fn spoof<'t, P, R>(&self, runtime: &mut R, passed: Decision, so_far: Decision) -> Decision
    where
        P: PacketBytes,
        R: Runtime<'t, P>,
    {
        let config = self.config;
        let response = self.response(Detector::ArpSpoof);
        if !response.runs() {
            return so_far;
        }
        let key = self.sender();
        let decision = self.decide(response, Reason::ArpSpoof);
        let hash = self.hash(self.claimed);
        let claim = bindings::word(hash, self.sender_mac);
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
        let key = key.under(self.family.detector(Detector::ArpSpoof));
        let count = count.unwrap_or(0);
        self.hand_on(runtime, response, decision, key, count, reach);
        let costs_more = decision.verdict != Verdict::PASS && so_far.verdict == Verdict::PASS;
        if so_far.reason == passed.reason || costs_more {
            decision
        } else {
            so_far
        }
    }

    /// A request that feeds buckets: first the sender's own; only what conforms there is the segment's matter, and only what
    /// conforms there too is a sweep's.
    #[inline(always)]
    fn request<'t, P, R>(&self, runtime: &mut R, passed: Decision) -> Decision
    where
        P: PacketBytes,
        R: Runtime<'t, P>,
    {
        let config = self.config;
        let flood = self.response(Detector::ArpFlood);
        let sweep = self.response(Detector::ArpSweep);
        let target = self.hash(self.target);
        let word = runtime.binding(target.slot()).unwrap_or(0);
        let counts = sweep.runs() && bindings::owner(word, target) == Owner::Unknown;
        let key = self.sender();
        let decision = self.decide(flood, Reason::ArpFlood);
        let mut is_swept = false;
        let mut conforms = true;
        let mut reach = Reach::default();
        let count = account(runtime, &key, config, self.now_ns, false, |source| {
            self.see(&mut source.state);
            let sender = source.arp_sender_mut();
            self.take_note_of_claim(sender);
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
        // The bucket of a segment is ARP's alone, or a flood of one family would cost the other.
        let is_arp = self.family == Family::ARP;
        if is_arp && flood.runs() && !self.conforms_in_segment(runtime, flood) {
            return flood.decide(Reason::ArpFloodSegment);
        }
        if !is_swept {
            return passed;
        }

        let decision = self.decide(sweep, Reason::ArpSweep);
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

    /// A reply or an announcement, which would pass so: whoever asked has its answer, and the sender may not answer without end.
    #[inline(always)]
    fn answer<'t, P, R>(&self, runtime: &mut R, passed: Decision) -> Decision
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
                let answered = self.hash(self.claimed);
                asker.arp_sender_mut().sweep.answered(answered);
            }
        }

        let response = self.response(Detector::ArpFlood);
        let key = self.sender();
        let decision = self.decide(response, Reason::ArpReplyFlood);
        let mut conforms = true;
        let mut reach = Reach::default();
        let count = account(runtime, &key, config, self.now_ns, false, |source| {
            self.see(&mut source.state);
            let sender = source.arp_sender_mut();
            self.take_note_of_claim(sender);
            reach = Reach::of_sender(sender);
            conforms = !response.runs() || sender.replies.take(&config.arp_replies, self.now_ns);
            if conforms {
                0
            } else {
                self.object(&mut source.state.objections, decision)
            }
        });
        if conforms {
            return passed;
        }
        let count = count.unwrap_or(0);
        self.hand_on(runtime, response, decision, key, count, reach);
        decision
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
            sender.speaks_for(self.claimed);
        }
    }

    #[inline(always)]
    fn companion(&self) -> Companion {
        if self.family == Family::ARP {
            Companion::ip(self.claimed)
        } else {
            // An IPv6 address has no room.
            Companion::default()
        }
    }

    #[inline(always)]
    fn see(&self, state: &mut SourceState) {
        state.see(self.now_ns, self.bytes, self.companion());
    }

    /// Takes note of an objection to this message: the messages that a report stands for, 0 if none is due.
    #[inline(always)]
    fn object(&self, objections: &mut Objections, decision: Decision) -> u64 {
        objections.flag(decision.verdict == Verdict::DROP);
        objections.report(self.now_ns, self.config.report_interval_ns)
    }

    #[inline(always)]
    fn about(&self, address: IpAddress) -> Target {
        let protocol = IpProtocol::ICMPV6.0.wrapping_mul(self.family.number());
        Target::new(address, 0, 0, protocol)
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
        let is_about_claim = decision.reason == self.family.reason(Reason::ArpSpoof);
        let is_of_segment = decision.reason == Reason::ArpFloodSegment;
        hand_on(runtime, response, count != 0, || Event {
            head: Head::new(decision, self.bytes as u32),
            at_ns: self.now_ns,
            key,
            // A segment has no address of its own.
            companion: if is_of_segment {
                Companion::mac(self.link.source)
            } else {
                self.companion()
            },
            target: self.about(if is_about_claim {
                self.claimed
            } else {
                self.target
            }),
            count: count.max(1),
            reach,
            proof: Proof::SPOOFABLE,
        });
    }
}
