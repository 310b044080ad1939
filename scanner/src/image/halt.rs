//! Why reading a layer stopped. Travels through [`std::io::Read`] as the payload of an [`io::Error`].

use std::io;
use std::time::Duration;

use super::tar::TarError;

/// Why reading stopped before the end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Halt {
    /// The source broke off.
    #[error("the source broke off")]
    Source(#[source] io::Error),
    /// Nobody wants the result any more.
    #[error("reading was cancelled")]
    Cancelled,
    /// The time for one layer is used up.
    #[error("reading took longer than {} seconds", limit.as_secs())]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// A limit on bytes was reached.
    #[error("{what} exceeds the limit of {limit}")]
    Limit {
        /// What was counted.
        what: &'static str,
        /// Bytes, or the ratio.
        limit: u64,
    },
    /// The compressed stream is broken.
    #[error("{0}")]
    Corrupt(String),
}

impl Halt {
    /// The halt itself if only the layer's content is to blame; an error if reading as such was stopped.
    pub(super) fn survivable(self) -> Result<Self, Self> {
        match self {
            Self::Limit { .. } | Self::Corrupt(_) => Ok(self),
            Self::Source(_) | Self::Cancelled | Self::TimedOut { .. } => Err(self),
        }
    }

    /// What an error from the layer's reader chain means.
    pub(super) fn of(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(halt) => halt,
            Err(error) => error.downcast::<TarError>().map_or_else(Self::Source, Self::from),
        }
    }
}

impl From<Halt> for io::Error {
    fn from(halt: Halt) -> Self {
        io::Error::other(halt)
    }
}

impl From<TarError> for Halt {
    fn from(error: TarError) -> Self {
        match error {
            TarError::Read(error) => Self::of(error),
            TarError::HeaderTooLarge { limit, .. } => Self::Limit { what: "an extended tar header", limit },
            TarError::Holes { limit } => {
                Self::Limit { what: "what the holes of sparse files expand to", limit }
            }
            TarError::Checksum { .. }
            | TarError::Number { .. }
            | TarError::Pax { .. }
            | TarError::Sparse { .. }
            | TarError::Truncated { .. }
            | TarError::LoneZeroBlock { .. } => Self::Corrupt(error.to_string()),
        }
    }
}
