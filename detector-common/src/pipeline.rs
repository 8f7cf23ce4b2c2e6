//! The way of a packet, straight down: parse, detect, decide, count.
//!
//! It stands here and not in the kernel's crate because `replay` and the tests go the same way. Whoever runs it brings
//! a [`Runtime`]: tables, a clock, a place for reports. Without a table the packet passes, and that is counted.

use crate::{
    abi::{self, SignatureCounter, Tally},
    config::{Config, Policy},
    detect::{
        arp_flood,
        signature::{Search, table::SignatureTable},
    },
    event::{Event, Head, Target},
    packet::PacketBytes,
    parse::{Ip, Network, arp::Arp, ethernet::Link, parse},
    reason::Reason,
    sources::{Companion, SourceKey, SourceSet, SourceState, Visit},
    token_bucket::Limit,
    verdict::{Decision, Verdict},
};

/// Where the classifier keeps its state. `'t` is the life of the tables that it only reads.
pub trait Runtime<'t, P: PacketBytes> {
    /// The slot of the interface the packet came in by.
    fn interface(&self) -> u8;
    /// Now, in nanoseconds of a clock that only goes forward.
    fn now_ns(&self) -> u64;
    /// What the operator decided.
    fn config(&self) -> Option<&'t Config>;
    /// What the signature detector looks for.
    fn signatures(&self) -> Option<&'t SignatureTable>;
    /// The signature that `packet` shows, as its row in `table`.
    fn search(&self, packet: &P, search: Search, table: &SignatureTable) -> Option<usize> {
        search.run(packet, table)
    }
    /// A set of the source table.
    fn source_set(&mut self, index: u32) -> Option<&mut SourceSet>;
    /// The state of a segment, see [`abi::segment_index`].
    fn segment(&mut self, index: u32) -> Option<&mut SourceState>;
    /// The counter of a row of the signature table.
    fn signature_counter(&mut self, row: usize) -> Option<&mut SignatureCounter>;
    /// Counts a packet of `bytes`.
    fn count(&mut self, decision: Decision, bytes: u64);
    /// Counts something that befell the tables themselves.
    fn tally(&mut self, tally: Tally);
    /// Hands on a finding; `due` if the agent is to hear of it now.
    ///
    /// VERIFIER: the event is made in its place in the ring buffer, for the stack has no room for it.
    fn found(&mut self, due: bool, event: impl FnOnce() -> Event);
}

/// What becomes of a packet.
#[inline(always)]
pub fn classify<'t, P, R>(packet: &P, runtime: &mut R) -> Decision
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    let decision = match parse(packet) {
        Ok(parsed) => match parsed.network {
            Network::Arp(arp) => decide_arp(packet, &parsed.link, &arp, runtime),
            Network::Ip(ip) => decide_ip(packet, &parsed.link, &ip, runtime),
        },
        Err(reason) => Decision::pass(reason),
    };
    runtime.count(decision, packet.wire_len() as u64);
    decision
}

#[inline(always)]
fn decide_ip<'t, P, R>(packet: &P, link: &Link, ip: &Ip, runtime: &mut R) -> Decision
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    let (Some(config), Some(table)) = (runtime.config(), runtime.signatures()) else {
        return Decision::pass(Reason::StateMissing);
    };
    let policy = config.signature();
    if policy == Policy::Off {
        return Decision::pass(Reason::Clean);
    }
    let Some(row) = Search::of(ip, table).and_then(|search| runtime.search(packet, search, table))
    else {
        return Decision::pass(Reason::Clean);
    };

    let decision = config.verdict(policy, Reason::Signature);
    let dropped = decision.verdict == Verdict::Drop;
    let bytes = packet.wire_len() as u64;
    if let Some(counter) = runtime.signature_counter(row) {
        counter.packets = counter.packets.wrapping_add(1);
        counter.bytes = counter.bytes.wrapping_add(bytes);
        counter.dropped = counter.dropped.wrapping_add(u64::from(dropped));
    }
    let key = SourceKey::of_host(table.id(row), runtime.interface(), link.vlan, ip.source);
    let companion = Companion::mac(link.source);
    let now_ns = runtime.now_ns();
    let report = account(runtime, &key, config, now_ns, true, |state| {
        state.see(now_ns, bytes, companion);
        state.flag(dropped);
        state.report(now_ns, config.report_interval_ns)
    })
    .flatten();
    hand_on(runtime, policy, report.is_some(), || Event {
        head: Head::new(decision, bytes as u32),
        at_ns: now_ns,
        key,
        companion,
        target: Target::of_ip(ip),
        count: report.unwrap_or(1),
    });
    decision
}

#[inline(always)]
fn decide_arp<'t, P, R>(packet: &P, link: &Link, arp: &Arp, runtime: &mut R) -> Decision
where
    P: PacketBytes,
    R: Runtime<'t, P>,
{
    let class = arp_flood::class(arp, link.destination);
    if class != Reason::ArpRequest {
        return Decision::pass(class);
    }
    let Some(config) = runtime.config() else {
        return Decision::pass(Reason::StateMissing);
    };
    let policy = config.arp_flood();
    if policy == Policy::Off {
        return Decision::pass(class);
    }

    let now_ns = runtime.now_ns();
    let bytes = packet.wire_len() as u64;
    let interface = runtime.interface();

    // First the sender's own bucket; only what conforms there is the segment's matter.
    let mut key = SourceKey::of_sender(interface, link.vlan, link.source);
    let mut companion = Companion::ip(arp.sender_ip);
    let mut decision = config.verdict(policy, Reason::ArpFlood);
    let mut excess = account(runtime, &key, config, now_ns, false, |state| {
        state.see(now_ns, bytes, companion);
        Excess::of(state, &config.arp_sender, config, decision, now_ns)
    })
    .flatten();
    if excess.is_none() {
        key = SourceKey::of_segment(interface, link.vlan);
        companion = Companion::mac(link.source);
        decision = config.verdict(policy, Reason::ArpFloodSegment);
        excess = runtime
            .segment(abi::segment_index(u32::from(interface), link.vlan))
            .and_then(|state| {
                state.see(now_ns, bytes, companion);
                Excess::of(state, &config.arp_segment, config, decision, now_ns)
            });
    }
    let Some(Excess { report }) = excess else {
        return Decision::pass(class);
    };

    hand_on(runtime, policy, report.is_some(), || Event {
        head: Head::new(decision, bytes as u32),
        at_ns: now_ns,
        key,
        companion,
        target: Target::of_arp(arp.target_ip),
        count: report.unwrap_or(1),
    });
    decision
}

/// A broadcast ARP request above a limit.
struct Excess {
    /// If a report is due, the requests it stands for.
    report: Option<u64>,
}

impl Excess {
    #[inline(always)]
    fn of(
        state: &mut SourceState,
        limit: &Limit,
        config: &Config,
        decision: Decision,
        now_ns: u64,
    ) -> Option<Self> {
        if state.bucket.take(limit, now_ns) {
            return None;
        }
        state.flag(decision.verdict == Verdict::Drop);
        Some(Self {
            report: state.report(now_ns, config.report_interval_ns),
        })
    }
}

/// Runs `step` on the state of a source; `None` if it has no entry and gets none.
#[inline(always)]
fn account<'t, P: PacketBytes, R: Runtime<'t, P>, T>(
    runtime: &mut R,
    key: &SourceKey,
    config: &Config,
    now_ns: u64,
    offender: bool,
    step: impl FnOnce(&mut SourceState) -> T,
) -> Option<T> {
    let hash = key.hash(config.hash_seed);
    let set = runtime.source_set(key.set(hash))?;
    match set.visit(key, hash, now_ns, offender, step) {
        Visit::Known(result) => Some(result),
        Visit::Displaced(result) => {
            runtime.tally(Tally::SourcesDisplaced);
            Some(result)
        }
        Visit::Refused => {
            runtime.tally(Tally::SourcesRefused);
            None
        }
    }
}

/// Hands a finding on as its policy says.
#[inline(always)]
fn hand_on<'t, P: PacketBytes, R: Runtime<'t, P>>(
    runtime: &mut R,
    policy: Policy,
    due: bool,
    event: impl FnOnce() -> Event,
) {
    runtime.found(policy.reports() && due, event);
}
