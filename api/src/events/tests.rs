//! What a listener may rely on, on a real feed.

use actix_web::test::TestRequest;
use jiff::Timestamp;
use shared::config::StoreConfig;
use shared::model::change::{Cause, Change};
use shared::model::digest::Digest;
use shared::model::report::{Revision, ScanRevisions};
use shared::model::verdict::{Counts, Mode, Outcome};
use shared::store::Opened;
use tempfile::TempDir;

use super::*;

struct Site {
    store: Opened,
    events: Arc<Events>,
    shutdown: CancellationToken,
    _folder: TempDir,
}

impl Site {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("store.redb");
        let store = shared::store::open(&StoreConfig::Embedded { file }).await.unwrap();
        let url = "https://tidewaiter.example.com".parse().unwrap();
        let describer = Arc::new(Describer::new(Arc::clone(&store.verdicts), &url));
        let shutdown = CancellationToken::new();
        let events = Arc::new(Events::new(Arc::clone(&store.history), describer, 4, shutdown.clone()));
        Self { store, events, shutdown, _folder: folder }
    }

    /// Changes as they are announced, numbered from `first`.
    async fn announce(&self, first: u64, count: u64) {
        let changes: Vec<_> = (first..first + count).map(change).collect();
        for chunk in changes.chunks(1000) {
            self.store.history.announce(chunk).await.unwrap();
        }
    }

    async fn listen(&self, interest: Interest, after: Option<ChangeId>) -> Subscription {
        let place = Arc::clone(&self.events.places).try_acquire_owned().unwrap();
        Subscription::begin(Arc::clone(&self.events), interest, after, place).await.unwrap()
    }
}

fn change(number: u64) -> Recorded {
    let outcome = if number.is_multiple_of(2) { Outcome::Pass } else { Outcome::Fail };
    let change = Change {
        digest: Digest::of(b"one image"),
        policy: shared::model::verdict::PolicyName::default_policy(),
        mode: Mode::Enforce,
        from: None,
        to: outcome,
        cause: Cause::FirstVerdict,
        at: Timestamp::from_second(i64::try_from(number).unwrap()).unwrap(),
        counts: Counts::default(),
        appeared: vec![format!("number {number}")],
        settled: Vec::new(),
        revisions: ScanRevisions {
            analyzer: Revision::new("a"),
            database: Revision::new("d"),
            database_as_of: Timestamp::UNIX_EPOCH,
        },
        policy_revision: Revision::new("p"),
    };
    Recorded { id: ChangeId::new(number, 0), change }
}

/// The next frames, as text.
async fn heard(subscription: &mut Subscription) -> String {
    let next = tokio::time::timeout(Duration::from_secs(30), subscription.next()).await;
    String::from_utf8(next.expect("something should have come").expect("the stream goes on").to_vec())
        .unwrap()
}

/// The next `count` numbers of changes.
async fn numbers(subscription: &mut Subscription, count: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let text = heard(subscription).await;
        assert!(text.matches("event: verdict").count() <= PAGE, "more than a page is held");
        let parts = text.split("\"number ").skip(1);
        numbers.extend(parts.filter_map(|part| part.split('"').next()?.parse::<u64>().ok()));
    }
    numbers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_reads_on_from_its_place_at_its_own_pace() {
    let site = Site::new().await;
    site.announce(0, 100).await;
    let mut all = site.listen(Interest::default(), Some(ChangeId::default())).await;
    assert!(heard(&mut all).await.starts_with("retry: 2000\n"));
    assert_eq!(numbers(&mut all, 100).await, (0..100).collect::<Vec<_>>());
    let mut late = site.listen(Interest::default(), None).await;
    let hello = heard(&mut late).await;
    site.announce(100, 5).await;
    assert_eq!(numbers(&mut late, 5).await, [100, 101, 102, 103, 104]);
    // Whoever loses the line right after the first words has missed nothing either.
    let place = hello.split("id: ").nth(1).unwrap().trim().parse().unwrap();
    let mut again = site.listen(Interest::default(), Some(place)).await;
    assert!(!heard(&mut again).await.contains("gap"));
    assert_eq!(numbers(&mut again, 5).await, [100, 101, 102, 103, 104]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_leaves_out_the_rest_also_of_full_pages() {
    let site = Site::new().await;
    let interest = Interest { outcomes: vec!["fail".parse().unwrap()], ..Interest::default() };
    let mut fails = site.listen(interest, None).await;
    heard(&mut fails).await;
    site.announce(0, 200).await;
    assert_eq!(numbers(&mut fails, 100).await, (0..100).map(|n| 2 * n + 1).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_fell_behind_what_is_kept_is_told_of_the_gap() {
    let site = Site::new().await;
    let mut slow = site.listen(Interest::default(), None).await;
    heard(&mut slow).await;
    site.announce(0, 40).await;
    assert_eq!(numbers(&mut slow, 32).await.len(), 32);
    site.announce(40, 12_000).await;
    let text = heard(&mut slow).await;
    assert!(text.starts_with("event: gap\ndata: {\"after\":"), "{}", &text[..200]);
    assert!(text.contains("event: verdict"), "it goes on behind the gap");
    let text = heard(&mut slow).await;
    assert!(!text.contains("event: gap"), "once is enough");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_the_process() {
    let site = Site::new().await;
    let mut waiting = site.listen(Interest::default(), None).await;
    heard(&mut waiting).await;
    let shutdown = site.shutdown.clone();
    let ended = tokio::join!(waiting.next(), async { shutdown.cancel() });
    assert!(ended.0.is_none());
}

#[actix_web::test]
async fn the_header_goes_before_the_query_and_neither_may_be_nonsense() {
    let query = |id: &str| EventsQuery {
        policy: None,
        outcome: None,
        repository: None,
        last_event_id: id.parse().ok(),
    };
    for (header, asked, expected) in [
        (None, "", Ok(None)),
        (None, "5-0", Ok(Some(ChangeId::new(5, 0)))),
        (Some("7-1"), "5-0", Ok(Some(ChangeId::new(7, 1)))),
        (Some(""), "5-0", Ok(Some(ChangeId::new(5, 0)))),
        (Some("x"), "5-0", Err(())),
    ] {
        let request = TestRequest::default();
        let request = match header {
            Some(id) => request.insert_header(("Last-Event-ID", id)),
            None => request,
        };
        let found = resumed(&request.to_http_request(), &query(asked)).map_err(|_| ());
        assert_eq!(found, expected, "{header:?} {asked:?}");
    }
}

#[test]
fn filters_are_lists_and_their_mistakes_are_named() {
    let query = |outcome: &str| EventsQuery {
        policy: Some("default, prod".to_owned()),
        outcome: Some(outcome.to_owned()),
        repository: None,
        last_event_id: None,
    };
    let interest = query("pass->fail,error").interest().unwrap();
    assert_eq!((interest.policies.len(), interest.outcomes.len(), interest.repositories.len()), (2, 2, 0));
    for wrong in ["", "bad", "fail,,pass", &"fail,".repeat(60)] {
        let error = query(wrong).interest().unwrap_err().to_string();
        assert!(error.starts_with("outcome: "), "{wrong}: {error}");
    }
}
