//! What the kernel tells by itself: that an address, a route or a neighbour has changed.
//!
//! A message is a reason to ask again and nothing more, so none is missed for long: messages that the kernel had no room for are
//! told as lost.

use std::io;

use futures_util::{Stream, StreamExt as _};
use rtnetlink::{
    MulticastGroup,
    packet_core::{NetlinkMessage, NetlinkPayload},
    packet_route::RouteNetlinkMessage,
};

use super::messages::{self, Hop};

/// A message of the kernel.
pub(in crate::agent) struct Change(pub(in crate::agent) NetlinkPayload<RouteNetlinkMessage>);

/// Changes from now on. The runtime serves the connection; it ends with the stream.
pub(in crate::agent) fn changes() -> io::Result<impl Stream<Item = Change> + Send + Unpin> {
    let (connection, _, messages) = rtnetlink::new_multicast_connection(&[
        // Linux v6.12 net/ipv4/fib_trie.c fib_table_flush: routes go without a message when their interface goes down.
        MulticastGroup::Link,
        MulticastGroup::Ipv4Ifaddr,
        MulticastGroup::Ipv6Ifaddr,
        MulticastGroup::Ipv4Route,
        MulticastGroup::Ipv6Route,
        MulticastGroup::Neigh,
    ])?;
    tokio::spawn(connection);
    Ok(messages.map(|(NetlinkMessage { payload, .. }, _)| Change(payload)))
}

impl Change {
    /// Whether addresses, default routes or the MACs of these gateways may be others now.
    ///
    /// A router with all the routes of the Internet hears of some at any moment, and one whose network is scanned of neighbours
    /// that do not answer: neither is a reason to ask for all of them.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "of all that netlink tells, this is what counts here"
    )]
    pub(in crate::agent) fn concerns(&self, is_gateway: impl Fn(&Hop) -> bool) -> bool {
        let message = match &self.0 {
            NetlinkPayload::InnerMessage(message) => message,
            NetlinkPayload::Overrun(_) => return true,
            _ => return false,
        };
        match message {
            RouteNetlinkMessage::NewLink(_)
            | RouteNetlinkMessage::DelLink(_)
            | RouteNetlinkMessage::NewAddress(_)
            | RouteNetlinkMessage::DelAddress(_) => true,
            RouteNetlinkMessage::NewRoute(route) | RouteNetlinkMessage::DelRoute(route) => {
                messages::is_default(route)
            }
            RouteNetlinkMessage::NewNeighbour(neighbour)
            | RouteNetlinkMessage::DelNeighbour(neighbour) => {
                messages::neighbour(neighbour).is_some_and(|hop| is_gateway(&hop))
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use rtnetlink::packet_route::{
        address::AddressMessage,
        neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage},
        route::RouteMessage,
    };

    use super::*;

    fn concerns(message: RouteNetlinkMessage) -> bool {
        let gateway = (2, IpAddr::from([192, 0, 2, 1]));
        let change = Change(NetlinkPayload::InnerMessage(message));
        change.concerns(|hop| *hop == gateway)
    }

    #[test]
    fn of_routes_the_default_ones_count_and_of_neighbours_the_gateways() {
        assert!(concerns(RouteNetlinkMessage::DelAddress(
            AddressMessage::default()
        )));

        let mut route = RouteMessage::default();
        assert!(concerns(RouteNetlinkMessage::NewRoute(route.clone())));
        route.header.destination_prefix_length = 24;
        assert!(!concerns(RouteNetlinkMessage::DelRoute(route)));

        let neighbour = |number| {
            let mut neighbour = NeighbourMessage::default();
            neighbour.header.ifindex = 2;
            let ip = NeighbourAddress::Inet([192, 0, 2, number].into());
            neighbour.attributes = vec![NeighbourAttribute::Destination(ip)];
            RouteNetlinkMessage::NewNeighbour(neighbour)
        };
        assert!(concerns(neighbour(1)));
        assert!(!concerns(neighbour(9)));
    }

    #[test]
    fn what_was_lost_may_have_been_anything() {
        assert!(Change(NetlinkPayload::Overrun(Vec::new())).concerns(|_| false));
        assert!(!Change(NetlinkPayload::Noop).concerns(|_| true));
    }
}
