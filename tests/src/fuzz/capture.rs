//! The reader of captures, and the replay of what it gives.

use std::{
    io::{self, Cursor, Read},
    path::Path,
};

use detector::{
    replay::{
        capture::{CaptureReader, MAX_FRAME},
        runtime::Replay,
    },
    tables::{HashSeed, Tables},
};
use detector_common::{config::Config, packet};

use super::assert_one_printable_line;

const GZIP: [u8; 3] = [0x1f, 0x8b, 0x08];

/// A file: however it is cut into reads, the same frames come out of it, within their bounds, then an end or an error in
/// one line; and each frame is counted once in a replay.
///
/// # Panics
///
/// If that is not so.
pub fn capture(input: &[u8]) {
    let whole = read(Cursor::new(input.to_vec()));
    let step = usize::from(input.last().copied().unwrap_or_default()) + 1;
    let steps = read(Steps {
        bytes: Cursor::new(input.to_vec()),
        step,
    });
    if input.starts_with(&GZIP) {
        // What is unpacked in the same step as an error is lost with it.
        let both = whole.frames.iter().zip(&steps.frames);
        both.for_each(|(whole, steps)| assert_eq!(whole, steps));
    } else {
        assert_eq!(whole, steps, "in steps of {step}");
    }
    replayed(&whole.frames);
}

#[derive(Debug, PartialEq, Eq)]
struct FrameRead {
    timestamp_ns: u64,
    interface: u32,
    bytes: Vec<u8>,
    wire_len: usize,
}

/// Everything that a file gives.
#[derive(Debug, PartialEq, Eq)]
struct FileRead {
    frames: Vec<FrameRead>,
    error: Option<String>,
}

fn read(stream: impl Read + Send + 'static) -> FileRead {
    let mut frames = Vec::new();
    let error = read_frames(stream, &mut frames).err();
    if let Some(error) = &error {
        assert_one_printable_line(error);
        assert!(error.starts_with("fuzz.pcap: "), "{error}");
    }
    FileRead { frames, error }
}

fn read_frames(
    stream: impl Read + Send + 'static,
    frames: &mut Vec<FrameRead>,
) -> Result<(), String> {
    let reader = CaptureReader::from_stream(Path::new("fuzz.pcap"), Box::new(stream));
    let mut reader = reader.map_err(|error| error.to_string())?;
    loop {
        match reader.next_frame() {
            Ok(Some(frame)) => {
                assert!(frame.bytes.len() <= MAX_FRAME);
                assert!(frame.wire_len >= frame.bytes.len());
                frames.push(FrameRead {
                    timestamp_ns: frame.timestamp_ns,
                    interface: frame.interface,
                    bytes: frame.bytes.to_vec(),
                    wire_len: frame.wire_len,
                });
                assert_eq!(reader.packets(), frames.len() as u64);
            }
            Ok(None) => return Ok(()),
            Err(error) => {
                assert!(
                    matches!(reader.next_frame(), Ok(None)),
                    "an error is the end"
                );
                return Err(error.to_string());
            }
        }
    }
}

fn replayed(frames: &[FrameRead]) {
    thread_local! {
        static TABLES: Tables = Tables::of_worms(Config::DEFAULT, HashSeed::FIXED, &[80]);
    }
    TABLES.with(|tables| {
        let mut replay = Replay::new(tables);
        for frame in frames {
            let packet = packet::Frame::captured(&frame.bytes, frame.wire_len);
            // Only that it is counted is asked here.
            let _ = replay.classify(&packet, frame.interface, frame.timestamp_ns);
        }
        let counted: u64 = replay
            .counters()
            .map(|(_, _, counter)| counter.packets)
            .sum();
        assert_eq!(counted, frames.len() as u64);
    });
}

/// A stream that gives at most so many bytes at once.
struct Steps {
    bytes: Cursor<Vec<u8>>,
    step: usize,
}

impl Read for Steps {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let room_len = room.len().min(self.step);
        self.bytes.read(&mut room[..room_len])
    }
}
