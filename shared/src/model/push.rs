//! What a registry says when somebody pushes.

use jiff::Timestamp;

use super::digest::Digest;
use super::image::{ImageName, Tag};

/// A registry says: this manifest now exists in this repository.
///
/// A hint, not a fact (I8): everything in it came over the network from whoever knows the webhook's
/// secret. It never names a place to fetch from; the configuration does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushEvent {
    /// Where it was pushed to.
    pub image: ImageName,
    /// What was pushed, as far as the sender says.
    pub pushed: Pushed,
    /// When the sender says that it happened.
    pub occurred_at: Option<Timestamp>,
}

/// The thing that an event names: some senders know the digest, some only the tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// The manifest or index, and the tag that was set with it, if any.
    Digest {
        /// The digest of the manifest or index.
        digest: Digest,
        /// The tag of the same push.
        tag: Option<Tag>,
    },
    /// Only a tag: somebody has to ask the registry, once, what it points at (I12).
    Tag(Tag),
}
