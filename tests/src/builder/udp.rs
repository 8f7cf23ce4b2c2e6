//! UDP headers (RFC 768), and the setters all transport headers share.

use super::{
    Layer, PacketBuilder,
    checksum::{PseudoHeader, transport_checksum},
    length_field,
};

const PROTOCOL: u8 = 17;
const LENGTH: usize = 8;

/// A UDP header; `None` means the right value.
#[derive(Clone, Debug)]
pub(super) struct Udp {
    ports: [u16; 2],
    length: Option<u16>,
    checksum: Option<u16>,
}

impl PacketBuilder {
    /// Adds a UDP header, over the default IPv4 header if there is no IP header yet.
    pub fn udp(self, source_port: u16, destination_port: u16) -> Self {
        self.over_ip().push(Layer::Udp(Udp {
            ports: [source_port, destination_port],
            length: None,
            checksum: None,
        }))
    }

    /// Overrides the UDP length.
    #[track_caller]
    pub fn udp_length(mut self, length: u16) -> Self {
        let header = self.innermost("udp_length", |layer| {
            if let Layer::Udp(header) = layer {
                Some(header)
            } else {
                None
            }
        });
        header.length = Some(length);
        self
    }

    /// Changes the ports of the innermost TCP or UDP header.
    #[track_caller]
    pub fn ports(mut self, source: u16, destination: u16) -> Self {
        let ports = self.innermost("ports", |layer| {
            if let Layer::Tcp(header) = layer {
                Some(&mut header.ports)
            } else if let Layer::Udp(header) = layer {
                Some(&mut header.ports)
            } else {
                None
            }
        });
        *ports = [source, destination];
        self
    }

    /// Overrides the checksum of the innermost TCP, UDP, ICMP or `ICMPv6` header.
    #[track_caller]
    pub fn checksum(mut self, checksum: u16) -> Self {
        *self.innermost("checksum", |layer| {
            if let Layer::Tcp(header) = layer {
                Some(&mut header.checksum)
            } else if let Layer::Udp(header) = layer {
                Some(&mut header.checksum)
            } else if let Layer::Icmp(header) = layer {
                Some(&mut header.checksum)
            } else {
                None
            }
        }) = Some(checksum);
        self
    }
}

impl Udp {
    pub(super) fn encode(&self, pseudo_header: Option<&PseudoHeader>, inner: &[u8]) -> Vec<u8> {
        let mut bytes: Vec<u8> = self
            .ports
            .iter()
            .flat_map(|port| port.to_be_bytes())
            .collect();
        bytes.extend(
            self.length
                .unwrap_or(length_field(LENGTH + inner.len()))
                .to_be_bytes(),
        );
        bytes.extend([0, 0]);
        bytes.extend(inner);
        // RFC 768: zero means "no checksum", so a computed zero is sent as all ones.
        let computed = match transport_checksum(pseudo_header, PROTOCOL, &bytes) {
            0 => 0xffff,
            checksum => checksum,
        };
        bytes[6..8].copy_from_slice(&self.checksum.unwrap_or(computed).to_be_bytes());
        bytes
    }
}
