//! Which ports anybody watches: what every packet is asked, so it is small and its address is in the instruction.

use bytemuck::{Pod, Zeroable};

use crate::parse::{Protocol, Transport};

const PORTS: usize = 1 << 16;
/// Generations that stand side by side.
pub const GENERATIONS: usize = 2;

/// The groups of ports of a generation.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct WatchList {
    /// The group of TCP segments to a port, at its [`port_slot`].
    pub tcp_destination: [u8; PORTS],
    /// Of those from it.
    pub tcp_source: [u8; PORTS],
    /// Of UDP datagrams to it.
    pub udp_destination: [u8; PORTS],
    /// Of those from it.
    pub udp_source: [u8; PORTS],
}

/// What both generations watch.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct WatchLists {
    /// Which one is in force.
    pub generation: u32,
    /// Zero.
    pub reserved: u32,
    /// By generation: the group of ICMP and `ICMPv6`.
    pub icmp: [u8; 8],
    /// By generation.
    pub lists: [WatchList; GENERATIONS],
}

/// The groups of ports that a packet belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Its generation: 0 or 1.
    pub generation: u8,
    /// The group of its destination port; 0 is none.
    pub to: u8,
    /// The group of its source port.
    pub from: u8,
}

impl WatchLists {
    /// The groups of the packets with this transport header.
    #[inline(always)]
    #[must_use]
    pub fn of(&self, transport: &Transport) -> Watched {
        let generation = self.generation as usize & (GENERATIONS - 1);
        let mut watched = Watched {
            generation: generation as u8,
            to: 0,
            from: 0,
        };
        let Some(list) = self.lists.get(generation) else {
            return watched;
        };
        let (to, from) = match transport.protocol {
            Protocol::Tcp => (&list.tcp_destination, &list.tcp_source),
            Protocol::Udp => (&list.udp_destination, &list.udp_source),
            Protocol::Icmp | Protocol::Icmpv6 => {
                watched.to = self.icmp.get(generation).copied().unwrap_or_default();
                return watched;
            }
        };
        watched.to = group_of(to, transport.destination_port());
        watched.from = group_of(from, transport.source_port());
        watched
    }
}

/// Where a port is kept: in the order its bytes have in a packet.
///
/// VERIFIER: of a number whose bytes were turned, Linux 5.10 and 6.1 know no bound. Turned once more it is what was read, and
/// the compiler turns nothing at all.
#[inline(always)]
#[must_use]
pub fn port_slot(port: u16) -> usize {
    usize::from(port.swap_bytes())
}

#[inline(always)]
fn group_of(groups: &[u8; PORTS], port: u16) -> u8 {
    groups.get(port_slot(port)).map_or(0, |group| *group)
}
