//! GRE headers (RFC 2784): a tunnel over IP.

use super::{Layer, PacketBuilder, ethernet::EXPERIMENTAL};

pub(super) const PROTOCOL: u8 = 47;

impl PacketBuilder {
    /// Adds a GRE header without options, over the default IPv4 header if there is no IP header yet. What it carries has IP
    /// headers of its own.
    pub fn gre(self) -> Self {
        self.over_ip().push(Layer::Gre)
    }
}

/// The header before what it carries.
pub(super) fn encode(next: Option<u16>, inner: &[u8]) -> Vec<u8> {
    // RFC 2784 §2.1: no checksum, version 0.
    let mut bytes = vec![0, 0];
    bytes.extend(next.unwrap_or(EXPERIMENTAL).to_be_bytes());
    bytes.extend(inner);
    bytes
}
