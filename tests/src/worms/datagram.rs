//! Worms that came as one datagram: SQL Slammer, Witty, and Welchia's ping.
//!
//! Sources: three captured Slammer packets (offsets), Snort rules 2003, 2004 and 2443 to 2446, the packet dump
//! in the SANS ISC diary of 2003-08-18 (Welchia), analyses of Witty by CAIDA and F-Secure (text, port, size).

use super::Route;
use crate::builder::PacketBuilder;

const SLAMMER_PORT: u16 = 1434;
const SLAMMER_LENGTH: usize = 376;
const WITTY_SOURCE_PORT: u16 = 4000;
const WITTY_LENGTH: usize = 1000;
const WELCHIA_LENGTH: usize = 64;

/// SQL Slammer: 376 bytes to UDP 1434. Outside the documented bytes it is filler.
pub fn slammer(route: &Route) -> PacketBuilder {
    let mut payload = vec![0x90; SLAMMER_LENGTH];
    put(&mut payload, 0, &[0x04]);
    put(&mut payload, 1, &[0x01; 96]);
    put(&mut payload, 97, &[0xdc, 0xc9, 0xb0, 0x42, 0xeb, 0x0e]);
    put(&mut payload, 203, b"sock");
    put(&mut payload, 213, b"send");
    put(
        &mut payload,
        270,
        &[0x81, 0xf1, 0x03, 0x01, 0x04, 0x9b, 0x81, 0xf1, 0x01],
    );
    let header = route.ipv4().ttl(128).dont_fragment(false);
    header.udp(route.src_port, SLAMMER_PORT).payload(&payload)
}

/// Witty: from UDP port 4000 to the route's client port, which stands for the worm's random one.
///
/// The payload is an ICQ server message that holds two others. Their headers are at the places the rules name;
/// the place of the text, the length within 768 to 1280 and the rest are chosen here.
pub fn witty(route: &Route) -> PacketBuilder {
    let mut payload = vec![0x90; WITTY_LENGTH];
    put(&mut payload, 0, &icq_header(0x0212));
    put(&mut payload, 21, &[2]); // messages inside
    put(&mut payload, 22, &[0x2c, 0x00]);
    put(&mut payload, 24, &[0; 0x2c]);
    put(&mut payload, 24, &icq_header(0x006e));
    put(&mut payload, 68, &[0x41, 0x02]);
    put(&mut payload, 70, &icq_header(0x03de));
    put(
        &mut payload,
        110,
        b"(^.^)      insert witty message here      (^.^)",
    );
    let header = route.ipv4().ttl(128).dont_fragment(false);
    header
        .udp(WITTY_SOURCE_PORT, route.src_port)
        .payload(&payload)
}

/// Welchia's ping: 92 bytes of IP, 64 of them 0xAA, identifier 0x0200.
pub fn welchia_ping(route: &Route) -> PacketBuilder {
    let header = route.ipv4().ttl(128).dont_fragment(false);
    header
        .icmp_echo(0x0200, 0x6d92)
        .payload(&[0xaa; WELCHIA_LENGTH])
}

/// An ICQ v5 server header: version 5, session, command, two sequence numbers, user, check code (21 bytes).
fn icq_header(command: u16) -> [u8; 21] {
    let mut header = [0; 21];
    put(&mut header, 0, &[0x05, 0x00]);
    put(&mut header, 7, &command.to_le_bytes());
    header
}

fn put(target: &mut [u8], offset: usize, bytes: &[u8]) {
    target[offset..offset + bytes.len()].copy_from_slice(bytes);
}
