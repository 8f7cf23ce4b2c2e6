//! Addresses of the laboratory: an Ethernet and an IPv4 address that belong together.

use std::net::Ipv4Addr;

use crate::builder::{Mac, Route};

/// How far the silent address of a station lies behind its own.
const SILENT_OFFSET: u8 = 100;

/// One end of a cable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Station {
    /// Its Ethernet address (locally administered).
    pub mac: Mac,
    /// Its IPv4 address; the network is its /24.
    pub ipv4: Ipv4Addr,
}

impl Station {
    /// Station `number` of the outside (network 1, 203.0.113.0/24) or the local network (2, 192.0.2.0/24).
    pub(super) const fn new(network: u8, number: u8) -> Self {
        let ipv4 = match network {
            1 => Ipv4Addr::new(203, 0, 113, number),
            _ => Ipv4Addr::new(192, 0, 2, number),
        };
        Self {
            mac: [0x02, 0, 0, 0, network, number],
            ipv4,
        }
    }

    /// The same station under an address it does not answer to: what is sent there arrives and stays unanswered.
    #[must_use]
    pub const fn silent(self) -> Self {
        let [a, b, c, number] = self.ipv4.octets();
        Self {
            ipv4: Ipv4Addr::new(a, b, c, number + SILENT_OFFSET),
            ..self
        }
    }

    /// The addressing of a packet from here to another station by way of its next hop.
    #[must_use]
    pub fn route_to(self, destination: Self, next_hop: Self) -> Route {
        Route {
            src_mac: self.mac,
            dst_mac: next_hop.mac,
            src_ip: self.ipv4,
            dst_ip: destination.ipv4,
            ..Route::default()
        }
    }
}
