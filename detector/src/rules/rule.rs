//! A rule: what it asks of a packet.

use detector_common::{detect::signature::table::trait_bit, evidence::EVIDENCE_MAX};

use super::{
    Number,
    byte_test::ByteTest,
    draft::Draft,
    flowbits::FlowBit,
    header::{Header, Protocol},
    keyword::{self, Keyword},
    option::{Fault, options},
    pattern::{Buffer, Pattern},
    pcre::Pcre,
    problem::Problem,
    test::{Flags, FragmentBits, IpOption, Numbers},
    threshold::Threshold,
};

/// What is said of a rule that is partial.
pub const PARTLY: &str =
    "pcre is decided in the agent, on the first 2048 bytes of the packet; alerts only";
const _: () = assert!(EVIDENCE_MAX == 2048);

/// Where a rule begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The number of the file, from 0.
    pub file: usize,
    /// The line, from 1.
    pub line: usize,
}

/// A rule that was read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Where it begins.
    pub origin: Origin,
    /// What is done, and to packets of whom to whom.
    pub header: Header,
    /// The generator of its number; 1 as a rule.
    pub gid: u32,
    /// Its number, from 1.
    pub sid: u32,
    /// Its revision; 0 if it says none.
    pub rev: u32,
    /// What it finds, in words.
    pub msg: String,
    /// How much it matters, 1 the most.
    pub priority: Option<u32>,
    /// The bytes that it looks for, in order.
    pub patterns: Vec<Pattern>,
    /// The regular expressions that it asks besides, which make it [partial](Self::is_partial).
    pub pcres: Vec<Pcre>,
    /// What it asks besides. All must hold.
    pub tests: Vec<Test>,
    /// Which side of a connection it is for.
    pub flow: Flow,
    /// How often it is told, or must match.
    pub threshold: Option<Threshold>,
    /// What it asks and does with bits of its connection, in its order.
    pub flow_bits: Vec<FlowBit>,
    /// Whether it is never told.
    pub is_silent: bool,
}

/// Which segments of a connection a rule is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Those of who opened it (`Some(true)`), or of who accepted it.
    pub to_server: Option<bool>,
    /// Those after it was accepted.
    pub established: bool,
    /// Each by itself: what came before it is not looked at.
    pub packets_only: bool,
}

/// What a rule asks of a packet besides patterns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// Of the payload's length.
    DataSize(Numbers),
    /// Of the type of an ICMP message.
    IcmpType(Numbers),
    /// Of its code.
    IcmpCode(Numbers),
    /// Of the hops that are left.
    TimeToLive(Numbers),
    /// Of the identification of an IPv4 packet.
    Identification(u16),
    /// Of the acknowledgement number of a TCP segment.
    Acknowledgement(u32),
    /// Of its sequence number.
    Sequence(u32),
    /// Of its window.
    Window(Numbers),
    /// Of the identifier of an ICMP message, which not all have.
    IcmpId(u16),
    /// Of its sequence number.
    IcmpSequence(u16),
    /// Of the number of the protocol behind the IP header.
    IpProtocol(Numbers),
    /// Of the flags of a TCP segment.
    Flags(Flags),
    /// An option of an IPv4 header.
    IpOption(IpOption),
    /// Of the fragment bits of an IPv4 header.
    FragmentBits(FragmentBits),
    /// That a packet has this trait, a bit of `detector_common::detect::signature::table::trait_bit`.
    Trait(u32),
    /// Whether a buffer has so many bytes more.
    DataAt {
        /// Which.
        buffer: Buffer,
        /// How many.
        bytes: u32,
        /// Behind the pattern of this number, from 0; from the start of the buffer if `None`.
        after: Option<usize>,
        /// Whether it must have fewer.
        negated: bool,
    },
    /// Of a number in the payload.
    ByteTest(ByteTest),
}

impl Rule {
    /// Its number.
    #[must_use]
    pub fn number(&self) -> Number {
        let Self { sid, gid, .. } = *self;
        Number { sid, gid }
    }

    /// Whether a part of it is decided in the agent, on the beginning of the packet: then it only alerts.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        !self.pcres.is_empty()
    }

    /// What is said of it if it is partial.
    #[must_use]
    pub fn partly(&self) -> Option<&'static str> {
        self.is_partial().then_some(PARTLY)
    }

    /// Reads the rule that stands at `origin`; a partial one is refused unless `allow_partial`.
    pub(super) fn read(text: &str, origin: Origin, allow_partial: bool) -> Result<Self, Fault> {
        let (header, from) = Header::read(text)?;
        let mut draft = Draft::new(allow_partial);
        let mut refused: Option<Fault> = None;
        for option in options(text, from) {
            let taken = option.and_then(|option| {
                let at = |problem| Fault::new(option.at, problem);
                if let Some(keyword) = keyword::known(option.name).map_err(at)? {
                    draft.take(keyword, &option).map_err(at)?;
                }
                Ok(())
            });
            let Err(fault) = taken else {
                continue;
            };
            match &mut refused {
                None if fault.problem.is_wrong() => return Err(fault),
                None => refused = Some(fault),
                // What is left out may make other things wrong, which are not: only what is not honoured is told besides.
                Some(_) if fault.problem.is_wrong() => {}
                Some(first) => first.add(&fault.problem),
            }
        }
        match refused {
            Some(fault) => Err(fault),
            None => draft.finish(header, origin),
        }
    }
}

impl Rule {
    /// Whether it asks something of requests of HTTP, so that it is asked about each of them.
    #[must_use]
    pub fn is_of_requests(&self) -> bool {
        self.asks_of(|buffer| buffer != Buffer::Payload)
    }

    /// Whether it asks something of one of these buffers.
    pub(super) fn asks_of(&self, is_one: impl Fn(Buffer) -> bool) -> bool {
        let mut patterns = self.patterns.iter();
        let by_test = |test: &Test| matches!(test, Test::DataAt { buffer, .. } if is_one(*buffer));
        patterns.any(|pattern| is_one(pattern.buffer))
            || self.tests.iter().any(by_test)
            || self.pcres.iter().any(|pcre| is_one(pcre.buffer))
    }
}

impl Test {
    /// The number of the pattern behind which it is asked; `None` if it is asked behind none.
    #[must_use]
    pub fn after(&self) -> Option<usize> {
        match self {
            Self::DataAt { after, .. } | Self::ByteTest(ByteTest { after, .. }) => *after,
            Self::DataSize(_)
            | Self::IcmpType(_)
            | Self::IcmpCode(_)
            | Self::TimeToLive(_)
            | Self::Identification(_)
            | Self::Acknowledgement(_)
            | Self::Sequence(_)
            | Self::Window(_)
            | Self::IcmpId(_)
            | Self::IcmpSequence(_)
            | Self::IpProtocol(_)
            | Self::Flags(_)
            | Self::IpOption(_)
            | Self::FragmentBits(_)
            | Self::Trait(_) => None,
        }
    }

    /// The keyword that asks it.
    #[must_use]
    pub fn keyword(&self) -> &'static str {
        match self {
            Self::DataSize(_) => Keyword::DataSize.name(),
            Self::IcmpType(_) => Keyword::IcmpType.name(),
            Self::IcmpCode(_) => Keyword::IcmpCode.name(),
            Self::TimeToLive(_) => Keyword::TimeToLive.name(),
            Self::Identification(_) => Keyword::Identification.name(),
            Self::Acknowledgement(_) => Keyword::Acknowledgement.name(),
            Self::Sequence(_) => Keyword::Sequence.name(),
            Self::Window(_) => Keyword::Window.name(),
            Self::IcmpId(_) => Keyword::IcmpId.name(),
            Self::IcmpSequence(_) => Keyword::IcmpSequence.name(),
            Self::IpProtocol(_) => Keyword::IpProtocol.name(),
            Self::Flags(_) => Keyword::Flags.name(),
            Self::IpOption(_) => Keyword::IpOptions.name(),
            Self::FragmentBits(_) => Keyword::FragmentBits.name(),
            Self::Trait(bit) if *bit == trait_bit::NO_TCP_OPTIONS => Keyword::NoTcpOptions.name(),
            Self::Trait(bit) if *bit == trait_bit::SAME_ADDRESS => Keyword::SameAddress.name(),
            Self::Trait(_) => Keyword::SequenceIsDestination.name(),
            Self::DataAt { .. } => Keyword::IsDataAt.name(),
            Self::ByteTest(_) => Keyword::ByteTest.name(),
        }
    }
}

impl Flow {
    pub(super) const EXPECTED: &'static str =
        "to_server or to_client, established or stateless, each once";

    /// The value of `flow`; fails with the reason if it is one that is not honoured.
    pub(super) fn of(text: &str) -> Option<Result<Self, &'static str>> {
        let (mut to_server, mut established, mut packets_only) = (None, None, None);
        let mut refused = None;
        for word in text.split(',') {
            let said_before = match &*word.trim().to_ascii_lowercase() {
                "to_server" | "from_client" => to_server.replace(true).is_some(),
                "to_client" | "from_server" => to_server.replace(false).is_some(),
                "established" => established.replace(true).is_some(),
                "stateless" => established.replace(false).is_some(),
                "no_stream" => packets_only.replace(true).is_some(),
                "only_stream" => {
                    refused = Some("a reassembled stream is not looked at");
                    false
                }
                "not_established" => {
                    refused = Some("whether a connection does not stand yet is not known");
                    false
                }
                "no_frag" | "only_frag" => {
                    refused = Some("fragments are not put together");
                    false
                }
                _ => return None,
            };
            if said_before {
                return None;
            }
        }
        Some(refused.map_or(
            Ok(Self {
                to_server,
                established: established.unwrap_or_default(),
                packets_only: packets_only.unwrap_or_default(),
            }),
            Err,
        ))
    }

    /// Refuses what only a segment of TCP says by itself.
    pub(super) fn is_of(self, protocol: Protocol) -> Result<(), Problem> {
        if self.established && protocol != Protocol::Tcp {
            return Err(Problem::Refused {
                keyword: Keyword::Flow.name(),
                why: "whether a connection stands is only known of tcp, where each segment says it",
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{header::Action, pattern::Anchor, problem::Problem},
        *,
    };

    fn read(options: &str) -> Result<Rule, String> {
        let text = format!("alert tcp any any -> any 80 ({options} sid:7;)");
        Rule::read(&text, Origin::default(), false).map_err(|fault| fault.problem.to_string())
    }

    fn pattern(bytes: &[u8], anchor: Anchor) -> Pattern {
        Pattern {
            bytes: bytes.to_vec(),
            runs: None,
            jump: None,
            negated: false,
            nocase: false,
            buffer: Buffer::Payload,
            anchor,
            ends: false,
        }
    }

    #[test]
    fn patterns_are_where_their_modifiers_say() {
        let rule = read(
            "msg:\"a \\\"b\\\"\"; content:\"GET\"; startswith; content:!\"x|0a|\"; nocase; offset:4; depth:9; \
             content:\"y\"; distance:-2; within:5; endswith; content:\"/a\"; fast_pattern; http_uri; \
             uricontent:\"q\"; distance:0; rev:3; classtype:worm; reference:url,example.org;",
        )
        .unwrap();
        let absolute = |offset, depth| Anchor::Absolute { offset, depth };
        let relative = |after, distance, within| Anchor::Relative {
            after,
            distance,
            within,
        };
        assert_eq!(
            rule.patterns,
            [
                pattern(b"GET", absolute(0, Some(3))),
                Pattern {
                    negated: true,
                    nocase: true,
                    ..pattern(b"x\n", absolute(4, Some(9)))
                },
                Pattern {
                    ends: true,
                    // Nothing is behind what is not there.
                    ..pattern(b"y", relative(Some(0), -2, Some(5)))
                },
                Pattern {
                    buffer: Buffer::HttpUri,
                    ..pattern(b"/a", absolute(0, None))
                },
                Pattern {
                    buffer: Buffer::HttpUri,
                    ..pattern(b"q", relative(Some(3), 0, None))
                },
            ]
        );
        assert_eq!((rule.sid, rule.rev, &*rule.msg), (7, 3, "a \"b\""));
    }

    #[test]
    fn what_stands_behind_a_buffer_is_of_that_buffer() {
        let rule = read(
            "flow:to_server; content:\"a\"; http.uri; content:\"b\"; distance:1; isdataat:100; isdataat:!5,relative; \
             http.header; content:\"c\"; pkt_data; isdataat:9,relative;",
        )
        .unwrap();
        let buffers: Vec<_> = rule.patterns.iter().map(|one| one.buffer).collect();
        assert_eq!(
            buffers,
            [Buffer::Payload, Buffer::HttpUri, Buffer::HttpHeader]
        );
        let first = Anchor::Relative {
            after: None,
            distance: 1,
            within: None,
        };
        assert_eq!(rule.patterns[1].anchor, first);
        let data_at = |buffer, bytes, after, negated| Test::DataAt {
            buffer,
            bytes,
            after,
            negated,
        };
        assert_eq!(
            rule.tests,
            [
                // There is a byte at 100 if there are 101.
                data_at(Buffer::HttpUri, 101, None, false),
                data_at(Buffer::HttpUri, 5, Some(1), true),
                data_at(Buffer::Payload, 9, Some(0), false),
            ]
        );
    }

    #[test]
    fn a_rule_with_a_regular_expression_is_partial_and_only_alerts() {
        let read = |text: &str| {
            Rule::read(text, Origin::default(), true).map_err(|fault| fault.problem.to_string())
        };
        let rule = |options: &str| {
            read(&format!(
                "drop tcp any any -> any 80 (flow:to_server; {options} sid:7;)"
            ))
        };
        let partial = rule("content:\"ab\"; pcre:\"/c\\;d/iR\"; pcre:!\"/e/U\";").unwrap();
        assert_eq!(partial.header.action, Action::Alert);
        assert!(partial.is_partial() && partial.is_of_requests());
        let asked: Vec<_> = partial
            .pcres
            .iter()
            .map(|pcre| (pcre.to_string(), pcre.buffer, pcre.after, pcre.negated))
            .collect();
        assert_eq!(
            asked,
            [
                (
                    "pcre:\"/c\\;d/iR\"".to_owned(),
                    Buffer::Payload,
                    Some(0),
                    false
                ),
                ("pcre:!\"/e/U\"".to_owned(), Buffer::HttpUri, None, true),
            ]
        );
        for (options, why) in [
            ("pcre:\"/a/\";", "needs a content"),
            ("content:!\"a\"; pcre:\"/a/\";", "needs a content"),
            ("pcre:\"/^.{3}/\"; pcre:\"/a/\";", "needs a content"),
            (
                "content:\"a\"; pcre:\"/a/\"; content:\"b\"; distance:0;",
                "what stands behind it",
            ),
            (
                "content:\"a\"; pcre:\"/a/\"; isdataat:1,relative;",
                "what stands behind it",
            ),
            (
                "content:\"a\"; pcre:\"/a/\"; byte_test:1,>,3,0,relative;",
                "what stands behind it",
            ),
            (
                "content:\"a\"; pcre:\"/a/\"; pcre:\"/b/R\";",
                "what stands behind it",
            ),
            (
                "content:\"a\"; pcre:\"/a/\"; detection_filter:track by_src, count 2, seconds 9;",
                "not together with threshold",
            ),
            (
                "content:\"a\"; pcre:\"/a/\"; flowbits:isset,b;",
                "not together with flowbits",
            ),
            (
                "http.uri; content:\"a\"; pcre:\"/a/U\";",
                "a keyword before it",
            ),
        ] {
            let told = rule(options).unwrap_err();
            assert!(told.contains(why), "{options}: {told}");
        }
        let behind = "content:\"a\"; pcre:!\"/a/\"; content:\"b\"; distance:0;";
        assert!(rule(behind).is_ok(), "what is not there ends nowhere");
        let from_start = "content:\"a\"; pcre:\"/a/\"; byte_test:1,>,3,0;";
        assert!(rule(from_start).is_ok());
        let pass = "pass tcp any any -> any 80 (content:\"a\"; pcre:\"/a/\"; sid:7;)";
        assert!(read(pass).is_err_and(|why| why.contains("lets packets pass")));
    }

    #[test]
    fn tests_of_headers_are_read() {
        let rule = read(
            "flow:established,To_Server; flags:S,12; dsize:>100; ttl:<5; id:31337; \
             threshold:type limit, track by_src, count 1, seconds 60;",
        )
        .unwrap();
        assert_eq!(rule.tests.len(), 4);
        let flow = Flow {
            to_server: Some(true),
            established: true,
            packets_only: false,
        };
        assert_eq!(rule.flow, flow);
        assert!(rule.threshold.is_some());
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_with_the_reason() {
        let whole = "a whole number, and not too large a one";
        for (options, message) in [
            ("pcre:\"/a/\";", "pcre: such expressions are not matched in the kernel; with allow-partial the agent decides them, and the rule only alerts".to_owned()),
            ("contnet:\"a\";", "unknown keyword \"contnet\": did you mean \"content\"?".to_owned()),
            ("nocase;", "nocase: tells of a content, and there is none before it".to_owned()),
            ("content:\"a\"; nocase:no;", "nocase: \"no\": expected no value".to_owned()),
            ("content:\"abc\"; depth:2;", "content: can never match, for it is longer than its depth or within".to_owned()),
            ("content:!\"abc\"; depth:2;", "content: asks nothing, for it is longer than its depth or within".to_owned()),
            ("content:\"abc\"; dsize:<2;", "dsize: can never match, for a content is longer".to_owned()),
            ("itype:8;", "itype: only in rules of icmp".to_owned()),
            ("content:\"a\"; offset:1; distance:1;", "distance: not together with offset, depth or startswith".to_owned()),
            ("content:\"a\"; offset:0; distance:1;", "distance: not together with offset, depth or startswith".to_owned()),
            ("content:\"a\"; within:1; depth:1;", "depth: not together with distance or within".to_owned()),
            ("content:\"a\"; startswith; offset:1;", "startswith: not together with offset, depth, distance or within".to_owned()),
            ("content:\"a\"; offset:1; offset:2;", "offset: said twice".to_owned()),
            ("content:\"a\"; offset:var;", format!("offset: \"var\": expected {whole}")),
            ("rev:1; rev:2;", "rev: said twice".to_owned()),
            ("flow:established; flow:to_server;", "flow: said twice".to_owned()),
            ("flow:to_server,to_client;", format!("flow: \"to_server,to_client\": expected {}", Flow::EXPECTED)),
            ("flow:to_client; content:\"a\"; http_uri;", "http_uri: only in rules of tcp to the server: a request is looked at, and no answer".to_owned()),
            ("flow:to_client; http.uri; isdataat:4;", "isdataat: only in rules of tcp to the server: a request is looked at, and no answer".to_owned()),
            ("content:\"a\"; http_header;", "http_header: only in rules of tcp to the server: a request is looked at, and no answer".to_owned()),
            ("http.uri; content:\"a\"; http_method;", "http_method: not together with a buffer before it".to_owned()),
            ("content:\"a\"; http_uri; http_method;", "http_method: said twice".to_owned()),
            ("content:\"a\"; http.uri;", "http.uri: tells of the contents behind it, and there is none".to_owned()),
            ("dsize;", "dsize: \"\": expected a value behind a colon".to_owned()),
            ("tls.sni;", "tls.*: files, answers and protocols within a connection are not followed".to_owned()),
        ] {
            assert_eq!(read(options).unwrap_err(), message, "{options}");
        }
        let unnumbered = "alert ip any any -> any any (msg:\"a\";)";
        let fault = Rule::read(unnumbered, Origin::default(), false).unwrap_err();
        assert!(matches!(fault.problem, Problem::NoSid));
    }

    #[test]
    fn what_another_program_can_do_is_not_wrong() {
        for options in [
            "threshold:type limit, track by_dst, count 1, seconds 60;",
            "detection_filter:track by_rule, count 1, seconds 60;",
            "threshold:type limit, track by_src, count 1, seconds 86401;",
            "flow:to_server,only_stream;",
            "flow:not_established;",
            "flow:no_frag;",
            "flow:from_server; uricontent:\"a\";",
            "resp:rst_all;",
            "session:printable;",
            "content-list:\"x\";",
            "activates:1;",
        ] {
            let text = format!("alert tcp any any -> any 80 ({options} sid:7;)");
            let fault = Rule::read(&text, Origin::default(), false).unwrap_err();
            assert!(!fault.problem.is_wrong(), "{options}: {}", fault.problem);
        }
        for header in ["ip any any -> any 80", "udp any any -> any 80"] {
            let text = format!("alert {header} (uricontent:\"a\"; sid:7;)");
            let fault = Rule::read(&text, Origin::default(), false).unwrap_err();
            assert!(!fault.problem.is_wrong(), "{header}: {}", fault.problem);
        }
        assert!(read("ipopts:lsrre;").is_ok());
    }

    #[test]
    fn all_that_a_rule_is_refused_for_is_told() {
        let text = "alert tcp any any -> any 80 (pcre:\"/a/\"; flowint:a,+,1; pcre:\"/b/\"; depth:1; tag:host; sid:7;)";
        let fault = Rule::read(text, Origin::default(), false).unwrap_err();
        assert_eq!(fault.problem.topic(), "pcre");
        assert_eq!(fault.others, ["flowint", "tag"]);
        // What is wrong before anything else is.
        let text = "alert tcp any any -> any 80 (depth:1; pcre:\"/a/\"; sid:7;)";
        let fault = Rule::read(text, Origin::default(), false).unwrap_err();
        assert!(fault.problem.is_wrong() && fault.others.is_empty());
    }

    #[test]
    fn a_fault_stands_where_the_option_does() {
        let text = "alert tcp any any -> any any (content:\"abc\"; depth:2; itype:8; sid:1;)";
        let fault = Rule::read(text, Origin::default(), false).unwrap_err();
        assert_eq!(fault.at, text.find("content").unwrap());
    }

    #[test]
    fn whether_a_connection_stands_is_asked_of_tcp_alone() {
        for (protocol, taken) in [("tcp", true), ("udp", false), ("ip", false)] {
            let text = format!("alert {protocol} any any -> any any (flow:established; sid:7;)");
            let read = Rule::read(&text, Origin::default(), false);
            assert_eq!(read.is_ok(), taken, "{protocol}");
            if let Err(fault) = read {
                assert!(!fault.problem.is_wrong(), "{protocol}");
                assert_eq!(&text[fault.at..fault.at + 4], "flow", "{protocol}");
            }
        }
    }
}
