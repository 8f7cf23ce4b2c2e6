//! `scan`, `udp_sweep`, `icmp_sweep`: a source that tries one port on host after host, and hardly any answers.
//!
//! For each source and port: how many different hosts it tried, by a sketch, and of those that were looked after, how many had
//! not answered a second later, when the asker's own TCP thinks its packet lost (RFC 6298 §2.1). To decide there is the
//! sequential test of Jung, Paxson, Berger and Balakrishnan (2004), "threshold random walk": each host that does not answer is four
//! times as likely to be asked by a scanner (0.8) as by anybody else (0.2), each that answers four times less. Four more of
//! the one than of the other, and the source is 99 times as likely a scanner. That and a number of such hosts in a short window or
//! a long one make a scan; asking one host again and again, or one host's every port, never does.
//!
//! A few hosts at a time are looked after, which is all of a slow scan and a sample of a fast one.

use bytemuck::{Pod, Zeroable};

use crate::{
    services::{ServiceHash, Standing},
    sketch,
    token_bucket::Limit,
    window::{Threshold, coarse},
};

/// Bits of the sketch of hosts that were tried.
pub const HOSTS_BITS: u32 = 256;
/// How long a host has to answer, in nanoseconds: a second, for then TCP itself thinks its packet lost (RFC 6298 §2.1).
pub const ANSWER_WITHIN_NS: u64 = 1_000_000_000;
/// How many hosts are looked after at a time.
pub const WATCHED: usize = 4;
/// Where the walk decides: log₄ of 99, the chance to detect over the chance of a false alarm.
const WALK_MAX: i16 = 4;

/// What is a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Rule {
    /// In seconds.
    pub short: Threshold,
    /// In minutes.
    pub long: Threshold,
    /// How often a source that scans may still try a host where policy limits it: what is left of a worm so throttled is slow
    /// (Williamson 2002).
    pub limit: Limit,
    /// How long a host has to answer, in [`coarse`] time.
    answer_within: u32,
    reserved: u32,
}

impl Rule {
    /// So many silent hosts in a short time, or in a long one, of which each had `answer_within_ns` to answer.
    #[must_use]
    pub const fn new(
        short: Threshold,
        long: Threshold,
        answer_within_ns: u64,
        limit: Limit,
    ) -> Self {
        Self {
            short,
            long,
            limit,
            answer_within: coarse(answer_within_ns),
            reserved: 0,
        }
    }
}

/// What one source tried on one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Scan {
    /// The hosts that were tried in the long window.
    hosts: [u64; HOSTS_BITS as usize / 64],
    /// The services that are looked after, as hashes; 0 is none.
    watched: [u64; WATCHED],
    /// Since when, in [`coarse`] time.
    watched_since: [u32; WATCHED],
    /// When the long window began.
    long_since: u32,
    /// When the short window began.
    short_since: u32,
    /// The place in `watched` that is next.
    next: u16,
    walk: i16,
    silent_short: u16,
    /// What became of hosts in the long window.
    pub outcome: Outcome,
    reserved: [u16; 3],
}

/// What became of the hosts that a source tried on one port. Each host counts once in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Outcome {
    /// The bits set in the sketch of hosts: [`HOSTS_BITS`] of them are.
    pub hosts_ones: u16,
    /// Hosts that were looked after.
    pub judged: u16,
    /// Those that did not answer, or refused.
    pub silent: u16,
    /// Those that refused.
    pub refused: u16,
    /// Hosts, of all that were tried, in the source's own /8.
    pub in_own_8: u16,
    /// And in its own /16.
    pub in_own_16: u16,
}

/// What a try leads to.
#[derive(Clone, Copy, Debug)]
pub struct Noted {
    /// Whether it is the first one of its host in the long window.
    pub is_first: bool,
    /// The service that must have answered by now if it ever will, as a hash, for [`Scan::judge`]; 0 if there is none.
    pub due: u64,
}

impl Scan {
    /// Takes note that a host is tried: of the service, and whether the host is in the source's own /8 and /16.
    #[inline(always)]
    pub fn note(
        &mut self,
        service: ServiceHash,
        near: [bool; 2],
        now_ns: u64,
        rule: &Rule,
    ) -> Noted {
        let now = coarse(now_ns);
        if now.wrapping_sub(self.short_since) >= rule.short.window {
            self.short_since = now;
            self.silent_short = 0;
        }
        if now.wrapping_sub(self.long_since) >= rule.long.window {
            self.long_since = now;
            self.hosts = [0; 4];
            self.outcome = Outcome::default();
        }
        let is_first = sketch::insert(&mut self.hosts, service.bits());
        if is_first {
            let [in_own_8, in_own_16] = near;
            let outcome = &mut self.outcome;
            outcome.hosts_ones = outcome.hosts_ones.wrapping_add(1);
            outcome.in_own_8 = outcome.in_own_8.wrapping_add(u16::from(in_own_8));
            outcome.in_own_16 = outcome.in_own_16.wrapping_add(u16::from(in_own_16));
        }

        let place = usize::from(self.next) & WATCHED.wrapping_sub(1);
        let (Some(watched), Some(since)) = (
            self.watched.get_mut(place),
            self.watched_since.get_mut(place),
        ) else {
            return Noted { is_first, due: 0 };
        };
        let mut due = 0;
        if *watched != 0 && now.wrapping_sub(*since) >= rule.answer_within {
            due = *watched;
            *watched = 0;
        }
        if is_first && *watched == 0 {
            *watched = service.word();
            *since = now;
            self.next = self.next.wrapping_add(1);
        }
        Noted { is_first, due }
    }

    /// Whether the source scans.
    #[inline(always)]
    #[must_use]
    pub fn is_scan(&self, rule: &Rule) -> bool {
        self.walk >= WALK_MAX
            && (u32::from(self.silent_short) >= rule.short.count
                || u32::from(self.outcome.silent) >= rule.long.count)
    }

    /// Takes note of what became of a host that was looked after.
    #[inline(always)]
    pub fn judge(&mut self, standing: Standing) {
        if standing == Standing::UNKNOWN {
            return;
        }
        let outcome = &mut self.outcome;
        outcome.judged = outcome.judged.saturating_add(1);
        if standing == Standing::ANSWERS {
            self.walk = self.walk.saturating_sub(1).max(-WALK_MAX);
            return;
        }
        outcome.refused = outcome
            .refused
            .saturating_add(u16::from(standing == Standing::REFUSES));
        outcome.silent = outcome.silent.saturating_add(1);
        self.silent_short = self.silent_short.saturating_add(1);
        self.walk = self.walk.saturating_add(1).min(WALK_MAX);
    }

    /// Unites what two CPUs (or two gateways) saw of the same source and port.
    pub fn merge(&mut self, other: &Self) {
        sketch::unite(&mut self.hosts, &other.hosts);
        let (mine, theirs) = (&mut self.outcome, &other.outcome);
        mine.hosts_ones = sketch::ones(&self.hosts) as u16;
        for (mine, theirs) in [
            (&mut mine.judged, theirs.judged),
            (&mut mine.silent, theirs.silent),
            (&mut mine.refused, theirs.refused),
            (&mut mine.in_own_8, theirs.in_own_8),
            (&mut mine.in_own_16, theirs.in_own_16),
        ] {
            *mine = mine.saturating_add(theirs);
        }
    }
}

/// Whether a source scans by what several CPUs saw of it, each a part, at `now_ns`.
///
/// A host that is tried again over another connection may be seen by several of them. How many were, the sketches tell, and not which: so
/// each of those is taken for one that was silent, and counts once.
#[must_use]
pub fn is_scan_in_all(parts: &[&Scan], now_ns: u64, rule: &Rule) -> bool {
    let now = coarse(now_ns);
    let mut union = [0; HOSTS_BITS as usize / 64];
    let estimate = |hosts: &[u64]| sketch::estimate(HOSTS_BITS, sketch::ones(hosts));
    let (mut seen, mut silent_short, mut silent, mut answered) = (0_u32, 0_u32, 0_u32, 0_u32);
    for part in parts {
        if now.wrapping_sub(part.long_since) >= rule.long.window {
            continue;
        }
        sketch::unite(&mut union, &part.hosts);
        seen = seen.saturating_add(estimate(&part.hosts));
        let outcome = &part.outcome;
        silent = silent.saturating_add(outcome.silent.into());
        answered = answered.saturating_add(outcome.judged.saturating_sub(outcome.silent).into());
        if now.wrapping_sub(part.short_since) < rule.short.window {
            silent_short = silent_short.saturating_add(part.silent_short.into());
        }
    }
    let repeated = seen.saturating_sub(estimate(&union));
    silent_short = silent_short.saturating_sub(repeated);
    silent = silent.saturating_sub(repeated);
    silent >= answered.saturating_add(WALK_MAX.unsigned_abs().into())
        && (silent_short >= rule.short.count || silent >= rule.long.count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{IpAddress, IpProtocol};

    const SECOND: u64 = 1_000_000_000;
    const RULE: Rule = Rule::new(
        Threshold::new(5, 60 * SECOND),
        Threshold::new(8, 600 * SECOND),
        ANSWER_WITHIN_NS,
        Limit::new(1, SECOND),
    );

    fn service(host: u32) -> ServiceHash {
        ServiceHash::new(
            IpAddress::from_v4_number(host * 31337),
            IpProtocol::TCP,
            23,
            7,
        )
    }

    /// Tries a host, and has what is due judged as `standing` says.
    fn try_host(scan: &mut Scan, host: u32, at: u64, standing: Standing) -> Noted {
        let near = [|| false; 2].map(|near| near());
        let noted = scan.note(service(host), near, at, &RULE);
        if noted.due != 0 {
            scan.judge(standing);
        }
        noted
    }

    #[test]
    fn parts_are_a_scan_together_and_one_silent_host_that_all_saw_is_none() {
        let tried = |hosts: core::ops::Range<u32>| {
            let mut scan = Scan::zeroed();
            for (second, host) in (1..).zip(hosts) {
                let _ = scan.note(service(host), [false; 2], second * SECOND, &RULE);
                scan.judge(Standing::ASKED);
            }
            scan
        };
        let (first, second) = (tried(0..3), tried(3..6));
        let now = 10 * SECOND;
        assert!(!first.is_scan(&RULE) && !second.is_scan(&RULE));
        assert!(is_scan_in_all(&[&first, &second], now, &RULE));
        assert!(!is_scan_in_all(&[&first], now, &RULE));
        // Its windows are over.
        assert!(!is_scan_in_all(&[&first, &second], 700 * SECOND, &RULE));
        // The same hosts, seen by three.
        assert!(!is_scan_in_all(&[&first; 3], now, &RULE));
        // Four dead hosts that all of eight see again and again, and others beside them, each of which one of them sees.
        let monitors: [Scan; 8] = core::array::from_fn(|cpu| {
            let mut scan = tried(100..104);
            for host in 0..3 {
                let service = service(1000 + 10 * cpu as u32 + host);
                let _ = scan.note(service, [false; 2], 9 * SECOND, &RULE);
            }
            scan.judge(Standing::ANSWERS);
            scan
        });
        assert!(!is_scan_in_all(&monitors.each_ref(), now, &RULE));
        // Half of the hosts answer.
        let mut answered = tried(3..6);
        for _ in 0..6 {
            answered.judge(Standing::ANSWERS);
        }
        assert!(!is_scan_in_all(&[&first, &answered], now, &RULE));
    }

    #[test]
    fn a_host_is_due_a_second_after_it_was_tried_and_counts_once() {
        let mut scan = Scan::zeroed();
        for at in 0..4 {
            let noted = try_host(&mut scan, 1, SECOND + at, Standing::ASKED);
            assert_eq!((noted.is_first, noted.due), (at == 0, 0));
        }
        // Four are looked after; the next looks at the oldest of them.
        for host in 2..5 {
            try_host(&mut scan, host, SECOND + 4, Standing::ASKED);
        }
        let noted = try_host(&mut scan, 1, 3 * SECOND, Standing::ASKED);
        assert_eq!(noted.due, service(1).word());
        assert_eq!((scan.outcome.judged, scan.outcome.silent), (1, 1));
        let noted = try_host(&mut scan, 1, 4 * SECOND, Standing::ASKED);
        assert_eq!(noted.due, 0);
    }

    #[test]
    fn silent_hosts_make_a_scan_and_answers_take_it_back() {
        let mut scan = Scan::zeroed();
        let mut host = 0;
        let mut tries = |scan: &mut Scan, count: u32, standing| {
            for _ in 0..count {
                host += 1;
                try_host(scan, host, u64::from(host) * 2 * SECOND, standing);
            }
        };
        tries(&mut scan, 8, Standing::ASKED);
        assert!(!scan.is_scan(&RULE), "{:?}", scan.outcome);
        tries(&mut scan, 2, Standing::REFUSES);
        assert!(scan.is_scan(&RULE), "{:?}", scan.outcome);
        assert!(scan.outcome.refused > 0);
        tries(&mut scan, 1, Standing::ANSWERS);
        assert!(!scan.is_scan(&RULE), "{:?}", scan.outcome);
        // What nobody knows counts neither way.
        let before = scan.outcome;
        tries(&mut scan, 3, Standing::UNKNOWN);
        assert_eq!(before.judged, scan.outcome.judged);
    }

    #[test]
    fn two_cpus_together_have_seen_what_each_saw() {
        let (mut one, mut other) = (Scan::zeroed(), Scan::zeroed());
        for host in 0..12 {
            let scan = if host % 2 == 0 { &mut one } else { &mut other };
            try_host(scan, host, u64::from(host) * 2 * SECOND, Standing::ASKED);
        }
        let (judged, hosts) = (
            one.outcome.judged + other.outcome.judged,
            one.outcome.hosts_ones + other.outcome.hosts_ones,
        );
        one.merge(&other);
        assert_eq!(one.outcome.judged, judged);
        assert!(one.outcome.hosts_ones <= hosts && one.outcome.hosts_ones >= hosts - 1);
    }
}
