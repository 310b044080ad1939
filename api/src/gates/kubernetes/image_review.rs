//! `image-policy`: an ImageReview of `imagepolicy.k8s.io/v1alpha1` in, the same with a status out.
//!
//! Its annotations are set by whoever makes the pod, so they are no ground to let anything pass.

use std::time::Instant;

use serde::Deserialize;
use serde_json::{Value, json};
use shared::policy::Place;

use super::wording;
use crate::gates::{Answer, AskedImage, Decision, Enqueue, Gates, Patience, Question};

const API_VERSION: &str = "imagepolicy.k8s.io/v1alpha1";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireReview {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    spec: Option<WireSpec>,
}

#[derive(Deserialize)]
struct WireSpec {
    #[serde(default)]
    containers: Option<Vec<WireContainer>>,
    #[serde(default)]
    namespace: Option<String>,
}

#[derive(Deserialize)]
struct WireContainer {
    #[serde(default)]
    image: Option<String>,
}

/// The answer to a body.
pub(super) async fn decide(gates: &Gates, body: &[u8], deadline: Instant) -> Value {
    let (namespace, images) = match read(body) {
        Ok(spec) => spec,
        Err(reason) => return refuse(&reason),
    };
    let place = Place { namespace, ..Place::default() };
    let images = images.into_iter().map(|image| AskedImage::container(image, place.clone())).collect();
    let question = Question {
        gate: "kubernetes-image-policy",
        images,
        enqueue: Enqueue::Allowed,
        patience: Patience::WholeAnswer,
    };
    answer(&gates.decide(question, deadline).await)
}

pub(super) fn read(body: &[u8]) -> Result<(Option<String>, Vec<String>), String> {
    let review: WireReview =
        serde_json::from_slice(body).map_err(|error| format!("the body is no ImageReview: {error}"))?;
    if review.api_version != API_VERSION || review.kind != "ImageReview" {
        let found: String = format!("{} {}", review.api_version, review.kind).chars().take(80).collect();
        return Err(format!("the body is {found:?}; expected {API_VERSION} ImageReview"));
    }
    let spec = review.spec.ok_or("the ImageReview has no spec")?;
    let images: Vec<String> =
        spec.containers.unwrap_or_default().into_iter().filter_map(|container| container.image).collect();
    if images.is_empty() {
        return Err("the ImageReview names no image".to_owned());
    }
    Ok((spec.namespace.filter(|name| !name.is_empty()), images))
}

/// Denied, because it cannot be read.
pub(super) fn refuse(reason: &str) -> Value {
    status(&json!({"allowed": false, "reason": format!("tidewaiter: {reason}")}))
}

fn answer(decision: &Decision) -> Value {
    let verdict = decision.denied().next().or(decision.rulings.first()).map_or("pass", wording::verdict);
    let annotations = json!({"verdict": verdict});
    match decision.answer() {
        Answer::Allowed => status(&json!({"allowed": true, "auditAnnotations": annotations})),
        Answer::Denied => {
            let told: Vec<String> = decision.denied().take(5).map(crate::gates::Ruling::explain).collect();
            let reason = format!("tidewaiter: {}", told.join("\n"));
            status(&json!({"allowed": false, "reason": reason, "auditAnnotations": annotations}))
        }
    }
}

fn status(status: &Value) -> Value {
    json!({"apiVersion": API_VERSION, "kind": "ImageReview", "status": status})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_image_review_is_denied_in_words() {
        let whole = |spec: Value| json!({"apiVersion": API_VERSION, "kind": "ImageReview", "spec": spec});
        for (body, fragment) in [
            (json!([]), "no ImageReview"),
            (json!({"kind": "ImageReview"}), "expected imagepolicy"),
            (json!({"apiVersion": API_VERSION, "kind": "Pod"}), "expected imagepolicy"),
            (json!({"apiVersion": API_VERSION, "kind": "ImageReview"}), "no spec"),
            (whole(json!({})), "names no image"),
            (whole(json!({"containers": null})), "names no image"),
            (whole(json!({"containers": [{}]})), "names no image"),
            (whole(json!({"containers": "nginx"})), "no ImageReview"),
        ] {
            let reason = read(body.to_string().as_bytes()).expect_err("nothing to judge");
            assert!(reason.contains(fragment), "{reason:?} lacks {fragment:?}");
            assert_eq!(refuse(&reason)["status"]["allowed"], false);
        }
        let two =
            whole(json!({"containers": [{"image": "a"}, {"image": "b@sha256:short"}], "namespace": "prod"}));
        assert_eq!(
            read(two.to_string().as_bytes()),
            Ok((Some("prod".to_owned()), vec!["a".to_owned(), "b@sha256:short".to_owned()]))
        );
    }
}
