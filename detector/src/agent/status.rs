//! What runs, and how: the answer to `detector status`.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use detector_common::abi::Tally;
use serde::{Deserialize, Serialize};

use super::{
    attach::Guarded,
    interface::{Hook, Side},
    kernel::KernelError,
    netlink::Netlink,
    response::Protected,
    surroundings::Surroundings,
    view::View,
};
use crate::output::{Mac, SCHEMA_VERSION, Time};

/// The state of the agent. `detector status -o json` prints it, and its keys are stable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The version of this object.
    pub schema_version: u32,
    /// The version of the agent.
    pub version: String,
    /// The number of its process.
    pub pid: u32,
    /// When it was asked.
    pub time: Time,
    /// How long it runs, in seconds.
    pub uptime_s: u64,
    /// Whether it may drop: `monitor` or `enforce`.
    pub mode: String,
    /// Whether it monitors from some time on unless the operator confirms that it may go on enforcing.
    #[serde(default)]
    pub unconfirmed: bool,
    /// Each guarded interface, in the order of the command line.
    pub interfaces: Vec<InterfaceStatus>,
    /// The routers that default routes go to.
    #[serde(default)]
    pub gateways: Vec<Gateway>,
    /// The addresses and prefixes that nothing is ever done against, in order; one stands there once for each reason.
    #[serde(default)]
    pub protected: Vec<Protected>,
    /// Where the maps are pinned.
    pub pin_dir: String,
    /// Where the agent is asked.
    pub socket: String,
    /// Reports of findings that the kernel had no room for.
    pub events_lost: u64,
    /// The kernel program.
    pub program: ProgramStatus,
}

/// The state of an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceStatus {
    /// Its name; once it is gone, the last it had.
    pub name: String,
    /// Its number in the kernel.
    pub index: u32,
    /// Which way it faces.
    pub side: Side,
    /// Where the program was attached.
    pub mode: Hook,
    /// Whether it still is there. An interface that was removed is not guarded when it comes back: start the agent
    /// again.
    pub attached: bool,
    /// The number of its copy of the program in the kernel.
    pub program_id: u32,
}

/// A router that a default route goes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gateway {
    /// Its address.
    pub ip: IpAddr,
    /// Its MAC, as the kernel's neighbour table has it; `null` while it has none.
    pub mac: Option<Mac>,
    /// The interface by which the route goes.
    pub interface: String,
}

/// The kernel program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramStatus {
    /// Instructions that the verifier went through for one copy; `null` if the kernel does not tell.
    pub verified_instructions: Option<u32>,
}

/// Where an agent keeps its things.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) pin_dir: PathBuf,
    pub(super) socket: PathBuf,
}

/// The state of the agent.
pub(super) async fn status(
    view: &View,
    places: &Places,
    netlink: &Netlink,
) -> Result<Status, KernelError> {
    let mut interfaces = Vec::new();
    for (slot, Guarded { hook, program, .. }) in view.interfaces.iter().enumerate() {
        let attached = view.is_guarded(slot, netlink).await.unwrap_or(false);
        let Some(interface) = view.interface(slot as u32) else {
            continue;
        };
        interfaces.push(InterfaceStatus {
            name: interface.name,
            index: interface.index,
            side: interface.side,
            mode: *hook,
            attached,
            program_id: *program,
        });
    }
    let surroundings = view.surroundings();
    let tallies = view.kernel.maps().tallies()?;
    let lost = tallies
        .iter()
        .filter(|(tally, _)| *tally == Tally::EventsLost);
    Ok(Status {
        schema_version: SCHEMA_VERSION,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        time: Time(view.now()?.unix_ns),
        uptime_s: view.uptime().as_secs(),
        mode: view.mode().name().to_owned(),
        unconfirmed: view.confirmation.is_asked(),
        interfaces,
        gateways: gateways(&surroundings, netlink).await,
        protected: view.response().protected().protected,
        pin_dir: shown(&places.pin_dir),
        socket: shown(&places.socket),
        events_lost: lost.flat_map(|(_, counts)| counts).sum(),
        program: ProgramStatus {
            verified_instructions: view.verified_instructions,
        },
    })
}

async fn gateways(surroundings: &Surroundings, netlink: &Netlink) -> Vec<Gateway> {
    let mut gateways = Vec::new();
    for (&(interface, ip), &mac) in surroundings.gateways() {
        let link = netlink.link(interface).await.ok().flatten();
        gateways.push(Gateway {
            ip,
            mac,
            // Gone since, it is called by its number.
            interface: link.map_or_else(|| interface.to_string(), |link| link.name),
        });
    }
    gateways
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
