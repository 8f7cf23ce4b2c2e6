//! What the tests and the demo share: the packet builder, the worms' packets, the namespace laboratory; and what the
//! classifier is measured by: fixtures, generated packets, the kernel program under test and its oracles.

pub mod agent;
pub mod builder;
pub mod capture;
pub mod command;
pub mod cpu;
pub mod evasion;
pub mod fixtures;
pub mod fuzz;
pub mod generate;
pub mod kernel;
pub mod lab;
pub mod oracle;
pub mod requirements;
pub mod rule_names;
pub mod rule_sets;
pub mod worms;
