//! How often a rule is told, or must hold, by source.

use std::fmt;

use detector_common::detect::signature::{
    table::Row,
    threshold::{COUNT_MAX, Limits, SECONDS_MAX},
};

/// What is done with the packets of one source that a rule holds for within a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// All match, and the first `count` are told.
    Limit,
    /// Each `count`-th matches.
    Threshold,
    /// All from the `count`-th on match, and that is told.
    Both,
    /// All behind the `count`-th match.
    Filter,
}

/// How often a rule is told, or must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// What is done.
    pub kind: Kind,
    /// How many.
    pub count: u32,
    /// Within how many seconds.
    pub seconds: u32,
}

impl Threshold {
    pub(super) const EXPECTED: &'static str = "type limit, threshold or both (of threshold only), track by_src, count and seconds, from 1 each";

    /// The value of `threshold`; fails with the reason if it is one that is not honoured.
    pub(super) fn of(text: &str) -> Option<Result<Self, &'static str>> {
        let kind = match parameter(text, "type")? {
            "limit" => Kind::Limit,
            "threshold" => Kind::Threshold,
            "both" => Kind::Both,
            _ => return None,
        };
        Self::read(kind, text, 4)
    }

    /// The value of `detection_filter`, as [`Self::of`].
    pub(super) fn of_filter(text: &str) -> Option<Result<Self, &'static str>> {
        Self::read(Kind::Filter, text, 3)
    }

    /// Whether the rule may hold for a packet that it does not match.
    pub(super) fn is_awaited(self) -> bool {
        self.limits().least > 1
    }

    /// A row that counts so.
    pub(super) fn row(self) -> Row {
        let Limits {
            least,
            last,
            window,
        } = self.limits();
        Row {
            window,
            least,
            last,
            ..Row::default()
        }
    }

    fn limits(self) -> Limits {
        let (least, told) = match self.kind {
            Kind::Limit => (1, self.count),
            Kind::Threshold => (self.count, Row::AGAIN.into()),
            Kind::Both => (self.count, self.count),
            Kind::Filter => (self.count + 1, u16::MAX.into()),
        };
        Limits::new(least, told, self.seconds)
    }

    fn read(kind: Kind, text: &str, parameters: usize) -> Option<Result<Self, &'static str>> {
        if text.split(',').count() != parameters {
            return None;
        }
        let number = |name| {
            let number = parameter(text, name)?.parse::<u32>().ok();
            number.filter(|number| *number > 0)
        };
        let (count, seconds) = (number("count")?, number("seconds")?);
        Some(match parameter(text, "track")? {
            "by_src" if count > COUNT_MAX => Err("count is 65534 at most"),
            "by_src" if seconds > SECONDS_MAX => Err("seconds are 86400 at most, a day"),
            "by_src" => Ok(Self {
                kind,
                count,
                seconds,
            }),
            "by_dst" | "by_rule" | "by_both" | "by_flow" => {
                Err("packets are counted by source alone")
            }
            _ => return None,
        })
    }
}

/// As a rule says it.
impl fmt::Display for Threshold {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, seconds, .. } = self;
        let keyword = match self.kind {
            Kind::Limit => "threshold:type limit, ",
            Kind::Threshold => "threshold:type threshold, ",
            Kind::Both => "threshold:type both, ",
            Kind::Filter => "detection_filter:",
        };
        write!(
            out,
            "{keyword}track by_src, count {count}, seconds {seconds}"
        )
    }
}

/// The value behind a name.
fn parameter<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.split(',').find_map(|parameter| {
        let (found, value) = parameter.trim().split_once(char::is_whitespace)?;
        (found == name).then_some(value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_by_source_and_has_all_its_parts() {
        let text = "type both, track by_src, count 5, seconds 60";
        let read = Threshold::of(text).unwrap().unwrap();
        assert_eq!((read.kind, read.count, read.seconds), (Kind::Both, 5, 60));
        let filter = "track by_src,count 5,seconds 60";
        assert_eq!(
            Threshold::of_filter(filter).map(|read| read.map(|read| read.kind)),
            Some(Ok(Kind::Filter))
        );
        for (said, read) in [
            (text, Threshold::of(text)),
            (filter, Threshold::of_filter(filter)),
        ] {
            let shown = read.unwrap().unwrap().to_string().replace(", ", ",");
            assert!(shown.ends_with(&said.replace(", ", ",")), "{shown}");
        }
        for wrong in [
            "type both, track by_no, count 5, seconds 60",
            "type both, track by_src, count 5",
            "type both, track by_src, count 0, seconds 60",
            "type all, track by_src, count 5, seconds 60",
            "type both, track by_src, count 5, seconds 60, more 1",
            "",
        ] {
            assert_eq!(Threshold::of(wrong), None, "{wrong}");
        }
        for refused in [
            "type both, track by_dst, count 5, seconds 60",
            "type both, track by_rule, count 5, seconds 60",
            "type both, track by_src, count 65535, seconds 60",
            "type both, track by_src, count 5, seconds 86401",
        ] {
            assert!(Threshold::of(refused).unwrap().is_err(), "{refused}");
        }
    }

    #[test]
    fn only_a_limit_matches_whatever_it_holds_for() {
        let awaited = |text| Threshold::of(text).unwrap().unwrap().is_awaited();
        assert!(!awaited("type limit, track by_src, count 5, seconds 60"));
        assert!(!awaited("type both, track by_src, count 1, seconds 60"));
        assert!(awaited("type both, track by_src, count 2, seconds 60"));
        assert!(awaited("type threshold, track by_src, count 2, seconds 60"));
        let filter = Threshold::of_filter("track by_src, count 1, seconds 60");
        assert!(filter.unwrap().unwrap().is_awaited());
    }
}
