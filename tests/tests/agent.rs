//! The agent from end to end, on private cables: what it counts, drops, says, refuses and leaves behind.

#[path = "agent/arp.rs"]
mod arp;
#[path = "agent/counting.rs"]
mod counting;
#[path = "agent/ends.rs"]
mod ends;
#[path = "agent/hunters.rs"]
mod hunters;
#[path = "agent/output.rs"]
mod output;
#[path = "agent/refusals.rs"]
mod refusals;
#[path = "agent/reload.rs"]
mod reload;
#[path = "agent/response.rs"]
mod response;
#[path = "agent/rules.rs"]
mod rules;
#[path = "agent/surroundings.rs"]
mod surroundings;
