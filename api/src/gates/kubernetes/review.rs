//! AdmissionReview as the API server sends it and wants it answered: `admission.k8s.io/v1`, and `v1beta1` in kind.
//!
//! Every body gets a review back. What cannot be read is a [`Refusal`], which denies and says why.
//! Format: kubernetes.io, "Dynamic Admission Control", request and response.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version of an `AdmissionReview`; it is answered in the version in which it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V1Beta1,
}

/// What the API server wants to know.
#[derive(Clone, Debug)]
pub(super) struct Admission {
    pub(super) version: Version,
    pub(super) uid: String,
    /// Group and kind of the object, as the webhook's rule matched it.
    pub(super) group: String,
    pub(super) kind: String,
    pub(super) sub_resource: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) operation: Operation,
    pub(super) object: Value,
    pub(super) old_object: Value,
    pub(super) rehearsal: bool,
}

/// What happens to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Create,
    Update,
    Delete,
    Connect,
}

/// A body that is no review that could be answered otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) version: Version,
    /// Empty if the body has none.
    pub(super) uid: String,
    pub(super) reason: String,
}

/// What the API server is told.
#[derive(Clone, Debug, Default)]
pub(super) struct Reply {
    /// `None` allows; a text denies.
    pub(super) denial: Option<String>,
    pub(super) warnings: Vec<String>,
    pub(super) annotations: BTreeMap<&'static str, String>,
    /// A JSON Patch, if something is to be changed.
    pub(super) patch: Option<Vec<u8>>,
}

impl Version {
    const fn name(self) -> &'static str {
        match self {
            Self::V1 => "admission.k8s.io/v1",
            Self::V1Beta1 => "admission.k8s.io/v1beta1",
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireRequest {
    kind: WireKind,
    #[serde(default)]
    sub_resource: Option<String>,
    #[serde(default)]
    namespace: Option<String>,
    operation: WireOperation,
    #[serde(default)]
    dry_run: Option<bool>,
}

#[derive(Deserialize)]
struct WireKind {
    #[serde(default)]
    group: String,
    kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum WireOperation {
    Create,
    Update,
    Delete,
    Connect,
}

impl Admission {
    /// Reads a body.
    pub(super) fn read(body: &[u8]) -> Result<Self, Refusal> {
        let refused = |version, uid: &str, reason: String| Refusal { version, uid: uid.to_owned(), reason };
        let mut review: Value = serde_json::from_slice(body)
            .map_err(|error| refused(Version::V1, "", format!("the body is not JSON: {error}")))?;
        let uid = review.pointer("/request/uid").and_then(Value::as_str).unwrap_or_default().to_owned();
        let text = |key: &str| review.get(key).and_then(Value::as_str).unwrap_or_default();
        let (kind, api_version) = (text("kind"), text("apiVersion"));
        let version = match api_version {
            "admission.k8s.io/v1" => Version::V1,
            "admission.k8s.io/v1beta1" => Version::V1Beta1,
            other => {
                let reason = format!(
                    "apiVersion is {:?}; expected admission.k8s.io/v1: set admissionReviewVersions: [v1]",
                    shown(other)
                );
                return Err(refused(Version::V1, &uid, reason));
            }
        };
        if kind != "AdmissionReview" {
            let reason = format!("kind is {:?}; expected AdmissionReview", shown(kind));
            return Err(refused(version, &uid, reason));
        }
        let request = review.get_mut("request").map(Value::take).filter(Value::is_object);
        let Some(mut request) = request else {
            return Err(refused(version, &uid, "the AdmissionReview has no request".to_owned()));
        };
        if uid.is_empty() {
            return Err(refused(version, &uid, "request.uid is missing or empty".to_owned()));
        }
        // Moved out as they are: they may be large, and nobody here knows more about them than that they are JSON.
        let mut taken = |key: &str| request.get_mut(key).map(Value::take).unwrap_or_default();
        let (object, old_object) = (taken("object"), taken("oldObject"));
        let request: WireRequest = serde_json::from_value(request)
            .map_err(|error| refused(version, &uid, format!("the request cannot be read: {error}")))?;
        Ok(Self {
            version,
            uid,
            group: request.kind.group,
            kind: request.kind.kind,
            sub_resource: request.sub_resource.filter(|name| !name.is_empty()),
            namespace: request.namespace.filter(|name| !name.is_empty()),
            operation: match request.operation {
                WireOperation::Create => Operation::Create,
                WireOperation::Update => Operation::Update,
                WireOperation::Delete => Operation::Delete,
                WireOperation::Connect => Operation::Connect,
            },
            object,
            old_object,
            rehearsal: request.dry_run.unwrap_or(false),
        })
    }

    /// The answer's body.
    pub(super) fn answer(&self, reply: Reply) -> Value {
        write(self.version, &self.uid, reply)
    }
}

impl Refusal {
    /// The answer's body: denied, and why.
    pub(super) fn answer(&self) -> Value {
        let denial = Some(format!("tidewaiter cannot read this AdmissionReview: {}", self.reason));
        write(self.version, &self.uid, Reply { denial, ..Reply::default() })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireReview<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: WireResponse<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireResponse<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<WireStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    audit_annotations: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
struct WireStatus {
    code: u16,
    reason: &'static str,
    message: String,
}

fn write(version: Version, uid: &str, reply: Reply) -> Value {
    use base64::Engine as _;
    let patch = reply.patch.map(|patch| base64::engine::general_purpose::STANDARD.encode(patch));
    let review = WireReview {
        api_version: version.name(),
        kind: "AdmissionReview",
        response: WireResponse {
            uid,
            allowed: reply.denial.is_none(),
            status: reply.denial.map(|message| WireStatus { code: 403, reason: "Forbidden", message }),
            // Both or neither.
            patch_type: patch.is_some().then_some("JSONPatch"),
            patch,
            warnings: reply.warnings,
            audit_annotations: reply.annotations,
        },
    };
    serde_json::to_value(review).expect("a review has only strings, numbers and maps of strings")
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_no_review_is_named_and_never_allowed() {
        let request = json!({"uid": "u", "kind": {"kind": "Pod"}, "operation": "CREATE", "object": {}});
        let v1 = "admission.k8s.io/v1";
        for (body, uid, fragment) in [
            (json!("text"), "", "apiVersion"),
            (json!({"apiVersion": v1, "kind": "AdmissionReview"}), "", "no request"),
            (json!({"apiVersion": v1, "kind": "AdmissionReview", "request": null}), "", "no request"),
            (json!({"apiVersion": v1, "kind": "AdmissionReview", "request": []}), "", "no request"),
            (json!({"apiVersion": v1, "kind": "AdmissionReview", "request": {"uid": 7}}), "", "uid"),
            (json!({"apiVersion": v1, "kind": "AdmissionReview", "request": {"uid": "u"}}), "u", "kind"),
            (json!({"apiVersion": v1, "kind": "Pod", "request": request}), "u", "expected AdmissionReview"),
            (
                json!({"apiVersion": "admission.k8s.io/v2", "kind": "AdmissionReview", "request": request}),
                "u",
                "v2",
            ),
            (json!({"kind": "AdmissionReview", "request": request}), "u", "apiVersion"),
        ] {
            let refusal = Admission::read(body.to_string().as_bytes()).expect_err("not a review");
            assert_eq!(refusal.uid, uid, "{body}");
            let answer = refusal.answer();
            assert_eq!(
                (&answer["response"]["allowed"], &answer["response"]["uid"]),
                (&json!(false), &json!(uid))
            );
            let message = answer["response"]["status"]["message"].as_str().unwrap();
            assert!(message.contains(fragment), "{message:?} lacks {fragment:?}");
        }
        assert!(Admission::read(b"\xff{").is_err() && Admission::read(b"").is_err());
    }

    #[test]
    fn a_review_is_answered_in_the_version_in_which_it_was_asked() {
        for version in ["admission.k8s.io/v1", "admission.k8s.io/v1beta1"] {
            let request = json!({"uid": "u", "kind": {"kind": "Pod"}, "operation": "DELETE", "object": null});
            let body = json!({"apiVersion": version, "kind": "AdmissionReview", "request": request});
            let admission = Admission::read(body.to_string().as_bytes()).unwrap();
            let answer = admission.answer(Reply { patch: Some(b"[]".to_vec()), ..Reply::default() });
            assert_eq!(answer["apiVersion"], version);
            let response = json!({"uid": "u", "allowed": true, "patchType": "JSONPatch", "patch": "W10="});
            assert_eq!(answer["response"], response);
        }
    }
}
