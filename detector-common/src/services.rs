//! Which services answer: what was asked of an address and port, and what came back from there.
//!
//! A word for each service in a table that all CPUs share, for what is asked on one interface is answered on another: a part of
//! the service's hash, and its standing. Services that share a slot push each other out, which makes a service unknown and
//! never silent. A word is written as a whole, so nothing is locked.
//!
//! Whom the answer goes to is no part of it: behind a gateway that translates addresses (NAT) it does not go to who asked.

use crate::net::{IpAddress, IpProtocol};

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

    /// The slot of the service.
    #[inline(always)]
    #[must_use]
    pub fn slot(self) -> u32 {
        (self.0 >> 40) as u32 & SLOTS.wrapping_sub(1)
    }

    /// Bits that say nothing of the slot, for a sketch.
    #[inline(always)]
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0 >> 8 & 0xffff
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

    /// What the word in the slot of `service` says of it.
    #[inline(always)]
    #[must_use]
    pub fn of(word: u64, service: ServiceHash) -> Self {
        if (word ^ service.0) & !Self::MASK == 0 {
            Self(word & Self::MASK)
        } else {
            Self::UNKNOWN
        }
    }

    /// The word that says it.
    #[inline(always)]
    #[must_use]
    pub fn word(self, service: ServiceHash) -> u64 {
        service.0 & !Self::MASK | self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: u64 = 0x1234_5678_9abc_def0;

    fn service(host: u32, port: u16) -> ServiceHash {
        ServiceHash::new(IpAddress::from_v4_number(host), IpProtocol::TCP, port, SEED)
    }

    #[test]
    fn a_standing_is_that_of_its_service_and_of_no_other() {
        for standing in [Standing::ASKED, Standing::ANSWERS, Standing::REFUSES] {
            let word = standing.word(service(7, 80));
            assert_eq!(Standing::of(word, service(7, 80)), standing);
            for other in [service(8, 80), service(7, 81)] {
                assert_eq!(Standing::of(word, other), Standing::UNKNOWN);
            }
        }
        assert_eq!(Standing::of(0, service(7, 80)), Standing::UNKNOWN);
    }

    #[test]
    fn a_protocol_makes_another_service() {
        let address = IpAddress::v4([192, 0, 2, 1]);
        let of = |protocol| ServiceHash::new(address, protocol, 53, SEED);
        assert_ne!(of(IpProtocol::TCP), of(IpProtocol::UDP));
    }
}
