//! What the kernel says is attached to an interface, asked over netlink.
//!
//! That is the one place that knows every program: those attached by a link, by `ip link` and by another tool.

use std::io;

use futures_util::StreamExt as _;
use rtnetlink::packet_route::link::{LinkAttribute, LinkXdp};

use super::interface::Hook;

/// A program on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OnInterface {
    /// Its number in the kernel.
    pub(super) program: u32,
    /// Where it is attached.
    pub(super) hook: Hook,
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

    /// The XDP programs on the interface with this number; `None` if it is gone.
    pub(super) async fn programs(&self, interface: u32) -> io::Result<Option<Vec<OnInterface>>> {
        let request = self.handle.link().get().match_index(interface).execute();
        match Box::pin(request).next().await {
            Some(Ok(link)) => Ok(Some(programs_in(&link.attributes))),
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

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "of all that netlink tells of an interface, three attributes count here"
)]
/// An interface may have one program in the driver and one on the card, so each is named by its own attribute.
fn programs_in(attributes: &[LinkAttribute]) -> Vec<OnInterface> {
    let xdp = attributes.iter().filter_map(|attribute| match attribute {
        LinkAttribute::Xdp(xdp) => Some(xdp),
        _ => None,
    });
    let program = |attribute: &LinkXdp| {
        let (program, hook) = match attribute {
            LinkXdp::DrvProgId(program) => (*program, Hook::Native),
            LinkXdp::SkbProgId(program) => (*program, Hook::Generic),
            LinkXdp::HwProgId(program) => (*program, Hook::Offloaded),
            _ => return None,
        };
        Some(OnInterface { program, hook })
    };
    xdp.flatten().filter_map(program).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_told_by_where_they_are_attached() {
        let attributes = [
            LinkAttribute::IfName("eth0".to_owned()),
            LinkAttribute::Xdp(vec![
                LinkXdp::DrvProgId(7),
                LinkXdp::HwProgId(9),
                LinkXdp::ProgId(7),
            ]),
        ];
        let (native, offloaded) = (Hook::Native, Hook::Offloaded);
        let expected =
            [(7, native), (9, offloaded)].map(|(program, hook)| OnInterface { program, hook });
        assert_eq!(programs_in(&attributes), expected);
        assert_eq!(programs_in(&attributes[..1]), []);
    }
}
