//! Who sends to whom: the addressing every ready-made packet takes, so that tests and demo can direct it.

use std::net::Ipv4Addr;

use super::{CLIENT_IPV4, CLIENT_MAC, Mac, PacketBuilder, SERVER_IPV4, SERVER_MAC};

/// The addressing of an IPv4 packet from a client; the destination port belongs to the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Ethernet source.
    pub src_mac: Mac,
    /// Ethernet destination: the next hop.
    pub dst_mac: Mac,
    /// IP source.
    pub src_ip: Ipv4Addr,
    /// IP destination.
    pub dst_ip: Ipv4Addr,
    /// The client's port.
    pub src_port: u16,
    /// TCP options of data segments; they move the payload, and a full-size segment carries that much less.
    pub tcp_options: &'static [u8],
}

impl Route {
    /// The way back: both pairs of addresses exchanged, the client's port unchanged.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self {
            src_mac: self.dst_mac,
            dst_mac: self.src_mac,
            src_ip: self.dst_ip,
            dst_ip: self.src_ip,
            ..self
        }
    }

    /// A frame with these Ethernet and IPv4 addresses and nothing behind them yet.
    pub fn ipv4(&self) -> PacketBuilder {
        PacketBuilder::new()
            .ethernet(self.src_mac, self.dst_mac)
            .ipv4(self.src_ip, self.dst_ip)
    }
}

impl Default for Route {
    fn default() -> Self {
        Self {
            src_mac: CLIENT_MAC,
            dst_mac: SERVER_MAC,
            src_ip: CLIENT_IPV4,
            dst_ip: SERVER_IPV4,
            src_port: 40_000,
            tcp_options: &[],
        }
    }
}
