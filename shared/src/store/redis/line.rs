//! A line to Redis that mends itself.
//!
//! One shared, multiplexed connection. Whoever finds it broken drops it, and the next one who needs it
//! makes a new one (with sentinels: to whoever is master now) while the others wait. Every operation has one
//! deadline for all of that. Within it an attempt that failed for a passing reason is repeated; every
//! operation of the store is therefore written so that doing it twice is doing it once.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind};
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::dialer::{Connection, Dialer};
use crate::store::StoreError;
use crate::store::measure::Backend;

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// See the module. Its clones are the same line.
#[derive(Clone)]
pub(super) struct Line {
    shared: Arc<Shared>,
}

struct Shared {
    place: String,
    timeout: Duration,
    /// Connections live on the runtime that made the store, however short-lived the asking one is.
    home: Handle,
    /// Held while a connection is being made.
    dialer: Mutex<Dialer>,
    live: ArcSwapOption<Connection>,
}

/// What an error says about the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// The connection, or the server behind it, is not the right one any more.
    Lost,
    /// The server will answer in a while.
    NotYet,
    /// The answer is no.
    Refused,
}

impl Line {
    /// A line that is not connected yet; must be called on the runtime where it is to live.
    pub(super) fn new(place: String, dialer: Dialer, timeout: Duration) -> Self {
        Self {
            shared: Arc::new(Shared {
                place,
                timeout,
                home: Handle::current(),
                dialer: Mutex::new(dialer),
                live: ArcSwapOption::empty(),
            }),
        }
    }

    /// The servers, for messages.
    pub(super) fn place(&self) -> &str {
        &self.shared.place
    }

    /// Runs `attempt`, and repeats it while it fails for passing reasons and the deadline allows.
    pub(super) async fn run<T, F>(&self, attempt: impl Fn(Connection) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = RedisResult<T>>,
    {
        self.run_within(self.shared.timeout, attempt).await
    }

    /// The same with a deadline of its own.
    pub(super) async fn run_within<T, F>(
        &self,
        limit: Duration,
        attempt: impl Fn(Connection) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let deadline = Instant::now() + limit;
        let mut pause = FIRST_PAUSE;
        loop {
            let used = OnceLock::new();
            let error = match timeout_at(deadline, self.attempt(&attempt, &used)).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => error,
                Err(_) => return Err(self.too_late(limit, used.get())),
            };
            if failure(&error) == Failure::Refused || Instant::now() + pause >= deadline {
                return Err(self.store_error(error));
            }
            sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    async fn attempt<T, F>(
        &self,
        attempt: impl Fn(Connection) -> F,
        used: &OnceLock<Arc<Connection>>,
    ) -> RedisResult<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let live = self.connection().await?;
        let live = used.get_or_init(|| live);
        let result = attempt(Connection::clone(live)).await;
        if let Err(error) = &result
            && (failure(error) == Failure::Lost || is_read_only(error))
        {
            self.shared.drop_if_current(live);
        }
        result
    }

    async fn connection(&self) -> RedisResult<Arc<Connection>> {
        if let Some(live) = self.shared.live.load_full() {
            return Ok(live);
        }
        // On its own task, so that a caller that gives up does not take the half-made connection with it.
        let making = self.shared.home.spawn(Arc::clone(&self.shared).connect());
        match making.await {
            Ok(made) => made,
            Err(_) => Err((ErrorKind::Io, "connecting was cancelled").into()),
        }
    }

    /// A server that does not answer may have vanished without a word: do not wait for it again.
    fn too_late(&self, limit: Duration, used: Option<&Arc<Connection>>) -> StoreError {
        if let Some(used) = used {
            self.shared.drop_if_current(used);
        }
        StoreError::Unavailable {
            place: self.shared.place.clone(),
            source: format!("no answer within {limit:?}").into(),
        }
    }

    fn store_error(&self, error: RedisError) -> StoreError {
        let place = self.shared.place.clone();
        match failure(&error) {
            Failure::Lost | Failure::NotYet if !is_read_only(&error) => {
                StoreError::Unavailable { place, source: Box::new(error) }
            }
            Failure::Lost | Failure::NotYet | Failure::Refused => {
                StoreError::Refused { place, reason: error.to_string() }
            }
        }
    }
}

impl Shared {
    async fn connect(self: Arc<Self>) -> RedisResult<Arc<Connection>> {
        let mut dialer = self.dialer.lock().await;
        if let Some(live) = self.live.load_full() {
            return Ok(live);
        }
        let made = timeout(self.timeout, dialer.connect(self.timeout));
        let connection = match made.await {
            Ok(made) => Arc::new(made?),
            Err(_) => return Err((ErrorKind::Io, "connecting took too long").into()),
        };
        Backend::Redis.connected();
        self.live.store(Some(Arc::clone(&connection)));
        Ok(connection)
    }

    fn drop_if_current(&self, broken: &Arc<Connection>) {
        self.live.compare_and_swap(broken, None);
    }
}

/// The error kinds are redis-rs's own and may grow: what is not known to pass is taken for a refusal.
fn failure(error: &RedisError) -> Failure {
    match error.kind() {
        ErrorKind::Io
        | ErrorKind::Parse
        | ErrorKind::MasterNameNotFoundBySentinel
        | ErrorKind::NoValidReplicasFoundBySentinel
        | ErrorKind::ClusterConnectionNotFound => Failure::Lost,
        ErrorKind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::TryAgain
            | ServerErrorKind::Moved
            | ServerErrorKind::Ask
            | ServerErrorKind::ReadOnly,
        ) => Failure::NotYet,
        _ => Failure::Refused,
    }
}

/// A replica, perhaps one that was the master a moment ago: look for the master again.
fn is_read_only(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}
