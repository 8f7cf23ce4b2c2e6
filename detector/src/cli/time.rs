//! Times on the command line.

use std::time::Duration;

use jiff::SignedDuration;

use crate::agent::response::BLOCK_SECONDS_MAX;

/// A time such as `90s`, `10m` or `1h30m`, in whole seconds and no more than a year.
pub(super) fn parse_time(text: &str) -> Result<Duration, String> {
    let mistake = || "expected a time such as 90s, 10m or 1h30m".to_owned();
    let time: SignedDuration = text.parse().map_err(|_| mistake())?;
    let time = Duration::try_from(time).map_err(|_| mistake())?;
    if time.subsec_nanos() != 0 || !(1..=BLOCK_SECONDS_MAX).contains(&time.as_secs()) {
        return Err("expected whole seconds, at least one and at most a year".to_owned());
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_units_and_no_sign() {
        assert_eq!(parse_time("1h30m"), Ok(Duration::from_mins(90)));
        for text in [
            "", "90", "-5m", "soon", "1h30", "0s", "500ms", "1900ms", "9000h",
        ] {
            assert!(parse_time(text).is_err(), "{text:?}");
        }
    }
}
