//! When gates answer: at the second at which time changes a verdict, and at once where nothing can change the answer.

use std::time::{Duration, Instant};

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tests::image::{HARMLESS, Image, VULNERABLE};
use tests::site::Site;

use crate::gates::{VALIDATE, answer, message, pod, review};

/// An advisory database with one flaw of high severity, published at that moment.
fn advisories(folder: &std::path::Path, published: Timestamp) -> Result<()> {
    std::fs::create_dir_all(folder.join("PyPI"))?;
    let advisory = json!({
        "id": "PYSEC-2026-1", "modified": published, "published": published,
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:N"}],
        "affected": [{
            "package": {"ecosystem": "PyPI", "name": "tidewaiter-graceful"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0"}]}],
        }],
    });
    Ok(std::fs::write(folder.join("PyPI/PYSEC-2026-1.json"), advisory.to_string())?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grace_that_ends_denies_at_the_gate_from_that_second_on() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let policies = folder.path().join("policies");
    std::fs::create_dir(&policies)?;
    std::fs::write(
        policies.join("default.yaml"),
        "version: 1\nname: default\nrules:\n  - {name: high, when: {severity: [high]}, then: deny, grace: {days: 1}}\nproblems: {no-advisory-coverage: accept}\n",
    )?;
    let mut site = Site::distributed_on(
        1,
        &tests::servers::amqp_url()?,
        &format!("[policies]\ndir = \"{}\"\n", policies.display()),
    )
    .await?;
    // Advisories are dated to the second.
    let turns = Timestamp::from_second(Timestamp::now().as_second() + 25)?;
    advisories(folder.path(), turns - SignedDuration::from_hours(24))?;
    let source = folder.path().display().to_string();
    let built = site.run(&["db", "build", &source])?;
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    site.workers.clear();
    site.add_worker()?;

    let image =
        site.push(&Image::debian_with_python(("tidewaiter-graceful", "1.0")), "team/graceful", "1.0")?;
    assert_eq!(site.verdict(&image).await?["outcome"], "warn", "time for grace is not over");
    let question = review("Pod", &pod(&site.name("team/graceful", &image)));
    let mut allowed_before = 0;
    loop {
        let asked_at = Timestamp::now();
        let response = answer(&site, VALIDATE, &question).await?;
        let answered_at = Timestamp::now();
        if answered_at < turns {
            assert_eq!(response["allowed"], true, "{} early: {response:#}", turns - answered_at);
            allowed_before += 1;
        }
        if asked_at >= turns {
            assert_eq!(response["allowed"], false, "{} late: {response:#}", asked_at - turns);
            assert!(message(&response).contains("PYSEC-2026-1"), "{response:#}");
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(allowed_before > 0, "the machine was too slow to see both sides");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_denied_already_is_told_at_once_and_what_is_unknown_is_queued_all_the_same() -> Result<()> {
    let mut site = Site::distributed(1).await?;
    let bad = site.push(&Image::debian_with_python(VULNERABLE), "team/bad", "1.0")?;
    let good = site.push(&Image::debian_with_python(HARMLESS), "team/good", "1.0")?;
    site.verdict(&bad).await?;
    site.verdict(&good).await?;
    // From here on nobody scans: whoever waits, waits for the deadline.
    site.workers.clear();
    let unknown = |number: u8| {
        format!("{}/team/new@sha256:{}", site.registry.host(), format!("{number:02x}").repeat(32))
    };
    let containers = |images: &[String]| {
        let mut whole = pod(&images[0]);
        let one = whole["spec"]["containers"][0].clone();
        let named = images.iter().enumerate().map(|(at, image)| {
            let mut container = one.clone();
            container["name"] = json!(format!("c{at}"));
            container["image"] = json!(image);
            container
        });
        whole["spec"]["containers"] = named.collect::<Value>();
        whole
    };

    let mut privileged = containers(&[unknown(1)]);
    privileged["spec"]["containers"][0]["securityContext"]["privileged"] = json!(true);
    let beside_bad = containers(&[unknown(2), site.name("team/bad", &bad), site.name("team/good", &good)]);
    for (number, object, reason) in [(1, privileged, "privileged"), (2, beside_bad, "urllib3")] {
        let began = Instant::now();
        let denied = answer(&site, VALIDATE, &review("Pod", &object)).await?;
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        assert_eq!(denied["allowed"], false);
        for fragment in [reason, "it is queued, try again in a moment"] {
            assert!(message(&denied).contains(fragment), "{} lacks {fragment:?}", message(&denied));
        }
        let digest =
            unknown(number).rsplit_once('@').map(|(_, digest)| digest.to_owned()).unwrap_or_default();
        assert_eq!(
            site.get(&format!("/v1/verdicts/{digest}")).await?.0,
            StatusCode::ACCEPTED,
            "it is queued"
        );
    }
    Ok(())
}
