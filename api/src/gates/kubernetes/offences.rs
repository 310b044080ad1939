//! What a pod does that a pod should not: every rule of ARCHITECTURE, policy, "pod rules", as pure functions
//! over the pod's JSON. How bad it is, the policy says ([`shared::policy::PodRules`]).
//!
//! Orientation: Kubernetes' Pod Security Standards, level "baseline"; where this differs it says why.

use serde_json::Value;
use shared::policy::PodRule;

use super::pod::{Container, List, Malformed, PodView, called};

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
pub(super) fn find(pod: &PodView<'_>) -> Result<Vec<Offence>, Malformed> {
    let containers = pod.containers()?;
    let mut offences = host::of_pod(pod)?;
    for container in &containers {
        offences.extend(of_container(pod, container));
    }
    offences.sort_by_key(|offence| offence.rule);
    Ok(offences)
}

fn of_container(pod: &PodView<'_>, container: &Container<'_>) -> Vec<Offence> {
    let mut offences = Vec::new();
    let mut add = |rule, weight, what: String| {
        let image = container.json.get("image").and_then(Value::as_str).map(str::to_owned);
        offences.push(Offence { rule, weight, image, message: format!("{} {what}", container.called()) });
    };
    let security = container.json.get("securityContext").unwrap_or(&Value::Null);
    if is_true(security.get("privileged")) {
        add(PodRule::Privileged, Weight::Full, "is privileged: it owns its node".to_owned());
    }
    if is_true(security.pointer("/windowsOptions/hostProcess")) {
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
    if let Some(what) = runs_as_root(pod, security) {
        add(PodRule::RootUser, Weight::Full, what.to_owned());
    }
    if let Some(what) = missing_limits(pod, container) {
        add(PodRule::MissingLimits, Weight::Full, what);
    }
    for secret in environment::secrets(container.json) {
        add(PodRule::SecretsInEnvironment, secret.weight, secret.what);
    }
    if let Some(image) = container.json.get("image").and_then(Value::as_str)
        && !image.is_empty()
        && !image.contains('@')
    {
        let what = format!("names its image by tag, which may be another one tomorrow: {}", cut(image));
        add(PodRule::TagInsteadOfDigest, Weight::Full, what);
    }
    offences
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
fn capabilities(security: &Value) -> (Vec<String>, Vec<String>) {
    let added = security.pointer("/capabilities/add").and_then(Value::as_array);
    let name = |one: &Value| {
        let upper = one.as_str().unwrap_or_default().to_ascii_uppercase();
        cut(upper.strip_prefix("CAP_").unwrap_or(&upper))
    };
    let extraordinary = added.into_iter().flatten().map(name).filter(|one| !ORDINARY.contains(&one.as_str()));
    extraordinary.partition(|one| AS_GOOD_AS_ROOT.contains(&one.as_str()))
}

/// Whether a container runs as root, or may: its image's own user decides where nothing else does.
fn runs_as_root(pod: &PodView<'_>, security: &Value) -> Option<&'static str> {
    let of_pod = pod.spec.get("securityContext").unwrap_or(&Value::Null);
    let effective = |key: &str| {
        let own = security.get(key).filter(|value| !value.is_null());
        own.or_else(|| of_pod.get(key).filter(|value| !value.is_null()))
    };
    match effective("runAsUser").map(Value::as_i64) {
        Some(Some(0)) => Some("runs as root"),
        Some(_) => None,
        None if is_true(effective("runAsNonRoot")) => None,
        None => Some("may run as root: set runAsNonRoot: true or runAsUser"),
    }
}

/// Which limits a container lacks. Ephemeral containers cannot have any.
fn missing_limits(pod: &PodView<'_>, container: &Container<'_>) -> Option<String> {
    match container.list {
        List::Ephemeral => return None,
        List::Init | List::Ordinary => {}
    }
    let limited = |resource: &str| {
        let limit = |holder: &Value| {
            holder.pointer(&format!("/resources/limits/{resource}")).is_some_and(|limit| !limit.is_null())
        };
        limit(container.json) || limit(pod.spec)
    };
    let missing: Vec<&str> = ["memory", "cpu"].into_iter().filter(|resource| !limited(resource)).collect();
    (!missing.is_empty()).then(|| format!("has no limit for {}", missing.join(" and ")))
}

fn is_true(value: Option<&Value>) -> bool {
    value == Some(&Value::Bool(true))
}

/// A foreign text, fit to be shown.
fn cut(text: &str) -> String {
    text.chars().take(120).map(|one| if one.is_control() { ' ' } else { one }).collect()
}

/// A name of a volume for people.
fn volume_called(volume: &Value, at: usize) -> String {
    called("volume", volume, at)
}

#[cfg(test)]
mod tests;
