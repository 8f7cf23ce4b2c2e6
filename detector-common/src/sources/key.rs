//! Who a source is: a key of three words, and its hash.

use core::ops::Range;

use bytemuck::{Pod, Zeroable};

use super::SETS;
use crate::{
    detect::Detector,
    neighbour::Family,
    net::{IpAddress, MacAddress, Vlan},
};

/// Sets of the ARP senders, and as many of the hosts that showed a signature; a power of two.
pub const SETS_OF_A_KIND: u32 = 2048;
/// Sets of the hosts inside that try others, and as many of those outside; a power of two.
const SETS_OF_A_SIDE: u32 = 1024;
/// Where the hosts that try others are kept.
pub const SCANNER_SETS: Range<u32> = 2 * SETS_OF_A_KIND..SETS;
/// How far the upper half of the hash is moved down to be one of either.
const KIND_SHIFT: u32 = u32::BITS - SETS_OF_A_KIND.trailing_zeros();
const SIDE_SHIFT: u32 = u32::BITS - SETS_OF_A_SIDE.trailing_zeros();
const _: () = assert!(SETS == 2 * SETS_OF_A_KIND + 2 * SETS_OF_A_SIDE);

/// A source under one detector: an ARP sender by its MAC, a host by its IP address.
///
/// Three words, so that comparing and hashing are three instructions each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Pod, Zeroable)]
#[repr(C)]
pub struct SourceKey {
    /// An IP address, or a MAC in the first six bytes.
    address: [u64; 2],
    /// From the lowest: inner VLAN and outer VLAN (12 bits in 16 each), signature or port (16), interface (8), detector (8).
    context: u64,
}

impl SourceKey {
    /// The key of an ARP sender; [`Self::under`] makes that of a sender of neighbour discovery.
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

    /// The same source under another detector that keeps its state in the same entry.
    #[inline(always)]
    #[must_use]
    pub fn under(self, detector: Detector) -> Self {
        Self {
            context: self.context << 8 >> 8 | (detector as u64) << 56,
            ..self
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

    /// The key of a host that tries `port` on others, under one of the detectors of [`crate::detect::scan`].
    #[inline(always)]
    #[must_use]
    pub fn of_scanner(
        detector: Detector,
        port: u16,
        interface: u8,
        vlan: Vlan,
        host: IpAddress,
    ) -> Self {
        Self {
            address: host.words(),
            context: context(detector, port, interface, vlan),
        }
    }

    /// Whether the source is a host that tries others.
    #[inline(always)]
    #[must_use]
    pub fn is_scanner(&self) -> bool {
        let [.., detector] = self.context.to_le_bytes();
        (Detector::Scan as u8..=Detector::IcmpSweep as u8).contains(&detector)
    }

    /// Whether the source is a sender of ARP or of neighbour discovery.
    #[inline(always)]
    #[must_use]
    pub fn is_sender(&self) -> bool {
        let [.., detector] = self.context.to_le_bytes();
        detector == Detector::ArpFlood as u8 || detector == Detector::NdFlood as u8
    }

    /// Of which family a sender is.
    #[must_use]
    pub fn family(&self) -> Family {
        match self.detector() {
            Some(Detector::NdFlood | Detector::NdSweep | Detector::NdSpoof) => Family::ND,
            _ => Family::ARP,
        }
    }

    /// The port that a host tries on others.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        let [_, _, _, _, low, high, ..] = self.context.to_le_bytes();
        matches!(self.detector(), Some(Detector::Scan | Detector::UdpSweep))
            .then_some(u16::from_le_bytes([low, high]))
    }

    /// The MAC, where the source is a sender of ARP or neighbour discovery.
    #[must_use]
    pub fn mac(&self) -> Option<MacAddress> {
        let [word, _] = self.address;
        matches!(
            self.detector(),
            Some(
                Detector::ArpFlood
                    | Detector::ArpSweep
                    | Detector::ArpSpoof
                    | Detector::NdFlood
                    | Detector::NdSweep
                    | Detector::NdSpoof
            )
        )
        .then_some(MacAddress::from_word(u64::from_le(word)))
    }

    /// The IP address, where the source is a host.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddress> {
        (self.detector() == Some(Detector::Signature) || self.is_scanner())
            .then_some(bytemuck::cast(self.address))
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
        if self.is_scanner() {
            0
        } else {
            u16::from_le_bytes([low, high])
        }
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

    /// The set it belongs to, given its hash, and whether it came in by an interface that faces hosts of ours.
    ///
    /// ARP senders have one third of the table, hosts that showed a signature another, and hosts that try others the last,
    /// half of it those inside: whoever forges sources of one kind, or from outside, takes no room from the others.
    #[inline(always)]
    #[must_use]
    pub fn set(&self, hash: SourceHash, is_lan: bool) -> u32 {
        let [.., detector] = self.context.to_le_bytes();
        // The upper bits depend on all of the key.
        let bits = (hash.0 >> 32) as u32;
        if self.is_scanner() {
            let side = u32::from(is_lan).wrapping_mul(SETS_OF_A_SIDE);
            (2 * SETS_OF_A_KIND)
                .wrapping_add(side)
                .wrapping_add(bits >> SIDE_SHIFT)
        } else {
            let kind = u32::from(detector == Detector::Signature as u8);
            kind.wrapping_mul(SETS_OF_A_KIND)
                .wrapping_add(bits >> KIND_SHIFT)
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
        // The highest bit of a word goes through a multiplication as it is, so without a secret of its own the second word
        // could be chosen to undo what the first one changes.
        hash = (hash ^ second.wrapping_mul(seed | 1)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash ^= hash >> 32;
        SourceHash((hash ^ self.context).wrapping_mul(0xc4ce_b9fe_1a85_ec53))
    }
}

/// The hash of a [`SourceKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceHash(pub(super) u64);

#[inline(always)]
fn context(detector: Detector, signature: u16, interface: u8, vlan: Vlan) -> u64 {
    u64::from(vlan.inner)
        | u64::from(vlan.outer) << 16
        | u64::from(signature) << 32
        | u64::from(interface) << 48
        | (detector as u64) << 56
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn what_undoes_a_change_of_the_first_word_depends_on_the_seed() {
        let key = |first: u64, second: u64| {
            SourceKey::of_host(1, 0, Vlan::default(), IpAddress::v6(first, second))
        };
        let same = (0..64_u64).filter(|seed| {
            let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let (one, other) = (key(7, 9), key(7 | 1 << 63, 9 ^ (1 << 63 | 1 << 31)));
            one.hash(seed) == other.hash(seed)
        });
        // Seed 0 has no secret.
        assert!(same.count() <= 2);
    }

    #[test]
    fn neighbouring_addresses_spread_over_the_sets() {
        let mut used = [0_u8; SETS as usize];
        for host in 0..2048_u16 {
            let [high, low] = host.to_be_bytes();
            let key = SourceKey::of_host(1, 0, Vlan::default(), IpAddress::v4([10, 0, high, low]));
            used[key.set(key.hash(0x1234_5678), false) as usize] += 1;
        }
        // 2048 balls in 2048 bins: 63 % of the bins are hit, and hardly any more than eight times.
        assert!(used.iter().filter(|count| **count > 0).count() > 1200);
        assert!(used.iter().all(|count| *count < 12));
    }

    #[test]
    fn senders_hosts_and_scanners_of_either_side_share_no_set() {
        for number in 0..=255 {
            let address = IpAddress::v4([10, 0, 0, number]);
            let scanner = SourceKey::of_scanner(Detector::Scan, 23, 0, Vlan::default(), address);
            for (is_lan, from) in [(false, 4096), (true, 5120)] {
                let set = scanner.set(scanner.hash(7), is_lan);
                assert!((from..from + SETS_OF_A_SIDE).contains(&set));
            }
            let host = IpAddress::v4([10, 0, 0, number]);
            let host = SourceKey::of_host(1, 0, Vlan::default(), host);
            let sender = MacAddress::new([2, 0, 0, 0, 0, number]);
            let sender = SourceKey::of_sender(0, Vlan::default(), sender);
            assert!((SETS_OF_A_KIND..2 * SETS_OF_A_KIND).contains(&host.set(host.hash(7), false)));
            assert!((0..SETS_OF_A_KIND).contains(&sender.set(sender.hash(7), false)));
        }
    }
}
