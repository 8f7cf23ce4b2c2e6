//! `arp_spoof`: an ARP message that takes an address from somebody else, or whose sender is not who sent it.
//!
//! An address is its first claimant's until another claims it twice within seconds, as whoever poisons caches does and a
//! frame that was damaged on its way does not: then that one is told, and the address is its own from then on. So two who
//! quarrel over an address are told again and again. A probe (RFC 5227) claims nothing. The virtual routers of VRRP
//! (RFC 9568 §7.3), CARP and HSRP answer with the MAC of the group, and some send from their own.

use crate::{
    bindings::{self, AddressHash, Owner},
    net::MacAddress,
};

/// What a message makes of an address's owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The owner speaks.
    Own,
    /// Somebody speaks for an address that nobody was known to own.
    New,
    /// Somebody else claims the address, or speaks under a name that is not its own.
    Foreign,
}

/// What a message from `source` claims that says that an address is `named`'s, given the word in the address's slot.
#[inline(always)]
#[must_use]
pub fn claim(named: MacAddress, source: MacAddress, hash: AddressHash, word: u64) -> Claim {
    if named != source && !is_virtual(named) {
        return Claim::Foreign;
    }
    match bindings::owner(word, hash) {
        Owner::Known(owner) if owner == named => Claim::Own,
        Owner::Known(_) => Claim::Foreign,
        Owner::Unknown => Claim::New,
    }
}

/// Whether it is the MAC of a group of routers, one of which answers for all.
#[inline(always)]
#[must_use]
pub fn is_virtual(mac: MacAddress) -> bool {
    /// VRRP and CARP for IPv4, then for IPv6: `00:00:5e:00:01` and `02`, then the group.
    const VRRP: u64 = MacAddress::new([0, 0, 0x5e, 0, 1, 0]).to_word();
    const VRRP_V6: u64 = MacAddress::new([0, 0, 0x5e, 0, 2, 0]).to_word();
    /// HSRP, version 1: `00:00:0c:07:ac`, then the group.
    const HSRP: u64 = MacAddress::new([0, 0, 0x0c, 0x07, 0xac, 0]).to_word();
    /// HSRP, version 2: `00:00:0c:9f:f`, then the group in twelve bits.
    const HSRP_2: u64 = MacAddress::new([0, 0, 0x0c, 0x9f, 0xf0, 0]).to_word();

    let group_of_8 = mac.to_word() & MacAddress::new([0xff, 0xff, 0xff, 0xff, 0xff, 0]).to_word();
    let group_of_12 = mac.to_word() & MacAddress::new([0xff, 0xff, 0xff, 0xff, 0xf0, 0]).to_word();
    group_of_8 == VRRP || group_of_8 == VRRP_V6 || group_of_8 == HSRP || group_of_12 == HSRP_2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{IpAddress, Vlan};

    const OWNER: MacAddress = MacAddress::new([2, 0, 0, 0, 0, 1]);
    const OTHER: MacAddress = MacAddress::new([2, 0, 0, 0, 0, 2]);
    const GROUP: MacAddress = MacAddress::new([0, 0, 0x5e, 0, 1, 7]);

    fn said_by(sender_mac: MacAddress, source: MacAddress, owner: Option<MacAddress>) -> Claim {
        let address = IpAddress::v4([192, 0, 2, 1]);
        let hash = AddressHash::new(address, Vlan::default(), 7);
        let word = owner.map_or(0, |owner| bindings::word(hash, owner));
        claim(sender_mac, source, hash, word)
    }

    #[test]
    fn an_address_is_its_owners_and_who_names_another_than_itself_claims_it() {
        assert_eq!(said_by(OWNER, OWNER, None), Claim::New);
        assert_eq!(said_by(OWNER, OWNER, Some(OWNER)), Claim::Own);
        assert_eq!(said_by(OTHER, OTHER, Some(OWNER)), Claim::Foreign);
        assert_eq!(said_by(OWNER, OTHER, Some(OWNER)), Claim::Foreign);
        assert_eq!(said_by(OWNER, OTHER, None), Claim::Foreign);
    }

    #[test]
    fn a_router_may_speak_for_its_group_and_the_group_may_not_take_what_is_anothers() {
        assert_eq!(said_by(GROUP, OWNER, Some(GROUP)), Claim::Own);
        assert_eq!(said_by(GROUP, OTHER, None), Claim::New);
        assert_eq!(said_by(GROUP, OTHER, Some(OWNER)), Claim::Foreign);
    }

    #[test]
    fn the_groups_of_vrrp_carp_and_hsrp_are_known_and_nothing_beside_them() {
        for octets in [
            [0, 0, 0x5e, 0, 1, 0],
            [0, 0, 0x5e, 0, 2, 255],
            [0, 0, 0x0c, 7, 0xac, 9],
            [0, 0, 0x0c, 0x9f, 0xf0, 0],
            [0, 0, 0x0c, 0x9f, 0xff, 255],
        ] {
            assert!(is_virtual(MacAddress::new(octets)), "{octets:02x?}");
        }
        for octets in [
            [0, 0, 0x5e, 0, 3, 0],
            [0, 0, 0x5e, 1, 1, 0],
            [0, 0, 0x0c, 7, 0xad, 9],
            [0, 0, 0x0c, 0x9f, 0xef, 0],
            [2, 0, 0x5e, 0, 1, 0],
        ] {
            assert!(!is_virtual(MacAddress::new(octets)), "{octets:02x?}");
        }
    }
}
