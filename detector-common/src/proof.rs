//! How sure it is that a source is who it says: whether it acknowledged the number with which a server of ours accepted it.
//!
//! Only who receives what is sent to an address learns that number, 32 bits that the server chose (RFC 6528). It is kept from the
//! server's SYN-ACK, a word for each handshake in a table that all CPUs share, and looked up when a finding asks, once: then it
//! is gone, so that nobody tries number after number. Handshakes that share a slot push each other out, which leaves the source
//! unproven. A number counts for a minute: then somebody else may have the address.
//!
//! The server is one inside: the other end of a handshake with a server outside may be in league with whoever forges.

use bytemuck::{Pod, Zeroable};

use crate::{net::IpAddress, packet::is_zero};

/// Slots of the table, a power of two: half a megabyte.
pub const SLOTS: u32 = 1 << 16;

/// How long a number counts, in units of 2³² nanoseconds, about 4.3 seconds.
const COUNTS_FOR: u64 = 14;

/// How sure it is that a source is who it says.
///
/// VERIFIER: a number, of which the compiler makes no branches that it does not need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Pod, Zeroable)]
#[repr(transparent)]
pub struct Proof(u64);

impl Proof {
    /// Anybody can have sent the packet.
    pub const SPOOFABLE: Self = Self(0);
    /// The source acknowledged our server's number.
    pub const CONFIRMED: Self = Self(1);

    /// The proof as a word.
    #[inline(always)]
    #[must_use]
    pub fn word(self) -> u64 {
        self.0
    }

    /// The proof that a word was made of.
    #[inline(always)]
    #[must_use]
    pub fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// The name in every output.
    #[must_use]
    pub fn name(self) -> &'static str {
        if self == Self::CONFIRMED {
            "confirmed"
        } else {
            "spoofable"
        }
    }
}

/// A handshake, hashed: the client with its port, and the server's port. The server's address is no part of it, for a gateway may
/// have translated it (NAT).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake(u64);

impl Handshake {
    /// The handshake of a client. `seed` is secret, so that nobody can choose handshakes that share a slot.
    #[inline(always)]
    #[must_use]
    pub fn new(client: IpAddress, client_port: u16, server_port: u16, seed: u64) -> Self {
        let ports = u64::from(client_port) | u64::from(server_port) << 16;
        Self(client.hash(ports, seed))
    }

    /// The slot of the handshake.
    #[inline(always)]
    #[must_use]
    pub fn slot(self) -> u32 {
        self.0 as u32 & SLOTS.wrapping_sub(1)
    }

    /// The word that says which number (RFC 9293 §3.4: the initial sequence number) the server chose, and when.
    ///
    /// From the lowest: the number (32 bits), the time (16, so that it begins again every 78 hours), a part of the hash (16).
    #[inline(always)]
    #[must_use]
    pub fn word(self, number: u32, now_ns: u64) -> u64 {
        self.0 >> 48 << 48 | now_ns >> 32 << 32 & 0xffff_0000_0000 | u64::from(number)
    }

    /// Whether the word is that of this handshake.
    #[inline(always)]
    #[must_use]
    pub fn is_in(self, word: u64) -> bool {
        word != 0 && (word ^ self.0) >> 48 == 0
    }

    /// What `acknowledged` proves of the client, given the word in its slot. A client's first data acknowledges the number and no
    /// data yet: one more than the number (RFC 9293 §3.5).
    #[inline(always)]
    #[must_use]
    pub fn proof(self, word: u64, acknowledged: u32, now_ns: u64) -> Proof {
        let different = word ^ self.word(acknowledged.wrapping_sub(1), 0);
        let age = (now_ns >> 32).wrapping_sub(different >> 32) & 0xffff;
        let wrong = different & 0xffff_0000_ffff_ffff;
        Proof(is_zero(wrong) & u64::from(age <= COUNTS_FOR))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: u64 = 0x1234_5678_9abc_def0;

    const SECOND: u64 = 1_000_000_000;

    fn handshake(client: [u8; 4], port: u16) -> Handshake {
        Handshake::new(IpAddress::v4(client), port, 80, SEED)
    }

    #[test]
    fn only_the_client_that_acknowledges_the_number_is_confirmed() {
        let client = handshake([192, 0, 2, 1], 1024);
        for (number, now) in [(0, 0), (7, 5 * SECOND), (u32::MAX, u64::MAX)] {
            let word = client.word(number, now);
            let proof = |who: Handshake, acknowledged| who.proof(word, acknowledged, now);
            assert_eq!(proof(client, number.wrapping_add(1)), Proof::CONFIRMED);
            for wrong in [number, number.wrapping_add(2), number.wrapping_sub(7)] {
                assert_eq!(proof(client, wrong), Proof::SPOOFABLE);
            }
            for other in [
                handshake([192, 0, 2, 2], 1024),
                handshake([192, 0, 2, 1], 1025),
            ] {
                assert_eq!(proof(other, number.wrapping_add(1)), Proof::SPOOFABLE);
            }
        }
    }

    #[test]
    fn a_number_counts_for_a_minute_and_not_when_the_address_may_be_anothers() {
        let client = handshake([192, 0, 2, 1], 1024);
        for since in [0, 3 * SECOND, 400_000 * SECOND, u64::MAX - 30 * SECOND] {
            let word = client.word(7, since);
            let after = |seconds: u64| client.proof(word, 8, since.wrapping_add(seconds * SECOND));
            assert!(
                [0, 1, 30, 59]
                    .map(after)
                    .iter()
                    .all(|proof| *proof == Proof::CONFIRMED)
            );
            assert!(
                [66, 3600, 86_400]
                    .map(after)
                    .iter()
                    .all(|proof| *proof == Proof::SPOOFABLE)
            );
        }
    }

    #[test]
    fn an_empty_slot_proves_nothing() {
        let client = handshake([192, 0, 2, 1], 1024);
        for now in [0, SECOND, 100 * SECOND] {
            assert!(
                [0, 1, 2, u32::MAX]
                    .iter()
                    .all(|number| client.proof(0, *number, now) == Proof::SPOOFABLE)
            );
        }
    }
}
