//! Who did it, on both layers, as far as it is known.

use std::net::{IpAddr, Ipv6Addr};

use detector_common::{
    detect::Detector,
    net::{IpAddress, Vlan},
    sources::{Companion, SourceKey},
};
use serde::{Deserialize, Serialize};

use super::Mac;

/// The source of a finding: `{ "mac", "ip", "vlan" }`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Source {
    /// Its Ethernet address; of a host behind a router, the router's. `null` where senders are forged.
    pub mac: Option<Mac>,
    /// Its IP address; of an ARP sender, what it called itself last. `null` of a sender of neighbour discovery,
    /// and where senders are forged.
    pub ip: Option<IpAddr>,
    /// The identifiers of its VLAN tags, the outer one first; empty without a tag.
    pub vlan: Vec<u16>,
}

impl Source {
    /// The source of a key, with the address of the other layer that came with it last.
    ///
    /// `None` if the key is of another version.
    #[must_use]
    pub fn of(key: &SourceKey, companion: Companion) -> Option<Self> {
        let (mac, ip) = match key.detector()? {
            Detector::Signature | Detector::Scan | Detector::UdpSweep | Detector::IcmpSweep => {
                (Some(companion.to_mac()), key.ip())
            }
            Detector::ArpFlood | Detector::ArpSweep | Detector::ArpSpoof => {
                (key.mac(), Some(companion.to_ip()))
            }
            Detector::ArpFloodSegment => (None, None),
            Detector::NdFlood | Detector::NdSweep | Detector::NdSpoof => (key.mac(), None),
        };
        Some(Self {
            mac: mac.map(Mac::from),
            ip: ip.map(ip_of),
            vlan: tags_of(key.vlan()),
        })
    }
}

fn ip_of(address: IpAddress) -> IpAddr {
    Ipv6Addr::from(address.octets()).to_canonical()
}

/// A priority tag has the identifier 0; it is listed only where there is another behind it.
fn tags_of(vlan: Vlan) -> Vec<u16> {
    match (vlan.outer, vlan.inner) {
        (0, 0) => vec![],
        (outer, 0) => vec![outer],
        (outer, inner) => vec![outer, inner],
    }
}

#[cfg(test)]
mod tests {
    use detector_common::net::MacAddress;
    use serde_json::json;

    use super::*;

    const MAC: MacAddress = MacAddress::new([2, 0, 0, 0, 0, 9]);
    const TAGGED: Vlan = Vlan {
        outer: 100,
        inner: 7,
    };

    fn written(key: &SourceKey, companion: Companion) -> serde_json::Value {
        serde_json::to_value(Source::of(key, companion)).unwrap_or_default()
    }

    #[test]
    fn a_host_has_the_mac_that_came_with_it() {
        let address = IpAddress::v4([192, 0, 2, 1]);
        let key = SourceKey::of_host(1, 0, Vlan::default(), address);
        assert_eq!(
            written(&key, Companion::mac(MAC)),
            json!({ "mac": "02:00:00:00:00:09", "ip": "192.0.2.1", "vlan": [] })
        );
    }

    #[test]
    fn an_arp_sender_has_the_address_it_called_itself() {
        let key = SourceKey::of_sender(0, TAGGED, MAC);
        assert_eq!(
            written(&key, Companion::ip(IpAddress::v4([192, 0, 2, 1]))),
            json!({ "mac": "02:00:00:00:00:09", "ip": "192.0.2.1", "vlan": [100, 7] })
        );
    }

    #[test]
    fn a_segment_blames_nobody() {
        let key = SourceKey::of_segment(0, Vlan { outer: 5, inner: 0 });
        assert_eq!(
            written(&key, Companion::mac(MAC)),
            json!({ "mac": null, "ip": null, "vlan": [5] })
        );
    }

    #[test]
    fn an_ipv6_host_is_written_in_short_and_read_back() {
        let address = IpAddress::v6(
            u64::from_le_bytes([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0]),
            u64::from_le_bytes([0, 0, 0, 0, 0, 0, 0, 1]),
        );
        let key = SourceKey::of_host(1, 0, Vlan::default(), address);
        let text = written(&key, Companion::mac(MAC));
        assert_eq!(text["ip"], "2001:db8::1");
        assert_eq!(
            serde_json::from_value(text).ok(),
            Source::of(&key, Companion::mac(MAC))
        );
    }
}
