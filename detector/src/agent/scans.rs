//! Scans of which no CPU saw enough: a card spreads what a source tries over its queues, and each CPU judges what came by its own.
//!
//! The parts are put together every few seconds. What is found so is told and listed; nothing is done about it, neither to a packet, for
//! no one of them is flagged, nor to its source.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use detector_common::{
    config::Config,
    detect::{Detector, scan},
    event::{Event, Head, Reach, Target},
    net::IpAddress,
    parse::Protocol,
    pipeline::contact,
    proof::Proof,
    sources::{OFFENDER_HOLD_NS, Source, SourceKey},
    verdict::Decision,
};
use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

use super::view::View;

/// How often the parts are put together.
const EVERY: Duration = Duration::from_secs(5);
/// How many of a side are told of at a time. Each side has its own share of this and the next: what others forge must not keep an infected
/// host's line from being printed.
const TOLD_AT_ONCE: usize = 64;
/// How many of a side who were told of are known: as many as one CPU's part of the table has room for.
const TOLD_MAX: usize = 4096;

/// Who scans, as only all CPUs together show.
#[derive(Debug, Default)]
pub(super) struct Scans {
    told: BTreeMap<SourceKey, Told>,
}

/// Who was told of is not told of again within [`OFFENDER_HOLD_NS`], and is listed for as long.
#[derive(Debug)]
struct Told {
    /// When, in nanoseconds of the kernel's clock.
    at_ns: u64,
    /// The tries of hosts that did not answer.
    silent: u64,
}

impl Scans {
    /// What is to be told of a source by what the CPUs saw of it, if it scans and was not told of yet.
    pub(super) fn look(
        &self,
        key: SourceKey,
        parts: &[Source],
        now_ns: u64,
        config: &Config,
    ) -> Option<Event> {
        if self.told.contains_key(&key) {
            return None;
        }
        found(key, parts, now_ns, config)
    }

    /// Of all that is to be told, what is told now. The rest is found again the next time.
    pub(super) fn tell(
        &mut self,
        mut events: Vec<Event>,
        now_ns: u64,
        config: &Config,
    ) -> Vec<Event> {
        let is_recent = |told: &Told| now_ns.saturating_sub(told.at_ns) < OFFENDER_HOLD_NS;
        self.told.retain(|_, told| is_recent(told));
        let side = |key: &SourceKey| usize::from(config.is_lan(key.interface()));
        let mut room = [TOLD_MAX; 2];
        for key in self.told.keys() {
            let room = &mut room[side(key)];
            *room = room.saturating_sub(1);
        }
        let mut room = room.map(|room| room.min(TOLD_AT_ONCE));
        events.retain(|event| {
            let room = &mut room[side(&event.key)];
            let is_told = *room > 0;
            *room -= usize::from(is_told);
            is_told
        });
        for event in &events {
            let told = Told {
                at_ns: now_ns,
                silent: event.count,
            };
            self.told.insert(event.key, told);
        }
        // With the policy `count` they are listed and no more.
        events.retain(|event| {
            let detector = event.key.detector();
            detector.is_some_and(|detector| config.response(detector).reports())
        });
        events
    }

    /// Objects to what those did who were told of, unless the kernel objected to more.
    pub(super) fn object(&self, sources: &mut [Source]) {
        for source in sources {
            if let Some(told) = self.told.get(&source.key) {
                let flagged = &mut source.state.objections.flagged;
                *flagged = told.silent.max(*flagged);
            }
        }
    }
}

/// What is told of a source whose parts are a scan together.
fn found(key: SourceKey, parts: &[Source], now_ns: u64, config: &Config) -> Option<Event> {
    let protocol = protocol(&key)?;
    let (detector, reason, rule) = contact::rule(protocol, config);
    let is_told_by_kernel = parts.iter().any(|part| {
        let told_ns = part.state.objections.reported_ns;
        told_ns != 0 && now_ns.saturating_sub(told_ns) < OFFENDER_HOLD_NS
    });
    if is_told_by_kernel || !config.response(detector).runs() {
        return None;
    }
    let scans: Vec<_> = parts.iter().map(Source::scan).collect();
    if !scan::is_scan_in_all(&scans, now_ns, rule) {
        return None;
    }
    let mut whole = *parts.first()?;
    parts.iter().skip(1).for_each(|part| whole.merge(part));
    Some(Event {
        head: Head::new(Decision::pass(reason), 0),
        at_ns: whole.state.last_ns,
        key,
        companion: whole.state.companion,
        // Many hosts, of which none was the one to be flagged.
        target: Target::new(
            IpAddress::default(),
            0,
            key.port().unwrap_or_default(),
            protocol.number().0,
        ),
        count: whole.scan().outcome.silent.into(),
        reach: Reach::of_scan(whole.scan()),
        proof: Proof::SPOOFABLE,
    })
}

/// The protocol that a source scans by.
fn protocol(key: &SourceKey) -> Option<Protocol> {
    match key.detector()? {
        Detector::Scan => Some(Protocol::Tcp),
        Detector::UdpSweep => Some(Protocol::Udp),
        Detector::IcmpSweep if key.ip()?.is_v4() => Some(Protocol::Icmp),
        Detector::IcmpSweep => Some(Protocol::Icmpv6),
        Detector::Signature
        | Detector::ArpFlood
        | Detector::ArpFloodSegment
        | Detector::ArpSweep
        | Detector::ArpSpoof
        | Detector::NdFlood
        | Detector::NdSweep
        | Detector::NdSpoof => None,
    }
}

/// Puts the parts together again and again, and gives `tell` what that shows.
pub(super) async fn follow(view: &Arc<View>, tell: impl Fn(&Event)) -> Infallible {
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let view = Arc::clone(view);
        let found = spawn_blocking(move || view.scans_in_all()).await;
        // What cannot be read now may be the next time; `detector stats` says why.
        if let Ok(Ok(events)) = found {
            events.iter().for_each(&tell);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable as _;
    use detector_common::{
        net::{IpProtocol, Vlan},
        services::{ServiceHash, Standing},
    };

    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;
    const NOW_NS: u64 = 20 * SECOND_NS;
    const TELNET: u16 = 23;
    /// The slots of the interfaces outside and inside.
    const WAN: u8 = 0;
    const LAN: u8 = 1;

    /// What a CPU saw of a host that tried so many others, which were silent, from `first` on.
    fn part(slot: u8, host: u32, first: u32, tried: u32) -> Source {
        let source = IpAddress::from_v4_number(0x0a00_0000 | host);
        let key = SourceKey::of_scanner(Detector::Scan, TELNET, slot, Vlan::default(), source);
        let mut part = Source::zeroed();
        part.key = key;
        part.state.packets = tried.into();
        for (second, number) in (1..).zip(first..first + tried) {
            let address = IpAddress::from_v4_number(0xc612_0000 | (number * 257));
            let service = ServiceHash::new(address, IpProtocol::TCP, TELNET, 7);
            let scan = part.scan_mut();
            let _ = scan.note(
                service,
                [false; 2],
                second * SECOND_NS,
                &Config::DEFAULT.scan,
            );
            scan.judge(Standing::ASKED);
        }
        part
    }

    /// A scan of which two CPUs saw a half each.
    fn halves(slot: u8, host: u32) -> (SourceKey, Vec<Source>) {
        let parts = vec![part(slot, host, 0, 7), part(slot, host, 100, 7)];
        (parts[0].key, parts)
    }

    /// What is told of these sources.
    fn look(scans: &mut Scans, sources: &[(SourceKey, Vec<Source>)], now_ns: u64) -> Vec<Event> {
        let config = Config::DEFAULT.with_lan([LAN]);
        let sources = sources.iter();
        let found = sources.filter_map(|(key, parts)| scans.look(*key, parts, now_ns, &config));
        let found = found.collect();
        scans.tell(found, now_ns, &config)
    }

    #[test]
    fn what_two_cpus_saw_is_told_once_and_listed() {
        let sources = [halves(WAN, 9)];
        let mut scans = Scans::default();
        let told = look(&mut scans, &sources, NOW_NS);
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].count, told[0].target.port), (14, TELNET));
        assert_eq!(look(&mut scans, &sources, NOW_NS), []);

        let mut whole = [part(WAN, 9, 0, 7), part(WAN, 10, 0, 7)];
        scans.object(&mut whole);
        assert_eq!(whole.map(|source| source.state.objections.flagged), [14, 0]);
        let later = look(&mut scans, &[], NOW_NS + OFFENDER_HOLD_NS);
        assert_eq!(later, []);
        scans.object(&mut whole);
        assert!(scans.told.is_empty());
    }

    #[test]
    fn half_of_a_scan_is_not_told_nor_what_the_kernel_told_already() {
        let mut scans = Scans::default();
        let half = part(WAN, 9, 0, 7);
        let sources = [(half.key, vec![half])];
        assert_eq!(look(&mut scans, &sources, NOW_NS), []);

        let (key, mut parts) = halves(WAN, 9);
        parts[1].state.objections.reported_ns = NOW_NS;
        let sources = [(key, parts)];
        assert_eq!(look(&mut scans, &sources, NOW_NS), []);
    }

    #[test]
    fn few_are_told_at_a_time_and_no_flood_from_outside_keeps_one_inside_from_being_told() {
        let outside = |hosts| (0..hosts).map(|host| halves(WAN, host));
        let sources: Vec<_> = outside(100).collect();
        let mut scans = Scans::default();
        assert_eq!(look(&mut scans, &sources, NOW_NS).len(), TOLD_AT_ONCE);
        assert_eq!(look(&mut scans, &sources, NOW_NS).len(), 100 - TOLD_AT_ONCE);

        let sources: Vec<_> = outside(TOLD_MAX as u32 + 100).collect();
        for _ in 0..TOLD_MAX / TOLD_AT_ONCE {
            let _ = look(&mut scans, &sources, NOW_NS);
        }
        assert_eq!(scans.told.len(), TOLD_MAX);
        let sources: Vec<_> = sources.into_iter().chain([halves(LAN, 9)]).collect();
        let told = look(&mut scans, &sources, NOW_NS);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].key.interface(), LAN);
    }
}
