//! `arp_flood`: broadcast ARP requests above a rate, per sender and per segment; and replies above a rate, per sender.
//!
//! In the classic storm the sender is the default gateway itself, relaying what scanners outside make it ask for. So
//! only the excess is ever flagged, never the sender's other traffic; and what RFC 5227 has a booting host send, and
//! the unicast refreshes of neighbour tables, never feed a bucket.

use crate::{
    net::MacAddress,
    parse::arp::{Arp, Operation},
    reason::Reason,
};

/// What kind of ARP message it is: [`Reason::ArpRequest`] and [`Reason::ArpReply`] are the only ones that feed a bucket.
#[inline(always)]
#[must_use]
pub fn class(arp: &Arp, destination: MacAddress) -> Reason {
    if arp.is_probe() {
        Reason::ArpProbe
    } else if arp.is_announcement() {
        Reason::ArpAnnouncement
    } else if arp.operation == Operation::Reply {
        Reason::ArpReply
    } else if destination.is_group() {
        // A multicast group reaches every neighbour as well, and hosts answer.
        Reason::ArpRequest
    } else {
        Reason::ArpUnicastRequest
    }
}
