//! The connection that brings the request: opened, used and answered, in whatever headers a case wants.

use crate::builder::{ACK, PSH, PacketBuilder, Route, SYN};

const HTTP: u16 = 80;
/// The number of the client's SYN.
const CLIENT_START: u32 = 0x1000_0000;
/// The number of the server's.
const SERVER_START: u32 = 0x2000_0000;
const ANSWER: &[u8] = b"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n";

/// The request as everybody writes it.
pub(super) const REQUEST: &[u8] = b"GET /default.ida?NNNN HTTP/1.0\r\nHost: www\r\n\r\n";

/// Whose packet it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sender {
    /// The attacker's.
    Client,
    /// The web server's.
    Server,
}

/// What stands before the TCP header.
pub(super) type Headers = fn(Sender) -> PacketBuilder;

/// A connection from one port of the attacker's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connection {
    /// The attacker's.
    pub(super) port: u16,
    /// What stands before the TCP header.
    pub(super) headers: Headers,
    /// What every TCP header has for options.
    pub(super) tcp_options: &'static [u8],
}

impl Connection {
    /// Over IPv4.
    pub(super) fn from_port(port: u16) -> Self {
        Self {
            port,
            headers: ipv4,
            tcp_options: &[],
        }
    }

    /// Opened, with these packets of the client's, of which the server got `received` bytes, and answered.
    pub(super) fn with(
        &self,
        packets: impl IntoIterator<Item = PacketBuilder>,
        received: usize,
    ) -> Vec<Vec<u8>> {
        let mut frames = self.handshake();
        frames.extend(packets.into_iter().map(|packet| packet.build()));
        frames.extend(self.answer(received));
        frames
    }

    /// Opened, with one packet of the client's, and answered.
    pub(super) fn with_payload(&self, payload: &[u8]) -> Vec<Vec<u8>> {
        self.with([self.data(0, payload)], payload.len())
    }

    /// What the client sends from its byte `at` on.
    pub(super) fn data(&self, at: usize, payload: &[u8]) -> PacketBuilder {
        let sequence = after(CLIENT_START, at);
        self.segment(Sender::Client, sequence, after(SERVER_START, 0))
            .flags(PSH | ACK)
            .payload(payload)
    }

    /// SYN, SYN-ACK and ACK.
    pub(super) fn handshake(&self) -> Vec<Vec<u8>> {
        let (client, server) = (after(CLIENT_START, 0), after(SERVER_START, 0));
        let packets = [
            self.segment(Sender::Client, CLIENT_START, 0).flags(SYN),
            self.segment(Sender::Server, SERVER_START, client)
                .flags(SYN | ACK),
            self.segment(Sender::Client, client, server),
        ];
        packets.map(|packet| packet.build()).to_vec()
    }

    /// What the server says when it got so many bytes, and that the client got that.
    pub(super) fn answer(&self, received: usize) -> Vec<Vec<u8>> {
        let (client, server) = (after(CLIENT_START, received), after(SERVER_START, 0));
        let packets = [
            self.segment(Sender::Server, server, client)
                .flags(PSH | ACK)
                .payload(ANSWER),
            self.segment(Sender::Client, client, after(SERVER_START, ANSWER.len())),
        ];
        packets.map(|packet| packet.build()).to_vec()
    }

    fn segment(&self, sender: Sender, sequence: u32, acknowledgement: u32) -> PacketBuilder {
        let packet = (self.headers)(sender);
        let packet = match sender {
            Sender::Client => packet.tcp(self.port, HTTP),
            Sender::Server => packet.tcp(HTTP, self.port),
        };
        packet
            .seq(sequence)
            .ack(acknowledgement)
            .tcp_options(self.tcp_options)
    }
}

/// The headers that most cases have.
pub(super) fn ipv4(sender: Sender) -> PacketBuilder {
    match sender {
        Sender::Client => Route::default().ipv4(),
        Sender::Server => Route::default().reversed().ipv4(),
    }
}

/// The number of a byte of a stream, whose SYN took the first one.
fn after(start: u32, at: usize) -> u32 {
    start
        .wrapping_add(1)
        .wrapping_add(u32::try_from(at).unwrap_or(u32::MAX))
}
