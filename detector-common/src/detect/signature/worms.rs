//! The table of worms: what each looks like, in rows. Nothing here says how it is looked for.
//!
//! A pattern is written in positions of the payload, or of the `?` that ends a request's path. HTTP is compared
//! without regard to case. An identifier is never used again, for it is in databases and in operators' filters.

use core::ops::RangeInclusive;

use super::Traits;

/// What a match means for a host that shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A probe that tools other than worms also send.
    Low,
    /// An attempt that fails on everything but old software.
    Medium,
    /// A worm or a backdoor at work.
    High,
}

impl Severity {
    /// The name in every output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// One signature: a row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Signature {
    /// Its stable number, from 1.
    pub id: u16,
    /// Its name in every output: `kebab-case`, stable.
    pub name: &'static str,
    /// What it is, in a few words.
    pub title: &'static str,
    /// What a match means.
    pub severity: Severity,
    /// Where it is described.
    pub reference: &'static str,
    /// The packets it is looked for in.
    pub traffic: Traffic,
    /// What must hold, all of it.
    pub tests: &'static [Test],
}

/// The packets that a signature is looked for in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// TCP to a port of the operator's HTTP set; positions count from the payload's start.
    Http,
    /// The same; positions count from the first `?` of the payload.
    HttpQuery,
    /// TCP to one of these ports.
    TcpTo(&'static [RangeInclusive<u16>]),
    /// UDP to this port.
    UdpTo(u16),
    /// UDP from this port.
    UdpFrom(u16),
    /// ICMP echo requests.
    IcmpEcho,
}

/// One thing that must hold of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// These bytes stand at `at`.
    Bytes {
        /// The position of the first.
        at: i16,
        /// The bytes.
        bytes: &'static [u8],
    },
    /// This text stands at `at`, in letters of either case.
    Text {
        /// The position of the first letter.
        at: i16,
        /// The text.
        text: &'static str,
    },
    /// One of two letters, in either case, stands at `at`. Their codes differ in one bit.
    Letter {
        /// The position.
        at: i16,
        /// The letters.
        letters: (u8, u8),
    },
    /// From `at`, `len` bytes repeat the first one (`period` 1) or the first two (`period` 2).
    Run {
        /// The position of the first.
        at: i16,
        /// How many, at least 8.
        len: u16,
        /// 1 or 2.
        period: u16,
    },
    /// The payload is this long, in bytes.
    PayloadLen {
        /// At least.
        min: u16,
        /// At most.
        max: u16,
    },
    /// The headers show these traits.
    Headers(&'static [Traits]),
}

const fn bytes(at: i16, bytes: &'static [u8]) -> Test {
    Test::Bytes { at, bytes }
}

const fn text(at: i16, text: &'static str) -> Test {
    Test::Text { at, text }
}

const fn nimda(id: u16, name: &'static str, tests: &'static [Test]) -> Signature {
    Signature {
        id,
        name,
        title: "Nimda looking for a way into IIS",
        severity: Severity::High,
        reference: "CERT CA-2001-26",
        traffic: Traffic::Http,
        tests,
    }
}

/// Every signature. Of those that a packet matches, the first in this order is its finding.
pub const SIGNATURES: &[Signature] = &[
    Signature {
        id: 1,
        name: "code-red",
        title: "Code Red v1/v2, IIS index server overflow",
        severity: Severity::High,
        reference: "CERT CA-2001-19",
        traffic: Traffic::Http,
        // Bro's worm.bro asks for 13 letters as well; the worm sends 224.
        tests: &[text(0, "GET /default.ida?NNNNNNNNNNNNN")],
    },
    Signature {
        id: 2,
        name: "code-red-ii",
        title: "Code Red II, IIS index server overflow",
        severity: Severity::High,
        reference: "CERT IN-2001-09",
        traffic: Traffic::Http,
        tests: &[text(0, "GET /default.ida?XXXXXXXXXXXXX")],
    },
    Signature {
        id: 3,
        name: "ida-overflow",
        title: "IIS index server overflow by another path or filler",
        severity: Severity::High,
        reference: "CVE-2001-0500, SID 1243",
        traffic: Traffic::HttpQuery,
        tests: &[
            text(-4, ".id"),
            Test::Letter {
                at: -1,
                letters: (b'a', b'q'),
            },
            text(0, "?"),
            Test::Run {
                at: 1,
                len: 13,
                period: 1,
            },
        ],
    },
    nimda(11, "nimda-01", &[text(0, "GET /scripts/root.exe?/c+")]),
    nimda(12, "nimda-02", &[text(0, "GET /MSADC/root.exe?/c+")]),
    nimda(
        13,
        "nimda-03",
        &[text(0, "GET /c/winnt/system32/cmd.exe?/c+")],
    ),
    nimda(
        14,
        "nimda-04",
        &[text(0, "GET /d/winnt/system32/cmd.exe?/c+")],
    ),
    nimda(
        15,
        "nimda-05",
        &[text(0, "GET /scripts/..%255c../winnt/system32/cmd.exe?/c+")],
    ),
    nimda(
        16,
        "nimda-06",
        &[text(
            0,
            "GET /_vti_bin/..%255c../..%255c../..%255c../winnt/system32/cmd.exe?/c+",
        )],
    ),
    nimda(
        17,
        "nimda-07",
        &[text(
            0,
            "GET /_mem_bin/..%255c../..%255c../..%255c../winnt/system32/cmd.exe?/c+",
        )],
    ),
    nimda(
        18,
        "nimda-08",
        &[text(
            0,
            "GET /msadc/..%255c../..%255c../..%255c/..%c1%1c../..%c1%1c../..%c1%1c../winnt/system32/cmd.exe?/c+",
        )],
    ),
    nimda(
        19,
        "nimda-09",
        &[text(
            0,
            "GET /scripts/..%c1%1c../winnt/system32/cmd.exe?/c+",
        )],
    ),
    nimda(
        20,
        "nimda-10",
        &[text(
            0,
            "GET /scripts/..%c0%2f../winnt/system32/cmd.exe?/c+",
        )],
    ),
    nimda(
        21,
        "nimda-11",
        &[text(
            0,
            "GET /scripts/..%c0%af../winnt/system32/cmd.exe?/c+",
        )],
    ),
    nimda(
        22,
        "nimda-12",
        &[text(
            0,
            "GET /scripts/..%c1%9c../winnt/system32/cmd.exe?/c+",
        )],
    ),
    nimda(
        23,
        "nimda-13",
        &[text(
            0,
            "GET /scripts/..%%35%63../winnt/system32/cmd.exe?/c+",
        )],
    ),
    nimda(
        24,
        "nimda-14",
        &[text(0, "GET /scripts/..%%35c../winnt/system32/cmd.exe?/c+")],
    ),
    nimda(
        25,
        "nimda-15",
        &[text(
            0,
            "GET /scripts/..%25%35%63../winnt/system32/cmd.exe?/c+",
        )],
    ),
    nimda(
        26,
        "nimda-16",
        &[text(0, "GET /scripts/..%252f../winnt/system32/cmd.exe?/c+")],
    ),
    Signature {
        id: 30,
        name: "sadmind-iis",
        title: "sadmind/IIS worm",
        severity: Severity::High,
        reference: "CERT CA-2001-11, SID 1375",
        traffic: Traffic::Http,
        tests: &[text(0, "GET x HTTP/1.0")],
    },
    Signature {
        id: 31,
        name: "webdav-search",
        title: "WebDAV SEARCH overflow (Welchia, Agobot)",
        severity: Severity::High,
        reference: "CVE-2003-0109, SID 1070",
        traffic: Traffic::Http,
        // The filler is one byte over and over, or two in turn behind one that stands alone.
        tests: &[
            text(0, "SEARCH /"),
            Test::Run {
                at: 9,
                len: 24,
                period: 2,
            },
        ],
    },
    Signature {
        id: 40,
        name: "sql-slammer",
        title: "SQL Slammer",
        severity: Severity::High,
        reference: "CERT CA-2003-04, SID 2003",
        traffic: Traffic::UdpTo(1434),
        tests: &[
            Test::PayloadLen { min: 376, max: 376 },
            bytes(0, &[4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
            bytes(97, &[0xdc, 0xc9, 0xb0, 0x42, 0xeb, 0x0e]),
            bytes(203, b"sock"),
            bytes(213, b"send"),
            bytes(270, &[0x81, 0xf1, 3, 1, 4, 0x9b, 0x81, 0xf1, 1]),
        ],
    },
    Signature {
        id: 41,
        name: "welchia-ping",
        title: "Welchia (Nachi) looking for hosts",
        severity: Severity::Medium,
        reference: "CERT IN-2003-03, SID 483",
        traffic: Traffic::IcmpEcho,
        // Other tools fill longer pings with the same byte.
        tests: &[Test::PayloadLen { min: 64, max: 64 }, bytes(0, &[0xaa; 64])],
    },
    Signature {
        id: 42,
        name: "witty",
        title: "Witty, ISS ICQ parser overflow",
        severity: Severity::High,
        reference: "CVE-2004-0362, SID 2446",
        traffic: Traffic::UdpFrom(4000),
        tests: &[
            Test::PayloadLen {
                min: 640,
                max: u16::MAX,
            },
            bytes(0, &[5, 0]),
            bytes(7, &[0x12, 2]),
        ],
    },
    Signature {
        id: 43,
        name: "mydoom-backdoor",
        title: "An upload to MyDoom's backdoor (Doomjuice)",
        severity: Severity::High,
        reference: "SID 2375, SID 3272",
        traffic: Traffic::TcpTo(&[3127..=3199]),
        tests: &[bytes(0, &[0x85, 0x13, 0x3c, 0x9e, 0xa2])],
    },
    Signature {
        id: 50,
        name: "eternalblue-probe",
        title: "EternalBlue: is MS17-010 missing?",
        severity: Severity::High,
        reference: "CVE-2017-0144, ET 2025649",
        traffic: Traffic::TcpTo(&[445..=445]),
        tests: &[
            bytes(
                4,
                &[0xff, b'S', b'M', b'B', 0x25, 0, 0, 0, 0, 0x18, 1, 0x28],
            ),
            bytes(
                65,
                &[0x23, 0, 0, 0, 7, 0, b'\\', b'P', b'I', b'P', b'E', b'\\', 0],
            ),
        ],
    },
    Signature {
        id: 51,
        name: "doublepulsar-ping",
        title: "DoublePulsar: is the implant there?",
        severity: Severity::High,
        reference: "ET 2024766",
        traffic: Traffic::TcpTo(&[445..=445]),
        // The upload of a payload begins alike; the length before it and what follows differ. Ordinary requests begin
        // alike too, but none has twelve bytes of parameters and wants no more than one back, and no data.
        tests: &[
            bytes(
                4,
                &[0xff, b'S', b'M', b'B', 0x32, 0, 0, 0, 0, 0x18, 7, 0xc0],
            ),
            bytes(37, &[12, 0]),
            Test::Letter {
                at: 41,
                letters: (0, 1),
            },
            bytes(42, &[0; 7]),
        ],
    },
    Signature {
        id: 60,
        name: "mirai-scan",
        title: "Mirai looking for telnet",
        severity: Severity::High,
        reference: "Mirai scanner.c: sequence number = destination address",
        traffic: Traffic::TcpTo(&[23..=23, 2323..=2323]),
        tests: &[
            Test::Headers(&[
                Traits::OPENING,
                Traits::NO_TCP_OPTIONS,
                Traits::SEQUENCE_IS_DESTINATION,
            ]),
            Test::PayloadLen { min: 0, max: 0 },
        ],
    },
];

/// The signature of a number.
#[must_use]
pub fn by_id(id: u16) -> Option<&'static Signature> {
    SIGNATURES.iter().find(|signature| signature.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_and_no_name_stands_twice() {
        for (index, signature) in SIGNATURES.iter().enumerate() {
            assert_ne!(signature.id, 0);
            for other in &SIGNATURES[index + 1..] {
                assert_ne!(signature.id, other.id);
                assert_ne!(signature.name, other.name);
            }
        }
    }
}
