//! What a store's work costs, as metrics.
//!
//! `tidewaiter_store_operations_total{backend,operation,outcome}`,
//! `tidewaiter_store_operation_seconds{backend,operation}`,
//! `tidewaiter_store_unreadable_total{what}`, `tidewaiter_store_connections_total{backend}`,
//! `tidewaiter_store_subscriptions_total{backend}`.

use std::time::Instant;

use metrics::{counter, histogram};

use super::StoreError;
use super::record::RecordError;
use crate::model::digest::Digest;

/// Which implementation did the work.
#[derive(Clone, Copy, Debug)]
pub(super) enum Backend {
    Redis,
    Embedded,
}

impl Backend {
    const fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Embedded => "embedded",
        }
    }

    /// Runs one operation, and counts and times it by its name and outcome.
    pub(super) async fn measured<T>(
        self,
        operation: &'static str,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let began = Instant::now();
        let result = work.await;
        let backend = self.name();
        histogram!("tidewaiter_store_operation_seconds", "backend" => backend, "operation" => operation)
            .record(began.elapsed());
        counter!(
            "tidewaiter_store_operations_total",
            "backend" => backend, "operation" => operation, "outcome" => outcome(&result)
        )
        .increment(1);
        result
    }

    /// Counts a connection made to the server, the first and every one after a break.
    pub(super) fn connected(self) {
        counter!("tidewaiter_store_connections_total", "backend" => self.name()).increment(1);
    }

    /// Counts a subscription to news, the first and every one after a break.
    pub(super) fn subscribed(self) {
        counter!("tidewaiter_store_subscriptions_total", "backend" => self.name()).increment(1);
    }
}

/// Counts a stored value that cannot be read and is passed over.
pub(super) fn passed_over(what: &'static str, digest: &Digest, error: &RecordError) {
    counter!("tidewaiter_store_unreadable_total", "what" => what).increment(1);
    tracing::warn!(image.digest = %digest, what, %error, "stored value passed over");
}

fn outcome<T>(result: &Result<T, StoreError>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(StoreError::Unavailable { .. }) => "unavailable",
        Err(StoreError::Refused { .. }) => "refused",
        Err(StoreError::TooLarge { .. }) => "too_large",
        Err(StoreError::Unreadable { .. }) => "unreadable",
        Err(StoreError::LeaseLost(_)) => "lease_lost",
        Err(StoreError::Unusable { .. }) => "unusable",
    }
}
