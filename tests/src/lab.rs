//! The network laboratory: private hosts on private cables, for the end-to-end tests and the demo.
//!
//! A [`Host`] is a network namespace with a mount namespace of its own; both exist only as file descriptors of this
//! process. When they close - on drop, panic, Ctrl-C or SIGKILL alike - the kernel removes the namespaces and
//! with them every interface, address, attached program, mount and pin. Nothing has a name on the machine and the
//! machine's own interfaces are never touched.
//!
//! ```text
//! outside ── wan│gateway│lan ── switch ─┬─ host
//!                                       └─ infected
//! ```

mod bpffs;
mod generator;
mod host;
mod namespace;
mod ping;
mod process;
mod receiver;
mod sender;
mod socket;
mod station;
#[cfg(test)]
mod tests;
mod wait;

use std::time::Duration;

use anyhow::{Context as _, Result};

use self::host::Port;
pub use self::{
    bpffs::PrivateBpffs,
    generator::{Generator, run_live},
    host::Host,
    namespace::Namespace,
    process::Process,
    receiver::Receiver,
    sender::Sender,
    station::Station,
    wait::wait_until,
};
use crate::{builder::Route, requirements::require_root};

/// The interface of every host that has one.
pub const ETH0: &str = "eth0";
/// The gateway's interface towards the outside.
pub const WAN: &str = "wan";
/// The gateway's interface towards the local network.
pub const LAN: &str = "lan";

/// The host on the Internet side of the gateway.
pub const OUTSIDE: Station = Station::new(1, 10);
/// The gateway towards the outside.
pub const GATEWAY_WAN: Station = Station::new(1, 1);
/// The gateway towards the local network.
pub const GATEWAY_LAN: Station = Station::new(2, 1);
/// The host on the local network.
pub const HOST: Station = Station::new(2, 10);
/// The infected host on the local network.
pub const INFECTED: Station = Station::new(2, 66);

/// How long the cables of a new laboratory may take to carry a ping from end to end.
const READY_WITHIN: Duration = Duration::from_secs(5);

/// A gateway between the outside and a local network of two hosts.
///
/// All neighbours are known for good and IPv6 is off, so the only packets are those somebody sends. Packets to the
/// [`Station::silent`] address of a host arrive there and are never answered, which keeps counts exact.
pub struct Lab {
    /// The Internet: whatever the gateway has no other way to goes here.
    pub outside: Host,
    /// The gateway, with interfaces [`WAN`] and [`LAN`].
    pub gateway: Host,
    /// The host behind the gateway.
    pub host: Host,
    /// The infected host beside it.
    pub infected: Host,
    switch: Host,
}

impl Lab {
    /// Builds the laboratory and waits until a ping passes from one end to the other.
    pub fn new() -> Result<Self> {
        require_root()?;
        let lab = Self {
            outside: Host::new("outside")?,
            gateway: Host::new("gateway")?,
            host: Host::new("host")?,
            infected: Host::new("infected")?,
            switch: Host::new("switch")?,
        };
        lab.connect().context("cannot connect the laboratory")?;
        for end in [HOST, INFECTED] {
            wait_until("the laboratory to carry a ping", READY_WITHIN, || {
                lab.outside.ping(end.ipv4, Duration::from_millis(100))
            })?;
        }
        Ok(lab)
    }

    /// A worm's way in: from the outside to the silent address of the host.
    #[must_use]
    pub fn inbound() -> Route {
        OUTSIDE.route_to(HOST.silent(), GATEWAY_WAN)
    }

    /// A worm's way out: from the infected host to the silent address outside.
    #[must_use]
    pub fn outbound() -> Route {
        INFECTED.route_to(OUTSIDE.silent(), GATEWAY_LAN)
    }

    fn connect(&self) -> Result<()> {
        Port::new(&self.gateway, WAN, GATEWAY_WAN.mac).cable_to(&Port::new(
            &self.outside,
            ETH0,
            OUTSIDE.mac,
        ))?;
        let ends = [
            (&self.gateway, LAN, GATEWAY_LAN, "port1"),
            (&self.host, ETH0, HOST, "port2"),
            (&self.infected, ETH0, INFECTED, "port3"),
        ];
        for (index, (host, interface, station, port)) in (1..).zip(&ends) {
            let switch_port = Port::new(&self.switch, port, [0x02, 0, 0, 0, 0xff, index]);
            Port::new(host, interface, station.mac).cable_to(&switch_port)?;
        }
        self.switch
            .become_switch(&ends.map(|(_, _, station, port)| (port, station.mac)))?;

        self.outside.set_address(ETH0, OUTSIDE)?;
        self.gateway.set_address(WAN, GATEWAY_WAN)?;
        self.gateway.set_address(LAN, GATEWAY_LAN)?;
        self.host.set_address(ETH0, HOST)?;
        self.infected.set_address(ETH0, INFECTED)?;
        self.gateway.become_router()?;

        self.outside.set_neighbours(ETH0, &[GATEWAY_WAN])?;
        self.gateway
            .set_neighbours(WAN, &[OUTSIDE, OUTSIDE.silent()])?;
        self.gateway
            .set_neighbours(LAN, &[HOST, HOST.silent(), INFECTED, INFECTED.silent()])?;
        self.host
            .set_neighbours(ETH0, &[GATEWAY_LAN, INFECTED, INFECTED.silent()])?;
        self.infected
            .set_neighbours(ETH0, &[GATEWAY_LAN, HOST, HOST.silent()])?;

        self.outside.set_default_route(GATEWAY_WAN)?;
        self.gateway.set_default_route(OUTSIDE)?;
        self.host.set_default_route(GATEWAY_LAN)?;
        self.infected.set_default_route(GATEWAY_LAN)
    }
}

/// Two hosts on one cable: the smallest network on which a program can be attached and sent to.
pub struct Pair {
    /// One end: [`Pair::CLIENT`] on [`ETH0`].
    pub client: Host,
    /// The other end: [`Pair::SERVER`] on [`ETH0`].
    pub server: Host,
}

impl Pair {
    /// The station of the client.
    pub const CLIENT: Station = Station::new(1, 10);
    /// The station of the server.
    pub const SERVER: Station = Station::new(1, 80);

    /// Builds the two hosts and waits until a ping passes.
    pub fn new() -> Result<Self> {
        require_root()?;
        let pair = Self {
            client: Host::new("client")?,
            server: Host::new("server")?,
        };
        let client = Port::new(&pair.client, ETH0, Self::CLIENT.mac);
        client.cable_to(&Port::new(&pair.server, ETH0, Self::SERVER.mac))?;
        pair.client.set_address(ETH0, Self::CLIENT)?;
        pair.server.set_address(ETH0, Self::SERVER)?;
        pair.client
            .set_neighbours(ETH0, &[Self::SERVER, Self::SERVER.silent()])?;
        pair.server
            .set_neighbours(ETH0, &[Self::CLIENT, Self::CLIENT.silent()])?;
        wait_until("the pair to carry a ping", READY_WITHIN, || {
            pair.client
                .ping(Self::SERVER.ipv4, Duration::from_millis(100))
        })?;
        Ok(pair)
    }

    /// From the client to the silent address of the server.
    #[must_use]
    pub fn route() -> Route {
        Self::CLIENT.route_to(Self::SERVER.silent(), Self::SERVER)
    }
}
