//! xdp-filter of Debian's xdp-tools on a private host, told to drop what it can tell of the packets that are measured.
//!
//! It knows ports and addresses and no payload. So it drops every packet to a web server where the detector drops the
//! worm's, and all that an ARP sender sends where the detector drops the excess.

use anyhow::{Context as _, Result};
use detector_tests::lab::{ETH0, Host, Pair};

use crate::packets::ARP_SENDER;

/// How much of xdp-filter is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Features {
    /// TCP ports alone: the least that stops Code Red.
    Tcp,
    /// Everything: what also stops an ARP sender.
    All,
}

impl Features {
    /// Its name for `xdp-filter load --features`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::All => "all",
        }
    }

    /// What it is told, in words.
    pub(crate) fn rules(self) -> &'static str {
        match self {
            Self::Tcp => "drops TCP to port 80",
            Self::All => {
                "drops TCP to port 80, UDP to port 1434, and everything from the ARP sender's MAC"
            }
        }
    }
}

/// xdp-filter on the server of a pair of hosts.
pub(crate) struct XdpFilter {
    pub(crate) pair: Pair,
}

impl XdpFilter {
    /// Loads it, with the rules that its features allow.
    pub(crate) fn load(features: Features) -> Result<Self> {
        let pair = Pair::new()?;
        let host = &pair.server;
        let run = |arguments: &str| {
            let arguments: Vec<&str> = arguments.split_whitespace().collect();
            host.output("xdp-filter", &arguments)
        };
        run(&format!(
            "load {ETH0} --mode native --policy allow --features {}",
            features.name()
        ))?;
        run("port 80 --mode dst --proto tcp")?;
        if features == Features::All {
            run("port 1434 --mode dst --proto udp")?;
            let sender = ARP_SENDER.map(|byte| format!("{byte:02x}")).join(":");
            run(&format!("ether {sender} --mode src"))?;
        }
        Ok(Self { pair })
    }

    /// What it says it has dropped, in packets.
    pub(crate) fn dropped(&self) -> Result<u64> {
        let status = self.pair.server.output("xdp-filter", &["status"])?;
        let line = status
            .lines()
            .find_map(|line| line.trim().strip_prefix("XDP_DROP"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number
            .and_then(|number| number.parse().ok())
            .with_context(|| format!("`xdp-filter status` does not say what it dropped: {status}"))
    }

    pub(crate) fn host(&self) -> &Host {
        &self.pair.server
    }
}
