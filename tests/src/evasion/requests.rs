//! The request written otherwise: each is one packet's whole payload.

use super::{Case, connection::Connection};

const FIRST_PORT: u16 = 40_000;

const REQUESTS: &[(&str, &[u8])] = &[
    (
        "hides nothing: `GET /default.ida?NNNN HTTP/1.0`",
        super::connection::REQUEST,
    ),
    (
        "writes upper case: `/DEFAULT.IDA`",
        b"GET /DEFAULT.IDA?NNNN HTTP/1.0\r\nHost: www\r\n\r\n",
    ),
    (
        "names the host in the URI: `GET http://www/default.ida`",
        b"GET http://www/default.ida?NNNN HTTP/1.0\r\nHost: www\r\n\r\n",
    ),
    (
        "writes several spaces behind `GET`",
        b"GET   /default.ida?NNNN HTTP/1.0\r\nHost: www\r\n\r\n",
    ),
    (
        "writes tabs for spaces",
        b"GET\t/default.ida?NNNN\tHTTP/1.0\r\nHost: www\r\n\r\n",
    ),
    (
        "ends lines with LF alone",
        b"GET /default.ida?NNNN HTTP/1.0\nHost: www\n\n",
    ),
    (
        "speaks HTTP/0.9: `GET /default.ida?NNNN` and nothing else",
        b"GET /default.ida?NNNN\r\n",
    ),
    (
        "begins with an empty line",
        b"\r\nGET /default.ida?NNNN HTTP/1.0\r\nHost: www\r\n\r\n",
    ),
    (
        "asks for something else first, in the same packet (pipelining)",
        b"GET / HTTP/1.1\r\nHost: www\r\n\r\nGET /default.ida?NNNN HTTP/1.1\r\nHost: www\r\n\r\n",
    ),
    (
        "goes into a directory and out again: `/x/../default.ida`",
        b"GET /x/../default.ida?NNNN HTTP/1.0\r\nHost: www\r\n\r\n",
    ),
    (
        "goes into the same directory again: `//./default.ida`",
        b"GET //./default.ida?NNNN HTTP/1.0\r\nHost: www\r\n\r\n",
    ),
    (
        "writes a zero behind it: `/default.ida%00.html`",
        b"GET /default.ida%00.html?NNNN HTTP/1.0\r\nHost: www\r\n\r\n",
    ),
    (
        "encodes a letter: `/%64efault.ida`",
        b"GET /%64efault.ida?NNNN HTTP/1.0\r\nHost: www\r\n\r\n",
    ),
    (
        "encodes the dot: `/default%2eida`",
        b"GET /default%2eida?NNNN HTTP/1.0\r\nHost: www\r\n\r\n",
    ),
    (
        "encodes a letter as Microsoft's servers read it: `/%u0064efault.ida`",
        b"GET /%u0064efault.ida?NNNN HTTP/1.0\r\nHost: www\r\n\r\n",
    ),
    (
        "encodes a letter in UTF-8 that is longer than it has to be: `/%c1%a4efault.ida`",
        b"GET /%c1%a4efault.ida?NNNN HTTP/1.0\r\nHost: www\r\n\r\n",
    ),
    (
        "writes a backslash, as Microsoft's servers take: `GET \\default.ida`",
        b"GET \\default.ida?NNNN HTTP/1.0\r\nHost: www\r\n\r\n",
    ),
    (
        "encodes a letter twice: `/%2564efault.ida`",
        b"GET /%2564efault.ida?NNNN HTTP/1.0\r\nHost: www\r\n\r\n",
    ),
];

pub(super) fn cases() -> Vec<Case> {
    (FIRST_PORT..)
        .zip(REQUESTS)
        .map(|(client_port, (name, payload))| Case {
            name,
            client_port,
            frames: Connection::from_port(client_port).with_payload(payload),
        })
        .collect()
}
