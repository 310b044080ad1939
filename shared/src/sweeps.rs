//! Where sweeps begin, and where people see how far they are. Used by the api and by workers alike.
//!
//! What a sweep needs to go on is in its job; here are only the notes about it, which may be lost (I13): then
//! a running sweep writes them anew with its next piece, and a finished one is forgotten.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::image::{RegistryHost, Repository};
use crate::model::job::Job;
use crate::model::sweep::{Progress, Sweep, SweepId, SweepState, Trigger};
use crate::queue::{JobQueue, QueueError};
use crate::store::{NoteName, Notes, StoreError};
use crate::telemetry::chain;

/// How long people can look at a sweep.
const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// A sweep of a whole registry that says nothing for so long does not keep another from beginning.
const SILENCE: Duration = Duration::from_secs(60 * 60);
/// How long somebody who says that a sweep is due has to begin it.
const PROMISE: Duration = Duration::from_secs(5 * 60);
/// So many sweeps of one registry are listed.
const REMEMBERED_SWEEPS: usize = 16;

/// Begins sweeps, and knows how far they are. Cheap to clone.
#[derive(Clone)]
pub struct Sweeps {
    queue: Arc<dyn JobQueue>,
    notes: Arc<dyn Notes>,
}

/// What became of the wish for a sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is durable.
    Now(Progress),
    /// One of the whole registry is on its way already, and just as durable.
    Before(Progress),
}

/// Why a sweep cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum SweepsError {
    /// It could not be made durable (I1).
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// Whether one is on its way cannot be known.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Sweeps {
    /// Sweeps that travel in this queue and are noted in this store.
    pub fn new(queue: Arc<dyn JobQueue>, notes: Arc<dyn Notes>) -> Self {
        Self { queue, notes }
    }

    /// Begins a sweep of a registry, or of one repository of it. Returns once it is durable (I1).
    ///
    /// Of a whole registry at most one is on its way at a time.
    pub async fn begin(
        &self,
        registry: &RegistryHost,
        repository: Option<Repository>,
        trigger: Trigger,
        now: Timestamp,
    ) -> Result<Begun, SweepsError> {
        let sweep = Sweep::new(registry.clone(), repository, trigger, now);
        let progress = Progress::of(&sweep, SweepState::Running, now);
        // Noted first, so that whoever finds the claim finds the sweep.
        self.keep(&progress).await?;
        if sweep.repository.is_none()
            && let Some(other) = self.other_than(&sweep).await?
        {
            self.notes.forget(&progress_name(sweep.id)).await?;
            if other.step == 0 {
                // Whoever began it may have died before it was queued. A first piece twice costs nothing.
                let again = Sweep { id: other.id, started_at: other.started_at, ..sweep };
                self.queue.publish(&Job::sweep(again, now)).await?;
            }
            return Ok(Begun::Before(other));
        }
        let id = sweep.id;
        if let Err(error) = self.queue.publish(&Job::sweep(sweep, now)).await {
            self.forget(&progress).await;
            return Err(error.into());
        }
        if let Err(error) = self.remember(registry, id).await {
            tracing::warn!(sweep.id = %id, error = %chain(&error), "sweep will not be listed");
        }
        Ok(Begun::Now(progress))
    }

    /// Claims the whole registry for a sweep, or finds the one that has it.
    async fn other_than(&self, sweep: &Sweep) -> Result<Option<Progress>, StoreError> {
        let (name, own) = (current_name(&sweep.registry), sweep.id.to_string());
        if self.notes.claim(&name, own.as_bytes(), SILENCE).await? {
            return Ok(None);
        }
        let holder = self.notes.read(&name).await?.and_then(|value| id_in(&value));
        if let Some(holder) = holder
            && let Some(progress) = self.progress(holder).await?
            && !progress.is_over()
        {
            return Ok(Some(progress));
        }
        self.notes.keep(&name, own.as_bytes(), SILENCE).await?;
        Ok(None)
    }

    /// How far a sweep is; `None` if there was none, or long ago.
    pub async fn progress(&self, id: SweepId) -> Result<Option<Progress>, StoreError> {
        let value = self.notes.read(&progress_name(id)).await?;
        // What another version wrote is as good as lost: the sweep's next piece writes it anew.
        Ok(value.and_then(|value| serde_json::from_slice(&value).ok()))
    }

    /// The last sweeps of these registries, newest first.
    pub async fn list(&self, registries: &[RegistryHost]) -> Result<Vec<Progress>, StoreError> {
        let mut found = Vec::new();
        for registry in registries {
            for slot in 0..REMEMBERED_SWEEPS {
                let value = self.notes.read(&slot_name(registry, slot)).await?;
                if let Some(id) = value.and_then(|value| id_in(&value)) {
                    found.extend(self.progress(id).await?);
                }
            }
        }
        found.sort_by_key(|progress| std::cmp::Reverse(progress.id));
        Ok(found)
    }

    /// Notes how far a sweep is, and that it goes on after a rest.
    pub async fn note(&self, progress: &Progress, rest: Duration) -> Result<(), StoreError> {
        self.keep(progress).await?;
        if progress.repository.is_none() {
            let name = current_name(&progress.registry);
            self.notes.keep(&name, progress.id.to_string().as_bytes(), rest + SILENCE).await?;
        }
        Ok(())
    }

    /// Notes that a sweep is over, and that the next may begin.
    pub async fn end(&self, progress: &Progress) -> Result<(), StoreError> {
        self.keep(progress).await?;
        if progress.repository.is_none() {
            let name = current_name(&progress.registry);
            let holder = self.notes.read(&name).await?.and_then(|value| id_in(&value));
            if holder == Some(progress.id) {
                self.notes.forget(&name).await?;
            }
        }
        Ok(())
    }

    /// Begins a sweep of the registry if none has begun for `every`: of many processes exactly one does.
    ///
    /// `None` if it is not time.
    pub async fn begin_if_due(
        &self,
        registry: &RegistryHost,
        every: Duration,
        now: Timestamp,
    ) -> Result<Option<Begun>, SweepsError> {
        let name = NoteName::new("sweep-due", registry.as_str());
        if !self.notes.claim(&name, b"", PROMISE.min(every)).await? {
            return Ok(None);
        }
        match self.begin(registry, None, Trigger::Schedule, now).await {
            Ok(begun) => {
                self.notes.keep(&name, b"", every).await?;
                Ok(Some(begun))
            }
            Err(error) => {
                self.notes.forget(&name).await?;
                Err(error)
            }
        }
    }

    async fn keep(&self, progress: &Progress) -> Result<(), StoreError> {
        let value = serde_json::to_vec(progress).expect("progress has only strings and numbers");
        self.notes.keep(&progress_name(progress.id), &value, REMEMBERED).await
    }

    /// Takes back what was noted of a sweep that did not begin; what stays runs out by itself.
    async fn forget(&self, progress: &Progress) {
        let mut names = vec![progress_name(progress.id)];
        names.extend(progress.repository.is_none().then(|| current_name(&progress.registry)));
        for name in names {
            if let Err(error) = self.notes.forget(&name).await {
                tracing::debug!(sweep.id = %progress.id, error = %chain(&error), "note not taken back");
            }
        }
    }

    /// Lists a sweep, in the place of the oldest if there are many.
    async fn remember(&self, registry: &RegistryHost, id: SweepId) -> Result<(), StoreError> {
        let value = id.to_string();
        let mut oldest: Option<(SweepId, NoteName)> = None;
        for slot in 0..REMEMBERED_SWEEPS {
            let name = slot_name(registry, slot);
            if self.notes.claim(&name, value.as_bytes(), REMEMBERED).await? {
                return Ok(());
            }
            let held = self.notes.read(&name).await?.and_then(|value| id_in(&value));
            let held = held.map(|held| (held, name));
            oldest = [oldest, held].into_iter().flatten().min_by_key(|(held, _)| *held);
        }
        match oldest {
            Some((_, name)) => self.notes.keep(&name, value.as_bytes(), REMEMBERED).await,
            None => Ok(()),
        }
    }
}

fn progress_name(id: SweepId) -> NoteName {
    NoteName::new("sweep", &id.to_string())
}

fn current_name(registry: &RegistryHost) -> NoteName {
    NoteName::new("sweep-current", registry.as_str())
}

fn slot_name(registry: &RegistryHost, slot: usize) -> NoteName {
    NoteName::new("sweep-slot", &format!("{registry} {slot}"))
}

fn id_in(value: &[u8]) -> Option<SweepId> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::job::Task;
    use crate::queue::Settlement;
    use crate::queue::embedded::EmbeddedQueue;
    use crate::store::embedded::EmbeddedStore;

    fn open(folder: &std::path::Path) -> (Sweeps, Arc<dyn JobQueue>) {
        let queue: Arc<dyn JobQueue> = Arc::new(
            EmbeddedQueue::open(&folder.join("queue.db"), crate::queue::RetryRules::default()).unwrap(),
        );
        let notes = Arc::new(EmbeddedStore::open(&folder.join("store.db")).unwrap());
        (Sweeps::new(Arc::clone(&queue), notes), queue)
    }

    fn host() -> RegistryHost {
        "r.io".parse().unwrap()
    }

    async fn begin(sweeps: &Sweeps, repository: Option<&str>) -> Begun {
        let repository = repository.map(|name| name.parse().unwrap());
        sweeps.begin(&host(), repository, Trigger::Request, Timestamp::now()).await.unwrap()
    }

    #[tokio::test]
    async fn i1_a_sweep_that_was_accepted_is_in_the_queue() {
        let folder = tempfile::tempdir().unwrap();
        let (sweeps, queue) = open(folder.path());
        let Begun::Now(progress) = begin(&sweeps, None).await else { panic!("nothing else is on its way") };
        let delivery = queue.consume(1).await.unwrap().next().await.unwrap();
        let Task::Sweep(sweep) = &delivery.job.task else { panic!("{:?}", delivery.job) };
        assert_eq!(sweep.id, progress.id);
        delivery.settle(Settlement::Done).await.unwrap();
        assert_eq!(sweeps.progress(progress.id).await.unwrap(), Some(progress));
    }

    #[tokio::test]
    async fn of_a_whole_registry_one_sweep_is_on_its_way_and_whoever_asks_again_is_shown_it() {
        let folder = tempfile::tempdir().unwrap();
        let (sweeps, _queue) = open(folder.path());
        let Begun::Now(first) = begin(&sweeps, None).await else { panic!("nothing else is on its way") };
        assert_eq!(begin(&sweeps, None).await, Begun::Before(first.clone()));
        assert!(
            matches!(begin(&sweeps, Some("team/app")).await, Begun::Now(_)),
            "one repository is another matter"
        );
        let over = Progress { state: SweepState::Finished { at: Timestamp::now() }, ..first.clone() };
        sweeps.end(&over).await.unwrap();
        let Begun::Now(second) = begin(&sweeps, None).await else { panic!("the first is over") };
        assert_ne!(second.id, first.id);
        let listed: Vec<SweepId> =
            sweeps.list(&[host()]).await.unwrap().iter().map(|progress| progress.id).collect();
        assert_eq!((listed.len(), listed.first(), listed.last()), (3, Some(&second.id), Some(&first.id)));
    }

    #[tokio::test]
    async fn only_so_many_sweeps_are_listed_and_the_newest_are_among_them() {
        let folder = tempfile::tempdir().unwrap();
        let (sweeps, _queue) = open(folder.path());
        let mut last = None;
        for number in 0..REMEMBERED_SWEEPS + 3 {
            last = Some(begin(&sweeps, Some(&format!("team/n{number}"))).await);
        }
        let listed = sweeps.list(&[host()]).await.unwrap();
        assert_eq!((listed.len(), Some(Begun::Now(listed[0].clone()))), (REMEMBERED_SWEEPS, last));
    }

    #[tokio::test]
    async fn of_many_processes_exactly_one_begins_the_sweep_that_is_due() {
        let folder = tempfile::tempdir().unwrap();
        let (sweeps, _queue) = open(folder.path());
        let day = Duration::from_secs(86400);
        let (host, now) = (host(), Timestamp::now());
        let asked = (0..8).map(|_| sweeps.begin_if_due(&host, day, now));
        let begun = futures_util::future::join_all(asked).await;
        let begun = begun.into_iter().filter(|begun| matches!(begun, Ok(Some(Begun::Now(_))))).count();
        assert_eq!(begun, 1);
        assert_eq!(sweeps.list(&[host]).await.unwrap().len(), 1);
    }
}
