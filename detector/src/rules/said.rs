//! What a rule asks besides patterns, as a rule could say it. Nothing of the file is in it, so that a terminal shows it as it is.

use std::fmt::{self, Write as _};

use super::{
    keyword::Keyword,
    pattern::Buffer,
    rule::{Flow, Test},
    test::{Flags, FragmentBits, How, IpOption, Numbers},
};

impl fmt::Display for Test {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::DataAt { buffer, .. } = self {
            let of = match buffer {
                Buffer::Payload => None,
                Buffer::HttpUri => Some(Keyword::HttpUri),
                Buffer::HttpUriRaw => Some(Keyword::HttpUriRaw),
                Buffer::HttpMethod => Some(Keyword::HttpMethod),
                Buffer::HttpHeader => Some(Keyword::HttpHeader),
            };
            if let Some(of) = of {
                write!(out, "{}; ", of.name())?;
            }
        }
        out.write_str(self.keyword())?;
        match self {
            Self::DataSize(numbers)
            | Self::IcmpType(numbers)
            | Self::IcmpCode(numbers)
            | Self::TimeToLive(numbers)
            | Self::Window(numbers)
            | Self::IpProtocol(numbers) => write!(out, ":{numbers}"),
            Self::Identification(number) | Self::IcmpId(number) | Self::IcmpSequence(number) => {
                write!(out, ":{number}")
            }
            Self::Acknowledgement(number) | Self::Sequence(number) => write!(out, ":{number}"),
            Self::ByteTest(test) => write!(out, ":{test}"),
            Self::Flags(flags) => write!(out, ":{flags}"),
            Self::IpOption(option) => write!(out, ":{option}"),
            Self::FragmentBits(bits) => write!(out, ":{bits}"),
            Self::Trait(_) => Ok(()),
            Self::DataAt {
                bytes,
                after,
                negated,
                ..
            } => {
                let not = if *negated { "!" } else { "" };
                match (after, bytes.checked_sub(1)) {
                    // A byte at 9 is the tenth.
                    (None, Some(at)) => write!(out, ":{not}{at}"),
                    (_, _) => write!(out, ":{not}{bytes},relative"),
                }
            }
        }
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = self.to_server.map(
            |to_server| {
                if to_server { "to_server" } else { "to_client" }
            },
        );
        let words = side
            .into_iter()
            .chain(self.established.then_some("established"));
        let words: Vec<_> = words.collect();
        let words = if words.is_empty() {
            "stateless".to_owned()
        } else {
            words.join(",")
        };
        write!(out, "{}:{words}", Keyword::Flow.name())
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            first,
            last,
            negated,
        } = *self;
        if negated {
            out.write_char('!')?;
        }
        match (first.checked_sub(1), last.checked_add(1)) {
            _ if first == last => write!(out, "{first}"),
            (Some(below), None) => write!(out, ">{below}"),
            (None, Some(above)) => write!(out, "<{above}"),
            (Some(below), Some(above)) => write!(out, "{below}<>{above}"),
            (None, None) => write!(out, ">={first}"),
        }
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LETTERS: &str = "FSRPAUEC";
        write!(out, "{}{}", self.how, Letters(self.flags, LETTERS))?;
        if self.ignored != 0 {
            write!(out, ",{}", Letters(self.ignored, LETTERS))?;
        }
        Ok(())
    }
}

impl fmt::Display for FragmentBits {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}", self.how, Letters(self.bits, "MDR"))
    }
}

/// The modifier, before the letters.
impl fmt::Display for How {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Exactly => "",
            Self::All => "+",
            Self::Any => "*",
            Self::NotAll => "!",
        })
    }
}

/// Bits by their letters, from the lowest on; 0 if there is none.
struct Letters(u8, &'static str);

impl fmt::Display for Letters {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(bits, letters) = self;
        if *bits == 0 {
            return out.write_char('0');
        }
        let named = (0..)
            .zip(letters.chars())
            .filter(|(bit, _)| bits >> bit & 1 == 1);
        named
            .into_iter()
            .try_for_each(|(_, letter)| out.write_char(letter))
    }
}

impl fmt::Display for IpOption {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(_, option)| *option == self.0);
        out.write_str(name.map_or("any", |(name, _)| name))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{super::RuleSet, *};

    /// The tests and the flow of a rule with these options.
    fn read(protocol: &str, options: &str) -> (Vec<Test>, Flow) {
        let text = format!("alert {protocol} any any -> any any ({options} sid:1;)");
        let mut set = RuleSet::from_bytes(Path::new("x.rules"), text.as_bytes());
        assert!(set.refusals.is_empty(), "{text}: {:?}", set.refusals);
        let rule = set.rules.remove(0);
        (rule.tests, rule.flow)
    }

    #[test]
    fn what_a_rule_asks_is_said_with_its_value_and_read_again_as_the_same() {
        for (protocol, written, said) in [
            ("udp", "dsize:>480;", "dsize:>480"),
            ("udp", "dsize:<=480;", "dsize:<481"),
            ("udp", "dsize: 300<>400;", "dsize:300<>400"),
            ("udp", "dsize:!=7;", "dsize:!7"),
            ("udp", "dsize:>=0;", "dsize:>=0"),
            ("udp", "dsize:0;", "dsize:0"),
            ("icmp", "itype:8;", "itype:8"),
            ("icmp", "icode:<5;", "icode:<5"),
            ("tcp", "ttl:>=5;", "ttl:>4"),
            ("tcp", "id:31337;", "id:31337"),
            ("tcp", "flags:S,12;", "flags:S,EC"),
            ("tcp", "flags:PA+;", "flags:+PA"),
            ("tcp", "flags:0;", "flags:0"),
            ("tcp", "flags:!0;", "flags:*FSRPAUEC"),
            ("tcp", "fragbits:!MD;", "fragbits:!MD"),
            ("tcp", "ipopts:lsrr;", "ipopts:lsrr"),
            ("tcp", "ipopts:any;", "ipopts:any"),
            ("tcp", "isdataat:100;", "isdataat:100"),
            ("tcp", "isdataat:!0;", "isdataat:!0"),
            (
                "tcp",
                "http.uri.raw; isdataat:!7;",
                "http.uri.raw; isdataat:!7",
            ),
            ("tcp", "detector.no_tcp_options;", "detector.no_tcp_options"),
            (
                "tcp",
                "detector.seq_is_destination;",
                "detector.seq_is_destination",
            ),
        ] {
            let (tests, _) = read(protocol, written);
            let shown: Vec<_> = tests.iter().map(ToString::to_string).collect();
            assert_eq!(shown, [said], "{written}");
            let (again, _) = read(protocol, &format!("{said};"));
            assert_eq!(again, tests, "{written}");
        }
        let relative = "content:\"a\"; isdataat:!5,relative;";
        let (tests, _) = read("tcp", relative);
        assert_eq!(tests[0].to_string(), "isdataat:!5,relative");
    }

    #[test]
    fn which_side_a_rule_is_for_is_said_and_read_again_as_the_same() {
        for (written, said) in [
            (
                "flow:established,from_client;",
                "flow:to_server,established",
            ),
            ("flow:to_client;", "flow:to_client"),
            ("flow:stateless;", "flow:stateless"),
        ] {
            let (_, flow) = read("tcp", written);
            assert_eq!(flow.to_string(), said);
            assert_eq!(read("tcp", &format!("{said};")).1, flow);
        }
    }
}
