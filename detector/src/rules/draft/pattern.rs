//! A pattern with its modifiers, as they were said.

use super::{
    super::{
        byte_jump::ByteJump,
        header::Protocol,
        keyword::Keyword,
        pattern::{Anchor, Buffer, Pattern, Runs},
        problem::Problem,
        rule::Flow,
        value::Value,
    },
    buffer_of, once,
};

const DIRECTED: &str = "only in rules of tcp to the server: a request is looked at, and no answer";

/// Fails if such packets have no such buffer, or an answer has it too; `keyword` named it.
pub(super) fn have_buffer(
    buffer: Buffer,
    keyword: Keyword,
    protocol: Protocol,
    flow: Flow,
) -> Result<(), Problem> {
    let directions: &[Option<bool>] = match buffer {
        Buffer::Payload => return Ok(()),
        Buffer::HttpUri | Buffer::HttpUriRaw | Buffer::HttpMethod => &[None, Some(true)],
        // An answer has headers too.
        Buffer::HttpHeader => &[Some(true)],
    };
    if protocol == Protocol::Tcp && directions.contains(&flow.to_server) {
        return Ok(());
    }
    Err(Problem::Refused {
        keyword: keyword.name(),
        why: DIRECTED,
    })
}

/// A pattern, with its modifiers as they were said.
pub(super) struct DraftPattern {
    pub(super) at: usize,
    keyword: Keyword,
    /// But its anchor.
    pub(super) pattern: Pattern,
    starts: bool,
    offset: Option<u32>,
    depth: Option<u32>,
    distance: Option<i32>,
    within: Option<u32>,
    /// The keyword that said in what it is looked for.
    buffer_said: Option<Keyword>,
}

impl DraftPattern {
    /// A pattern of which nothing more is said yet.
    pub(super) fn new(
        at: usize,
        keyword: Keyword,
        bytes: Vec<u8>,
        negated: bool,
        (buffer, buffer_said): (Buffer, Option<Keyword>),
    ) -> Self {
        Self {
            at,
            keyword,
            pattern: Pattern {
                bytes,
                runs: None,
                jump: None,
                negated,
                nocase: false,
                buffer,
                anchor: Anchor::Absolute {
                    offset: 0,
                    depth: None,
                },
                ends: false,
            },
            starts: false,
            offset: None,
            depth: None,
            distance: None,
            within: None,
            buffer_said,
        }
    }

    /// What an expression says of bytes: right behind the pattern before it, or at the start.
    pub(super) fn of_runs(
        at: usize,
        runs: Runs,
        is_relative: bool,
        negated: bool,
        buffer: Buffer,
    ) -> Self {
        let mut draft = Self::new(at, Keyword::Pcre, Vec::new(), negated, (buffer, None));
        draft.pattern.runs = Some(runs);
        draft.starts = !is_relative;
        draft.within = is_relative.then_some(draft.pattern.length() as u32);
        draft
    }

    /// A number that leads somewhere, of which all is said.
    pub(super) fn jump(
        at: usize,
        jump: ByteJump,
        offset: i32,
        is_relative: bool,
    ) -> Result<Self, Problem> {
        let keyword = Keyword::ByteJump;
        let mut draft = Self::new(at, keyword, Vec::new(), false, (Buffer::Payload, None));
        draft.pattern.jump = Some(jump);
        if is_relative {
            draft.distance = Some(offset);
        } else {
            let offset = u32::try_from(offset);
            let why = "nothing stands before the payload";
            draft.offset = Some(offset.map_err(|_| Problem::Never(keyword.name(), why))?);
        }
        Ok(draft)
    }

    /// Takes what a keyword says of it.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a keyword of another kind does not come here"
    )]
    pub(super) fn modify(&mut self, keyword: Keyword, value: &Value<'_>) -> Result<(), Problem> {
        match keyword {
            Keyword::Offset => return once(&mut self.offset, value.number(65_535)?, keyword),
            Keyword::Depth => return once(&mut self.depth, value.number(65_535)?, keyword),
            Keyword::Distance => return once(&mut self.distance, value.signed(65_535)?, keyword),
            Keyword::Within => return once(&mut self.within, value.number(65_535)?, keyword),
            _ => value.none()?,
        }
        match keyword {
            Keyword::Nocase => self.pattern.nocase = true,
            Keyword::StartsWith => self.starts = true,
            Keyword::EndsWith => self.pattern.ends = true,
            _ => match self.buffer_said {
                None => {
                    self.pattern.buffer = buffer_of(keyword);
                    self.buffer_said = Some(keyword);
                }
                Some(
                    Keyword::UriContent
                    | Keyword::OfHttpUri
                    | Keyword::OfHttpUriRaw
                    | Keyword::OfHttpMethod
                    | Keyword::OfHttpHeader,
                ) => return Err(Problem::Twice(keyword.name())),
                Some(_) => return Err(Problem::Together(keyword.name(), "a buffer before it")),
            },
        }
        Ok(())
    }

    /// Fails if such packets have no such buffer, or an answer has it too.
    pub(super) fn is_of(&self, protocol: Protocol, flow: Flow) -> Result<(), Problem> {
        let keyword = self.buffer_said.unwrap_or(self.keyword);
        have_buffer(self.pattern.buffer, keyword, protocol, flow)
    }

    /// The pattern, before which `after` stands in its buffer.
    pub(super) fn finish(&self, after: Option<usize>) -> Result<Pattern, Problem> {
        let is_absolute = self.offset.is_some() || self.depth.is_some();
        let is_relative = self.distance.is_some() || self.within.is_some();
        if self.starts && (is_absolute || is_relative) {
            let others = "offset, depth, distance or within";
            return Err(Problem::Together("startswith", others));
        }
        if is_absolute && is_relative {
            return Err(if self.offset.is_none() {
                Problem::Together("depth", "distance or within")
            } else {
                Problem::Together("distance", "offset, depth or startswith")
            });
        }
        let len = self.pattern.length() as u32;
        let room = if self.starts {
            Some(len)
        } else {
            self.depth.or(self.within)
        };
        if room.is_some_and(|room| room < len) {
            let why = "it is longer than its depth or within";
            return Err(if self.pattern.negated {
                Problem::Pointless(self.keyword.name(), why)
            } else {
                Problem::Never(self.keyword.name(), why)
            });
        }
        let anchor = if is_relative {
            Anchor::Relative {
                after,
                distance: self.distance.unwrap_or_default(),
                within: room,
            }
        } else {
            Anchor::Absolute {
                offset: self.offset.unwrap_or_default(),
                depth: room,
            }
        };
        Ok(Pattern {
            anchor,
            ..self.pattern.clone()
        })
    }
}
