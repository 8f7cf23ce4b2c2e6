//! Waiting for something to become true: as short as possible, never longer than allowed.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

const INTERVAL: Duration = Duration::from_millis(2);

/// Asks again and again until the answer is yes; fails with `what` in the message when the time is over.
pub fn wait_until(
    what: &str,
    within: Duration,
    mut condition: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let deadline = Instant::now() + within;
    while !condition()? {
        if Instant::now() >= deadline {
            bail!("waited {within:?} in vain for {what}");
        }
        thread::sleep(INTERVAL);
    }
    Ok(())
}
