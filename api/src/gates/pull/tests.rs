//! Requests as proxies send them and as attackers write them; with `TIDEWAITER_FIXTURES`, the recorded table too.

use actix_web::http::Method;
use actix_web::test::TestRequest;
use proptest::prelude::*;
use serde_json::Value;

use super::proxy::Original;
use super::target::{Pull, Target, Which, read};
use super::{ascii, refuse};

const HEX: &str = "5861314d7fccb39c2192173240eab44fa35ca66426201ca2acd0630a6258dd51";

/// A target in one line.
fn told(method: &Method, uri: &str) -> String {
    match read(method, uri) {
        Target::Manifest(Pull { repository, reference: Which::Tag(tag), .. }) => {
            format!("{repository}:{tag}")
        }
        Target::Manifest(Pull { repository, reference: Which::Digest(digest), .. }) => {
            format!("{repository}@{}", digest.short())
        }
        Target::Other => "pass".to_owned(),
        Target::Hostile(_) => "refuse".to_owned(),
    }
}

#[test]
fn only_pulls_of_manifests_are_judged() {
    for (uri, expected) in [
        ("/v2/", "pass"),
        ("/", "pass"),
        ("/token?scope=repository%3Ateam%2Fapp%3Apull", "pass"),
        ("/v2/team/app/manifests/1.4.2", "team/app:1.4.2"),
        (&format!("/v2/team/app/manifests/sha256:{HEX}"), "team/app@5861314d7fcc"),
        (&format!("/v2/team/app/manifests/sha256%3A{HEX}"), "team/app@5861314d7fcc"),
        ("/v2/a/manifests/b/manifests/latest", "a/manifests/b:latest"),
        ("/v2/manifests/manifests/manifests", "manifests:manifests"),
        (&format!("/v2/team/app/blobs/sha256:{HEX}"), "pass"),
        (&format!("/v2/a/manifests/b/blobs/sha256:{HEX}"), "pass"),
        ("/v2/a/manifests/tags/list", "pass"),
        ("/v2/team/app/tags/list?n=100", "pass"),
        (&format!("/v2/team/app/referrers/sha256:{HEX}"), "pass"),
        ("/v2/team/app/manifests/1?ns=docker.io", "team/app:1"),
    ] {
        assert_eq!(told(&Method::GET, uri), expected, "{uri}");
        assert_eq!(told(&Method::HEAD, uri), expected, "{uri}");
    }
    let manifest = "/v2/team/app/manifests/1.4.2";
    for method in [Method::PUT, Method::POST, Method::PATCH, Method::DELETE] {
        assert_eq!(told(&method, manifest), "pass", "{method}");
    }
    assert_eq!(told(&Method::from_bytes(b"FETCH").unwrap(), manifest), "team/app:1.4.2");
}

#[test]
fn i4_whatever_could_be_a_manifest_and_is_not_plainly_one_does_not_pass() {
    for uri in ["/v2/team/bad/%6Danifests/1.0", "/v2/team/bad%2Fmanifests%2F1.0"] {
        assert_eq!(told(&Method::GET, uri), "team/bad:1.0", "{uri}");
    }
    for uri in [
        "/v2/team/bad/manifests/1.0/",
        "/v2//team/bad/manifests/1.0",
        "//v2/team/bad/manifests/1.0",
        "/v2/team/../team/bad/manifests/1.0",
        "/v2/team/bad/./manifests/1.0",
        "/v2/team/bad/%2e%2e/bad/manifests/1.0",
        "/x/../v2/team/bad/manifests/1.0",
        "/V2/team/bad/manifests/1.0",
        "/v2/team/bad/MANIFESTS/1.0",
        "/v2/team/bad/%256Danifests/1.0",
        "/v2/team\\bad\\manifests\\1.0",
        "/v2/team/bad/manifests;x/1.0",
        "/v2/team/bad/manifests%20/1.0",
        "/v2/Team/bad/manifests/1.0",
        "/v2/manifests/1.0",
        "/v2/team/bad/manifests/sha256:short",
        "/v2/team/bad/manifests/1.0%00",
        "/v2/team/bad/manifests/1.0#x",
        "http://r.io/v2/team/bad/manifests/1.0",
        "/v2/team/bad/manifests/%ff",
        "",
    ] {
        assert_eq!(told(&Method::GET, uri), "refuse", "{uri}");
    }
    assert_eq!(told(&Method::GET, &format!("/v2/{}/manifests/1", "a".repeat(5000))), "refuse");
}

#[test]
fn the_recorded_targets_are_decided_as_recorded() {
    let Some(folder) = std::env::var_os("TIDEWAITER_FIXTURES") else { return };
    let path = std::path::Path::new(&folder).join("wire/gates/proxy-uris.json");
    let table: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    for case in table["cases"].as_array().unwrap() {
        let method = case["method"].as_str().unwrap_or("GET").parse().unwrap();
        let found = read(&method, case["uri"].as_str().unwrap());
        match (case["do"].as_str().unwrap(), found) {
            ("allow", Target::Other) => {}
            ("check", Target::Manifest(pull)) => {
                assert_eq!(pull.repository.as_str(), case["repository"], "{case}");
                let reference = match &pull.reference {
                    Which::Tag(tag) => ("tag", tag.to_string()),
                    Which::Digest(digest) => ("digest", digest.to_string()),
                };
                assert_eq!(case[reference.0], reference.1, "{case}");
                let namespace = pull.namespace.map(|host| host.to_string());
                assert_eq!(case["registry"].as_str(), namespace.as_deref(), "{case}");
            }
            (_, found) => panic!("{case}: {found:?}"),
        }
    }
}

fn original(target: &str, method: Method, headers: &[(&str, &str)]) -> Result<String, String> {
    let mut request = TestRequest::with_uri(target).method(method);
    for header in headers {
        request = request.append_header(*header);
    }
    let original = Original::of(&request.to_http_request())?;
    let host = original.host.map(|host| host.to_string()).unwrap_or_default();
    Ok(format!("{} {host} {}", original.method, original.uri))
}

#[test]
fn each_proxy_names_the_original_request_in_its_own_way() {
    let manifest = "/v2/team/app/manifests/1.4.2";
    for (target, headers, expected) in [
        (
            "/gates/pull",
            vec![
                ("host", "tidewaiter-gate:8080"),
                ("x-original-uri", manifest),
                ("x-original-method", "GET"),
                ("x-original-host", "registry.example.com:5000"),
            ],
            "GET registry.example.com:5000 /v2/team/app/manifests/1.4.2",
        ),
        (
            "/gates/pull",
            vec![
                ("host", "tidewaiter-gate:8080"),
                ("x-forwarded-method", "HEAD"),
                ("x-forwarded-host", "registry.example.com:5000"),
                ("x-forwarded-uri", manifest),
            ],
            "HEAD registry.example.com:5000 /v2/team/app/manifests/1.4.2",
        ),
        (
            "/gates/pull/envoy/v2/team/app/manifests/1.4.2?ns=x",
            vec![("host", "registry.example.com:5000")],
            "GET registry.example.com:5000 /v2/team/app/manifests/1.4.2?ns=x",
        ),
        (
            "/gates/pull/v2/team/app/manifests/sha256%3Aaa",
            vec![("host", "registry.example.com:5000")],
            "GET registry.example.com:5000 /v2/team/app/manifests/sha256%3Aaa",
        ),
        ("/gates/pull", vec![("x-original-uri", "/v2/")], "GET  /v2/"),
    ] {
        assert_eq!(original(target, Method::GET, &headers).as_deref(), Ok(expected), "{target} {headers:?}");
    }
}

#[test]
fn i8_a_client_cannot_name_another_request_than_its_own() {
    let bad = ("x-forwarded-uri", "/v2/team/bad/manifests/1");
    for headers in [
        vec![bad, ("x-original-uri", "/v2/")],
        vec![("x-original-uri", "/v2/"), ("x-original-uri", "/v2/team/bad/manifests/1")],
        vec![bad, ("x-forwarded-method", "GET"), ("x-forwarded-method", "PUT")],
        vec![],
    ] {
        assert!(original("/gates/pull", Method::GET, &headers).is_err(), "{headers:?}");
    }
    let behind = original("/gates/pull/", Method::GET, &[("x-original-uri", "/v2/team/bad/manifests/1")]);
    assert!(behind.is_err(), "a proxy that asks at the wrong route opens nothing");
    // Headers of the family that does not name the request say nothing.
    let said = original(
        "/gates/pull",
        Method::GET,
        &[bad, ("x-original-method", "PUT"), ("x-original-host", "evil")],
    );
    assert_eq!(said.as_deref(), Ok("GET  /v2/team/bad/manifests/1"));
}

#[test]
fn the_recorded_requests_of_proxies_are_read() {
    let Some(folder) = std::env::var_os("TIDEWAITER_FIXTURES") else { return };
    for name in ["nginx-auth-request", "traefik-forwardauth", "envoy-ext-authz-http"] {
        let path = std::path::Path::new(&folder).join(format!("wire/gates/proxy-{name}.json"));
        let sample: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let request = &sample["request"];
        let headers: Vec<(&str, &str)> = request["headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
            .collect();
        let said = original(request["target"].as_str().unwrap(), Method::GET, &headers).unwrap();
        assert!(said.contains(" registry.example.com:5000 /v2/team/"), "{name}: {said}");
    }
}

#[test]
fn a_refusal_is_a_distribution_error_also_in_a_header() {
    let response = refuse("„grün“ \u{1F4A9}\n", &Value::Null);
    assert_eq!(response.status(), 403);
    let header = response.headers().get("x-tidewaiter-denial").unwrap().to_str().unwrap().to_owned();
    let envelope: Value = serde_json::from_str(&header).unwrap();
    assert_eq!(envelope["errors"][0]["code"], "DENIED");
    assert!(envelope["errors"][0]["message"].as_str().unwrap().contains("„grün“ \u{1F4A9}"));
    let long: Value = serde_json::from_str(&ascii(&"x".repeat(10_000))).unwrap();
    assert_eq!(long["errors"][0]["code"], "DENIED");
}

proptest! {
    #[test]
    fn no_uri_panics(uri in "\\PC{0,120}") {
        let _ = read(&Method::GET, &uri);
    }

    #[test]
    fn no_disguise_of_a_manifest_passes(
        disguise in proptest::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(2)], 9),
        before in proptest::sample::select(vec!["", "/", "//", "/x/", "/./", "/a/../"]),
    ) {
        let word: String = "manifests".chars().zip(&disguise).map(|(letter, how)| match how {
            0 => letter.to_string(),
            1 => format!("%{:02x}", u32::from(letter)),
            _ => letter.to_ascii_uppercase().to_string(),
        }).collect();
        let uri = format!("/v2/team{before}bad/{word}/1.0");
        prop_assert!(read(&Method::GET, &uri) != Target::Other, "{}", uri);
    }
}
