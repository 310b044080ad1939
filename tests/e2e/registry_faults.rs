//! A registry that stalls, breaks, refuses, lies and points elsewhere: the real one behind a front that does so once, or
//! always, by the name of the repository. What passes is judged as if nothing had been; what does not is never a pass.

use std::time::Duration;

use anyhow::Result;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tests::image::{Image, VULNERABLE};
use tests::site::{Site, WEBHOOK_TOKEN};
use tests::upload::Uploader;

mod front;

use front::{Fault, Front};

/// What is expected of an image with a known flaw, behind a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// The flaw is found.
    Judged,
    /// It could not be examined, and the verdict says so in these words.
    Objected(&'static str),
}

const CASES: [(Fault, Expected); 12] = [
    (Fault::Reset, Expected::Judged),
    (Fault::InternalError, Expected::Judged),
    (Fault::TooManyRequests, Expected::Judged),
    (Fault::TokenExpires, Expected::Judged),
    (Fault::ObjectStorage, Expected::Judged),
    (Fault::OtherContentType, Expected::Objected("the document calls itself")),
    (Fault::Stall, Expected::Judged),
    (Fault::RedirectInside, Expected::Objected("169.254.169.254")),
    (Fault::RealmInside, Expected::Objected("169.254.169.254")),
    (Fault::Longer, Expected::Objected("its descriptor says")),
    (Fault::WrongBytes, Expected::Objected("its descriptor says")),
    (Fault::WrongManifest, Expected::Objected("digest")),
];

/// An image whose flaw is in its last layer, which no other image has.
fn flawed(marker: &str) -> Image {
    let (name, version) = VULNERABLE;
    let path = format!("usr/local/lib/python3.11/site-packages/{name}-{version}.dist-info/METADATA");
    let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\n");
    Image::new().debian().layer([(path.as_str(), metadata.as_str()), ("marker", marker)])
}

#[tokio::test(flavor = "multi_thread")]
async fn i4_i5_i8_a_faulty_registry_delays_a_verdict_and_never_turns_it_into_a_pass() -> Result<()> {
    let front = Front::open().await?;
    let host = front.host();
    let extra = format!(
        "sweep_every = \"off\"\n[auth.webhooks.generic]\ntoken = \"{WEBHOOK_TOKEN}\"\n[queue]\nretry_after = [\"200ms\"]\nattempts = 2\n[registries.front]\nhost = \"{host}\"\nplain_http = true\nresponse_timeout = \"3s\"\nsweep_every = \"off\"\n"
    );
    let site = Site::unannounced(&extra).await?;
    front.before(site.registry.port);
    let mut asked = Vec::new();
    for (fault, expected) in CASES {
        let repository = format!("faulty/{}", fault.name());
        let layout = site.layout()?;
        let image = flawed(fault.name());
        let uploader = Uploader::new(&site.registry.host(), &repository)?;
        let digest = uploader.push(&layout, &image, "1.0").await?;
        front.fault_at_the_last_layer_of(&layout.read(&layout.image(&image)?)?)?;
        let notice = json!({"image": format!("{host}/{repository}@{digest}")}).to_string();
        let (status, answer) = site.post("/webhooks/generic", "application/json", notice).await?;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer:#}");
        asked.push((fault, expected, digest));
    }
    let mut wrong = Vec::new();
    for (fault, expected, digest) in asked {
        let verdict = site.verdict(&digest).await?;
        assert!(front.met(fault), "{fault:?} never happened");
        if !is_as(expected, &verdict) {
            wrong.push(format!(
                "{fault:?} is not {expected:?}: {} {}",
                verdict["outcome"], verdict["problems"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let waited = front.pause_after_429();
    assert!(waited >= Duration::from_millis(900), "Retry-After was not obeyed: {waited:?}");
    assert_eq!(front.credentials_at_the_storage(), 0, "I8: the token is for the registry alone");
    Ok(())
}

fn is_as(expected: Expected, verdict: &Value) -> bool {
    let problems = verdict["problems"].as_array().map(Vec::as_slice).unwrap_or_default();
    // The repository's own advisories grow old.
    let mut others = problems.iter().filter(|problem| problem["kind"] != "advisories-stale");
    match expected {
        Expected::Judged => verdict["outcome"] == "fail" && others.next().is_none(),
        Expected::Objected(words) => {
            matches!(verdict["outcome"].as_str(), Some("error" | "fail"))
                && others.any(|problem| problem.to_string().contains(words))
        }
    }
}
