//! Waiting for the client library, but not for ever.
//!
//! When a connection breaks at the wrong moment, the library sometimes forgets to fail what was under way
//! on it: seen with acks, which then never resolve. So every wait for it ends soon after its channel did,
//! and after a limit in any case.

use std::time::Duration;

use lapin::{Channel, ChannelState, ErrorKind};
use tokio::time::{sleep, timeout};

/// No answer of a broker that is alive takes longer; one that is not is found out by heartbeats.
const LIMIT: Duration = Duration::from_secs(30);

/// How often a channel is looked at, and how long after its end its answers may still come.
const GRACE: Duration = Duration::from_millis(100);

/// What `call` on `channel` comes to.
pub(super) async fn answered<T>(
    channel: &Channel,
    call: impl Future<Output = lapin::Result<T>>,
) -> lapin::Result<T> {
    tokio::select! {
        biased;
        outcome = limited(call) => outcome,
        () = gone(channel) => Err(ErrorKind::InvalidChannelState(ChannelState::Closed, "no answer").into()),
    }
}

/// What `call` comes to within the limit.
pub(super) async fn limited<T>(call: impl Future<Output = lapin::Result<T>>) -> lapin::Result<T> {
    match timeout(LIMIT, call).await {
        Ok(outcome) => outcome,
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}

/// Returns a little after `channel` has ended.
pub(super) async fn gone(channel: &Channel) {
    while channel.status().connected() {
        sleep(GRACE).await;
    }
    sleep(GRACE).await;
}
