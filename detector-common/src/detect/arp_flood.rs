//! `arp_flood`: broadcast ARP requests above a rate, per sender and per segment; and replies above a rate, per sender.
//!
//! In the classic storm the sender is the default gateway itself, relaying what scanners outside make it ask for. So
//! only the excess is ever flagged, never the sender's other traffic; and what RFC 5227 has a booting host send, and
//! the unicast refreshes of neighbour tables, never feed a bucket.

use crate::{
    neighbour::Class,
    net::MacAddress,
    parse::arp::{Arp, Operation},
};

/// What kind of message it is.
#[inline(always)]
#[must_use]
pub fn class(arp: &Arp, destination: MacAddress) -> Class {
    if arp.is_probe() {
        Class::PROBE
    } else if arp.is_announcement() {
        Class::ANNOUNCEMENT
    } else if arp.operation == Operation::Reply {
        Class::REPLY
    } else if destination.is_group() {
        // A multicast group reaches every neighbour as well, and hosts answer.
        Class::REQUEST
    } else {
        Class::UNICAST_REQUEST
    }
}
