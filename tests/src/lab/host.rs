//! A host of the laboratory: a namespace, its interfaces, and what can be done in it.

use std::{
    ffi::OsStr,
    io::Write as _,
    net::Ipv4Addr,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use super::{Namespace, Receiver, Sender, Station, ping::ping};
use crate::builder::Mac;

/// Nothing speaks unless a test makes it: no IPv6 autoconfiguration, no redirects, no ARP on its own.
const QUIET: &[(&str, &str)] = &[
    ("ipv6/conf/all/disable_ipv6", "1"),
    ("ipv6/conf/default/disable_ipv6", "1"),
    ("ipv4/conf/all/rp_filter", "0"),
    ("ipv4/conf/default/rp_filter", "0"),
    ("ipv4/conf/all/send_redirects", "0"),
    ("ipv4/conf/default/send_redirects", "0"),
    ("ipv4/conf/all/accept_redirects", "0"),
    ("ipv4/conf/default/accept_redirects", "0"),
    ("ipv4/conf/default/arp_notify", "0"),
];

/// As many frames as a queue keeps for a receiver that is busy, instead of losing them.
const QUEUE_LENGTH: usize = 4096;

/// One host.
pub struct Host {
    /// What it is called in messages.
    pub name: &'static str,
    namespace: Namespace,
}

impl Host {
    /// Makes a host without interfaces.
    pub fn new(name: &'static str) -> Result<Self> {
        let host = Self {
            name,
            namespace: Namespace::new().with_context(|| format!("cannot make host {name}"))?,
        };
        host.namespace.set_parameters(QUIET)?;
        host.ip("link set lo up")?;
        Ok(host)
    }

    /// The namespace the host lives in.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Runs code on the host, on a thread of its own; a panic in it goes on in the caller.
    pub fn run<T: Send>(&self, action: impl FnOnce() -> T + Send) -> Result<T> {
        self.namespace.run(action)
    }

    /// A command that will run on the host and die with the thread that starts it.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.namespace.command(program)
    }

    /// Runs a program on the host to its end and gives what it printed; fails if it does.
    pub fn output(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let shown = format!("{program} {} on {}", arguments.join(" "), self.name);
        let output = self
            .command(program)
            .args(arguments)
            .output()
            .with_context(|| format!("cannot run {shown}"))?;
        if !output.status.success() {
            bail!(
                "{shown}: {}: {}",
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs `ip` on the host with one command per line.
    pub fn ip(&self, commands: &str) -> Result<()> {
        self.batch("ip", commands)
    }

    /// Opens an interface for sending whole frames.
    pub fn sender(&self, interface: &str) -> Result<Sender> {
        self.run(|| Sender::open(interface))?
            .with_context(|| format!("cannot send on {interface} of {}", self.name))
    }

    /// Starts to receive every frame that arrives on an interface from this moment on.
    pub fn receiver(&self, interface: &str) -> Result<Receiver> {
        self.run(|| Receiver::open(interface))?
            .with_context(|| format!("cannot receive on {interface} of {}", self.name))
    }

    /// Sends one ping through the host's own network stack and tells whether it was answered in time.
    pub fn ping(&self, destination: Ipv4Addr, within: Duration) -> Result<bool> {
        self.run(|| ping(destination, within))?
            .with_context(|| format!("cannot ping from {}", self.name))
    }

    /// Gives an interface its address and takes it up.
    pub(super) fn set_address(&self, interface: &str, station: Station) -> Result<()> {
        self.ip(&format!(
            "addr add {}/24 dev {interface}\nlink set {interface} up",
            station.ipv4
        ))
    }

    /// Tells a host its neighbours for good, so that it never asks.
    pub(super) fn set_neighbours(&self, interface: &str, neighbours: &[Station]) -> Result<()> {
        let line = |station: &Station| {
            let mac = colons(station.mac);
            format!(
                "neigh replace {} lladdr {mac} dev {interface} nud permanent\n",
                station.ipv4
            )
        };
        self.ip(&neighbours.iter().map(line).collect::<String>())
    }

    pub(super) fn set_default_route(&self, next_hop: Station) -> Result<()> {
        self.ip(&format!("route add default via {}", next_hop.ipv4))
    }

    pub(super) fn become_router(&self) -> Result<()> {
        self.namespace.set_parameters(&[("ipv4/ip_forward", "1")])
    }

    /// Joins ports to a switch that knows its stations, so that it has no reason to flood or to speak.
    pub(super) fn become_switch(&self, stations: &[(&str, Mac)]) -> Result<()> {
        self.ip("link add switch type bridge stp_state 0 mcast_snooping 0\nlink set switch up")?;
        let join = |(port, _): &(&str, Mac)| {
            format!("link set {port} master switch\nlink set {port} up\n")
        };
        self.ip(&stations.iter().map(join).collect::<String>())?;
        let learn = |(port, mac): &(&str, Mac)| {
            format!("fdb replace {} dev {port} master static\n", colons(*mac))
        };
        self.batch("bridge", &stations.iter().map(learn).collect::<String>())
    }

    /// Runs one of the iproute2 tools on the host with one command per line.
    fn batch(&self, tool: &str, commands: &str) -> Result<()> {
        let mut child = self
            .command(tool)
            .args(["-batch", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {tool} (is the package iproute2 installed?)"))?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(commands.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr);
            bail!(
                "{tool} on {} says: {}\nto:\n{commands}",
                self.name,
                message.trim()
            );
        }
        Ok(())
    }
}

/// One end of a cable to be.
pub(super) struct Port<'host> {
    host: &'host Host,
    interface: &'host str,
    mac: Mac,
}

impl<'host> Port<'host> {
    pub(super) fn new(host: &'host Host, interface: &'host str, mac: Mac) -> Self {
        Self {
            host,
            interface,
            mac,
        }
    }

    /// Lays a cable (a veth pair) between two ports.
    pub(super) fn cable_to(&self, other: &Self) -> Result<()> {
        self.host.ip(&format!(
            "link add {} address {} type veth peer name {} address {} netns {}",
            self.interface,
            colons(self.mac),
            other.interface,
            colons(other.mac),
            other.host.namespace.network_path(),
        ))?;
        for port in [self, other] {
            port.host.batch(
                "tc",
                &format!(
                    "qdisc add dev {} root pfifo limit {QUEUE_LENGTH}",
                    port.interface
                ),
            )?;
        }
        Ok(())
    }
}

fn colons(mac: Mac) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}
