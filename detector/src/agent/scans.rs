//! Scans of which no CPU saw enough: a card spreads what a source tries over its queues, and each CPU judges what came by its own.
//!
//! The parts are put together every few seconds. What is found so is told and listed like any other scan; nothing is dropped
//! for it, since no one packet is flagged.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use detector_common::{
    config::Config,
    detect::{Detector, scan},
    event::{Event, Head, Reach, Target},
    net::{IpAddress, IpProtocol},
    proof::Proof,
    reason::Reason,
    sources::{Source, SourceKey},
    verdict::Decision,
};
use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

use super::view::View;

/// How often the parts are put together.
const EVERY: Duration = Duration::from_secs(5);
/// How long who was told of is not told of again, and is listed, in nanoseconds: as long as the long window of a scan.
const TOLD_FOR_NS: u64 = 600_000_000_000;

/// Who scans, as only all CPUs together show.
#[derive(Debug, Default)]
pub(super) struct Scans {
    /// When each was told, in nanoseconds of the kernel's clock.
    told: BTreeMap<SourceKey, u64>,
}

impl Scans {
    /// Those who scan by what the CPUs saw of them, and were not told of yet.
    pub(super) fn look(
        &mut self,
        sources: &BTreeMap<SourceKey, Vec<Source>>,
        now_ns: u64,
        config: &Config,
    ) -> Vec<Event> {
        self.told
            .retain(|_, told_ns| now_ns.saturating_sub(*told_ns) < TOLD_FOR_NS);
        let mut events = Vec::new();
        for (key, parts) in sources {
            if self.told.contains_key(key) {
                continue;
            }
            let event = found(*key, parts, now_ns, config);
            if let Some(event) = event {
                self.told.insert(*key, now_ns);
                events.push(event);
            }
        }
        events
    }

    /// Objects to all that those tried who were told of, where no CPU objected to anything.
    pub(super) fn object(&self, sources: &mut [Source]) {
        for source in sources {
            let state = &mut source.state;
            if state.objections.flagged == 0 && self.told.contains_key(&source.key) {
                state.objections.flagged = state.packets;
            }
        }
    }
}

/// What is told of a source whose parts are a scan together.
fn found(key: SourceKey, parts: &[Source], now_ns: u64, config: &Config) -> Option<Event> {
    let detector = key.detector()?;
    let (reason, rule, protocol) = if detector == Detector::Scan {
        (Reason::Scan, &config.scan, IpProtocol::TCP)
    } else if detector == Detector::UdpSweep {
        (Reason::UdpSweep, &config.udp_sweep, IpProtocol::UDP)
    } else {
        (Reason::IcmpSweep, &config.icmp_sweep, IpProtocol::ICMP)
    };
    let is_told_by_kernel = parts.iter().any(|part| part.state.objections.flagged != 0);
    if is_told_by_kernel || !config.response(detector).reports() {
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
            protocol.0,
        ),
        count: whole.state.packets,
        reach: Reach::of_scan(whole.scan()),
        proof: Proof::SPOOFABLE,
    })
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
