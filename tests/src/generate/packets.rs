//! Well-formed packets: worms and ordinary traffic between many hosts, ARP of few senders and of many, and packets whose
//! headers are put together by chance.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Dice;
use crate::{
    builder::{
        ACK, Arp, BROADCAST_MAC, Mac, OVERRIDE, PacketBuilder, RST, Route, SOLICITED, SYN,
        TIMESTAMP_OPTIONS,
    },
    worms::{self, benign},
};

/// Ports that somebody watches, with their neighbours.
const PORTS: [u16; 18] = [
    22, 23, 24, 53, 79, 80, 81, 444, 445, 446, 1433, 1434, 2323, 3127, 3199, 4000, 8080, 40_000,
];

/// Any packet.
pub(super) fn any(dice: &mut Dice) -> PacketBuilder {
    let packet = match dice.below(12) {
        0..3 => {
            let worms = worms::all();
            worms[dice.below(worms.len())].packet(&route(dice))
        }
        3 => {
            let route = route(dice);
            let mut ordinary = benign::all(&route);
            ordinary.extend(benign::lookalikes(&route));
            ordinary[dice.below(ordinary.len())].packet.clone()
        }
        4..6 => arp(dice),
        6 | 7 => contact(dice),
        8 => nd(dice),
        _ => transport(dice),
    };
    tagged(packet, dice)
}

fn tagged(packet: PacketBuilder, dice: &mut Dice) -> PacketBuilder {
    match dice.below(8) {
        0 => packet.vlan(vlan(dice)),
        1 => packet.vlan_ad(vlan(dice)).vlan(vlan(dice)),
        _ => packet,
    }
}

fn vlan(dice: &mut Dice) -> u16 {
    if dice.one_in(2) {
        dice.one_of(&[0, 1, 7, 4095])
    } else {
        dice.short() & 0x0fff
    }
}

/// Every other packet comes from one of a few hosts, the others from anywhere: known sources, and a full table.
fn route(dice: &mut Dice) -> Route {
    let number = if dice.one_in(2) {
        dice.roll() % 16
    } else {
        dice.roll()
    };
    let [a, b, c, d, ..] = number.to_le_bytes();
    Route {
        src_mac: [0x02, 0, 0, 0, b, a],
        src_ip: Ipv4Addr::new(d, c, b, a),
        src_port: dice.one_of(&PORTS),
        tcp_options: dice.one_of(&[&[], &[], TIMESTAMP_OPTIONS]),
        ..Route::default()
    }
}

fn arp(dice: &mut Dice) -> PacketBuilder {
    let number = if dice.one_in(3) {
        dice.short()
    } else {
        dice.one_of(&[1, 2, 3, 4])
    };
    let [high, low] = number.to_be_bytes();
    let mac: Mac = [0x02, 0, 0, 0xa0, high, low];
    let server: Mac = [0x02, 0, 0, 0, 0, 1];
    let ip = Ipv4Addr::new(192, 0, 2, low);
    let target = Ipv4Addr::new(192, 0, 2, dice.byte());
    let message = match dice.below(12) {
        0 => Arp::probe(mac, target),
        1 => Arp::announcement(mac, ip),
        2 => Arp::reply(mac, ip, server, target),
        _ => Arp::request(mac, ip, target),
    };
    let packet = PacketBuilder::new().arp(message).pad_to(60);
    match dice.below(10) {
        0 => packet.ethernet(mac, server),
        1 => packet.ethernet(mac, BROADCAST_MAC),
        _ => packet,
    }
}

/// Neighbour discovery of few hosts and of many, some of it in another's name or from beyond a router.
fn nd(dice: &mut Dice) -> PacketBuilder {
    let host = |dice: &mut Dice| {
        let number = if dice.one_in(3) {
            dice.byte()
        } else {
            dice.byte() % 4
        };
        let mac: Mac = [0x02, 0, 0, 0, 0xd0, number];
        (
            mac,
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into()),
        )
    };
    let ((mac, ip), other) = (host(dice), host(dice));
    let claimed = if dice.one_in(8) { other.1 } else { ip };
    let packet = match dice.below(8) {
        0 => PacketBuilder::new().solicitation(mac, Ipv6Addr::UNSPECIFIED, claimed),
        1 | 2 => {
            let flags = dice.one_of(&[0, OVERRIDE, SOLICITED, SOLICITED | OVERRIDE]);
            PacketBuilder::new().advertisement(mac, claimed, other, flags)
        }
        _ => {
            let target = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, dice.byte().into());
            PacketBuilder::new().solicitation(mac, claimed, target)
        }
    };
    match dice.below(10) {
        0 => packet.ethernet(mac, other.0),
        1 => packet.hop_limit(64),
        _ => packet,
    }
}

/// Few hosts inside try many outside, on few ports, and some of those answer.
fn contact(dice: &mut Dice) -> PacketBuilder {
    let inside = Ipv4Addr::new(10, 0, 0, dice.byte() % 3);
    let outside = Ipv4Addr::new(dice.one_of(&[10, 198]), dice.byte() % 2, 0, dice.byte());
    let (port, other_port) = (dice.one_of(&[23, 445]), dice.short());
    let out = PacketBuilder::new().ipv4(inside, outside);
    let back = PacketBuilder::new().ipv4(outside, inside);
    match dice.below(10) {
        0..3 => out.tcp(other_port, port).flags(SYN),
        3 => back.tcp(port, other_port).flags(SYN | ACK),
        4 => back
            .tcp(port, other_port)
            .flags(dice.one_of(&[RST, RST | ACK])),
        5 | 6 => out.udp(other_port, port),
        7 => back.udp(port, other_port),
        8 => out.icmp(8, 0, [0; 4]),
        _ => back.icmp(0, 0, [0; 4]),
    }
}

/// A packet whose headers are put together by chance.
fn transport(dice: &mut Dice) -> PacketBuilder {
    let packet = if dice.one_in(2) {
        ipv6(dice)
    } else {
        ipv4(dice)
    };
    let (source, destination) = (port(dice), port(dice));
    let packet = match dice.below(6) {
        0 | 1 => {
            let words = dice.one_of(&[0, 0, 1, 3, 9, 10]);
            packet
                .tcp(source, destination)
                .flags(dice.one_of(&[SYN, ACK, SYN | ACK, 0]))
                .tcp_options(&dice.bytes(words * 4))
        }
        2 | 3 => packet.udp(source, destination),
        4 => packet.icmp(
            dice.one_of(&[0, 3, 8, 13, 14]),
            dice.one_of(&[0, 1]),
            [0; 4],
        ),
        _ => packet.icmpv6(
            dice.one_of(&[1, 128, 129, 135]),
            dice.one_of(&[0, 1]),
            [0; 4],
        ),
    };
    let length = dice.one_of(&[0, 1, 7, 12, 64, 65, 376, 700]);
    let packet = packet.payload(&dice.bytes(length));
    if dice.one_in(3) {
        let length = packet.build().len() + dice.below(64);
        packet.pad_to(length)
    } else {
        packet
    }
}

fn port(dice: &mut Dice) -> u16 {
    if dice.one_in(4) {
        dice.short()
    } else {
        dice.one_of(&PORTS)
    }
}

fn ipv4(dice: &mut Dice) -> PacketBuilder {
    let words = dice.one_of(&[0, 0, 0, 1, 5, 10]);
    let packet = route(dice).ipv4().ipv4_options(&dice.bytes(words * 4));
    if dice.one_in(6) {
        packet.fragment(dice.one_of(&[0, 0, 1, 185, 8191]), dice.one_in(2))
    } else {
        packet
    }
}

fn ipv6(dice: &mut Dice) -> PacketBuilder {
    let host = u128::from(dice.short());
    let source = Ipv6Addr::from_bits((0x2001_0db8 << 96) | host);
    let mut packet = PacketBuilder::new().ipv6(source, Ipv6Addr::LOCALHOST);
    if dice.one_in(64) {
        // A jumbogram: mutation hardly ever makes one.
        return packet.hop_by_hop(&[0xc2, 4, 0, 1, 0, 0]).payload_length(0);
    }
    for _ in 0..dice.one_of(&[0, 0, 0, 1, 2, 5, 6, 7, 8]) {
        let length = dice.below(20);
        let data = dice.bytes(length);
        packet = match dice.below(9) {
            0 => packet.hop_by_hop(&data),
            1..4 => packet.destination_options(&data),
            4 | 5 => packet.routing(dice.byte(), 0, &data),
            6 | 7 => packet.authentication(1, 2, &data),
            _ => packet.ipv6_fragment(dice.one_of(&[0, 0, 0, 1]), dice.one_in(2), 7),
        };
    }
    packet
}
