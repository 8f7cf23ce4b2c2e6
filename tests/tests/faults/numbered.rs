//! Frames that bear a number, so that of each one it is known whether it arrived.

use std::net::Ipv4Addr;

use detector_tests::{
    lab::Pair,
    worms::{self, Route},
};

/// Of the address that is the number, the first byte: nobody else's in the laboratory.
const NETWORK: u8 = 10;
/// Where the source address stands in an Ethernet frame with IPv4.
const SOURCE_AT: usize = 26;
/// Where nobody looks for a worm.
const DISCARD_PORT: u16 = 9;

/// An ordinary datagram with this number (of 24 bits).
pub(crate) fn ordinary(number: u32) -> Vec<u8> {
    let route = route(number);
    let packet = route.ipv4().udp(route.src_port, DISCARD_PORT);
    packet.payload(b"nothing").build()
}

/// A worm of the host with this number: a finding of its own.
pub(crate) fn worm(number: u32) -> Vec<u8> {
    worms::slammer(&route(number)).build()
}

/// An ordinary datagram if the number is even, a worm if not.
pub(crate) fn either(number: u32) -> Vec<u8> {
    if is_worm(number) {
        worm(number)
    } else {
        ordinary(number)
    }
}

/// Whether [`either`] makes a worm of the number.
pub(crate) fn is_worm(number: u32) -> bool {
    number % 2 == 1
}

/// The number of a frame that has one.
pub(crate) fn number(frame: &[u8]) -> Option<u32> {
    let source: [u8; 4] = frame.get(SOURCE_AT..)?.first_chunk().copied()?;
    let [network, a, b, c] = source;
    (network == NETWORK).then_some(u32::from_be_bytes([0, a, b, c]))
}

/// Gives another number to a frame that has one. Checksums stay: the classifier reads none.
pub(crate) fn set_number(frame: &mut [u8], number: u32) {
    let [_, a, b, c] = number.to_be_bytes();
    frame[SOURCE_AT..SOURCE_AT + 4].copy_from_slice(&[NETWORK, a, b, c]);
}

fn route(number: u32) -> Route {
    let [_, a, b, c] = number.to_be_bytes();
    Route {
        src_ip: Ipv4Addr::new(NETWORK, a, b, c),
        ..Pair::route()
    }
}
