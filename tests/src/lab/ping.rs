//! One ping through the network stack of the calling thread's namespace; no `ping` program is needed.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::AsRawFd as _,
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use anyhow::Result;
use nix::{
    errno::Errno,
    sys::{
        socket::{
            AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, recv, sendto,
            setsockopt, socket, sockopt::ReceiveTimeout,
        },
        time::TimeVal,
    },
};

use crate::builder::PacketBuilder;

const ETHERNET_AND_IPV4_BYTES: usize = 34;
const TICK_MICROSECONDS: i64 = 10_000;
const ECHO_REPLY: u8 = 0;

/// Sends one echo request and waits for its answer.
pub(super) fn ping(destination: Ipv4Addr, within: Duration) -> Result<bool> {
    static SEQUENCE: AtomicU16 = AtomicU16::new(0);
    let sequence = SEQUENCE.fetch_add(1, Ordering::Relaxed);
    let frame = PacketBuilder::new()
        .icmp_echo(0x1ab, sequence)
        .payload(b"laboratory")
        .build();
    let request = &frame[ETHERNET_AND_IPV4_BYTES..];

    let socket = socket(
        AddressFamily::Inet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::Icmp,
    )?;
    setsockopt(&socket, ReceiveTimeout, &TimeVal::new(0, TICK_MICROSECONDS))?;
    let address = SockaddrIn::from(SocketAddrV4::new(destination, 0));
    match sendto(socket.as_raw_fd(), request, &address, MsgFlags::empty()) {
        // The cable may not be up yet, which is an answer too.
        Err(Errno::ENETUNREACH | Errno::EHOSTUNREACH | Errno::ENETDOWN | Errno::ENOBUFS) => {
            return Ok(false);
        }
        result => result?,
    };
    let deadline = Instant::now() + within;
    let mut packet = [0; 2048];
    while Instant::now() < deadline {
        match recv(socket.as_raw_fd(), &mut packet, MsgFlags::empty()) {
            Ok(length) if is_answer(&packet[..length], request) => return Ok(true),
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
}

/// Whether an IPv4 packet is the reply to a request: the same identifier, sequence number and data.
fn is_answer(packet: &[u8], request: &[u8]) -> bool {
    let header_bytes = packet
        .first()
        .map_or(0, |first| usize::from(first & 0x0f) * 4);
    let reply = packet.get(header_bytes..).unwrap_or_default();
    reply.first() == Some(&ECHO_REPLY) && reply.get(4..) == request.get(4..)
}
