//! Rules that ask something of requests of HTTP: which requests a payload has, and what they ask for, on the host and in the kernel.

use std::path::Path;

use anyhow::{Result, ensure};
use detector::{
    replay::runtime::Replay,
    rules::{RuleSet, Variables},
    tables::{HashSeed, Tables},
};
use detector_common::{
    abi::Tally,
    config::{Config, Mode},
    packet::Frame,
    verdict::Verdict,
};
use detector_tests::{builder::Route, kernel::TestKernel, requirements::kernel_or_skip};

/// What a rule asks, payloads that match, and payloads that do not.
type Case = (
    &'static str,
    &'static [&'static [u8]],
    &'static [&'static [u8]],
);

/// The ways to write `/default.ida` that Microsoft's servers took for it.
const WRITTEN: &[&[u8]] = &[
    b"GET /default.ida HTTP/1.0\r\n\r\n",
    b"GET /%64efault.ida HTTP/1.0\r\n\r\n",
    b"GET /%64%65%66%61%75%6c%74%2E%69%64%61 HTTP/1.0\r\n\r\n",
    b"GET /default%2eida?NNNN HTTP/1.0\r\n\r\n",
    b"GET /%u0064efault.ida HTTP/1.0\r\n\r\n",
    b"GET /%U0064efault.ida HTTP/1.0\r\n\r\n",
    b"GET %uff0fdefault%uff0Eida HTTP/1.0\r\n\r\n",
    b"GET /%c1%a4efault.ida HTTP/1.0\r\n\r\n",
    b"GET /\xc1\xa4efault.ida HTTP/1.0\r\n\r\n",
    b"GET %c0%afdefault.ida HTTP/1.0\r\n\r\n",
    b"GET %c1%1cdefault.ida HTTP/1.0\r\n\r\n",
    b"GET %c0%2fdefault.ida HTTP/1.0\r\n\r\n",
    b"GET %e0%80%afdefault.ida HTTP/1.0\r\n\r\n",
    b"GET %f0%80%80%afdefault.ida HTTP/1.0\r\n\r\n",
    b"GET %f8%80%80%80%afdefault.ida HTTP/1.0\r\n\r\n",
    b"GET %fc%80%80%80%80%afdefault.ida HTTP/1.0\r\n\r\n",
    b"GET \\default.ida HTTP/1.0\r\n\r\n",
    b"GET %5cdefault.ida HTTP/1.0\r\n\r\n",
    b"GET /%%64efault/..%5cdefault.ida HTTP/1.0\r\n\r\n",
    b"GET http://www/%64efault.ida HTTP/1.0\r\n\r\n",
    b"\r\n \t\r\nGET  \t /%64efault.ida \t HTTP/1.1 \t\r\n\r\n",
    b"GET /%64efault.ida\n",
    b"GET /%64efault.ida",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /%64efault.ida HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n%64efault\nGET /%64efault.ida HTTP/1.1\r\n\r\n",
    b"and the rest of a body\r\nGET /%64efault.ida HTTP/1.1\r\n\r\n",
];

/// What is none of them.
const NOT_WRITTEN: &[&[u8]] = &[
    b"GET /%2564efault.ida HTTP/1.0\r\n\r\n",
    b"GET /%6gefault.ida HTTP/1.0\r\n\r\n",
    b"GET /%u006gefault.ida HTTP/1.0\r\n\r\n",
    b"GET /%u9064efault.ida HTTP/1.0\r\n\r\n",
    b"GET /%c1aefault.ida HTTP/1.0\r\n\r\n",
    b"GET /%c3%a4efault.ida HTTP/1.0\r\n\r\n",
    b"GET /%e0%81default.ida HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.0\r\nReferer: /default.ida\r\n\r\n",
    b"GET / HTTP/1.0\r\nUser-Agent: /%64efault.ida HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n/default.ida",
    b"GET:/default.ida HTTP/1.0\r\n\r\n",
    b"GET\x01 /default.ida HTTP/1.0\r\n\r\n",
    b"GET a/default.ida\r\n\r\n",
    b"/default.ida HTTP/1.0\r\n\r\n",
    b"some body\n/%64efault.ida",
    b"GET / HTTP/1.0\r\n\r\nGET /%64efault.ida\r\n\r\n",
];

const REQUEST: &[u8] =
    b"POST /a/b?c=%64 HTTP/1.1\r\nHost: www\r\nX-One: first\r\n\r\nX-Two: second\r\n";
const TWO: &[u8] = b"GET /one HTTP/1.1\r\nX: one\r\n\r\nPUT /two HTTP/1.1\r\nX: two\r\n\r\n";

const CASES: &[Case] = &[
    ("http.uri; content:\"/default.ida\";", WRITTEN, NOT_WRITTEN),
    ("content:\"/default.ida\"; http_uri;", WRITTEN, NOT_WRITTEN),
    ("uricontent:\"/default.ida\";", WRITTEN, NOT_WRITTEN),
    (
        "http.uri; content:\"ida\"; isdataat:!1,relative;",
        &[WRITTEN[2]],
        &[WRITTEN[3]],
    ),
    (
        "http.uri; content:\"/a/b?c=d\"; startswith; endswith;",
        &[REQUEST],
        TWO_ALONE,
    ),
    (
        "http.uri; content:\"/a/b?c=%64\"; startswith; endswith;",
        &[REQUEST],
        TWO_ALONE,
    ),
    (
        "http.uri.raw; content:\"/a/b?c=%64\"; startswith; endswith;",
        &[REQUEST],
        TWO_ALONE,
    ),
    ("http.uri.raw; content:\"/a/b?c=d\";", &[], &[REQUEST, TWO]),
    // Both of the same view.
    (
        "http.uri; content:\"%64\"; content:\"c=d\";",
        &[],
        &[REQUEST],
    ),
    (
        "http.uri; content:!\"zzz\";",
        &[REQUEST, TWO],
        &[b"zz", b"GET /zzz HTTP/1.0\r\n"],
    ),
    (
        "http.uri; content:\"b\"; offset:3; depth:1;",
        &[REQUEST],
        TWO_ALONE,
    ),
    ("http.uri; content:\"b\"; offset:4;", &[], &[REQUEST]),
    (
        "http.method; content:\"POST\"; startswith; endswith;",
        &[REQUEST],
        TWO_ALONE,
    ),
    ("http.method; content:\"PO\";", &[REQUEST], TWO_ALONE),
    (
        "http.method; content:\"OSTS\";",
        &[],
        &[b"POST S HTTP/1.0\r\n"],
    ),
    (
        "http.header; content:\"Host: www|0d 0a|\"; startswith;",
        &[REQUEST],
        TWO_ALONE,
    ),
    (
        "http.header; content:\"X-One: first|0d 0a|\"; endswith;",
        &[REQUEST],
        TWO_ALONE,
    ),
    ("http.header; content:\"X-Two\";", &[], &[REQUEST]),
    (
        "http.header; isdataat:!0;",
        &[b"GET / HTTP/1.0\r\n\r\n", b"GET /"],
        &[REQUEST],
    ),
    (
        "http.header; content:\"www\"; http.method; content:\"POST\"; pkt_data; content:\"X-Two\";",
        &[REQUEST],
        TWO_ALONE,
    ),
    // Headers that end with the payload, and lines that are longer than what is looked at in one step.
    (
        "http.header; content:\"b\"; endswith;",
        &[b"GET / HTTP/1.0\r\nA: b"],
        &[b"GET / HTTP/1.0\r\nA: b\r\n"],
    ),
    (
        "http.header; isdataat:4;",
        &[b"GET / HTTP/1.0\r\nA: bc"],
        &[b"GET / HTTP/1.0\r\nA: b"],
    ),
    // Of one request.
    (
        "http.method; content:\"PUT\"; http.uri; content:\"/two\"; http.header; content:\"two\";",
        TWO_ALONE,
        &[REQUEST],
    ),
    (
        "http.method; content:\"GET\"; http.uri; content:\"/two\";",
        &[],
        TWO_ALONE,
    ),
    (
        "http.method; content:\"PUT\"; http.header; content:\"one\";",
        &[],
        TWO_ALONE,
    ),
];

const TWO_ALONE: &[&[u8]] = &[TWO];

/// The tables of one rule with these options, enforced.
fn tables(options: &str) -> Result<Tables> {
    let rule = format!("drop tcp any any -> any 80 (flow:to_server; {options} sid:9;)");
    let set = RuleSet::from_bytes(Path::new("test.rules"), rule.as_bytes());
    ensure!(set.refusals.is_empty(), "{options}: {:?}", set.refusals);
    let config = Config::DEFAULT.with_mode(Mode::Enforce);
    let tables = Tables::new(config, HashSeed::FIXED, &set.rules, &Variables::default());
    ensure!(tables.refused.is_empty(), "{options}: {:?}", tables.refused);
    Ok(tables)
}

fn to_web(payload: &[u8]) -> Vec<u8> {
    let route = Route::default();
    let packet = route.ipv4().tcp(route.src_port, 80);
    packet.payload(payload).build()
}

/// Whether a packet is dropped on the host, where all must be decided.
fn is_found(tables: &Tables, payload: &[u8]) -> bool {
    let mut replay = Replay::new(tables);
    let decision = replay.classify(&Frame::whole(&to_web(payload)), 0, 1);
    let mut tallies = replay.tallies();
    let cut_short = tallies.find(|(tally, _)| *tally == Tally::RulesCutShort);
    assert_eq!(cut_short.map(|(_, count)| count), Some(0), "cut short");
    decision.verdict == Verdict::DROP
}

#[test]
fn a_rule_of_requests_holds_where_its_keywords_say_and_nowhere_else() -> Result<()> {
    let mut wrong = Vec::new();
    for (options, matching, others) in CASES {
        let tables = tables(options)?;
        for (payloads, expected) in [(matching, true), (others, false)] {
            for payload in *payloads {
                if is_found(&tables, payload) != expected {
                    wrong.push(format!(
                        "{options}: {expected} of {}",
                        payload.escape_ascii()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn headers_go_on_behind_a_line_of_any_length() -> Result<()> {
    let tables = tables("http.header; content:\"evil\"; http.uri; content:\"/\";")?;
    for len in (500..530).chain(1020..1030) {
        let line = "a".repeat(len);
        let payload = format!("GET / HTTP/1.0\r\nX: {line}\r\nUser-Agent: evil\r\n\r\n");
        assert!(is_found(&tables, payload.as_bytes()), "{len}");
    }
    Ok(())
}

#[test]
fn headers_that_do_not_end_hide_no_target() -> Result<()> {
    let tables = tables("http.uri; content:\"/default.ida\";")?;
    let payload = format!("GET /default.ida HTTP/1.0\n{}", "a:\n".repeat(300));
    assert!(is_found(&tables, payload.as_bytes()));
    Ok(())
}

#[test]
fn a_packet_that_ends_too_early_shows_nothing_of_the_one_before() -> Result<()> {
    let tables = tables("content:\"/default.ida\";")?;
    let mut replay = Replay::new(&tables);
    for before in (0..1300).step_by(7) {
        let mut payload = vec![b'x'; before];
        payload.extend(b"GET /default.ida");
        payload.resize(1400, b'x');
        let whole = to_web(&payload);
        let decision = replay.classify(&Frame::whole(&whole), 0, 1);
        assert_eq!(decision.verdict, Verdict::DROP, "{before}");
        // Of the next one a capture has the headers and some bytes.
        let next = to_web(&[b'y'; 1400]);
        for kept in [70, 90, 100, 101, 600] {
            let cut = Frame::captured(&next[..kept], next.len());
            let decision = replay.classify(&cut, 0, 1);
            assert_eq!(decision.verdict, Verdict::PASS, "{before} {kept}");
        }
    }
    Ok(())
}

#[test]
fn the_kernel_reads_requests_as_the_host_does() -> Result<()> {
    if !kernel_or_skip("the_kernel_reads_requests_as_the_host_does") {
        return Ok(());
    }
    for (options, matching, others) in CASES {
        let mut kernel = TestKernel::load(&tables(options)?, 1)?;
        for (payloads, expected) in [(matching, Verdict::DROP), (others, Verdict::PASS)] {
            for payload in *payloads {
                let verdict = kernel.run(0, &to_web(payload))?;
                assert_eq!(verdict, expected, "{options}: {}", payload.escape_ascii());
            }
        }
        assert_eq!(kernel.state()?.tally(Tally::RulesCutShort), 0, "{options}");
    }
    Ok(())
}
