//! The userspace side of detector: the agent around the kernel program, and captures through the same classifier.

pub mod agent;
pub mod cli;
pub mod exit;
pub mod output;
pub mod replay;
pub mod rules;
pub mod settings;
pub mod tables;
mod text;
