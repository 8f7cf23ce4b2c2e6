//! How a running agent is asked: HTTP over a Unix socket, read-only.
//!
//! Whoever may write to the socket may ask. Both ends trust neither the other's size nor its pace.

pub mod client;
mod collector;
mod server;
mod socket;

pub use self::socket::SocketError;
pub(super) use self::{
    server::{Control, serve},
    socket::ControlSocket,
};

/// The path of [`super::stats::Stats`]; with `?per_cpu=true`, by CPU too.
const STATS: &str = "/v1/stats";
/// The path of [`super::status::Status`].
const STATUS: &str = "/v1/status";
