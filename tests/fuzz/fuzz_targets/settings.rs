//! The reader of the configuration.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| detector_tests::fuzz::settings(input));
