//! Why a capture cannot be opened or read to its end, in one line that names the file and the place.
//!
//! Nothing that comes from outside, a file name or the bytes of a file, reaches the message unescaped: it may be
//! printed to a terminal as it is.

use std::{fmt, io};

use super::LinkType;
use crate::output::FileName;

/// A capture cannot be opened, or cannot be read to its end.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct CaptureError {
    /// The file that was to be read.
    pub file: FileName,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a capture.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The file is missing, must not be read, or is a directory.
    #[error("cannot be opened: {0}")]
    Open(io::Error),
    /// The file is something else, or empty.
    #[error("not a capture: {0}; expected pcap or pcapng, plain or gzip")]
    NotACapture(Found),
    /// Packets of this link type cannot be read.
    #[error(
        "packets of link type {0} cannot be read, only those of {ethernet}, {cooked} and {cooked_v2}",
        ethernet = LinkType::ETHERNET,
        cooked = LinkType::LINUX_COOKED,
        cooked_v2 = LinkType::LINUX_COOKED_V2
    )]
    LinkType(LinkType),
    /// The file stops too early.
    #[error("broken {at}: the file ends inside {inside}")]
    Truncated {
        /// The record that is not complete.
        at: Place,
        /// What that record is, with its article.
        inside: &'static str,
    },
    /// The file says something that cannot be true.
    #[error("broken {at}: {damage}")]
    Corrupt {
        /// The record that cannot be right.
        at: Place,
        /// What it says.
        damage: Damage,
    },
    /// The operating system failed to give more of the file.
    #[error("cannot be read {at}: {error}")]
    Read {
        /// The record that was to be read.
        at: Place,
        /// What the operating system said.
        error: io::Error,
    },
}

/// The record of a capture at which reading stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// How many packets were read before it.
    pub packets: u64,
    /// Where it begins, in bytes from the start of the capture, after unpacking.
    pub offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { packets, offset } = self;
        match packets {
            0 => write!(formatter, "before the first packet (byte {offset})"),
            _ => write!(formatter, "after packet {packets} (byte {offset})"),
        }
    }
}

/// What a file that is not a capture is instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Found {
    /// No bytes at all.
    #[error("it is empty")]
    Nothing,
    /// Too few bytes to tell.
    #[error("it has only {0} bytes")]
    Short(usize),
    /// A known format, with its article.
    #[error("it is {0}")]
    Known(&'static str),
    /// Something else.
    #[error("it begins with the bytes {:02x} {:02x} {:02x} {:02x}", .0[0], .0[1], .0[2], .0[3])]
    Bytes([u8; 4]),
}

/// What a broken capture says that cannot be true.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// A version of the format that is not known.
    #[error("it says that it is {format} {major}.{minor}, and only {known} can be read")]
    Version {
        /// pcap or pcapng.
        format: &'static str,
        /// The major version it says.
        major: u16,
        /// The minor version it says.
        minor: u16,
        /// What can be read.
        known: &'static str,
    },
    /// More captured bytes than any capture program keeps of one packet.
    #[error("a packet of {0} captured bytes, and {limit} is the most", limit = super::MAX_FRAME)]
    FrameLength(u32),
    /// A packet that is longer than the block around it.
    #[error("a packet of {captured} captured bytes in a block of {block}")]
    PacketBeyondBlock {
        /// The captured length that the packet says, in bytes.
        captured: u32,
        /// The length of the block, in bytes.
        block: usize,
    },
    /// The length of a block is not a multiple of 4, or too small for what it is.
    #[error("a block of {0} bytes")]
    BlockLength(u32),
    /// The length of a block is beyond all reason.
    #[error("a block of {length} bytes, and {limit} is the most")]
    BlockTooLong {
        /// The length that the block says, in bytes.
        length: u32,
        /// The most that is accepted for a block of this kind, in bytes.
        limit: usize,
    },
    /// The length at the end of a block is not the one at its start.
    #[error("a block of {leading} bytes that ends as one of {trailing}")]
    BlockEnd {
        /// The length at the start of the block, in bytes.
        leading: u32,
        /// The length at its end, in bytes.
        trailing: u32,
    },
    /// A section header whose byte order cannot be told.
    #[error("a section without its byte-order magic")]
    ByteOrder,
    /// A block that is complete but not well-formed, with its article.
    #[error("{0} that makes no sense")]
    Block(&'static str),
    /// A packet of an interface that was not described before it.
    #[error("a packet of interface {0}, which is not described before it")]
    UnknownInterface(u32),
    /// More interfaces than any machine has.
    #[error("more than {limit} interfaces", limit = super::MAX_INTERFACES)]
    TooManyInterfaces,
    /// The gzip data cannot be unpacked.
    #[error("bad gzip data: {0}")]
    Gzip(io::Error),
}

/// Why the parser of a format gives up; the reader adds the file and the place.
#[derive(Debug)]
pub(super) enum Stop {
    NotACapture(Found),
    LinkType(LinkType),
    Truncated(&'static str),
    Corrupt(Damage),
    Read(io::Error),
}

impl From<Damage> for Stop {
    fn from(damage: Damage) -> Self {
        Self::Corrupt(damage)
    }
}

impl Stop {
    pub(super) fn at(self, at: Place) -> Problem {
        match self {
            Self::NotACapture(found) => Problem::NotACapture(found),
            Self::LinkType(link_type) => Problem::LinkType(link_type),
            Self::Truncated(inside) => Problem::Truncated { at, inside },
            Self::Corrupt(damage) => Problem::Corrupt { at, damage },
            Self::Read(error) => Problem::Read { at, error },
        }
    }
}
