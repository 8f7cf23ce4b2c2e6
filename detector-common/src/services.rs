//! Which services answer: what was asked of an address and port, and what came back from there.
//!
//! A word for each service in a table that all CPUs share, for what is asked on one interface is answered on another: a part of
//! the service's hash, who asked it, and its standing. Services that share a slot push each other out, which makes a service unknown and
//! never silent. What hosts of ours ask and what is asked from outside have a half of the table each, so that nobody outside pushes out
//! what a host of ours has asked, and hides it so. A word is written as a whole, so nothing is locked.
//!
//! Whom the answer goes to is no part of it: behind a gateway that translates addresses (NAT) it does not go to who asked.

use crate::{
    net::{IpAddress, IpProtocol, MacAddress, Vlan},
    packet::is_zero,
};

/// Slots of the table, a power of two: a megabyte.
pub const SLOTS: u32 = 1 << 17;

/// A service, hashed: an address, a protocol and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceHash(u64);

impl ServiceHash {
    /// The hash of a service. `seed` is secret, so that nobody can choose services that share a slot.
    #[inline(always)]
    #[must_use]
    pub fn new(address: IpAddress, protocol: IpProtocol, port: u16, seed: u64) -> Self {
        let context = u64::from(port) | u64::from(protocol.0) << 16;
        Self(address.hash(context, seed))
    }

    /// A hash as [`Self::word`] gave it.
    #[inline(always)]
    #[must_use]
    pub fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// The hash as a number.
    #[inline(always)]
    #[must_use]
    pub fn word(self) -> u64 {
        self.0
    }

    /// The slot of the service for what is asked on a `lan` side, or for what is asked on another.
    #[inline(always)]
    #[must_use]
    pub fn slot(self, by_lan: bool) -> u32 {
        let half = (self.0 >> 40) as u32 & (SLOTS / 2).wrapping_sub(1);
        half.wrapping_add((SLOTS / 2).wrapping_mul(by_lan.into()))
    }

    /// Bits that say nothing of the slot, for a sketch.
    #[inline(always)]
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0 >> 8 & 0xffff
    }
}

/// Who sent a frame, and where it came in, in 16 bits: of 65,536 that one differs from, one is taken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender(u64);

impl Sender {
    const MASK: u64 = 0xffff << 2;
    /// An odd number of which half of the bits are set, as in Knuth's multiplicative hashing.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

    /// Who has this `mac` in the outer `vlan` on the interface in slot `interface`.
    #[inline(always)]
    #[must_use]
    pub fn new(mac: MacAddress, interface: u8, vlan: Vlan) -> Self {
        let link = u64::from(interface) << 12 | u64::from(vlan.outer) & 0xfff;
        let bits = (mac.to_word() ^ link << 48).wrapping_mul(Self::FACTOR) >> 48;
        Self(bits << 2)
    }
}

/// What is known of a service.
///
/// VERIFIER: a number, of which the compiler makes no branches that it does not need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing(u64);

impl Standing {
    /// Nothing.
    pub const UNKNOWN: Self = Self(0);
    /// Somebody asked it.
    pub const ASKED: Self = Self(1);
    /// It answered, ever.
    pub const ANSWERS: Self = Self(2);
    /// It refused what was asked last.
    pub const REFUSES: Self = Self(3);

    const MASK: u64 = 3;
    /// What of a word is not of the hash.
    const OWN: u64 = Self::MASK | Sender::MASK;

    /// What the word in the slot of `service` says of it.
    #[inline(always)]
    #[must_use]
    pub fn of(word: u64, service: ServiceHash) -> Self {
        Self((word & Self::MASK).wrapping_mul(is_zero((word ^ service.0) & !Self::OWN)))
    }

    /// The same for a packet that comes from the service, sent by `sender`. If that is who asked, it is not known: nobody answers himself.
    #[inline(always)]
    #[must_use]
    pub fn of_answer(word: u64, service: ServiceHash, sender: Sender) -> Self {
        let is_another = is_zero((word ^ sender.0) & Sender::MASK) ^ 1;
        Self(Self::of(word, service).0.wrapping_mul(is_another))
    }

    /// What it is after a packet from the service that `answers` or `refuses`. A connection may be reset that was accepted before.
    #[inline(always)]
    #[must_use]
    pub fn after(self, answers: bool, refuses: bool) -> Self {
        if answers && self != Self::UNKNOWN {
            Self::ANSWERS
        } else if refuses && self == Self::ASKED {
            Self::REFUSES
        } else {
            self
        }
    }

    /// Zero if nothing is known.
    #[inline(always)]
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }

    /// The word that says it of a service that `sender` asked.
    #[inline(always)]
    #[must_use]
    pub fn word(self, service: ServiceHash, sender: Sender) -> u64 {
        service.0 & !Self::OWN | sender.0 | self.0
    }

    /// A word that says it where `word` said something else.
    #[inline(always)]
    #[must_use]
    pub fn instead(self, word: u64) -> u64 {
        word & !Self::MASK | self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: u64 = 0x1234_5678_9abc_def0;

    fn service(host: u32, port: u16) -> ServiceHash {
        ServiceHash::new(IpAddress::from_v4_number(host), IpProtocol::TCP, port, SEED)
    }

    fn sender(mac: u8, interface: u8, outer: u16) -> Sender {
        let mac = MacAddress::new([2, 0, 0, 0, 0, mac]);
        Sender::new(mac, interface, Vlan { outer, inner: 0 })
    }

    #[test]
    fn a_standing_is_that_of_its_service_and_of_no_other() {
        for standing in [Standing::ASKED, Standing::ANSWERS, Standing::REFUSES] {
            let word = standing.word(service(7, 80), sender(1, 3, 4095));
            assert_eq!(Standing::of(word, service(7, 80)), standing);
            for other in [service(8, 80), service(7, 81)] {
                assert_eq!(Standing::of(word, other), Standing::UNKNOWN);
            }
        }
        assert_eq!(Standing::of(0, service(7, 80)), Standing::UNKNOWN);
    }

    #[test]
    fn who_asked_answers_nothing_and_everybody_else_does() {
        let service = service(7, 80);
        let word = Standing::ASKED.word(service, sender(1, 1, 5));
        for (by, known) in [
            (sender(1, 1, 5), Standing::UNKNOWN),
            (sender(2, 1, 5), Standing::ASKED),
            (sender(1, 1, 6), Standing::ASKED),
            (sender(1, 0, 5), Standing::ASKED),
        ] {
            assert_eq!(Standing::of_answer(word, service, by), known);
        }
        let word = Standing::ANSWERS.instead(word);
        assert_eq!(word, Standing::ANSWERS.word(service, sender(1, 1, 5)));
    }

    #[test]
    fn what_is_asked_from_outside_pushes_out_nothing_that_a_host_of_ours_asked() {
        let slots = |by_lan| (0..10_000).map(move |host| service(host, 80).slot(by_lan));
        assert!(slots(false).all(|slot| slot < SLOTS / 2));
        assert!(slots(true).all(|slot| (SLOTS / 2..SLOTS).contains(&slot)));
    }

    #[test]
    fn a_protocol_makes_another_service() {
        let address = IpAddress::v4([192, 0, 2, 1]);
        let of = |protocol| ServiceHash::new(address, protocol, 53, SEED);
        assert_ne!(of(IpProtocol::TCP), of(IpProtocol::UDP));
    }
}
