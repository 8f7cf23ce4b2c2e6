//! Where the bytes of a capture come from: a file or another stream, unpacked if it begins as gzip does.
//!
//! Counts what it takes from the file, for a progress bar, and keeps apart what is wrong with the gzip data and what
//! is wrong with the disk.

use std::{
    fs::File,
    io::{self, Chain, Cursor, ErrorKind, Read, Seek},
    os::fd::AsFd,
    path::Path,
};

use flate2::read::MultiGzDecoder;

use super::error::{Damage, Stop};

/// The two identification bytes of RFC 1952 §2.3.1 and the only compression method there is.
const GZIP_MAGIC: [u8; 3] = [0x1f, 0x8b, 0x08];

/// The most that is unpacked at once, in bytes. What was unpacked in the same step as an error is lost, so this is
/// also the most that damage costs of what lies before it.
const GZIP_STEP: usize = 8 * 1024;

/// Opens the file at `path`, standard input if that is `-`, and says how many bytes it has to give if that is known.
pub(super) fn open(path: &Path) -> io::Result<(File, Option<u64>)> {
    let mut file = if path == "-" {
        // Not `Stdin` itself, which has a buffer and a lock of its own, and no size.
        File::from(io::stdin().as_fd().try_clone_to_owned()?)
    } else {
        File::open(path)?
    };
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    let total = if metadata.is_file() {
        // Something may have read a part of standard input before us.
        Some(metadata.len().saturating_sub(file.stream_position()?))
    } else {
        None
    };
    Ok((file, total))
}

/// A stream of capture bytes.
pub(super) enum Source {
    Plain(Tap),
    Gzip(Box<MultiGzDecoder<Tap>>),
}

impl Source {
    /// Looks at the first bytes of `stream` to see whether it is gzip.
    pub(super) fn new(mut stream: Box<dyn Read + Send>) -> io::Result<Self> {
        let mut first = Vec::new();
        stream
            .by_ref()
            .take(GZIP_MAGIC.len() as u64)
            .read_to_end(&mut first)?;
        let is_gzip = first == GZIP_MAGIC;
        let tap = Tap {
            stream: Cursor::new(first).chain(stream),
            taken: 0,
            failed: false,
        };
        Ok(if is_gzip {
            Self::Gzip(Box::new(MultiGzDecoder::new(tap)))
        } else {
            Self::Plain(tap)
        })
    }

    /// Reads at least one byte into `room`, or none if there are no more.
    pub(super) fn read(&mut self, room: &mut [u8]) -> Result<usize, Stop> {
        match self {
            Self::Plain(tap) => tap.read(room).map_err(Stop::Read),
            Self::Gzip(decoder) => {
                let step = room.len().min(GZIP_STEP);
                let read = decoder.read(room.get_mut(..step).unwrap_or_default());
                read.map_err(|error| {
                    if decoder.get_ref().failed {
                        Stop::Read(error)
                    } else if error.kind() == ErrorKind::UnexpectedEof {
                        Stop::Truncated("the gzip data")
                    } else {
                        Damage::Gzip(error).into()
                    }
                })
            }
        }
    }

    /// How many bytes of the file were taken, before unpacking.
    pub(super) fn taken(&self) -> u64 {
        match self {
            Self::Plain(tap) => tap.taken,
            Self::Gzip(decoder) => decoder.get_ref().taken,
        }
    }
}

/// A stream whose bytes are counted.
pub(super) struct Tap {
    stream: Chain<Cursor<Vec<u8>>, Box<dyn Read + Send>>,
    taken: u64,
    /// Whether the stream itself failed: what the decoder says is then no fault of the data.
    failed: bool,
}

impl Read for Tap {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(room) {
                Ok(length) => {
                    self.taken = self.taken.saturating_add(length as u64);
                    return Ok(length);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed = true;
                    return Err(error);
                }
            }
        }
    }
}
