//! What a packet of a capture begins with: the `LINKTYPE_` numbers of <https://www.tcpdump.org/linktypes.html>.
//!
//! Three of them can be read. The others are known by name only, to say what a capture is that cannot be read.

use std::fmt;

/// A `LINKTYPE_` number as a capture file gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkType(pub u32);

/// A link type that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// Packets are Ethernet frames.
    Ethernet,
    /// Packets begin with the 16-byte header of `LINKTYPE_LINUX_SLL`.
    CookedV1,
    /// Packets begin with the 20-byte header of `LINKTYPE_LINUX_SLL2`.
    CookedV2,
}

impl LinkType {
    /// Ethernet, without preamble.
    pub const ETHERNET: Self = Self(1);
    /// Linux cooked capture, what `tcpdump -i any` writes by default.
    pub const LINUX_COOKED: Self = Self(113);
    /// Linux cooked capture, version 2.
    pub const LINUX_COOKED_V2: Self = Self(276);

    /// How its packets are read, or `None` if they cannot be.
    pub(super) fn link(self) -> Option<Link> {
        match self {
            Self::ETHERNET => Some(Link::Ethernet),
            Self::LINUX_COOKED => Some(Link::CookedV1),
            Self::LINUX_COOKED_V2 => Some(Link::CookedV2),
            Self(_) => None,
        }
    }

    fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "BSD loopback",
            1 => "Ethernet",
            6 => "Token Ring",
            8 => "SLIP",
            9 | 50 | 51 => "PPP",
            10 => "FDDI",
            // 12 and 14 are what some systems wrote before 101 was assigned.
            12 | 14 | 101 => "raw IP",
            104 => "Cisco HDLC",
            105 => "802.11",
            107 => "Frame Relay",
            108 => "OpenBSD loopback",
            113 => "Linux cooked",
            117 => "OpenBSD pflog",
            119 => "802.11 with Prism header",
            127 => "802.11 with radiotap header",
            147..=162 => "private use",
            163 => "802.11 with AVS header",
            187 | 201 => "Bluetooth HCI",
            189 | 220 => "Linux USB",
            192 => "PPI",
            195 | 215 | 230 | 283 => "802.15.4",
            197 => "ERF",
            227 => "CAN bus",
            228 => "raw IPv4",
            229 => "raw IPv6",
            239 => "Linux nflog",
            249 => "USBPcap",
            252 => "Wireshark exported PDU",
            253 => "Linux netlink",
            276 => "Linux cooked v2",
            _ => return None,
        })
    }
}

impl fmt::Display for LinkType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(formatter, "{} ({name})", self.0),
            None => write!(formatter, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_common_link_type_is_named_and_an_odd_one_is_a_number() {
        assert_eq!(LinkType(101).to_string(), "101 (raw IP)");
        assert_eq!(LinkType(4711).to_string(), "4711");
    }

    #[test]
    fn ethernet_and_the_two_cooked_types_can_be_read_and_nothing_else() {
        let readable: Vec<u32> = (0..400)
            .filter(|number| LinkType(*number).link().is_some())
            .collect();
        assert_eq!(readable, [1, 113, 276]);
    }
}
