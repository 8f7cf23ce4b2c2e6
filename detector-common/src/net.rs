//! The small types of the wire: addresses in wire order, ports and types in host order, each a type of its own.

use bytemuck::{Pod, Zeroable};

/// A 48-bit Ethernet address.
///
/// One word, the first byte on the wire lowest: the compiler keeps words in registers, and the kernel gives a program
/// 512 bytes of stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MacAddress {
    word: u64,
}

impl MacAddress {
    /// Every host of the segment.
    pub const BROADCAST: Self = Self::new([0xff; 6]);

    /// The address with these bytes, in wire order.
    #[inline(always)]
    #[must_use]
    pub const fn new(octets: [u8; 6]) -> Self {
        let [a, b, c, d, e, f] = octets;
        Self::from_word(u64::from_le_bytes([a, b, c, d, e, f, 0, 0]))
    }

    /// The address in the lower six bytes of `word`.
    #[inline(always)]
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        Self {
            word: word & 0xffff_ffff_ffff,
        }
    }

    /// The six bytes as one word, the first one lowest.
    #[inline(always)]
    #[must_use]
    pub const fn to_word(self) -> u64 {
        self.word
    }

    /// The six bytes in wire order.
    #[must_use]
    pub const fn octets(self) -> [u8; 6] {
        let [a, b, c, d, e, f, _, _] = self.word.to_le_bytes();
        [a, b, c, d, e, f]
    }

    /// Whether it is that of a group of hosts: all of the segment, or a multicast group. The first bit on the wire
    /// (IEEE 802 §8.2.1).
    #[inline(always)]
    #[must_use]
    pub fn is_group(self) -> bool {
        self.word & 1 == 1
    }
}

/// An IPv4 or IPv6 address, an IPv4 one mapped as `::ffff:a.b.c.d` (RFC 4291 §2.5.5.2).
///
/// Two words in memory order, for the reason that [`MacAddress`] is one; and no array of them, which the compiler would compare as
/// one number, and take apart into bytes for that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Pod, Zeroable)]
#[repr(C)]
pub struct IpAddress {
    first: u64,
    second: u64,
}

impl IpAddress {
    /// The first twelve bytes of a mapped IPv4 address, as words.
    const MAPPED: [u64; 2] = [0, u64::from_le_bytes([0, 0, 0xff, 0xff, 0, 0, 0, 0])];

    /// An IPv4 address, RFC 791.
    #[inline(always)]
    #[must_use]
    pub fn v4(octets: [u8; 4]) -> Self {
        Self::from_v4_number(u32::from_be_bytes(octets))
    }

    /// The IPv4 address that is this number in network order.
    #[inline(always)]
    #[must_use]
    pub fn from_v4_number(number: u32) -> Self {
        let [high, low] = Self::MAPPED;
        Self {
            first: high.to_le(),
            second: (low | u64::from(number.swap_bytes()) << 32).to_le(),
        }
    }

    /// An IPv4 address as a number in network order.
    #[inline(always)]
    #[must_use]
    pub fn to_v4_number(self) -> u32 {
        ((u64::from_le(self.second) >> 32) as u32).swap_bytes()
    }

    /// Whether both are IPv4 addresses that share the first `bits`, 8 or 16.
    #[inline(always)]
    #[must_use]
    pub fn shares_v4(self, other: Self, bits: u32) -> bool {
        let [high, low] = self.words();
        let [other_high, other_low] = other.words();
        // What tells an IPv4 address, and then the first bytes of it.
        let shared = 32_u32.wrapping_add(bits) & 63;
        let mask = (1_u64 << shared).wrapping_sub(1);
        let different = high ^ other_high | (u64::from_le(low) ^ u64::from_le(other_low)) & mask;
        different == 0 && self.is_v4()
    }

    /// Whether it is an IPv4 address.
    #[inline(always)]
    #[must_use]
    pub fn is_v4(self) -> bool {
        let [high, low] = self.words();
        let [mapped_high, mapped_low] = Self::MAPPED;
        u64::from_le(high) == mapped_high && u64::from_le(low) & 0xffff_ffff == mapped_low
    }

    /// An IPv6 address, RFC 8200, as its two halves, the first byte of each lowest.
    #[inline(always)]
    #[must_use]
    pub fn v6(first: u64, second: u64) -> Self {
        Self {
            first: first.to_le(),
            second: second.to_le(),
        }
    }

    /// The address whose [`Self::words`] these are.
    #[inline(always)]
    #[must_use]
    pub fn from_words([first, second]: [u64; 2]) -> Self {
        Self { first, second }
    }

    /// The words, in memory order.
    #[inline(always)]
    #[must_use]
    pub fn words(self) -> [u64; 2] {
        [self.first, self.second]
    }

    /// The address as a number in network order, the upper half first: greater addresses are greater numbers.
    #[inline(always)]
    #[must_use]
    pub fn to_numbers(self) -> [u64; 2] {
        self.words().map(u64::from_be)
    }

    /// A hash of the address with `context`, all of whose bits depend on all of both. `seed` is secret, so that nobody can choose
    /// addresses whose hashes share bits.
    #[inline(always)]
    #[must_use]
    pub fn hash(self, context: u64, seed: u64) -> u64 {
        // As `sources::SourceKey` is hashed, and why so stands there. But of an IPv4 address only the upper half of one word differs,
        // and a product has it in its upper half alone: it is spread before the next.
        let [first, second] = self.words();
        let mut hash = (first ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 32;
        hash ^= second.wrapping_mul(seed | 1);
        hash = (hash ^ hash >> 29).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash ^= hash >> 32;
        hash = (hash ^ context).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        hash ^ hash >> 32
    }

    /// The sixteen bytes in wire order.
    #[inline(always)]
    #[must_use]
    pub fn octets(self) -> [u8; 16] {
        bytemuck::cast(self)
    }

    /// Whether it is `0.0.0.0`, no address yet (RFC 1122 §3.2.1.3).
    #[inline(always)]
    #[must_use]
    pub fn is_unspecified_v4(self) -> bool {
        self == Self::v4([0; 4])
    }

    /// Whether it is `::`, no address yet (RFC 4291 §2.5.2).
    #[inline(always)]
    #[must_use]
    pub fn is_unspecified_v6(self) -> bool {
        self == Self::default()
    }

    /// Whether it is an IPv6 address that only its own link knows, `fe80::/10` (RFC 4291 §2.5.6).
    #[inline(always)]
    #[must_use]
    pub fn is_link_local_v6(self) -> bool {
        u64::from_le(self.first) & 0xc0ff == 0x80fe
    }

    /// Whether it is the IPv4 address that is this number in network order.
    #[inline(always)]
    #[must_use]
    pub fn is_v4_number(self, number: u32) -> bool {
        self == Self::from_v4_number(number)
    }
}

/// The VLAN tags of a frame. `0` is no tag, or a priority tag, which belongs to no VLAN (802.1Q §9.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vlan {
    /// The 12-bit identifier of the first tag on the wire.
    pub outer: u16,
    /// The 12-bit identifier of the second tag.
    pub inner: u16,
}

/// The type field of an Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EtherType(pub u16);

impl EtherType {
    /// IPv4, RFC 894.
    pub const IPV4: Self = Self(0x0800);
    /// ARP, RFC 826.
    pub const ARP: Self = Self(0x0806);
    /// IPv6, RFC 2464.
    pub const IPV6: Self = Self(0x86dd);
    /// A customer VLAN tag, 802.1Q.
    pub const VLAN: Self = Self(0x8100);
    /// A service VLAN tag, 802.1ad.
    pub const SERVICE_VLAN: Self = Self(0x88a8);
    /// Smaller values are the length of an 802.3 frame, not a type.
    pub const FIRST: Self = Self(0x0600);
}

/// The protocol field of an IPv4 header, the next header field of an IPv6 one (IANA "Protocol Numbers").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpProtocol(pub u8);

impl IpProtocol {
    /// IPv6 hop-by-hop options.
    pub const HOP_BY_HOP: Self = Self(0);
    /// ICMP for IPv4.
    pub const ICMP: Self = Self(1);
    /// TCP.
    pub const TCP: Self = Self(6);
    /// UDP.
    pub const UDP: Self = Self(17);
    /// IPv6 routing header.
    pub const ROUTING: Self = Self(43);
    /// IPv6 fragment header.
    pub const FRAGMENT: Self = Self(44);
    /// `IPsec` authentication header, RFC 4302.
    pub const AUTHENTICATION: Self = Self(51);
    /// ICMP for IPv6.
    pub const ICMPV6: Self = Self(58);
    /// IPv6 destination options.
    pub const DESTINATION_OPTIONS: Self = Self(60);
    /// IPv6 mobility header, RFC 6275.
    pub const MOBILITY: Self = Self(135);
}

/// The flag byte of a TCP header, RFC 9293 §3.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// The sender has no more data.
    pub const FIN: Self = Self(0x01);
    /// A new connection.
    pub const SYN: Self = Self(0x02);
    /// The connection is refused or gone.
    pub const RST: Self = Self(0x04);
    /// Hand the data to the application.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgement field counts.
    pub const ACK: Self = Self(0x10);

    /// Whether of SYN, ACK, RST and FIN only SYN is set: the first packet of a handshake.
    #[inline(always)]
    #[must_use]
    pub fn is_opening(self) -> bool {
        self.0 & (Self::SYN.0 | Self::ACK.0 | Self::RST.0 | Self::FIN.0) == Self::SYN.0
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;

    use super::*;

    /// Tables and sketches take different bits of a hash, and of IPv4 addresses only a few bits differ.
    #[test]
    fn the_addresses_of_a_network_spread_in_every_part_of_the_hash() {
        let of_v4 = |host: u16| IpAddress::from_v4_number(0x0a00_0000 | u32::from(host));
        let of_v6 = |host: u16| IpAddress::v6(0x7, u64::from(host.swap_bytes()) << 48);
        for address in [&of_v4 as &dyn Fn(u16) -> IpAddress, &of_v6] {
            for part in [0, 8, 16, 32, 40, 48] {
                let mut used = vec![0_u8; 1 << 16];
                for host in 0..=u16::MAX {
                    let hash = address(host).hash(7, 0x1234_5678_9abc_def0);
                    used[(hash >> part & 0xffff) as usize] += 1;
                }
                // As many balls as bins: 63 % of the bins are hit.
                let hit = used.iter().filter(|count| **count > 0).count() * 100 / used.len();
                assert!((61..66).contains(&hit), "{part}: {hit} %");
            }
        }
    }
}
