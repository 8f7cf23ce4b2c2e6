//! Worms known by a TCP header or by the first bytes of a connection: Mirai's scan and `MyDoom`'s backdoor.
//!
//! Sources: the published scanner of Mirai (`bot/scanner.c`), Snort rules 2375 and 3272.

use super::{Route, client_data};
use crate::builder::{PacketBuilder, SYN};

const TELNET: u16 = 23;
const MYDOOM_BACKDOOR: u16 = 3127;

/// Mirai's SYN: the sequence number is the destination address, there are no TCP options and no don't-fragment.
///
/// Every tenth goes to port 2323: `mirai_scan(route).ports(route.src_port, 2323)`.
pub fn mirai_scan(route: &Route) -> PacketBuilder {
    let header = route.ipv4().ttl(64).dont_fragment(false);
    header
        .tcp(route.src_port, TELNET)
        .flags(SYN)
        .seq(u32::from(route.dst_ip))
        .window(0xb31d)
}

/// What was sent to `MyDoom`'s backdoor to make it run a file: five known bytes. The file is filler.
pub fn mydoom_backdoor(route: &Route) -> PacketBuilder {
    let mut payload = vec![0x85, 0x13, 0x3c, 0x9e, 0xa2];
    payload.resize(512, 0x90);
    client_data(route, MYDOOM_BACKDOOR, &payload)
}
