//! What each source did: a set-associative cache that is pure code over one entry of a per-CPU array.
//!
//! A key is one source under one detector; what it did is found in one of the four ways of one set. Memory is fixed,
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

    /// Its hash. `seed` is secret, so that nobody can choose addresses that share a set.
    ///
    /// Two keys that differ in one word only, as any two ARP senders or IPv4 hosts do, never have the same hash: each
    /// step can be undone.
    #[inline(always)]
    #[must_use]
    pub fn hash(&self, seed: u64) -> SourceHash {
        // Odd constants with well-spread bits: the golden ratio, and the two of MurmurHash3's finaliser.
        let [first, second] = self.address;
        let mut hash = (first ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 32;
        hash = (hash ^ second).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash ^= hash >> 32;
        SourceHash((hash ^ self.context).wrapping_mul(0xc4ce_b9fe_1a85_ec53))
    }
}

/// The hash of a [`SourceKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceHash(u64);

impl SourceHash {
    /// The set it belongs to.
    #[inline(always)]
    #[must_use]
    pub fn set(self) -> u32 {
        // The upper bits depend on all of the key.
        (self.0 >> SET_SHIFT) as u32
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

/// What came with a source on the other layer: a host's MAC, or the IPv4 address an ARP sender calls its own. One word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Companion {
    word: u64,
}

impl Companion {
    /// A MAC.
    #[inline(always)]
    #[must_use]
    pub fn mac(mac: MacAddress) -> Self {
        Self {
            word: mac.to_word(),
        }
    }

    /// An IPv4 address.
    #[inline(always)]
    #[must_use]
    pub fn ip(ip: IpAddress) -> Self {
        let [_, low] = ip.words();
        Self {
            word: u64::from_le(low) >> 32,
        }
    }

    /// The MAC it was made of.
    #[must_use]
    pub fn to_mac(self) -> MacAddress {
        MacAddress::from_word(self.word)
    }

    /// The IPv4 address it was made of.
    #[must_use]
    pub fn to_ip(self) -> IpAddress {
        IpAddress::from_v4_number((self.word as u32).swap_bytes())
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

/// A source with what it did; two cache lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Source {
    /// Which source under which detector.
    pub key: SourceKey,
    /// What it did.
    pub state: SourceState,
    reserved: [u64; 3],
}

/// One set of the table: the sources that share the upper bits of their hashes.
///
/// What a packet from a stranger needs to know stands in the first cache line.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct SourceSet {
    /// The hash of each source. Two IPv6 hosts share one as often as 64 coins fall alike.
    hashes: [u64; WAYS],
    /// How long each source is worth keeping: its last packet, and [`OFFENDER_HOLD_NS`] more for an offender.
    ranks: [u64; WAYS],
    sources: [Source; WAYS],
}

impl SourceSet {
    /// Runs `step` on the state of `key`, whose hash is `hash`. It is made if it is not there and may be.
    ///
    /// `offender`: whether the key is one already, without regard to what the step finds.
    ///
    /// VERIFIER: a way is found by arithmetic, so that all four go on as one.
    #[inline(always)]
    pub fn visit<T>(
        &mut self,
        key: &SourceKey,
        hash: SourceHash,
        now_ns: u64,
        offender: bool,
        step: impl FnOnce(&mut SourceState) -> T,
    ) -> Visit<T> {
        let [a, b, c, d] = self.hashes.map(|other| is_zero(other ^ hash.0));
        let mut way = b | c << 1 | (d | d << 1);
        let mut displaced = false;
        if a | b | c | d == 0 {
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
                source.key = *key;
                source.state = SourceState::zeroed();
            }
        }

        let index = way_of(way);
        let (Some(source), Some(rank)) = (self.sources.get_mut(index), self.ranks.get_mut(index))
        else {
            return Visit::Refused;
        };
        let result = step(&mut source.state);
        let hold = if source.state.flagged == 0 {
            0
        } else {
            OFFENDER_HOLD_NS
        };
        *rank = now_ns.saturating_add(hold) & !WAY_MASK;
        if displaced {
            Visit::Displaced(result)
        } else {
            Visit::Known(result)
        }
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

/// 1 if it is zero, and 0 if not.
#[inline(always)]
fn is_zero(word: u64) -> u64 {
    (!word & word.wrapping_sub(1)) >> 63
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const SEED: u64 = 0x1234_5678;

    fn sender(number: u8) -> SourceKey {
        SourceKey::of_sender(0, Vlan::default(), MacAddress::new([2, 0, 0, 0, 0, number]))
    }

    fn see(set: &mut SourceSet, key: &SourceKey, now_ns: u64, flagged: bool) -> Visit<u64> {
        set.visit(key, key.hash(SEED), now_ns, false, |state| {
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
        let key = sender(9);
        let visit = set.visit(&key, key.hash(SEED), 2 * SECOND, true, |state| {
            state.packets
        });
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
            used[key.hash(SEED).set() as usize] += 1;
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
