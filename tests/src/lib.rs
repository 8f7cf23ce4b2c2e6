//! What the tests and the demo share: the packet builder, the worms' packets, the namespace laboratory.

pub mod agent;
pub mod builder;
pub mod capture;
pub mod command;
pub mod lab;
pub mod requirements;
pub mod worms;
