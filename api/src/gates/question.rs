//! What a gate asks: which images, where they would run, and what may be done about those that nobody knows.

use shared::model::image::Platform;
use shared::policy::Place;

/// One request of one caller: some images, judged together.
#[derive(Clone, Debug)]
pub struct Question {
    /// Which gate asks; for metrics and logs.
    pub gate: &'static str,
    /// The images, in the caller's order.
    pub images: Vec<AskedImage>,
    /// What may be done about unknown digests.
    pub enqueue: Enqueue,
    /// What is worth waiting for.
    pub patience: Patience,
}

/// One image that somebody wants to use.
#[derive(Clone, Debug)]
pub struct AskedImage {
    /// As the caller wrote it; hostile until it is parsed.
    pub asked: String,
    /// What for.
    pub purpose: Purpose,
    /// For an index: the platform that would be pulled. `None` judges all that the policy cares about.
    pub platform: Option<Platform>,
    /// Where; its `image` is filled in here.
    pub place: Place,
}

/// What an image is wanted for. It decides what becomes of what is no image: a chart, a signature, an SBOM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// To be started. What is no image cannot be, and an unknown type must not be a way around the gate.
    Container,
    /// To be mounted as a volume: any artifact may be.
    Volume,
    /// To be pulled by anybody: signing and SBOM tools fetch artifacts too.
    Pull,
}

/// Whether unknown digests are queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueue {
    /// At once, on the urgent lane.
    Allowed,
    /// Never: the request is a rehearsal without side effects. Nobody waits for what nobody has queued.
    DryRun,
}

/// What a caller waits for, where a policy would have it wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Every verdict: each image is answered for itself.
    EachImage,
    /// The answer as a whole: as soon as one image is denied, the others change nothing.
    WholeAnswer,
    /// Nothing: it is decided already. What is unknown is queued all the same, for the next try.
    None,
}

impl AskedImage {
    /// A container's image at a place.
    pub fn container(asked: impl Into<String>, place: Place) -> Self {
        Self { asked: asked.into(), purpose: Purpose::Container, platform: None, place }
    }
}
