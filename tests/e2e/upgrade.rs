//! Two builds side by side, as during a roll-out: what an older one queued is done, what only a newer one can do is left
//! to it (I3).

use anyhow::Result;
use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Channel, Connect as _, ConnectionProperties};
use serde_json::json;
use shared::model::digest::Digest;
use tests::image::{Image, VULNERABLE};
use tests::servers::amqp_url;
use tests::site::{Site, eventually};

/// Puts a message into the push lane, as another build would.
async fn queue(channel: &Channel, site: &Site, body: &str) -> Result<()> {
    let exchange = format!("{}.jobs", site.prefix()?);
    let properties = BasicProperties::default().with_delivery_mode(2);
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    channel
        .basic_publish(exchange.into(), "push".into(), options, body.as_bytes(), properties)
        .await?
        .await?;
    Ok(())
}

/// A scan in the words of the first build.
fn recorded(site: &Site, digest: &Digest) -> String {
    format!(
        r#"{{"version":1,"id":"01939e2c-0000-7000-8000-000000000001","lane":"push","image":{{"registry":"{}","repository":"team/old"}},"task":{{"kind":"scan","digest":"{digest}","tag":"1.0"}},"enqueued_at":"2026-03-02T09:30:37Z"}}"#,
        site.registry.host()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn i3_an_older_builds_job_is_done_and_a_newer_builds_is_left_to_it() -> Result<()> {
    let mut site = Site::distributed_unannounced(1, "").await?;
    let digest = site.push(&Image::debian_with_python(VULNERABLE), "team/old", "1.0")?;
    let connection = amqp_url()?.connect(ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let newer = r#"{"version":2,"what":"nobody here knows"}"#;
    queue(&channel, &site, newer).await?;
    queue(&channel, &site, &recorded(&site, &digest)).await?;
    assert_eq!(site.verdict(&digest).await?["outcome"], "fail");

    let waits = || async {
        let (_, queue) = site.get("/v1/queue").await?;
        Ok(queue["retrying"] == 1 && queue["dead"] == 0)
    };
    eventually("the newer one waits for a newer worker", waits).await?;
    // The roll-out ends the old worker; what it left is still there.
    let ended = site.workers[0].terminate(std::time::Duration::from_secs(10))?;
    assert!(ended.success(), "{ended}");
    let (_, queue) = site.get("/v1/queue").await?;
    let left = queue["retrying"].as_u64().unwrap_or_default()
        + queue["lanes"][1]["ready"].as_u64().unwrap_or_default();
    assert_eq!((left, &queue["dead"]), (1, &json!(0)), "{queue:#}");
    connection.close(200, "done".into()).await?;
    Ok(())
}
