//! Times on the command line.

use std::time::Duration;

use jiff::SignedDuration;

/// A time such as `90s`, `10m` or `1h30m`.
pub(super) fn parse_time(text: &str) -> Result<Duration, String> {
    let mistake = || "expected a time such as 90s, 10m or 1h30m".to_owned();
    let time: SignedDuration = text.parse().map_err(|_| mistake())?;
    Duration::try_from(time).map_err(|_| mistake())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_units_and_no_sign() {
        assert_eq!(parse_time("1h30m"), Ok(Duration::from_mins(90)));
        for text in ["", "90", "-5m", "soon", "1h30"] {
            assert!(parse_time(text).is_err(), "{text:?}");
        }
    }
}
