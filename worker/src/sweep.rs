//! `Task::Sweep`: one piece of a registry compared with the store, and the sweep sent on its way again.
//!
//! A page of the catalogue gives repositories; a page of tags is resolved, looked up in one round trip, and
//! what was never seen is queued on the background lane. The successor is published before this piece is
//! settled (I2): a process that dies repeats one piece. Whoever finds that a later piece was noted drops an earlier one.
//! A registry that is busy or away is given its rest, and asked again by the same sweep.

use std::time::Duration;

use futures_util::StreamExt;
use jiff::{SignedDuration, Timestamp};
use shared::config::{Registries, RegistrySettings};
use shared::model::bookmark::Bookmark;
use shared::model::digest::Digest;
use shared::model::image::{ImageName, Repository, Tag};
use shared::model::job::Job;
use shared::model::sweep::{Onward, Piece, Progress, Sweep, SweepState};
use shared::queue::QueueError;
use shared::registry::{CatalogueError, Listed, RegistryError};
use shared::store::StoreError;
use shared::sweeps::Sweeps;
use shared::telemetry::chain;

use crate::hold::{Held, under_lease};
use crate::job::{Carried, Carrier};

mod compare;
mod pace;
mod schedule;

use pace::Pace;
pub(crate) use schedule::begin_when_due;

/// What a worker needs to sweep.
#[derive(Clone)]
pub struct Sweeping {
    /// Where sweeps begin and are noted.
    pub sweeps: Sweeps,
    /// Which registries there are, and how they are swept.
    pub registries: Registries,
}

/// Repositories that one job carries.
const REPOSITORIES: usize = 100;
/// Tags that one piece compares.
const TAGS: usize = 50;
/// Tags that are resolved at once; half of what a registry's client does by default, so that gates get through.
const AT_ONCE: usize = 4;
/// A rest up to this is slept through here; a longer one in the queue.
const NAP: Duration = Duration::from_secs(5);
/// So many rests in a row end a sweep.
const MOST_SETBACKS: u32 = 20;
/// The longest rest, unless the registry asks for more.
const LONGEST_REST: Duration = Duration::from_secs(15 * 60);

/// Why a piece could not be done now.
#[derive(Debug, thiserror::Error)]
enum Setback {
    #[error(transparent)]
    Registry(RegistryError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// What a piece came to.
enum Done {
    /// It was done before, by somebody who died before saying so.
    Before,
    /// It is done, or some of it; the registry wants to rest before the next one.
    Now { onward: Box<Onward>, rest: Option<Setback> },
}

impl Carrier {
    /// Does one piece of a sweep and publishes the next.
    pub(crate) async fn sweep(&self, sweep: &Sweep, attempt: u32) -> Carried {
        if let Some(early) = too_early(sweep).await {
            return early;
        }
        let one_at_a_time = Digest::of(format!("sweep {}", sweep.id).as_bytes());
        let patience = tokio::time::Instant::now() + self.parts.lease * 2;
        loop {
            let work = |_| self.piece(sweep);
            let held = under_lease(&self.parts.leases, &one_at_a_time, self.parts.lease, work).await;
            return match held {
                Ok(Held::Done(Done::Before)) => Carried::Done,
                Ok(Held::Done(Done::Now { onward, rest: None })) => self.go_on(*onward).await,
                Ok(Held::Done(Done::Now { onward, rest: Some(rest) })) => {
                    self.rest(*onward, &rest, attempt).await
                }
                Ok(Held::Busy { remaining }) if tokio::time::Instant::now() < patience => {
                    tokio::time::sleep(remaining.clamp(Duration::from_millis(50), Duration::from_secs(1)))
                        .await;
                    continue;
                }
                Ok(Held::Busy { .. }) => {
                    Carried::Failed { error: "another worker is at the same piece of this sweep".to_owned() }
                }
                Err(setback) => self.rest(Onward::More(sweep.clone()), &setback, attempt).await,
            };
        }
    }

    async fn piece(&self, sweep: &Sweep) -> Result<Done, Setback> {
        let noted = self.parts.sweeping.sweeps.progress(sweep.id).await?;
        if noted.is_some_and(|noted| noted.step > sweep.step || noted.is_over()) {
            return Ok(Done::Before);
        }
        let Some(settings) = self.parts.sweeping.registries.find(&sweep.registry) else {
            let mut sweep = sweep.clone();
            let reason = format!("registry {} is not in the configuration any more", sweep.registry);
            sweep.tally.trouble(None, &reason);
            return Ok(done(Onward::Finished(sweep)));
        };
        match &sweep.piece {
            Piece::Catalogue { at } => self.catalogue(sweep, at, settings).await,
            Piece::Tags { repository, at, .. } => self.tags(sweep, repository, at, settings).await,
        }
    }

    /// Which repositories there are: those that the configuration names, else those of the catalogue.
    async fn catalogue(
        &self,
        sweep: &Sweep,
        at: &Bookmark,
        settings: &RegistrySettings,
    ) -> Result<Done, Setback> {
        let mut sweep = sweep.clone();
        let listed = match settings.sweep.repositories.as_slice() {
            [] => self.parts.registries.repositories(&sweep.registry, at, REPOSITORIES).await,
            named => Ok(part_of(named, at)),
        };
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) => {
                if let Some(passing) = error.passing() {
                    return Err(Setback::Registry(passing.clone()));
                }
                tracing::warn!(registry = %sweep.registry, error = %chain(&error), "registry cannot be swept");
                sweep.tally.trouble(None, &chain(&error));
                return Ok(done(sweep.after_catalogue(Vec::new(), None)));
            }
        };
        if listed.illegal > 0 {
            let reason = format!("{} entries of the catalogue are no names of repositories", listed.illegal);
            sweep.tally.trouble(None, &reason);
        }
        Ok(done(sweep.after_catalogue(listed.names, listed.next)))
    }

    /// Compares one page of a repository's tags.
    async fn tags(
        &self,
        sweep: &Sweep,
        repository: &Repository,
        at: &Bookmark,
        settings: &RegistrySettings,
    ) -> Result<Done, Setback> {
        let mut sweep = sweep.clone();
        let name = ImageName { registry: sweep.registry.clone(), repository: repository.clone() };
        let listed = match self.parts.registries.tags(&name, at, TAGS).await {
            Ok(listed) => listed,
            Err(error) => {
                if let Some(passing) = error.passing() {
                    return Err(Setback::Registry(passing.clone()));
                }
                let listed_by_itself = sweep.repository.is_none() && settings.sweep.repositories.is_empty();
                // Catalogues keep names of repositories whose last tag was deleted.
                if !(listed_by_itself && is_gone(&error)) {
                    sweep.tally.trouble(Some(repository.clone()), &chain(&error));
                }
                return Ok(done(sweep.after_tags(None)));
            }
        };
        if listed.illegal > 0 {
            let reason = format!("{} entries of its list are no tags", listed.illegal);
            sweep.tally.trouble(Some(repository.clone()), &reason);
        }
        self.compare_page(sweep, &name, at, listed, settings).await
    }

    async fn compare_page(
        &self,
        mut sweep: Sweep,
        name: &ImageName,
        at: &Bookmark,
        listed: Listed<Tag>,
        settings: &RegistrySettings,
    ) -> Result<Done, Setback> {
        let pace = Pace::new(settings.sweep.rate);
        let resolved: Vec<(Tag, Option<Result<Digest, RegistryError>>)> =
            futures_util::stream::iter(listed.names)
                .map(|tag| async {
                    if tag.names_artifact() {
                        return (tag, None);
                    }
                    pace.turn().await;
                    let digest = self.parts.registries.resolve(name, &tag).await;
                    (tag, Some(digest))
                })
                .buffered(AT_ONCE)
                .collect()
                .await;
        let is_setback = |resolved: &Option<Result<Digest, RegistryError>>| matches!(resolved, Some(Err(error)) if error.is_retryable());
        // What was resolved before the registry had enough is not asked for again.
        let good = resolved.iter().position(|(_, resolved)| is_setback(resolved)).unwrap_or(resolved.len());
        let last = good.checked_sub(1).map(|last| resolved[last].0.to_string());
        let mut resolved = resolved.into_iter();
        self.compare(&mut sweep, name, resolved.by_ref().take(good).collect()).await?;
        let (next, rest) = match (resolved.next(), last) {
            (Some((_, Some(Err(error)))), None) => return Err(Setback::Registry(error)),
            (Some((_, Some(Err(error)))), Some(last)) => {
                (at.further(good, &last).ok(), Some(Setback::Registry(error)))
            }
            (_, _) => (listed.next, None),
        };
        Ok(Done::Now { onward: Box::new(sweep.after_tags(next)), rest })
    }

    /// Publishes what comes next, and only then notes how far the sweep is.
    async fn go_on(&self, onward: Onward) -> Carried {
        let now = Timestamp::now();
        match onward {
            Onward::More(sweep) => {
                let progress = Progress::of(&sweep, SweepState::Running, now);
                let carried = self.publish(sweep).await;
                self.note(&carried, &progress, Duration::ZERO).await;
                carried
            }
            Onward::Finished(sweep) => self.finish(&sweep, now).await,
        }
    }

    async fn finish(&self, sweep: &Sweep, now: Timestamp) -> Carried {
        let progress = Progress::of(sweep, SweepState::Finished { at: now }, now);
        if let Err(error) = self.parts.sweeping.sweeps.end(&progress).await {
            return Carried::after_store(&error);
        }
        let result = if sweep.tally.errors.is_empty() { "complete" } else { "incomplete" };
        metrics::counter!("tidewaiter_sweeps_total", "result" => result).increment(1);
        tracing::info!(
            sweep.id = %sweep.id,
            registry = %sweep.registry,
            sweep.repositories = sweep.tally.repositories_done,
            sweep.tags = sweep.tally.tags,
            sweep.enqueued = sweep.tally.enqueued,
            sweep.errors = sweep.tally.errors.len(),
            "sweep finished"
        );
        Carried::Done
    }

    /// Sends the sweep on its way with a rest before the next piece, or ends it when it had too many.
    async fn rest(&self, onward: Onward, setback: &Setback, attempt: u32) -> Carried {
        let mut sweep = match onward {
            Onward::More(sweep) => sweep,
            Onward::Finished(sweep) => return self.finish(&sweep, Timestamp::now()).await,
        };
        match setback {
            Setback::Registry(_) => {}
            Setback::Store(error) if error.is_away() => return Carried::after_store(error),
            Setback::Queue(error) if error.is_away() => return Carried::after_queue(error),
            // The queue's own retries first: they cost the sweep nothing.
            Setback::Store(_) | Setback::Queue(_) if attempt < self.parts.attempts => {
                return Carried::Failed { error: chain(setback) };
            }
            Setback::Store(_) | Setback::Queue(_) => {}
        }
        let now = Timestamp::now();
        if sweep.setbacks >= MOST_SETBACKS {
            sweep.tally.trouble(None, &format!("given up after {MOST_SETBACKS} rests: {}", chain(setback)));
            return self.finish(&sweep, now).await;
        }
        let rest = length(setback, sweep.setbacks);
        let until = now.saturating_add(SignedDuration::try_from(rest).unwrap_or(SignedDuration::MAX));
        let sweep = sweep.after_rest(until.unwrap_or(Timestamp::MAX));
        tracing::warn!(sweep.id = %sweep.id, error = %chain(setback), rest_ms = rest.as_millis(), "sweep rests");
        let until = sweep.rest_until.unwrap_or(now);
        let state = SweepState::Resting { until, because: chain(setback) };
        let progress = Progress::of(&sweep, state, now);
        let carried = self.publish(sweep).await;
        self.note(&carried, &progress, rest).await;
        carried
    }

    async fn publish(&self, sweep: Sweep) -> Carried {
        match self.parts.queue.publish(&Job::sweep(sweep, Timestamp::now())).await {
            Ok(()) => Carried::Done,
            Err(error) => Carried::after_queue(&error),
        }
    }

    /// The successor is safe in the queue already, so a note that is lost costs only what people see (I13).
    async fn note(&self, published: &Carried, progress: &Progress, rest: Duration) {
        if *published != Carried::Done {
            return;
        }
        if let Err(error) = self.parts.sweeping.sweeps.note(progress, rest).await {
            tracing::warn!(sweep.id = %progress.id, error = %chain(&error), "progress of the sweep not noted");
        }
    }
}

/// Sees to it that a registry that wants to rest is left alone; `None` when the time has come. The wait is the
/// queue's, so that no place of a worker is taken by it, and it is no attempt.
async fn too_early(sweep: &Sweep) -> Option<Carried> {
    let left = Duration::try_from(sweep.rest_until?.duration_since(Timestamp::now())).ok()?;
    if left <= NAP {
        tokio::time::sleep(left).await;
        return None;
    }
    let error = format!("{} is left alone for {} s more", sweep.registry, left.as_secs());
    Some(Carried::Postponed { wait: left, error })
}

/// A piece that is done, and nobody has to rest.
fn done(onward: Onward) -> Done {
    Done::Now { onward: Box::new(onward), rest: None }
}

/// How long a registry is left alone: as long as it asks for, else longer each time.
fn length(setback: &Setback, before: u32) -> Duration {
    let usual = Duration::from_secs(1).saturating_mul(2_u32.saturating_pow(before)).min(LONGEST_REST);
    match setback {
        Setback::Registry(error) => error.retry_after().unwrap_or_default().max(usual),
        Setback::Store(_) | Setback::Queue(_) => usual,
    }
}

fn is_gone(error: &CatalogueError) -> bool {
    matches!(error, CatalogueError::Registry(RegistryError::NotFound { .. }))
}

/// The next repositories of those that the configuration names.
fn part_of(named: &[Repository], at: &Bookmark) -> Listed<Repository> {
    let names: Vec<String> = named.iter().map(ToString::to_string).collect();
    let done = names.len() - at.unread(&names).len();
    let part: Vec<Repository> = named[done..].iter().take(REPOSITORIES).cloned().collect();
    let next = match part.last() {
        Some(last) if done + part.len() < named.len() => at.further(part.len(), last.as_str()).ok(),
        Some(_) | None => None,
    };
    Listed { names: part, illegal: 0, next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_repositories_are_swept_in_parts_and_each_once() {
        let named: Vec<Repository> =
            (0..250).map(|number| format!("team/n{number}").parse().unwrap()).collect();
        let (mut at, mut seen, mut parts) = (Bookmark::default(), Vec::new(), 0);
        loop {
            let listed = part_of(&named, &at);
            seen.extend(listed.names);
            parts += 1;
            match listed.next {
                Some(next) => at = next,
                None => break,
            }
        }
        assert_eq!((seen, parts), (named, 3));
    }

    #[test]
    fn rests_grow_are_bounded_and_obey_the_registry() {
        let busy = |retry_after| {
            Setback::Registry(RegistryError::RateLimited { host: "r.io".parse().unwrap(), retry_after })
        };
        assert_eq!(length(&busy(None), 0), Duration::from_secs(1));
        assert_eq!(length(&busy(None), 4), Duration::from_secs(16));
        assert_eq!(length(&busy(None), 99), LONGEST_REST);
        let day = Duration::from_secs(86400);
        assert_eq!(length(&busy(Some(day)), 0), day);
    }
}
