//! Verdicts as bodies: written and hashed once, and served as they are for as long as the store hands out the
//! same verdict.
//!
//! The key is where the verdict lies in memory. An entry keeps its verdict alive, so while it is there no other
//! verdict can lie at that place, and one that was stored anew lies elsewhere: what is served is always what was
//! found (I6).

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, ETAG, HeaderValue, IF_NONE_MATCH};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use moka::sync::Cache;
use shared::model::digest::Digest;
use shared::model::verdict::Verdict;

/// The memory that bodies may take, in bytes.
const LARGEST: u64 = 64 << 20;
/// A little longer than the store hands out the same verdict.
const LONGEST: Duration = Duration::from_secs(3);

/// The bodies of verdicts that were asked for a moment ago.
pub(super) struct Bodies(Cache<usize, Body>);

/// One of them.
#[derive(Clone)]
pub(super) struct Body {
    json: Bytes,
    etag: HeaderValue,
    /// Only held: see the module.
    _verdict: Arc<Verdict>,
}

impl Bodies {
    pub(super) fn new() -> Self {
        let weight = |_: &usize, body: &Body| u32::try_from(2 * body.json.len()).unwrap_or(u32::MAX);
        Self(Cache::builder().max_capacity(LARGEST).weigher(weight).time_to_live(LONGEST).build())
    }

    /// The body of a verdict.
    pub(super) fn of(&self, verdict: &Arc<Verdict>) -> Body {
        let place = Arc::as_ptr(verdict).addr();
        if let Some(body) = self.0.get(&place) {
            return body;
        }
        let body = Body::new(verdict);
        self.0.insert(place, body.clone());
        body
    }
}

impl Body {
    fn new(verdict: &Arc<Verdict>) -> Self {
        let json = serde_json::to_vec(verdict.as_ref()).expect("a verdict has only strings and numbers");
        let etag = format!("\"{}\"", &Digest::of(&json).encoded()[..32]);
        let etag = HeaderValue::try_from(etag).expect("hex digits in quotes are a header");
        Self { json: json.into(), etag, _verdict: Arc::clone(verdict) }
    }

    /// The answer: 304 to somebody who has it already.
    pub(super) fn answer(self, request: &HttpRequest) -> HttpResponse {
        let unchanged = self.is_known(request);
        let mut response =
            HttpResponse::build(if unchanged { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
        response
            .insert_header((ETAG, self.etag))
            .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-cache")));
        if unchanged { response.finish() } else { response.content_type("application/json").body(self.json) }
    }

    fn is_known(&self, request: &HttpRequest) -> bool {
        let known = request.headers().get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        known.is_some_and(|known| {
            known.split(',').any(|one| one.trim().trim_start_matches("W/").as_bytes() == self.etag.as_bytes())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(outcome: &str) -> Arc<Verdict> {
        let digest = Digest::of(b"image");
        let text = serde_json::json!({
            "digest": digest, "policy": "default", "mode": "enforce", "outcome": outcome,
            "reasons": [], "further_reasons": 0, "problems": [],
            "counts": {"critical": 0, "high": 0, "medium": 0, "low": 0, "negligible": 0, "unknown": 0, "fixable": 0, "suppressed": 0},
            "revisions": {"analyzer": "a", "database": "d", "database_as_of": "2026-03-01T00:00:00Z"},
            "policy_revision": "r", "scanned_at": "2026-03-01T00:00:00Z", "as_of": "2026-03-01T00:00:00Z",
        });
        Arc::new(serde_json::from_value(text).unwrap())
    }

    #[test]
    fn i6_every_verdict_is_served_in_its_own_words() {
        let bodies = Bodies::new();
        for round in 0..200 {
            // Each may take the place in memory that the one before it has left.
            let verdict = verdict(if round % 2 == 0 { "pass" } else { "fail" });
            let expected = serde_json::to_vec(verdict.as_ref()).unwrap();
            for _ in 0..2 {
                assert_eq!(bodies.of(&verdict).json, expected);
            }
        }
    }

    #[test]
    fn the_same_verdict_is_written_once() {
        let (bodies, verdict) = (Bodies::new(), verdict("pass"));
        let (first, second) = (bodies.of(&verdict), bodies.of(&verdict));
        assert_eq!(first.json.as_ptr(), second.json.as_ptr());
        assert_eq!(first.etag, second.etag);
    }
}
