//! The maps with which the agent acts: who is blocked, what that cost them, and who is protected.
//!
//! A packet may come at any moment. So a block is written before it can be found, and is not found any more before it is unwritten:
//! nobody is dropped for another's block.

use aya::{
    Ebpf,
    maps::{
        Array, MapData, MapError, PerCpuArray, PerCpuValues,
        lpm_trie::{Key, LpmTrie},
    },
    util::nr_cpus,
};
use detector_common::{
    abi::map,
    blocks::{AddressHash, Block, BlockSet, Blocked},
    net::IpAddress,
};

use super::{
    KernelError,
    maps::{Record, take},
};

/// Where a block is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockPlace {
    /// By the hash of its address.
    Address(AddressHash),
    /// By its prefix: the first address and the bits that count.
    Prefix(IpAddress, u32),
}

/// The maps.
pub struct ResponseMaps {
    sets: Array<MapData, Record<BlockSet>>,
    prefixes: LpmTrie<MapData, Record<IpAddress>, u32>,
    blocks: Array<MapData, Record<Block>>,
    blocked: PerCpuArray<MapData, Record<Blocked>>,
    protected: LpmTrie<MapData, Record<IpAddress>, u32>,
}

impl ResponseMaps {
    pub(super) fn take(object: &mut Ebpf) -> Result<Self, KernelError> {
        Ok(Self {
            sets: take(object, map::BLOCK_SETS)?,
            prefixes: take(object, map::BLOCK_PREFIXES)?,
            blocks: take(object, map::BLOCKS)?,
            blocked: take(object, map::BLOCKED)?,
            protected: take(object, map::PROTECTED)?,
        })
    }

    /// Writes a block into the record `record`, which is free, and makes it be found; `false` if there is no room where it would be
    /// looked for.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn add_block(
        &mut self,
        record: u32,
        place: BlockPlace,
        block: Block,
    ) -> Result<bool, KernelError> {
        self.blocks.set(record, Record(block), 0)?;
        self.reset_block(record)?;
        match place {
            BlockPlace::Address(address) => {
                let Record(mut set) = self.sets.get(&address.set(), 0)?;
                if !set.insert(address, record) {
                    return Ok(false);
                }
                self.sets.set(address.set(), Record(set), 0)?;
            }
            BlockPlace::Prefix(first, bits) => {
                self.prefixes
                    .insert(&Key::new(bits, Record(first)), record, 0)?;
            }
        }
        Ok(true)
    }

    /// Forgets what a block cost its source.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn reset_block(&mut self, record: u32) -> Result<(), KernelError> {
        let cpus = nr_cpus().map_err(|(_, error)| KernelError::Cpus(error))?;
        let nothing = vec![Record(Blocked::default()); cpus];
        let nothing = PerCpuValues::try_from(nothing).map_err(KernelError::Cpus)?;
        Ok(self.blocked.set(record, nothing, 0)?)
    }

    /// Sets when a block ends.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn set_block(&mut self, record: u32, block: Block) -> Result<(), KernelError> {
        Ok(self.blocks.set(record, Record(block), 0)?)
    }

    /// Makes a block be no longer found, and its record free.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn remove_block(&mut self, record: u32, place: BlockPlace) -> Result<(), KernelError> {
        match place {
            BlockPlace::Address(address) => {
                let Record(mut set) = self.sets.get(&address.set(), 0)?;
                set.remove(record);
                self.sets.set(address.set(), Record(set), 0)?;
            }
            BlockPlace::Prefix(first, bits) => {
                gone(self.prefixes.remove(&Key::new(bits, Record(first))))?;
            }
        }
        self.set_block(record, Block::default())
    }

    /// What a block cost its source, on all CPUs together.
    ///
    /// # Errors
    ///
    /// The map cannot be read.
    pub fn blocked(&self, record: u32) -> Result<Blocked, KernelError> {
        let all = self.blocked.get(&record, 0)?;
        Ok(all
            .iter()
            .fold(Blocked::default(), |sum, Record(one)| Blocked {
                packets: sum.packets.saturating_add(one.packets),
                bytes: sum.bytes.saturating_add(one.bytes),
                last_ns: sum.last_ns.max(one.last_ns),
            }))
    }

    /// Protects a prefix: its first address and the bits that count.
    ///
    /// # Errors
    ///
    /// There is no room for another, or the kernel refuses.
    pub fn protect(&mut self, (first, bits): (IpAddress, u32)) -> Result<(), KernelError> {
        Ok(self
            .protected
            .insert(&Key::new(bits, Record(first)), 1, 0)?)
    }

    /// Protects it no longer.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn unprotect(&mut self, (first, bits): (IpAddress, u32)) -> Result<(), KernelError> {
        gone(self.protected.remove(&Key::new(bits, Record(first))))
    }
}

/// What is to go and is not there is gone.
fn gone(removed: Result<(), MapError>) -> Result<(), KernelError> {
    match removed {
        Err(MapError::KeyNotFound) | Ok(()) => Ok(()),
        Err(MapError::SyscallError(error))
            if error.io_error.kind() == std::io::ErrorKind::NotFound =>
        {
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}
