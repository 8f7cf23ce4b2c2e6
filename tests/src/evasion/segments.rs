//! The request spread over segments, and segments that are there only to mislead who looks on.

use super::{Case, Way, cases_from, connection::REQUEST};
use crate::builder::{ACK, PSH, URG};

const FIRST_PORT: u16 = 42_000;
/// Where the request is cut: `GET /def`, `ault.ida`.
const CUT: usize = 8;
/// As long as the request, for something that is there.
const DECOY: &[u8] = b"GET /index.html?NNNNN HTTP/1.0\r\nHost: www\r\n\r\n";
const _: () = assert!(DECOY.len() == REQUEST.len());
/// No packet has this one by right.
const WRONG_CHECKSUM: u16 = 0xdead;

const WAYS: &[Way] = &[
    ("sends two segments, the name cut", |connection| {
        let (first, second) = REQUEST.split_at(CUT);
        let packets = [connection.data(0, first), connection.data(CUT, second)];
        connection.with(packets, REQUEST.len())
    }),
    ("sends segments of one byte", |connection| {
        let bytes = REQUEST.chunks(1).enumerate();
        let packets = bytes.map(|(at, byte)| connection.data(at, byte));
        connection.with(packets, REQUEST.len())
    }),
    ("sends two segments, the second one first", |connection| {
        let (first, second) = REQUEST.split_at(CUT);
        let packets = [connection.data(CUT, second), connection.data(0, first)];
        connection.with(packets, REQUEST.len())
    }),
    (
        "sends a part of something else first, ahead of its turn, then the whole request over it",
        |connection| {
            let packets = [
                connection.data(CUT, &DECOY[CUT..CUT + 8]),
                connection.data(0, REQUEST),
            ];
            connection.with(packets, REQUEST.len())
        },
    ),
    (
        "sends something else first, which the server does not get, then the request with the same numbers",
        |connection| {
            let packets = [connection.data(0, DECOY), connection.data(0, REQUEST)];
            connection.with(packets, REQUEST.len())
        },
    ),
    (
        "sends something else first, with a wrong checksum, then the request with the same numbers",
        |connection| {
            let decoy = connection.data(0, DECOY).checksum(WRONG_CHECKSUM);
            let packets = [decoy, connection.data(0, REQUEST)];
            connection.with(packets, REQUEST.len())
        },
    ),
    (
        "sends two segments that overlap, to a server that keeps what came first",
        |connection| {
            let mut second = REQUEST[CUT..].to_vec();
            second[..4].copy_from_slice(b"XXXX");
            let packets = [
                connection.data(0, &REQUEST[..CUT + 4]),
                connection.data(CUT, &second),
            ];
            connection.with(packets, REQUEST.len())
        },
    ),
    (
        "sends two segments that overlap, to a server that keeps what came last",
        |connection| {
            let mut first = REQUEST[..CUT + 4].to_vec();
            first[CUT..].copy_from_slice(b"XXXX");
            let packets = [
                connection.data(0, &first),
                connection.data(CUT, &REQUEST[CUT..]),
            ];
            connection.with(packets, REQUEST.len())
        },
    ),
    (
        "puts an urgent byte into the name, which the server takes out: `/defXault.ida`",
        |connection| {
            let (first, second) = REQUEST.split_at(CUT);
            let payload = [first, b"X", second].concat();
            let packet = connection
                .data(0, &payload)
                .flags(URG | PSH | ACK)
                .urgent(9);
            connection.with([packet], payload.len())
        },
    ),
    (
        "began the connection where the gateway did not see it",
        |connection| {
            let mut frames = vec![connection.data(0, REQUEST).build()];
            frames.extend(connection.answer(REQUEST.len()));
            frames
        },
    ),
];

pub(super) fn cases() -> Vec<Case> {
    cases_from(FIRST_PORT, WAYS).collect()
}
