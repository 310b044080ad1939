//! What a pod does that a pod should not: every rule of ARCHITECTURE, policy, "pod rules", as pure functions
//! over the pod's JSON. How bad it is, the policy says ([`shared::policy::PodRules`]).
//!
//! Orientation: Kubernetes' Pod Security Standards, level "baseline"; where this differs it says why.

use shared::policy::PodRule;

use super::json::Json;
use super::pod::{Container, List, PodView, called};
use crate::gates::legible::legible;

mod environment;
mod host;

/// One offence against one rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Offence {
    pub(super) rule: PodRule,
    pub(super) weight: Weight,
    /// The image of the container that offends; `None` if it is the pod as a whole.
    pub(super) image: Option<String>,
    /// What it does, for people, with the container's name.
    pub(super) message: String,
}

/// How certain an offence is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Weight {
    /// As bad as the policy says.
    Full,
    /// One step less: a warning where the policy denies, nothing where it warns.
    Slight,
}

/// Everything that the pod does against any rule, in the order of the rules' documentation.
pub(super) fn find(pod: &PodView<'_>) -> Vec<Offence> {
    // Looked up once: a hostile specification may have a hundred thousand keys, and as many containers.
    let common = Common {
        security: pod.spec.get("securityContext").unwrap_or(Json::NULL),
        limits: pod.spec.at(&["resources", "limits"]).unwrap_or(Json::NULL),
    };
    let mut offences = host::of_pod(pod);
    for container in &pod.containers {
        add_of_container(&mut offences, container, &common);
    }
    offences.sort_by_key(|offence| offence.rule);
    offences
}

/// What a pod says for all of its containers.
struct Common<'d> {
    security: Json<'d>,
    limits: Json<'d>,
}

fn add_of_container(offences: &mut Vec<Offence>, container: &Container<'_>, common: &Common<'_>) {
    let image = container.json.get("image").and_then(Json::as_str);
    let mut add = |rule, weight, what: String| {
        let message = format!("{} {what}", container.called());
        offences.push(Offence { rule, weight, image: image.map(str::to_owned), message });
    };
    let security = container.json.get("securityContext").unwrap_or(Json::NULL);
    if is_true(security.get("privileged")) {
        add(PodRule::Privileged, Weight::Full, "is privileged: it owns its node".to_owned());
    }
    if is_true(security.at(&["windowsOptions", "hostProcess"])) {
        add(PodRule::Privileged, Weight::Full, "is a host process of its Windows node".to_owned());
    }
    let (as_good_as_root, added) = capabilities(security);
    if !as_good_as_root.is_empty() {
        let what = format!("has {}, which is as good as privileged", as_good_as_root.join(", "));
        add(PodRule::Privileged, Weight::Full, what);
    }
    if !added.is_empty() {
        add(PodRule::AddedCapabilities, Weight::Full, format!("adds the capabilities {}", added.join(", ")));
    }
    if let Some(what) = runs_as_root(security, common.security) {
        add(PodRule::RootUser, Weight::Full, what.to_owned());
    }
    if let Some(what) = missing_limits(container, common.limits) {
        add(PodRule::MissingLimits, Weight::Full, what);
    }
    for secret in environment::secrets(container.json) {
        add(PodRule::SecretsInEnvironment, secret.weight, secret.what);
    }
    if let Some(image) = image
        && !image.is_empty()
        && !image.contains('@')
    {
        let what = format!("names its image by tag, which may be another one tomorrow: {}", cut(image));
        add(PodRule::TagInsteadOfDigest, Weight::Full, what);
    }
}

/// The capabilities that runtimes give every container, of which "baseline" takes nothing away.
const ORDINARY: &[&str] = &[
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Each of these alone is a known way to become root on the node.
const AS_GOOD_AS_ROOT: &[&str] =
    &["ALL", "BPF", "DAC_READ_SEARCH", "SYS_ADMIN", "SYS_BOOT", "SYS_MODULE", "SYS_PTRACE", "SYS_RAWIO"];

/// Added capabilities: those that are as good as root, and the other extraordinary ones.
fn capabilities(security: Json<'_>) -> (Vec<String>, Vec<String>) {
    let added = security.at(&["capabilities", "add"]);
    let name = |one: Json<'_>| {
        let upper = one.as_str().unwrap_or_default().to_ascii_uppercase();
        cut(upper.strip_prefix("CAP_").unwrap_or(&upper))
    };
    let names = added.into_iter().flat_map(Json::items).map(name);
    let extraordinary = names.filter(|one| !ORDINARY.contains(&one.as_str()));
    extraordinary.partition(|one| AS_GOOD_AS_ROOT.contains(&one.as_str()))
}

/// Whether a container runs as root, or may: its image's own user decides where nothing else does.
fn runs_as_root(own: Json<'_>, of_pod: Json<'_>) -> Option<&'static str> {
    let said = |key| own.get(key).and_then(Json::said).or_else(|| of_pod.get(key).and_then(Json::said));
    match said("runAsUser").map(Json::as_i64) {
        Some(Some(0)) => Some("runs as root"),
        Some(_) => None,
        None if is_true(said("runAsNonRoot")) => None,
        None => Some("may run as root: set runAsNonRoot: true or runAsUser"),
    }
}

/// Which limits a container lacks. Ephemeral containers cannot have any.
fn missing_limits(container: &Container<'_>, of_pod: Json<'_>) -> Option<String> {
    match container.list {
        List::Ephemeral => return None,
        List::Init | List::Ordinary => {}
    }
    let own = container.json.at(&["resources", "limits"]).unwrap_or(Json::NULL);
    let said = |limits: Json<'_>, resource| limits.get(resource).and_then(Json::said).is_some();
    let limited = |resource| said(own, resource) || said(of_pod, resource);
    let missing: Vec<&str> = ["memory", "cpu"].into_iter().filter(|resource| !limited(resource)).collect();
    (!missing.is_empty()).then(|| format!("has no limit for {}", missing.join(" and ")))
}

fn is_true(json: Option<Json<'_>>) -> bool {
    json.and_then(Json::as_bool) == Some(true)
}

/// A foreign text, fit to be shown.
fn cut(text: &str) -> String {
    legible(text, 120)
}

/// A name of a volume for people.
fn volume_called(volume: Json<'_>, at: usize) -> String {
    called("volume", volume, at)
}

#[cfg(test)]
mod tests;
