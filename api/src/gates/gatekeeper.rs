//! `POST /gates/gatekeeper`: the external data provider of OPA Gatekeeper (`externaldata.gatekeeper.sh/v1beta1`).
//!
//! Gatekeeper remembers every item that it is given for three minutes, errors too. So an image whose verdict is
//! still to come is left out: the constraint template counts what is missing as not passed. Whatever goes wrong
//! as a whole is a `systemError`, which nobody remembers, in the same body: Gatekeeper reads no other.
//! `/gates/gatekeeper/pin` answers with the image by its digest instead, for mutation.

use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, ResponseError, post, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::policy::Place;

use crate::error::ApiError;

use super::told::{ToldRuling, is_passing, pinned};
use super::{AskedImage, Decision, Enqueue, Gates, How, Patience, Question, Ruling, Visit};

const API_VERSION: &str = "externaldata.gatekeeper.sh/v1beta1";
/// More keys than this are no pod's images.
const MOST_KEYS: usize = 500;

#[derive(Deserialize)]
struct ProviderRequest {
    request: Keys,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<String>,
}

/// The answer to a provider request.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderResponse {
    /// Always `externaldata.gatekeeper.sh/v1beta1`.
    pub api_version: &'static str,
    /// Always `ProviderResponse`.
    pub kind: &'static str,
    /// What is known.
    pub response: ProviderItems,
}

/// What is known about the keys.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderItems {
    /// The same question has the same answer; mutation needs that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotent: Option<bool>,
    /// One row a key; what is still to come is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<ProviderItem>>,
    /// Why nothing can be answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_error: Option<String>,
}

/// What is known about one key.
#[derive(Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct ProviderItem {
    /// As it was asked, byte for byte.
    pub key: String,
    /// What is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// Why nothing can be known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Which values are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Values {
    /// An object with the ruling.
    Rulings,
    /// The image by its digest, as a string.
    Pins,
}

/// Verdicts about images, for constraint templates.
#[utoipa::path(
    tag = "gates",
    request_body(content = serde_json::Value, content_type = "application/json"),
    responses(
        (status = 200, description = "Items, or a systemError", body = ProviderResponse),
        (status = 400, description = "Not a provider request", body = ProviderResponse),
        (status = 401, description = "Token missing or wrong", body = ProviderResponse),
    ),
    security(("token" = ["read"]))
)]
#[post("/gates/gatekeeper")]
pub(crate) async fn ask_gatekeeper(
    request: HttpRequest,
    payload: web::Payload,
    gates: web::Data<Gates>,
) -> HttpResponse {
    answer(&request, payload, &gates, Values::Rulings).await
}

/// Images by their digests, for mutation.
#[utoipa::path(
    tag = "gates",
    request_body(content = serde_json::Value, content_type = "application/json"),
    responses(
        (status = 200, description = "Items, or a systemError", body = ProviderResponse),
        (status = 400, description = "Not a provider request", body = ProviderResponse),
        (status = 401, description = "Token missing or wrong", body = ProviderResponse),
    ),
    security(("token" = ["read"]))
)]
#[post("/gates/gatekeeper/pin")]
pub(crate) async fn pin_for_gatekeeper(
    request: HttpRequest,
    payload: web::Payload,
    gates: web::Data<Gates>,
) -> HttpResponse {
    answer(&request, payload, &gates, Values::Pins).await
}

async fn answer(request: &HttpRequest, payload: web::Payload, gates: &Gates, values: Values) -> HttpResponse {
    let (status, response) = match keys(request, payload, gates).await {
        Ok((keys, deadline)) => (StatusCode::OK, judge(gates, keys, deadline, values).await),
        Err(error) => {
            // Gatekeeper hands the status to the policy; what it cannot read it calls a bad request.
            let status = match error.status_code() {
                StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
                status => status,
            };
            (status, ProviderItems { system_error: Some(error.to_string()), ..ProviderItems::default() })
        }
    };
    HttpResponse::build(status).json(ProviderResponse {
        api_version: API_VERSION,
        kind: "ProviderResponse",
        response,
    })
}

async fn keys(
    request: &HttpRequest,
    payload: web::Payload,
    gates: &Gates,
) -> Result<(Vec<String>, Instant), ApiError> {
    let visit = Visit::begin(request, &gates.config().gatekeeper)?;
    let body = visit.body(payload).await.map_err(ApiError::Invalid)?;
    Ok((parse(&body)?, visit.deadline))
}

pub(super) fn parse(body: &[u8]) -> Result<Vec<String>, ApiError> {
    let request: ProviderRequest = serde_json::from_slice(body)
        .map_err(|error| ApiError::Invalid(format!("not a ProviderRequest: {error}")))?;
    let keys = request.request.keys;
    if keys.len() > MOST_KEYS {
        let reason = format!("request.keys: {} keys, the limit is {MOST_KEYS}", keys.len());
        return Err(ApiError::Invalid(reason));
    }
    Ok(keys)
}

async fn judge(gates: &Gates, keys: Vec<String>, deadline: Instant, values: Values) -> ProviderItems {
    let asked = keys.iter().map(|key| AskedImage::container(key, Place::default())).collect();
    let question = Question {
        gate: "gatekeeper",
        images: asked,
        enqueue: Enqueue::Allowed,
        patience: Patience::EachImage,
    };
    items(keys, &gates.decide(question, deadline).await, values)
}

/// The rows about `keys`, which the decision's rulings are about, in that order.
fn items(keys: Vec<String>, decision: &Decision, values: Values) -> ProviderItems {
    let away = |ruling: &&Ruling| ruling.how == How::StoreUnavailable && is_passing(ruling);
    if let Some(ruling) = decision.rulings.iter().find(away) {
        return ProviderItems { system_error: Some(ruling.explain()), ..ProviderItems::default() };
    }
    let rows = keys.into_iter().zip(&decision.rulings);
    let rows = rows.filter_map(|(key, ruling)| item(key, ruling, values));
    ProviderItems { idempotent: Some(true), items: Some(rows.collect()), system_error: None }
}

fn item(key: String, ruling: &Ruling, values: Values) -> Option<ProviderItem> {
    let error = |key, reason| Some(ProviderItem { key, value: None, error: Some(reason) });
    if ruling.how == How::UnreadableReference {
        let reason = ruling.reasons.first().map_or("it names no image", |reason| &reason.message);
        return error(key, format!("invalid image reference: {reason}"));
    }
    let value = match values {
        Values::Rulings if is_passing(ruling) => return None,
        Values::Rulings => {
            serde_json::to_value(ToldRuling::of(ruling)).expect("a ruling is strings and numbers")
        }
        // What a tag points at is known before its verdict is; that is for the constraint to ask.
        Values::Pins => match pinned(ruling) {
            Some(pinned) => Value::String(pinned),
            None if is_passing(ruling) => return None,
            None => return error(key, ruling.explain()),
        },
    };
    Some(ProviderItem { key, value: Some(value), error: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use shared::model::verdict::{Effect, PolicyName, Reason};

    use crate::gates::Answer;

    fn ruling(asked: &str, answer: Answer, how: How) -> Ruling {
        Ruling {
            asked: asked.to_owned(),
            image: Some("r.io/team/app".parse().unwrap()),
            digest: Some(shared::model::digest::Digest::of(b"image")),
            answer,
            how,
            policy: PolicyName::default_policy(),
            reasons: vec![Reason::of_rule("rule", Effect::Deny, "because")],
            further_reasons: 0,
            warnings: Vec::new(),
            verdicts: Vec::new(),
            more: "http://t.example/".parse().ok(),
        }
    }

    fn told(how: How, answer: Answer, values: Values) -> String {
        let decision = Decision { rulings: vec![ruling("k", answer, how)] };
        let items = items(vec!["k".to_owned()], &decision, values);
        match (items.system_error, items.items.unwrap_or_default().first()) {
            (Some(_), _) => "systemError".to_owned(),
            (None, None) => "left out".to_owned(),
            (None, Some(ProviderItem { value: Some(Value::String(text)), .. })) => text.clone(),
            (None, Some(ProviderItem { value: Some(value), .. })) => {
                format!("{} {}", value["verdict"], value["allowed"])
            }
            (None, Some(ProviderItem { error, .. })) => error.clone().unwrap_or_default(),
        }
    }

    #[test]
    fn what_may_be_known_in_a_moment_is_left_out_because_gatekeeper_remembers() {
        for (how, answer, expected) in [
            (How::Pending, Answer::Denied, "left out"),
            (How::Unknown, Answer::Denied, "left out"),
            (How::Stale, Answer::Denied, "left out"),
            (How::UnresolvableTag, Answer::Denied, "left out"),
            (How::StoreUnavailable, Answer::Denied, "systemError"),
            (How::Pending, Answer::Allowed, "\"pending\" true"),
            (How::Judged, Answer::Denied, "\"judged\" false"),
            (How::RegistryNotConfigured, Answer::Denied, "\"registry_not_configured\" false"),
            (How::UnreadableReference, Answer::Denied, "invalid image reference: because"),
        ] {
            assert_eq!(told(how, answer, Values::Rulings), expected, "{how:?} {answer:?}");
        }
    }

    #[test]
    fn a_pin_is_the_image_by_its_digest_whatever_its_verdict() {
        let digest = shared::model::digest::Digest::of(b"image");
        for how in [How::Judged, How::Pending] {
            assert_eq!(told(how, Answer::Denied, Values::Pins), format!("r.io/team/app@{digest}"));
        }
    }

    #[test]
    fn bodies_that_are_no_provider_request_are_refused_with_a_reason() {
        for body in ["", "{}", "[]", "null", r#"{"request":{}}"#, r#"{"request":{"keys":[1]}}"#] {
            assert!(parse(body.as_bytes()).unwrap_err().to_string().contains("ProviderRequest"), "{body:?}");
        }
        let many = serde_json::json!({"request": {"keys": vec!["a"; MOST_KEYS + 1]}}).to_string();
        assert!(parse(many.as_bytes()).unwrap_err().to_string().contains("request.keys"));
    }

    proptest! {
        #[test]
        fn keys_come_back_byte_for_byte(keys in proptest::collection::vec("\\PC{0,40}|[\\x00-\\x20]{0,3}", 0..5)) {
            let body = serde_json::json!({"request": {"keys": keys}}).to_string();
            let read = parse(body.as_bytes()).unwrap();
            let rulings = read.iter().map(|key| ruling(key, Answer::Denied, How::Judged)).collect();
            let items = items(read, &Decision { rulings }, Values::Rulings).items.unwrap();
            prop_assert_eq!(items.into_iter().map(|item| item.key).collect::<Vec<_>>(), keys);
        }

        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&body);
        }
    }
}
