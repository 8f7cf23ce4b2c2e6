//! The capture reader and the replay.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| detector_tests::fuzz::capture(input));
