//! AdmissionReview as the API server sends it and wants it answered: `admission.k8s.io/v1`, and `v1beta1` in kind.
//!
//! Every body gets a review back. What cannot be read is a [`Refusal`], which denies and says why.
//! Format: kubernetes.io, "Dynamic Admission Control", request and response.

use std::collections::BTreeMap;

use serde::Serialize;

use super::json::{Document, Json, Malformed};

/// The version of an `AdmissionReview`; it is answered in the version in which it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V1Beta1,
}

/// What the API server wants to know, as it stands in the body.
#[derive(Clone, Copy)]
pub(super) struct Admission<'d> {
    pub(super) version: Version,
    pub(super) uid: &'d str,
    /// Group and kind of the object, as the webhook's rule matched it.
    pub(super) group: &'d str,
    pub(super) kind: &'d str,
    pub(super) sub_resource: Option<&'d str>,
    pub(super) namespace: Option<&'d str>,
    pub(super) operation: Operation,
    pub(super) object: Json<'d>,
    pub(super) old_object: Json<'d>,
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

/// The JSON of a body.
pub(super) fn document(body: &[u8]) -> Result<Document<'_>, Refusal> {
    Document::read(body).map_err(|error| Refusal::nameless(format!("the body is not JSON: {error}")))
}

impl<'d> Admission<'d> {
    /// Reads a body.
    pub(super) fn read(document: &'d Document<'_>) -> Result<Self, Refusal> {
        let review = document.root();
        let request = review.get("request").filter(|request| request.is_object());
        let uid = request.and_then(|request| request.get("uid")).and_then(Json::as_str).unwrap_or_default();
        let refused = |version, reason: String| Refusal { version, uid: uid.to_owned(), reason };
        let text = |key| review.get(key).and_then(Json::as_str).unwrap_or_default();
        let (kind, api_version) = (text("kind"), text("apiVersion"));
        let version = match api_version {
            "admission.k8s.io/v1" => Version::V1,
            "admission.k8s.io/v1beta1" => Version::V1Beta1,
            other => {
                let reason = format!(
                    "apiVersion is {:?}; expected admission.k8s.io/v1: set admissionReviewVersions: [v1]",
                    shown(other)
                );
                return Err(refused(Version::V1, reason));
            }
        };
        if kind != "AdmissionReview" {
            let reason = format!("kind is {:?}; expected AdmissionReview", shown(kind));
            return Err(refused(version, reason));
        }
        let Some(request) = request else {
            return Err(refused(version, "the AdmissionReview has no request".to_owned()));
        };
        if uid.is_empty() {
            return Err(refused(version, "request.uid is missing or empty".to_owned()));
        }
        Self::of_request(version, uid, request)
            .map_err(|malformed| refused(version, format!("the request cannot be read: {malformed}")))
    }

    fn of_request(version: Version, uid: &'d str, request: Json<'d>) -> Result<Self, Malformed> {
        let kind = request.get("kind").unwrap_or(Json::NULL);
        let object = |key| request.get(key).unwrap_or(Json::NULL);
        Ok(Self {
            version,
            uid,
            group: kind.get("group").map_or(Ok(""), |group| required_text(group, "request.kind.group"))?,
            kind: required_text(kind.get("kind").unwrap_or(Json::NULL), "request.kind.kind")?,
            sub_resource: optional_text(request.get("subResource"), "request.subResource")?,
            namespace: optional_text(request.get("namespace"), "request.namespace")?,
            operation: Operation::read(request.get("operation").unwrap_or(Json::NULL))?,
            object: object("object"),
            old_object: object("oldObject"),
            rehearsal: match request.get("dryRun").and_then(Json::said) {
                None => false,
                Some(said) => {
                    said.as_bool().ok_or_else(|| Malformed::new("request.dryRun", said, "a boolean"))?
                }
            },
        })
    }

    /// The answer's body.
    pub(super) fn answer(&self, reply: Reply) -> Answer<'_> {
        Answer::new(self.version, self.uid, reply)
    }
}

impl Operation {
    fn read(json: Json<'_>) -> Result<Self, Malformed> {
        match json.as_str() {
            Some("CREATE") => Ok(Self::Create),
            Some("UPDATE") => Ok(Self::Update),
            Some("DELETE") => Ok(Self::Delete),
            Some("CONNECT") => Ok(Self::Connect),
            Some(_) | None => {
                Err(Malformed::new("request.operation", json, "CREATE, UPDATE, DELETE or CONNECT"))
            }
        }
    }
}

fn required_text<'d>(json: Json<'d>, place: &str) -> Result<&'d str, Malformed> {
    json.as_str().ok_or_else(|| Malformed::new(place, json, "a text"))
}

/// `None` also if it is empty.
fn optional_text<'d>(json: Option<Json<'d>>, place: &str) -> Result<Option<&'d str>, Malformed> {
    let said = json.and_then(Json::said).map(|json| required_text(json, place)).transpose()?;
    Ok(said.filter(|text| !text.is_empty()))
}

impl Refusal {
    /// Of a body that does not even say who asks.
    pub(super) fn nameless(reason: String) -> Self {
        Self { version: Version::V1, uid: String::new(), reason }
    }

    /// The answer's body: denied, and why.
    pub(super) fn answer(&self) -> Answer<'_> {
        let denial = Some(format!("tidewaiter cannot read this AdmissionReview: {}", self.reason));
        Answer::new(self.version, &self.uid, Reply { denial, ..Reply::default() })
    }
}

/// The body of an answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer<'a> {
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

impl<'a> Answer<'a> {
    fn new(version: Version, uid: &'a str, reply: Reply) -> Self {
        use base64::Engine as _;
        let patch = reply.patch.map(|patch| base64::engine::general_purpose::STANDARD.encode(patch));
        let response = WireResponse {
            uid,
            allowed: reply.denial.is_none(),
            status: reply.denial.map(|message| WireStatus { code: 403, reason: "Forbidden", message }),
            // Both or neither.
            patch_type: patch.is_some().then_some("JSONPatch"),
            patch,
            warnings: reply.warnings,
            audit_annotations: reply.annotations,
        };
        Self { api_version: version.name(), kind: "AdmissionReview", response }
    }
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read<T>(body: &str, look: impl FnOnce(Admission<'_>) -> T) -> Result<T, Refusal> {
        Admission::read(&document(body.as_bytes())?).map(look)
    }

    fn told(answer: &Answer<'_>) -> Value {
        serde_json::to_value(answer).unwrap()
    }

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
            let refusal = read(&body.to_string(), |_| ()).expect_err("not a review");
            assert_eq!(refusal.uid, uid, "{body}");
            let answer = told(&refusal.answer());
            assert_eq!(
                (&answer["response"]["allowed"], &answer["response"]["uid"]),
                (&json!(false), &json!(uid))
            );
            let message = answer["response"]["status"]["message"].as_str().unwrap();
            assert!(message.contains(fragment), "{message:?} lacks {fragment:?}");
        }
        assert!(document(b"\xff{").is_err() && document(b"").is_err());
    }

    #[test]
    fn a_review_is_answered_in_the_version_in_which_it_was_asked() {
        for version in ["admission.k8s.io/v1", "admission.k8s.io/v1beta1"] {
            let request = json!({"uid": "u", "kind": {"kind": "Pod"}, "operation": "DELETE", "object": null});
            let body = json!({"apiVersion": version, "kind": "AdmissionReview", "request": request});
            let reply = Reply { patch: Some(b"[]".to_vec()), ..Reply::default() };
            let answer = read(&body.to_string(), |admission| told(&admission.answer(reply))).unwrap();
            assert_eq!(answer["apiVersion"], version);
            let response = json!({"uid": "u", "allowed": true, "patchType": "JSONPatch", "patch": "W10="});
            assert_eq!(answer["response"], response);
        }
    }
}
