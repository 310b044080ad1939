//! `POST /gates/kyverno`: the service that a Kyverno policy calls, with a flat object in and a flat object out.
//!
//! In: `image` or `images`, and what the policy knows of the place. Kyverno sends no `Content-Type` unless told to.
//! Out: 200 whatever is decided, since anything else is an error of the rule. A body that names no image is an
//! error: an answer about nothing would be a silent pass.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, post, web};
use serde::{Deserialize, Serialize};
use shared::policy::Place;

use crate::error::{ApiError, ProblemDocument};

use super::told::ToldRuling;
use super::{Answer, AskedImage, Decision, Enqueue, Gates, Patience, Question, Visit};

/// More images than this are no pod's.
const MOST_IMAGES: usize = 500;

/// What a policy asks.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", expecting = "an object with `image` or `images`")]
pub struct KyvernoQuestion {
    /// One image.
    #[serde(default)]
    pub image: Option<String>,
    /// Several; entries that are `null` (a pod without such containers) are passed over.
    #[serde(default)]
    pub images: Option<Vec<Option<String>>>,
    /// The namespace where they would run.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The labels of what would run them.
    #[serde(default)]
    pub labels: Option<BTreeMap<String, String>>,
    /// `true` where the request is a rehearsal: nothing is queued then.
    #[serde(default)]
    pub dry_run: Option<bool>,
}

/// What is decided.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct KyvernoAnswer {
    /// Whether all of them may run.
    pub allowed: bool,
    /// Why not, for people; empty if they may.
    pub message: String,
    /// What people should know although they may.
    pub warnings: Vec<String>,
    /// One row an image, in the order asked.
    pub images: Vec<KyvernoImage>,
}

/// What is decided about one image.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct KyvernoImage {
    /// As it was asked.
    pub image: String,
    /// The ruling.
    #[serde(flatten)]
    pub ruling: ToldRuling,
}

/// Whether images may run, for policies of Kyverno.
#[utoipa::path(
    tag = "gates",
    request_body = KyvernoQuestion,
    responses(
        (status = 200, description = "Allowed or not; `allowed` says which", body = KyvernoAnswer),
        (status = 401, description = "Token missing or wrong", body = ProblemDocument),
        (status = 422, description = "No image is named, or the body is too large", body = ProblemDocument),
    ),
    security(("token" = ["read"]))
)]
#[post("/gates/kyverno")]
pub(crate) async fn ask_kyverno(
    request: HttpRequest,
    payload: web::Payload,
    gates: web::Data<Gates>,
) -> Result<HttpResponse, ApiError> {
    let visit = Visit::begin(&request, &gates.config().kyverno)?;
    let body = visit.body(payload).await.map_err(ApiError::Invalid)?;
    let (asked, images) = parse(&body)?;
    let place =
        Place { image: None, namespace: asked.namespace, labels: asked.labels.unwrap_or_default().into() };
    let question = Question {
        gate: "kyverno",
        images: images.iter().map(|image| AskedImage::container(image, place.clone())).collect(),
        enqueue: if asked.dry_run == Some(true) { Enqueue::DryRun } else { Enqueue::Allowed },
        patience: Patience::EachImage,
    };
    let decision = gates.decide(question, visit.deadline).await;
    Ok(HttpResponse::Ok().json(answer(images, &decision)))
}

pub(super) fn parse(body: &[u8]) -> Result<(KyvernoQuestion, Vec<String>), ApiError> {
    let mut asked: KyvernoQuestion = serde_json::from_slice(body)
        .map_err(|error| ApiError::Invalid(format!("the body is no JSON object as expected: {error}")))?;
    let several = asked.images.take().unwrap_or_default().into_iter().flatten();
    let images: Vec<String> = asked.image.take().into_iter().chain(several).collect();
    if images.is_empty() {
        return Err(ApiError::Invalid("names no image; expected \"image\" or \"images\"".to_owned()));
    }
    if images.len() > MOST_IMAGES {
        let reason = format!("images: {} images, the limit is {MOST_IMAGES}", images.len());
        return Err(ApiError::Invalid(reason));
    }
    Ok((asked, images))
}

fn answer(images: Vec<String>, decision: &Decision) -> KyvernoAnswer {
    let denied: Vec<String> = decision.denied().map(super::Ruling::explain).collect();
    KyvernoAnswer {
        allowed: decision.answer() == Answer::Allowed,
        message: denied.join("\n"),
        warnings: decision.rulings.iter().flat_map(|ruling| ruling.warnings.clone()).collect(),
        images: images
            .into_iter()
            .zip(&decision.rulings)
            .map(|(image, ruling)| KyvernoImage { image, ruling: ToldRuling::of(ruling) })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(body: &str, expected: Result<&[&str], &str>) {
        match (parse(body.as_bytes()), expected) {
            (Ok((_, images)), Ok(expected)) => assert_eq!(images, expected, "{body}"),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{body}: {error}"),
            (found, _) => panic!("{body}: {found:?}"),
        }
    }

    #[test]
    fn images_are_one_or_several_and_never_none() {
        check(r#"{"image":"a"}"#, Ok(&["a"]));
        check(r#"{"images":["a",null,"b"],"namespace":"prod"}"#, Ok(&["a", "b"]));
        check(r#"{"image":"a","images":["b"],"whatever":1}"#, Ok(&["a", "b"]));
        check(r#"{"images":[]}"#, Err("names no image"));
        check(r#"{"images":null}"#, Err("names no image"));
        check(r#"{"imges":["a"]}"#, Err("names no image"));
        check("{}", Err("names no image"));
        check("", Err("no JSON object"));
        check(r#"{"images":"a"}"#, Err("no JSON object"));
        check(r#"{"image":7}"#, Err("no JSON object"));
    }

    #[test]
    fn the_recorded_request_is_read() {
        let body = include_str!("kyverno/request.json");
        let (asked, images) = parse(body.as_bytes()).unwrap();
        assert_eq!((images.len(), asked.namespace.as_deref()), (2, Some("prod")));
    }

    proptest! {
        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&body);
        }
    }
}
