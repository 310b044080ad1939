//! The smaller seams of the file: notes, history, known and overdue digests.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{EmbeddedStore, history, notes};
use crate::model::change::{ChangeId, Recorded};
use crate::model::digest::Digest;
use crate::store::measure::Backend;
use crate::store::{History, Known, KnownPage, NoteName, Notes, Overdue, StoreError, Watch, check_note};

#[async_trait]
impl Notes for EmbeddedStore {
    async fn keep(&self, name: &NoteName, value: &[u8], ttl: Duration) -> Result<(), StoreError> {
        let kept = async {
            check_note(value, self.file.place())?;
            let (name, value) = (name.clone(), value.to_vec());
            self.write(move |file| {
                let now = Timestamp::now();
                file.write(|transaction| notes::keep(transaction, &name, &value, after(now, ttl), now))
            })
            .await
        };
        Backend::Embedded.measured("keep_note", kept).await
    }

    async fn claim(&self, name: &NoteName, value: &[u8], ttl: Duration) -> Result<bool, StoreError> {
        let claimed = async {
            check_note(value, self.file.place())?;
            let (name, value) = (name.clone(), value.to_vec());
            self.write(move |file| {
                let now = Timestamp::now();
                file.write(|transaction| notes::claim(transaction, &name, &value, after(now, ttl), now))
            })
            .await
        };
        Backend::Embedded.measured("claim_note", claimed).await
    }

    async fn read(&self, name: &NoteName) -> Result<Option<Vec<u8>>, StoreError> {
        let name = name.clone();
        let kept = EmbeddedStore::read(self, move |file| {
            file.read(|transaction| notes::read(transaction, &name, Timestamp::now()))
        });
        Backend::Embedded.measured("read_note", kept).await
    }

    async fn forget(&self, name: &NoteName) -> Result<(), StoreError> {
        let name = name.clone();
        let forgotten = self.write(move |file| file.write(|transaction| notes::forget(transaction, &name)));
        Backend::Embedded.measured("forget_note", forgotten).await
    }
}

/// When something that is kept from now on for `ttl` ends.
fn after(now: Timestamp, ttl: Duration) -> Timestamp {
    now.checked_add(ttl).unwrap_or(Timestamp::MAX)
}

#[async_trait]
impl History for EmbeddedStore {
    async fn history(&self, digest: &Digest, limit: usize) -> Result<Vec<Recorded>, StoreError> {
        let digest = digest.clone();
        let found = EmbeddedStore::read(self, move |file| {
            file.read(|transaction| history::newest(transaction, &digest, limit))
        });
        Backend::Embedded.measured("history", found).await
    }

    async fn unannounced(&self, digest: &Digest, limit: usize) -> Result<Vec<Recorded>, StoreError> {
        let digest = digest.clone();
        let found = EmbeddedStore::read(self, move |file| {
            file.read(|transaction| history::unannounced(transaction, &digest, limit.max(1)))
        });
        Backend::Embedded.measured("unannounced", found).await
    }

    async fn announce(&self, changes: &[Recorded]) -> Result<(), StoreError> {
        let changes = changes.to_vec();
        let watchers = Arc::clone(&self.watchers);
        let announced = self.write(move |file| {
            file.write(|transaction| history::announce(transaction, &changes, Timestamp::now()))?;
            watchers.wake_feed();
            Ok(())
        });
        Backend::Embedded.measured("announce", announced).await
    }

    async fn feed_after(&self, after: Option<ChangeId>, limit: usize) -> Result<Vec<Recorded>, StoreError> {
        let found = EmbeddedStore::read(self, move |file| {
            file.read(|transaction| history::feed_after(transaction, after, limit))
        });
        Backend::Embedded.measured("feed", found).await
    }

    async fn feed_end(&self) -> Result<Option<ChangeId>, StoreError> {
        let found = EmbeddedStore::read(self, |file| file.read(history::feed_end));
        Backend::Embedded.measured("feed_end", found).await
    }

    async fn watch_feed(&self) -> Result<Watch, StoreError> {
        Ok(self.watchers.watch_feed())
    }
}

/// The most digests on a page.
const LARGEST_PAGE: usize = 10_000;

#[async_trait]
impl Known for EmbeddedStore {
    async fn known_after(&self, after: Option<&Digest>, limit: usize) -> Result<KnownPage, StoreError> {
        let after = after.cloned();
        let found = EmbeddedStore::read(self, move |file| {
            file.known_after(after.as_ref(), limit.clamp(1, LARGEST_PAGE))
        });
        Backend::Embedded.measured("known", found).await
    }
}

#[async_trait]
impl Overdue for EmbeddedStore {
    async fn overdue(&self, now: Timestamp, limit: usize) -> Result<Vec<Digest>, StoreError> {
        let found = EmbeddedStore::read(self, move |file| file.overdue(now, limit));
        Backend::Embedded.measured("overdue", found).await
    }

    async fn give_up(&self, digest: &Digest) -> Result<(), StoreError> {
        let digest = digest.clone();
        let given_up = self.write(move |file| file.give_up(&digest));
        Backend::Embedded.measured("give_up", given_up).await
    }
}
