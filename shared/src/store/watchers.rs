//! Who in this process waits for news about which digest, or for the feed.
//!
//! In: digests about which something was stored. Out: woken [`Watch`]es. A digest that nobody waits for
//! any more is forgotten at the next sweep, so the map is never larger than twice the waits under way.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use super::Watch;
use crate::model::digest::Digest;

/// How many digests may be watched before the first sweep for abandoned ones.
const FIRST_SWEEP: usize = 64;

/// The waits of one store.
#[derive(Debug)]
pub(super) struct Watchers {
    digests: Mutex<Channels>,
    feed: watch::Sender<u64>,
    /// Whether news from other processes would be heard now.
    listening: AtomicBool,
}

#[derive(Debug)]
struct Channels {
    by_digest: HashMap<Digest, watch::Sender<u64>>,
    sweep_at: usize,
}

impl Watchers {
    /// The waits of a store that hears everything.
    pub(super) fn new() -> Self {
        Self::with(true)
    }

    /// The waits of a store that hears nothing before [`Watchers::hear`].
    pub(super) fn deaf() -> Self {
        Self::with(false)
    }

    fn with(listening: bool) -> Self {
        let digests = Mutex::new(Channels { by_digest: HashMap::new(), sweep_at: FIRST_SWEEP });
        Self { digests, feed: watch::Sender::new(0), listening: AtomicBool::new(listening) }
    }

    /// From now on news is heard; what was said before may have been missed.
    pub(super) fn hear(&self) {
        self.listening.store(true, Ordering::SeqCst);
        self.wake_all();
    }

    /// From now on news may be missed: every wait that begins meanwhile says so at once.
    pub(super) fn miss(&self) {
        self.listening.store(false, Ordering::SeqCst);
        self.wake_all();
    }

    /// Begins a wait; news from now on completes it.
    pub(super) fn watch(&self, digest: &Digest) -> Watch {
        let mut channels = self.channels();
        if channels.by_digest.len() >= channels.sweep_at {
            channels.sweep();
        }
        let sender = channels.by_digest.entry(digest.clone()).or_insert_with(|| watch::Sender::new(0));
        let mut receiver = sender.subscribe();
        // Asked after subscribing: whoever stops listening in between wakes this one too.
        if !self.listening.load(Ordering::SeqCst) {
            receiver.mark_changed();
        }
        Watch::new(receiver)
    }

    /// Tells everybody who waits for this digest.
    pub(super) fn wake(&self, digest: &Digest) {
        let mut channels = self.channels();
        let Some(sender) = channels.by_digest.get(digest) else {
            return;
        };
        if sender.receiver_count() == 0 {
            channels.by_digest.remove(digest);
        } else {
            sender.send_modify(|news| *news = news.wrapping_add(1));
        }
    }

    /// Begins a wait for the feed.
    pub(super) fn watch_feed(&self) -> Watch {
        Watch::new(self.feed.subscribe())
    }

    /// Tells everybody who waits for the feed.
    pub(super) fn wake_feed(&self) {
        self.feed.send_modify(|news| *news = news.wrapping_add(1));
    }

    /// Tells everybody: news may have been missed.
    pub(super) fn wake_all(&self) {
        self.wake_feed();
        let mut channels = self.channels();
        channels.sweep();
        for sender in channels.by_digest.values() {
            sender.send_modify(|news| *news = news.wrapping_add(1));
        }
    }

    fn channels(&self) -> std::sync::MutexGuard<'_, Channels> {
        self.digests.lock().expect("nothing panics while it holds the map")
    }
}

impl Channels {
    /// Forgets the digests that nobody waits for. Its cost is paid by the waits begun since the last one.
    fn sweep(&mut self) {
        self.by_digest.retain(|_, sender| sender.receiver_count() > 0);
        self.sweep_at = FIRST_SWEEP.max(self.by_digest.len() * 2);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn news_wakes_those_who_wait_for_it_and_nobody_else() {
        let watchers = Watchers::new();
        let (one, other) = (Digest::of(b"1"), Digest::of(b"2"));
        let mut first = watchers.watch(&one);
        let mut second = watchers.watch(&one);
        let mut third = watchers.watch(&other);
        watchers.wake(&one);
        first.changed(LONG).await;
        second.changed(LONG).await;
        assert!(!third.0.has_changed().unwrap(), "nothing was said about it");
        watchers.wake_all();
        third.changed(LONG).await;
    }

    #[test]
    fn whoever_cannot_hear_news_never_says_that_there_is_none() {
        let watchers = Watchers::deaf();
        let digest = Digest::of(b"1");
        assert!(watchers.watch(&digest).has_news());
        watchers.hear();
        let watch = watchers.watch(&digest);
        assert!(!watch.has_news());
        watchers.miss();
        assert!(watch.has_news() && watchers.watch(&digest).has_news());
    }

    #[test]
    fn abandoned_waits_are_forgotten() {
        let watchers = Watchers::new();
        let kept = watchers.watch(&Digest::of(b"kept"));
        for number in 0..10_000_u32 {
            drop(watchers.watch(&Digest::of(&number.to_be_bytes())));
        }
        let remembered = watchers.channels().by_digest.len();
        assert!(remembered <= FIRST_SWEEP + 1, "{remembered} digests are remembered");
        drop(kept);
    }
}
