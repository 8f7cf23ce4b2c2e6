//! Whether the source of a packet is blocked, and what that costs it.

use super::Runtime;
use crate::{
    blocks::{self, AddressHash},
    config::Config,
    net::IpAddress,
    packet::PacketBytes,
};

/// Whether `source` is blocked. Then its packet of `bytes` is counted.
///
/// VERIFIER: every way not to be blocked ends at once, so that all of them go on as one.
#[inline(always)]
pub(super) fn is_blocked<'t, P: PacketBytes, R: Runtime<'t, P>>(
    source: IpAddress,
    bytes: u64,
    now_ns: u64,
    config: &Config,
    runtime: &mut R,
) -> bool {
    if config.blocks_addresses() {
        let address = AddressHash::new(source, config.hash_seed);
        let record = runtime
            .block_set(address.set())
            .map_or(blocks::NO_RECORD, |set| set.find(address));
        // A part of the hash was compared, so it may be another's.
        if runtime
            .block(record)
            .is_some_and(|block| block.address == source && block.until_ns > now_ns)
        {
            charge(record, bytes, now_ns, runtime);
            return true;
        }
    }
    if config.blocks_prefixes() {
        let record = runtime.blocked_prefix(source).unwrap_or(blocks::NO_RECORD);
        if runtime
            .block(record)
            .is_some_and(|block| block.until_ns > now_ns)
        {
            charge(record, bytes, now_ns, runtime);
            return true;
        }
    }
    false
}

/// Counts a packet of `bytes` that a block costs its source.
#[inline(always)]
fn charge<'t, P: PacketBytes, R: Runtime<'t, P>>(
    record: u32,
    bytes: u64,
    now_ns: u64,
    runtime: &mut R,
) {
    if let Some(blocked) = runtime.blocked(record) {
        blocked.packets = blocked.packets.wrapping_add(1);
        blocked.bytes = blocked.bytes.wrapping_add(bytes);
        blocked.last_ns = now_ns;
    }
}
