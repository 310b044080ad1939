//! What survives: every accepted push has its verdict, whoever is killed.

use std::time::Duration;

use anyhow::Result;
use tests::image::{Encoding, HARMLESS, Image, VULNERABLE};
use tests::servers::Broker;
use tests::site::{Site, eventually_here};

/// An image with a layer that takes a while, so that somebody can be killed in the middle of it.
fn large() -> Image {
    let mut noise = vec![0_u8; 192 << 20];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for chunk in noise.chunks_exact_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        chunk.copy_from_slice(&state.to_le_bytes());
    }
    Image::debian_with_python(VULNERABLE).layer_as(Encoding::Gzip, [("usr/share/noise", noise)])
}

#[tokio::test(flavor = "multi_thread")]
async fn i2_a_worker_killed_in_the_middle_of_a_layer_loses_nothing() -> Result<()> {
    let extra = "[worker]\nlease = \"3s\"\n";
    let mut site = Site::distributed_on(1, &tests::servers::amqp_url()?, extra).await?;
    let digest = site.push(&large(), "team/large", "1.0")?;
    let victim = &mut site.workers[0];
    eventually_here("the worker reads the image", || victim.log().contains("examining"))?;
    victim.kill();
    assert!(!victim.log().contains("verdict stored"), "it was killed too late to prove anything");
    site.add_worker()?;
    assert_eq!(site.verdict(&digest).await?["outcome"], "fail");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_serve_killed_on_the_embedded_default_loses_nothing() -> Result<()> {
    let mut site = Site::embedded().await?;
    let digest = site.push(&large(), "team/large", "1.0")?;
    let front = &mut site.front;
    eventually_here("serve reads the image", || front.log().contains("examining"))?;
    front.kill();
    assert!(!front.log().contains("verdict stored"), "it was killed too late to prove anything");
    site.restart_front("serve").await?;
    assert_eq!(site.verdict(&digest).await?["outcome"], "fail");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_push_during_broker_restart_is_not_lost() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut broker = Broker::start(folder.path())?;
    let site = Site::distributed_on(2, &broker.url(), "").await?;
    let mut digests = Vec::new();
    for number in 0..50 {
        if number == 15 {
            broker.kill()?;
        }
        if number == 35 {
            broker.run()?;
        }
        let marker = number.to_string();
        let image = Image::debian_with_python(HARMLESS).layer([("marker", marker.as_str())]);
        digests.push(site.push(&image, "team/fifty", &format!("v{number}"))?);
    }
    for digest in &digests {
        site.verdict(digest).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_finishes_or_hands_back_within_the_grace_period() -> Result<()> {
    let extra = "[worker]\nlease = \"3s\"\ngrace = \"100ms\"\n";
    let mut site = Site::distributed_on(1, &tests::servers::amqp_url()?, extra).await?;
    let digest = site.push(&large(), "team/large", "1.0")?;
    let worker = &mut site.workers[0];
    eventually_here("the worker reads the image", || worker.log().contains("examining"))?;
    let ended = worker.terminate(Duration::from_secs(10))?;
    assert!(ended.success(), "{ended}");
    site.add_worker()?;
    assert_eq!(site.verdict(&digest).await?["outcome"], "fail");
    Ok(())
}
