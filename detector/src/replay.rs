//! The userspace runtime: captures through the same classifier as in the kernel, with capture time for a clock.

pub mod capture;
pub mod runtime;
