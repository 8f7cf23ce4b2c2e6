//! What stands before the options: what is done, and to packets of whom to whom.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use winnow::{
    ModalResult, Parser as _,
    ascii::{multispace0, multispace1},
    combinator::{alt, cut_err, delimited, opt, preceded, separated},
    error::{StrContext, StrContextValue},
    token::{rest, take_while},
};

use super::{option::Fault, problem::Problem};

/// Lists within lists.
pub(super) const DEPTH_MAX: usize = 8;

/// What is done with a packet that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is reported.
    Alert,
    /// It is reported, and dropped when enforcing.
    Drop,
    /// No other rule is asked.
    Pass,
}

impl Action {
    /// How it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Drop => "drop",
            Self::Pass => "pass",
        }
    }
}

impl Protocol {
    /// How it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::Ip => "ip",
        }
    }
}

/// Which packets are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Segments of TCP.
    Tcp,
    /// Datagrams of UDP.
    Udp,
    /// ICMP and `ICMPv6`.
    Icmp,
    /// All of IPv4 and IPv6.
    Ip,
}

/// Addresses or ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Set<T> {
    /// All.
    Any,
    /// From one to another.
    Range(T),
    /// What the configuration says under this name.
    Variable(String),
    /// All but these.
    Not(Box<Self>),
    /// Those that are in any of these that is not negated (in all there are, if all are), and in none that is.
    AnyOf(Vec<Self>),
}

/// Addresses, both ends included, of the same family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    /// The first.
    pub first: IpAddr,
    /// The last.
    pub last: IpAddr,
}

/// Ports, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

/// Who, and at which port.
pub type Endpoint = (Set<AddressRange>, Set<PortRange>);

/// The header of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// What is done.
    pub action: Action,
    /// Of which protocol.
    pub protocol: Protocol,
    /// From whom.
    pub source: Endpoint,
    /// To whom.
    pub destination: Endpoint,
    /// Whether packets the other way count too.
    pub both_ways: bool,
}

impl Header {
    /// Reads the header of a rule; gives where its options begin, behind the parenthesis.
    pub(super) fn read(text: &str) -> Result<(Self, usize), Fault> {
        let (at, word, after) = word(text, 0);
        let action = match &*word.to_ascii_lowercase() {
            "alert" => Action::Alert,
            "drop" => Action::Drop,
            "pass" => Action::Pass,
            _ => return Err(Fault::new(at, Problem::Action(word.into()))),
        };
        let (at, word, after) = self::word(text, after);
        let protocol = match &*word.to_ascii_lowercase() {
            // Suricata's names for what a packet filter does anyway.
            "tcp" | "tcp-pkt" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            "icmp" => Protocol::Icmp,
            "ip" => Protocol::Ip,
            _ => return Err(Fault::new(at, Problem::Protocol(word.into()))),
        };
        let ends = text.get(after..).unwrap_or_default();
        let options = ends.find('(');
        if depth(options.and_then(|at| ends.get(..at)).unwrap_or(ends)) > DEPTH_MAX {
            return Err(Fault::new(after, Problem::TooDeep));
        }
        let mut whole = (endpoint, direction, endpoint, open, rest);
        let (source, both_ways, destination, (), options) = whole.parse(ends).map_err(|error| {
            let expected = error.inner().context().find_map(expected);
            let expected =
                expected.unwrap_or("an address, a port, a direction and another address and port");
            Fault::new(after + error.offset(), Problem::Expected(expected.into()))
        })?;
        let has_ports = source.1 != Set::Any || destination.1 != Set::Any;
        if has_ports && matches!(protocol, Protocol::Icmp | Protocol::Ip) {
            let problem = Problem::Refused {
                keyword: "ports",
                why: "only tcp and udp have them: write a rule of each",
            };
            return Err(Fault::new(after, problem));
        }
        let header = Self {
            action,
            protocol,
            source,
            destination,
            both_ways,
        };
        Ok((header, text.len() - options.len()))
    }
}

/// The word at `from`: where it begins, the word, and where it ends.
fn word(text: &str, from: usize) -> (usize, &str, usize) {
    let rest = text.get(from..).unwrap_or_default();
    let begin = rest.len() - rest.trim_start().len();
    let rest = rest.trim_start();
    let len = rest
        .find(|char: char| char.is_whitespace() || char == '(')
        .unwrap_or(rest.len());
    (from + begin, &rest[..len], from + begin + len)
}

/// How deep lists stand in each other.
fn depth(text: &str) -> usize {
    let mut depth = 0_usize;
    let depths = text.bytes().map(|byte| {
        match byte {
            b'[' => depth += 1,
            b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth
    });
    depths.max().unwrap_or_default()
}

fn expected(context: &StrContext) -> Option<&'static str> {
    if let StrContext::Expected(StrContextValue::Description(what)) = context {
        Some(*what)
    } else {
        None
    }
}

fn description(what: &'static str) -> StrContext {
    StrContext::Expected(StrContextValue::Description(what))
}

fn endpoint(input: &mut &str) -> ModalResult<Endpoint> {
    (
        preceded(multispace1, addresses),
        preceded(multispace1, ports),
    )
        .parse_next(input)
}

fn addresses(input: &mut &str) -> ModalResult<Set<AddressRange>> {
    let mut addresses = |input: &mut &str| set(address_range, input);
    addresses
        .by_ref()
        .context(description(
            "addresses: any, $NAME, 192.0.2.0/24, or [a,!b]",
        ))
        .parse_next(input)
}

fn ports(input: &mut &str) -> ModalResult<Set<PortRange>> {
    let mut ports = |input: &mut &str| set(port_range, input);
    ports
        .by_ref()
        .context(description("ports: any, $NAME, 80, 1:1023, or [a,!b]"))
        .parse_next(input)
}

fn direction(input: &mut &str) -> ModalResult<bool> {
    preceded(multispace1, alt(("->".value(false), "<>".value(true))))
        .context(description("-> or <>"))
        .parse_next(input)
}

fn open(input: &mut &str) -> ModalResult<()> {
    (multispace0, '(')
        .void()
        .context(description("options in parentheses"))
        .parse_next(input)
}

fn set<'s, T>(
    range: fn(&mut &'s str) -> ModalResult<T>,
    input: &mut &'s str,
) -> ModalResult<Set<T>> {
    let not = opt('!').parse_next(input)?.is_some();
    let list = separated(
        1..,
        delimited(
            multispace0,
            |input: &mut &'s str| set(range, input),
            multispace0,
        ),
        ',',
    );
    let set = alt((
        delimited('[', cut_err(list), cut_err(']')).map(Set::AnyOf),
        preceded('$', take_while(1.., is_of_name)).map(|name: &str| Set::Variable(name.to_owned())),
        take_while(1.., is_of_name)
            .verify(|word: &str| word.eq_ignore_ascii_case("any"))
            .map(|_| Set::Any),
        range.map(Set::Range),
    ))
    // All but all is nobody.
    .verify(|set: &Set<T>| !(not && set.is_all()))
    .parse_next(input)?;
    Ok(if not { Set::Not(Box::new(set)) } else { set })
}

fn is_of_name(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '_'
}

fn address_range(input: &mut &str) -> ModalResult<AddressRange> {
    take_while(1.., |char: char| {
        char.is_ascii_hexdigit() || ".:/-".contains(char)
    })
    .verify_map(AddressRange::of)
    .parse_next(input)
}

fn port_range(input: &mut &str) -> ModalResult<PortRange> {
    take_while(1.., |char: char| char.is_ascii_digit() || char == ':')
        .verify_map(PortRange::of)
        .parse_next(input)
}

impl Set<AddressRange> {
    /// Reads addresses as they stand in a rule.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        parse_set(addresses, text)
    }
}

impl Set<PortRange> {
    /// Reads ports as they stand in a rule.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        parse_set(ports, text)
    }
}

fn parse_set<T>(set: fn(&mut &str) -> ModalResult<Set<T>>, text: &str) -> Result<Set<T>, Problem> {
    if depth(text) > DEPTH_MAX {
        return Err(Problem::TooDeep);
    }
    let mut set = |input: &mut &str| set(input);
    set.by_ref().parse(text.trim()).map_err(|error| {
        let expected = error.inner().context().find_map(expected);
        Problem::Expected(expected.unwrap_or("a set as rules have it").into())
    })
}

impl<T> Set<T> {
    fn is_all(&self) -> bool {
        match self {
            Self::Any => true,
            Self::AnyOf(sets) => sets.iter().any(Self::is_all),
            Self::Range(_) | Self::Variable(_) | Self::Not(_) => false,
        }
    }
}

impl AddressRange {
    fn of(text: &str) -> Option<Self> {
        let (first, last) = if let Some((first, last)) = text.split_once('-') {
            (first.parse().ok()?, last.parse().ok()?)
        } else if let Ok(address) = text.parse::<IpAddr>() {
            (address, address)
        } else {
            let net = text.parse::<IpNet>().ok().or_else(|| {
                let (address, mask) = text.split_once('/')?;
                let (address, mask) = (address.parse().ok()?, mask.parse::<Ipv4Addr>().ok()?);
                Ipv4Net::with_netmask(address, mask).ok().map(IpNet::V4)
            })?;
            let last = match net {
                IpNet::V4(net) => net.broadcast().into(),
                IpNet::V6(net) => net.broadcast().into(),
            };
            (net.network(), last)
        };
        let range = Self { first, last };
        (first <= last && first.is_ipv4() == last.is_ipv4()).then_some(range)
    }
}

impl PortRange {
    fn of(text: &str) -> Option<Self> {
        let (first, last) = match text.split_once(':') {
            None => {
                let port = text.parse().ok()?;
                (port, port)
            }
            Some(("", "")) => return None,
            Some(("", last)) => (0, last.parse().ok()?),
            Some((first, "")) => (first.parse().ok()?, u16::MAX),
            Some((first, last)) => (first.parse().ok()?, last.parse().ok()?),
        };
        (first <= last).then_some(Self { first, last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> Header {
        Header::read(text).unwrap().0
    }

    fn refusal(text: &str) -> (usize, String) {
        let Fault { at, problem, .. } = Header::read(text).unwrap_err();
        (at, problem.to_string())
    }

    fn prefix(first: &str, last: &str) -> Set<AddressRange> {
        Set::Range(AddressRange {
            first: first.parse().unwrap(),
            last: last.parse().unwrap(),
        })
    }

    fn port(first: u16, last: u16) -> Set<PortRange> {
        Set::Range(PortRange { first, last })
    }

    #[test]
    fn addresses_and_ports_are_read_in_every_form() {
        let read = header(
            " drop tcp [$HOME_NET, !192.0.2.7,10.0.0.0/255.0.0.0,2001:db8::/126] ![80,8000:] <> 192.0.2.1-192.0.2.9 :1023(x",
        );
        assert_eq!((read.action, read.protocol), (Action::Drop, Protocol::Tcp));
        assert!(read.both_ways);
        let (addresses, ports) = read.source;
        assert_eq!(
            addresses,
            Set::AnyOf(vec![
                Set::Variable("HOME_NET".to_owned()),
                Set::Not(Box::new(prefix("192.0.2.7", "192.0.2.7"))),
                prefix("10.0.0.0", "10.255.255.255"),
                prefix("2001:db8::", "2001:db8::3"),
            ])
        );
        let not = Set::AnyOf(vec![port(80, 80), port(8000, u16::MAX)]);
        assert_eq!(ports, Set::Not(Box::new(not)));
        let expected = (prefix("192.0.2.1", "192.0.2.9"), port(0, 1023));
        assert_eq!(read.destination, expected);
    }

    #[test]
    fn what_is_no_header_is_refused_where_it_is_wrong() {
        for (text, at, message) in [
            (
                "reject tcp any any -> any any (",
                0,
                "action \"reject\": a packet filter can alert, drop and pass",
            ),
            (
                "alert http any any -> any any (",
                6,
                "protocol \"http\": expected tcp, udp, icmp or ip; what speaks in a connection is not followed",
            ),
            (
                "alert tcp any 99999 -> any any (",
                14,
                "expected ports: any, $NAME, 80, 1:1023, or [a,!b]",
            ),
            ("alert tcp any any <- any any (", 18, "expected -> or <>"),
            (
                "alert tcp any any -> any any",
                28,
                "expected options in parentheses",
            ),
        ] {
            assert_eq!(refusal(text), (at, message.to_owned()), "{text}");
        }
        let ports = refusal("alert icmp any 80 -> any any (").1;
        assert_eq!(
            ports,
            "ports: only tcp and udp have them: write a rule of each"
        );
        assert_eq!(
            header("ALERT TCP Any any -> any any (").protocol,
            Protocol::Tcp
        );
        let deep = format!("alert tcp {}any any -> any any (", "[".repeat(100_000));
        assert!(refusal(&deep).1.contains("8 deep"));
        for text in [
            "alert tcp !!192.0.2.1 any -> any any (",
            "alert tcp !any any -> any any (",
            "alert tcp ![192.0.2.1,any] any -> any any (",
            "alert tcp 192.0.2.9-192.0.2.1 any -> any any (",
        ] {
            assert!(refusal(text).1.starts_with("expected addresses"), "{text}");
        }
    }
}
