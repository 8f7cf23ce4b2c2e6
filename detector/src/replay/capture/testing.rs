//! Captures made for tests, byte by byte, and what a reader makes of them.
//!
//! Nothing here is checked: a test that wants a broken capture makes one. What is read is copied out, so that it can be
//! compared with what another capture gives.

use std::{
    io::{self, Cursor, Write},
    path::Path,
};

use flate2::{Compression, write::GzEncoder};

use super::input::ByteOrder;
use super::{CaptureError, CaptureReader};

/// The two byte orders, for the tests that must hold in both.
pub(super) const ORDERS: [ByteOrder; 2] = [ByteOrder::Little, ByteOrder::Big];

/// The magic numbers of pcap with microseconds and with nanoseconds.
pub(super) const MICROS: u32 = 0xa1b2_c3d4;
pub(super) const NANOS: u32 = 0xa1b2_3c4d;

/// A frame that was read, with bytes of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) timestamp_ns: u64,
    pub(super) interface: u32,
    pub(super) bytes: Vec<u8>,
    pub(super) wire_len: usize,
}

/// Everything a reader gives for a capture: its frames, then the error if there is one.
pub(super) fn read(capture: &[u8]) -> (Vec<Read>, Option<CaptureError>) {
    read_stream(Cursor::new(capture.to_vec()))
}

/// Everything a reader gives for the capture in `stream`.
pub(super) fn read_stream(
    stream: impl io::Read + Send + 'static,
) -> (Vec<Read>, Option<CaptureError>) {
    let mut frames = Vec::new();
    let stream = Box::new(stream);
    let mut reader = match CaptureReader::from_stream(Path::new("test.pcap"), stream) {
        Ok(reader) => reader,
        Err(error) => return (frames, Some(error)),
    };
    loop {
        match reader.next_frame() {
            Ok(Some(frame)) => frames.push(Read {
                timestamp_ns: frame.timestamp_ns,
                interface: frame.interface,
                bytes: frame.bytes.to_vec(),
                wire_len: frame.wire_len,
            }),
            Ok(None) => return (frames, None),
            Err(error) => {
                assert!(
                    matches!(reader.next_frame(), Ok(None)),
                    "an error is the end"
                );
                return (frames, Some(error));
            }
        }
    }
}

/// The frames of a capture in which nothing is wrong.
pub(super) fn frames(capture: &[u8]) -> Vec<Read> {
    let (frames, error) = read(capture);
    assert!(error.is_none(), "{error:?}");
    frames
}

/// The message of the error that a capture ends with, and how many frames were given before it.
pub(super) fn failure(capture: &[u8]) -> (usize, String) {
    let (frames, error) = read(capture);
    (
        frames.len(),
        error.map(|error| error.to_string()).unwrap_or_default(),
    )
}

/// `bytes` as a gzip file of one member.
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .unwrap_or_default()
}

/// Numbers to be written one after another.
pub(super) struct Bytes(ByteOrder, Vec<u8>);

impl Bytes {
    pub(super) fn new(order: ByteOrder) -> Self {
        Self(order, Vec::new())
    }

    pub(super) fn u16(mut self, number: u16) -> Self {
        self.1.extend(match self.0 {
            ByteOrder::Little => number.to_le_bytes(),
            ByteOrder::Big => number.to_be_bytes(),
        });
        self
    }

    pub(super) fn u32(mut self, number: u32) -> Self {
        self.1.extend(match self.0 {
            ByteOrder::Little => number.to_le_bytes(),
            ByteOrder::Big => number.to_be_bytes(),
        });
        self
    }

    pub(super) fn u64(mut self, number: u64) -> Self {
        self.1.extend(match self.0 {
            ByteOrder::Little => number.to_le_bytes(),
            ByteOrder::Big => number.to_be_bytes(),
        });
        self
    }

    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.1.extend(bytes);
        self
    }

    pub(super) fn padded(mut self) -> Self {
        self.1.resize(self.1.len().next_multiple_of(4), 0);
        self
    }

    pub(super) fn done(self) -> Vec<u8> {
        self.1
    }
}

/// The length of `bytes` as a capture has it.
pub(super) fn length_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// The header of a pcap file.
pub(super) fn pcap(order: ByteOrder, magic: u32, link_type: u32) -> Vec<u8> {
    let version = Bytes::new(order).u32(magic).u16(2).u16(4);
    version.u32(0).u32(0).u32(65_535).u32(link_type).done()
}

/// A record of a pcap file.
pub(super) fn record(order: ByteOrder, time: [u32; 2], data: &[u8], wire_len: u32) -> Vec<u8> {
    let [seconds, fraction] = time;
    let header = Bytes::new(order)
        .u32(seconds)
        .u32(fraction)
        .u32(length_of(data))
        .u32(wire_len);
    header.raw(data).done()
}

/// A pcapng block.
pub(super) fn block(order: ByteOrder, kind: u32, body: &[u8]) -> Vec<u8> {
    let length = length_of(body).next_multiple_of(4) + 12;
    Bytes::new(order)
        .u32(kind)
        .u32(length)
        .raw(body)
        .padded()
        .u32(length)
        .done()
}

/// A section header block.
pub(super) fn section(order: ByteOrder) -> Vec<u8> {
    let body = Bytes::new(order)
        .u32(0x1a2b_3c4d)
        .u16(1)
        .u16(0)
        .u64(u64::MAX)
        .done();
    block(order, 0x0a0d_0d0a, &body)
}

/// An interface description block.
pub(super) fn interface(
    order: ByteOrder,
    link_type: u16,
    snap_len: u32,
    options: &[(u16, &[u8])],
) -> Vec<u8> {
    let mut body = Bytes::new(order).u16(link_type).u16(0).u32(snap_len);
    for (code, value) in options {
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        body = body.u16(*code).u16(length).raw(value).padded();
    }
    block(order, 1, &body.done())
}

/// An enhanced packet block.
pub(super) fn packet(order: ByteOrder, interface: u32, ticks: u64, data: &[u8]) -> Vec<u8> {
    let length = length_of(data);
    let times = Bytes::new(order)
        .u32(interface)
        .u32((ticks >> 32) as u32)
        .u32((ticks & 0xffff_ffff) as u32);
    block(order, 6, &times.u32(length).u32(length).raw(data).done())
}
