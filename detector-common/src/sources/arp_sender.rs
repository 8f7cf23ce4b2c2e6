//! What only an ARP sender has: its replies, the addresses it asked for, and those it called its own.

use bytemuck::{Pod, Zeroable};

use super::Objections;
use crate::{detect::arp_sweep::Sweep, net::IpAddress, token_bucket::TokenBucket, window::coarse};

/// The longest time between a claim and the same again, in [`coarse`] time: eleven seconds. Who poisons ARP caches repeats it
/// every second or two, and the slowest known every ten.
const CLAIM_AGAIN: u32 = coarse(11_000_000_000);

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
    /// When the last one was made, in [`coarse`] time.
    claimed: u32,
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
        let now = coarse(now_ns);
        let claim = (claim ^ claim >> 32) as u32;
        let [last, other] = self.claims;
        let again =
            (claim == last || claim == other) && now.wrapping_sub(self.claimed) <= CLAIM_AGAIN;
        if claim != last {
            self.claims = [claim, last];
        }
        self.claimed = now;
        again
    }

    /// Unites what two CPUs (or two gateways) saw of the same sender.
    pub fn merge(&mut self, other: &Self) {
        self.sweep.merge(&other.sweep);
        self.spoof_objections.merge(&other.spoof_objections);
        self.networks |= other.networks;
    }
}
