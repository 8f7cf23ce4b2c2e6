//! What each source did: a set-associative cache that is pure code over one entry of a per-CPU array.
//!
//! A key is one source under one detector; its state is found in one of the four ways of one set. Memory is fixed,
//! nothing is locked and no helper is called, so a flood of forged sources costs what one source costs. What a full
//! set does is decided here: a stranger never takes the place of a recent offender, an offender takes the place of
//! the oldest. Each CPU keeps its own table; [`SourceState::merge`] unites them.

use bytemuck::{Pod, Zeroable};

use crate::{
    detect::Detector,
    net::{IpAddress, MacAddress, Vlan},
    token_bucket::TokenBucket,
};

/// Ways of a set.
pub const WAYS: usize = 4;
/// Sets of a table, a power of two.
pub const SETS: u32 = 4096;
/// How far the hash is moved down to be a set.
const SET_SHIFT: u32 = u64::BITS - SETS.trailing_zeros();
/// How long after its last packet an offender still outranks every stranger, in nanoseconds: one hour.
pub const OFFENDER_HOLD_NS: u64 = 3_600_000_000_000;

/// A source under one detector: an ARP sender by its MAC, a host by its IP address.
///
/// Three words, so that comparing and hashing are three instructions each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Pod, Zeroable)]
#[repr(C)]
pub struct SourceKey {
    /// An IP address, or a MAC in the first six bytes.
    address: [u64; 2],
    /// From the lowest: inner VLAN and outer VLAN (12 bits in 16 each), signature (16), interface (8), detector (8).
    context: u64,
}

impl SourceKey {
    /// The key of an ARP sender.
    #[inline(always)]
    #[must_use]
    pub fn of_sender(interface: u8, vlan: Vlan, sender: MacAddress) -> Self {
        Self {
            address: [sender.to_word().to_le(), 0],
            context: context(Detector::ArpFlood, 0, interface, vlan),
        }
    }

    /// The key of a whole segment, whose senders are forged.
    #[inline(always)]
    #[must_use]
    pub fn of_segment(interface: u8, vlan: Vlan) -> Self {
        Self {
            address: [0; 2],
            context: context(Detector::ArpFloodSegment, 0, interface, vlan),
        }
    }

    /// The key of a host that showed `signature`.
    #[inline(always)]
    #[must_use]
    pub fn of_host(signature: u16, interface: u8, vlan: Vlan, host: IpAddress) -> Self {
        Self {
            address: host.words(),
            context: context(Detector::Signature, signature, interface, vlan),
        }
    }

    /// The MAC, where the source is an ARP sender.
    #[must_use]
    pub fn mac(&self) -> Option<MacAddress> {
        let [word, _] = self.address;
        (self.detector() == Some(Detector::ArpFlood))
            .then_some(MacAddress::from_word(u64::from_le(word)))
    }

    /// The IP address, where the source is a host.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddress> {
        (self.detector() == Some(Detector::Signature)).then_some(bytemuck::cast(self.address))
    }

    /// The detector, or `None` in an entry that is empty or of another version.
    #[must_use]
    pub fn detector(&self) -> Option<Detector> {
        let [.., detector] = self.context.to_le_bytes();
        Detector::from_number(detector)
    }

    /// The slot of the interface.
    #[must_use]
    pub fn interface(&self) -> u8 {
        let [.., interface, _] = self.context.to_le_bytes();
        interface
    }

    /// The signature's number, 0 for another detector.
    #[must_use]
    pub fn signature(&self) -> u16 {
        let [_, _, _, _, low, high, ..] = self.context.to_le_bytes();
        u16::from_le_bytes([low, high])
    }

    /// The VLAN tags.
    #[must_use]
    pub fn vlan(&self) -> Vlan {
        let [a, b, c, d, ..] = self.context.to_le_bytes();
        Vlan {
            outer: u16::from_le_bytes([c, d]),
            inner: u16::from_le_bytes([a, b]),
        }
    }

    /// The set it belongs to. `seed` is secret, so that nobody can choose addresses that share a set.
    #[inline(always)]
    #[must_use]
    pub fn set(&self, seed: u64) -> u32 {
        // Odd constants with well-spread bits: the golden ratio, and the two of MurmurHash3's finaliser.
        let [first, second] = self.address;
        let mut hash = (first ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 32;
        hash = (hash ^ second).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash ^= hash >> 32;
        hash = (hash ^ self.context).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        // The upper bits depend on all of the key.
        (hash >> SET_SHIFT) as u32
    }

    #[inline(always)]
    fn is(&self, other: &Self) -> bool {
        let [a, b] = self.address;
        let [c, d] = other.address;
        (a ^ c) | (b ^ d) | (self.context ^ other.context) == 0
    }
}

#[inline(always)]
fn context(detector: Detector, signature: u16, interface: u8, vlan: Vlan) -> u64 {
    u64::from(vlan.inner)
        | u64::from(vlan.outer) << 16
        | u64::from(signature) << 32
        | u64::from(interface) << 48
        | (detector as u64) << 56
}

/// What came with a source on the other layer: a host's MAC, or what an ARP sender calls itself. Two words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Companion {
    words: [u64; 2],
}

impl Companion {
    /// A MAC.
    #[inline(always)]
    #[must_use]
    pub fn mac(mac: MacAddress) -> Self {
        Self {
            words: [mac.to_word().to_le(), 0],
        }
    }

    /// An IP address.
    #[inline(always)]
    #[must_use]
    pub fn ip(ip: IpAddress) -> Self {
        Self { words: ip.words() }
    }

    /// The MAC it was made of.
    #[must_use]
    pub fn to_mac(self) -> MacAddress {
        let [word, _] = self.words;
        MacAddress::from_word(u64::from_le(word))
    }

    /// The IP address it was made of.
    #[must_use]
    pub fn to_ip(self) -> IpAddress {
        bytemuck::cast(self.words)
    }
}

/// What one source did under one detector. Times are nanoseconds of the runtime's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct SourceState {
    /// Its first packet.
    pub first_ns: u64,
    /// Its last packet.
    pub last_ns: u64,
    /// Packets the detector looked at.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets the detector objected to.
    pub flagged: u64,
    /// Flagged packets that were dropped.
    pub dropped: u64,
    /// The bucket of a detector that limits.
    pub bucket: TokenBucket,
    /// When it was last reported; 0: never.
    pub reported_ns: u64,
    /// Flagged packets since it was last reported.
    pub unreported: u64,
    /// The address of the other layer that came with it last.
    pub companion: Companion,
    /// Zero.
    pub reserved: u64,
}

impl SourceState {
    /// Takes note of a packet.
    #[inline(always)]
    pub fn see(&mut self, now_ns: u64, bytes: u64, companion: Companion) {
        if self.packets == 0 {
            self.first_ns = now_ns;
        }
        self.last_ns = now_ns;
        self.packets = self.packets.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(bytes);
        self.companion = companion;
    }

    /// Takes note that the detector objects to this packet.
    #[inline(always)]
    pub fn flag(&mut self, dropped: bool) {
        self.flagged = self.flagged.wrapping_add(1);
        self.dropped = self.dropped.wrapping_add(u64::from(dropped));
        self.unreported = self.unreported.wrapping_add(1);
    }

    /// If a report is due, the flagged packets it stands for. At most one is due every `interval_ns`.
    #[inline(always)]
    pub fn report(&mut self, now_ns: u64, interval_ns: u64) -> Option<u64> {
        if self.reported_ns != 0 && now_ns.saturating_sub(self.reported_ns) < interval_ns {
            return None;
        }
        // A clock may start at 0, which means "never" here.
        self.reported_ns = if now_ns == 0 { 1 } else { now_ns };
        let count = self.unreported;
        self.unreported = 0;
        Some(count)
    }

    /// Unites what two CPUs (or two gateways) saw of the same source.
    pub fn merge(&mut self, other: &Self) {
        if other.packets == 0 {
            return;
        }
        if self.packets == 0 {
            *self = *other;
            return;
        }
        if other.last_ns > self.last_ns {
            self.companion = other.companion;
        }
        self.first_ns = self.first_ns.min(other.first_ns);
        self.last_ns = self.last_ns.max(other.last_ns);
        self.reported_ns = self.reported_ns.max(other.reported_ns);
        for (mine, theirs) in [
            (&mut self.packets, other.packets),
            (&mut self.bytes, other.bytes),
            (&mut self.flagged, other.flagged),
            (&mut self.dropped, other.dropped),
            (&mut self.unreported, other.unreported),
        ] {
            *mine = mine.saturating_add(theirs);
        }
    }
}

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

/// One set of the table: the keys that share a hash, with their states.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct SourceSet {
    /// How long each entry is worth keeping: its last packet, and [`OFFENDER_HOLD_NS`] more for an offender.
    ranks: [u64; WAYS],
    keys: [SourceKey; WAYS],
    states: [SourceState; WAYS],
}

impl SourceSet {
    /// Runs `step` on the state of `key`, which is made if it is not there and may be.
    ///
    /// `offender`: whether the key is one already, without regard to what the step finds.
    #[inline(always)]
    pub fn visit<T>(
        &mut self,
        key: &SourceKey,
        now_ns: u64,
        offender: bool,
        step: impl FnOnce(&mut SourceState) -> T,
    ) -> Visit<T> {
        let mut way = WAYS;
        let mut oldest = 0;
        let mut oldest_rank = u64::MAX;
        for (index, (candidate, rank)) in self.keys.iter().zip(&self.ranks).enumerate() {
            if candidate.is(key) {
                way = index;
            }
            if *rank < oldest_rank {
                oldest = index;
                oldest_rank = *rank;
            }
        }

        let mut displaced = false;
        if way == WAYS {
            displaced = oldest_rank > now_ns;
            if displaced && !offender {
                return Visit::Refused;
            }
            way = oldest;
            if let (Some(slot), Some(state)) = (self.keys.get_mut(way), self.states.get_mut(way)) {
                *slot = *key;
                *state = SourceState::zeroed();
            }
        }

        let (Some(state), Some(rank)) = (self.states.get_mut(way), self.ranks.get_mut(way)) else {
            return Visit::Refused;
        };
        let result = step(state);
        *rank = if state.flagged == 0 {
            now_ns
        } else {
            now_ns.saturating_add(OFFENDER_HOLD_NS)
        };
        if displaced {
            Visit::Displaced(result)
        } else {
            Visit::Known(result)
        }
    }

    /// The entries that are in use.
    pub fn entries(&self) -> impl Iterator<Item = (&SourceKey, &SourceState)> {
        self.keys
            .iter()
            .zip(&self.states)
            .filter(|(_, state)| state.packets != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn sender(number: u8) -> SourceKey {
        SourceKey::of_sender(0, Vlan::default(), MacAddress::new([2, 0, 0, 0, 0, number]))
    }

    fn see(set: &mut SourceSet, key: &SourceKey, now_ns: u64, flagged: bool) -> Visit<u64> {
        set.visit(key, now_ns, false, |state| {
            state.see(now_ns, 60, Companion::default());
            if flagged {
                state.flag(false);
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
        let visit = set.visit(&sender(9), 2 * SECOND, true, |state| state.packets);
        assert_eq!(visit, Visit::Displaced(0));
        assert_eq!(see(&mut set, &sender(3), 2 * SECOND, true), Visit::Known(2));
    }

    #[test]
    fn a_key_gives_back_what_it_was_made_of() {
        let vlan = Vlan {
            outer: 4095,
            inner: 7,
        };
        let key = SourceKey::of_host(65535, 15, vlan, IpAddress::v4([192, 0, 2, 1]));
        assert_eq!(key.detector(), Some(Detector::Signature));
        assert_eq!(
            (key.signature(), key.interface(), key.vlan()),
            (65535, 15, vlan)
        );
        assert_eq!(key.ip(), Some(IpAddress::v4([192, 0, 2, 1])));
        assert_eq!(key.mac(), None);
    }

    #[test]
    fn neighbouring_addresses_spread_over_the_sets() {
        let mut used = [0_u8; SETS as usize];
        for host in 0..4096_u16 {
            let [high, low] = host.to_be_bytes();
            let key = SourceKey::of_host(1, 0, Vlan::default(), IpAddress::v4([10, 0, high, low]));
            used[key.set(0x1234_5678) as usize] += 1;
        }
        // 4096 balls in 4096 bins: 63 % of the bins are hit, and hardly any more than eight times.
        assert!(used.iter().filter(|count| **count > 0).count() > 2400);
        assert!(used.iter().all(|count| *count < 12));
    }

    #[test]
    fn a_report_is_due_once_an_interval_and_stands_for_all_since_the_last() {
        let mut state = SourceState::default();
        let mut reports = [0; 3];
        for packet in 0..30_u64 {
            state.flag(false);
            if let Some(count) = state.report(SECOND + packet * SECOND / 10, SECOND) {
                reports[(packet / 10) as usize] += count;
            }
        }
        assert_eq!(reports, [1, 10, 10]);
        assert_eq!(state.unreported, 9);
    }

    #[test]
    fn merging_adds_counts_and_keeps_the_first_and_the_last() {
        let mut mine = SourceState {
            first_ns: 5,
            last_ns: 9,
            packets: 2,
            flagged: 1,
            ..Default::default()
        };
        let theirs = SourceState {
            first_ns: 3,
            last_ns: 7,
            packets: 3,
            flagged: 3,
            ..Default::default()
        };
        mine.merge(&theirs);
        assert_eq!(
            (mine.first_ns, mine.last_ns, mine.packets, mine.flagged),
            (3, 9, 5, 4)
        );
        mine.merge(&SourceState::default());
        assert_eq!(mine.first_ns, 3);
    }
}
