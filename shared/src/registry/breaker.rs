//! Leaves a registry alone that failed several times in a row, so that one dead registry does not hold every
//! worker for the length of its time-outs.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// After so many failed calls in a row (each with its repetitions) a registry is left alone.
const PATIENCE: u32 = 5;
/// For so long. Then calls are tried again, and the first failure begins the next pause.
const PAUSE: Duration = Duration::from_secs(30);

/// Remembers how the last calls to one registry ended.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    alone_until: Option<Instant>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The registry answered, if only with a refusal.
    Answered,
    /// It did not.
    Failed,
}

impl Breaker {
    /// `Err` with the rest of the pause, while there is one.
    pub(super) fn admit(&self, now: Instant) -> Result<(), Duration> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.alone_until.map(|until| until.saturating_duration_since(now)) {
            Some(rest) if !rest.is_zero() => Err(rest),
            Some(_) | None => Ok(()),
        }
    }

    /// Takes note of a call that was admitted.
    pub(super) fn record(&self, outcome: Outcome, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Outcome::Answered => *state = State::default(),
            Outcome::Failed => {
                state.failures = state.failures.saturating_add(1);
                if state.failures >= PATIENCE {
                    state.alone_until = Some(now + PAUSE);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_registry_is_left_alone_and_tried_again() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        for _ in 0..PATIENCE {
            assert_eq!(breaker.admit(start), Ok(()));
            breaker.record(Outcome::Failed, start);
        }
        assert_eq!(breaker.admit(start), Err(PAUSE));
        let later = start + PAUSE;
        assert_eq!(breaker.admit(later), Ok(()));
        breaker.record(Outcome::Failed, later);
        assert_eq!(breaker.admit(later), Err(PAUSE));
        breaker.record(Outcome::Answered, later);
        assert_eq!(breaker.admit(later), Ok(()));
        breaker.record(Outcome::Failed, later);
        assert_eq!(breaker.admit(later), Ok(()));
    }
}
