//! What each source did: a set-associative cache that is pure code over one entry of a per-CPU array.
//!
//! A key is one source under one detector; what it did is found in one of the four ways of one set. Memory is fixed,
//! nothing is locked and no helper is called, so a flood of forged sources costs what one source costs. What a full
//! set does is decided here: a stranger never takes the place of a recent offender; an offender takes the place of
//! a stranger, else of one that showed a signature once, else of the oldest. Each CPU keeps its own table; [`SourceState::merge`]
//! unites them.

mod arp_sender;
mod key;
mod state;

use bytemuck::{Pod, Zeroable};

pub use self::{
    arp_sender::ArpSender,
    key::{SCANNER_SETS, SETS_OF_A_KIND, SourceHash, SourceKey},
    state::{Companion, Objections, SourceState},
};
use crate::{
    detect::{Detector, scan::Scan},
    event::Reach,
    net::Vlan,
    packet::is_zero,
};

/// Ways of a set.
pub const WAYS: usize = 4;
/// Sets of a table.
pub const SETS: u32 = 6144;
/// How long after its last packet an offender still outranks every stranger, in nanoseconds: one hour. A host that
/// showed a signature again outranks for as long whoever did so once, as forged hosts do.
pub const OFFENDER_HOLD_NS: u64 = 3_600_000_000_000;

/// What became of a visit to a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit<T> {
    /// The source has an entry.
    Known(T),
    /// It got one, at the price of an older offender's.
    Displaced(T),
    /// All ways belong to recent offenders, and this is a stranger.
    Refused,
}

/// Words for what only one kind of source has.
const DETAIL_WORDS: usize = 19;

/// A source with what it did; four cache lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Source {
    /// Which source under which detector.
    pub key: SourceKey,
    /// What it did.
    pub state: SourceState,
    detail: [u64; DETAIL_WORDS],
}

impl Source {
    /// What only an ARP sender has, of one.
    #[inline(always)]
    #[must_use]
    pub fn arp_sender(&self) -> &ArpSender {
        bytemuck::must_cast_ref(&self.detail)
    }

    /// The same, to add to it.
    #[inline(always)]
    #[must_use]
    pub fn arp_sender_mut(&mut self) -> &mut ArpSender {
        bytemuck::must_cast_mut(&mut self.detail)
    }

    /// What only a source that tries hosts has, of one.
    #[inline(always)]
    #[must_use]
    pub fn scan(&self) -> &Scan {
        let [detail @ .., _, _, _, _, _] = &self.detail;
        bytemuck::must_cast_ref::<[u64; DETAIL_WORDS - 5], _>(detail)
    }

    /// The same, to add to it.
    #[inline(always)]
    #[must_use]
    pub fn scan_mut(&mut self) -> &mut Scan {
        let [detail @ .., _, _, _, _, _] = &mut self.detail;
        bytemuck::must_cast_mut::<[u64; DETAIL_WORDS - 5], _>(detail)
    }

    /// Whether it is a sender of ARP or of neighbour discovery.
    #[inline(always)]
    fn is_arp_sender(&self) -> bool {
        self.key.is_sender()
    }

    /// A whole segment, whose senders are forged.
    #[must_use]
    pub fn of_segment(interface: u8, vlan: Vlan, state: SourceState) -> Self {
        Self {
            key: SourceKey::of_segment(interface, vlan),
            state,
            ..Self::zeroed()
        }
    }

    /// What each detector objected to: the key of the source under it, and the objections.
    pub fn objections(&self) -> impl Iterator<Item = (SourceKey, Objections)> {
        let none = Objections::default();
        let family = self.key.family();
        let (sweep, spoof) = if self.is_arp_sender() {
            let sender = self.arp_sender();
            (sender.sweep.objections, sender.spoof_objections)
        } else {
            (none, none)
        };
        [
            (self.key, self.state.objections),
            (self.key.under(family.detector(Detector::ArpSweep)), sweep),
            (self.key.under(family.detector(Detector::ArpSpoof)), spoof),
        ]
        .into_iter()
        .filter(|(_, objections)| objections.flagged != 0)
    }

    /// How widely it reaches.
    #[must_use]
    pub fn reach(&self) -> Reach {
        if self.is_arp_sender() {
            Reach::of_sender(self.arp_sender())
        } else if self.key.is_scanner() {
            Reach::of_scan(self.scan())
        } else {
            Reach::default()
        }
    }

    /// Whether it is worth keeping for what a detector objected to.
    #[inline(always)]
    fn is_offender(&self) -> bool {
        let swept = if self.is_arp_sender() {
            self.arp_sender().sweep.objections.flagged
        } else {
            0
        };
        self.state.objections.flagged | swept != 0
    }

    /// Unites what two CPUs (or two gateways) saw of the same source.
    pub fn merge(&mut self, other: &Self) {
        self.state.merge(&other.state);
        if self.is_arp_sender() {
            let theirs = *other.arp_sender();
            self.arp_sender_mut().merge(&theirs);
        } else if self.key.is_scanner() {
            let theirs = *other.scan();
            self.scan_mut().merge(&theirs);
        }
    }
}

/// One set of the table: the sources that share the upper bits of their hashes.
///
/// What a packet from a stranger needs to know stands in the first cache line.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct SourceSet {
    /// The hash of each source. Two IPv6 hosts share one as often as 64 coins fall alike.
    hashes: [u64; WAYS],
    /// How long each source is worth keeping: its last packet, and [`OFFENDER_HOLD_NS`] more for an offender, twice that
    /// for one that showed a signature again.
    ranks: [u64; WAYS],
    sources: [Source; WAYS],
}

impl SourceSet {
    /// Runs `step` on the state of `key`, whose hash is `hash`. It is made if it is not there and may be.
    ///
    /// `offender`: whether the key is one already, without regard to what the step finds.
    ///
    /// VERIFIER: a way is found by arithmetic, so that all four go on as one; and an offender's hold, for all that comes after is
    /// verified again for each branch here.
    #[inline(always)]
    pub fn visit<T>(
        &mut self,
        key: &SourceKey,
        hash: SourceHash,
        now_ns: u64,
        offender: bool,
        step: impl FnOnce(&mut Source) -> T,
    ) -> Visit<T> {
        let [a, b, c, d] = self.hashes.map(|other| is_zero(other ^ hash.0));
        let mut way = b | c << 1 | (d | d << 1);
        let mut displaced = false;
        let known = a | b | c | d;
        if known == 0 {
            let [e, f, g, h] = self.ranks;
            // With the number of its way in the lowest bits, the least rank says whose it is.
            let oldest = e.min(f | 1).min((g | 2).min(h | 3));
            displaced = oldest & !WAY_MASK > now_ns;
            if displaced && !offender {
                return Visit::Refused;
            }
            way = oldest;
            if let (Some(slot), Some(source)) = (
                self.hashes.get_mut(way_of(way)),
                self.sources.get_mut(way_of(way)),
            ) {
                *slot = hash.0;
                *source = Source {
                    key: *key,
                    ..Source::zeroed()
                };
            }
        }

        let index = way_of(way);
        let (Some(source), Some(rank)) = (self.sources.get_mut(index), self.ranks.get_mut(index))
        else {
            return Visit::Refused;
        };
        let result = step(source);
        let hold = if offender {
            OFFENDER_HOLD_NS.wrapping_mul(known.wrapping_add(1))
        } else if source.is_offender() {
            OFFENDER_HOLD_NS
        } else {
            0
        };
        *rank = now_ns.saturating_add(hold) & !WAY_MASK;
        if displaced {
            Visit::Displaced(result)
        } else {
            Visit::Known(result)
        }
    }

    /// The entry of the source whose hash is `hash`, if it has one.
    #[inline(always)]
    pub fn known(&mut self, hash: SourceHash) -> Option<&mut Source> {
        let [a, b, c, d] = self.hashes.map(|other| is_zero(other ^ hash.0));
        if a | b | c | d == 0 {
            return None;
        }
        self.sources.get_mut(way_of(b | c << 1 | (d | d << 1)))
    }

    /// The sources it holds.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.sources
            .iter()
            .filter(|source| source.state.packets != 0)
    }
}

const WAY_MASK: u64 = WAYS as u64 - 1;

/// The way whose number is in the lowest bits.
#[inline(always)]
fn way_of(number: u64) -> usize {
    (number & WAY_MASK) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{IpAddress, MacAddress};

    const SECOND: u64 = 1_000_000_000;
    const SEED: u64 = 0x1234_5678;

    fn sender(number: u8) -> SourceKey {
        SourceKey::of_sender(0, Vlan::default(), MacAddress::new([2, 0, 0, 0, 0, number]))
    }

    fn see(set: &mut SourceSet, key: &SourceKey, now_ns: u64, flagged: bool) -> Visit<u64> {
        set.visit(key, key.hash(SEED), now_ns, false, |source| {
            let state = &mut source.state;
            state.see(now_ns, 60, Companion::default());
            if flagged {
                state.objections.flag(false);
            }
            state.packets
        })
    }

    #[test]
    fn a_source_is_found_again() {
        let mut set = SourceSet::zeroed();
        for packet in 1..=10 {
            assert_eq!(
                see(&mut set, &sender(1), packet, false),
                Visit::Known(packet)
            );
        }
    }

    #[test]
    fn a_thousand_strangers_do_not_displace_an_offender() {
        let mut set = SourceSet::zeroed();
        see(&mut set, &sender(0), SECOND, true);
        for stranger in 0..1000_u64 {
            let key = sender((stranger % 250) as u8 + 1);
            see(&mut set, &key, 2 * SECOND + stranger, false);
        }
        assert_eq!(see(&mut set, &sender(0), 3 * SECOND, true), Visit::Known(2));
    }

    #[test]
    fn a_thousand_hosts_that_show_a_signature_once_do_not_displace_one_that_did_so_twice() {
        let mut set = SourceSet::zeroed();
        let mut show = |number: u8, now_ns: u64| {
            let host = IpAddress::v4([10, 0, 0, number]);
            let key = SourceKey::of_host(1, 0, Vlan::default(), host);
            set.visit(&key, key.hash(SEED), now_ns, true, |source| {
                let state = &mut source.state;
                state.see(now_ns, 60, Companion::default());
                state.objections.flag(false);
                state.packets
            })
        };
        show(0, SECOND);
        show(0, SECOND);
        for forged in 0..1000_u64 {
            let visit = show((forged % 250) as u8 + 1, 2 * SECOND + forged);
            assert_ne!(visit, Visit::Refused);
        }
        assert_eq!(show(0, 3 * SECOND), Visit::Known(3));
    }

    #[test]
    fn a_set_full_of_offenders_refuses_a_stranger_until_one_of_them_is_an_hour_old() {
        let mut set = SourceSet::zeroed();
        for number in 0..4 {
            see(&mut set, &sender(number), SECOND + u64::from(number), true);
        }
        assert_eq!(see(&mut set, &sender(9), 2 * SECOND, false), Visit::Refused);
        let later = SECOND + OFFENDER_HOLD_NS;
        assert_eq!(see(&mut set, &sender(9), later, false), Visit::Known(1));
        assert_eq!(see(&mut set, &sender(1), later, true), Visit::Known(2));
    }

    #[test]
    fn a_new_offender_displaces_the_oldest_one_and_says_so() {
        let mut set = SourceSet::zeroed();
        for number in 0..4 {
            see(&mut set, &sender(number), SECOND + u64::from(number), true);
        }
        let key = sender(9);
        let visit = set.visit(&key, key.hash(SEED), 2 * SECOND, true, |source| {
            source.state.packets
        });
        assert_eq!(visit, Visit::Displaced(0));
        assert_eq!(see(&mut set, &sender(3), 2 * SECOND, true), Visit::Known(2));
    }
}
