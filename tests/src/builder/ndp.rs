//! Neighbour discovery (RFC 4861): solicitations and advertisements, as hosts send them. Change what is wrong afterwards:
//! `.hop_limit(64)`, `.ethernet(…)`.

use std::net::Ipv6Addr;

use super::{Mac, PacketBuilder};

const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
const SOURCE_ADDRESS: u8 = 1;
const TARGET_ADDRESS: u8 = 2;

/// Flag of an advertisement: somebody asked.
pub const SOLICITED: u8 = 0x40;
/// Flag of an advertisement: it overrides what was known.
pub const OVERRIDE: u8 = 0x20;

impl PacketBuilder {
    /// Who has `target`? Tell `source`, which is at `mac`. To the group of the target (RFC 4291 §2.7.1).
    pub fn solicitation(
        self,
        mac: Mac,
        source: impl Into<Ipv6Addr>,
        target: impl Into<Ipv6Addr>,
    ) -> Self {
        let target = target.into();
        let [.., a, b, c] = target.octets();
        let group = Ipv6Addr::new(
            0xff02,
            0,
            0,
            0,
            0,
            1,
            0xff00 | u16::from(a),
            u16::from_be_bytes([b, c]),
        );
        self.ethernet(mac, [0x33, 0x33, 0xff, a, b, c])
            .ipv6(source, group)
            .hop_limit(255)
            .icmpv6(SOLICITATION, 0, [0; 4])
            .payload(&message(target, SOURCE_ADDRESS, mac))
    }

    /// `target` is at `mac`, said to one host.
    pub fn advertisement(
        self,
        mac: Mac,
        target: impl Into<Ipv6Addr>,
        (to_mac, to): (Mac, Ipv6Addr),
        flags: u8,
    ) -> Self {
        let target = target.into();
        self.ethernet(mac, to_mac)
            .ipv6(target, to)
            .hop_limit(255)
            .icmpv6(ADVERTISEMENT, 0, [flags, 0, 0, 0])
            .payload(&message(target, TARGET_ADDRESS, mac))
    }
}

fn message(target: Ipv6Addr, option: u8, mac: Mac) -> Vec<u8> {
    [&target.octets()[..], &[option, 1], &mac].concat()
}
