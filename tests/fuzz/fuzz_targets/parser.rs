//! The parser against the referee.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| detector_tests::fuzz::parser(input));
