//! What an attacker may do to hide a request for `/default.ida`: each way with its packets, what looks for them, and the
//! tables of `docs/evasion.md`, which say who finds it.
//!
//! A way to hide is added here, a rule to look with in [`RULES`]. `tests/tests/evasion.rs` then names the lines of the document
//! that are not true.

mod connection;
pub mod document;
mod packets;
mod requests;
mod segments;

use self::connection::Connection;

/// One way to hide the request.
pub struct Case {
    /// What the attacker does: the first cell of its row.
    pub name: &'static str,
    /// The attacker's port, which no other case has.
    pub client_port: u16,
    /// All packets of the connection as they pass the gateway, the server's too.
    pub frames: Vec<Vec<u8>>,
}

/// Rules of ours: what their column is called, and what they ask of TCP to port 80. Each is in force alone.
pub const RULES: &[(&str, &str)] = &[
    ("`content`", "content:\"/default.ida\"; nocase;"),
    ("`http.uri`", "http.uri; content:\"/default.ida\"; nocase;"),
];

/// Rules of Suricata's: what their column is called, and the rule, whose number is the place of the column, from 1. The first looks at
/// packets alone, as detector does; the second is detector's own, and looks at the stream too.
pub const SURICATA_RULES: [(&str, &str); 3] = [
    (
        "packets",
        "alert tcp any any -> any 80 (flow:no_stream; content:\"/default.ida\"; nocase; sid:1;)",
    ),
    (
        "stream",
        "alert tcp any any -> any 80 (content:\"/default.ida\"; nocase; sid:2;)",
    ),
    (
        "`http.uri`",
        "alert http any any -> any 80 (http.uri; content:\"/default.ida\"; nocase; sid:3;)",
    ),
];

/// Every case, as they stand in the document.
#[must_use]
pub fn all() -> Vec<Case> {
    let mut cases = requests::cases();
    cases.extend(packets::cases());
    cases.extend(segments::cases());
    cases
}

/// What the attacker does, and what packets that makes.
type Way = (&'static str, fn(Connection) -> Vec<Vec<u8>>);

/// The cases of these ways, each from a port of its own.
fn cases_from(first_port: u16, ways: &[Way]) -> impl Iterator<Item = Case> {
    (first_port..)
        .zip(ways)
        .map(|(client_port, (name, frames))| Case {
            name,
            client_port,
            frames: frames(Connection::from_port(client_port)),
        })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::all;

    #[test]
    fn no_two_cases_share_a_name_or_a_port() {
        let cases = all();
        let names: BTreeSet<_> = cases.iter().map(|case| case.name).collect();
        let ports: BTreeSet<_> = cases.iter().map(|case| case.client_port).collect();
        assert_eq!((names.len(), ports.len()), (cases.len(), cases.len()));
    }
}
