//! Who works on the machine from afar: the other ends of connections to its SSH server.
//!
//! The kernel's tables of connections tell them, as far as the server listens on port 22. Where it listens elsewhere, or the
//! connection ends in another namespace, the environment names at least whom the agent was started from.
//!
//! The kernel does not know who has logged in. But a server ends the connection of whoever has not within two minutes
//! (`LoginGraceTime` of OpenSSH), so one that lasts longer is somebody's who has. Those that stand as the agent starts count at once,
//! for one of them is the operator's.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::{Duration, Instant},
};

use super::parse_address;

/// The TCP connections of the agent's network namespace.
const TABLES: [&str; 2] = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
/// No more of a table is read: a hundred thousand connections.
const BYTES_MAX: u64 = 16 << 20;
/// No more connections are kept: those with the lowest addresses.
const PEERS_MAX: usize = 256;
/// RFC 4251 §1: where an SSH server listens.
const PORT: u16 = 22;
/// Linux v6.12 `include/net/tcp_states.h`: the handshake was whole.
const ESTABLISHED: &str = "01";

/// How long a connection stands before whoever has it is held to have logged in.
const LOGGED_IN_AFTER: Duration = Duration::from_secs(150);

/// A connection, by its other end.
type Connection = (IpAddr, u16);

/// The connections that were seen, and since when.
#[derive(Debug, Default)]
pub(in crate::agent) struct Connections {
    /// `None` of those that stood as they were first looked for.
    since: BTreeMap<Connection, Option<Instant>>,
    looked: bool,
}

impl Connections {
    /// Takes note of those that stand now; gives the peers who are held to have logged in.
    pub(super) fn see(
        &mut self,
        standing: &BTreeSet<Connection>,
        now: Instant,
    ) -> BTreeSet<IpAddr> {
        let first = if self.looked { Some(now) } else { None };
        self.looked = true;
        let since = |connection: &Connection| {
            let known = self.since.get(connection).copied();
            (*connection, known.unwrap_or(first))
        };
        self.since = standing.iter().map(since).collect();
        let logged_in = self.since.iter().filter(|(_, since)| {
            since.is_none_or(|since| now.duration_since(since) >= LOGGED_IN_AFTER)
        });
        let peers = logged_in.map(|((peer, _), _)| *peer);
        let connection = env::var("SSH_CONNECTION").unwrap_or_default();
        peers.chain(client_in(&connection)).collect()
    }
}

/// The connections there are; none where the kernel does not tell.
pub(super) fn read() -> BTreeSet<Connection> {
    let mut peers = BTreeSet::new();
    for table in TABLES {
        let Ok(table) = File::open(table) else {
            continue;
        };
        // The lines are ASCII; what is not ends the reading.
        let lines = BufReader::new(table.take(BYTES_MAX)).lines();
        for peer in lines
            .map_while(Result::ok)
            .filter_map(|line| peer_in(&line))
        {
            peers.insert(peer);
            if peers.len() > PEERS_MAX {
                peers.pop_last();
            }
        }
    }
    peers
}

/// The other end that a line of a table names, if it is of a connection to the SSH server.
fn peer_in(line: &str) -> Option<Connection> {
    // Linux v6.12 Documentation/networking/proc_net_tcp.rst: number, local end, other end, state, …
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (local, remote) = (fields.next()?, fields.next()?);
    let (_, port) = local.split_once(':')?;
    if fields.next()? != ESTABLISHED || u16::from_str_radix(port, 16).ok()? != PORT {
        return None;
    }
    let (address, port) = remote.split_once(':')?;
    Some((address_of(address)?, u16::from_str_radix(port, 16).ok()?))
}

/// An address in words of the kernel's byte order, each of eight digits.
fn address_of(digits: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let digits = digits.get(at..at + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    match digits.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut octets = [0; 16];
            for (index, four) in octets.chunks_exact_mut(4).enumerate() {
                four.copy_from_slice(&word(8 * index)?);
            }
            Some(Ipv6Addr::from(octets).to_canonical())
        }
        _ => None,
    }
}

/// The client of the variable `SSH_CONNECTION`, which has its address and port and those of the server.
fn client_in(connection: &str) -> Option<IpAddr> {
    parse_address(connection.split_ascii_whitespace().next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel prints of an address.
    fn digits(octets: &[u8]) -> String {
        let words = octets.chunks_exact(4);
        let word = |four: &[u8]| u32::from_ne_bytes(four.try_into().unwrap());
        let words: Vec<_> = words.map(|four| format!("{:08X}", word(four))).collect();
        words.concat()
    }

    fn line(local_port: u16, remote: &str, state: &str) -> String {
        let local = digits(&[192, 0, 2, 1]);
        format!(
            "   1: {local}:{local_port:04X} {remote}:D431 {state} 00000000:00000000 02:000A 00000000     0        0 20 4"
        )
    }

    #[test]
    fn who_connects_later_is_held_to_have_logged_in_once_the_server_has_not_hung_up() {
        let (operator, stranger) = ([192, 0, 2, 1].into(), [198, 51, 100, 9].into());
        let mut connections = Connections::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let both = [(operator, 50_000), (stranger, 40_000)].into();
        let peers = connections.see(&[(operator, 50_000)].into(), start);
        assert!(peers.contains(&operator));
        for (at, expected) in [(10, false), (100, false), (161, true)] {
            let peers = connections.see(&both, after(at));
            assert!(peers.contains(&operator));
            assert_eq!(peers.contains(&stranger), expected, "after {at} s");
        }
        // Another connection of the same host begins anew.
        let another = [(stranger, 40_001)].into();
        assert!(!connections.see(&another, after(200)).contains(&stranger));
    }

    #[test]
    fn who_has_a_connection_to_port_22_is_a_peer() {
        let four = digits(&[198, 51, 100, 7]);
        assert_eq!(
            peer_in(&line(22, &four, "01")),
            Some(([198, 51, 100, 7].into(), 0xd431))
        );
        assert_eq!(peer_in(&line(222, &four, "01")), None);
        for state in ["06", "0A", "1", "001", ""] {
            assert_eq!(peer_in(&line(22, &four, state)), None, "{state}");
        }
        let six = Ipv6Addr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 7]);
        assert_eq!(
            peer_in(&line(22, &digits(&six.octets()), "01")),
            Some((six.into(), 0xd431))
        );
        let mapped = Ipv4Addr::from([198, 51, 100, 7]).to_ipv6_mapped();
        assert_eq!(
            peer_in(&line(22, &digits(&mapped.octets()), "01")),
            Some(([198, 51, 100, 7].into(), 0xd431))
        );
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn a_line_as_a_little_endian_kernel_prints_it() {
        let line = "  12: 010200C0:0016 420200C0:C34A 01 00000000:00000000 02:0009B1D3 00000000     0        0 4242 2";
        assert_eq!(peer_in(line), Some(([192, 0, 2, 66].into(), 0xc34a)));
    }

    #[test]
    fn what_is_no_line_of_a_connection_names_nobody() {
        for line in [
            "",
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
            "1: 0:0016",
            "1: :0016 : 01",
            "1: 0:0016 0:0 01",
            "1: 0:0016 0000000é:0 01",
            "1: 0:0016 +1234567x:0 01",
            "1: 0:10016 01010101:0 01",
            "1: 0:0016 010101010101010101010101010101ü0:0 01",
            "\u{0}\u{1b}[2J :",
        ] {
            assert_eq!(peer_in(line), None, "{line:?}");
        }
    }

    #[test]
    fn the_agent_was_started_from_a_client() {
        assert_eq!(
            client_in("198.51.100.7 50000 192.0.2.1 2222"),
            Some([198, 51, 100, 7].into())
        );
        for text in ["", " ", "UNKNOWN 65535 UNKNOWN 65535"] {
            assert_eq!(client_in(text), None, "{text:?}");
        }
    }
}
