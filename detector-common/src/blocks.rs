//! Who is blocked: every packet of a blocked source is dropped until the block ends.
//!
//! The agent makes blocks and ends them, the classifier only looks. A block has a record, found by the hash of its address or
//! through the longest of the prefixes that hold the source, and nothing ever pushes it out: where there is no room, the agent is
//! told so as it makes the block. Who is not blocked pays for one look at a cache line, and for nothing while nobody is blocked.

use bytemuck::{Pod, Zeroable};

use crate::{net::IpAddress, packet::is_zero};

/// Blocks at a time, of addresses and prefixes together.
pub const BLOCKS_MAX: u32 = 4096;
/// Sets of the table that finds addresses, a power of two: of all blocks there can be, one in 150,000 finds its set full.
pub const SETS: u32 = 1 << 14;
/// Ways of a set.
const WAYS: usize = 4;

/// The number of no record.
pub const NO_RECORD: u32 = u32::MAX;

/// A block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Block {
    /// The address, or the first of a prefix.
    pub address: IpAddress,
    /// When it ends, in nanoseconds of the runtime's clock; 0 if there is none.
    pub until_ns: u64,
}

/// What a block cost its source, on one CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Blocked {
    /// Packets that were dropped, or would have been.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the last of them came, in nanoseconds of the runtime's clock.
    pub last_ns: u64,
}

/// An address, hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressHash(u64);

impl AddressHash {
    /// The hash of `address`. `seed` is secret, so that nobody can choose addresses that share a set.
    #[inline(always)]
    #[must_use]
    pub fn new(address: IpAddress, seed: u64) -> Self {
        Self(address.hash(0, seed))
    }

    /// The set of the address.
    #[inline(always)]
    #[must_use]
    pub fn set(self) -> u32 {
        self.0 as u32 & SETS.wrapping_sub(1)
    }
}

/// One set: a word for each block, with the number of its record and a part of its address's hash that says nothing of the set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockSet([u64; WAYS]);

const RECORD_MASK: u64 = 0xffff;
const _: () = assert!(SETS as u64 <= RECORD_MASK + 1 && (BLOCKS_MAX as u64) < RECORD_MASK);

impl BlockSet {
    /// The record that may be that of `address`; [`NO_RECORD`] if the address is not blocked.
    ///
    /// VERIFIER: all ways are compared by arithmetic, so that there is one way to follow.
    #[inline(always)]
    #[must_use]
    pub fn find(&self, address: AddressHash) -> u32 {
        let [a, b, c, d] = self.0.map(|word| {
            let differs = (word ^ address.0) & !RECORD_MASK;
            is_zero(differs).wrapping_mul(word & RECORD_MASK)
        });
        // The number that stands there is one more, so that an empty word is none.
        ((a | b | c | d) as u32).wrapping_sub(1)
    }

    /// Makes `address` be found at `record`; `false` if all ways are taken.
    #[must_use]
    pub fn insert(&mut self, address: AddressHash, record: u32) -> bool {
        let word = address.0 & !RECORD_MASK | u64::from(record).wrapping_add(1) & RECORD_MASK;
        let free = self.0.iter_mut().find(|way| **way == 0);
        free.map(|way| *way = word).is_some()
    }

    /// Makes nobody be found at `record`.
    pub fn remove(&mut self, record: u32) {
        let number = u64::from(record).wrapping_add(1);
        for way in &mut self.0 {
            if *way & RECORD_MASK == number {
                *way = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: u64 = 0x1234_5678_9abc_def0;

    fn hash(number: u32) -> AddressHash {
        AddressHash::new(IpAddress::from_v4_number(number), SEED)
    }

    #[test]
    fn an_address_is_found_until_its_record_is_removed() {
        let mut set = BlockSet::default();
        assert!((0..4).all(|number| set.insert(hash(number), number * 1000)));
        assert!(!set.insert(hash(9), 9), "all ways are taken");
        for number in 0..4 {
            assert_eq!(set.find(hash(number)), number * 1000);
        }
        assert_eq!(set.find(hash(9)), NO_RECORD);
        set.remove(2000);
        assert_eq!(set.find(hash(2)), NO_RECORD);
        assert!(set.insert(hash(9), BLOCKS_MAX - 1));
        assert_eq!(set.find(hash(9)), BLOCKS_MAX - 1);
    }

    #[test]
    fn nobody_is_found_where_nobody_is_blocked() {
        let set = BlockSet::default();
        assert!((0..1000).all(|number| set.find(hash(number)) == NO_RECORD));
    }
}
