//! Who speaks ARP or neighbour discovery, and who owns which address: the answer to `detector arp`.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use detector_common::{
    bindings::{AddressHash, Owner},
    detect::Detector,
    neighbour::Family,
    net::Vlan,
    sources::Source as KernelSource,
};
use serde::{Deserialize, Serialize};

use super::{
    interface::Side,
    kernel::{BindingMap, KernelError},
    view::View,
};
use crate::output::{Mac, Prefix, SCHEMA_VERSION, Source, Time, speaks_for_several, targets};

/// The most senders, and the most bindings, that are told.
pub const ARP_MAX: usize = 4096;

/// What is known of ARP. `detector arp … -o json` prints it, and its keys are stable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArpTable {
    /// The version of this object.
    pub schema_version: u32,
    /// When the agent was asked.
    pub time: Time,
    /// Who sent ARP messages, the most first.
    pub senders: Vec<ArpSender>,
    /// Senders that are not told, because there are too many.
    pub senders_left_out: u64,
    /// Whose the addresses are that senders called their own last, and those that the operator named, in order.
    pub bindings: Vec<Binding>,
}

/// Who sent messages of ARP or of neighbour discovery on an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArpSender {
    /// The interface it came in by.
    pub interface: String,
    /// Which way that faces.
    pub side: Side,
    /// `arp`, or `nd`: neighbour discovery. Who speaks both is two senders.
    pub protocol: String,
    /// Its MAC, the address that it called its own last (`null` of neighbour discovery), and its VLAN.
    pub source: Source,
    /// Whether it is a gateway, or speaks for several networks as one does.
    pub relays: bool,
    /// Messages that a detector looked at.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages that were above a limit.
    pub flooded: u64,
    /// Requests that were a sweep's.
    pub swept: u64,
    /// Claims of what is another's.
    pub spoofed: u64,
    /// Different addresses that it asked for in the present window of minutes and that did not answer, about.
    pub targets: u32,
    /// When its first message came.
    pub first: Time,
    /// When the last came.
    pub last: Time,
}

/// Whose an address is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The address.
    pub ip: IpAddr,
    /// The identifiers of the VLAN tags, the outer one first; empty without a tag.
    pub vlan: Vec<u16>,
    /// Its owner; `null` where another address took its place in the table.
    pub mac: Option<Mac>,
    /// Whether the operator said so.
    pub named: bool,
    /// Others that called it their own last.
    pub claimed_by: BTreeSet<Mac>,
}

/// The owners that the operator named, and the table in which the classifier looks for owners.
pub(super) struct Bindings {
    map: BindingMap,
    seed: u64,
    named: BTreeMap<IpAddr, Mac>,
}

impl Bindings {
    pub(super) fn new(map: BindingMap, seed: u64, named: BTreeMap<IpAddr, Mac>) -> Self {
        Self { map, seed, named }
    }

    /// Says again whose the addresses are that the operator named: a claim that is repeated makes the classifier believe it.
    pub(super) fn insist(&mut self) -> Result<(), KernelError> {
        for (address, mac) in &self.named {
            let hash = self.hash_of(*address, Vlan::default());
            self.map.bind(hash, mac.address())?;
        }
        Ok(())
    }

    /// Whose an address is.
    fn owner(&self, address: IpAddr, vlan: Vlan) -> Result<Option<Mac>, KernelError> {
        let owner = self.map.owner(self.hash_of(address, vlan))?;
        Ok(match owner {
            Owner::Known(mac) => Some(mac.into()),
            Owner::Unknown => None,
        })
    }

    /// The hash of an address that is the same on every link.
    fn hash_of(&self, address: IpAddr, vlan: Vlan) -> AddressHash {
        let (address, _) = Prefix::of_address(address).to_key();
        AddressHash::new(address, vlan, self.seed)
    }
}

/// What is known of ARP.
pub(super) fn collect(view: &View) -> Result<ArpTable, KernelError> {
    let mut sources = view.kernel.maps().sources()?;
    sources.retain(|source| source.key.is_sender());
    sources.sort_by_key(|source| (Reverse(source.state.packets), source.key));
    let senders_left_out = sources.len().saturating_sub(ARP_MAX) as u64;
    sources.truncate(ARP_MAX);
    let clock = view.now()?;
    let config = view.config();
    let sender = |source: &KernelSource| {
        let interface = view.interface(source.key.interface().into())?;
        let (state, sender) = (&source.state, source.arp_sender());
        let reach = source.reach();
        let is_gateway = source.key.mac().is_some_and(|mac| config.is_gateway(mac));
        Some(ArpSender {
            interface: interface.name,
            side: interface.side,
            protocol: match source.key.family() {
                Family::ND => "nd".to_owned(),
                _ => "arp".to_owned(),
            },
            source: Source::of(&source.key, state.companion)?,
            relays: is_gateway || speaks_for_several(reach),
            packets: state.packets,
            bytes: state.bytes,
            flooded: state.objections.flagged,
            swept: sender.sweep.objections.flagged,
            spoofed: sender.spoof_objections.flagged,
            targets: targets(Some(Detector::ArpSweep), reach).unwrap_or_default(),
            first: Time(clock.to_unix_ns(state.first_ns)),
            last: Time(clock.to_unix_ns(state.last_ns)),
        })
    };
    Ok(ArpTable {
        schema_version: SCHEMA_VERSION,
        time: Time(clock.unix_ns),
        senders: sources.iter().filter_map(sender).collect(),
        senders_left_out,
        bindings: bindings(&sources, &view.bindings())?,
    })
}

fn bindings(sources: &[KernelSource], table: &Bindings) -> Result<Vec<Binding>, KernelError> {
    let mut claims: BTreeMap<(IpAddr, u16, u16), BTreeSet<Mac>> = BTreeMap::new();
    for source in sources {
        let source_of = Source::of(&source.key, source.state.companion);
        let Some((ip, mac)) = source_of.and_then(|of| Some((of.ip?, of.mac?))) else {
            continue;
        };
        let vlan = source.key.vlan();
        let claimants = claims.entry((ip, vlan.outer, vlan.inner)).or_default();
        claimants.insert(mac);
    }
    for address in table.named.keys() {
        claims.entry((*address, 0, 0)).or_default();
    }
    let binding = |((ip, outer, inner), mut claimed_by): (_, BTreeSet<Mac>)| {
        let mac = table.owner(ip, Vlan { outer, inner })?;
        if let Some(mac) = mac {
            claimed_by.remove(&mac);
        }
        let tags = [outer, inner].into_iter();
        Ok(Binding {
            ip,
            vlan: tags.filter(|tag| *tag != 0).collect(),
            mac,
            named: (outer, inner) == (0, 0) && table.named.contains_key(&ip),
            claimed_by,
        })
    };
    claims.into_iter().map(binding).collect()
}
