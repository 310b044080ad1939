//! What announcing promises, on the real embedded seams.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use secrecy::SecretString;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::config::{ContentMode, EndpointConfig, QueueConfig, StoreConfig};
use crate::model::job::Task;
use crate::model::verdict::{Outcome, Verdict};
use crate::outgoing::Egress;
use crate::queue::{RetryRules, Settlement};
use crate::store::{Acquired, Sighting};

struct Site {
    store: store::Opened,
    queue: queue::Opened,
    announcer: Arc<Announcer>,
    rounds: Option<Rounds>,
    _folder: TempDir,
}

fn endpoint(outcomes: &[&str]) -> EndpointConfig {
    let outcomes = outcomes.iter().map(|text| text.parse().unwrap()).collect();
    EndpointConfig {
        url: SecretString::from("https://hooks.example.com/x"),
        secret: None,
        token: None,
        interest: Interest { outcomes, ..Interest::default() },
        mode: ContentMode::Structured,
        timeout: Duration::from_secs(1),
        give_up_after: Duration::from_secs(60),
        ca_certificates: Vec::new(),
        egress: Egress::default(),
    }
}

impl Site {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("store.redb");
        let store = store::open(&StoreConfig::Embedded { file }).await.unwrap();
        let queue =
            QueueConfig::Embedded { file: folder.path().join("q.redb"), retry: RetryRules::default() };
        let queue = queue::open(&queue).await.unwrap();
        let endpoints = [("all", endpoint(&[])), ("passes", endpoint(&["pass"]))];
        let endpoints = endpoints.map(|(name, endpoint)| (name.parse().unwrap(), endpoint)).into();
        let url = Url::parse("https://tidewaiter.example.com/").unwrap();
        let (announcer, rounds) =
            Announcer::new(&store, &queue, &NotifyConfig { endpoints }, &AttestConfig::Off, &url);
        Self { store, queue, announcer, rounds: Some(rounds), _folder: folder }
    }

    /// Stores a first verdict, made at `at`.
    async fn judged(&self, outcome: Outcome, at: Timestamp) -> Verdict {
        let digest = Digest::of(b"an image");
        let report = crate::model::sample::report(&digest);
        let verdict = Verdict { as_of: at, ..crate::model::sample::verdict(&report, "default", outcome) };
        let acquired = self.store.leases.acquire(&digest, Duration::from_secs(60)).await.unwrap();
        let Acquired::Held(lease) = acquired else { panic!("nobody else holds it") };
        self.store.verdicts.store(&report, std::slice::from_ref(&verdict), &lease).await.unwrap();
        verdict
    }

    async fn fed(&self) -> usize {
        self.store.history.feed_after(None, 100).await.unwrap().len()
    }

    /// Every event that waits to be posted, with its endpoint.
    async fn posted(&self) -> Vec<(String, VerdictEvent)> {
        let waiting = self.queue.jobs.status().await.unwrap().lanes[2].ready;
        let mut consumer = self.queue.jobs.consume(10).await.unwrap();
        let mut posted = Vec::new();
        for _ in 0..waiting {
            let delivery = consumer.next().await.unwrap();
            let Task::Notify { endpoint, event } = delivery.job.task.clone() else {
                panic!("a job to notify")
            };
            posted.push((endpoint.to_string(), *event));
            delivery.settle(Settlement::Done).await.unwrap();
        }
        posted
    }
}

fn seen(image: &str) -> Sighting {
    Sighting { image: image.parse().unwrap(), tag: Some("1.0".parse().unwrap()), seen_at: Timestamp::now() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_told_once_on_every_way_that_wants_it() {
    let site = Site::new().await;
    let verdict = site.judged(Outcome::Fail, Timestamp::now()).await;
    site.store.verdicts.record_sighting(&verdict.digest, &seen("r.io/team/app")).await.unwrap();
    site.announcer.announce(&verdict.digest, None).await;
    site.announcer.announce(&verdict.digest, None).await;
    let posted = site.posted().await;
    let [(endpoint, event)] = posted.as_slice() else { panic!("one wants fails: {posted:?}") };
    assert_eq!(endpoint, "all");
    assert_eq!(event.subject, format!("r.io/team/app@{}", verdict.digest));
    assert_eq!(event.source, "https://tidewaiter.example.com");
    assert_eq!(event.data.reasons.len(), verdict.reasons.len().min(VerdictEvent::MOST_REASONS));
    assert_eq!(site.fed().await, 1);
    assert_eq!(site.store.history.unannounced(&verdict.digest, 10).await.unwrap(), []);

    let passing = Verdict { outcome: Outcome::Pass, as_of: Timestamp::now(), ..verdict };
    site.store.verdicts.restate(&passing.digest, std::slice::from_ref(&passing)).await.unwrap();
    site.announcer.announce(&passing.digest, None).await;
    let told: BTreeSet<_> = site.posted().await.into_iter().map(|(endpoint, _)| endpoint).collect();
    assert_eq!(told, BTreeSet::from(["all".to_owned(), "passes".to_owned()]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_find_a_change_one_announces_it() {
    let site = Site::new().await;
    let verdict = site.judged(Outcome::Fail, Timestamp::now()).await;
    let announcing = (0..8).map(|_| site.announcer.announce(&verdict.digest, None));
    futures_util::future::join_all(announcing).await;
    assert_eq!((site.fed().await, site.posted().await.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pass_finds_what_a_killed_process_left_behind_and_leaves_the_living_alone() {
    let site = Site::new().await;
    let now = Timestamp::now();
    site.judged(Outcome::Fail, now).await;
    assert_eq!(site.announcer.pass(now).await.unwrap(), 0, "whoever stored it is still at it");
    let later = now + SignedDuration::from_secs(60);
    assert_eq!(site.announcer.pass(later).await.unwrap(), 0, "it was not our turn");
    site.store.notes.forget(&NoteName::new("announce", "turn")).await.unwrap();
    assert_eq!(site.announcer.pass(later).await.unwrap(), 1);
    assert_eq!((site.fed().await, site.posted().await.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_told_soon_is_told_without_being_waited_for() {
    let mut site = Site::new().await;
    let shutdown = CancellationToken::new();
    let rounds = site.rounds.take().unwrap().run(shutdown.clone());
    let working = tokio::spawn(rounds);
    let mut watch = site.store.history.watch_feed().await.unwrap();
    let verdict = site.judged(Outcome::Warn, Timestamp::now()).await;
    site.announcer.soon(&verdict.digest, None);
    while site.fed().await == 0 {
        watch.changed(Duration::from_secs(20)).await;
    }
    shutdown.cancel();
    working.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_nobody_announced_lives_where_its_job_says() {
    let site = Site::new().await;
    let verdict = site.judged(Outcome::Fail, Timestamp::now()).await;
    let image: ImageName = "r.io/team/app".parse().unwrap();
    site.announcer.announce(&verdict.digest, Some(&image)).await;
    assert_eq!(site.posted().await[0].1.subject, image.at(&verdict.digest));
    let fed = site.store.history.feed_after(None, 1).await.unwrap();
    let event = site.announcer.describer().describe(&fed[0].change, None).await.unwrap();
    assert_eq!(event, site_event(&site, &fed[0].change).await, "the feed says the same");
    assert_eq!(event.subject, image.at(&verdict.digest));
}

async fn site_event(site: &Site, change: &crate::model::change::Change) -> VerdictEvent {
    site.announcer.describer().describe(change, Some(&"elsewhere.io/x".parse().unwrap())).await.unwrap()
}
