//! The fault lab: what holds when something breaks. Each test states the promise it holds in its name; README's "What it
//! promises" names the test of each promise, also those that stand beside this lab.

#[path = "faults/agent.rs"]
mod agent;
#[path = "faults/config.rs"]
mod config;
#[path = "faults/control.rs"]
mod control;
#[path = "faults/disk.rs"]
mod disk;
#[path = "faults/interfaces.rs"]
mod interfaces;
#[path = "faults/memory.rs"]
mod memory;
#[path = "faults/numbered.rs"]
mod numbered;
#[path = "faults/privileges.rs"]
mod privileges;
#[path = "faults/promises.rs"]
mod promises;
#[path = "faults/sources.rs"]
mod sources;
#[path = "faults/taken.rs"]
mod taken;
