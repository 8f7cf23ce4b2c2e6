//! What the worms sent, as inert test packets, and ordinary traffic to send beside it.
//!
//! The patterns are the published ones (rule sets, advisories, server logs, packet dumps); where a worm carried
//! code, filler of the same length stands in its place, so nothing here can infect anything. `Worm::synthetic`
//! says which packets have such filler. Names equal the signature names of the detector. Every packet is a
//! [`PacketBuilder`], so a test can still add a VLAN tag, TCP options or a fault before it builds the frame.

mod arp_storm;
pub mod benign;
mod datagram;
mod http;
mod smb;
mod tcp;
#[cfg(test)]
mod tests;

pub use self::{
    arp_storm::{ARP_STORM_MAC, TimedFrame, arp_storm},
    datagram::{slammer, welchia_ping, witty},
    http::{
        NIMDA_URLS, code_red, code_red_ii, ida_overflow, nimda, sadmind_iis, sadmind_iis_traversal,
        webdav_search,
    },
    smb::{doublepulsar_ping, eternalblue_probe},
    tcp::{mirai_scan, mydoom_backdoor},
};
pub use crate::builder::Route;
use crate::builder::{ACK, PSH, PacketBuilder};

/// The TCP payload of a full-size Ethernet frame without TCP options.
pub const FULL_SEGMENT: usize = 1460;

/// One probe of one worm.
pub struct Worm {
    /// The name of its signature.
    pub name: &'static str,
    /// Whether bytes outside the documented pattern are filler.
    pub synthetic: bool,
    make: Box<dyn Fn(&Route) -> PacketBuilder + Send + Sync>,
}

impl Worm {
    fn exact(
        name: &'static str,
        make: impl Fn(&Route) -> PacketBuilder + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            synthetic: false,
            make: Box::new(make),
        }
    }

    fn synthetic(
        name: &'static str,
        make: impl Fn(&Route) -> PacketBuilder + Send + Sync + 'static,
    ) -> Self {
        Self {
            synthetic: true,
            ..Self::exact(name, make)
        }
    }

    /// The probe, still open to change.
    pub fn packet(&self, route: &Route) -> PacketBuilder {
        (self.make)(route)
    }

    /// The probe as a frame.
    #[must_use]
    pub fn frame(&self, route: &Route) -> Vec<u8> {
        self.packet(route).build()
    }
}

/// One probe of every worm that has a signature.
#[must_use]
pub fn all() -> Vec<Worm> {
    let mut worms = vec![
        Worm::synthetic("code-red", code_red),
        Worm::synthetic("code-red-ii", code_red_ii),
        Worm::synthetic("idq-overflow", ida_overflow),
    ];
    worms.extend(
        NIMDA_URLS
            .iter()
            .map(|&(name, url)| Worm::exact(name, move |route| nimda(route, url))),
    );
    worms.extend([
        Worm::exact("sadmind-iis", sadmind_iis),
        Worm::synthetic("webdav-search", webdav_search),
        Worm::synthetic("sql-slammer", slammer),
        Worm::exact("welchia-ping", welchia_ping),
        Worm::synthetic("witty", witty),
        Worm::synthetic("mydoom-backdoor", mydoom_backdoor),
        Worm::exact("eternalblue-probe", eternalblue_probe),
        Worm::exact("doublepulsar-ping", doublepulsar_ping),
        Worm::exact("mirai-scan", mirai_scan),
    ]);
    worms
}

/// A data segment from the client of a connection, as Windows sent it: TTL 128.
fn client_data(route: &Route, destination_port: u16, payload: &[u8]) -> PacketBuilder {
    route
        .ipv4()
        .ttl(128)
        .tcp(route.src_port, destination_port)
        .seq(0x3a7c_1e01)
        .ack(0x5d20_9b01)
        .flags(PSH | ACK)
        .window(17_520)
        .tcp_options(route.tcp_options)
        .payload(payload)
}

/// The beginning of a longer request: a data segment filled to the size of a whole frame.
fn full_size_client_data(
    route: &Route,
    destination_port: u16,
    mut payload: Vec<u8>,
    filler: u8,
) -> PacketBuilder {
    payload.resize(
        FULL_SEGMENT - route.tcp_options.len().next_multiple_of(4),
        filler,
    );
    client_data(route, destination_port, &payload).flags(ACK)
}
