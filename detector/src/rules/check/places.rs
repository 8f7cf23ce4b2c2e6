//! Where in a payload the patterns of a rule may stand, and how long the payload is then.

use detector_common::detect::signature::workspace::{BLOCK, PAYLOAD_MAX};

use super::{
    super::{
        pattern::{Anchor, Buffer, Pattern},
        rule::{Rule, Test},
    },
    never::Never,
};

/// Of a payload so much is looked at for certain, however long it is. Nothing is told of what only a longer one could show.
const LOOKED_AT: u32 = (PAYLOAD_MAX - 2 * BLOCK) as u32;

/// The first and the last byte where something may begin.
pub(super) type Span = (i64, i64);

/// Where patterns may stand.
pub(super) struct Places {
    /// Where each pattern may begin; `None` of one that must not be there, or is not of the payload.
    pub(super) begins: Vec<Option<Span>>,
    /// The least length of a payload, as far as it is looked at.
    pub(super) shortest: i64,
    longest: i64,
}

impl Places {
    /// The places in a payload that is so long. Fails if a pattern has none.
    pub(super) fn of(rule: &Rule, (least, most): (u32, u32)) -> Result<Self, Never> {
        let mut places = Self {
            begins: vec![None; rule.patterns.len()],
            shortest: least.min(LOOKED_AT).into(),
            longest: most.min(PAYLOAD_MAX as u32).into(),
        };
        // What stands behind may narrow what stands before; a second time is enough to see that it does.
        for _ in 0..2 {
            places.narrow(rule)?;
        }
        Ok(places)
    }

    fn narrow(&mut self, rule: &Rule) -> Result<(), Never> {
        for (index, pattern) in rule.patterns.iter().enumerate() {
            let is_jump = pattern.jump.is_some();
            if pattern.negated || is_jump || pattern.buffer != Buffer::Payload {
                continue;
            }
            let (first, last) = self.place(rule, pattern);
            if first > last {
                return Err(Never::NoPlace {
                    pattern: pattern.to_string(),
                    first,
                    longest: self.longest,
                });
            }
            if let Some(place) = self.begins.get_mut(index) {
                *place = Some((first, last));
            }
            self.shortest = self.shortest.max(first + len(pattern));
        }
        for test in &rule.tests {
            if let Test::DataAt {
                buffer: Buffer::Payload,
                bytes,
                after,
                negated,
            } = *test
            {
                let (first, last) = self.end_of(rule, after);
                if negated {
                    self.longest = self.longest.min(last + i64::from(bytes) - 1);
                } else {
                    self.shortest = self.shortest.max(first + i64::from(bytes));
                }
            }
        }
        if self.shortest > self.longest {
            return Err(Never::Lengths {
                shortest: self.shortest,
                longest: self.longest,
            });
        }
        Ok(())
    }

    fn place(&self, rule: &Rule, pattern: &Pattern) -> Span {
        let len = len(pattern);
        let ((first, last), room) = match pattern.anchor {
            Anchor::Absolute { offset, depth } => ((offset.into(), offset.into()), depth),
            Anchor::Relative {
                after,
                distance,
                within,
            } => {
                let (first, last) = self.end_of(rule, after);
                let distance = i64::from(distance);
                ((first + distance, last + distance), within)
            }
        };
        let mut first = first.max(0);
        let end = room.map_or(self.longest, |room| {
            (last + i64::from(room)).min(self.longest)
        });
        if pattern.ends {
            first = first.max(self.shortest - len);
        }
        (first, end - len)
    }

    /// Where what is relative to this pattern, or to the start of the payload, counts from.
    fn end_of(&self, rule: &Rule, after: Option<usize>) -> Span {
        let Some(after) = after else {
            return (0, 0);
        };
        let pattern = rule.patterns.get(after);
        if pattern.is_some_and(|pattern| pattern.jump.is_some()) {
            // Where a number leads, only the packet says.
            return (0, u16::MAX.into());
        }
        let begins = self.begins.get(after).copied().flatten();
        let len = pattern.map_or(0, len);
        let (first, last) = begins.unwrap_or((0, self.longest));
        (first + len, last + len)
    }
}

/// The length of a pattern, in bytes; 0 of a number that leads somewhere.
pub(super) fn len(pattern: &Pattern) -> i64 {
    i64::from(pattern.length() as u32)
}

/// Where in `outer` the bytes of `inner` stand, so that `inner` is there wherever `outer` is. Expressions are not compared.
pub(super) fn places_in(inner: &Pattern, outer: &Pattern) -> impl Iterator<Item = usize> {
    let last = if inner.runs.is_some() {
        0
    } else {
        (outer.bytes.len() + 1).saturating_sub(inner.bytes.len())
    };
    (0..last).filter(move |at| {
        let outer_bytes = outer.bytes.get(*at..).unwrap_or_default();
        inner
            .bytes
            .iter()
            .zip(outer_bytes)
            .all(|(inner_byte, outer_byte)| {
                if inner.nocase {
                    inner_byte.eq_ignore_ascii_case(outer_byte)
                } else {
                    inner_byte == outer_byte && !(outer.nocase && outer_byte.is_ascii_alphabetic())
                }
            })
    })
}

/// Whether a pattern with a place of its own, of which `inner` stands at `at` in `outer`, may stand wherever that puts it if `outer`
/// begins in `begins`.
pub(super) fn is_in_place(
    inner: &Pattern,
    outer: &Pattern,
    at: usize,
    (first, last): Span,
) -> bool {
    let Anchor::Absolute { offset, depth } = inner.anchor else {
        return false;
    };
    let at = i64::from(at as u32);
    let end = depth.map(|depth| i64::from(offset) + i64::from(depth));
    let ends_with = outer.ends && at + len(inner) == len(outer);
    first + at >= offset.into()
        && end.is_none_or(|end| last + at + len(inner) <= end)
        && (!inner.ends || ends_with)
}
