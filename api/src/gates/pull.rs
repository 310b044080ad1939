//! `/gates/pull`: may this request pass to the registry? Asked by nginx (`auth_request`), Traefik (ForwardAuth)
//! and Envoy (`ext_authz` over HTTP, which puts the original path behind `/gates/pull`).
//!
//! 200 lets it pass, 403 does not, and nothing else is ever said: 202 would let it pass in nginx, 401 would
//! send clients to a token service, 404 would hide the reason, 429 would have containerd try again. Only pulls of
//! manifests are judged, by tag and by digest; an index's children are pulled by digest and judged by their own.
//! What is no image passes: signing and SBOM tools pull too. A request that cannot be read is refused.
//!
//! `target` reads the request's URI, `proxy` says which URI, method and host are meant.

use std::time::Instant;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, get, web};
use serde_json::{Value, json};
use shared::config::Namespaces;
use shared::model::image::{ImageName, RegistryHost};
use shared::policy::Place;

use super::told::ToldRuling;
use super::{Answer, AskedImage, Decision, Enqueue, Gates, Patience, Purpose, Question, Ruling, Visit};

mod proxy;
mod target;

#[cfg(test)]
mod tests;

use proxy::Original;
use target::{Pull, Target};

/// Whether the request with this URI would not simply pass.
pub(super) fn is_gated(method: &Method, uri: &str) -> bool {
    match target::read(method, uri) {
        Target::Other => false,
        Target::Manifest(_) | Target::Hostile(_) => true,
    }
}

/// Whether a request may pass to the registry.
///
/// The proxy names the original request in `X-Original-URI`, `X-Original-Method` and `X-Original-Host`, or in
/// `X-Forwarded-Uri`, `X-Forwarded-Method` and `X-Forwarded-Host`; Envoy appends the original path to the route.
/// It shows its token in `X-Tidewaiter-Token`, since `Authorization` is its client's.
#[utoipa::path(
    tag = "gates",
    responses(
        (status = 200, description = "It may pass"),
        (status = 403, description = "It may not, as a distribution error; also where the proxy shows no token or names no request", body = serde_json::Value),
    ),
    security(("token" = ["read"]))
)]
#[get("/gates/pull")]
pub(crate) async fn ask_pull(request: HttpRequest, gates: web::Data<Gates>) -> HttpResponse {
    pass(&request, &gates).await
}

/// The same with the original path behind the route, and the original method.
pub(crate) async fn ask_pull_behind(request: HttpRequest, gates: web::Data<Gates>) -> HttpResponse {
    pass(&request, &gates).await
}

async fn pass(request: &HttpRequest, gates: &Gates) -> HttpResponse {
    let Ok(visit) = Visit::begin(request, &gates.config().pull.gate) else {
        let reason = "the proxy shows no token that tidewaiter knows: set X-Tidewaiter-Token, or gates.pull.open if something else guards the gate";
        return refuse(reason, &Value::Null);
    };
    let original = match Original::of(request) {
        Ok(original) => original,
        Err(reason) => return refuse(&reason, &Value::Null),
    };
    match target::read(&original.method, &original.uri) {
        Target::Other => HttpResponse::Ok().finish(),
        Target::Hostile(reason) => {
            refuse(&format!("this request cannot be read, so it does not pass: {reason}"), &Value::Null)
        }
        Target::Manifest(pull) => match image(gates, &pull, original.host) {
            Ok(asked) => judge(gates, asked, &pull, visit.deadline).await,
            Err(reason) => refuse(&reason, &Value::Null),
        },
    }
}

/// The image of a pull, under the registry that the proxy leads to.
fn image(gates: &Gates, pull: &Pull, host: Option<RegistryHost>) -> Result<String, String> {
    let config = &gates.config().pull;
    let namespace = match config.namespaces {
        Namespaces::NameTheRegistry => pull.namespace.clone(),
        Namespaces::Ignored => None,
    };
    let registry = namespace.or_else(|| config.registry.clone()).or(host).ok_or(
        "nobody says which registry the proxy leads to: set gates.pull.registry, or have the proxy send X-Original-Host",
    )?;
    Ok(pull.reference.of(&ImageName { registry, repository: pull.repository.clone() }))
}

async fn judge(gates: &Gates, asked: String, pull: &Pull, deadline: Instant) -> HttpResponse {
    let image = AskedImage { asked, purpose: Purpose::Pull, platform: None, place: Place::default() };
    let question = Question {
        gate: "pull",
        images: vec![image],
        enqueue: Enqueue::Allowed,
        patience: Patience::EachImage,
    };
    let decision = gates.decide(question, deadline).await;
    answer(&decision, pull)
}

fn answer(decision: &Decision, pull: &Pull) -> HttpResponse {
    match decision.denied().next() {
        Some(ruling) => refuse(&ruling.explain(), &detail(ruling)),
        None => {
            let mut response = HttpResponse::Ok();
            if let Some(digest) = decision.rulings.first().and_then(|ruling| ruling.digest.as_ref()) {
                response.insert_header(("X-Tidewaiter-Digest", digest.as_str()));
                // For proxies that can ask the registry for another path than their client did: the very manifest
                // that was judged, whatever becomes of the tag in between (I12).
                response.insert_header(("X-Tidewaiter-URI", pull.at(digest)));
            }
            response.insert_header((CACHE_CONTROL, "no-store")).finish()
        }
    }
}

fn detail(ruling: &Ruling) -> Value {
    debug_assert_eq!(ruling.answer, Answer::Denied);
    let told = ToldRuling::of(ruling);
    json!({
        "verdict": told.verdict,
        "digest": told.digest,
        "policy": told.policy,
        "critical": told.critical,
        "high": told.high,
        "more": ruling.more,
    })
}

/// 403 with the error envelope of the distribution specification, in the body for proxies that pass it on, and in a
/// header for nginx, which throws it away.
fn refuse(reason: &str, detail: &Value) -> HttpResponse {
    let message = format!("tidewaiter refuses this pull: {reason}");
    let envelope = json!({"errors": [{"code": "DENIED", "message": message, "detail": detail}]}).to_string();
    HttpResponse::build(StatusCode::FORBIDDEN)
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header(("X-Tidewaiter-Denial", ascii(&envelope)))
        .body(envelope)
}

/// The longest header that proxies take without being asked to.
const LONGEST_HEADER: usize = 2048;

/// JSON that fits into a header: other characters are escaped, and a text that is too long says less.
fn ascii(json: &str) -> String {
    let mut text = String::new();
    for one in json.chars() {
        match one {
            ' '..='~' => text.push(one),
            other => {
                let mut units = [0; 2];
                for unit in other.encode_utf16(&mut units) {
                    text.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    if text.len() <= LONGEST_HEADER {
        return text;
    }
    let short = "tidewaiter refuses this pull; its answer is too long for a header, ask it directly";
    json!({"errors": [{"code": "DENIED", "message": short}]}).to_string()
}
