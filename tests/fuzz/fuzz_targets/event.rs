//! The decoder of the kernel's reports.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| detector_tests::fuzz::event(input));
