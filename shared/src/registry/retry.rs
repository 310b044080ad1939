//! When to ask again: full jitter, doubling pauses, and what `Retry-After` says (RFC 9110 §10.2.3).

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::config::{RegistryConfig, Timeouts};
use super::error::RegistryError;

/// No registry is believed that it wants to be left alone for longer.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Calls until it works, fails for good, or was repeated `retries` times.
pub(super) async fn retrying<T, F, Attempt>(config: &RegistryConfig, mut call: F) -> Result<T, RegistryError>
where
    F: FnMut() -> Attempt,
    Attempt: Future<Output = Result<T, RegistryError>>,
{
    let mut repetition = 0;
    loop {
        match call().await {
            Err(error) if repetition < config.retries => match pause(&error, &config.timeouts, repetition) {
                Some(pause) => {
                    tracing::debug!(error = %error, repetition, "registry call repeated");
                    tokio::time::sleep(pause).await;
                    repetition += 1;
                }
                None => return Err(error),
            },
            outcome => return outcome,
        }
    }
}

/// How long to wait before the next attempt; `None` if there should be none now.
pub(super) fn pause(error: &RegistryError, timeouts: &Timeouts, repetition: u32) -> Option<Duration> {
    if !error.is_retryable() {
        return None;
    }
    let demanded = error.retry_after().unwrap_or_default();
    if demanded > timeouts.longest_backoff {
        return None;
    }
    let ceiling =
        timeouts.backoff.saturating_mul(2_u32.saturating_pow(repetition)).min(timeouts.longest_backoff);
    Some(demanded + ceiling.mul_f64(random_fraction()))
}

/// Between 0 and 1. Without a source of randomness everybody pauses the same, which is no failure.
fn random_fraction() -> f64 {
    let drawn = getrandom::u32().unwrap_or(u32::MAX);
    f64::from(drawn) / f64::from(u32::MAX)
}

/// What `Retry-After` says, as seconds or as a date, if it says something sensible.
pub(super) fn retry_after(headers: &HeaderMap, now: jiff::Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if let Ok(seconds) = text.parse::<u64>() {
        Duration::from_secs(seconds)
    } else {
        let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
        Duration::try_from(date.duration_since(now)).unwrap_or_default()
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn check(text: &str, expected: Option<u64>) {
        let now = "2015-10-21T07:27:00Z".parse().unwrap();
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(text).unwrap())]);
        assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{text:?}");
    }

    #[test]
    fn retry_after_is_read_and_bounded() {
        check("3", Some(3));
        check("Wed, 21 Oct 2015 07:28:00 GMT", Some(60));
        check("Wed, 21 Oct 2015 07:26:00 GMT", Some(0));
        check("99999999999", Some(24 * 60 * 60));
        check("Fri, 21 Oct 2095 07:28:00 GMT", Some(24 * 60 * 60));
        check("-1", None);
        check("soon", None);
    }

    #[test]
    fn pauses_grow_are_bounded_and_obey_the_registry() {
        let timeouts = Timeouts::default();
        let limited = |retry_after| RegistryError::RateLimited { host: "r.io".parse().unwrap(), retry_after };
        for repetition in [0, 3, 40] {
            let pause = pause(&limited(None), &timeouts, repetition).unwrap();
            assert!(pause <= timeouts.longest_backoff);
            assert!(pause <= timeouts.backoff * 2_u32.saturating_pow(repetition).min(1000));
        }
        let second = Duration::from_secs(1);
        assert!(pause(&limited(Some(second)), &timeouts, 0).unwrap() >= second);
        assert_eq!(pause(&limited(Some(second * 3600)), &timeouts, 0), None);
        let unknown = RegistryError::NotConfigured("r.io".parse().unwrap());
        assert_eq!(pause(&unknown, &timeouts, 0), None);
    }
}
