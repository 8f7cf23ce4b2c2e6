//! Which MAC an address belongs to, as its owner's own messages of ARP or neighbour discovery say: who is there, and who takes another's place.
//!
//! A word for each address in a table that all CPUs share: the MAC in its lower 48 bits, a part of the address's hash
//! above. Two addresses that share a slot push each other out, which makes an address unknown and never wrong. A word is
//! written as a whole, so nothing is locked.

use crate::net::{IpAddress, MacAddress, Vlan};

/// Slots of the table, a power of two: half a megabyte.
pub const SLOTS: u32 = 1 << 16;

/// An address of a VLAN, hashed.
///
/// The interface is no part of it: the two ports of a bridge are one segment, and a router has an address on one side only. Link-local
/// addresses are another matter, see [`Self::of_link`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressHash(u64);

impl AddressHash {
    /// The hash of `address`. `seed` is secret, so that nobody can choose addresses that share a slot.
    #[inline(always)]
    #[must_use]
    pub fn new(address: IpAddress, vlan: Vlan, seed: u64) -> Self {
        Self(address.hash(context(vlan), seed))
    }

    /// The hash of an address of the link behind the interface in slot `interface`. A link-local one (RFC 4291 §2.5.6) is another on each
    /// link: routers like to be `fe80::1` on all of theirs.
    #[inline(always)]
    #[must_use]
    pub fn of_link(address: IpAddress, vlan: Vlan, interface: u8, seed: u64) -> Self {
        let link = u64::from(interface).wrapping_add(1);
        let link = link.wrapping_mul(address.is_link_local_v6().into());
        Self(address.hash(context(vlan) | link << 24, seed))
    }

    /// The slot of the address.
    #[inline(always)]
    #[must_use]
    pub fn slot(self) -> u32 {
        (self.0 >> 16) as u32 & SLOTS.wrapping_sub(1)
    }

    /// Bits that say nothing of the slot, for a sketch.
    ///
    /// VERIFIER: the lowest. Any others cost twice as many instructions in all, 328,000 instead of 156,000.
    #[inline(always)]
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0 & 0xffff
    }

    /// What tells the address from others of its slot.
    #[inline(always)]
    fn tag(self) -> u64 {
        self.0 >> 48 << 48
    }
}

/// What a slot says of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Nothing.
    Unknown,
    /// It is this MAC's.
    Known(MacAddress),
}

/// Who owns the address of `hash`, given the word in its slot.
#[inline(always)]
#[must_use]
pub fn owner(word: u64, hash: AddressHash) -> Owner {
    if word == 0 || (word ^ hash.tag()) >> 48 != 0 {
        Owner::Unknown
    } else {
        Owner::Known(MacAddress::from_word(word))
    }
}

/// The word that says that the address of `hash` is `mac`'s.
#[inline(always)]
#[must_use]
pub fn word(hash: AddressHash, mac: MacAddress) -> u64 {
    hash.tag() | mac.to_word()
}

/// What besides the address tells one from another.
#[inline(always)]
fn context(vlan: Vlan) -> u64 {
    u64::from(vlan.outer) | u64::from(vlan.inner) << 12
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;

    use super::*;

    const SEED: u64 = 0x1234_5678_9abc_def0;
    const MAC: MacAddress = MacAddress::new([2, 0, 0, 0, 0, 9]);

    fn hash(number: u32) -> AddressHash {
        AddressHash::new(IpAddress::from_v4_number(number), Vlan::default(), SEED)
    }

    #[test]
    fn an_address_is_its_owners_and_nobody_elses() {
        let word = word(hash(7), MAC);
        assert_eq!(owner(word, hash(7)), Owner::Known(MAC));
        assert_eq!(owner(0, hash(7)), Owner::Unknown);
        let mistaken = (8..100_000).filter(|other| {
            hash(*other).slot() == hash(7).slot() && owner(word, hash(*other)) != Owner::Unknown
        });
        assert_eq!(mistaken.count(), 0);
    }

    #[test]
    fn the_addresses_of_a_network_spread_over_the_slots() {
        let mut used = vec![0_u8; SLOTS as usize];
        for host in 0..SLOTS {
            used[hash(0x0a00_0000 | host).slot() as usize] += 1;
        }
        // As many balls as bins: 63 % of the bins are hit.
        let hit = used.iter().filter(|count| **count > 0).count() * 100 / used.len();
        assert!((61..66).contains(&hit), "{hit} %");
        assert!(used.iter().all(|count| *count < 12));
    }

    #[test]
    fn one_address_in_two_vlans_is_two() {
        let address = IpAddress::v4([192, 0, 2, 1]);
        let of = |outer, inner| AddressHash::new(address, Vlan { outer, inner }, SEED);
        assert_ne!(of(1, 0), of(2, 0));
        assert_ne!(of(1, 2), of(2, 1));
    }

    #[test]
    fn only_a_link_local_address_is_another_on_each_link() {
        let of =
            |address, interface| AddressHash::of_link(address, Vlan::default(), interface, SEED);
        let word = |bytes| u64::from_le_bytes(bytes);
        for first in [
            [0xfe, 0x80, 0, 0, 0, 0, 0, 0],
            [0xfe, 0xbf, 0, 0, 0, 0, 0, 0],
        ] {
            let address = IpAddress::v6(word(first), 1);
            assert_ne!(of(address, 0), of(address, 1));
            assert_ne!(
                of(address, 0),
                AddressHash::new(address, Vlan::default(), SEED)
            );
        }
        let global = IpAddress::v6(word([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0]), 1);
        for address in [global, IpAddress::v4([192, 0, 2, 1])] {
            assert_eq!(of(address, 0), of(address, 1));
            assert_eq!(
                of(address, 0),
                AddressHash::new(address, Vlan::default(), SEED)
            );
        }
    }
}
