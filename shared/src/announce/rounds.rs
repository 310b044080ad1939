//! What is announced later: changes whose announcement failed or was somebody else's, and the pass that goes
//! through everything known, a page at a time, to find what a killed process left behind.
//!
//! All processes together do one page every [`TURN`]: who does it is settled by a note, and so is where the
//! next one begins. Losing the notes makes the pass begin again, which costs a few questions.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{AnnounceError, Announced, Announcer, CLAIM, Owed, WAITING, not_yet};
use crate::model::digest::Digest;
use crate::store::NoteName;
use crate::telemetry::chain;

/// How often a page of what is known is looked through, by all processes together.
const TURN: Duration = Duration::from_secs(10);

/// Digests of one page.
const DIGESTS: usize = 500;

/// Younger changes are still being announced by whoever stored them.
const AGE: Duration = Duration::from_secs(15);

/// How long the place of the pass is remembered.
const MEMORY: Duration = Duration::from_secs(24 * 3600);

/// The wait before a digest is tried again: a little longer than a claim lasts.
const AGAIN: Duration = CLAIM.saturating_add(Duration::from_millis(500));

/// Announces what is owed, until told to stop.
pub struct Rounds {
    announcer: Arc<Announcer>,
    owed: mpsc::Receiver<Owed>,
    /// In the order of their times.
    waiting: VecDeque<(Instant, Owed)>,
}

impl Rounds {
    pub(super) fn new(announcer: Arc<Announcer>, owed: mpsc::Receiver<Owed>) -> Self {
        Self { announcer, owed, waiting: VecDeque::new() }
    }

    /// Works until `shutdown`. What is still owed then is found by the pass of another process.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let work = async {
            let mut turns = interval(TURN);
            turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                let next = self.waiting.front().map(|(at, _)| *at);
                let due = async {
                    match next {
                        Some(at) => sleep_until(at).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    Some(owed) = self.owed.recv() => self.settle(owed).await,
                    () = due => {
                        if let Some((_, owed)) = self.waiting.pop_front() {
                            self.settle(owed).await;
                        }
                    }
                    _ = turns.tick() => self.turn().await,
                }
            }
        };
        shutdown.run_until_cancelled(work).await;
    }

    /// Announces one digest, and once more later if that is not possible now.
    async fn settle(&mut self, owed: Owed) {
        let announced = self.announcer.try_announce(&owed.digest, owed.image.as_ref(), Timestamp::MAX).await;
        match announced {
            Ok(Announced::All(_)) => return,
            Ok(Announced::Elsewhere) => {}
            Err(error) => {
                not_yet(&owed.digest, &error);
            }
        }
        if self.waiting.len() < WAITING && self.waiting.iter().all(|(_, other)| *other != owed) {
            self.waiting.push_back((Instant::now() + AGAIN, owed));
        }
    }

    async fn turn(&self) {
        match self.announcer.pass(Timestamp::now()).await {
            Ok(0) => {}
            Ok(found) => tracing::info!(found, "announced changes that somebody had left behind"),
            Err(error) => tracing::warn!(error = %chain(&error), "cannot look for unannounced changes"),
        }
    }
}

impl Announcer {
    /// Looks through the next page of what is known, if it is this process's turn; returns how many changes
    /// it announced.
    pub(super) async fn pass(&self, now: Timestamp) -> Result<usize, AnnounceError> {
        let (turn, place) = (NoteName::new("announce", "turn"), NoteName::new("announce", "place"));
        if !self.notes.claim(&turn, b"", TURN.mul_f64(0.9)).await? {
            return Ok(0);
        }
        let after = self.notes.read(&place).await?;
        let after: Option<Digest> =
            after.and_then(|bytes| String::from_utf8(bytes).ok()).and_then(|text| text.parse().ok());
        let page = self.known.known_after(after.as_ref(), DIGESTS).await?;
        let before = now - AGE;
        let (mut found, mut next) = (0, page.next);
        for digest in &page.digests {
            match self.try_announce(digest, None, before).await {
                Ok(Announced::All(announced)) => found += announced,
                Ok(Announced::Elsewhere) => {}
                // The next turn goes on behind it: nothing may stop the pass for good.
                Err(error) => {
                    not_yet(digest, &error);
                    self.soon(digest, None);
                    next = Some(digest.clone());
                    break;
                }
            }
        }
        match next {
            Some(next) => self.notes.keep(&place, next.to_string().as_bytes(), MEMORY).await?,
            None => self.notes.forget(&place).await?,
        }
        Ok(found)
    }
}
