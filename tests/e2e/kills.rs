//! kill -9 from outside, at random and in a loop, at every step: what was accepted is judged or a dead letter, and
//! nothing is scanned by two workers for longer than a lease (I1, I2, I3).

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::model::digest::Digest;
use tests::image::{Encoding, HARMLESS, Image, VULNERABLE};
use tests::site::{Site, WEBHOOK_TOKEN};
use tests::upload::Uploader;
use tokio::sync::Semaphore;

mod dice;
mod traces;

use dice::Dice;
use traces::{Life, Moment, Traces};

/// The shortest lease that there is.
const LEASE: Duration = Duration::from_secs(3);

/// A killed process takes its attempts along: enough of them that bad luck alone buries few.
fn settings() -> String {
    format!(
        "[auth.webhooks.generic]\ntoken = \"{WEBHOOK_TOKEN}\"\n[telemetry]\nformat = \"json\"\n[worker]\nlease = \"{}s\"\n",
        LEASE.as_secs()
    )
}

/// What registries were told, and how often they were told nothing.
#[derive(Default)]
struct Pushes {
    accepted: Mutex<Vec<Digest>>,
    /// Answers that never came: the api died between receiving and answering.
    broken_off: AtomicU32,
    refused: AtomicU32,
}

/// Pushes `count` images to the site's registry, `at_once` at a time, and tells Tidewaiter of each until that has
/// accepted it, as a registry would. Each takes one of the `turns`.
async fn push_all(
    site: &Site,
    count: usize,
    at_once: usize,
    turns: &Arc<Semaphore>,
) -> Result<(Arc<Pushes>, Vec<Sender>)> {
    let pushes = Arc::new(Pushes::default());
    let numbers = Arc::new(Mutex::new(0..count));
    let mut senders = Vec::new();
    for _ in 0..at_once {
        let layout = site.layout()?;
        let uploader = Uploader::new(&site.registry.host(), "team/killed")?;
        let image = format!("{}/team/killed", site.registry.host());
        let url = format!("{}/webhooks/generic", site.url);
        let (pushes, numbers, turns) = (Arc::clone(&pushes), Arc::clone(&numbers), Arc::clone(turns));
        senders.push(tokio::spawn(async move {
            let next = || numbers.lock().expect("nobody panicked").next();
            while let Some(number) = next() {
                turns.acquire().await?.forget();
                let digest = uploader.push(&layout, &image_of(number), &format!("v{number}")).await?;
                tell(&url, &format!("{image}@{digest}"), &pushes).await?;
                pushes.accepted.lock().expect("nobody panicked").push(digest);
            }
            Ok(())
        }));
    }
    Ok((pushes, senders))
}

type Sender = tokio::task::JoinHandle<Result<()>>;

/// Tells of one push until it is accepted.
async fn tell(url: &str, image: &str, pushes: &Pushes) -> Result<()> {
    let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?;
    let body = json!({"image": image}).to_string();
    loop {
        let post = http.post(url).bearer_auth(WEBHOOK_TOKEN).header("content-type", "application/json");
        match post.body(body.clone()).send().await {
            Ok(answer) if answer.status() == 202 => return Ok(()),
            Ok(answer) => {
                ensure!(answer.status() == 503, "neither 202 nor 503 but {}", answer.status());
                pushes.refused.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) if error.is_connect() => {}
            Err(_) => drop(pushes.broken_off.fetch_add(1, Ordering::Relaxed)),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Mostly small ones; every sixth has a layer that takes a while.
fn image_of(number: usize) -> Image {
    let package = if number.is_multiple_of(2) { VULNERABLE } else { HARMLESS };
    let marker = number.to_string();
    let image = Image::debian_with_python(package).layer([("marker", marker.as_str())]);
    if number.is_multiple_of(6) {
        let mut noise = vec![0_u8; 3 << 20];
        Dice::seeded(number as u64).fill(&mut noise);
        image.layer_as(Encoding::Gzip, [("usr/share/noise", noise)])
    } else {
        image
    }
}

/// Which of these have a verdict.
async fn judged(site: &Site, digests: &[Digest]) -> Result<BTreeSet<Digest>> {
    let mut judged = BTreeSet::new();
    for some in digests.chunks(500) {
        let question = json!({"digests": some}).to_string();
        let (_, answer) = site.post("/v1/verdicts/query", "application/json", question).await?;
        let rows = answer["verdicts"].as_array().map(Vec::as_slice).unwrap_or_default();
        for row in rows.iter().filter(|row| row["state"] == "known") {
            judged.insert(serde_json::from_value(row["digest"].clone())?);
        }
    }
    Ok(judged)
}

/// The digests that are dead letters.
async fn dead(site: &Site) -> Result<BTreeSet<Digest>> {
    let (_, answer) = site.get("/v1/queue/dead?limit=1000").await?;
    let rows = answer["dead"].as_array().map(Vec::as_slice).unwrap_or_default();
    let digest = |row: &Value| row["subject"].as_str()?.rsplit_once('@')?.1.parse().ok();
    Ok(rows.iter().filter_map(digest).collect())
}

/// Waits until every accepted digest is judged or dead; returns how many are only dead.
async fn all_ended(site: &Site, accepted: &[Digest]) -> Result<usize> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let (judged, dead) = (judged(site, accepted).await?, dead(site).await?);
        let left: Vec<_> = accepted.iter().filter(|digest| !judged.contains(digest)).collect();
        let lost: Vec<_> = left.iter().filter(|digest| !dead.contains(digest)).collect();
        if lost.is_empty() {
            return Ok(left.len());
        }
        ensure!(Instant::now() < deadline, "I3: neither judged nor dead: {lost:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Kills one worker and starts it again; returns the life that ended.
async fn kill_worker(site: &mut Site, number: usize, moment: Moment, dice: &mut Dice) -> Result<Life> {
    let at = moment.wait(&site.workers[number], Duration::from_secs(3), dice).await;
    site.workers[number].kill();
    site.restart_worker(number)?;
    Ok(Life { worker: number, ended: at })
}

/// What is done to a process from outside.
#[derive(Clone, Copy)]
enum Blow {
    KillApi,
    KillWorker(Moment),
    /// For longer than its lease.
    PauseWorker,
}

/// Everything that is done in one run, in no order.
fn blows() -> Vec<Blow> {
    [
        vec![Blow::KillApi; 10],
        vec![Blow::KillWorker(Moment::Any); 4],
        vec![Blow::KillWorker(Moment::Examining); 5],
        vec![Blow::KillWorker(Moment::Stored); 9],
        vec![Blow::PauseWorker; 2],
    ]
    .concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_i2_i3_three_hundred_pushes_survive_kill_9_of_everybody() -> Result<()> {
    const PUSHES: usize = 300;
    let mut dice = Dice::of_the_day();
    let mut site = Site::distributed_unannounced(2, &settings()).await?;
    let turns = Arc::new(Semaphore::new(0));
    let (pushes, senders) = push_all(&site, PUSHES, 6, &turns).await?;
    let mut traces = Traces::default();
    let mut blows = blows();
    dice.shuffle(&mut blows);
    for blow in &blows {
        // Each blow meets pushes of its own, however fast they are and it is slow.
        turns.add_permits(PUSHES.div_ceil(blows.len()));
        match *blow {
            Blow::KillApi => {
                tokio::time::sleep(Duration::from_millis(dice.below(250))).await;
                site.front.kill();
                site.restart_front("api").await?;
            }
            Blow::PauseWorker => {
                let number = dice.below(2) as usize;
                let began =
                    Moment::Examining.wait(&site.workers[number], Duration::from_secs(3), &mut dice).await;
                site.workers[number].pause()?;
                tokio::time::sleep(LEASE + Duration::from_secs(1)).await;
                traces.paused(number, began, Timestamp::now());
                site.workers[number].resume()?;
            }
            Blow::KillWorker(moment) => {
                let number = dice.below(2) as usize;
                traces.ended(kill_worker(&mut site, number, moment, &mut dice).await?);
            }
        }
    }
    for sender in senders {
        sender.await??;
    }
    let accepted = pushes.accepted.lock().expect("nobody panicked").clone();
    assert_eq!(accepted.len(), PUSHES);
    let buried = all_ended(&site, &accepted).await?;
    for (number, worker) in site.workers.iter().enumerate() {
        traces.read(number, &worker.log());
    }
    let told = traces.summary();
    eprintln!(
        "{PUSHES} pushes, {} kills and pauses ({} requests broken off, {} refused); {told}; {buried} dead letters, \
         nothing lost",
        blows.len(),
        pushes.broken_off.load(Ordering::Relaxed),
        pushes.refused.load(Ordering::Relaxed),
    );
    assert!(
        told.killed_while_examining > 0 && told.killed_before_settled > 0,
        "a window was never hit: {told}"
    );
    assert!(told.longest_overlap <= LEASE, "two workers at one digest: {told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_i3_a_hundred_pushes_survive_kill_9_of_serve_on_the_embedded_default() -> Result<()> {
    const PUSHES: usize = 100;
    let mut dice = Dice::of_the_day();
    let mut site = Site::unannounced(&settings()).await?;
    let turns = Arc::new(Semaphore::new(0));
    let (pushes, senders) = push_all(&site, PUSHES, 4, &turns).await?;
    let mut traces = Traces::default();
    let mut kills = 0;
    while senders.iter().any(|sender| !sender.is_finished()) {
        turns.add_permits(PUSHES / 14);
        let moment = [Moment::Any, Moment::Examining, Moment::Stored][dice.below(3) as usize];
        let ended = moment.wait(&site.front, Duration::from_secs(3), &mut dice).await;
        site.front.kill();
        traces.ended(Life { worker: 0, ended });
        site.restart_front("serve").await?;
        kills += 1;
    }
    for sender in senders {
        sender.await??;
    }
    let accepted = pushes.accepted.lock().expect("nobody panicked").clone();
    assert_eq!(accepted.len(), PUSHES);
    let buried = all_ended(&site, &accepted).await?;
    traces.read(0, &site.front.log());
    eprintln!(
        "{PUSHES} pushes, {kills} kills of serve ({} requests broken off); {}; {buried} dead letters, nothing lost",
        pushes.broken_off.load(Ordering::Relaxed),
        traces.summary()
    );
    Ok(())
}
