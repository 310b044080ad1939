//! Gates: may these images run? One core that every protocol asks, and one file a protocol.
//!
//! [`Gates::decide`] reads references, resolves tags once (I12), picks the policies that cover the place, looks
//! verdicts up in the store and nowhere else, has unknown digests scanned at once, waits where a policy says
//! so, and answers by the policy's fail mode when the caller's time is over (I9).
//!
//! Reading order: `question` and `ruling` (in and out), `tags` (text → digest), `archive` (digest → what is
//! known), `urgent` (what is unknown → queue), `hold` (the wait for it), `opinion` and `fold` (the decision itself, pure), `visit` (who
//! asks, and until when); then one file a protocol.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use arc_swap::ArcSwap;
use futures_util::future::join_all;
use shared::config::{GatesConfig, Registries};
use shared::model::digest::Digest;
use shared::model::verdict::PolicyName;
use shared::policy::{Place, Policy, PolicySet};
use shared::registry::RegistryClient;
use shared::telemetry::chain;
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::intake::Intake;
use crate::verdicts::Verdicts;

pub mod gatekeeper;
pub mod kubernetes;
pub mod kyverno;
pub mod pull;

mod archive;
mod fold;
mod hold;
mod legible;
mod meters;
mod opinion;
mod placed;
mod question;
pub mod readers;
mod ruling;
mod tags;
mod told;
mod urgent;
mod visit;

pub use question::{AskedImage, Enqueue, Patience, Purpose, Question};
pub use ruling::{Answer, Decision, How, Ruling, TOLD_REASONS};

use archive::{Archive, Finding, Ledger};
use hold::{Held, held};
use meters::Meters;
use opinion::{Facts, Opinion};
use placed::Placed;
use tags::{Freshness, Identity, Known, Tags};
use urgent::{Urgent, Wanted};
pub(crate) use visit::TOKEN_HEADER;
use visit::Visit;

/// Decides for every gate.
pub struct Gates {
    config: GatesConfig,
    policies: Arc<ArcSwap<PolicySet>>,
    verdicts: Arc<Verdicts>,
    tags: Tags,
    archive: Archive,
    placed: Placed,
    urgent: Urgent,
    meters: Meters,
    public_url: Url,
}

/// What gates are made of.
pub struct GateParts {
    /// Deadlines, and who may ask.
    pub config: GatesConfig,
    /// The policies; swapped while running.
    pub policies: Arc<ArcSwap<PolicySet>>,
    /// Where verdicts are found.
    pub verdicts: Arc<Verdicts>,
    /// Where unknown digests go.
    pub intake: web::Data<Intake>,
    /// The registries that may be asked what a tag points at, and what else they are called.
    pub registries: Registries,
    /// How to ask them.
    pub client: RegistryClient,
    /// How people reach this server.
    pub public_url: Url,
}

/// One image on its way through [`Gates::decide`].
struct Case {
    /// With the image filled into its place.
    asked: AskedImage,
    identity: Identity,
    policies: Vec<Arc<Policy>>,
}

impl Gates {
    /// The gates of a server.
    pub fn new(parts: GateParts) -> Self {
        let GateParts { config, policies, verdicts, intake, registries, client, public_url } = parts;
        Self {
            tags: Tags::new(registries, client, &config),
            archive: Archive::new(Arc::clone(&verdicts)),
            placed: Placed::new(Arc::clone(&verdicts)),
            urgent: Urgent::new(intake),
            meters: Meters::default(),
            config,
            policies,
            verdicts,
            public_url,
        }
    }

    /// How gates are configured.
    pub fn config(&self) -> &GatesConfig {
        &self.config
    }

    /// The policies that judge now where an image is wanted, or at a place where none is named.
    pub fn covering(&self, image: Option<&str>, place: &Place) -> Vec<Arc<Policy>> {
        let image = image.and_then(|text| self.tags.name(text));
        self.policies.load().covering(&Place { image, ..place.clone() })
    }

    /// The digest that a tag stands for now, resolved once (I12): the one that [`Gates::decide`] judges.
    ///
    /// `None` if the text has a digest already, names no image, or one of a registry that may not be asked
    /// (I8). An error says why a registry did not tell.
    pub async fn pin(&self, asked: &str, deadline: std::time::Instant) -> Result<Option<Digest>, String> {
        match self.tags.identify(asked, Freshness::Recent, Instant::from_std(deadline)).await {
            Identity::Found { digest, tag: Some(_), .. } => Ok(Some(digest)),
            Identity::Found { tag: None, .. } | Identity::Foreign { .. } | Identity::Unreadable { .. } => {
                Ok(None)
            }
            Identity::Unresolved { reason, .. } => Err(reason),
        }
    }

    /// Where people read more about a digest.
    pub fn about_digest(&self, digest: &Digest) -> Url {
        self.page(["v1", "verdicts", digest.as_str()])
    }

    /// Where people read what a policy wants.
    pub fn about_policy(&self, policy: &PolicyName) -> Url {
        self.page(["v1", "policies", policy.as_str()])
    }

    fn page(&self, path: [&str; 3]) -> Url {
        let mut url = self.public_url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// Rules on every image of a question before `deadline`.
    ///
    /// Reads the store only, apart from asking a registry what a tag points at. Never fails: what cannot be
    /// found out is decided by the policy's fail modes.
    pub async fn decide(&self, question: Question, deadline: std::time::Instant) -> Decision {
        let began = Instant::now();
        let deadline = Instant::from_std(deadline);
        let Question { gate, images, enqueue, patience } = question;
        let policies = self.policies.load_full();
        let cases = join_all(images.into_iter().map(|asked| self.open(asked, &policies, deadline))).await;

        let mut ledger = self.archive.look_up(&wanted(&cases), deadline).await;
        let unqueued = match enqueue {
            Enqueue::Allowed => self.urgent.enqueue(unscanned(&cases, &ledger), deadline).await,
            Enqueue::DryRun => HashMap::new(),
        };
        let held = match enqueue {
            Enqueue::Allowed => held(&cases, &ledger, &unqueued),
            Enqueue::DryRun => Held::new(),
        };
        self.hold(held, &cases, &mut ledger, patience, deadline).await;
        let waited = (Instant::now() >= deadline).then(|| deadline.saturating_duration_since(began));

        let rulings =
            cases.iter().map(|case| self.rule(case, &ledger, &unqueued, enqueue, (deadline, waited)));
        let decision = Decision { rulings: join_all(rulings).await };
        self.meters.decided(gate, &decision, began.elapsed());
        decision
    }

    async fn open(&self, mut asked: AskedImage, policies: &PolicySet, deadline: Instant) -> Case {
        let freshness = match asked.purpose {
            Purpose::Pull => Freshness::Now,
            Purpose::Container | Purpose::Volume => Freshness::Recent,
        };
        let identity = self.tags.identify(&asked.asked, freshness, deadline).await;
        asked.place.image = match &identity {
            Identity::Unreadable { .. } => None,
            Identity::Unresolved { image, .. }
            | Identity::Foreign { image }
            | Identity::Found { image, .. } => Some(image.clone()),
        };
        let policies = policies.covering(&asked.place);
        Case { asked, identity, policies }
    }

    async fn rule(
        &self,
        case: &Case,
        ledger: &Ledger,
        unqueued: &HashMap<Digest, String>,
        enqueue: Enqueue,
        times: (Instant, Option<Duration>),
    ) -> Ruling {
        let (deadline, waited) = times;
        let digest = case.identity.digest();
        let mut opinions: Vec<Opinion> = Vec::with_capacity(case.policies.len());
        for policy in &case.policies {
            let finding = match digest {
                Some(digest) => {
                    self.refined(ledger.get(policy, digest).clone(), policy, case, deadline).await
                }
                None => Finding::Unknown,
            };
            let facts = Facts {
                purpose: case.asked.purpose,
                identity: &case.identity,
                finding: &finding,
                unqueued: digest.and_then(|digest| unqueued.get(digest)).map(String::as_str),
                enqueue,
                waited,
            };
            opinions.push(opinion::form(policy, &facts));
        }
        fold::fold(&case.asked.asked, &case.identity, opinions, |how, policy| match (digest, how, enqueue) {
            // Nobody will ever know more about it than the policy says.
            (None, _, _) | (_, How::RegistryNotConfigured, _) | (_, How::Unknown, Enqueue::DryRun) => {
                self.about_policy(policy)
            }
            (Some(digest), _, _) => self.about_digest(digest),
        })
    }

    /// A judgement made for the platform and the place that were asked for.
    async fn refined(
        &self,
        finding: Finding,
        policy: &Arc<Policy>,
        case: &Case,
        deadline: Instant,
    ) -> Finding {
        let Finding::Judged(mut verdict) = finding else { return finding };
        if let Some(platform) = &case.asked.platform {
            match timeout_at(deadline, self.verdicts.for_platform(&verdict, platform, policy)).await {
                Ok(Ok(Some(child))) => verdict = child,
                Ok(Ok(None)) => {}
                Ok(Err(error)) => return Finding::Unavailable { reason: chain(&error) },
                Err(_) => {
                    return Finding::Unavailable { reason: "the store did not answer in time".to_owned() };
                }
            }
        }
        if !policy.depends_on(&case.asked.place) {
            return Finding::Judged(verdict);
        }
        let general = verdict.clone();
        let placed = timeout_at(deadline, self.placed.verdict(verdict, policy, &case.asked.place)).await;
        // The general verdict is the strictest.
        Finding::Judged(placed.unwrap_or(general))
    }
}

impl Identity {
    fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Found { digest, .. } => Some(digest),
            Self::Unreadable { .. } | Self::Unresolved { .. } | Self::Foreign { .. } => None,
        }
    }
}

impl Case {
    /// The digest, if it can be scanned because its registry is configured.
    fn scannable(&self) -> Option<&Digest> {
        match &self.identity {
            Identity::Found { digest, registry: Known::Configured, .. } => Some(digest),
            Identity::Found { registry: Known::Unconfigured, .. }
            | Identity::Unreadable { .. }
            | Identity::Unresolved { .. }
            | Identity::Foreign { .. } => None,
        }
    }

    /// Whether the policy denies it whatever its verdict will be: nothing to wait for.
    fn is_forbidden(&self, policy: &Policy) -> bool {
        let reasons = self.asked.place.image.as_ref().map(|image| policy.admission_reasons(image));
        reasons.unwrap_or_default().iter().any(|reason| reason.effect == shared::model::verdict::Effect::Deny)
    }
}

/// Every digest of the question, by the policies that judge it: one row, and one round trip, a policy.
fn wanted(cases: &[Case]) -> Vec<(Arc<Policy>, Vec<Digest>)> {
    let mut rows: Vec<(Arc<Policy>, Vec<Digest>)> = Vec::new();
    for (case, digest) in cases.iter().filter_map(|case| Some((case, case.identity.digest()?))) {
        for policy in &case.policies {
            match rows.iter_mut().find(|row| row.0.name == policy.name) {
                Some(row) => row.1.push(digest.clone()),
                None => rows.push((Arc::clone(policy), vec![digest.clone()])),
            }
        }
    }
    for (_, digests) in &mut rows {
        digests.sort_unstable();
        digests.dedup();
    }
    rows
}

/// What has to be scanned for this question, each digest once.
fn unscanned(cases: &[Case], ledger: &Ledger) -> Vec<Wanted> {
    let mut seen = HashSet::new();
    let wants = |case: &&Case| {
        let Some(digest) = case.scannable() else { return false };
        let wanted = case
            .policies
            .iter()
            .any(|policy| !case.is_forbidden(policy) && ledger.get(policy, digest).wants_scan(policy));
        wanted && seen.insert(digest.clone())
    };
    let job = |case: &Case| match &case.identity {
        Identity::Found { image, tag, digest, .. } => {
            Some(Wanted { image: image.clone(), digest: digest.clone(), tag: tag.clone() })
        }
        Identity::Unreadable { .. } | Identity::Unresolved { .. } | Identity::Foreign { .. } => None,
    };
    cases.iter().filter(wants).filter_map(job).collect()
}
