//! Promises about waiting for news.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::{LONG, Stores, fresh_digest, know, known, verdict_of};
use crate::model::sample;
use crate::model::verdict::{Lookup, Outcome};
use crate::store::Watch;

/// Longer than the test may take: only news can end the wait in time.
const WITHOUT_END: Duration = Duration::from_secs(3600);

/// A watch may complete for nothing, so whoever waits looks again, as here.
async fn wait_for(stores: &Stores, watch: &mut Watch, mut seen: impl AsyncFnMut(&Stores) -> bool) {
    let waited = timeout(LONG, async {
        while !seen(stores).await {
            watch.changed(WITHOUT_END).await;
        }
    });
    waited.await.expect("the news completes the watch");
}

pub(in crate::store) async fn news_from_another_handle_completes_a_watch(stores: &Stores) {
    let digest = fresh_digest();
    let mut first = stores.one.watch(&digest).await.unwrap();
    let mut second = stores.one.watch(&digest).await.unwrap();
    let is_known = async |stores: &Stores| known(&*stores.one, &digest, "default").await != Lookup::Unknown;
    let waiting = async {
        tokio::join!(wait_for(stores, &mut first, is_known), wait_for(stores, &mut second, is_known))
    };
    let ((), (report, _)) = tokio::join!(
        async {
            waiting.await;
        },
        know(&*stores.other, &digest, &["default"])
    );

    let restated = [sample::verdict(&report, "default", Outcome::Warn)];
    let mut third = stores.one.watch(&digest).await.unwrap();
    let is_restated =
        async |stores: &Stores| verdict_of(&*stores.one, &digest, "default").await.outcome == Outcome::Warn;
    let ((), stored) =
        tokio::join!(wait_for(stores, &mut third, is_restated), stores.other.restate(&digest, &restated));
    stored.unwrap();
}

pub(in crate::store) async fn a_watch_begun_before_the_news_completes_after_it(stores: &Stores) {
    let digest = fresh_digest();
    let mut watch = stores.one.watch(&digest).await.unwrap();
    know(&*stores.one, &digest, &["default"]).await;
    timeout(LONG, watch.changed(WITHOUT_END)).await.expect("the news came since the watch began");
}

pub(in crate::store) async fn a_watch_without_news_ends_at_its_limit(stores: &Stores) {
    let mut watch = stores.one.watch(&fresh_digest()).await.unwrap();
    let began = Instant::now();
    timeout(LONG, watch.changed(Duration::from_millis(30))).await.expect("the limit is far shorter");
    assert!(began.elapsed() < LONG);
}
