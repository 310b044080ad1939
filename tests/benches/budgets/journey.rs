//! From the moment when `skopeo copy` ends to the verdict in the hands of somebody who waits for it.
//!
//! Cold: nothing is known. New image on known layers: the image's bytes were read before, under another
//! manifest. Warm: a webhook about a known digest is posted, and its verdict asked for.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use reqwest::StatusCode;
use shared::model::digest::Digest;
use tests::image::{HARMLESS, Image};
use tests::servers::amqp_url;
use tests::site::Site;

use crate::material::Stack;
use crate::scan::{JSON_LOGS, large, push};
use crate::statistics::spread;
use crate::table::Table;

const SMALL_IMAGES: usize = 100;
const LARGE_IMAGES: usize = 5;
const KNOWN: usize = 100;

/// Small and large images, cold and warm.
pub(crate) async fn measure(table: &mut Table) -> Result<()> {
    small(table).await?;
    let stack = large()?;
    let (mut cold, mut on_known_layers, mut warm) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..LARGE_IMAGES {
        let site = Site::distributed_on(1, &amqp_url()?, JSON_LOGS).await?;
        let digest = timed_push(&site, &stack, &format!("cold {round}"), None, &mut cold).await?;
        let top = format!("print({round})\n");
        timed_push(&site, &stack, &format!("new {round}"), Some(top.as_bytes()), &mut on_known_layers)
            .await?;
        known(&site, &digest, KNOWN / LARGE_IMAGES, &mut warm).await?;
    }
    let described = stack.described();
    table.told(&format!("push to verdict, large image ({described}), cold"), spread(&mut cold));
    table.told("push to verdict, large image, one new layer on known ones", spread(&mut on_known_layers));
    table.told("webhook to verdict, large image, digest known", spread(&mut warm));
    Ok(())
}

async fn small(table: &mut Table) -> Result<()> {
    let site = Site::distributed_on(1, &amqp_url()?, JSON_LOGS).await?;
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for number in 0..SMALL_IMAGES {
        let text = format!("print({number})\n");
        let image = Image::debian_with_python(HARMLESS).layer([("app/main.py", text.as_str())]);
        let digest = site.push(&image, "bench/small", &number.to_string())?;
        let pushed = Instant::now();
        site.verdict(&digest).await?;
        cold.push(pushed.elapsed());
        known(&site, &digest, 1, &mut warm).await?;
    }
    table.told("push to verdict, small image, cold", spread(&mut cold));
    table.told("webhook to verdict, small image, digest known", spread(&mut warm));
    Ok(())
}

async fn timed_push(
    site: &Site,
    stack: &Stack,
    salt: &str,
    top: Option<&[u8]>,
    times: &mut Vec<Duration>,
) -> Result<Digest> {
    let digest = push(site, stack, salt, top)?;
    let pushed = Instant::now();
    site.verdict(&digest).await?;
    times.push(pushed.elapsed());
    Ok(digest)
}

/// Posts webhooks about a known digest: accepted durably, and its verdict at hand.
async fn known(site: &Site, digest: &Digest, times: usize, taken: &mut Vec<Duration>) -> Result<()> {
    let body = webhook(site, digest);
    for _ in 0..times {
        let began = Instant::now();
        let (status, answer) = site.post("/webhooks/generic", "application/json", body.clone()).await?;
        ensure!(status == StatusCode::ACCEPTED, "{status}: {answer:#}");
        site.verdict(digest).await?;
        taken.push(began.elapsed());
    }
    Ok(())
}

/// A generic webhook about a digest that the site's registry may have.
pub(crate) fn webhook(site: &Site, digest: &Digest) -> String {
    format!(r#"{{"image":"{}","digest":"{digest}"}}"#, known_image(site))
}

/// What such webhooks call the image.
pub(crate) fn known_image(site: &Site) -> String {
    format!("{}/bench/known:1", site.registry.host())
}
