//! The contract on Redis in each topology, and what only a server can go through.

use std::sync::Arc;
use std::time::Instant;

use redis::{Value, from_redis_value};
use secrecy::SecretString;
use tokio::time::timeout;

use uuid::Uuid;

use super::*;
use crate::model::sample;
use crate::model::verdict::Outcome;
use crate::store::contract::{
    self, LONG, Stores, as_tests, eventually, every_promise, fresh_digest, hold, in_turn, know, known,
    pending_for,
};
use crate::store::{Acquired, History as _, Known as _, Leases, record};

mod server;
mod tls;
mod topologies;

use server::{Server, shared_server};

/// A configuration for tests: a prefix of its own, and nothing that stays for long.
fn config(url: &str) -> RedisConfig {
    let keep = Duration::from_secs(600);
    RedisConfig {
        prefix: format!("tw-test-{}", Uuid::now_v7().simple()),
        report_ttl: keep,
        verdict_ttl: keep,
        sighting_ttl: keep,
        ..RedisConfig::new(SecretString::from(url))
    }
}

async fn connect(config: &RedisConfig) -> Arc<RedisStore> {
    Arc::new(RedisStore::connect(config.clone()).await.unwrap())
}

/// Two handles, as two processes have them, on the same keys.
async fn two(config: &RedisConfig) -> Stores {
    Stores { one: connect(config).await, other: connect(config).await, _directory: None }
}

async fn open() -> Stores {
    two(&config(&shared_server())).await
}

every_promise!(as_tests, open);

async fn answer(url: &str, command: &[&str]) -> Value {
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut sent = redis::cmd(command[0]);
    sent.arg(&command[1..]);
    sent.query_async(&mut connection).await.unwrap()
}

async fn number(url: &str, command: &[&str]) -> i64 {
    from_redis_value(answer(url, command).await).unwrap()
}

#[tokio::test]
async fn i13_a_restarted_server_is_used_again_and_watchers_look_again() {
    let mut server = Server::start(&[]).await;
    let config = config(&server.url());
    let (one, other) = (connect(&config).await, connect(&config).await);
    let digest = fresh_digest();
    know(&*one, &digest, &["default"]).await;
    let mut watch = one.watch(&digest).await.unwrap();
    let waiting = tokio::spawn(async move { watch.changed(Duration::from_secs(3600)).await });

    server.kill();
    let began = Instant::now();
    let away = one.report(&digest).await;
    assert!(matches!(away, Err(StoreError::Unavailable { .. })), "{away:?}");
    assert!(one.ping().await.is_err());
    assert!(began.elapsed() < 2 * config.timeout + Duration::from_secs(1), "a deadline holds");

    server.restart().await;
    timeout(LONG, waiting).await.expect("whoever waits is woken").unwrap();
    assert_eq!(known(&*one, &digest, "default").await, Lookup::Unknown, "it kept nothing, and says so");
    know(&*other, &digest, &["default"]).await;
    assert!(matches!(known(&*one, &digest, "default").await, Lookup::Known(_)));

    let fresh = fresh_digest();
    let mut watch = one.watch(&fresh).await.unwrap();
    know(&*other, &fresh, &["default"]).await;
    timeout(LONG, watch.changed(Duration::from_secs(3600))).await.expect("news arrives again");
}

#[tokio::test]
async fn a_short_restart_is_not_even_noticed() {
    let mut server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]).await;
    let mut config = config(&server.url());
    config.timeout = LONG;
    let store = connect(&config).await;
    let digest = fresh_digest();
    know(&*store, &digest, &["default"]).await;
    server.kill();
    let (lookup, ()) = tokio::join!(known(&*store, &digest, "default"), server.restart());
    assert!(matches!(lookup, Lookup::Known(_)), "{lookup:?}");
}

#[tokio::test]
async fn a_frozen_server_costs_no_more_than_the_timeout() {
    let server = Server::start(&[]).await;
    let mut config = config(&server.url());
    config.timeout = Duration::from_millis(300);
    let store = connect(&config).await;
    server.freeze();
    let began = Instant::now();
    let frozen = store.sightings(&fresh_digest()).await;
    assert!(matches!(frozen, Err(StoreError::Unavailable { .. })), "{frozen:?}");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    server.thaw();
    eventually("an answer", async || store.ping().await.ok()).await;
}

#[tokio::test]
async fn a_server_without_memory_refuses_and_nothing_is_half_stored() {
    let server = Server::start(&["--maxmemory-policy", "noeviction"]).await;
    let store = connect(&config(&server.url())).await;
    let digest = fresh_digest();
    let (_, before) = know(&*store, &digest, &["default"]).await;
    let lease = hold(&*store, &digest).await;
    answer(&server.url(), &["CONFIG", "SET", "maxmemory", "1mb"]).await;

    let mut report = sample::report(&digest);
    report.revisions = sample::revisions("db-2");
    let verdict = sample::verdict(&report, "other", Outcome::Pass);
    let refused = store.store(&report, &[verdict], &lease).await;
    let Err(StoreError::Refused { place, reason }) = refused else {
        panic!("{refused:?}");
    };
    assert!(reason.contains("OOM"), "{reason}");
    assert_eq!(place, format!("127.0.0.1:{}", server.port()));
    assert_eq!(contract::verdict_of(&*store, &digest, "default").await, before[0]);
    assert_eq!(known(&*store, &digest, "other").await, Lookup::Unknown);
    let refused = store.mark_pending(&fresh_digest(), pending_for(60_000)).await;
    assert!(matches!(refused, Err(StoreError::Refused { .. })), "{refused:?}");

    answer(&server.url(), &["CONFIG", "SET", "maxmemory", "0"]).await;
    store.store(&report, &[], &lease).await.unwrap();
}

#[tokio::test]
async fn a_read_only_server_answers_and_refuses() {
    let server = Server::start(&[]).await;
    let mut config = config(&server.url());
    config.timeout = Duration::from_millis(500);
    let store = connect(&config).await;
    let digest = fresh_digest();
    know(&*store, &digest, &["default"]).await;
    let verdicts = Keys::new(&config.prefix).verdict(&digest);
    answer(&server.url(), &["HSET", &verdicts, keys::UNTIL, "60000"]).await;
    answer(&server.url(), &["REPLICAOF", "127.0.0.1", "1"]).await;
    let refused = store.acquire(&digest, LONG).await;
    assert!(
        matches!(&refused, Err(StoreError::Refused { reason, .. }) if reason.contains("ReadOnly")),
        "{refused:?}"
    );
    // It cannot even let the verdict live on; the answer does not depend on that.
    assert!(matches!(known(&*store, &digest, "default").await, Lookup::Known(_)));
}

#[tokio::test]
async fn a_wrong_password_or_url_is_told_at_once() {
    let server = Server::start(&["--requirepass", "right"]).await;
    let at = |url: String| RedisStore::connect(config(&url));
    let port = server.port();
    let refused = at(format!("redis://:wrong@127.0.0.1:{port}")).await.map(drop);
    assert!(matches!(refused, Err(StoreError::Refused { .. })), "{refused:?}");
    let unusable = at("amqp://nowhere".to_owned()).await.map(drop);
    assert!(matches!(unusable, Err(StoreError::Unusable { .. })), "{unusable:?}");
    at(format!("redis://:right@127.0.0.1:{port}")).await.unwrap();
}

#[tokio::test]
async fn what_is_used_lives_on_and_what_is_not_expires() {
    let url = shared_server();
    let config = config(&url);
    let store = connect(&config).await;
    let digest = fresh_digest();
    know(&*store, &digest, &["default"]).await;
    let keys = Keys::new(&config.prefix);
    let changes = store.unannounced(&digest, 10).await.unwrap();
    store.announce(&changes).await.unwrap();
    for key in [
        keys.report(&digest),
        keys.verdict(&digest),
        keys.lease(&digest),
        keys.history(&digest),
        keys.announced(&digest),
    ] {
        assert!(number(&url, &["PTTL", &key]).await > 0, "{key} never expires");
    }

    let verdicts = keys.verdict(&digest);
    for key in [keys.report(&digest), verdicts.clone()] {
        answer(&url, &["PEXPIRE", &key, "60000"]).await;
    }
    store.report(&digest).await.unwrap();
    assert!(number(&url, &["PTTL", &keys.report(&digest)]).await > 500_000, "reading keeps it");
    known(&*store, &digest, "default").await;
    assert!(number(&url, &["PTTL", &verdicts]).await <= 60_000, "not at each look-up");
    answer(&url, &["HSET", &verdicts, keys::UNTIL, "60000"]).await;
    known(&*store, &digest, "default").await;
    eventually("verdicts that live on: half of their time is over", async || {
        (number(&url, &["PTTL", &verdicts]).await > 500_000).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_digest_whose_report_expired_is_forgotten_unless_somebody_scans_it() {
    let url = shared_server();
    let config = config(&url);
    let store = connect(&config).await;
    let keys = Keys::new(&config.prefix);
    let [kept, expired, scanned] = [fresh_digest(), fresh_digest(), fresh_digest()];
    for digest in [&kept, &expired, &scanned] {
        know(&*store, digest, &["default"]).await;
    }
    for key in [keys.report(&expired), keys.lease(&expired), keys.report(&scanned)] {
        answer(&url, &["DEL", &key]).await;
    }
    let lease = hold(&*store, &scanned).await;
    let page = store.known_after(None, 100).await.unwrap();
    assert_eq!((page.digests, page.next), (vec![kept], None));
    let members = async |digest: &Digest| {
        let shard = keys.known(digest.encoded().chars().next().unwrap());
        from_redis_value::<Option<f64>>(answer(&url, &["ZSCORE", &shard, digest.as_str()]).await).unwrap()
    };
    assert_eq!(members(&expired).await, None);
    assert!(members(&scanned).await.is_some(), "its report may be stored at any moment");
    let report = sample::report(&scanned);
    store.store(&report, &[], &lease).await.unwrap();
    assert!(store.known_after(None, 100).await.unwrap().digests.contains(&scanned));
}

#[tokio::test]
async fn verdicts_of_a_build_without_generations_are_replaced_all_the_same() {
    let url = shared_server();
    let config = config(&url);
    let store = connect(&config).await;
    let digest = fresh_digest();
    let (report, _) = know(&*store, &digest, &["default"]).await;
    answer(&url, &["HDEL", &Keys::new(&config.prefix).verdict(&digest), keys::GENERATION]).await;
    let verdict = sample::verdict(&report, "default", Outcome::Warn);
    store.restate(&digest, std::slice::from_ref(&verdict)).await.unwrap();
    assert_eq!(contract::verdict_of(&*store, &digest, "default").await, verdict);
}

#[tokio::test]
async fn what_cannot_be_read_is_unknown_and_will_be_scanned_again() {
    let url = shared_server();
    let config = config(&url);
    let store = connect(&config).await;
    let digest = fresh_digest();
    know(&*store, &digest, &["default"]).await;
    let keys = Keys::new(&config.prefix);
    answer(&url, &["HSET", &keys.verdict(&digest), "default", r#"{"v":77,"verdict":{}}"#]).await;
    answer(&url, &["SET", &keys.report(&digest), "garbage"]).await;
    assert_eq!(known(&*store, &digest, "default").await, Lookup::Unknown);
    let unreadable = store.report(&digest).await;
    assert!(matches!(unreadable, Err(StoreError::Unreadable { what: "report", .. })), "{unreadable:?}");
    let marker = pending_for(60_000);
    answer(&url, &["SET", &keys.pending(&digest), "garbage"]).await;
    store.mark_pending(&digest, marker).await.unwrap();
    assert_eq!(known(&*store, &digest, "default").await, Lookup::Pending(marker));
}

#[tokio::test]
async fn parts_of_a_report_are_shared_live_on_with_it_and_are_mended() {
    let url = shared_server();
    let config = config(&url);
    let store = connect(&config).await;
    let keys = Keys::new(&config.prefix);
    let (one, other) = (fresh_digest(), fresh_digest());
    let (report, _) = know(&*store, &one, &["default"]).await;
    let (same, _) = know(&*store, &other, &["default"]).await;
    let names = |report: &Report| -> Vec<String> {
        let parts = record::report::cut_report(report).unwrap().parts;
        parts.iter().map(|part| keys.part(&part.name)).collect()
    };
    let parts = names(&report);
    assert_eq!((parts.len(), names(&same)), (3, parts.clone()), "one image like the other");

    for key in parts.iter().chain([&keys.report(&one)]) {
        answer(&url, &["PEXPIRE", key, "60000"]).await;
    }
    assert_eq!(store.report(&one).await.unwrap(), Some(report.clone()));
    let head_ttl = number(&url, &["PTTL", &keys.report(&one)]).await;
    for key in &parts {
        let ttl = number(&url, &["PTTL", key]).await;
        assert!(ttl > head_ttl, "{key} would be gone before its report");
    }
    answer(&url, &["DEL", &parts[1]]).await;
    assert_eq!(store.report(&one).await.unwrap(), None, "without a part it counts as forgotten");
    let lease = hold(&*store, &one).await;
    store.store(&report, &[], &lease).await.unwrap();
    assert_eq!(store.report(&other).await.unwrap(), Some(same.clone()), "whoever stores it mends all");

    answer(&url, &["SET", &parts[0], "garbage"]).await;
    let torn = store.report(&other).await;
    assert!(matches!(torn, Err(StoreError::Unreadable { what: "report", .. })), "{torn:?}");
    store.store(&report, &[], &lease).await.unwrap();
    assert_eq!(store.report(&other).await.unwrap(), Some(same));
}

#[tokio::test]
async fn fences_grow_even_if_the_server_forgot_them() {
    let url = shared_server();
    let config = config(&url);
    let store = connect(&config).await;
    let digest = fresh_digest();
    let first = hold(&*store, &digest).await;
    answer(&url, &["DEL", &Keys::new(&config.prefix).lease(&digest)]).await;
    let second = hold(&*store, &digest).await;
    assert!(second.fence > first.fence);
    let lost = store.renew(&first, LONG).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost(_))), "{lost:?}");
    assert!(matches!(store.acquire(&digest, LONG).await, Ok(Acquired::Busy { .. })));
}
