//! The first moment after now at which time alone changes a verdict.

use jiff::{SignedDuration, Timestamp};

/// Collects the moments at which conditions turn; a verdict is valid until the first of them.
pub(super) struct Horizon {
    now: Timestamp,
    pub(super) next_change: Option<Timestamp>,
}

impl Horizon {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { now, next_change: None }
    }

    /// Notes a moment that will change something, unless it has passed.
    pub(super) fn note(&mut self, moment: Timestamp) {
        if moment > self.now {
            self.next_change = Some(self.next_change.map_or(moment, |earlier| earlier.min(moment)));
        }
    }

    /// Whether a moment has passed; noted if it has not.
    pub(super) fn is_past(&mut self, moment: Timestamp) -> bool {
        self.note(moment);
        moment <= self.now
    }

    /// Whether something is at least so many days old; the day on which it will be is noted.
    pub(super) fn is_aged(&mut self, since: Timestamp, days: u32) -> bool {
        self.is_past(days_after(since, days))
    }

    /// The age in whole days; the moment at which it becomes another one is noted.
    pub(super) fn age_in_days(&mut self, since: Timestamp) -> i64 {
        // Rounded down before that moment too, to the nanosecond: whole seconds round towards it.
        let age = self.now.duration_since(since).as_nanos();
        let days = i64::try_from(age.div_euclid(i128::from(DAY) * 1_000_000_000)).unwrap_or(i64::MAX);
        let next = SignedDuration::from_secs(days.saturating_add(1).saturating_mul(DAY));
        self.note(since.saturating_add(next).unwrap_or(Timestamp::MAX));
        days
    }
}

const DAY: i64 = 24 * 60 * 60;

/// So many times 24 hours later.
pub(super) fn days_after(since: Timestamp, days: u32) -> Timestamp {
    let days = SignedDuration::from_secs(i64::from(days) * DAY);
    since.saturating_add(days).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_in_days_holds_until_the_moment_that_is_noted() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let mut horizon = Horizon::new(at("2026-03-02T12:00:00Z"));
        assert_eq!(horizon.age_in_days(at("2026-03-01T13:00:00Z")), 0);
        assert_eq!(horizon.next_change, Some(at("2026-03-02T13:00:00Z")));
        assert_eq!(horizon.age_in_days(at("2026-03-02T12:30:00Z")), -1, "not yet published");
        assert_eq!(horizon.next_change, Some(at("2026-03-02T12:30:00Z")));
        let mut before = Horizon::new(at("2026-03-01T11:59:59.999999999Z"));
        assert_eq!(before.age_in_days(at("2026-03-02T12:00:00Z")), -2, "a little more than a day before");
        assert!(!horizon.is_aged(Timestamp::MAX, 7) && horizon.is_aged(Timestamp::MIN, 7));
    }
}
