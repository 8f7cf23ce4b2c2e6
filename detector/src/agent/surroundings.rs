//! What the machine is part of: its own addresses, the routers of its default routes, its resolvers, and who is logged in to it.
//!
//! These are the addresses that nothing should ever act against: whoever is cut off from one of them has lost the network, or the
//! machine. `detector status` shows them. And what a default gateway asks by ARP, somebody behind it makes it ask: so it may ask for
//! more than others, answers for whom it likes, and findings tell that it relayed.

mod follow;
mod resolvers;
mod ssh;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
    net::IpAddr,
    time::Instant,
};

use detector_common::net::MacAddress;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

pub(super) use self::follow::follow;
use self::ssh::Connections;
use super::netlink::{Hop, Netlink};
use crate::output::Mac;

/// Why an address is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It is the machine's own.
    OwnAddress,
    /// A default route goes to it.
    DefaultGateway,
    /// The machine asks it for names.
    Resolver,
    /// It is logged in to the machine's SSH server.
    SshPeer,
    /// The operator said so.
    Operator,
}

/// What the machine is part of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Surroundings {
    own: BTreeSet<IpAddr>,
    gateways: BTreeMap<Hop, Option<Mac>>,
    resolvers: BTreeSet<IpAddr>,
    ssh_peers: BTreeSet<IpAddr>,
}

impl Surroundings {
    /// What there is as the agent starts.
    ///
    /// # Errors
    ///
    /// The kernel does not say.
    pub(super) async fn now(netlink: &Netlink) -> io::Result<Self> {
        Self::read(netlink, &mut Connections::default()).await
    }

    /// What there is now.
    ///
    /// # Errors
    ///
    /// The kernel does not say.
    async fn read(netlink: &Netlink, connections: &mut Connections) -> io::Result<Self> {
        let own = netlink.own_addresses().await?;
        let hops = netlink.default_hops().await?;
        let macs = netlink.macs(&hops).await?;
        let gateways = hops.into_iter().map(|hop| {
            let mac = macs.get(&hop).copied();
            (hop, mac.map(MacAddress::new).map(Mac::from))
        });
        let files = spawn_blocking(|| (resolvers::read(), ssh::read()));
        let (resolvers, standing) = files.await.map_err(io::Error::other)?;
        let ssh_peers = connections.see(&standing, Instant::now());
        Ok(Self {
            own,
            gateways: gateways.collect(),
            resolvers,
            ssh_peers,
        })
    }

    /// The addresses that nothing should act against, and why; an address stands there once for each reason.
    pub(super) fn protected(&self) -> BTreeSet<(IpAddr, Why)> {
        let gateways = self.gateways.keys().map(|(_, ip)| ip);
        let gateways = gateways.map(|ip| (*ip, Why::DefaultGateway));
        let others = [
            (&self.own, Why::OwnAddress),
            (&self.resolvers, Why::Resolver),
            (&self.ssh_peers, Why::SshPeer),
        ];
        let others = others.into_iter().flat_map(|(addresses, why)| {
            let with_reason = move |ip: &IpAddr| (*ip, why);
            addresses.iter().map(with_reason)
        });
        gateways.chain(others).collect()
    }

    /// The default gateways, each by its interface and address, and the MAC that the kernel's neighbour table has for it.
    pub(super) fn gateways(&self) -> &BTreeMap<Hop, Option<Mac>> {
        &self.gateways
    }

    /// The MACs of the gateways of IPv4. One of IPv6 is whoever advertises himself on the link, and is believed nothing for that.
    pub(super) fn gateway_macs(&self) -> BTreeSet<Mac> {
        let gateways = self.gateways.iter();
        let gateways = gateways.filter(|((_, ip), _)| ip.is_ipv4());
        gateways.filter_map(|(_, mac)| *mac).collect()
    }
}

impl Why {
    /// All of them, in the order in which people are told.
    pub const ALL: [Self; 5] = [
        Self::OwnAddress,
        Self::DefaultGateway,
        Self::Resolver,
        Self::SshPeer,
        Self::Operator,
    ];

    /// The name in every output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OwnAddress => "own_address",
            Self::DefaultGateway => "default_gateway",
            Self::Resolver => "resolver",
            Self::SshPeer => "ssh_peer",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// Reads an address; one of IPv6 may say by which interface (`fe80::1%eth0`).
fn parse_address(text: &str) -> Option<IpAddr> {
    let address = text.split('%').next()?;
    Some(address.parse::<IpAddr>().ok()?.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: [u8; 4] = [192, 0, 2, 7];
    const ROUTER: [u8; 4] = [192, 0, 2, 1];
    const ROUTER6: [u16; 8] = [0xfe80, 0, 0, 0, 0, 0, 0, 1];

    fn mac(number: u8) -> Mac {
        Mac::from(MacAddress::new([2, 0, 0, 0, 0, number]))
    }

    fn surroundings() -> Surroundings {
        let gateways = [
            ((2, ROUTER.into()), Some(mac(1))),
            ((2, ROUTER6.into()), Some(mac(6))),
            ((3, ROUTER.into()), None),
        ];
        Surroundings {
            own: [OWN.into()].into(),
            gateways: gateways.into(),
            resolvers: [ROUTER.into()].into(),
            ssh_peers: BTreeSet::new(),
        }
    }

    #[test]
    fn an_address_is_protected_once_for_each_reason() {
        let protected: Vec<_> = surroundings().protected().into_iter().collect();
        assert_eq!(
            protected,
            [
                (ROUTER.into(), Why::DefaultGateway),
                (ROUTER.into(), Why::Resolver),
                (OWN.into(), Why::OwnAddress),
                (ROUTER6.into(), Why::DefaultGateway),
            ]
        );
    }

    #[test]
    fn who_asks_for_others_is_a_gateway_of_ipv4_whose_mac_is_known() {
        assert_eq!(surroundings().gateway_macs(), BTreeSet::from([mac(1)]));
    }

    #[test]
    fn a_reason_has_one_name_in_every_output() {
        for why in Why::ALL {
            assert_eq!(serde_json::to_value(why).unwrap_or_default(), why.name());
        }
    }

    #[test]
    fn an_address_may_say_by_which_interface() {
        assert_eq!(parse_address("fe80::1%eth0"), Some(ROUTER6.into()));
        assert_eq!(parse_address("::ffff:192.0.2.1"), Some(ROUTER.into()));
        for text in ["", "%", "%eth0", "192.0.2", "192.0.2.1:53", "\u{1b}[2J"] {
            assert_eq!(parse_address(text), None, "{text:?}");
        }
    }
}
