//! The reader as a whole: every format packed and unpacked, cut off at every byte, and with bytes changed at random.
//!
//! What must hold: the frames before the damage are given and no others, reading ends, memory is bounded, and the
//! error says whether the file, its compression or the disk is to blame.

use std::{
    io::{self, Cursor, Read as _},
    path::Path,
};

use super::input::ByteOrder;
use super::testing::{
    MICROS, NANOS, ORDERS, block, failure, frames, gzip, interface, packet, pcap, read,
    read_stream, record, section,
};
use super::{CaptureError, CaptureReader, Problem, Progress};

const TIME: u64 = 1_700_000_000;

/// Small captures of every format and link type, with more than one packet each.
fn samples() -> Vec<Vec<u8>> {
    let data: Vec<u8> = (0..61).collect();
    let mut samples = Vec::new();
    for order in ORDERS {
        for (magic, link_type) in [(MICROS, 1), (NANOS, 113), (MICROS, 276)] {
            let mut file = pcap(order, magic, link_type);
            for length in [0, 1, 14, 19, 61] {
                file.extend(record(
                    order,
                    [1_700_000_000, 7],
                    data.get(..length).unwrap_or_default(),
                    61,
                ));
            }
            samples.push(file);
        }
        let blocks = [
            section(order),
            interface(order, 1, 0, &[(9, &[9]), (14, &[0; 8]), (0, &[])]),
            packet(order, 0, TIME * 1_000_000_000, &data),
            block(order, 5, &[0; 12]),
            section(order),
            interface(order, 276, 40, &[]),
            interface(order, 113, 0, &[]),
            packet(order, 1, TIME * 1_000_000, &data),
            block(order, 3, &[0; 4]),
            packet(order, 0, TIME * 1_000_000, &[]),
        ];
        samples.push(blocks.concat());
    }
    samples
}

fn open(path: &str) -> Result<CaptureReader, CaptureError> {
    CaptureReader::open(Path::new(path))
}

#[test]
fn a_file_that_ends_inside_a_packet_gives_what_was_read_and_says_where() {
    let order = ByteOrder::Little;
    let mut file = pcap(order, MICROS, 1);
    file.extend(record(order, [1, 0], &[1; 60], 60));
    file.extend(record(order, [2, 0], &[2; 60], 60));
    file.pop();
    let message = "test.pcap: broken after packet 1 (byte 100): the file ends inside a packet";
    assert_eq!(failure(&file), (1, message.to_owned()));
}

#[test]
fn wherever_a_file_is_cut_off_the_packets_before_are_given() {
    for sample in samples() {
        let all = frames(&sample);
        for length in 0..sample.len() {
            let (given, error) = read(sample.get(..length).unwrap_or_default());
            assert!(all.starts_with(&given), "cut to {length} bytes");
            match error.map(|error| error.problem) {
                // Between two records nobody can tell.
                None => assert!(length >= 24),
                Some(Problem::NotACapture(_)) => assert!(length < 4),
                Some(Problem::Truncated { at, .. }) => {
                    assert_eq!(at.packets, given.len() as u64);
                    assert!(at.offset < length as u64);
                }
                Some(other) => unreachable!("cut to {length} bytes: {other}"),
            }
        }
    }
}

#[test]
fn a_gzip_file_is_read_as_what_is_in_it_however_many_members_it_has() {
    for sample in samples() {
        let (first, second) = sample.split_at(sample.len() / 2);
        assert_eq!(frames(&gzip(&sample)), frames(&sample));
        assert_eq!(
            frames(&[gzip(first), gzip(second)].concat()),
            frames(&sample)
        );
    }
}

#[test]
fn a_gzip_file_that_is_cut_off_is_told_from_one_that_is_damaged() {
    for sample in samples() {
        let packed = gzip(&sample);
        for length in 4..packed.len() {
            let (_, message) = failure(packed.get(..length).unwrap_or_default());
            assert!(
                message.ends_with("the file ends inside the gzip data"),
                "{message}"
            );
        }
        let mut damaged = packed;
        if let Some(checksum) = damaged.iter_mut().rev().nth(6) {
            *checksum ^= 1;
        }
        let (given, message) = failure(&damaged);
        assert_eq!(given, frames(&sample).len());
        assert!(message.contains("bad gzip data"), "{message}");
    }
}

#[test]
fn whatever_the_bytes_are_reading_them_ends_and_stays_within_bounds() {
    let samples = samples();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap_or(0) % below.max(1)
    };
    for _ in 0..20_000 {
        let mut file = samples
            .get(random(samples.len()))
            .cloned()
            .unwrap_or_default();
        for _ in 0..=random(5) {
            let (at, mask) = (random(file.len()), random(256));
            if let Some(byte) = file.get_mut(at) {
                *byte ^= u8::try_from(mask).unwrap_or(0xff);
            }
        }
        let file = if random(8) == 0 { gzip(&file) } else { file };
        let (given, _) = read(&file);
        assert!(
            given
                .iter()
                .all(|frame| frame.wire_len >= frame.bytes.len())
        );
        assert!(given.iter().map(|frame| frame.bytes.len()).sum::<usize>() <= 4096);
    }
}

#[test]
fn a_stream_that_gives_one_byte_at_a_time_is_read_the_same() {
    struct Drip(Cursor<Vec<u8>>);
    impl io::Read for Drip {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            self.0.by_ref().take(1).read(room)
        }
    }
    for sample in samples() {
        let expected = frames(&sample);
        let (given, error) = read_stream(Drip(Cursor::new(sample)));
        assert!(error.is_none(), "{error:?}");
        assert_eq!(given, expected);
    }
}

#[test]
fn a_stream_that_fails_is_no_broken_capture() {
    struct Broken;
    impl io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::TimedOut.into())
        }
    }
    for sample in samples() {
        for start in [gzip(&sample), sample] {
            let length = start.len() as u64 - 1;
            let (_, error) = read_stream(Cursor::new(start).take(length).chain(Broken));
            let problem = error.map(|error| error.problem);
            assert!(matches!(problem, Some(Problem::Read { .. })), "{problem:?}");
        }
    }
}

#[test]
fn what_cannot_be_opened_and_what_is_no_capture_are_told_apart() {
    for path in ["/nonexistent/a.pcap", "/"] {
        assert!(
            matches!(
                open(path).map_err(|error| error.problem),
                Err(Problem::Open(_))
            ),
            "{path}"
        );
    }
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    for path in ["/dev/null", manifest] {
        let problem = open(path).map_err(|error| error.problem);
        assert!(matches!(problem, Err(Problem::NotACapture(_))), "{path}");
    }
}

#[test]
fn what_is_no_capture_is_named() {
    let cases: [(&[u8], &str); 5] = [
        (b"", "it is empty"),
        (b"\xd4\xc3", "it has only 2 bytes"),
        (b"\x28\xb5\x2f\xfd....", "it is zstd data"),
        (b"\x7fELF....", "it begins with the bytes 7f 45 4c 46"),
        (&gzip(&gzip(b"x")), "it is gzip data inside gzip data"),
    ];
    for (file, found) in cases {
        let message =
            format!("test.pcap: not a capture: {found}; expected pcap or pcapng, plain or gzip");
        assert_eq!(failure(file), (0, message));
    }
}

#[test]
fn progress_of_a_stream_goes_up_to_its_end() -> Result<(), CaptureError> {
    for sample in samples() {
        let (total, mut last) = (sample.len() as u64, 0);
        let mut reader = CaptureReader::from_stream(Path::new("-"), Box::new(Cursor::new(sample)))?;
        while reader.next_frame()?.is_some() {
            assert!(reader.progress().read > last);
            last = reader.progress().read;
        }
        assert_eq!(
            reader.progress(),
            Progress {
                read: total,
                total: None
            }
        );
    }
    Ok(())
}
