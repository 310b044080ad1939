//! The admission webhooks of Kubernetes: `validate` decides, `mutate` pins tags to digests, `image-policy`
//! answers the ImagePolicyWebhook.
//!
//! Every caller who may ask gets HTTP 200 and a review, whatever he sent: another status would leave the
//! decision to the API server's `failurePolicy` and tell nobody why.
//!
//! Reading order: `json` (a body, looked at where it lies), `review` (AdmissionReview in and out), `pod` and `image`
//! (where images are), `change` (what of a request is new), `offences` (the pod rules), `validate`, `mutate`, `image_review`, `wording` (what people read).

use actix_web::{HttpRequest, HttpResponse, post, web};

use super::{Gates, Visit};
use crate::error::{ApiError, ProblemDocument};

mod change;
mod image;
mod image_review;
mod json;
mod mutate;
mod offences;
mod pod;
mod review;
mod validate;
mod wording;

#[cfg(test)]
mod tests;

use change::Change;
use review::{Admission, Refusal, Reply};

/// Whether these bytes are a review with a pod in it.
pub(super) fn names_a_pod(body: &[u8]) -> bool {
    let Ok(document) = review::document(body) else { return false };
    let change = Admission::read(&document).map(|admission| Change::of(&admission));
    matches!(change, Ok(Ok(Change::Pod(_))))
}

/// Whether these bytes are an ImageReview with images in it.
pub(super) fn names_images(body: &[u8]) -> bool {
    image_review::read(body).is_ok()
}

/// Decides whether the pods of an object may run.
#[utoipa::path(
    tag = "gates",
    params(("timeout" = Option<String>, Query, description = "How long the API server waits, for example `10s`")),
    request_body(content = Value, description = "AdmissionReview, admission.k8s.io/v1 or v1beta1"),
    responses(
        (status = 200, description = "AdmissionReview with a response, whatever was sent", body = Value),
        (status = 401, description = "Token missing or wrong", body = ProblemDocument),
    ),
    security((), ("token" = ["read"]))
)]
#[post("/gates/kubernetes/validate")]
pub(crate) async fn validate_pods(
    request: HttpRequest,
    payload: web::Payload,
    gates: web::Data<Gates>,
) -> Result<HttpResponse, ApiError> {
    let visit = Visit::begin(&request, &gates.config().kubernetes)?;
    let decide = async |admission: &Admission<'_>| validate::decide(&gates, admission, visit.deadline).await;
    Ok(answered(visit.body(payload).await, decide).await)
}

/// Replaces the tags in an object by the digests that they stand for (I12); never denies.
#[utoipa::path(
    tag = "gates",
    params(("timeout" = Option<String>, Query, description = "How long the API server waits, for example `10s`")),
    request_body(content = Value, description = "AdmissionReview, admission.k8s.io/v1 or v1beta1"),
    responses(
        (status = 200, description = "AdmissionReview with a JSON Patch, if there is something to pin", body = Value),
        (status = 401, description = "Token missing or wrong", body = ProblemDocument),
    ),
    security((), ("token" = ["read"]))
)]
#[post("/gates/kubernetes/mutate")]
pub(crate) async fn pin_tags(
    request: HttpRequest,
    payload: web::Payload,
    gates: web::Data<Gates>,
) -> Result<HttpResponse, ApiError> {
    let visit = Visit::begin(&request, &gates.config().kubernetes)?;
    let decide = async |admission: &Admission<'_>| mutate::pin(&gates, admission, visit.deadline).await;
    Ok(answered(visit.body(payload).await, decide).await)
}

/// Decides about the images of one pod, as the ImagePolicyWebhook asks.
#[utoipa::path(
    tag = "gates",
    request_body(content = Value, description = "ImageReview, imagepolicy.k8s.io/v1alpha1"),
    responses(
        (status = 200, description = "ImageReview with a status, whatever was sent", body = Value),
        (status = 401, description = "Token missing or wrong", body = ProblemDocument),
    ),
    security((), ("token" = ["read"]))
)]
#[post("/gates/kubernetes/image-policy")]
pub(crate) async fn review_images(
    request: HttpRequest,
    payload: web::Payload,
    gates: web::Data<Gates>,
) -> Result<HttpResponse, ApiError> {
    let visit = Visit::begin(&request, &gates.config().kubernetes)?;
    let answer = match visit.body(payload).await {
        Ok(body) => image_review::decide(&gates, &body, visit.deadline).await,
        Err(reason) => image_review::refuse(&reason),
    };
    Ok(HttpResponse::Ok().json(answer))
}

/// The answer to a body: what `decide` says about the review in it, or why there is none.
async fn answered(
    body: Result<Vec<u8>, String>,
    decide: impl AsyncFnOnce(&Admission<'_>) -> Reply,
) -> HttpResponse {
    let answer = async {
        let body = body.map_err(Refusal::nameless)?;
        let document = review::document(&body)?;
        let admission = Admission::read(&document)?;
        Ok(HttpResponse::Ok().json(admission.answer(decide(&admission).await)))
    };
    answer.await.unwrap_or_else(|refusal: Refusal| HttpResponse::Ok().json(refusal.answer()))
}
