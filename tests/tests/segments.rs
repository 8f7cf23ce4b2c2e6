//! Patterns that are cut by segments of TCP: what is found behind what came before, and what is not, on the host and in the kernel.

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
use detector_tests::{
    builder::{Route, SYN},
    kernel::TestKernel,
    requirements::kernel_or_skip,
};

/// The number of a client's first byte; the longest stream here goes over the end of numbers.
const START: u32 = u32::MAX - 20;

/// What a rule asks, the segments of a connection in order, and the number of the one in which it is found.
type Case = (&'static str, &'static [&'static [u8]], Option<usize>);

const LONG: &[u8] = &[b'x'; 300];

const CASES: &[Case] = &[
    // Of one content.
    ("content:\"abcdefgh\";", &[b"xxabcd", b"efghxx"], Some(1)),
    ("content:\"abcdefgh\";", &[b"ab", b"cd", b"ef", b"gh"], Some(3)),
    ("content:\"abcdefgh\";", &[b"xxabcd", b"fghxx"], None),
    ("content:\"ABCDEFGH\"; nocase;", &[b"xxabcd", b"efghxx"], Some(1)),
    ("content:\"abcd\";", &[b"xxa", b"bcdxx"], Some(1)),
    ("content:\"abcde\";", &[b"xxabcd", b"e"], Some(1)),
    // Which no filter looks for.
    ("content:\"abc\";", &[b"xa", b"b", b"cx"], Some(2)),
    ("content:\"ab\"; content:\"cd\"; distance:0;", &[b"a", b"b c", b"d"], Some(2)),
    // Of two, each in a segment.
    (
        "content:\"first one\"; content:\"second\"; distance:0;",
        &[b"the first one, ", b"the second"],
        Some(1),
    ),
    (
        "content:\"first one\"; content:\"second\"; distance:0; within:7;",
        &[b"the first one, ", b"the second"],
        None,
    ),
    (
        "content:\"the longer one\"; content:\"short\";",
        &[b"short", b"and the longer one"],
        Some(1),
    ),
    // From the beginning of the stream.
    ("content:\"abcdefgh\"; startswith;", &[b"abcd", b"efghxx"], Some(1)),
    ("content:\"abcdefgh\"; startswith;", &[b"xabcd", b"efghxx"], None),
    ("content:\"abcdefgh\"; offset:4; depth:8;", &[b"xxxxab", b"cdefgh"], Some(1)),
    ("content:\"abcdefgh\"; offset:4; depth:8;", &[b"xxxxxab", b"cdefgh"], None),
    ("content:\"abcdefgh\"; depth:100;", &[LONG, b"abcd", b"efgh"], None),
    ("content:\"abcdefgh\"; startswith;", &[LONG, b"abcd", b"efgh"], None),
    // Whose beginning is not known any more.
    ("content:\"abcdefgh\";", &[LONG, b"abcd", b"efgh"], Some(2)),
    ("content:\"abcdefgh\";", &[LONG, LONG, b"abcdefg", b"h"], Some(3)),
    ("content:\"abc\";", &[LONG, b"xxxa", b"bc"], Some(2)),
    // What they are found by stands far behind the cut, or close.
    ("content:\"zz\"; content:\"abcdefgh\";", &[LONG, b"zz", b"xxxxxxxxxxxxxxxxabcdefgh"], Some(2)),
    ("content:\"zz\"; content:\"abcdefgh\"; distance:0;", &[LONG, b"zz", b"xxxxxxxxxxxxxxxxabcdefgh"], Some(2)),
    ("content:\"zz\"; content:\"abcdefgh\"; distance:0;", &[LONG, b"zz", b"xabcdefgh"], Some(2)),
    ("content:\"zz\"; content:\"abcdefgh\"; distance:40;", &[LONG, b"zz", b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxabcdefgh"], Some(2)),
    ("content:\"abcdefgh\"; content:\"zz\"; distance:4; within:2;", &[LONG, LONG, b"xxabcdef", b"gh1234zz"], Some(3)),
    ("content:\"zz\"; content:\"abcdefgh\"; distance:4; within:8;", &[LONG, b"zzxx", b"xxabcdef", b"gh"], Some(3)),
    // Bytes that an expression says.
    ("content:\"abcdefgh\"; pcre:\"/^.{3}/R\";", &[b"xxabcdefgh123"], Some(0)),
    ("content:\"abcdefgh\"; pcre:\"/^.{3}/R\";", &[b"xxabcdefgh12"], None),
    ("content:\"abcdefgh\"; pcre:\"/^.{3}/R\";", &[b"xxabcdefgh1\n3"], None),
    ("content:\"abcdefgh\"; pcre:\"/^.{3}/sR\";", &[b"xxabcdefgh1\n3"], Some(0)),
    ("content:\"abcd\"; pcre:\"/^(\\x01|\\xff)/sR\";", &[b"abcd abcd\x02abcd\xff"], Some(0)),
    ("content:\"abcd\"; pcre:\"/^(\\x01|\\xff)/sR\";", &[b"abcd abcd\x02abcd"], None),
    ("content:\"abcd\"; pcre:!\"/^[0-9]/R\";", &[b"abcd1abcd2"], None),
    ("content:\"abcd\"; pcre:!\"/^[0-9]/R\";", &[b"abcd1abcdx"], Some(0)),
    ("content:\"abcd\"; pcre:\"/^.[xy]/iR\"; content:\"z\"; distance:0; within:1;", &[b"abcd1xxabcd1Yz"], Some(0)),
    ("content:\"abcd\"; pcre:\"/^.[xy]/iR\"; content:\"z\"; distance:0; within:1;", &[b"abcd1xxz"], None),
    ("content:\"abcd\"; pcre:\"/^.[xy]/iR\"; byte_test:1,=,0x7a,0,relative;", &[b"abcd1xxabcd1Yz"], Some(0)),
    ("content:\"abcd\"; pcre:\"/^x.{2}a/\";", &[b"x12abcd"], Some(0)),
    ("content:\"abcd\"; pcre:\"/^x.{2}a/\";", &[b"yx12abcd"], None),
    ("content:\"abcd\"; pcre:\"/^.{3}[1-3]/R\";", &[b"abcd1", b"231"], Some(1)),
    ("content:\"abcd\"; pcre:\"/^.{3}[1-3]/R\";", &[b"abcd1", b"234"], None),
    ("content:\"/a\"; http_uri; pcre:\"/^[0-9]b/RU\";", &[b"GET /a/%61%37b HTTP/1.0\r\n\r\n"], Some(0)),
    // What a part of a stream does not say.
    ("content:\"abcdefgh\"; content:!\"zz\";", &[b"xxabcd", b"efghxx"], None),
    ("content:\"abcdefgh\"; dsize:<9;", &[b"xxabcd", b"efghxx"], None),
    ("content:\"abcdefgh\"; endswith;", &[b"xxabcd", b"efgh"], None),
    ("content:\"abcdefgh\"; isdataat:!9;", &[b"xabcd", b"efgh"], None),
    (
        "content:\"abcdefgh\"; byte_test:1,=,120,0;",
        &[b"xxabcd", b"efghxx"],
        None,
    ),
    (
        "content:\"abcdefgh\"; byte_jump:1,0,relative,post_offset -120;",
        &[b"xxabcd", b"efghxx"],
        None,
    ),
    ("flow:no_stream; content:\"abcdefgh\";", &[b"xxabcd", b"efghxx"], None),
    // Requests.
    ("http.uri; content:\"/default.ida\";", &[b"GET /def", b"ault.ida HTTP/1.0\r\n\r\n"], Some(1)),
    ("http.uri; content:\"/default.ida\";", &[b"GET /default.id", b"a", b" HTTP/1.0\r\n"], Some(1)),
    ("http.uri; content:\"/default.ida\";", &[b"GET /%6", b"4efault.ida HTTP/1.0\r\n\r\n"], Some(1)),
    ("http.uri; content:\"/default.ida\";", &[b"G", b"ET /default.ida HTTP/1.0\r\n\r\n"], Some(1)),
    ("http.uri; content:\"/default.ida\";", &[b"GET / HTTP/1.0\r\nX: /def", b"ault.ida HTTP/1.0\r\n\r\n"], None),
    (
        "http.uri; content:\"/default.ida\"; endswith;",
        &[b"GET /a HTTP/1.1\r\n\r\nGET /default.ida", b" HTTP/1.1\r\n\r\n"],
        Some(1),
    ),
    (
        "http.uri; content:\"/default.ida\";",
        &[LONG, b"\r\nGET /%64ef", b"ault.ida HTTP/1.0\r\n\r\n"],
        Some(2),
    ),
    // Cut far from what the rule is found by, behind what is not known any more.
    (
        "http.uri; content:\"/default.ida\";",
        &[
            LONG,
            b"Host: x\r\n\r\nGET /default.ida?NNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNN",
            b"NN HTTP/1.0\r\n\r\n",
        ],
        Some(2),
    ),
    (
        "content:\"first one\"; content:\"second\"; distance:0;",
        &[LONG, b"the first one, xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", b"the second"],
        Some(2),
    ),
    (
        "http.method; content:\"PUT\";",
        &[LONG, b"x\r\n\r\nPUT /x HTT", b"P/1.0\r\n\r\n"],
        Some(2),
    ),
    (
        "http.uri; content:\"/default.ida\";",
        &[b"GET /def", b"ault.ida?NNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNN%u9090 HTTP/1.0\r\n"],
        Some(1),
    ),
    (
        "http.method; content:\"POST\"; startswith; endswith;",
        &[b"PO", b"ST /a HTTP/1.0\r\n\r\n"],
        Some(1),
    ),
    (
        "flow:to_server; http.uri; content:\"/a\"; http.header; content:\"X-One: first\";",
        &[b"GET /a HTTP/1.0\r\nX-One: f", b"irst\r\n\r\n"],
        Some(1),
    ),
];

fn tables(mode: Mode, action: &str, options: &str) -> Result<Tables> {
    let rule = format!("{action} tcp any any -> any 80 ({options} sid:9;)");
    let set = RuleSet::from_bytes(Path::new("test.rules"), rule.as_bytes());
    ensure!(set.refusals.is_empty(), "{options}: {:?}", set.refusals);
    let config = Config::DEFAULT.with_mode(mode);
    let tables = Tables::new(config, HashSeed::FIXED, &set.rules, &Variables::default());
    ensure!(tables.refused.is_empty(), "{options}: {:?}", tables.refused);
    Ok(tables.fit_for(1))
}

/// The payload that a client sends from this port from its byte `at` on.
fn segment(port: u16, at: usize, payload: &[u8]) -> Vec<u8> {
    let packet = Route::default().ipv4().tcp(port, 80);
    let sequence = START.wrapping_add(u32::try_from(at).unwrap_or(u32::MAX));
    packet.seq(sequence).payload(payload).build()
}

/// Segments in order.
fn in_order(port: u16, payloads: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut at = 0;
    let segments = payloads.iter().map(|payload| {
        at += payload.len();
        segment(port, at - payload.len(), payload)
    });
    segments.collect()
}

/// What becomes of frames, and how many could not be followed, on the host.
fn on_the_host(tables: &Tables, frames: &[Vec<u8>]) -> (Vec<Verdict>, u64) {
    let mut replay = Replay::new(tables);
    let verdicts = frames
        .iter()
        .map(|frame| replay.classify(&Frame::whole(frame), 0, 1).verdict);
    let verdicts = verdicts.collect();
    let mut tallies = replay.tallies();
    let lost = tallies.find(|(tally, _)| *tally == Tally::SegmentsNotFollowed);
    (verdicts, lost.map(|(_, count)| count).unwrap_or_default())
}

/// The same in the kernel, where what would have been dropped passes.
fn in_the_kernel(kernel: &mut TestKernel, frames: &[Vec<u8>]) -> Result<(Vec<Verdict>, u64)> {
    let lost = |kernel: &TestKernel| {
        Ok::<_, anyhow::Error>(kernel.own_state()?.tally(Tally::SegmentsNotFollowed))
    };
    let before = lost(kernel)?;
    let verdicts = frames.iter().map(|frame| kernel.run(0, frame));
    let verdicts = verdicts.collect::<Result<_>>()?;
    Ok((verdicts, lost(kernel)? - before))
}

/// The segment in which something is dropped first, where those behind it do not matter.
fn first_dropped(verdicts: &[Verdict]) -> Option<usize> {
    verdicts
        .iter()
        .position(|verdict| *verdict == Verdict::DROP)
}

/// Frames of rules, what becomes of them, and how many cannot be followed, on the host.
struct Told {
    tables: Tables,
    frames: Vec<Vec<u8>>,
    host: (Vec<Verdict>, u64),
}

impl Told {
    fn new(tables: Tables, frames: Vec<Vec<u8>>) -> Self {
        let host = on_the_host(&tables, &frames);
        Self {
            tables,
            frames,
            host,
        }
    }
}

/// Fails unless the kernel says of all what the host does.
fn check_kernel(test: &str, all: &[Told]) -> Result<()> {
    if !kernel_or_skip(test) {
        return Ok(());
    }
    let Some(first) = all.first() else {
        return Ok(());
    };
    let mut kernel = TestKernel::load(&first.tables, 1)?;
    for (index, told) in all.iter().enumerate() {
        kernel.kernel.maps_mut().set_tables(&told.tables)?;
        let found = in_the_kernel(&mut kernel, &told.frames)?;
        let (verdicts, lost) = &told.host;
        let passed = verdicts.iter().map(|verdict| match *verdict {
            Verdict::DROP => Verdict::DROP,
            _ => Verdict::PASS,
        });
        assert_eq!(found, (passed.collect(), *lost), "{test} {index}");
    }
    Ok(())
}

#[test]
fn a_pattern_that_is_cut_is_found_where_its_rule_says_and_nowhere_else() -> Result<()> {
    let mut wrong = Vec::new();
    let mut all = Vec::new();
    for (port, (options, segments, expected)) in (20_000..).zip(CASES) {
        let tables = tables(Mode::Enforce, "drop", options)?;
        let told = Told::new(tables, in_order(port, segments));
        let found = first_dropped(&told.host.0);
        if found != *expected || expected.is_none() && told.host.1 != 0 {
            wrong.push(format!("{}: {options}: {found:?}", port - 20_000));
        }
        all.push(told);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    check_kernel(
        "a_pattern_that_is_cut_is_found_where_its_rule_says_and_nowhere_else",
        &all,
    )
}

#[test]
fn a_pattern_is_found_wherever_it_is_cut_and_however_small_the_segments_are() -> Result<()> {
    const PAYLOAD: &[u8] = b"GET /default.ida?NNNN HTTP/1.0\r\nHost: www\r\n\r\n";
    let mut all = Vec::new();
    let mut ports = 21_000..;
    for options in [
        "content:\"/default.ida\";",
        "content:\"GET /default.ida\"; startswith;",
        "http.uri; content:\"/default.ida\"; startswith;",
    ] {
        let two = (1..PAYLOAD.len()).map(|cut| {
            let (first, second) = PAYLOAD.split_at(cut);
            vec![first, second]
        });
        let more = (1..8).map(|len| PAYLOAD.chunks(len).collect());
        // Behind what is all that came so far, and behind what nothing is looked for in.
        let blank: [&[u8]; 2] = [b"\r\n", &[LONG, b"\r\n"].concat()];
        let behind = (1..PAYLOAD.len()).flat_map(|cut| {
            let (first, second) = PAYLOAD.split_at(cut);
            blank.map(|blank| vec![blank, first, second])
        });
        for segments in two.chain(more).chain(behind) {
            let is_behind = segments
                .first()
                .is_some_and(|first| first.ends_with(b"\r\n"));
            if is_behind && options.contains("GET") {
                continue;
            }
            let port = ports.next().unwrap_or_default();
            let tables = tables(Mode::Enforce, "drop", options)?;
            let told = Told::new(tables, in_order(port, &segments));
            let found = first_dropped(&told.host.0);
            assert!(found.is_some(), "{options}: {segments:?}");
            // Kernels are slow to be given other rules.
            if port % 8 == 0 {
                all.push(told);
            }
        }
    }
    check_kernel(
        "a_pattern_is_found_wherever_it_is_cut_and_however_small_the_segments_are",
        &all,
    )
}

#[test]
fn what_is_out_of_order_is_counted_and_what_is_dropped_is_dropped_again() -> Result<()> {
    const PASS: Verdict = Verdict::PASS;
    const DROP: Verdict = Verdict::DROP;
    type Segments = &'static [(u16, usize, &'static [u8])];
    let cases: &[(Segments, &[Verdict], u64)] = &[
        // A connection in between, and another interleaved.
        (
            &[(1, 0, b"abcd"), (2, 0, b"xyz"), (1, 4, b"efgh")],
            &[PASS, PASS, DROP],
            0,
        ),
        (
            &[
                (3, 0, b"abcd"),
                (4, 0, b"ab"),
                (3, 4, b"efgh"),
                (4, 2, b"cdefgh"),
            ],
            &[PASS, PASS, DROP, DROP],
            0,
        ),
        // Sent again, once and twice, as it was and in other parts.
        (
            &[
                (5, 0, b"abcd"),
                (5, 4, b"efgh"),
                (5, 4, b"efgh"),
                (5, 4, b"efghi"),
                (5, 4, b"ef"),
                (5, 6, b"gh"),
            ],
            &[PASS, DROP, DROP, DROP, PASS, DROP],
            0,
        ),
        // What passed comes again: nothing is forgotten for it.
        (
            &[
                (6, 0, b"ab"),
                (6, 2, b"cd"),
                (6, 0, b"ab"),
                (6, 3, b"d"),
                (6, 4, b"efgh"),
            ],
            &[PASS, PASS, PASS, PASS, DROP],
            2,
        ),
        // The second one first, a gap, an overlap.
        (&[(7, 4, b"efgh"), (7, 0, b"abcd")], &[PASS, PASS], 1),
        (&[(8, 0, b"abcd"), (8, 5, b"efgh")], &[PASS, PASS], 1),
        (&[(9, 0, b"abcd"), (9, 6, b"gh")], &[PASS, PASS], 1),
        // Of what overlaps, what came first counts.
        (&[(12, 0, b"abcd"), (12, 3, b"defgh")], &[PASS, DROP], 0),
        (&[(13, 0, b"abcd"), (13, 3, b"xefgh")], &[PASS, DROP], 0),
        (
            &[(14, 0, b"abcx"), (14, 3, b"def"), (14, 6, b"gh")],
            &[PASS, PASS, PASS],
            1,
        ),
        // What comes behind it brings no segment through that was dropped, as it was or in other parts.
        (
            &[
                (11, 0, b"abcd"),
                (11, 4, b"efgh"),
                (11, 8, b"xxxx"),
                (11, 4, b"efgh"),
                (11, 2, b"cdefgh"),
                (11, 12, b"xxxx"),
                (11, 4, b"ef"),
                (11, 8, b"xxxx"),
                (11, 6, b"gh"),
            ],
            &[PASS, DROP, PASS, DROP, DROP, PASS, PASS, PASS, DROP],
            3,
        ),
        // From where it was lost it is followed again.
        (
            &[(10, 0, b"xxxx"), (10, 9, b"abcd"), (10, 13, b"efgh")],
            &[PASS, PASS, DROP],
            1,
        ),
    ];
    let mut all = Vec::new();
    for (index, (segments, expected, lost)) in cases.iter().enumerate() {
        let tables = tables(Mode::Enforce, "drop", "content:\"abcdefgh\";")?;
        let frames = segments
            .iter()
            .map(|(port, at, payload)| segment(30_000 + port, *at, payload));
        let told = Told::new(tables, frames.collect());
        assert_eq!(told.host, (expected.to_vec(), *lost), "{index}");
        all.push(told);
    }
    check_kernel(
        "what_is_out_of_order_is_counted_and_what_is_dropped_is_dropped_again",
        &all,
    )
}

#[test]
fn what_passes_all_the_same_is_found_once_and_followed_on() -> Result<()> {
    const PASS: Verdict = Verdict::PASS;
    const WOULD_DROP: Verdict = Verdict::WOULD_DROP;
    let options = "content:\"abcdefgh\"; content:\"end\"; distance:0;";
    let segments: &[&[u8]] = &[
        b"xabcdef",
        b"gh",
        b"e",
        b"nd",
        b"and",
        b" the end",
        b"abcdefgh",
        b"e",
        b"nd",
    ];
    let frames = in_order(31_000, segments);
    let monitored = Told::new(tables(Mode::Monitor, "drop", options)?, frames);
    let expected = [PASS, PASS, PASS, WOULD_DROP, PASS, PASS, PASS, PASS, PASS];
    assert_eq!(monitored.host.1, 0);
    // The last may be found behind the first, and is one of the same.
    let found = monitored.host.0.get(..5);
    assert_eq!(found, expected.get(..5));
    check_kernel(
        "what_passes_all_the_same_is_found_once_and_followed_on",
        &[monitored],
    )
}

/// A segment that begins a connection whose first byte has the number `START`, with what comes behind it.
fn opening(port: u16, payload: &[u8]) -> Vec<u8> {
    let packet = Route::default().ipv4().tcp(port, 80).flags(SYN);
    let sequence = START.wrapping_sub(1);
    packet.seq(sequence).payload(payload).build()
}

#[test]
fn what_came_before_a_connection_began_hides_nothing_of_it() -> Result<()> {
    let options = "content:\"GET /default.ida\"; startswith;";
    let ghost = |port: u16, payload: &[u8]| {
        let packet = Route::default().ipv4().tcp(port, 80);
        let before = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let sequence = START.wrapping_sub(before);
        packet.seq(sequence).payload(payload).build()
    };
    let mut all = Vec::new();
    for (port, before, with_syn) in [
        (32_000, LONG, b"".as_slice()),
        (32_001, b"x: y ", b""),
        (32_002, LONG, b"GET"),
        (32_003, b"x", b"GET"),
    ] {
        let parts: &[&[u8]] = &[b"GET /def", b"ault.ida HTTP/1.0\r\n\r\n"];
        let mut frames = vec![ghost(port, before), opening(port, with_syn)];
        let behind = in_order(port, parts);
        let from = with_syn.len();
        frames.push(segment(
            port,
            from,
            parts[0].get(from..).unwrap_or_default(),
        ));
        frames.extend(behind.into_iter().skip(1));
        let told = Told::new(tables(Mode::Enforce, "drop", options)?, frames);
        assert_eq!(first_dropped(&told.host.0), Some(3), "{port}");
        assert_eq!(told.host.1, 0, "{port}");
        all.push(told);
    }
    check_kernel(
        "what_came_before_a_connection_began_hides_nothing_of_it",
        &all,
    )
}

#[test]
fn a_request_that_stands_whole_in_a_segment_is_not_asked_about_behind_another() -> Result<()> {
    let options = "http.uri; content:\"/cgi-bin/\"; http.header; content:!\"Referer\";";
    let first = b"GET / HTTP/1.1\r\n\r\n".as_slice();
    let mut second = b"GET /cgi-bin/a HTTP/1.1\r\nCookie: ".to_vec();
    second.resize(400, b'c');
    second.extend_from_slice(b"\r\nReferer: x\r\n\r\n");
    let tables = tables(Mode::Enforce, "drop", &format!("flow:to_server; {options}"))?;
    let mut replay = Replay::new(&tables);
    for frame in in_order(33_000, &[first, &second]) {
        let decision = replay.classify(&Frame::whole(&frame), 0, 1);
        assert_eq!(decision.verdict, Verdict::PASS);
    }
    let undecided = replay
        .tallies()
        .find(|(tally, _)| *tally == Tally::RulesCutShort);
    assert_eq!(undecided, Some((Tally::RulesCutShort, 0)));
    Ok(())
}
