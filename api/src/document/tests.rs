//! The document as a whole: complete, and well-formed by the rules of OpenAPI 3.1 that tools trip over.

use std::collections::BTreeSet;

use actix_web::http::{Method, StatusCode, header};
use actix_web::test::{TestRequest, call_service, init_service, read_body_json};
use actix_web::{App, web};
use serde_json::Value;
use utoipa::openapi::OpenApi;
use utoipa_actix_web::AppExt as _;

use crate::{document, routes};

/// A route that is the same as another one, with the original path behind it.
const SAID_ELSEWHERE: &str = "/gates/pull/{tail:.*}";

/// What is asked of the process alone, by anybody.
const NEVER_FAIL: [&str; 2] = ["get /healthz", "get /metrics"];

fn documented() -> OpenApi {
    let app = App::new().into_utoipa_app().openapi(routes::begun_document()).configure(routes::table);
    let (_, mut document) = app.split_for_parts();
    document::complete(&mut document);
    document
}

fn as_json() -> Value {
    serde_json::to_value(documented()).unwrap()
}

/// Path, method and operation.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            let operations = item.as_object().unwrap().iter();
            operations.map(|(method, operation)| (path.as_str(), method.as_str(), operation))
        })
        .collect()
}

fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_route_of_the_table_is_in_the_document() {
    let table = include_str!("../routes.rs");
    let document = as_json();
    let registered = table.matches(".service(").count();
    assert!(registered > 20, "{registered}");
    assert_eq!(operations(&document).len(), registered);
    let undocumented: Vec<_> = table.split(".route(").skip(1).collect();
    assert_eq!(undocumented.len(), 1);
    assert!(undocumented[0].starts_with(&format!("{SAID_ELSEWHERE:?}")), "{}", undocumented[0]);
}

#[test]
fn every_reference_leads_somewhere() {
    let document = as_json();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 50, "{}", found.len());
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("nothing is outside of the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn every_operation_says_what_it_does_and_how_it_fails() {
    let document = as_json();
    let (mut identities, mut never_fail) = (BTreeSet::new(), Vec::new());
    for (path, method, operation) in operations(&document) {
        let place = format!("{method} {path}");
        let summary = operation["summary"].as_str().unwrap_or_default();
        assert!(!summary.is_empty(), "{place} has no summary");
        let identity = operation["operationId"].as_str().unwrap_or_default();
        assert!(!identity.is_empty() && identities.insert(identity), "{place}: {identity:?} is not its own");
        let answers = operation["responses"].as_object().unwrap();
        assert!(answers.keys().any(|status| status.starts_with('2')), "{place} never succeeds");
        let described = |answer: &Value| answer["description"].as_str().is_some_and(|text| !text.is_empty());
        assert!(answers.values().all(described), "{place}: {answers:?}");
        if !answers.keys().any(|status| status.starts_with(['4', '5'])) {
            never_fail.push(place);
        }
    }
    assert_eq!(never_fail, NEVER_FAIL);
}

#[test]
fn every_part_of_a_path_is_a_parameter() {
    let document = as_json();
    for (path, method, operation) in operations(&document) {
        let parts = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let none = Vec::new();
        let parameters = operation["parameters"].as_array().unwrap_or(&none).iter();
        let described = parameters.filter(|parameter| parameter["in"] == "path");
        let described: BTreeSet<_> = described.map(|parameter| parameter["name"].as_str().unwrap()).collect();
        assert_eq!(described, parts.collect(), "{method} {path}");
    }
}

#[actix_web::test]
async fn another_method_on_a_route_is_told_which_ones_there_are() {
    let (app, document) = App::new()
        .into_utoipa_app()
        .openapi(routes::begun_document())
        .configure(routes::table)
        .split_for_parts();
    let app = app
        .app_data(web::Data::new(document))
        .route(routes::DOCUMENT, web::get().to(|| async { "" }))
        .default_service(web::to(routes::unmatched));
    let app = init_service(app).await;
    for (method, path, status, allow) in [
        (Method::POST, "/healthz", StatusCode::METHOD_NOT_ALLOWED, Some("GET")),
        (Method::DELETE, "/v1/verdicts/sha256:00", StatusCode::METHOD_NOT_ALLOWED, Some("GET")),
        (Method::GET, "/webhooks/generic", StatusCode::METHOD_NOT_ALLOWED, Some("POST, OPTIONS")),
        (Method::POST, routes::DOCUMENT, StatusCode::METHOD_NOT_ALLOWED, Some("GET")),
        (Method::GET, "/v2", StatusCode::NOT_FOUND, None),
        (Method::POST, "/", StatusCode::NOT_FOUND, None),
    ] {
        let request = TestRequest::with_uri(path).method(method.clone()).to_request();
        let answer = call_service(&app, request).await;
        assert_eq!(answer.status(), status, "{method} {path}");
        let shown = answer.headers().get(header::ALLOW).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(shown.as_deref(), allow, "{method} {path}");
        assert_eq!(answer.headers().get(header::CONTENT_TYPE).unwrap(), "application/problem+json");
        let problem: Value = read_body_json(answer).await;
        assert_eq!(problem["status"], status.as_u16(), "{problem}");
    }
}
