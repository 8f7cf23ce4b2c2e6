//! The agent: loads the kernel program, attaches it, reads its maps and events, and tells people of them.

pub mod kernel;
