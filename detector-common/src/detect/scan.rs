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

use super::arp_sweep::coarse;
use crate::{
    services::{ServiceHash, Standing},
    sketch,
};

/// Bits of the sketch of hosts that were tried.
pub const HOSTS_BITS: u32 = 256;
/// How long a host has to answer, in nanoseconds: a second, for then TCP itself thinks its packet lost (RFC 6298 §2.1).
pub const ANSWER_WITHIN_NS: u64 = 1_000_000_000;
/// How many hosts are looked after at a time.
const WATCHED: usize = 4;
/// Where the walk decides: log₄ of 99, the chance to detect over the chance of a false alarm.
const WALK_MAX: i16 = 4;

/// So many silent hosts in so long are a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Threshold {
    /// The window, in [`coarse`] time.
    window: u32,
    hosts: u32,
}

impl Threshold {
    /// `hosts` in `window_ns`.
    #[must_use]
    pub const fn new(hosts: u32, window_ns: u64) -> Self {
        Self {
            window: coarse(window_ns),
            hosts,
        }
    }
}

/// What is a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Rule {
    /// In seconds.
    pub short: Threshold,
    /// In minutes.
    pub long: Threshold,
    /// How long a host has to answer, in [`coarse`] time.
    answer_within: u32,
    reserved: u32,
}

impl Rule {
    /// So many silent hosts in a short time, or in a long one, of which each had `answer_within_ns` to answer.
    #[must_use]
    pub const fn new(short: Threshold, long: Threshold, answer_within_ns: u64) -> Self {
        Self {
            short,
            long,
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
    /// Hosts that were looked after, or were known to answer.
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

/// A host is tried.
#[derive(Clone, Copy, Debug)]
pub struct Try {
    /// What is tried there.
    pub service: ServiceHash,
    /// What is known of that.
    pub standing: Standing,
    /// What is known of the service that [`Scan::due`] named.
    pub due: Standing,
    /// Whether the host is in the source's own /8.
    pub in_own_8: bool,
    /// Whether it is in its own /16.
    pub in_own_16: bool,
    /// When, in nanoseconds of the runtime's clock.
    pub now_ns: u64,
}

impl Scan {
    /// The service that must have answered by now if it ever will; 0 if there is none.
    #[inline(always)]
    #[must_use]
    pub fn due(&self, now_ns: u64, rule: &Rule) -> u64 {
        let place = self.place();
        let (Some(service), Some(since)) = (self.watched.get(place), self.watched_since.get(place))
        else {
            return 0;
        };
        if coarse(now_ns).wrapping_sub(*since) >= rule.answer_within {
            *service
        } else {
            0
        }
    }

    /// Takes note of a host that is tried, and says whether the source scans.
    #[inline(always)]
    pub fn note(&mut self, tried: &Try, rule: &Rule) -> bool {
        let now = coarse(tried.now_ns);
        if now.wrapping_sub(self.short_since) >= rule.short.window {
            self.short_since = now;
            self.silent_short = 0;
        }
        if now.wrapping_sub(self.long_since) >= rule.long.window {
            self.long_since = now;
            self.hosts = [0; 4];
            self.outcome = Outcome::default();
        }
        if self.due(tried.now_ns, rule) != 0 {
            self.judge(tried.due);
            let place = self.place();
            if let Some(watched) = self.watched.get_mut(place) {
                *watched = 0;
            }
        }
        if sketch::insert(&mut self.hosts, tried.service.bits()) {
            self.first_try(tried, now);
        }
        self.walk >= WALK_MAX
            && (u32::from(self.silent_short) >= rule.short.hosts
                || u32::from(self.outcome.silent) >= rule.long.hosts)
    }

    #[inline(always)]
    fn first_try(&mut self, tried: &Try, now: u32) {
        let outcome = &mut self.outcome;
        outcome.hosts_ones = outcome.hosts_ones.wrapping_add(1);
        outcome.in_own_8 = outcome.in_own_8.wrapping_add(u16::from(tried.in_own_8));
        outcome.in_own_16 = outcome.in_own_16.wrapping_add(u16::from(tried.in_own_16));
        if tried.standing == Standing::ANSWERS {
            self.judge(tried.standing);
            return;
        }
        let place = self.place();
        if let (Some(watched), Some(since)) = (
            self.watched.get_mut(place),
            self.watched_since.get_mut(place),
        ) && *watched == 0
        {
            *watched = tried.service.word();
            *since = now;
            self.next = self.next.wrapping_add(1);
        }
    }

    /// Takes note of what became of a host.
    #[inline(always)]
    fn judge(&mut self, standing: Standing) {
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

    #[inline(always)]
    fn place(&self) -> usize {
        usize::from(self.next) & WATCHED.wrapping_sub(1)
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
