//! So many in so many seconds, in the form that Cisco's ARP filters have it.

use std::fmt;

use detector_common::token_bucket::Limit;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// `"30/2s"`: 30 in 2 seconds. `"15/s"` is short for `"15/1s"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    count: u32,
    seconds: u32,
}

/// A text is none, or one out of range.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoQuota;

impl Quota {
    /// The longest time, in seconds: an hour.
    pub(super) const SECONDS_MAX: u32 = 3600;

    /// `count` in `seconds`.
    pub(super) const fn new(count: u32, seconds: u32) -> Self {
        Self { count, seconds }
    }

    /// What `text` says, of at most `count_max`.
    pub(super) fn parse(text: &str, count_max: u32) -> Result<Self, NoQuota> {
        let (count, window) = text.split_once('/').ok_or(NoQuota)?;
        let seconds = window.strip_suffix('s').ok_or(NoQuota)?;
        Ok(Self {
            count: number(count, count_max)?,
            seconds: if seconds.is_empty() {
                1
            } else {
                number(seconds, Self::SECONDS_MAX)?
            },
        })
    }

    /// So many packets at once, and so many in each such time in the long run.
    #[must_use]
    pub fn to_limit(self) -> Limit {
        Limit::new(self.count, self.window_ns())
    }

    /// How many.
    pub(super) fn count(self) -> u32 {
        self.count
    }

    /// In how many seconds.
    pub(super) fn seconds(self) -> u32 {
        self.seconds
    }

    /// In how long, in nanoseconds.
    pub(super) fn window_ns(self) -> u64 {
        u64::from(self.seconds) * NANOS_PER_SECOND
    }
}

/// A whole number from 1 to `max`, in digits only: `u32::from_str` takes a sign too.
fn number(text: &str, max: u32) -> Result<u32, NoQuota> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_digits);
    number
        .filter(|number| (1..=max).contains(number))
        .ok_or(NoQuota)
}

impl fmt::Display for Quota {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, seconds } = self;
        if *seconds == 1 {
            write!(out, "{count}/s")
        } else {
            write!(out, "{count}/{seconds}s")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_a_count_in_seconds_and_reads_as_it_is_written() {
        for (text, count, seconds) in [("15/s", 15, 1), ("4/2s", 4, 2), ("1000/3600s", 1000, 3600)]
        {
            let quota = Quota::new(count, seconds);
            assert_eq!(Quota::parse(text, 1000), Ok(quota));
            assert_eq!(quota.to_string(), text);
        }
        assert_eq!(Quota::parse("15/1s", 1000), Ok(Quota::new(15, 1)));
    }

    #[test]
    fn what_is_out_of_range_or_in_another_form_is_none() {
        for text in [
            "",
            "15",
            "/s",
            "15/",
            "15/2",
            "15/ms",
            "0/s",
            "15/0s",
            "1001/s",
            "15/3601s",
            "-1/s",
            "+1/s",
            "1.5/s",
            " 15/s",
            "15 /s",
            "15/s ",
            "15/s/s",
            "99999999999/s",
            "15/+1s",
        ] {
            assert_eq!(Quota::parse(text, 1000), Err(NoQuota), "{text:?}");
        }
    }
}
