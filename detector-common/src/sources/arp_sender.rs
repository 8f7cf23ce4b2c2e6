//! What only an ARP sender has: its replies, the addresses it asked for, and those it called its own.

use bytemuck::{Pod, Zeroable};

use super::Objections;
use crate::{detect::arp_sweep::Sweep, net::IpAddress, token_bucket::TokenBucket};

/// The longest time between a claim and the same again, in [`quarters`]: eleven seconds. Who poisons ARP caches repeats it
/// every second or two, and the slowest known every ten.
const CLAIM_AGAIN: u16 = quarters(11_000_000_000);

/// The time of a claim, in units of 2²⁸ nanoseconds, about a quarter of a second; it begins again every five hours.
#[inline(always)]
const fn quarters(ns: u64) -> u16 {
    (ns >> 28) as u16
}

/// What only an ARP sender has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct ArpSender {
    /// The bucket of its replies and announcements.
    pub replies: TokenBucket,
    /// The addresses it asked for.
    pub sweep: Sweep,
    /// What `arp_spoof` objected to. Whoever forges claims is no more an offender for it: a new name costs nothing.
    pub spoof_objections: Objections,
    /// Its last two claims of what is another's, each a fold of a word of [`crate::bindings`]; the last one first. Who stands between
    /// two hosts claims the address of either, in turn.
    claims: [u32; 2],
    /// When each was made last, in [`quarters`].
    claimed: [u16; 2],
    /// The networks (/24) of the addresses that it called its own, as a sketch.
    pub networks: u32,
}

impl ArpSender {
    /// Takes note of an address that the sender calls its own.
    #[inline(always)]
    pub fn speaks_for(&mut self, address: IpAddress) {
        let [_, low] = address.words();
        // The first three bytes of the address, spread by an odd constant.
        let network = u64::from_le(low) >> 32 & 0x00ff_ffff;
        self.networks |= 1 << (network.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 59);
    }

    /// Whether its last claim but one, or its last, was the same of the same address, and that a moment ago. Damaged frames do not come
    /// twice.
    #[inline(always)]
    pub fn claims_again(&mut self, claim: u64, now_ns: u64) -> bool {
        let now = quarters(now_ns);
        let claim = (claim ^ claim >> 32) as u32;
        let [last, other] = self.claims;
        let [last_at, other_at] = self.claimed;
        let is_last = claim == last;
        let before = if is_last { last_at } else { other_at };
        self.claims = [claim, if is_last { other } else { last }];
        self.claimed = [now, if is_last { other_at } else { last_at }];
        (is_last || claim == other) && now.wrapping_sub(before) <= CLAIM_AGAIN
    }

    /// Unites what two CPUs (or two gateways) saw of the same sender.
    pub fn merge(&mut self, other: &Self) {
        self.sweep.merge(&other.sweep);
        self.spoof_objections.merge(&other.spoof_objections);
        self.networks |= other.networks;
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    /// Which of these claims, each with its second, come again.
    fn again(claims: &[(u64, u64)]) -> Vec<bool> {
        let mut sender = ArpSender::zeroed();
        let claims = claims.iter();
        claims
            .map(|(claim, second)| sender.claims_again(*claim, second * SECOND_NS))
            .collect()
    }

    #[test]
    fn one_claim_or_two_in_turn_come_again_and_three_do_not() {
        assert_eq!(again(&[(7, 100), (7, 102)]), [false, true]);
        let in_turn = [(7, 100), (8, 101), (7, 102), (8, 103)];
        assert_eq!(again(&in_turn), [false, false, true, true]);
        let three = [(7, 100), (8, 101), (9, 102), (7, 103)];
        assert_eq!(again(&three), [false; 4]);
    }

    #[test]
    fn a_claim_that_is_old_does_not_come_again_whatever_was_claimed_since() {
        assert_eq!(again(&[(7, 100), (7, 112)]), [false; 2]);
        assert_eq!(again(&[(7, 100), (8, 111), (7, 112)]), [false; 3]);
        assert_eq!(again(&[(7, 100), (7, 110)]), [false, true]);
    }
}
