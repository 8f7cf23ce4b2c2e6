//! A rule that is being read: what its options said so far, each once.

mod pattern;

use detector_common::detect::signature::table::trait_bit;

use self::pattern::{DraftPattern, have_buffer};
use super::{
    byte_jump::ByteJump,
    byte_test::{ByteTest, Misread},
    flowbits::{self, FlowBit},
    header::{Action, Header, Protocol},
    keyword::Keyword,
    option::{Fault, RawOption},
    pattern::{Anchor, Buffer, Pattern, bytes},
    pcre::{self, Expression, Pcre},
    problem::Problem,
    rule::{Flow, Origin, Rule, Test},
    test::{Flags, FragmentBits, IpOption, Numbers},
    threshold::Threshold,
    value::Value,
};

/// What was said so far.
#[derive(Default)]
pub(super) struct Draft {
    /// Whether the agent may decide a part.
    allow_partial: bool,
    msg: Option<String>,
    gid: Option<u32>,
    sid: Option<u32>,
    rev: Option<u32>,
    priority: Option<u32>,
    patterns: Vec<DraftPattern>,
    pcres: Vec<DraftPcre>,
    tests: Vec<DraftTest>,
    flow: Option<Flow>,
    flow_at: usize,
    threshold: Option<Threshold>,
    flow_bits: Vec<FlowBit>,
    flow_bits_at: usize,
    is_silent: bool,
    /// What the next patterns are looked for in, where a keyword said it, and where that stands.
    buffer: Option<(Keyword, usize, Buffer)>,
    /// Whether anything was looked for in it.
    buffer_is_used: bool,
}

/// A regular expression: where it stands, and whether it begins behind the pattern before it.
struct DraftPcre {
    at: usize,
    pcre: Pcre,
    is_relative: bool,
}

/// A test, with its keyword.
struct DraftTest {
    at: usize,
    keyword: Keyword,
    /// Whether it begins behind the pattern before it, and how many there are.
    relative_to: Option<usize>,
    test: Test,
}

impl Draft {
    pub(super) fn new(allow_partial: bool) -> Self {
        Self {
            allow_partial,
            ..Self::default()
        }
    }

    /// Takes an option.
    pub(super) fn take(&mut self, keyword: Keyword, option: &RawOption<'_>) -> Result<(), Problem> {
        let value = Value::new(keyword, option.value);
        match keyword {
            Keyword::Msg => once(&mut self.msg, value.quoted()?, keyword)?,
            Keyword::Sid => once(&mut self.sid, value.number(u32::MAX)?, keyword)?,
            Keyword::Gid => once(&mut self.gid, value.number(u32::MAX)?, keyword)?,
            Keyword::Rev => once(&mut self.rev, value.number(u32::MAX)?, keyword)?,
            Keyword::Priority => once(&mut self.priority, value.number(255)?, keyword)?,
            Keyword::Flow => {
                let flow = value.some(Flow::of(value.text()?), Flow::EXPECTED)?;
                let flow = flow.map_err(|why| value.refused(why))?;
                once(&mut self.flow, flow, keyword)?;
                self.flow_at = option.at;
            }
            Keyword::Threshold | Keyword::DetectionFilter => {
                let text = value.text()?;
                let threshold = if keyword == Keyword::Threshold {
                    Threshold::of(text)
                } else {
                    Threshold::of_filter(text)
                };
                let threshold = value.some(threshold, Threshold::EXPECTED)?;
                let threshold = threshold.map_err(|why| value.refused(why))?;
                once(&mut self.threshold, threshold, keyword)?;
            }
            Keyword::FlowBits => self.add_flow_bit(option.at, &value)?,
            Keyword::NoAlert => {
                value.none()?;
                self.is_silent = true;
            }
            Keyword::Content | Keyword::UriContent => self.add_pattern(option.at, &value)?,
            Keyword::Pcre => self.add_pcre(option.at, &value)?,
            Keyword::ByteJump => {
                let (jump, offset, is_relative) =
                    ByteJump::of(value.text()?).map_err(|misread| match misread {
                        Misread::Wrong => value.wrong(ByteJump::EXPECTED),
                        Misread::Refused(why) => value.refused(why),
                    })?;
                self.reads_payload(&value, is_relative)?;
                let draft = DraftPattern::jump(option.at, jump, offset, is_relative)?;
                self.patterns.push(draft);
            }
            Keyword::Nocase
            | Keyword::Offset
            | Keyword::Depth
            | Keyword::Distance
            | Keyword::Within
            | Keyword::StartsWith
            | Keyword::EndsWith
            | Keyword::OfHttpUri
            | Keyword::OfHttpUriRaw
            | Keyword::OfHttpMethod
            | Keyword::OfHttpHeader => {
                let mut patterns = self.patterns.iter_mut();
                let last = patterns.rfind(|draft| draft.pattern.is_content());
                last.ok_or(Problem::NoPattern(keyword.name()))?
                    .modify(keyword, &value)?;
            }
            Keyword::HttpUri
            | Keyword::HttpUriRaw
            | Keyword::HttpMethod
            | Keyword::HttpHeader
            | Keyword::PayloadBuffer => {
                value.none()?;
                self.end_buffer()?;
                self.buffer = Some((keyword, option.at, buffer_of(keyword)));
                self.buffer_is_used = keyword == Keyword::PayloadBuffer;
            }
            Keyword::IsDataAt
            | Keyword::DataSize
            | Keyword::Flags
            | Keyword::TcpFlags
            | Keyword::IcmpType
            | Keyword::IcmpCode
            | Keyword::TimeToLive
            | Keyword::Identification
            | Keyword::IpOptions
            | Keyword::FragmentBits
            | Keyword::ByteTest
            | Keyword::Acknowledgement
            | Keyword::TcpAcknowledgement
            | Keyword::Sequence
            | Keyword::TcpSequence
            | Keyword::Window
            | Keyword::TcpWindow
            | Keyword::SameAddress
            | Keyword::IcmpId
            | Keyword::IcmpSequence
            | Keyword::IpProtocol
            | Keyword::NoTcpOptions
            | Keyword::SequenceIsDestination => self.add_test(option.at, &value)?,
        }
        Ok(())
    }

    fn add_flow_bit(&mut self, at: usize, value: &Value<'_>) -> Result<(), Problem> {
        let text = value.text()?;
        if text.trim() == "noalert" {
            self.is_silent = true;
            return Ok(());
        }
        let bit = value.some(FlowBit::of(text), FlowBit::EXPECTED)?;
        self.flow_bits.push(bit.map_err(|why| value.refused(why))?);
        self.flow_bits_at = at;
        Ok(())
    }

    fn add_pattern(&mut self, at: usize, value: &Value<'_>) -> Result<(), Problem> {
        let keyword = value.keyword;
        let (negated, text) = value.negatable()?;
        let buffer = match (keyword, self.buffer) {
            (Keyword::UriContent, Some(_)) => {
                return Err(Problem::Together("uricontent", "a buffer before it"));
            }
            (Keyword::UriContent, None) => (Buffer::HttpUri, Some(keyword)),
            (_, Some((said, _, buffer))) => (buffer, Some(said)),
            (_, None) => (Buffer::Payload, None),
        };
        self.buffer_is_used = true;
        let bytes = bytes(keyword.name(), text)?;
        let pattern = DraftPattern::new(at, keyword, bytes, negated, buffer);
        self.patterns.push(pattern);
        Ok(())
    }

    fn add_pcre(&mut self, at: usize, value: &Value<'_>) -> Result<(), Problem> {
        let (negated, text) = value.negatable()?;
        let buffer = self.buffer.map(|(_, _, buffer)| buffer);
        let expression = Expression::read(text, buffer)?;
        let is_relative = expression.is_relative();
        self.buffer_is_used = true;
        if let Some(runs) = expression.runs() {
            let draft = DraftPattern::of_runs(at, runs, is_relative, negated, expression.buffer);
            self.patterns.push(draft);
        } else if self.allow_partial {
            self.pcres.push(DraftPcre {
                at,
                pcre: expression.build(negated, self.patterns.len())?,
                is_relative,
            });
        } else {
            return Err(pcre::refused(pcre::IN_THE_AGENT));
        }
        Ok(())
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a keyword of another kind does not come here"
    )]
    fn add_test(&mut self, at: usize, value: &Value<'_>) -> Result<(), Problem> {
        let keyword = value.keyword;
        let mut relative_to = None;
        let test = match keyword {
            Keyword::DataSize => Test::DataSize(value.numbers(65_535)?),
            Keyword::NoTcpOptions => {
                value.none()?;
                Test::Trait(trait_bit::NO_TCP_OPTIONS)
            }
            Keyword::SequenceIsDestination => {
                value.none()?;
                Test::Trait(trait_bit::SEQUENCE_IS_DESTINATION)
            }
            Keyword::SameAddress => {
                value.none()?;
                Test::Trait(trait_bit::SAME_ADDRESS)
            }
            Keyword::ByteTest => {
                let (test, is_relative) = self.byte_test(value)?;
                relative_to = is_relative.then_some(self.patterns.len());
                Test::ByteTest(test)
            }
            Keyword::Acknowledgement | Keyword::TcpAcknowledgement => {
                Test::Acknowledgement(value.number(u32::MAX)?)
            }
            Keyword::Sequence | Keyword::TcpSequence => Test::Sequence(value.number(u32::MAX)?),
            Keyword::Window | Keyword::TcpWindow => Test::Window(value.numbers(65_535)?),
            Keyword::IcmpId => Test::IcmpId(value.number(65_535)? as u16),
            Keyword::IcmpSequence => Test::IcmpSequence(value.number(65_535)? as u16),
            Keyword::IpProtocol => Test::IpProtocol(ip_protocol(value)?),
            Keyword::IcmpType => Test::IcmpType(value.numbers(255)?),
            Keyword::IcmpCode => Test::IcmpCode(value.numbers(255)?),
            Keyword::TimeToLive => Test::TimeToLive(value.numbers(255)?),
            Keyword::Identification => Test::Identification(value.number(65_535)? as u16),
            Keyword::FragmentBits => {
                let bits = FragmentBits::of(value.text()?);
                Test::FragmentBits(value.some(bits, FragmentBits::EXPECTED)?)
            }
            Keyword::IpOptions => {
                let known = IpOption::of(value.text()?);
                Test::IpOption(value.some(known, IpOption::EXPECTED)?)
            }
            Keyword::IsDataAt => {
                let (test, is_relative) = self.data_at(value)?;
                relative_to = is_relative.then_some(self.patterns.len());
                test
            }
            _ => {
                let flags = Flags::of(value.text()?);
                Test::Flags(value.some(flags, Flags::EXPECTED)?)
            }
        };
        self.tests.push(DraftTest {
            at,
            keyword,
            relative_to,
            test,
        });
        Ok(())
    }

    /// The value of `isdataat`, and whether it is relative.
    fn data_at(&mut self, value: &Value<'_>) -> Result<(Test, bool), Problem> {
        let expected = "a number, perhaps behind a !, and perhaps \",relative\"";
        let (negated, text) = value.negatable()?;
        let mut parts = text.split(',').map(str::trim);
        let at = parts.next().and_then(|at| at.parse::<u16>().ok());
        let at = u32::from(value.some(at, expected)?);
        let mut is_relative = false;
        for part in parts {
            match part {
                "relative" => is_relative = true,
                "rawbytes" => {}
                _ => return Err(value.wrong(expected)),
            }
        }
        self.buffer_is_used = true;
        let asked = Test::DataAt {
            buffer: self.buffer.map_or(Buffer::Payload, |(_, _, buffer)| buffer),
            // A byte at 9 is the tenth; nine bytes behind a pattern are nine.
            bytes: at + u32::from(!is_relative),
            after: None,
            negated,
        };
        Ok((asked, is_relative))
    }

    /// The value of `byte_test`, and whether it is relative.
    fn byte_test(&self, value: &Value<'_>) -> Result<(ByteTest, bool), Problem> {
        let (test, is_relative) = ByteTest::of(value.text()?).map_err(|misread| match misread {
            Misread::Wrong => value.wrong(ByteTest::EXPECTED),
            Misread::Refused(why) => value.refused(why),
        })?;
        self.reads_payload(value, is_relative)?;
        if test.range().is_none() {
            return Err(Problem::Never(
                value.keyword.name(),
                "no number of so many bytes is so",
            ));
        }
        Ok((test, is_relative))
    }

    /// Fails if a number that stands here is one of another buffer than the payload.
    fn reads_payload(&self, value: &Value<'_>, is_relative: bool) -> Result<(), Problem> {
        // Without a buffer before it, it counts from the content before it, in whatever that is looked for.
        let last = self.patterns.last().filter(|_| is_relative);
        let buffer = match (self.buffer, last) {
            (Some((_, _, buffer)), _) => buffer,
            (None, Some(last)) => last.pattern.buffer,
            (None, None) => Buffer::Payload,
        };
        if buffer == Buffer::Payload {
            Ok(())
        } else {
            Err(value.refused("numbers are read out of the payload alone"))
        }
    }

    /// Fails if a buffer was named that nothing is looked for in.
    fn end_buffer(&self) -> Result<(), Problem> {
        match self.buffer {
            Some((keyword, ..)) if !self.buffer_is_used => {
                Err(Problem::NoPatternBehind(keyword.name()))
            }
            _ => Ok(()),
        }
    }

    /// The rule.
    pub(super) fn finish(self, mut header: Header, origin: Origin) -> Result<Rule, Fault> {
        if let Some((_, at, _)) = self.buffer {
            self.end_buffer()
                .map_err(|problem| Fault::new(at, problem))?;
        }
        let flow = self.flow.unwrap_or_default();
        flow.is_of(header.protocol)
            .map_err(|problem| Fault::new(self.flow_at, problem))?;
        flowbits::check(&self.flow_bits)
            .map_err(|problem| Fault::new(self.flow_bits_at, problem))?;
        let mut patterns = Vec::<Pattern>::new();
        for draft in &self.patterns {
            let at = |problem| Fault::new(draft.at, problem);
            draft.is_of(header.protocol, flow).map_err(at)?;
            let after = last_of(&patterns, draft.pattern.buffer, patterns.len());
            patterns.push(draft.finish(after).map_err(at)?);
        }
        let mut tests = Vec::new();
        for draft in &self.tests {
            let at = |problem| Fault::new(draft.at, problem);
            tests.push(draft.finish(header.protocol, flow, &patterns).map_err(at)?);
        }
        let pcres = self.finish_pcres(&header, flow, &patterns, &tests)?;
        if !pcres.is_empty() {
            header.action = Action::Alert;
        }
        Ok(Rule {
            origin,
            header,
            gid: self.gid.unwrap_or(1),
            sid: self
                .sid
                .filter(|sid| *sid > 0)
                .ok_or(Fault::new(0, Problem::NoSid))?,
            rev: self.rev.unwrap_or_default(),
            msg: self.msg.unwrap_or_default(),
            priority: self.priority,
            patterns,
            pcres,
            tests,
            flow,
            threshold: self.threshold,
            flow_bits: self.flow_bits,
            is_silent: self.is_silent,
        })
    }
}

impl Draft {
    /// The regular expressions, of a rule that the agent can decide the rest of.
    fn finish_pcres(
        &self,
        header: &Header,
        flow: Flow,
        patterns: &[Pattern],
        tests: &[Test],
    ) -> Result<Vec<Pcre>, Fault> {
        let Some(first) = self.pcres.first() else {
            return Ok(Vec::new());
        };
        let refuse = |why| Err(Fault::new(first.at, pcre::refused(why)));
        if header.action == Action::Pass {
            return refuse(
                "not in a rule that lets packets pass: the kernel would do so before it is decided",
            );
        }
        if self.threshold.is_some() {
            return refuse(
                "not together with threshold or detection_filter: packets are counted before it is decided",
            );
        }
        if self.is_silent || !self.flow_bits.is_empty() {
            return refuse(
                "not together with flowbits or noalert: what they do is done before it is decided",
            );
        }
        if !patterns
            .iter()
            .any(|pattern| !pattern.negated && pattern.is_content())
        {
            return refuse(
                "needs a content that must be there: else every packet would be handed to the agent",
            );
        }
        let mut pcres: Vec<Pcre> = Vec::new();
        for draft in &self.pcres {
            let fault = |problem| Fault::new(draft.at, problem);
            let (buffer, before) = (draft.pcre.buffer, draft.pcre.before);
            have_buffer(buffer, Keyword::Pcre, header.protocol, flow).map_err(fault)?;
            let after = last_of(patterns, buffer, before);
            // Whoever counts from the last match counts from that of an expression, if there is one, and where it ends is not kept.
            let ends_one = |one: &Pcre| {
                !one.negated && one.buffer == buffer && after.is_none_or(|after| one.before > after)
            };
            if draft.is_relative && pcres.iter().any(ends_one) {
                return Err(fault(pcre::refused(BEHIND_PCRE)));
            }
            let mut pcre = draft.pcre.clone();
            pcre.after = after.filter(|_| draft.is_relative);
            pcres.push(pcre);
        }
        let relative = patterns.iter().enumerate().filter_map(|(number, pattern)| {
            let Anchor::Relative { after, .. } = pattern.anchor else {
                return None;
            };
            Some((pattern.buffer, number, after))
        });
        let tests = self.tests.iter().zip(tests).filter_map(|(draft, test)| {
            // A number is read out of the payload alone.
            let buffer = if let Test::DataAt { buffer, .. } = *test {
                buffer
            } else {
                Buffer::Payload
            };
            Some((buffer, draft.relative_to?, test.after()))
        });
        for (buffer, number, after) in relative.chain(tests) {
            let stands_between = |one: &Pcre| {
                !one.negated
                    && one.buffer == buffer
                    && one.before <= number
                    && after.is_none_or(|after| one.before > after)
            };
            if pcres.iter().any(stands_between) {
                return refuse(BEHIND_PCRE);
            }
        }
        Ok(pcres)
    }
}

const BEHIND_PCRE: &str = "what stands behind it begins where it ends, and that is not kept: not with distance, within, relative or R";

/// Of the first `before` patterns the last that is in this buffer and must be there.
fn last_of(patterns: &[Pattern], buffer: Buffer, before: usize) -> Option<usize> {
    let before = patterns.get(..before).unwrap_or(patterns);
    before
        .iter()
        .rposition(|pattern| pattern.buffer == buffer && !pattern.negated)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a keyword of another kind does not come here"
)]
fn buffer_of(keyword: Keyword) -> Buffer {
    match keyword {
        Keyword::HttpUri | Keyword::OfHttpUri => Buffer::HttpUri,
        Keyword::HttpUriRaw | Keyword::OfHttpUriRaw => Buffer::HttpUriRaw,
        Keyword::HttpMethod | Keyword::OfHttpMethod => Buffer::HttpMethod,
        Keyword::HttpHeader | Keyword::OfHttpHeader => Buffer::HttpHeader,
        _ => Buffer::Payload,
    }
}

/// The value of `ip_proto`: one of the protocols that rules are for, or all but one.
fn ip_protocol(value: &Value<'_>) -> Result<Numbers, Problem> {
    let (negated, text) = value.negatable()?;
    let number = match &*text.to_ascii_lowercase() {
        "1" | "icmp" => 1,
        "6" | "tcp" => 6,
        "17" | "udp" => 17,
        "58" | "icmp6" | "icmpv6" | "ipv6-icmp" => 58,
        _ => return Err(value.refused("only packets of tcp, udp and icmp are looked at")),
    };
    Ok(Numbers {
        first: number,
        last: number,
        negated,
    })
}

/// Says something that may be said once.
fn once<T>(place: &mut Option<T>, value: T, keyword: Keyword) -> Result<(), Problem> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Problem::Twice(keyword.name())),
    }
}

impl DraftTest {
    fn finish(
        &self,
        protocol: Protocol,
        flow: Flow,
        patterns: &[Pattern],
    ) -> Result<Test, Problem> {
        let keyword = self.keyword.name();
        let only_of = |wanted, name| {
            if protocol == wanted {
                Ok(self.test)
            } else {
                Err(Problem::OnlyOf(keyword, name))
            }
        };
        match self.test {
            Test::Trait(trait_bit::SAME_ADDRESS)
            | Test::TimeToLive(_)
            | Test::Identification(_)
            | Test::IpProtocol(_)
            | Test::IpOption(_)
            | Test::FragmentBits(_) => Ok(self.test),
            Test::Flags(_)
            | Test::Trait(_)
            | Test::Acknowledgement(_)
            | Test::Sequence(_)
            | Test::Window(_) => only_of(Protocol::Tcp, "tcp"),
            Test::IcmpType(_) | Test::IcmpCode(_) | Test::IcmpId(_) | Test::IcmpSequence(_) => {
                only_of(Protocol::Icmp, "icmp")
            }
            Test::ByteTest(test) => Ok(Test::ByteTest(ByteTest {
                after: self
                    .relative_to
                    .and_then(|before| last_of(patterns, Buffer::Payload, before)),
                ..test
            })),
            Test::DataSize(Numbers { last, negated, .. }) => {
                let mut there = patterns.iter().filter(|pattern| !pattern.negated);
                if !negated && there.any(|pattern| pattern.length() as u64 > u64::from(last)) {
                    return Err(Problem::Never(keyword, "a content is longer"));
                }
                Ok(self.test)
            }
            Test::DataAt {
                buffer,
                bytes,
                negated,
                ..
            } => {
                have_buffer(buffer, self.keyword, protocol, flow)?;
                Ok(Test::DataAt {
                    buffer,
                    bytes,
                    negated,
                    after: self
                        .relative_to
                        .and_then(|before| last_of(patterns, buffer, before)),
                })
            }
        }
    }
}
