//! IPv4 headers (RFC 791) with options and fragments, and the setters IPv4 and IPv6 share.

use std::net::Ipv4Addr;

use super::{
    CLIENT_IPV4, Layer, PacketBuilder, SERVER_IPV4,
    checksum::{PseudoHeader, internet_checksum},
    count_field, length_field, padded,
};

pub(super) const ETHERTYPE: u16 = 0x0800;

const BARE_LENGTH: usize = 20;
const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const FRAGMENT_OFFSET: u16 = 0x1fff;
// RFC 3692: for experiments; what a packet says whose payload has no header.
const EXPERIMENTAL: u8 = 253;

/// An IPv4 header; `None` means the right value.
#[derive(Clone, Debug)]
pub(super) struct Ipv4 {
    version: u8,
    ihl: Option<u8>,
    type_of_service: u8,
    total_length: Option<u16>,
    identification: u16,
    flags_and_offset: u16,
    ttl: u8,
    protocol: Option<u8>,
    checksum: Option<u16>,
    source: Ipv4Addr,
    destination: Ipv4Addr,
    options: Vec<u8>,
}

impl PacketBuilder {
    /// Adds an IPv4 header: TTL 64, don't-fragment set.
    pub fn ipv4(self, source: impl Into<Ipv4Addr>, destination: impl Into<Ipv4Addr>) -> Self {
        self.push(Layer::Ipv4(Ipv4::new(source.into(), destination.into())))
    }

    /// Adds IPv4 options, padded with end-of-list to whole words (40 bytes at most).
    #[track_caller]
    pub fn ipv4_options(mut self, options: &[u8]) -> Self {
        self.ipv4_mut("ipv4_options").options = padded(options, 4);
        self
    }

    /// Sets the time to live.
    #[track_caller]
    pub fn ttl(mut self, ttl: u8) -> Self {
        self.ipv4_mut("ttl").ttl = ttl;
        self
    }

    /// Sets the type of service (DSCP and ECN).
    #[track_caller]
    pub fn type_of_service(mut self, value: u8) -> Self {
        self.ipv4_mut("type_of_service").type_of_service = value;
        self
    }

    /// Sets the identification.
    #[track_caller]
    pub fn ip_id(mut self, id: u16) -> Self {
        self.ipv4_mut("ip_id").identification = id;
        self
    }

    /// Sets or clears don't-fragment.
    #[track_caller]
    pub fn dont_fragment(mut self, set: bool) -> Self {
        let field = &mut self.ipv4_mut("dont_fragment").flags_and_offset;
        *field = if set {
            *field | DONT_FRAGMENT
        } else {
            *field & !DONT_FRAGMENT
        };
        self
    }

    /// Makes the packet a fragment, without don't-fragment: `offset` in units of 8 bytes, `more` if others follow.
    #[track_caller]
    pub fn fragment(mut self, offset: u16, more: bool) -> Self {
        let more = if more { MORE_FRAGMENTS } else { 0 };
        self.ipv4_mut("fragment").flags_and_offset = (offset & FRAGMENT_OFFSET) | more;
        self
    }

    /// Overrides the header length, in words of 4 bytes.
    #[track_caller]
    pub fn ihl(mut self, words: u8) -> Self {
        self.ipv4_mut("ihl").ihl = Some(words);
        self
    }

    /// Overrides the total length.
    #[track_caller]
    pub fn total_length(mut self, length: u16) -> Self {
        self.ipv4_mut("total_length").total_length = Some(length);
        self
    }

    /// Sets the IPv4 protocol number, where no header follows or a wrong one is wanted.
    #[track_caller]
    pub fn protocol(mut self, protocol: u8) -> Self {
        self.ipv4_mut("protocol").protocol = Some(protocol);
        self
    }

    /// Overrides the IPv4 header checksum.
    #[track_caller]
    pub fn header_checksum(mut self, checksum: u16) -> Self {
        self.ipv4_mut("header_checksum").checksum = Some(checksum);
        self
    }

    /// Overrides the version of the innermost IP header, of either kind.
    #[track_caller]
    pub fn version(mut self, version: u8) -> Self {
        *self.innermost("version", |layer| {
            if let Layer::Ipv4(header) = layer {
                Some(&mut header.version)
            } else if let Layer::Ipv6(header) = layer {
                Some(&mut header.version)
            } else {
                None
            }
        }) = version;
        self
    }

    /// Adds the default IPv4 header if there is no IP header yet.
    pub(super) fn over_ip(self) -> Self {
        if self.has_network_layer() {
            self
        } else {
            self.ipv4(CLIENT_IPV4, SERVER_IPV4)
        }
    }

    #[track_caller]
    fn ipv4_mut(&mut self, setter: &str) -> &mut Ipv4 {
        self.innermost(setter, |layer| {
            if let Layer::Ipv4(header) = layer {
                Some(header)
            } else {
                None
            }
        })
    }
}

impl Ipv4 {
    fn new(source: Ipv4Addr, destination: Ipv4Addr) -> Self {
        Self {
            version: 4,
            ihl: None,
            type_of_service: 0,
            total_length: None,
            identification: 0x1234,
            flags_and_offset: DONT_FRAGMENT,
            ttl: 64,
            protocol: None,
            checksum: None,
            source,
            destination,
            options: Vec::new(),
        }
    }

    pub(super) fn pseudo_header(&self) -> PseudoHeader {
        PseudoHeader {
            addresses: [self.source.octets(), self.destination.octets()].concat(),
        }
    }

    pub(super) fn encode(&self, next: Option<u8>, inner: &[u8]) -> Vec<u8> {
        let header_length = BARE_LENGTH + self.options.len();
        let ihl = self.ihl.unwrap_or(count_field(header_length / 4));
        let total_length = self
            .total_length
            .unwrap_or(length_field(header_length + inner.len()));
        let mut bytes = vec![(self.version << 4) | (ihl & 0x0f), self.type_of_service];
        bytes.extend(total_length.to_be_bytes());
        bytes.extend(self.identification.to_be_bytes());
        bytes.extend(self.flags_and_offset.to_be_bytes());
        bytes.extend([
            self.ttl,
            self.protocol.or(next).unwrap_or(EXPERIMENTAL),
            0,
            0,
        ]);
        bytes.extend(self.source.octets());
        bytes.extend(self.destination.octets());
        bytes.extend(&self.options);
        let checksum = self.checksum.unwrap_or(internet_checksum(&bytes));
        bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
        bytes.extend(inner);
        bytes
    }
}
