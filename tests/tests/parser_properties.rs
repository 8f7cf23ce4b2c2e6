//! The parser against an independent one, `etherparse`, over generated, mutated and arbitrary frames.
//!
//! Where both read a frame, they must read the same. Where one refuses what the other reads, the difference must be on
//! the list of [`excuse`]. Why is in `disagreements.toml`. The seed is fixed, so a run is the same every time; a failure prints the
//! shortest recipe that shows it.

use std::{cell::RefCell, collections::BTreeSet, ops::Range};

use detector_common::{
    packet::Frame,
    parse::{parse, plain},
    reason::Reason,
};
use detector_tests::{
    generate::{Kitchen, Recipe},
    oracle::{
        excuse::{self, EXCUSES},
        referee::Headers,
    },
};
use proptest::{
    collection::vec,
    prelude::{Strategy, any},
    prop_assert, prop_assert_eq,
    test_runner::{Config, RngSeed, TestCaseError, TestRunner},
};

/// The longest frame that is made.
const LONGEST: usize = 3000;

#[test]
fn generated_frames_are_read_as_the_referee_reads_them() {
    let kitchen = Kitchen::new();
    let mut used = BTreeSet::new();
    check(100_000, recipe(0..5), |recipe| {
        used.extend(agree(&kitchen.make(&recipe, LONGEST))?);
        Ok(())
    });
    // An excuse that nothing needs would hide what it was not meant for.
    assert_eq!(used, BTreeSet::from(EXCUSES), "excuses that were needed");
}

#[test]
fn arbitrary_bytes_are_read_as_the_referee_reads_them() {
    check(20_000, vec(any::<u8>(), 0..200), |frame| {
        agree(&frame).map(drop)
    });
}

#[test]
fn well_formed_frames_are_read() {
    // Without this the comparison could be one of refusals.
    let kitchen = Kitchen::new();
    let (mut read, mut made) = (0, 0);
    check(5_000, recipe(0..1), |recipe| {
        let frame = kitchen.make(&recipe, LONGEST);
        made += 1;
        read += i32::from(ours(&Frame::whole(&frame)).is_ok());
        Ok(())
    });
    assert!(read > made / 2, "only {read} of {made} frames were read");
}

#[test]
fn arbitrary_bytes_never_panic_however_long_the_frame_was() {
    let frames = (vec(any::<u8>(), 0..5000), any::<usize>());
    check(10_000, frames, |(bytes, wire_len)| {
        // Only that it comes back is asked here; what it says, everywhere else.
        let _ = ours(&Frame::captured(&bytes, wire_len));
        Ok(())
    });
}

#[test]
fn a_frame_that_is_cut_short_is_truncated_or_read_alike() {
    let kitchen = Kitchen::new();
    check(1_000, recipe(0..1), |recipe| {
        let frame = kitchen.make(&recipe, LONGEST);
        let Ok(whole) = ours(&Frame::whole(&frame)) else {
            return Ok(());
        };
        for len in 0..frame.len() {
            match ours(&Frame::whole(&frame[..len])) {
                Ok(headers) => prop_assert_eq!(&headers, &whole, "cut after {} bytes", len),
                Err(reason) => prop_assert!(
                    OF_CUT_FRAMES.contains(&reason),
                    "cut after {len} bytes: {reason:?}"
                ),
            }
        }
        Ok(())
    });
}

#[test]
fn a_frame_that_was_captured_in_part_is_truncated_or_read_alike() {
    let kitchen = Kitchen::new();
    check(1_000, recipe(0..1), |recipe| {
        let frame = kitchen.make(&recipe, LONGEST);
        let Ok(whole) = ours(&Frame::whole(&frame)) else {
            return Ok(());
        };
        for len in 0..frame.len() {
            match ours(&Frame::captured(&frame[..len], frame.len())) {
                Ok(headers) => prop_assert_eq!(&headers, &whole, "kept {} bytes", len),
                Err(reason) => prop_assert!(
                    OF_CAPTURED_FRAMES.contains(&reason),
                    "kept {len} bytes: {reason:?}"
                ),
            }
        }
        Ok(())
    });
}

#[test]
fn what_is_read_as_plain_is_read_alike_by_the_parser() {
    let kitchen = Kitchen::new();
    let mut plain = 0;
    check(100_000, recipe(0..5), |recipe| {
        let frame = kitchen.make(&recipe, LONGEST);
        let frame = Frame::whole(&frame);
        if let Some(packet) = plain::parse(&frame) {
            prop_assert_eq!(parse(&frame), Ok(packet));
            plain += 1;
        }
        Ok(())
    });
    assert!(plain > 10_000, "only {plain} frames were plain");
}

/// Where a frame may be cut: in a header, or behind one that says how long the packet is.
const OF_CUT_FRAMES: [Reason; 7] = [
    Reason::EthernetTruncated,
    Reason::VlanTruncated,
    Reason::ArpTruncated,
    Reason::Ipv4Truncated,
    Reason::Ipv4BeyondFrame,
    Reason::Ipv6Truncated,
    Reason::Ipv6BeyondFrame,
];

/// Where the kept part of a frame may end: in a header.
const OF_CAPTURED_FRAMES: [Reason; 9] = [
    Reason::EthernetTruncated,
    Reason::VlanTruncated,
    Reason::ArpTruncated,
    Reason::Ipv4Truncated,
    Reason::Ipv6Truncated,
    Reason::Ipv6ExtensionTruncated,
    Reason::TcpTruncated,
    Reason::UdpTruncated,
    Reason::IcmpTruncated,
];

/// Fails unless the two agree on `frame`, or gives their excuse.
fn agree(frame: &[u8]) -> Result<Option<&'static str>, TestCaseError> {
    excuse::agree(frame).map_err(TestCaseError::fail)
}

fn ours(frame: &Frame<'_>) -> Result<Headers, Reason> {
    parse(frame).map(|packet| Headers::of(&packet))
}

fn recipe(mutations: Range<usize>) -> impl Strategy<Value = Recipe> {
    (any::<u64>(), vec(any::<u64>(), mutations))
        .prop_map(|(packet, mutations)| Recipe { packet, mutations })
}

/// Asks `property` of that many values.
fn check<S: Strategy>(
    cases: u32,
    values: S,
    mut property: impl FnMut(S::Value) -> Result<(), TestCaseError>,
) {
    let mut runner = TestRunner::new(Config {
        cases,
        rng_seed: RngSeed::Fixed(0x00de_7ec7),
        failure_persistence: None,
        ..Config::default()
    });
    let property = RefCell::new(&mut property);
    let result = runner.run(&values, |value| (property.borrow_mut())(value));
    assert!(
        result.is_ok(),
        "{}",
        result
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    );
}
