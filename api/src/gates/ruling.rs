//! What a gate answers: one ruling an image, in words that a person can act on.

use std::fmt::Write as _;
use std::sync::Arc;

use shared::model::digest::Digest;
use shared::model::image::ImageName;
use shared::model::verdict::{Effect, PolicyName, Reason, Verdict};
use url::Url;

/// The answer to a [`Question`](super::Question).
#[derive(Clone, Debug)]
pub struct Decision {
    /// One an image, in the order asked.
    pub rulings: Vec<Ruling>,
}

/// What is decided about one image.
#[derive(Clone, Debug)]
pub struct Ruling {
    /// As the caller wrote it, cut to what can be shown.
    pub asked: String,
    /// Registry and repository, under the registry's canonical host. `None` if the text names no image.
    pub image: Option<ImageName>,
    /// The digest that was judged; a tag was resolved to it once (I12).
    pub digest: Option<Digest>,
    /// Whether it may run.
    pub answer: Answer,
    /// How it came to that.
    pub how: How,
    /// The policy that decided: the one that denies, or the first that allows.
    pub policy: PolicyName,
    /// Why not, worst first: those of every enforcing policy that denies. Empty if it is allowed.
    pub reasons: Vec<Reason>,
    /// How many further reasons the verdicts have left out.
    pub further_reasons: u32,
    /// What people should know all the same; one sentence each.
    pub warnings: Vec<String>,
    /// The verdicts behind it, one a policy that has one.
    pub verdicts: Vec<Arc<Verdict>>,
    /// Where to read more about a denial.
    pub more: Option<Url>,
}

/// Whether an image may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// It may.
    Allowed,
    /// It may not.
    Denied,
}

/// How a ruling came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum How {
    /// By its verdict.
    Judged,
    /// It is a chart, a signature …; what it is wanted for decided.
    NotAnImage,
    /// By a rule about the request itself, whatever is in the image.
    Forbidden,
    /// The text names no image.
    UnreadableReference,
    /// The registry did not say what the tag points at.
    UnresolvableTag,
    /// Nothing is known, and nothing will be: its registry is not configured (I8). `on_unknown` decided.
    RegistryNotConfigured,
    /// Nothing is known about the digest. `on_unknown` decided.
    Unknown,
    /// It waits for its first verdict. `on_pending` decided.
    Pending,
    /// Its verdict is past its time and cannot be derived again. `on_stale` decided.
    Stale,
    /// It could not be examined. `on_error` decided.
    Error,
    /// The store cannot be asked (I13). `on_error` decided.
    StoreUnavailable,
}

impl How {
    /// The name in metrics, audit annotations and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Judged => "judged",
            Self::NotAnImage => "not_an_image",
            Self::Forbidden => "forbidden",
            Self::UnreadableReference => "unreadable_reference",
            Self::UnresolvableTag => "unresolvable_tag",
            Self::RegistryNotConfigured => "registry_not_configured",
            Self::Unknown => "unknown",
            Self::Pending => "pending",
            Self::Stale => "stale",
            Self::Error => "error",
            Self::StoreUnavailable => "store_unavailable",
        }
    }
}

impl Answer {
    /// The name in metrics and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
        }
    }
}

impl Decision {
    /// Denied if one image is.
    pub fn answer(&self) -> Answer {
        match self.denied().next() {
            Some(_) => Answer::Denied,
            None => Answer::Allowed,
        }
    }

    /// The rulings against.
    pub fn denied(&self) -> impl Iterator<Item = &Ruling> {
        self.rulings.iter().filter(|ruling| ruling.answer == Answer::Denied)
    }
}

/// As many reasons are told; the rest is a number and a link.
pub const TOLD_REASONS: usize = 3;

impl Ruling {
    /// The image and its digest, as people need them to find it again.
    pub fn subject(&self) -> String {
        match &self.digest {
            Some(digest) if self.asked.ends_with(digest.as_str()) => self.asked.clone(),
            Some(digest) => format!("{} ({digest})", self.asked),
            None => self.asked.clone(),
        }
    }

    /// One paragraph: image, digest, answer, policy, the three worst reasons, and where to read more.
    pub fn explain(&self) -> String {
        let mut text = format!("{}: {} by policy {}", self.subject(), self.answer.name(), self.policy);
        let told: Vec<&str> =
            self.reasons.iter().take(TOLD_REASONS).map(|reason| reason.message.as_str()).collect();
        if !told.is_empty() {
            let _ = write!(text, ": {}", told.join("; "));
        }
        let further = self.reasons.len() - told.len() + self.further_reasons as usize;
        if further > 0 {
            let _ = write!(text, "; and {further} more");
        }
        if let Some(more) = &self.more {
            let _ = write!(text, ". Read more: {more}");
        }
        text
    }

    /// The effect that counts for people: whether there is something to read although it is allowed.
    pub fn worst_effect(&self) -> Option<Effect> {
        match (self.answer, self.warnings.is_empty()) {
            (Answer::Denied, _) => Some(Effect::Deny),
            (Answer::Allowed, false) => Some(Effect::Warn),
            (Answer::Allowed, true) => None,
        }
    }
}
