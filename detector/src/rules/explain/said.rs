//! Addresses and ports as a rule could say them, with nothing left to look up.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use super::super::compile::{Range, merged};

/// So many ranges are told; of others how many there are.
const RANGES_MAX: usize = 64;

/// What is mapped from IPv4.
const IPV4: Range = (0xffff_0000_0000, 0xffff_ffff_ffff);

/// Addresses.
pub(super) fn addresses(ranges: &[Range]) -> String {
    if *ranges == [(0, u128::MAX)] {
        return "any".to_owned();
    }
    // A range that holds all of IPv4 and what is around it is one of IPv6 and one of IPv4.
    let parts = ranges.iter().flat_map(|(first, last)| {
        let part = |begin: u128, end: u128| {
            let (first, last) = (*first.max(&begin), *last.min(&end));
            (first <= last).then_some((first, last))
        };
        [
            part(0, IPV4.0 - 1),
            part(IPV4.0, IPV4.1),
            part(IPV4.1 + 1, u128::MAX),
        ]
        .into_iter()
        .flatten()
    });
    list(parts.map(|(first, last)| range(address(first), address(last))))
}

/// Ports.
pub(super) fn ports(ranges: &[Range]) -> String {
    list(
        merged(ranges.to_vec())
            .into_iter()
            .map(|range| match range {
                (0, 0xffff) => "any".to_owned(),
                (first, last) if first == last => first.to_string(),
                (first, 0xffff) => format!("{first}:"),
                (first, last) => format!("{first}:{last}"),
            }),
    )
}

fn list(all: impl Iterator<Item = String>) -> String {
    let all: Vec<_> = all.collect();
    let (told, more) = all.split_at(all.len().min(RANGES_MAX));
    match more.len() {
        0 => told.join(","),
        more => format!("{} and {more} more", told.join(",")),
    }
}

/// A number as the address that it is.
pub(super) fn address(number: u128) -> IpAddr {
    Ipv6Addr::from(number).to_canonical()
}

fn range(first: IpAddr, last: IpAddr) -> String {
    if first == last {
        return first.to_string();
    }
    let max = if first.is_ipv4() { 32 } else { 128 };
    let mut prefixes = (0..=max).filter_map(|len| IpNet::new(first, len).ok());
    let prefix = prefixes.find(|net| net.network() == first && net.broadcast() == last);
    prefix.map_or_else(|| format!("{first}-{last}"), |net| net.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_told_as_prefixes_where_they_are_some() {
        let v4 = |last: u128| 0xffff_c000_0200 + last;
        for (ranges, told) in [
            (vec![(0, u128::MAX)], "any"),
            (vec![(v4(0), v4(255))], "192.0.2.0/24"),
            (
                vec![(v4(7), v4(7)), (v4(9), v4(11))],
                "192.0.2.7,192.0.2.9-192.0.2.11",
            ),
            (vec![IPV4], "0.0.0.0/0"),
            (
                vec![(0, v4(0) - 1), (v4(256), u128::MAX)],
                "::-::fffe:ffff:ffff,0.0.0.0-192.0.1.255,192.0.3.0-255.255.255.255,\
                 ::1:0:0:0-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            ),
        ] {
            assert_eq!(addresses(&ranges), told);
        }
        assert_eq!(ports(&[(0, 65_535)]), "any");
        assert_eq!(ports(&[(9, 9), (80, 81), (8000, 65_535)]), "9,80:81,8000:");
        let many: Vec<_> = (0..100).map(|port| (2 * port, 2 * port)).collect();
        assert!(ports(&many).ends_with("126 and 36 more"));
    }
}
