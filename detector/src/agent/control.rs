//! How a running agent is asked, and told: HTTP over a Unix socket.
//!
//! Whoever may write to the socket may do both. Both ends trust neither the other's size nor its pace.

pub mod client;
mod collector;
mod orders;
mod server;
mod socket;

use serde::{Deserialize, Serialize};

pub use self::socket::SocketError;
pub(super) use self::{
    server::{Control, serve},
    socket::ControlSocket,
};
use crate::output::Prefix;

/// The path of [`super::stats::Stats`]; with `?per_cpu=true`, by CPU too.
const STATS: &str = "/v1/stats";
/// The path of [`super::status::Status`].
const STATUS: &str = "/v1/status";
/// GET: an [`super::arp::ArpTable`].
const ARP: &str = "/v1/arp";
/// GET: a [`super::response::BlockList`]; POST a [`super::response::BlockOrder`]; DELETE a [`Whom`].
const BLOCKS: &str = "/v1/blocks";
/// GET: a [`super::response::ProtectedList`]; POST and DELETE a [`Whom`].
const PROTECTED: &str = "/v1/protected";
/// POST nothing: the operator confirms that the machine may enforce.
const CONFIRM: &str = "/v1/confirm";

/// POST nothing: the rules are read anew; a [`super::reload::Reloaded`].
const RELOAD: &str = "/v1/rules/reload";

/// Whom an order is about.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whom {
    prefix: Prefix,
}
