//! IPv6 headers and extension headers (RFC 8200, RFC 4302), in any order and number.
//!
//! The pseudo header of a transport checksum takes the destination of the fixed header, also behind a routing
//! header: right for routing headers without segments left, which is what the builder writes by default.

use std::net::Ipv6Addr;

use super::{Layer, PacketBuilder, checksum::PseudoHeader, count_field, length_field, padded};

pub(super) const ETHERTYPE: u16 = 0x86dd;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const NO_NEXT_HEADER: u8 = 59;
const DESTINATION: u8 = 60;

/// An IPv6 header; `None` means the right value.
#[derive(Clone, Debug)]
pub(super) struct Ipv6 {
    pub(super) version: u8,
    traffic_class: u8,
    flow_label: u32,
    payload_length: Option<u16>,
    next_header: Option<u8>,
    hop_limit: u8,
    source: Ipv6Addr,
    destination: Ipv6Addr,
}

/// An extension header: its number, its length field and what stands behind the first two bytes.
#[derive(Clone, Debug)]
pub(super) struct Extension {
    pub(super) protocol: u8,
    next_header: Option<u8>,
    length: u8,
    body: Vec<u8>,
}

impl PacketBuilder {
    /// Adds an IPv6 header: hop limit 64.
    pub fn ipv6(self, source: impl Into<Ipv6Addr>, destination: impl Into<Ipv6Addr>) -> Self {
        self.push(Layer::Ipv6(Ipv6 {
            version: 6,
            traffic_class: 0,
            flow_label: 0,
            payload_length: None,
            next_header: None,
            hop_limit: 64,
            source: source.into(),
            destination: destination.into(),
        }))
    }

    /// Sets the hop limit.
    #[track_caller]
    pub fn hop_limit(mut self, hop_limit: u8) -> Self {
        self.ipv6_mut("hop_limit").hop_limit = hop_limit;
        self
    }

    /// Sets traffic class and flow label (20 bits).
    #[track_caller]
    pub fn traffic_class(mut self, traffic_class: u8, flow_label: u32) -> Self {
        let header = self.ipv6_mut("traffic_class");
        header.traffic_class = traffic_class;
        header.flow_label = flow_label;
        self
    }

    /// Overrides the payload length.
    #[track_caller]
    pub fn payload_length(mut self, length: u16) -> Self {
        self.ipv6_mut("payload_length").payload_length = Some(length);
        self
    }

    /// Sets the next header of the innermost IPv6 or extension header.
    #[track_caller]
    pub fn next_header(mut self, protocol: u8) -> Self {
        *self.innermost("next_header", |layer| {
            if let Layer::Ipv6(header) = layer {
                Some(&mut header.next_header)
            } else if let Layer::Extension(header) = layer {
                Some(&mut header.next_header)
            } else {
                None
            }
        }) = Some(protocol);
        self
    }

    /// Overrides the length field of the innermost extension header.
    #[track_caller]
    pub fn extension_length(mut self, length: u8) -> Self {
        self.extension_mut("extension_length").length = length;
        self
    }

    /// Adds a hop-by-hop options header; the options are padded.
    pub fn hop_by_hop(self, options: &[u8]) -> Self {
        self.extension(HOP_BY_HOP, option_body(options))
    }

    /// Adds a destination options header; the options are padded.
    pub fn destination_options(self, options: &[u8]) -> Self {
        self.extension(DESTINATION, option_body(options))
    }

    /// Adds a routing header: type, segments left, and the data behind them, padded with zeros.
    pub fn routing(self, routing_type: u8, segments_left: u8, data: &[u8]) -> Self {
        let mut body = vec![routing_type, segments_left];
        body.extend(data);
        body.resize((body.len() + 2).next_multiple_of(8) - 2, 0);
        self.extension(ROUTING, body)
    }

    /// Adds a fragment header: `offset` in units of 8 bytes, `more` if others follow.
    pub fn ipv6_fragment(self, offset: u16, more: bool, identification: u32) -> Self {
        let mut body = ((offset << 3) | u16::from(more)).to_be_bytes().to_vec();
        body.extend(identification.to_be_bytes());
        let extension = Extension {
            protocol: FRAGMENT,
            next_header: None,
            length: 0,
            body,
        };
        self.push(Layer::Extension(extension))
    }

    /// Adds an authentication header (RFC 4302), over IPv6 or IPv4.
    pub fn authentication(self, spi: u32, sequence: u32, integrity_check: &[u8]) -> Self {
        let mut body = vec![0, 0];
        body.extend(spi.to_be_bytes());
        body.extend(sequence.to_be_bytes());
        body.extend(padded(integrity_check, 4));
        // RFC 4302 §2.2: the length counts words of 4 bytes, minus 2; the whole is a multiple of 8 bytes.
        body.resize((body.len() + 2).next_multiple_of(8) - 2, 0);
        let length = count_field((body.len() + 2) / 4 - 2);
        self.push(Layer::Extension(Extension {
            protocol: AUTHENTICATION,
            next_header: None,
            length,
            body,
        }))
    }

    /// Adds an extension header whose length counts units of 8 bytes beyond the first.
    fn extension(self, protocol: u8, body: Vec<u8>) -> Self {
        let length = count_field((body.len() + 2) / 8 - 1);
        self.push(Layer::Extension(Extension {
            protocol,
            next_header: None,
            length,
            body,
        }))
    }

    #[track_caller]
    fn ipv6_mut(&mut self, setter: &str) -> &mut Ipv6 {
        self.innermost(setter, |layer| {
            if let Layer::Ipv6(header) = layer {
                Some(header)
            } else {
                None
            }
        })
    }

    #[track_caller]
    fn extension_mut(&mut self, setter: &str) -> &mut Extension {
        self.innermost(setter, |layer| {
            if let Layer::Extension(header) = layer {
                Some(header)
            } else {
                None
            }
        })
    }
}

impl Ipv6 {
    pub(super) fn pseudo_header(&self) -> PseudoHeader {
        PseudoHeader {
            addresses: [self.source.octets(), self.destination.octets()].concat(),
        }
    }

    pub(super) fn encode(&self, next: Option<u8>, inner: &[u8]) -> Vec<u8> {
        let first_word = (u32::from(self.version) << 28)
            | (u32::from(self.traffic_class) << 20)
            | (self.flow_label & 0x000f_ffff);
        let mut bytes = first_word.to_be_bytes().to_vec();
        bytes.extend(
            self.payload_length
                .unwrap_or(length_field(inner.len()))
                .to_be_bytes(),
        );
        bytes.extend([
            self.next_header.or(next).unwrap_or(NO_NEXT_HEADER),
            self.hop_limit,
        ]);
        bytes.extend(self.source.octets());
        bytes.extend(self.destination.octets());
        bytes.extend(inner);
        bytes
    }
}

impl Extension {
    pub(super) fn encode(&self, next: Option<u8>, inner: &[u8]) -> Vec<u8> {
        let mut bytes = vec![
            self.next_header.or(next).unwrap_or(NO_NEXT_HEADER),
            self.length,
        ];
        bytes.extend(&self.body);
        bytes.extend(inner);
        bytes
    }
}

/// Options padded so that the header is whole units of 8 bytes (RFC 8200 §4.2: Pad1 is 0, `PadN` is 1).
fn option_body(options: &[u8]) -> Vec<u8> {
    let mut body = options.to_vec();
    match (body.len() + 2).next_multiple_of(8) - (body.len() + 2) {
        0 => {}
        1 => body.push(0),
        missing => {
            body.extend([1, count_field(missing - 2)]);
            body.resize(options.len() + missing, 0);
        }
    }
    body
}
