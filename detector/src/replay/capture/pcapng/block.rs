//! What all pcapng blocks have in common: a type, a length, and the same length again at the end.
//!
//! A length is checked before a byte of the block is waited for. A block that is read fits into the window; one that
//! is skipped may be longer, since nothing of it is kept.

use super::super::MAX_FRAME;
use super::super::error::{Damage, Stop};
use super::super::input::{ByteOrder, Input, WINDOW};

/// A type and two lengths, in bytes.
pub(super) const MIN_LEN: usize = 12;

/// The longest block that is skipped, in bytes: the longest that libpcap accepts.
const MAX_SKIPPED: usize = 16 * 1024 * 1024;

/// The length at the end of a block.
const END_LEN: usize = 4;

/// The whole next block, which says that it has `length` bytes and of which nothing was consumed.
#[inline]
pub(super) fn whole<'i>(
    input: &'i mut Input,
    order: ByteOrder,
    length: u32,
    inside: &'static str,
) -> Result<&'i [u8], Stop> {
    let block = input.exactly(check_length(length, WINDOW)?, inside)?;
    check_end(order, length, block.last_chunk())?;
    Ok(block)
}

/// Consumes the whole next block, which says that it has `length` bytes and of which nothing was consumed.
pub(super) fn skip(input: &mut Input, order: ByteOrder, length: u32) -> Result<(), Stop> {
    let inside = "a block";
    input.skip(check_length(length, MAX_SKIPPED)? - END_LEN, inside)?;
    check_end(order, length, input.exactly(END_LEN, inside)?.first_chunk())?;
    input.consume(END_LEN);
    Ok(())
}

/// Fails if a block of `block` bytes cannot hold `captured` bytes of a packet after a header of `header` bytes.
pub(super) fn check_data(captured: u32, block: usize, header: usize) -> Result<(), Damage> {
    let bytes = captured as usize;
    if bytes > MAX_FRAME {
        return Err(Damage::FrameLength(captured));
    }
    if bytes > block.saturating_sub(header + END_LEN) {
        return Err(Damage::PacketBeyondBlock { captured, block });
    }
    Ok(())
}

fn check_length(length: u32, limit: usize) -> Result<usize, Damage> {
    match length as usize {
        bytes if bytes < MIN_LEN || bytes % 4 != 0 => Err(Damage::BlockLength(length)),
        bytes if bytes > limit => Err(Damage::BlockTooLong { length, limit }),
        bytes => Ok(bytes),
    }
}

fn check_end(order: ByteOrder, leading: u32, end: Option<&[u8; END_LEN]>) -> Result<(), Damage> {
    match end.map(|end| order.u32(*end)) {
        Some(trailing) if trailing != leading => Err(Damage::BlockEnd { leading, trailing }),
        _ => Ok(()),
    }
}
