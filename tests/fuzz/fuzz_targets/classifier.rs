//! The classifier over a sequence of packets.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| detector_tests::fuzz::classifier(input));
