//! The userspace side of detector: captures through the classifier.

pub mod replay;
