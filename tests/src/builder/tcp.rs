//! TCP headers (RFC 9293) with options.

use super::{
    Layer, PacketBuilder,
    checksum::{PseudoHeader, transport_checksum},
    count_field, padded,
};

/// No more data from the sender.
pub const FIN: u8 = 0x01;
/// Synchronise sequence numbers.
pub const SYN: u8 = 0x02;
/// Reset the connection.
pub const RST: u8 = 0x04;
/// Push.
pub const PSH: u8 = 0x08;
/// The acknowledgement number is valid.
pub const ACK: u8 = 0x10;
/// The urgent pointer is valid.
pub const URG: u8 = 0x20;
/// ECN echo.
pub const ECE: u8 = 0x40;
/// Congestion window reduced.
pub const CWR: u8 = 0x80;

/// The options of an ordinary SYN: MSS 1460, SACK permitted, timestamps, window scale 7.
pub const SYN_OPTIONS: &[u8] = &[
    2, 4, 0x05, 0xb4, // MSS
    4, 2, // SACK permitted
    8, 10, 0, 0, 0x12, 0x34, 0, 0, 0, 0, // timestamps
    1, 3, 3, 7, // window scale
];

/// The options of ordinary data: two NOPs and timestamps, which move the payload to header offset 32.
pub const TIMESTAMP_OPTIONS: &[u8] = &[1, 1, 8, 10, 0, 0, 0x12, 0x34, 0, 0, 0x56, 0x78];

const PROTOCOL: u8 = 6;
const BARE_LENGTH: usize = 20;

/// A TCP header; `None` means the right value.
#[derive(Clone, Debug)]
pub(super) struct Tcp {
    pub(super) ports: [u16; 2],
    sequence: u32,
    acknowledgement: u32,
    data_offset: Option<u8>,
    flags: u8,
    window: u16,
    pub(super) checksum: Option<u16>,
    urgent: u16,
    options: Vec<u8>,
}

impl PacketBuilder {
    /// Adds a TCP header with ACK set, over the default IPv4 header if there is no IP header yet.
    pub fn tcp(self, source_port: u16, destination_port: u16) -> Self {
        self.over_ip().push(Layer::Tcp(Tcp {
            ports: [source_port, destination_port],
            sequence: 0x1000_0000,
            acknowledgement: 0,
            data_offset: None,
            flags: ACK,
            window: 0xffff,
            checksum: None,
            urgent: 0,
            options: Vec::new(),
        }))
    }

    /// Sets the sequence number.
    #[track_caller]
    pub fn seq(mut self, sequence: u32) -> Self {
        self.tcp_mut("seq").sequence = sequence;
        self
    }

    /// Sets the acknowledgement number.
    #[track_caller]
    pub fn ack(mut self, acknowledgement: u32) -> Self {
        self.tcp_mut("ack").acknowledgement = acknowledgement;
        self
    }

    /// Sets the flags: `SYN | ACK`.
    #[track_caller]
    pub fn flags(mut self, flags: u8) -> Self {
        self.tcp_mut("flags").flags = flags;
        self
    }

    /// Sets the window.
    #[track_caller]
    pub fn window(mut self, window: u16) -> Self {
        self.tcp_mut("window").window = window;
        self
    }

    /// Sets the urgent pointer.
    #[track_caller]
    pub fn urgent(mut self, pointer: u16) -> Self {
        self.tcp_mut("urgent").urgent = pointer;
        self
    }

    /// Sets the options, padded with end-of-list to whole words (40 bytes at most).
    #[track_caller]
    pub fn tcp_options(mut self, options: &[u8]) -> Self {
        self.tcp_mut("tcp_options").options = padded(options, 4);
        self
    }

    /// Overrides the data offset, in words of 4 bytes.
    #[track_caller]
    pub fn data_offset(mut self, words: u8) -> Self {
        self.tcp_mut("data_offset").data_offset = Some(words);
        self
    }

    #[track_caller]
    fn tcp_mut(&mut self, setter: &str) -> &mut Tcp {
        self.innermost(setter, |layer| {
            if let Layer::Tcp(header) = layer {
                Some(header)
            } else {
                None
            }
        })
    }
}

impl Tcp {
    pub(super) fn encode(&self, pseudo_header: Option<&PseudoHeader>, inner: &[u8]) -> Vec<u8> {
        let data_offset = self
            .data_offset
            .unwrap_or(count_field((BARE_LENGTH + self.options.len()) / 4));
        let mut bytes: Vec<u8> = self
            .ports
            .iter()
            .flat_map(|port| port.to_be_bytes())
            .collect();
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.acknowledgement.to_be_bytes());
        bytes.extend([data_offset << 4, self.flags]);
        bytes.extend(self.window.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(self.urgent.to_be_bytes());
        bytes.extend(&self.options);
        bytes.extend(inner);
        let checksum = self
            .checksum
            .unwrap_or(transport_checksum(pseudo_header, PROTOCOL, &bytes));
        bytes[16..18].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }
}
