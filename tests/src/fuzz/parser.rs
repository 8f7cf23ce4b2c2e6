//! The parser, against the referee, against its short form for plain packets, and against itself with less of a frame.

use detector_common::{
    packet::Frame,
    parse::{parse, plain},
};

use crate::oracle::excuse;

/// Most headers end before this.
const HEADERS: usize = 128;

/// A frame: the referee reads the same in it, or the difference is a listed one; it is read alike as a plain one; and less of it is not read otherwise.
///
/// # Panics
///
/// If that is not so.
pub fn parser(input: &[u8]) {
    if let Err(difference) = excuse::agree(input) {
        panic!("{difference}");
    }
    let whole = parse(&Frame::whole(input));
    if let Some(plain) = plain::parse(&Frame::whole(input)) {
        assert_eq!(whole, Ok(plain), "{input:02x?}");
    }
    let Ok(whole) = whole else {
        return;
    };
    for len in 0..input.len().min(HEADERS) {
        // A capture that kept a part of the frame: it is read alike, or a header is missing.
        if let Ok(part) = parse(&Frame::captured(&input[..len], input.len())) {
            assert_eq!(part, whole, "{len} bytes of {input:02x?}");
        }
    }
}
