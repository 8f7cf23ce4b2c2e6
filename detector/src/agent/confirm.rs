//! Whether the operator still reaches the machine now that it enforces: unless somebody says so in time, it goes back to monitoring.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::sleep};

/// What became of the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nobody asked.
    NotAsked,
    /// It was asked.
    Asked,
    /// Somebody said so.
    Confirmed,
    /// Nobody did, in time.
    TooLate,
}

/// The question.
#[derive(Debug)]
pub(super) struct Confirmation {
    state: Mutex<State>,
    confirmed: Notify,
}

/// Why it cannot be confirmed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(super) enum NotConfirmed {
    #[error("nothing waits to be confirmed")]
    NotAsked,
    #[error("it was not confirmed in time, and nothing is dropped any more: start the agent again")]
    TooLate,
}

impl Confirmation {
    /// Asked, if `asked`.
    pub(super) fn new(asked: bool) -> Self {
        let state = if asked { State::Asked } else { State::NotAsked };
        Self {
            state: Mutex::new(state),
            confirmed: Notify::new(),
        }
    }

    /// Whether it was asked and not answered yet.
    pub(super) fn is_asked(&self) -> bool {
        *self.state() == State::Asked
    }

    /// Whether nobody answered in time.
    pub(super) fn is_too_late(&self) -> bool {
        *self.state() == State::TooLate
    }

    /// Answers; again is no mistake.
    pub(super) fn confirm(&self) -> Result<(), NotConfirmed> {
        let mut state = self.state();
        match *state {
            State::NotAsked => return Err(NotConfirmed::NotAsked),
            State::TooLate => return Err(NotConfirmed::TooLate),
            State::Asked | State::Confirmed => *state = State::Confirmed,
        }
        self.confirmed.notify_one();
        Ok(())
    }

    /// Waits for the answer, but no longer than this; says whether it came.
    pub(super) async fn wait(&self, timeout: Duration) -> bool {
        tokio::select! {
            () = self.confirmed.notified() => {}
            () = sleep(timeout) => {}
        }
        let mut state = self.state();
        if *state == State::Asked {
            *state = State::TooLate;
        }
        *state == State::Confirmed
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Builder;

    use super::*;

    fn waited(confirmation: &Confirmation, timeout: Duration) -> bool {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(confirmation.wait(timeout))
    }

    #[test]
    fn an_answer_in_time_is_one_and_a_late_one_is_refused() {
        let confirmation = Confirmation::new(true);
        assert!(confirmation.confirm().is_ok() && confirmation.confirm().is_ok());
        assert!(waited(&confirmation, Duration::from_mins(1)));
        let late = Confirmation::new(true);
        assert!(!waited(&late, Duration::from_millis(1)));
        assert!(late.is_too_late());
        assert!(matches!(late.confirm(), Err(NotConfirmed::TooLate)));
    }

    #[test]
    fn what_nobody_asked_is_not_confirmed() {
        assert!(matches!(
            Confirmation::new(false).confirm(),
            Err(NotConfirmed::NotAsked)
        ));
    }
}
