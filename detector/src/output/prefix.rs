//! An address, or all that share its first bits, as text.

use std::{fmt, net::IpAddr, str::FromStr};

use detector_common::net::IpAddress;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// A prefix that is written `192.0.2.0/24` or `2001:db8::/32` (RFC 4632, RFC 4291 §2.3); one that holds a single address, as that
/// address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Prefix(IpNet);

/// The bits before an IPv4 address that is written as an IPv6 one, RFC 4291 §2.5.5.2.
const MAPPED_BITS: u8 = 96;

impl Prefix {
    /// The prefix that holds this address alone.
    #[must_use]
    pub fn of_address(address: IpAddr) -> Self {
        Self(address.to_canonical().into())
    }

    /// One of IPv4 that is written as IPv6 is one of IPv4.
    fn canonical(net: IpNet) -> Self {
        let bits = net.prefix_len().checked_sub(MAPPED_BITS);
        let short = match (net.network().to_canonical(), bits) {
            (first @ IpAddr::V4(_), Some(bits)) if net.max_prefix_len() == 128 => {
                IpNet::new(first, bits).ok()
            }
            _ => None,
        };
        Self(short.unwrap_or(net))
    }

    /// Its first address.
    #[must_use]
    pub fn first(self) -> IpAddr {
        self.0.network()
    }

    /// Whether it holds a single address.
    #[must_use]
    pub fn is_address(self) -> bool {
        self.0.prefix_len() == self.0.max_prefix_len()
    }

    /// Whether both have an address in common.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        let (one, two) = (self.to_net_v6(), other.to_net_v6());
        one.contains(&two) || two.contains(&one)
    }

    /// Whether it holds more addresses than any network has hosts that could be up to the same: more than an IPv4 /8 or an
    /// IPv6 /16, or all of IPv4 written as IPv6.
    #[must_use]
    pub fn is_too_wide(self) -> bool {
        let least = match self.0 {
            IpNet::V4(_) => 8,
            IpNet::V6(_) => 16,
        };
        let mapped = IpNet::from(ipnet::Ipv6Net::new_assert(
            std::net::Ipv4Addr::UNSPECIFIED.to_ipv6_mapped(),
            MAPPED_BITS,
        ));
        self.0.prefix_len() < least || self.0.contains(&mapped)
    }

    /// The first address and the bits that count, as the classifier has addresses.
    #[must_use]
    pub fn to_key(self) -> (IpAddress, u32) {
        let net = self.to_net_v6();
        let IpAddr::V6(first) = net.network() else {
            return (IpAddress::default(), 128);
        };
        (bytemuck::cast(first.octets()), net.prefix_len().into())
    }

    /// The same with an IPv4 address written as an IPv6 one.
    fn to_net_v6(self) -> IpNet {
        match self.0 {
            IpNet::V4(net) => {
                let first = net.network().to_ipv6_mapped();
                let bits = MAPPED_BITS + net.prefix_len();
                IpNet::from(ipnet::Ipv6Net::new_assert(first, bits))
            }
            IpNet::V6(net) => IpNet::V6(net),
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_address() {
            self.first().fmt(out)
        } else {
            self.0.fmt(out)
        }
    }
}

/// A text is no prefix.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum NoPrefix {
    /// It is something else.
    #[error("expected an address or a prefix, as in 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32")]
    Malformed,
    /// There are ones behind the bits that count: it may not be the prefix that was meant.
    #[error("the address has bits beyond the prefix: write {0}")]
    HostBits(Prefix),
}

impl FromStr for Prefix {
    type Err = NoPrefix;

    fn from_str(text: &str) -> Result<Self, NoPrefix> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::of_address(address));
        }
        let net: IpNet = text.parse().map_err(|_| NoPrefix::Malformed)?;
        if net.trunc() != net {
            return Err(NoPrefix::HostBits(Self(net.trunc())));
        }
        Ok(Self::canonical(net))
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> Self {
        prefix.to_string()
    }
}

impl TryFrom<String> for Prefix {
    type Error = NoPrefix;

    fn try_from(text: String) -> Result<Self, NoPrefix> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn a_prefix_is_written_as_it_was_read_and_one_of_one_address_as_that() {
        for text in ["192.0.2.7", "192.0.2.0/24", "2001:db8::/32", "2001:db8::7"] {
            assert_eq!(prefix(text).to_string(), text);
        }
        assert_eq!(prefix("192.0.2.7/32").to_string(), "192.0.2.7");
        assert_eq!(prefix("::ffff:192.0.2.7").to_string(), "192.0.2.7");
    }

    #[test]
    fn a_prefix_of_ipv4_is_one_however_it_is_written() {
        for (long, short) in [
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
            ("::ffff:192.0.2.7/128", "192.0.2.7"),
            ("::ffff:0:0/97", "0.0.0.0/1"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
        ] {
            assert_eq!(prefix(long), prefix(short));
            assert_eq!(prefix(long).to_string(), short);
        }
        assert_ne!(prefix("::fffe:0:0/95"), prefix("0.0.0.0/0"));
        assert!(prefix("::ffff:0:0/97").is_too_wide() && prefix("::fffe:0:0/95").is_too_wide());
        assert!(!prefix("::ffff:10.0.0.0/104").is_too_wide());
    }

    #[test]
    fn what_is_no_prefix_is_refused_and_host_bits_with_the_prefix_that_may_be_meant() {
        for text in [
            "",
            "eth0",
            "192.0.2",
            "192.0.2.0/33",
            "192.0.2.0/-1",
            "\u{1b}[2J",
        ] {
            assert!(text.parse::<Prefix>().is_err(), "{text:?}");
        }
        let error = "192.0.2.7/24".parse::<Prefix>().unwrap_err();
        assert!(error.to_string().ends_with("192.0.2.0/24"), "{error}");
    }

    #[test]
    fn prefixes_overlap_if_one_holds_the_other_in_whichever_form() {
        let overlap = |one, two| prefix(one).overlaps(prefix(two));
        assert!(overlap("192.0.2.0/24", "192.0.2.7") && overlap("192.0.2.7", "192.0.0.0/16"));
        assert!(!overlap("192.0.2.0/24", "192.0.3.0/24") && !overlap("::/16", "2001:db8::1"));
        assert!(overlap("::/64", "192.0.2.7"), "mapped addresses are in it");
    }

    #[test]
    fn half_the_world_is_too_wide() {
        for wide in ["0.0.0.0/0", "0.0.0.0/1", "::/0", "2000::/3", "::/64"] {
            assert!(prefix(wide).is_too_wide(), "{wide}");
        }
        for narrow in ["10.0.0.0/8", "2001::/16", "2001:db8::/32", "192.0.2.7"] {
            assert!(!prefix(narrow).is_too_wide(), "{narrow}");
        }
    }

    #[test]
    fn the_key_counts_bits_from_the_start_of_an_address_in_its_long_form() {
        let (first, bits) = prefix("192.0.2.0/24").to_key();
        assert_eq!((first, bits), (IpAddress::v4([192, 0, 2, 0]), 120));
        assert_eq!(prefix("2001:db8::/32").to_key().1, 32);
    }
}
