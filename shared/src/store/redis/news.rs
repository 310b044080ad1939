//! Hears of what other processes store, and wakes those who wait for it here.
//!
//! One task and one connection a process, subscribed to one channel. Published news is not kept for
//! those who are away, so whenever a subscription begins or breaks everybody is woken to look again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use redis::{ErrorKind, Msg, RedisError, RedisResult};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::dialer::Dialer;
use crate::model::digest::Digest;
use crate::store::measure::Backend;
use crate::store::watchers::Watchers;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A connection over which nothing comes may be dead; this is how soon that is noticed.
const PROOF_OF_LIFE: Duration = Duration::from_secs(5);

/// What is said on the channel when the feed grew.
pub(super) const FEED: &str = "feed";

/// Listens until the handle is dropped.
pub(super) fn listen(
    dialer: Dialer,
    channel: String,
    watchers: Arc<Watchers>,
    limit: Duration,
) -> AbortOnDropHandle<()> {
    let listener = Listener { dialer, channel, watchers, limit, pause: FIRST_PAUSE, is_broken: false };
    AbortOnDropHandle::new(tokio::spawn(listener.run()))
}

struct Listener {
    dialer: Dialer,
    channel: String,
    watchers: Arc<Watchers>,
    limit: Duration,
    pause: Duration,
    is_broken: bool,
}

impl Listener {
    async fn run(mut self) {
        loop {
            let ended = self.listen_once().await;
            self.watchers.miss();
            match ended {
                Ok(()) => {}
                // Told once an outage, not at each attempt.
                Err(error) if !self.is_broken => {
                    self.is_broken = true;
                    tracing::warn!(%error, "subscription to store news broke, subscribing again");
                }
                Err(error) => tracing::debug!(%error, "not subscribed to store news yet"),
            }
            sleep(self.pause).await;
            self.pause = LONGEST_PAUSE.min(self.pause * 2);
        }
    }

    /// Subscribes and passes news on; returns when the connection is gone.
    async fn listen_once(&mut self) -> RedisResult<()> {
        let mut subscription = within(self.limit, self.dialer.subscriber()).await?;
        within(self.limit, subscription.subscribe(&self.channel)).await?;
        Backend::Redis.subscribed();
        self.pause = FIRST_PAUSE;
        if std::mem::take(&mut self.is_broken) {
            tracing::info!("subscribed to store news again");
        }
        self.watchers.hear();
        let (mut sink, mut messages) = subscription.split();
        let mut proof = interval(PROOF_OF_LIFE);
        proof.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = messages.next() => match message {
                    Some(message) => self.pass_on(&message),
                    None => return Err((ErrorKind::Io, "the server closed the subscription").into()),
                },
                _ = proof.tick() => within(self.limit, sink.ping::<redis::Value>()).await.map(drop)?,
            }
        }
    }

    fn pass_on(&self, message: &Msg) {
        let text = String::from_utf8_lossy(message.get_payload_bytes());
        if text == FEED {
            return self.watchers.wake_feed();
        }
        match text.parse::<Digest>() {
            Ok(digest) => self.watchers.wake(&digest),
            Err(error) => tracing::debug!(%error, "news about no digest"),
        }
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    let late = |_| RedisError::from((ErrorKind::Io, "no answer in time"));
    timeout(limit, work).await.map_err(late)?
}
