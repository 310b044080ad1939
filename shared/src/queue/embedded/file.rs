//! Opening the file, and what to tell whoever cannot.

use std::path::Path;

use jiff::Timestamp;
use redb::{Database, DatabaseError};

use super::super::{QueueError, RetryRules};
use super::ledger::{FORMAT, Ledger};

/// Pages that redb keeps in memory; its own default is 1 GiB.
const CACHE_BYTES: usize = 16 << 20;

/// Opens or makes the file.
pub(super) fn open_database(path: &Path) -> Result<Database, DatabaseError> {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder.create(path)
}

/// Opens the queue in the file at `path`: checks its format, and takes back what the last process had in
/// its hands when it ended.
pub(super) fn open_queue(path: &Path, rules: &RetryRules) -> Result<Database, QueueError> {
    let database = open_database(path).map_err(|error| explain(path, error))?;
    let prepared = prepare(&database, rules).map_err(|source| QueueError::Unavailable {
        place: path.display().to_string(),
        source: source.into(),
    })?;
    match prepared {
        Prepared::Ready(taken_back) => {
            if taken_back > 0 {
                tracing::warn!(jobs = taken_back, "jobs were under way when the last process ended");
            }
            Ok(database)
        }
        Prepared::OtherFormat(format) => Err(QueueError::Unusable {
            place: path.display().to_string(),
            reason: format!(
                "it has format {format}, this build understands {FORMAT}; use the build that wrote it"
            ),
        }),
    }
}

enum Prepared {
    Ready(usize),
    OtherFormat(u64),
}

fn prepare(database: &Database, rules: &RetryRules) -> Result<Prepared, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    let mut ledger = Ledger::open(&transaction, rules)?;
    let format = ledger.format()?;
    if format != FORMAT {
        return Ok(Prepared::OtherFormat(format));
    }
    let taken_back = ledger.take_back_all(Timestamp::now())?;
    drop(ledger);
    transaction.commit()?;
    Ok(Prepared::Ready(taken_back))
}

fn explain(path: &Path, error: DatabaseError) -> QueueError {
    let place = path.display().to_string();
    let unusable = |reason: &str| QueueError::Unusable { place: place.clone(), reason: reason.to_owned() };
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => unusable(
            "another process has it open; stop that one or use another data directory, \
             and use RabbitMQ where several processes are to share a queue",
        ),
        DatabaseError::UpgradeRequired(_) => {
            unusable("another version of the database library wrote it; use the build that wrote it")
        }
        DatabaseError::Storage(redb::StorageError::Corrupted(what)) => unusable(&format!(
            "it is damaged or no queue at all ({what}); restore it, or move it away to begin with an empty queue"
        )),
        other => QueueError::Unavailable { place, source: other.into() },
    }
}
