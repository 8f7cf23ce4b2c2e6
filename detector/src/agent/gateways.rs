//! Which routers the machine sends to: the next hops of its default routes, and their MACs.
//!
//! What such a router asks by ARP, somebody behind it makes it ask. So it may ask for more than others, answers for whom it likes,
//! and is told as a gateway. Routes and neighbours are asked for again every few seconds: a router that is exchanged is known
//! before anybody has looked.

use std::{collections::BTreeSet, io, net::IpAddr, sync::Arc, time::Duration};

use detector_common::net::MacAddress;
use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval};

use super::{kernel::ConfigMap, netlink::Netlink, view::View, voice::say};
use crate::output::Mac;

/// How often routes and neighbours are looked at.
const EVERY: Duration = Duration::from_secs(5);

/// A router that a default route goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gateway {
    /// Its address.
    pub ip: IpAddr,
    /// Its MAC, as the kernel's neighbour table knows it.
    pub mac: Mac,
}

/// A next hop: an address on an interface.
pub(super) type Hop = (u32, IpAddr);

/// The gateways there are.
pub(super) async fn learn(netlink: &Netlink) -> io::Result<BTreeSet<Gateway>> {
    let hops = netlink.default_hops().await?;
    let neighbours = netlink.neighbours().await?;
    Ok(gateways_among(&hops, &neighbours))
}

/// Those neighbours that a default route goes to.
fn gateways_among(hops: &BTreeSet<Hop>, neighbours: &[(Hop, [u8; 6])]) -> BTreeSet<Gateway> {
    neighbours
        .iter()
        .filter(|(hop, mac)| hops.contains(hop) && *mac != [0; 6])
        .map(|((_, ip), mac)| Gateway {
            ip: *ip,
            mac: Mac::from(MacAddress::new(*mac)),
        })
        .collect()
}

/// Keeps the classifier's gateways those of the operator and those there are. Does not end.
pub(super) async fn follow(view: Arc<View>, netlink: Netlink, mut config: ConfigMap) {
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut complained = false;
    loop {
        tick.tick().await;
        let told = match learn(&netlink).await {
            Ok(gateways) if view.gateways() == gateways => continue,
            Ok(gateways) => {
                view.set_gateways(gateways);
                config.set(view.config()).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = told
            && !complained
        {
            complained = true;
            say(&format!(
                "gateways are not kept current ({error}), what is known stays"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_is_a_neighbour_on_the_interface_that_the_default_route_goes_by() {
        let router = IpAddr::from([192, 0, 2, 1]);
        let other = IpAddr::from([192, 0, 2, 9]);
        let neighbours = [
            ((2, router), [2, 0, 0, 0, 0, 1]),
            ((3, router), [2, 0, 0, 0, 0, 2]),
            ((2, other), [2, 0, 0, 0, 0, 3]),
        ];
        let hops = BTreeSet::from([(2, router)]);
        let found = gateways_among(&hops, &neighbours);
        let macs: Vec<_> = found
            .iter()
            .map(|gateway| gateway.mac.to_string())
            .collect();
        assert_eq!(macs, ["02:00:00:00:00:01"]);
        // A neighbour that has not answered has no address.
        let silent = [((2, router), [0; 6])];
        assert_eq!(gateways_among(&hops, &silent), BTreeSet::new());
    }
}
