//! The userspace side of detector: captures through the classifier.

pub mod cli;
pub mod exit;
pub mod replay;
