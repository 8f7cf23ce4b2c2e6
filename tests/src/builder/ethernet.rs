//! Ethernet II headers and VLAN tags.
//!
//! A tag goes behind the Ethernet header and the tags that are there already, whenever it is added: a finished
//! packet can still be put on a VLAN.

use super::{CLIENT_MAC, Layer, PacketBuilder, SERVER_MAC};

/// An Ethernet address.
pub type Mac = [u8; 6];

// IEEE 802 local experimental EtherType: what a frame says whose payload has no header.
pub(super) const EXPERIMENTAL: u16 = 0x88b5;
const TPID_8021Q: u16 = 0x8100;
const TPID_8021AD: u16 = 0x88a8;

/// An Ethernet header; addresses that nobody set follow the packet inside.
#[derive(Clone, Debug, Default)]
pub(super) struct Ethernet {
    source: Option<Mac>,
    destination: Option<Mac>,
    ethertype: Option<u16>,
}

/// A VLAN tag.
#[derive(Clone, Debug)]
pub(super) struct Vlan {
    pub(super) tpid: u16,
    tci: u16,
    ethertype: Option<u16>,
}

impl PacketBuilder {
    /// Sets the frame's source and destination.
    pub fn ethernet(mut self, source: Mac, destination: Mac) -> Self {
        let header = self.ethernet_mut("ethernet");
        header.source = Some(source);
        header.destination = Some(destination);
        self
    }

    /// Adds an 802.1Q tag.
    pub fn vlan(self, id: u16) -> Self {
        self.tag(TPID_8021Q, id)
    }

    /// Adds an 802.1ad (service) tag.
    pub fn vlan_ad(self, id: u16) -> Self {
        self.tag(TPID_8021AD, id)
    }

    /// Adds a tag of any type: `tci` is priority (3 bits), drop eligibility (1) and VLAN id (12).
    pub fn tag(mut self, tpid: u16, tci: u16) -> Self {
        let is_link = |layer: &Layer| matches!(layer, Layer::Ethernet(_) | Layer::Vlan(_));
        let end_of_link = self
            .layers
            .iter()
            .take_while(|layer| is_link(layer))
            .count();
        self.layers.insert(
            end_of_link,
            Layer::Vlan(Vlan {
                tpid,
                tci,
                ethertype: None,
            }),
        );
        self
    }

    /// Overrides the `EtherType` of the innermost tag, or of the Ethernet header where there is none.
    #[track_caller]
    pub fn ethertype(mut self, ethertype: u16) -> Self {
        *self.innermost("ethertype", |layer| {
            if let Layer::Ethernet(header) = layer {
                Some(&mut header.ethertype)
            } else if let Layer::Vlan(tag) = layer {
                Some(&mut tag.ethertype)
            } else {
                None
            }
        }) = Some(ethertype);
        self
    }

    /// Sets the addresses that were not set by `ethernet`.
    pub(super) fn ethernet_defaults(mut self, source: Mac, destination: Mac) -> Self {
        let header = self.ethernet_mut("ethernet");
        header.source.get_or_insert(source);
        header.destination.get_or_insert(destination);
        self
    }

    #[track_caller]
    fn ethernet_mut(&mut self, setter: &str) -> &mut Ethernet {
        self.innermost(setter, |layer| {
            if let Layer::Ethernet(header) = layer {
                Some(header)
            } else {
                None
            }
        })
    }
}

impl Ethernet {
    pub(super) fn encode(&self, next: Option<u16>, inner: &[u8]) -> Vec<u8> {
        let mut bytes = self.destination.unwrap_or(SERVER_MAC).to_vec();
        bytes.extend(self.source.unwrap_or(CLIENT_MAC));
        bytes.extend(
            self.ethertype
                .or(next)
                .unwrap_or(EXPERIMENTAL)
                .to_be_bytes(),
        );
        bytes.extend(inner);
        bytes
    }
}

impl Vlan {
    pub(super) fn encode(&self, next: Option<u16>, inner: &[u8]) -> Vec<u8> {
        let mut bytes = self.tci.to_be_bytes().to_vec();
        bytes.extend(
            self.ethertype
                .or(next)
                .unwrap_or(EXPERIMENTAL)
                .to_be_bytes(),
        );
        bytes.extend(inner);
        bytes
    }
}
