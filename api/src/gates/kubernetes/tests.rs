//! Which images an object names, and what of it is new: one table, and the recorded requests of API servers where
//! `TIDEWAITER_FIXTURES` names the folder that has them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::change::Change;
use super::image::NamedImage;
use super::json::Malformed;
use super::pod::{Carrier, PodView};
use super::review::{Admission, document};

fn review(group: &str, kind: &str, operation: &str, object: &Value, old: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u", "kind": {"group": group, "version": "v1", "kind": kind}, "namespace": "prod",
            "operation": operation, "object": object, "oldObject": old,
        },
    })
}

fn admitted<T>(review: &Value, look: impl FnOnce(Admission<'_>) -> T) -> T {
    let body = review.to_string();
    let document = document(body.as_bytes()).expect("JSON");
    look(Admission::read(&document).expect("a review"))
}

fn changed<T>(review: &Value, look: impl FnOnce(Result<Change<'_>, Malformed>) -> T) -> T {
    admitted(review, |admission| look(Change::of(&admission)))
}

/// The remark about a change without a pod; an error about one with a pod.
fn nothing(review: &Value) -> Result<Option<String>, Vec<String>> {
    changed(review, |change| match change.expect("well-formed") {
        Change::Nothing { remark } => Ok(remark),
        Change::Pod(change) => Err(change.images.iter().map(NamedImage::pointer).collect()),
    })
}

/// The pointers of the images to be judged.
fn pointers(review: &Value) -> Vec<String> {
    nothing(review).err().unwrap_or_default()
}

#[test]
fn images_are_found_in_every_kind_that_carries_a_pod() {
    let pod = json!({"spec": {"containers": [{"image": "a"}]}});
    let template = json!({"spec": {"template": pod}});
    let cron = json!({"spec": {"jobTemplate": template}});
    for (group, kind, object, expected) in [
        ("", "Pod", &pod, "/spec/containers/0/image"),
        ("", "ReplicationController", &template, "/spec/template/spec/containers/0/image"),
        ("", "PodTemplate", &json!({"template": pod}), "/template/spec/containers/0/image"),
        ("apps", "Deployment", &template, "/spec/template/spec/containers/0/image"),
        ("apps", "ReplicaSet", &template, "/spec/template/spec/containers/0/image"),
        ("apps", "StatefulSet", &template, "/spec/template/spec/containers/0/image"),
        ("apps", "DaemonSet", &template, "/spec/template/spec/containers/0/image"),
        ("batch", "Job", &template, "/spec/template/spec/containers/0/image"),
        ("batch", "CronJob", &cron, "/spec/jobTemplate/spec/template/spec/containers/0/image"),
    ] {
        assert_eq!(pointers(&review(group, kind, "CREATE", object, &Value::Null)), [expected], "{kind}");
    }
}

#[test]
fn images_are_found_in_every_list_and_in_volumes() {
    let pod = json!({"spec": {
        "initContainers": [{"image": "a"}, {"image": ""}, {"image": null}, {}],
        "containers": [{"image": "b"}],
        "ephemeralContainers": [{"image": "c"}],
        "volumes": [{"emptyDir": {}}, {"image": {"reference": "d"}}, {"image": null}, {"image": {}}],
    }});
    let found = pointers(&review("", "Pod", "CREATE", &pod, &Value::Null));
    let expected = [
        "/spec/initContainers/0/image",
        "/spec/containers/0/image",
        "/spec/ephemeralContainers/0/image",
        "/spec/volumes/1/image/reference",
    ];
    assert_eq!(found, expected);
}

#[test]
fn an_update_is_judged_by_what_is_new_in_it() {
    let pod = |images: &[&str], extra: Value| {
        let containers: Vec<Value> = images.iter().map(|image| json!({"image": image})).collect();
        json!({"metadata": {"labels": extra}, "spec": {"containers": containers}})
    };
    let old = pod(&["a", "b"], json!({}));
    for (new, expected) in [
        (pod(&["a", "b"], json!({"x": "y"})), vec![]),
        (pod(&["b", "a"], json!({})), vec![]),
        (pod(&["a", "c"], json!({})), vec!["/spec/containers/1/image"]),
    ] {
        let found = nothing(&review("", "Pod", "UPDATE", &new, &old)).expect_err("a pod");
        assert_eq!(found, expected, "{new}");
    }
    changed(&review("", "Pod", "UPDATE", &old, &old), |change| {
        let Ok(Change::Pod(same)) = change else { panic!("a pod") };
        assert!(same.offences.is_empty(), "what offended before is free: {:?}", same.offences);
    });
    let without_old = review("", "Pod", "UPDATE", &old, &Value::Null);
    assert_eq!(pointers(&without_old).len(), 2, "without the old object everything is new");
}

#[test]
fn what_carries_no_pod_is_free_and_what_is_unknown_is_said() {
    let scale = json!({"spec": {"replicas": 3}});
    for (group, kind, operation, object, remarked) in [
        ("autoscaling", "Scale", "UPDATE", &scale, false),
        ("", "Pod", "DELETE", &Value::Null, false),
        ("", "PodExecOptions", "CONNECT", &json!({}), false),
        ("argoproj.io", "Rollout", "CREATE", &json!({}), true),
        ("batch.volcano.sh", "Job", "CREATE", &json!({}), true),
        ("apps", "Deployment", "CREATE", &json!({"spec": {}}), true),
    ] {
        let remark = nothing(&review(group, kind, operation, object, &Value::Null)).expect(kind);
        assert_eq!(remark.is_some(), remarked, "{kind}");
    }
    let mut status =
        review("", "Pod", "UPDATE", &json!({"spec": {"containers": [{"image": "a"}]}}), &Value::Null);
    status["request"]["subResource"] = json!("status");
    assert_eq!(nothing(&status), Ok(None));
}

#[test]
fn a_wrong_shape_is_an_error_that_names_its_place() {
    for (object, fragment) in [
        (json!(null), "request.object is null"),
        (json!("pod"), "request.object is a text"),
        (json!({"spec": []}), "/spec is a list"),
        (json!({"spec": {"containers": "nginx"}}), "/spec/containers is a text"),
        (json!({"spec": {"containers": [{"image": "a"}, "nginx"]}}), "/spec/containers/1 is a text"),
        (json!({"spec": {"containers": [{"image": ["a"]}]}}), "/spec/containers/0/image is a list"),
        (json!({"spec": {"initContainers": {"image": "a"}}}), "/spec/initContainers is an object"),
        (json!({"spec": {"volumes": [{"image": "a"}]}}), "/spec/volumes/0/image is a text"),
        (
            json!({"spec": {"volumes": [{"image": {"reference": 7}}]}}),
            "/spec/volumes/0/image/reference is a number",
        ),
    ] {
        let review = review("", "Pod", "CREATE", &object, &Value::Null);
        let error = changed(&review, |change| change.err().expect("malformed").to_string());
        assert!(error.contains(fragment), "{error:?} lacks {fragment:?}");
    }
}

pub(super) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        prop::sample::select(vec![
            "spec",
            "template",
            "jobTemplate",
            "metadata",
            "labels",
            "containers",
            "initContainers",
            "ephemeralContainers",
            "volumes",
            "image",
            "reference",
            "hostPath",
            "path",
            "securityContext",
            "env",
            "name",
            "value",
            "valueFrom",
            "capabilities",
            "add",
            "resources",
            "limits",
            "request",
            "uid",
            "kind",
        ])
        .prop_map(str::to_owned),
        "[a-z]{0,4}",
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_json_panics_the_reader_and_pointers_point(object in any_json(), old in any_json()) {
        for (group, kind) in [("", "Pod"), ("apps", "Deployment"), ("batch", "CronJob")] {
            let named: Vec<(String, String)> = changed(&review(group, kind, "UPDATE", &object, &old), |change| {
                let Ok(Change::Pod(change)) = change else { return Vec::new() };
                change.images.iter().map(|image| (image.pointer(), image.image.to_owned())).collect()
            });
            for (pointer, image) in named {
                prop_assert_eq!(object.pointer(&pointer).and_then(Value::as_str), Some(image.as_str()));
            }
        }
        let text = object.to_string();
        let _ = Admission::read(&document(text.as_bytes()).expect("JSON"));
    }
}

fn fixtures() -> Option<PathBuf> {
    Some(PathBuf::from(std::env::var_os("TIDEWAITER_FIXTURES")?).join("wire/gates"))
}

fn json_file(path: &std::path::Path) -> Value {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every image of the object, whether it is new or not.
fn all_images(review: &Value) -> BTreeSet<(String, String)> {
    admitted(review, |admission| {
        let carrier = Carrier::of(admission.group, admission.kind, admission.sub_resource);
        let Carrier::At(carrier) = carrier else { return BTreeSet::new() };
        let Some(object) = admission.object.said() else { return BTreeSet::new() };
        let pod = PodView::find(object, carrier).expect("well-formed").expect("a pod");
        let images = pod.images().expect("well-formed").into_iter();
        images.map(|image| (image.pointer(), image.image.to_owned())).collect()
    })
}

fn listed(row: &Value) -> BTreeSet<(String, String)> {
    let text = |image: &Value, key: &str| image[key].as_str().expect("a text").to_owned();
    let images = row["images"].as_array().expect("a list");
    images.iter().map(|image| (text(image, "pointer"), text(image, "image"))).collect()
}

#[test]
fn recorded_requests_name_exactly_the_images_that_their_index_lists() {
    let Some(folder) = fixtures() else { return };
    let index = json_file(&folder.join("_index.json"));
    let requests = index["files"].as_array().expect("a list").iter();
    let mut seen = 0;
    for row in requests.filter(|row| row["gate"] == "admissionreview" && row["role"].is_null()) {
        let file = row["file"].as_str().expect("a text");
        if !file.ends_with("-request.json") {
            continue;
        }
        seen += 1;
        assert_eq!(all_images(&json_file(&folder.join(file))), listed(row), "{file}");
    }
    let goat = folder.join("kubernetes-goat");
    for row in json_file(&goat.join("_index.json"))["requests"].as_array().expect("a list") {
        seen += 1;
        let file = row["file"].as_str().expect("a text");
        assert_eq!(all_images(&json_file(&goat.join(file))), listed(row), "{file}");
    }
    assert!(seen > 20, "{seen} requests");
}
