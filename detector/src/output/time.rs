//! A moment as text: RFC 3339, UTC, microseconds.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A moment, in nanoseconds since 1970, UTC, that is written `2004-10-05T14:01:02.123456Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Time(pub u64);

impl fmt::Display for Time {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_nanosecond(self.0.into()) {
            Ok(moment) => write!(out, "{moment:.6}"),
            // 64 bits end in 2554, calendars in 9999.
            Err(_) => Err(fmt::Error),
        }
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        time.to_string()
    }
}

impl TryFrom<String> for Time {
    type Error = jiff::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let moment: Timestamp = text.parse()?;
        Ok(Self(
            u64::try_from(moment.as_nanosecond()).unwrap_or_default(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_moment_has_microseconds_and_the_same_length() {
        for (nanoseconds, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (1_096_984_862_500_000_000, "2004-10-05T14:01:02.500000Z"),
            (1_999, "1970-01-01T00:00:00.000001Z"),
            (u64::MAX, "2554-07-21T23:34:33.709551Z"),
        ] {
            assert_eq!(Time(nanoseconds).to_string(), text);
        }
    }

    #[test]
    fn a_moment_is_read_back_to_the_microsecond() {
        let time = Time(1_096_984_862_123_456_000);
        assert_eq!(Time::try_from(time.to_string()).ok(), Some(time));
        assert!(Time::try_from("yesterday".to_owned()).is_err());
    }
}
