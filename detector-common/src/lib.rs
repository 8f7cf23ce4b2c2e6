//! The classifier of detector: what a packet is, what is wrong with it, and what becomes of it.
//!
//! Pure `no_std` code without `unsafe`, maps, clock or allocation. The same functions run in the kernel (compiled to
//! BPF by `detector-ebpf`), in `detector replay` over a capture, and in the tests. What differs between the three is
//! behind two traits: [`packet::PacketBytes`], where the bytes come from, and [`pipeline::Runtime`], where the state
//! lives and what time it is.

#![no_std]
#![deny(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        reason = "both may panic, and a panic is a program that the kernel refuses to load"
    )
)]

pub mod abi;
pub mod bindings;
pub mod blocks;
pub mod config;
pub mod detect;
pub mod event;
pub mod evidence;
pub mod neighbour;
pub mod net;
pub mod packet;
pub mod parse;
pub mod pipeline;
pub mod proof;
pub mod reason;
pub mod services;
pub mod sketch;
pub mod sources;
pub mod token_bucket;
pub mod verdict;
pub mod window;
