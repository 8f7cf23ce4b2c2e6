//! How often a rule is told, or must match, by source.

/// What is done with the matches of one source within a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only the first `count` are told.
    Limit,
    /// Each `count`-th is told.
    Threshold,
    /// The `count`-th is told, and no other.
    Both,
    /// All behind the `count`-th match; those up to it do not.
    Filter,
}

/// How often a rule is told, or must match.
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
    pub(super) const EXPECTED: &'static str =
        "type limit, threshold or both (of threshold only), track by_src, count and seconds";

    /// The value of `threshold`.
    pub(super) fn of(text: &str) -> Option<Self> {
        let kind = match parameter(text, "type")? {
            "limit" => Kind::Limit,
            "threshold" => Kind::Threshold,
            "both" => Kind::Both,
            _ => return None,
        };
        Self::read(kind, text, 4)
    }

    /// The value of `detection_filter`.
    pub(super) fn of_filter(text: &str) -> Option<Self> {
        Self::read(Kind::Filter, text, 3)
    }

    fn read(kind: Kind, text: &str, parameters: usize) -> Option<Self> {
        let number = |name| {
            let number = parameter(text, name)?.parse().ok();
            number.filter(|number| *number > 0)
        };
        let is_whole = text.split(',').count() == parameters;
        let is_by_source = parameter(text, "track")? == "by_src";
        (is_whole && is_by_source).then_some(Self {
            kind,
            count: number("count")?,
            seconds: number("seconds")?,
        })
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
        let read = Threshold::of(text).unwrap();
        assert_eq!((read.kind, read.count, read.seconds), (Kind::Both, 5, 60));
        let filter = "track by_src,count 5,seconds 60";
        assert_eq!(
            Threshold::of_filter(filter).map(|read| read.kind),
            Some(Kind::Filter)
        );
        for wrong in [
            "type both, track by_dst, count 5, seconds 60",
            "type both, track by_src, count 5",
            "type both, track by_src, count 0, seconds 60",
            "type all, track by_src, count 5, seconds 60",
            "type both, track by_src, count 5, seconds 60, more 1",
            "",
        ] {
            assert_eq!(Threshold::of(wrong), None, "{wrong}");
        }
    }
}
