//! What messages of the kernel say of addresses, routes and neighbours. Pure: what a message does not say is left out.

use std::net::IpAddr;

use rtnetlink::packet_route::{
    address::{AddressAttribute, AddressMessage},
    neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage},
    route::{RouteAddress, RouteAttribute, RouteMessage, RouteVia},
};

/// A next hop: an address on an interface.
pub(in crate::agent) type Hop = (u32, IpAddr);

/// The machine's address that a message tells of.
pub(super) fn own_address(message: &AddressMessage) -> Option<IpAddr> {
    let attributes = || message.attributes.iter();
    // Of a point-to-point link, the address is the other end's and the local one ours; IPv6 has the local one only there.
    let local = attributes().find_map(|attribute| {
        if let AddressAttribute::Local(ip) = attribute {
            Some(*ip)
        } else {
            None
        }
    });
    let address = attributes().find_map(|attribute| {
        if let AddressAttribute::Address(ip) = attribute {
            Some(*ip)
        } else {
            None
        }
    });
    local.or(address)
}

/// Whether it is a route to everywhere.
pub(super) fn is_default(route: &RouteMessage) -> bool {
    route.header.destination_prefix_length == 0
}

/// The next hops of a route: one, or several of a multipath route.
pub(super) fn hops(route: &RouteMessage) -> Vec<Hop> {
    let interface = route.attributes.iter().find_map(|attribute| {
        if let RouteAttribute::Oif(interface) = attribute {
            Some(*interface)
        } else {
            None
        }
    });
    let mut hops = Vec::new();
    hops.extend(interface.zip(next_hop(&route.attributes)));
    for attribute in &route.attributes {
        if let RouteAttribute::MultiPath(paths) = attribute {
            hops.extend(paths.iter().filter_map(|path| {
                let ip = next_hop(&path.attributes)?;
                Some((path.interface_index, ip))
            }));
        }
    }
    hops
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "of all that netlink tells of a route, two attributes name a next hop"
)]
fn next_hop(attributes: &[RouteAttribute]) -> Option<IpAddr> {
    attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(ip))
        | RouteAttribute::Via(RouteVia::Inet(ip)) => Some(IpAddr::from(*ip)),
        // RFC 8950: a route of IPv4 may go by a router that has an address of IPv6 only.
        RouteAttribute::Gateway(RouteAddress::Inet6(ip))
        | RouteAttribute::Via(RouteVia::Inet6(ip)) => Some(IpAddr::from(*ip)),
        _ => None,
    })
}

/// Which neighbour a message tells of.
pub(super) fn neighbour(message: &NeighbourMessage) -> Option<Hop> {
    let ip = message.attributes.iter().find_map(|attribute| {
        if let NeighbourAttribute::Destination(ip) = attribute {
            match ip {
                NeighbourAddress::Inet(ip) => Some(IpAddr::from(*ip)),
                NeighbourAddress::Inet6(ip) => Some(IpAddr::from(*ip)),
                NeighbourAddress::Other(_) | _ => None,
            }
        } else {
            None
        }
    })?;
    Some((message.header.ifindex, ip))
}

/// Its MAC; `None` if it has not answered, or is on a network that has none.
pub(super) fn mac(message: &NeighbourMessage) -> Option<[u8; 6]> {
    let mac = message.attributes.iter().find_map(|attribute| {
        if let NeighbourAttribute::LinkLayerAddress(bytes) = attribute {
            bytes.as_slice().try_into().ok()
        } else {
            None
        }
    });
    mac.filter(|mac| *mac != [0; 6])
}

#[cfg(test)]
mod tests {
    use rtnetlink::packet_route::route::RouteNextHop;

    use super::*;

    const A: [u8; 4] = [192, 0, 2, 1];
    const B: [u8; 4] = [192, 0, 2, 2];
    const ROUTER6: [u16; 8] = [0xfe80, 0, 0, 0, 0, 0, 0, 1];

    fn gateway(ip: [u8; 4]) -> RouteAttribute {
        RouteAttribute::Gateway(RouteAddress::Inet(ip.into()))
    }

    fn route(attributes: Vec<RouteAttribute>) -> RouteMessage {
        let mut route = RouteMessage::default();
        route.attributes = attributes;
        route
    }

    #[test]
    fn the_local_end_of_a_point_to_point_link_is_ours() {
        let mut message = AddressMessage::default();
        assert_eq!(own_address(&message), None);
        message
            .attributes
            .push(AddressAttribute::Address(IpAddr::from(ROUTER6)));
        assert_eq!(own_address(&message), Some(IpAddr::from(ROUTER6)));
        message
            .attributes
            .push(AddressAttribute::Local(IpAddr::from(A)));
        assert_eq!(own_address(&message), Some(IpAddr::from(A)));
    }

    #[test]
    fn a_next_hop_is_an_address_on_an_interface() {
        assert_eq!(
            hops(&route(vec![RouteAttribute::Oif(2), gateway(A)])),
            [(2, A.into())]
        );
        assert_eq!(hops(&route(vec![RouteAttribute::Oif(2)])), []);
        assert_eq!(hops(&route(vec![gateway(A)])), []);
        let via = RouteAttribute::Via(RouteVia::Inet6(ROUTER6.into()));
        assert_eq!(
            hops(&route(vec![via, RouteAttribute::Oif(2)])),
            [(2, ROUTER6.into())]
        );
    }

    #[test]
    fn a_multipath_route_has_several_next_hops() {
        let path = |interface_index, attributes| {
            let mut path = RouteNextHop::default();
            path.interface_index = interface_index;
            path.attributes = attributes;
            path
        };
        let paths = vec![
            path(2, vec![gateway(A)]),
            path(3, vec![gateway(B)]),
            path(4, vec![]),
        ];
        assert_eq!(
            hops(&route(vec![RouteAttribute::MultiPath(paths)])),
            [(2, A.into()), (3, B.into())]
        );
    }

    #[test]
    fn a_neighbour_that_has_not_answered_has_no_mac() {
        let mut message = NeighbourMessage::default();
        message.header.ifindex = 2;
        assert_eq!((neighbour(&message), mac(&message)), (None, None));
        message
            .attributes
            .push(NeighbourAttribute::Destination(NeighbourAddress::Inet(
                A.into(),
            )));
        assert_eq!(neighbour(&message), Some((2, A.into())));
        for (bytes, expected) in [
            (vec![0; 6], None),
            (vec![2; 4], None),
            (vec![2; 20], None),
            (vec![2; 6], Some([2; 6])),
        ] {
            message.attributes.truncate(1);
            message
                .attributes
                .push(NeighbourAttribute::LinkLayerAddress(bytes));
            assert_eq!(mac(&message), expected);
        }
    }
}
