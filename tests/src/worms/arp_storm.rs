//! An ARP storm of the shape of Wireshark's `arp-storm.pcap`, a cable modem's view on 2004-10-05.
//!
//! One CMTS asks, in the name of its nine gateway addresses, for the addresses somebody else is scanning: 622
//! broadcast requests for 303 targets in 28.97 s. Counts per second, per gateway and of targets are those of the
//! capture; addresses, order and the spacing within a second are made here.

use std::{net::Ipv4Addr, time::Duration};

use crate::builder::{Arp, Mac, PacketBuilder};

/// The only sender of the storm.
pub const ARP_STORM_MAC: Mac = [0x02, 0x07, 0x0d, 0xaf, 0xf4, 0x54];

const REQUESTS_PER_SECOND: [u32; 29] = [
    26, 30, 33, 24, 29, 19, 20, 23, 29, 19, 19, 23, 23, 22, 23, 19, 16, 13, 20, 21, 23, 11, 15, 22,
    17, 21, 17, 26, 19,
];
const SECOND: Duration = Duration::from_secs(1);
/// The last second of the capture ends with its last request.
const LAST_SECOND: Duration = Duration::from_millis(970);

/// Per gateway address: requests, and distinct targets.
const GATEWAYS: [(u32, u32); 9] = [
    (292, 138),
    (205, 98),
    (47, 19),
    (29, 19),
    (27, 16),
    (9, 5),
    (8, 4),
    (3, 3),
    (2, 1),
];

/// A frame and when it was sent, counted from the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimedFrame {
    /// Time since the first frame.
    pub at: Duration,
    /// The frame.
    pub frame: Vec<u8>,
}

/// The storm, in order of time.
pub fn arp_storm() -> impl Iterator<Item = TimedFrame> {
    times()
        .zip(senders_and_targets())
        .map(|(at, (sender, target))| {
            let request = Arp::request(ARP_STORM_MAC, sender, target);
            TimedFrame {
                at,
                frame: PacketBuilder::new().arp(request).pad_to(60).build(),
            }
        })
}

/// Requests spread evenly over each second; the very last one stands at the end.
fn times() -> impl Iterator<Item = Duration> {
    (0_u32..)
        .zip(REQUESTS_PER_SECOND)
        .flat_map(|(second, count)| {
            let is_last = second == 28;
            let spacing = if is_last {
                LAST_SECOND / (count - 1)
            } else {
                SECOND / count
            };
            (0..count).map(move |index| SECOND * second + spacing * index)
        })
}

/// Each request goes to the gateway that is furthest behind its share, which asks for its targets in turn.
fn senders_and_targets() -> impl Iterator<Item = (Ipv4Addr, Ipv4Addr)> {
    let total: u32 = GATEWAYS.iter().map(|(requests, _)| requests).sum();
    let mut sent = [0_u32; GATEWAYS.len()];
    (1..=total).map_while(move |position| {
        let behind = |&(index, (requests, _)): &(usize, (u32, u32))| {
            i64::from(requests) * i64::from(position) - i64::from(sent[index]) * i64::from(total)
        };
        let (gateway, (_, targets)) = GATEWAYS.into_iter().enumerate().max_by_key(behind)?;
        let target = sent[gateway] % targets;
        sent[gateway] += 1;
        let network = u32::from(Ipv4Addr::new(10, 64, 0, 0)) + (u32::try_from(gateway).ok()? << 8);
        Some((
            Ipv4Addr::from(network + 1),
            Ipv4Addr::from(network + 2 + target),
        ))
    })
}
