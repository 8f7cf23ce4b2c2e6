//! The frames of a capture file, one at a time.
//!
//! Reads pcap and pcapng, plain or gzip, told apart by their first bytes and not by the name. Everything comes out as
//! an Ethernet frame with a Unix time. Memory is bounded and does not depend on what a file says; a frame is handed
//! out where it lies, without allocation. Of a broken file, all frames before the damage are given, then an error that
//! says where the damage is.

mod cooked;
mod error;
mod input;
mod link_type;
mod pcap;
mod pcapng;
mod source;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::{io::Read, ops::Range, path::Path};

use error::Stop;
pub use error::{CaptureError, Damage, Found, Place, Problem};
use input::Input;
use link_type::Link;
pub use link_type::LinkType;
use pcap::Pcap;
use pcapng::PcapNg;

use crate::output::FileName;

/// The most captured bytes of one packet that are accepted: the largest snapshot length of libpcap and of Wireshark.
pub const MAX_FRAME: usize = 256 * 1024;

/// The most interfaces that a section of a pcapng file may describe.
pub const MAX_INTERFACES: usize = 65_536;

/// A packet of a capture, as the Ethernet frame it was or would have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// When it was captured, in nanoseconds since 1970, UTC. Times before 1970 are 0. A simple packet block has no
    /// time; it gets that of the packet before it, 0 if there is none.
    pub timestamp_ns: u64,
    /// Which interface it was captured on: the number of its description in the whole pcapng file, from 0; 0 in pcap.
    pub interface: u32,
    /// What was kept of it, from the first byte of its Ethernet header; at most [`MAX_FRAME`] bytes. Empty if it was a
    /// Linux cooked packet that is shorter than its header.
    pub bytes: &'a [u8],
    /// Its length on the wire in bytes, with the frame check sequence only if the capture kept that. At least
    /// `bytes.len()`.
    pub wire_len: usize,
}

/// How far a capture was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the file that were used, before unpacking.
    pub read: u64,
    /// The size of the file in bytes, or `None` if it is a pipe or the like and ends when it ends.
    pub total: Option<u64>,
}

/// A capture file that is being read.
pub struct CaptureReader {
    file: FileName,
    total: Option<u64>,
    input: Input,
    format: Format,
    packets: u64,
    finished: bool,
}

enum Format {
    Pcap(Pcap),
    PcapNg(PcapNg),
}

/// What a parser says about a packet that it left in the window of the input.
struct Packet {
    timestamp_ns: u64,
    interface: u32,
    link: Link,
    /// Where its captured bytes are.
    body: Range<usize>,
    /// Its length on the wire as the file gives it.
    wire_len: usize,
}

impl CaptureReader {
    /// Opens the capture at `path`, or standard input if that is `-`, and reads its header.
    ///
    /// Fails if it cannot be opened, is no capture, is broken already, or is a pcap file of a link type that cannot be
    /// read. In pcapng that is known only when a packet comes.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let name = if path == "-" {
            Path::new("standard input")
        } else {
            path
        };
        let file = FileName::new(name);
        match source::open(path) {
            Ok((stream, total)) => Self::new(file, Box::new(stream), total),
            Err(error) => Err(CaptureError {
                file,
                problem: Problem::Open(error),
            }),
        }
    }

    /// Reads a capture from `stream`, which errors call `name`.
    ///
    /// Fails like [`Self::open`].
    pub fn from_stream(name: &Path, stream: Box<dyn Read + Send>) -> Result<Self, CaptureError> {
        Self::new(FileName::new(name), stream, None)
    }

    fn new(
        file: FileName,
        stream: Box<dyn Read + Send>,
        total: Option<u64>,
    ) -> Result<Self, CaptureError> {
        let mut input = match Input::new(stream) {
            Ok(input) => input,
            Err(error) => {
                return Err(CaptureError {
                    file,
                    problem: Problem::Open(error),
                });
            }
        };
        match Format::open(&mut input) {
            Ok(format) => Ok(Self {
                file,
                total,
                input,
                format,
                packets: 0,
                finished: false,
            }),
            Err(stop) => {
                let at = Place {
                    packets: 0,
                    offset: input.record_offset(),
                };
                Err(CaptureError {
                    file,
                    problem: stop.at(at),
                })
            }
        }
    }

    /// The next frame, or `None` at the end of the capture and after an error.
    ///
    /// Fails where the capture is broken, cannot be read on, or has a packet of a link type that cannot be read.
    #[inline]
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, CaptureError> {
        if self.finished {
            return Ok(None);
        }
        match self.format.next(&mut self.input) {
            Ok(Some(packet)) => {
                self.packets += 1;
                Ok(Some(packet.into_frame(&mut self.input)))
            }
            Ok(None) => {
                self.finished = true;
                Ok(None)
            }
            Err(stop) => Err(self.fail(stop)),
        }
    }

    /// How many frames were given.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// How far the file was read. Costs next to nothing.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress {
            read: self.input.position(),
            total: self.total,
        }
    }

    /// The name of the file, fit for a terminal.
    #[must_use]
    pub fn file(&self) -> &FileName {
        &self.file
    }

    #[cold]
    fn fail(&mut self, stop: Stop) -> CaptureError {
        self.finished = true;
        let at = Place {
            packets: self.packets,
            offset: self.input.record_offset(),
        };
        CaptureError {
            file: self.file.clone(),
            problem: stop.at(at),
        }
    }
}

impl Format {
    fn open(input: &mut Input) -> Result<Self, Stop> {
        Ok(match PcapNg::open(input)? {
            Some(file) => Self::PcapNg(file),
            None => Self::Pcap(Pcap::open(input)?),
        })
    }

    #[inline]
    fn next(&mut self, input: &mut Input) -> Result<Option<Packet>, Stop> {
        input.begin_record();
        match self {
            Self::Pcap(file) => file.next(input),
            Self::PcapNg(file) => file.next(input),
        }
    }
}

impl Packet {
    /// Rewrites the captured bytes as an Ethernet frame, where they lie.
    #[inline]
    fn into_frame(self, input: &mut Input) -> Frame<'_> {
        let body = input.consumed(self.body);
        let (bytes, excess) = match self.link {
            Link::Ethernet => (&*body, 0),
            Link::CookedV1 => (cooked::frame_of_v1(body), cooked::V1_EXCESS),
            Link::CookedV2 => (cooked::frame_of_v2(body), cooked::V2_EXCESS),
        };
        Frame {
            timestamp_ns: self.timestamp_ns,
            interface: self.interface,
            bytes,
            wire_len: self.wire_len.saturating_sub(excess).max(bytes.len()),
        }
    }
}
