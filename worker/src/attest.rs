//! Proof that travels: verdicts are signed and attached to their images ([`attach`]), and taken back from there when the
//! store has forgotten them ([`restore`], I13).
//!
//! Attaching is a job of its own: a registry that takes no attestation delays and loses no verdict. What we attach makes
//! the registry notify us; that is no image, is never attested itself, and so the circle ends.

mod attach;
mod restore;

use std::sync::Arc;

use jiff::Timestamp;
use shared::attest::report::ReportError;
use shared::attest::signer::{Hook, KeyFile, SignError, Signer};
use shared::attest::statement::StatementType;
use shared::config::{AttestConfig, CosignLayout, SignerConfig, Trust};
use shared::model::digest::Digest;
use shared::model::image::ImageName;
use shared::model::job::Job;
use shared::model::verdict::{Lookup, Outcome, PolicyName, Verdict};
use shared::registry::RegistryError;
use shared::store::StoreError;
use shared::telemetry::chain;

use crate::job::{Carried, Carrier};

/// Whether verdicts are signed and attached, and whose attestations are believed.
#[derive(Clone, Default)]
pub struct Attestations {
    /// Whom we believe; nobody where it is `None`.
    pub trust: Option<Trust>,
    /// What signs and attaches; nothing where it is `None`.
    pub press: Option<Arc<Press>>,
}

/// What signs and attaches.
pub struct Press {
    /// Who signs.
    pub signer: Arc<dyn Signer>,
    /// The policies whose verdicts are attached; `None` means all.
    pub policies: Option<Vec<PolicyName>>,
    /// The version of the statement for cosign.
    pub statement_type: StatementType,
    /// Whether and how cosign finds something.
    pub cosign: CosignLayout,
    /// Who we say we are: a URI.
    pub verifier: String,
}

impl Attestations {
    /// As configured; `public_url` is who we are where nothing else is said.
    pub fn new(config: &AttestConfig, public_url: &str) -> Result<Self, SignError> {
        let trust = config.trust().cloned();
        let AttestConfig::On(attesting) = config else { return Ok(Self { trust, press: None }) };
        let signer: Arc<dyn Signer> = match &attesting.signer {
            SignerConfig::Key(key) => Arc::new(KeyFile::new(key.clone())),
            SignerConfig::Hook(settings) => Arc::new(Hook::new(settings.clone())?),
        };
        let press = Press {
            signer,
            policies: attesting.policies.clone(),
            statement_type: attesting.statement_type,
            cosign: attesting.cosign,
            verifier: attesting.verifier.clone().unwrap_or_else(|| public_url.to_owned()),
        };
        Ok(Self { trust, press: Some(Arc::new(press)) })
    }

    /// What signs and attaches for images of this registry.
    fn press_for(&self, image: &ImageName) -> Option<&Press> {
        let covers = self.trust.as_ref().is_some_and(|trust| trust.covers(&image.registry));
        self.press.as_deref().filter(|_| covers)
    }
}

/// Why nothing was attached.
#[derive(Debug, thiserror::Error)]
enum AttestError {
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The signer.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The report.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// Another worker held the lease all the time.
    #[error("another worker attaches to {0} for longer than expected")]
    Busy(Digest),
}

impl AttestError {
    fn is_retryable(&self) -> bool {
        match self {
            Self::Registry(error) => error.is_retryable(),
            Self::Store(_) | Self::Busy(_) => true,
            Self::Sign(SignError::Unavailable(_) | SignError::Token { .. }) => true,
            Self::Sign(
                SignError::Statement(_)
                | SignError::CaCertificates(_)
                | SignError::Refused(_)
                | SignError::WrongKey(_),
            )
            | Self::Report(_) => false,
        }
    }
}

/// What became of a wish to attach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// A new artifact was attached.
    Attached,
    /// The newest attached one says the same already.
    Current,
    /// There is nothing that could be stated.
    Nothing,
}

impl Work {
    const fn name(self) -> &'static str {
        match self {
            Self::Attached => "attached",
            Self::Current => "current",
            Self::Nothing => "nothing",
        }
    }
}

impl Carrier {
    /// Queues the attestation of a digest that was judged just now, and of an index's children.
    ///
    /// The verdict is stored; if the queue does not take the job, this one is done again, and that costs a look-up.
    pub(crate) async fn attest_next(&self, image: &ImageName, digest: &Digest) -> Carried {
        if self.parts.attest.press_for(image).is_none() {
            return Carried::Done;
        }
        let default = PolicyName::default_policy();
        let found = match self.parts.store.lookup(std::slice::from_ref(digest), &default).await {
            Ok(found) => found,
            Err(error) => return Carried::after_store(&error),
        };
        let Some(Lookup::Known(verdict)) = found.first() else { return Carried::Done };
        if !is_stated(verdict.outcome) {
            return Carried::Done;
        }
        for digest in verdict.children.iter().map(|child| &child.digest).chain([digest]) {
            let job = Job::attest(image.clone(), digest.clone(), Timestamp::now());
            if let Err(error) = self.parts.queue.publish(&job).await {
                return Carried::after_queue(&error);
            }
        }
        Carried::Done
    }

    /// Carries out [`Task::Attest`](shared::model::job::Task::Attest).
    pub(crate) async fn attest(&self, image: &ImageName, digest: &Digest) -> Carried {
        let Some(press) = self.parts.attest.press_for(image) else { return Carried::Done };
        match self.attach(image, digest, press).await {
            Ok(work) => {
                metrics::counter!("tidewaiter_attestations_total", "work" => work.name()).increment(1);
                Carried::Done
            }
            Err(AttestError::Store(error)) => Carried::after_store(&error),
            Err(error) if error.is_retryable() => Carried::Failed { error: chain(&error) },
            Err(error) => Carried::Hopeless { error: chain(&error) },
        }
    }
}

/// Whether a verdict of this kind is ever attached: what could not be examined, or is no image, has no proof.
fn is_stated(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Pass | Outcome::Warn | Outcome::Fail => true,
        Outcome::Error | Outcome::NotAnImage => false,
    }
}

/// The worst of several outcomes, for the annotation.
fn worst(verdicts: &[Verdict]) -> Outcome {
    verdicts.iter().map(|verdict| verdict.outcome).max().unwrap_or(Outcome::Error)
}
