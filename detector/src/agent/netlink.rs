//! What the kernel says of an interface (its name, and what is attached to it), of addresses, routes and neighbours. Asked over
//! netlink, which also tells of changes.
//!
//! That is the one place that knows every program: those attached by a link, by `ip link` and by another tool.

mod changes;
mod messages;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use futures_util::StreamExt as _;
use rtnetlink::{
    RouteMessageBuilder,
    packet_route::link::{LinkAttribute, LinkXdp},
};

pub(super) use self::{
    changes::{Change, changes},
    messages::Hop,
};
use super::interface::Hook;

/// A program on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OnInterface {
    /// Its number in the kernel.
    pub(super) program: u32,
    /// Where it is attached.
    pub(super) hook: Hook,
}

/// An interface as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// Its name, fit for a terminal.
    pub(super) name: String,
    /// The XDP programs on it.
    pub(super) programs: Vec<OnInterface>,
}

/// A connection to the kernel's network configuration. It only asks.
#[derive(Clone, Debug)]
pub(super) struct Netlink {
    handle: rtnetlink::Handle,
}

impl Netlink {
    /// Opens a connection, which the runtime serves from then on.
    pub(super) fn open() -> io::Result<Self> {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        tokio::spawn(connection);
        Ok(Self { handle })
    }

    /// The interface with this number; `None` if it is gone.
    pub(super) async fn link(&self, interface: u32) -> io::Result<Option<Link>> {
        let request = self.handle.link().get().match_index(interface).execute();
        match Box::pin(request).next().await {
            Some(Ok(link)) => Ok(Some(Link::of(&link.attributes))),
            Some(Err(rtnetlink::Error::NetlinkError(answer)))
                if answer.raw_code() == -nix::libc::ENODEV =>
            {
                Ok(None)
            }
            Some(Err(rtnetlink::Error::NetlinkError(answer))) => Err(answer.to_io()),
            Some(Err(error)) => Err(io::Error::other(error.to_string())),
            None => Ok(None),
        }
    }
}

impl Netlink {
    /// The machine's addresses, on all interfaces.
    pub(super) async fn own_addresses(&self) -> io::Result<BTreeSet<IpAddr>> {
        let mut answers = Box::pin(self.handle.address().get().execute());
        let mut addresses = BTreeSet::new();
        while let Some(message) = answers.next().await {
            addresses.extend(messages::own_address(&message.map_err(of_netlink)?));
        }
        Ok(addresses)
    }

    /// The next hops of every default route, whatever its table.
    pub(super) async fn default_hops(&self) -> io::Result<BTreeSet<Hop>> {
        let mut hops = BTreeSet::new();
        for every in [
            RouteMessageBuilder::<Ipv4Addr>::new().build(),
            RouteMessageBuilder::<Ipv6Addr>::new().build(),
        ] {
            let mut answers = Box::pin(self.handle.route().get(every).execute());
            while let Some(route) = answers.next().await {
                let route = route.map_err(of_netlink)?;
                if messages::is_default(&route) {
                    hops.extend(messages::hops(&route));
                }
            }
        }
        Ok(hops)
    }

    /// The MACs of these neighbours, of those that the kernel knows one of.
    pub(super) async fn macs(&self, of: &BTreeSet<Hop>) -> io::Result<BTreeMap<Hop, [u8; 6]>> {
        let mut answers = Box::pin(self.handle.neighbours().get().execute());
        let mut macs = BTreeMap::new();
        while let Some(message) = answers.next().await {
            let message = message.map_err(of_netlink)?;
            let hop = messages::neighbour(&message).filter(|hop| of.contains(hop));
            macs.extend(hop.zip(messages::mac(&message)));
        }
        Ok(macs)
    }
}

fn of_netlink(error: rtnetlink::Error) -> io::Error {
    if let rtnetlink::Error::NetlinkError(answer) = error {
        answer.to_io()
    } else {
        io::Error::other(error.to_string())
    }
}

impl Link {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "of all that netlink tells of an interface, two attributes count here"
    )]
    fn of(attributes: &[LinkAttribute]) -> Self {
        let mut link = Self {
            name: String::new(),
            programs: Vec::new(),
        };
        for attribute in attributes {
            match attribute {
                // The kernel takes control characters for a name.
                LinkAttribute::IfName(name) => link.name = name.escape_debug().to_string(),
                LinkAttribute::Xdp(xdp) => link.programs.extend(programs_in(xdp)),
                _ => {}
            }
        }
        link
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "of all that netlink tells of XDP, three attributes count here"
)]
/// An interface may have one program in the driver and one on the card, so each is named by its own attribute.
fn programs_in(xdp: &[LinkXdp]) -> impl Iterator<Item = OnInterface> {
    let program = |attribute: &LinkXdp| {
        let (program, hook) = match attribute {
            LinkXdp::DrvProgId(program) => (*program, Hook::Native),
            LinkXdp::SkbProgId(program) => (*program, Hook::Generic),
            LinkXdp::HwProgId(program) => (*program, Hook::Offloaded),
            _ => return None,
        };
        Some(OnInterface { program, hook })
    };
    xdp.iter().filter_map(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_told_by_where_they_are_attached() {
        let attributes = [
            LinkAttribute::IfName("eth0\u{1b}".to_owned()),
            LinkAttribute::Xdp(vec![
                LinkXdp::DrvProgId(7),
                LinkXdp::HwProgId(9),
                LinkXdp::ProgId(7),
            ]),
        ];
        let (native, offloaded) = (Hook::Native, Hook::Offloaded);
        let expected =
            [(7, native), (9, offloaded)].map(|(program, hook)| OnInterface { program, hook });
        let link = Link::of(&attributes);
        assert_eq!(
            (&*link.name, &*link.programs),
            ("eth0\\u{1b}", &expected[..])
        );
        assert_eq!(Link::of(&attributes[..1]).programs, []);
    }
}
