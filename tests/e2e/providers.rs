//! Gatekeeper and Kyverno ask, byte for byte as they do.

use anyhow::Result;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tests::image::{HARMLESS, Image, VULNERABLE};
use tests::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn gatekeeper_gets_every_key_back_and_nothing_about_what_is_still_to_come() -> Result<()> {
    let site = Site::embedded().await?;
    let good = site.push(&Image::debian_with_python(HARMLESS), "team/good", "1.0")?;
    let bad = site.push(&Image::debian_with_python(VULNERABLE), "team/bad", "1.0")?;
    site.verdict(&good).await?;
    site.verdict(&bad).await?;
    let unjudged = format!("sha256:{}", "0".repeat(64));
    let keys = [
        site.name("team/good", &good),
        format!("{}/team/bad:1.0", site.registry.host()),
        format!("{}/team/ghost@{unjudged}", site.registry.host()),
        "not a reference".to_owned(),
    ];
    let question = json!({"apiVersion": "externaldata.gatekeeper.sh/v1beta1", "kind": "ProviderRequest", "request": {"keys": keys}});
    let (status, answer) = site.post("/gates/gatekeeper", "application/json", question.to_string()).await?;
    assert_eq!((status, &answer["kind"]), (StatusCode::OK, &json!("ProviderResponse")), "{answer:#}");
    assert_eq!(answer["response"]["idempotent"], true);
    let items = answer["response"]["items"].as_array().unwrap();
    let told: Vec<(&str, &Value)> =
        items.iter().map(|item| (item["key"].as_str().unwrap(), &item["value"]["allowed"])).collect();
    assert_eq!(told[0], (keys[0].as_str(), &json!(true)));
    assert_eq!(told[1], (keys[1].as_str(), &json!(false)));
    assert_eq!(items[1]["value"]["digest"], bad.as_str(), "I12: the tag is handed back as its digest");
    assert_eq!(told[2].0, "not a reference");
    assert!(items[2]["error"].as_str().unwrap().starts_with("invalid image reference"), "{answer:#}");
    assert_eq!(items.len(), 3, "what has no verdict yet is left out: {answer:#}");

    let (_, pins) = site.post("/gates/gatekeeper/pin", "application/json", question.to_string()).await?;
    assert_eq!(pins["response"]["items"][1]["value"], site.name("team/bad", &bad));

    let (status, answer) = site.post("/gates/gatekeeper", "application/json", "{").await?;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(answer["response"]["systemError"].is_string(), "{answer:#}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn kyverno_is_answered_with_and_without_a_content_type() -> Result<()> {
    let site = Site::embedded().await?;
    let good = site.push(&Image::debian_with_python(HARMLESS), "team/good", "1.0")?;
    let bad = site.push(&Image::debian_with_python(VULNERABLE), "team/bad", "1.0")?;
    let (good, bad) = (site.name("team/good", &good), site.name("team/bad", &bad));
    let http = reqwest::Client::new();
    let ask = async |body: Value, media_type: Option<&str>| -> Result<(StatusCode, Value)> {
        let mut request = http.post(format!("{}/gates/kyverno", site.url)).body(body.to_string());
        if let Some(media_type) = media_type {
            request = request.header("content-type", media_type);
        }
        let answer = request.send().await?;
        Ok((answer.status(), answer.json().await?))
    };
    for media_type in [None, Some("application/json"), Some("text/plain")] {
        let (status, answer) = ask(json!({"images": [good, bad], "namespace": "prod"}), media_type).await?;
        assert_eq!(status, StatusCode::OK, "{answer:#}");
        assert_eq!(answer["allowed"], false);
        assert_eq!(answer["images"][0]["allowed"], true);
        assert_eq!(answer["images"][1]["verdict"], "fail");
        assert!(answer["message"].as_str().unwrap().contains("urllib3"), "{answer:#}");
    }
    let (_, answer) = ask(json!({ "image": good }), None).await?;
    assert_eq!((&answer["allowed"], &answer["message"]), (&json!(true), &json!("")));
    let (status, _) = ask(json!({"images": []}), None).await?;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "an answer about nothing would be a silent pass");
    Ok(())
}
