//! Sets of addresses or ports, as ranges in order that do not touch.

use std::{collections::BTreeMap, net::IpAddr, sync::LazyLock};

use super::super::{
    header::{AddressRange, PortRange, Set},
    problem::Problem,
};

/// Numbers, both ends included.
pub(in crate::rules) type Range = (u128, u128);
/// Ranges in order, of which no two touch.
pub(in crate::rules) type Ranges = Vec<Range>;

/// Variables that stand for lists deep in one another.
const DEPTH_MAX: usize = 16;

/// What names stand for, as `$NAME`, in place of addresses and in place of ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    /// In place of addresses.
    pub addresses: BTreeMap<String, Set<AddressRange>>,
    /// In place of ports.
    pub ports: BTreeMap<String, Set<PortRange>>,
}

impl Variables {
    /// With HTTP on these ports.
    #[must_use]
    pub fn with_http(ports: &[u16]) -> Self {
        let mut variables = Self::default();
        let ports = ports.iter().map(|port| {
            Set::Range(PortRange {
                first: *port,
                last: *port,
            })
        });
        let ports = Set::AnyOf(ports.collect());
        variables.ports.insert("HTTP_PORTS".to_owned(), ports);
        variables
    }
}

/// A value that has ranges.
pub(super) trait Ranged: Sized + 'static {
    /// The greatest number there is.
    const MAX: u128;
    /// What is wrong with a variable that is not known.
    const KIND: &'static str;
    /// Its numbers.
    fn ranges(&self) -> Ranges;
    /// What a name stands for.
    fn variable<'v>(variables: &'v Variables, name: &str) -> Option<&'v Set<Self>>;
}

impl Ranged for PortRange {
    const MAX: u128 = u16::MAX as u128;
    const KIND: &'static str = "ports";

    fn ranges(&self) -> Ranges {
        vec![(self.first.into(), self.last.into())]
    }

    fn variable<'v>(variables: &'v Variables, name: &str) -> Option<&'v Set<Self>> {
        variables.ports.get(name)
    }
}

/// All that is not in any of the networks of our own: what `$EXTERNAL_NET` is unless the configuration says something else.
static NOT_HOME: LazyLock<Set<AddressRange>> =
    LazyLock::new(|| Set::Not(Box::new(Set::Variable("HOME_NET".to_owned()))));

impl Ranged for AddressRange {
    const MAX: u128 = u128::MAX;
    const KIND: &'static str = "addresses";

    fn ranges(&self) -> Ranges {
        let (first, last) = (number(self.first), number(self.last));
        if self.first.is_ipv4() {
            return vec![(first, last)];
        }
        // Of those of IPv6 without the place that is taken by those of IPv4: `::/0` is nobody of these.
        let (before, behind) = (last.min(MAPPED.0 - 1), first.max(MAPPED.1 + 1));
        let ranges = [(first, before), (behind, last)].into_iter();
        ranges.filter(|(first, last)| first <= last).collect()
    }

    fn variable<'v>(variables: &'v Variables, name: &str) -> Option<&'v Set<Self>> {
        let known = variables.addresses.get(name);
        known.or_else(|| {
            let home = variables.addresses.get("HOME_NET");
            // Nobody is outside of everywhere; then it is everybody, as in Suricata's own configuration.
            let everywhere = home.is_none_or(|home| *home == Set::Any);
            // Whoever serves is at home, as in Suricata's own configuration.
            match name {
                "HOME_NET" => Some(&Set::Any),
                name if name.ends_with("_SERVERS") => home.or(Some(&Set::Any)),
                "EXTERNAL_NET" if everywhere => Some(&Set::Any),
                "EXTERNAL_NET" => Some(&NOT_HOME),
                _ => None,
            }
        })
    }
}

/// The numbers of the addresses of IPv4.
const MAPPED: Range = (0xffff_0000_0000, 0xffff_ffff_ffff);

/// An address as a number, of IPv4 as it is mapped into IPv6 (RFC 4291 §2.5.5.2).
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().into(),
        IpAddr::V6(address) => address.into(),
    }
}

/// The ranges of a set.
pub(super) fn of<T: Ranged>(set: &Set<T>, variables: &Variables) -> Result<Ranges, Problem> {
    resolve(set, variables, DEPTH_MAX)
}

fn resolve<T: Ranged>(
    set: &Set<T>,
    variables: &Variables,
    depth: usize,
) -> Result<Ranges, Problem> {
    Ok(match set {
        Set::Any => vec![(0, T::MAX)],
        Set::Range(range) => range.ranges(),
        Set::Not(set) => complement(&resolve(set, variables, depth)?, T::MAX),
        Set::Variable(name) => {
            let unknown = || Problem::Variable(name.as_str().into(), T::KIND);
            let set = T::variable(variables, name).ok_or_else(unknown)?;
            let depth = depth.checked_sub(1).ok_or_else(unknown)?;
            resolve(set, variables, depth)?
        }
        Set::AnyOf(sets) => {
            let (mut any, mut none) = (Vec::new(), Vec::new());
            let mut is_all_negated = true;
            for set in sets {
                if let Set::Not(set) = set {
                    none.extend(resolve(set, variables, depth)?);
                } else {
                    is_all_negated = false;
                    any.extend(resolve(set, variables, depth)?);
                }
            }
            if is_all_negated {
                any = vec![(0, T::MAX)];
            }
            // In any of them and in none of the others: outside of all that are outside of the first or in the others.
            let mut outside = complement(&merged(any), T::MAX);
            outside.extend(none);
            complement(&merged(outside), T::MAX)
        }
    })
}

/// The same in order, and what touches as one.
pub(in crate::rules) fn merged(mut ranges: Ranges) -> Ranges {
    ranges.sort_unstable();
    let mut merged: Ranges = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => merged.push((first, last)),
        }
    }
    merged
}

/// All that is in none of them.
pub(in crate::rules) fn complement(ranges: &[Range], max: u128) -> Ranges {
    let mut outside = Vec::new();
    let mut next = Some(0);
    for &(first, last) in ranges {
        if let Some(next) = next.filter(|next| *next < first) {
            outside.push((next, first - 1));
        }
        next = last.checked_add(1).filter(|next| *next <= max);
    }
    outside.extend(next.map(|next| (next, max)));
    outside
}

#[cfg(test)]
mod tests {
    use super::{super::super::header::Header, *};

    fn variables() -> Variables {
        let set = |text: &str| {
            let header = format!("alert tcp {text} any -> any any (");
            Header::read(&header).unwrap().0.source.0
        };
        Variables {
            addresses: [("HOME_NET".to_owned(), set("192.0.2.0/24"))].into(),
            ports: BTreeMap::new(),
        }
    }

    fn ports(text: &str) -> Result<Ranges, Problem> {
        let header = format!("alert tcp any {text} -> any any (");
        of(&Header::read(&header).unwrap().0.source.1, &variables())
    }

    fn addresses(text: &str) -> Ranges {
        let header = format!("alert tcp {text} any -> any any (");
        of(&Header::read(&header).unwrap().0.source.0, &variables()).unwrap()
    }

    #[test]
    fn lists_are_ranges_in_order() {
        assert_eq!(ports("any").unwrap(), [(0, 65535)]);
        assert_eq!(
            ports("[8000:8010,80,8011:]").unwrap(),
            [(80, 80), (8000, 65535)]
        );
        assert_eq!(ports("!80").unwrap(), [(0, 79), (81, 65535)]);
        assert_eq!(ports("[1:100,!50:60]").unwrap(), [(1, 49), (61, 100)]);
        assert_eq!(ports("[!1:100,!200:]").unwrap(), [(0, 0), (101, 199)]);
        assert!(ports("[1:100,!1:200]").unwrap().is_empty());
        assert!(matches!(ports("$NOBODY"), Err(Problem::Variable(..))));
    }

    #[test]
    fn who_is_outside_is_not_inside() {
        let mapped = |last: u128| 0xffff_c000_0200 + last;
        assert_eq!(addresses("$HOME_NET"), [(mapped(0), mapped(255))]);
        let outside = [(0, mapped(0) - 1), (mapped(256), u128::MAX)];
        assert_eq!(addresses("$EXTERNAL_NET"), outside);
        assert_eq!(addresses("![$HOME_NET,192.0.3.0/24]")[1].0, mapped(512));
        assert_eq!(addresses("$SQL_SERVERS"), addresses("$HOME_NET"));
    }

    #[test]
    fn nobody_of_one_family_is_in_a_network_of_the_other() {
        let [v4] = addresses("0.0.0.0/0")[..] else {
            panic!("the addresses of IPv4 are in one place");
        };
        assert_eq!(addresses("::/0"), [(0, v4.0 - 1), (v4.1 + 1, u128::MAX)]);
        assert_eq!(addresses("!::/0"), [v4]);
        assert_eq!(addresses("[::/0,0.0.0.0/0]"), [(0, u128::MAX)]);
        let net = 0x2001_0db8 << 96;
        assert_eq!(addresses("2001:db8::/127"), [(net, net + 1)]);
    }
}
