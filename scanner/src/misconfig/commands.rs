//! Checks of the commands that made the image, as its history tells them.

use std::sync::LazyLock;

use regex::bytes::{Regex, RegexBuilder};
use shared::model::report::Severity;

use super::history::Step;
use super::{Check, Finding, Image};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "TW-HIST-PIPE",
        severity: Severity::Medium,
        remediation: "Download to a file, compare its checksum or signature with one written down in the build, and only \
                      then run it; leave certificates and signatures checked.",
        controls: &["CIS-DI-4.11"],
        judge: unverified,
    },
    Check {
        id: "TW-HIST-ADD",
        severity: Severity::Low,
        remediation: "Use COPY for files; fetch remote ones with a checksum (ADD --checksum).",
        controls: &["CIS-DI-4.9"],
        judge: added,
    },
    Check {
        id: "TW-HIST-UPDATE-ALONE",
        severity: Severity::Low,
        remediation: "Update package lists and install in one RUN, or a cached layer decides which versions are installed; \
                      take a newer base image instead of upgrading the distribution.",
        controls: &["CIS-DI-4.7"],
        judge: updated_alone,
    },
];

/// A download that goes into an interpreter, directly, by substitution, or by way of other commands of the same line.
static PIPE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r#"(?ix)
        \b(?:curl|wget|fetch)\b[^\n]{0,1000}\|\s*(?:sudo\s+(?:-\S+\s+)*)?(?:/(?:usr/)?bin/)?(?:env\s+\S{1,100}\s+)?(?:ba|da|z|k|a)?sh\b
      | \b(?:curl|wget|fetch)\b[^;&|\n]{0,1000}\|\s*(?:sudo\s+(?:-\S+\s+)*)?(?:/(?:usr/)?bin/)?(?:python[0-9.]*|perl|ruby|node|php)\b
      | \b(?:ba|da|z|k|a)?sh\s+(?:-\S+\s+)*["']?(?:<\(|\$\(|`)\s*(?:curl|wget|fetch)\b
      | ^["']?(?:\$\(|`)\s*(?:curl|wget|fetch)\b
      | \beval\s+["']?(?:\$\(|`)\s*(?:curl|wget|fetch)\b
      | \b(?:iex|invoke-expression)\b[^;\n]{0,400}\b(?:downloadstring|iwr|irm|invoke-webrequest|invoke-restmethod)\b
      | \b(?:iwr|irm|downloadstring|invoke-webrequest|invoke-restmethod)\b[^;\n]{0,400}\|\s*(?:iex|invoke-expression)\b"#,
    )
});

/// Switches that let anybody on the way answer instead, and what they do.
static UNCHECKED: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (
            r"\bcurl\b[^;&|\n]{0,1000}?\s(?:--insecure\b|-[a-zA-Z]{0,8}k[a-zA-Z]{0,8}(?:\s|$))",
            "curl does not check certificates",
        ),
        (r"--no-check-certificate\b", "wget does not check certificates"),
        (
            r"--allow-unauthenticated\b|--force-yes\b|APT::Get::AllowUnauthenticated",
            "apt installs unsigned packages",
        ),
        (
            r"--nogpgcheck\b|--no-gpg-checks?\b",
            "packages are installed without their signatures being checked",
        ),
        (r"\bpip3?\b[^;&|\n]{0,1000}?--trusted-host\b", "pip does not check certificates"),
        (r"\bapk\b[^;&|\n]{0,1000}?--allow-untrusted\b", "apk installs unsigned packages"),
        (r#"\bNODE_TLS_REJECT_UNAUTHORIZED=["']?0"#, "Node.js does not check certificates"),
        (r"\bGIT_SSL_NO_VERIFY=(?:1|true)|\bhttp\.sslVerify[ =]false", "git does not check certificates"),
        (r"\bnpm\b[^;&|\n]{0,200}\bstrict-ssl[ =]false", "npm does not check certificates"),
    ]
    .map(|(pattern, what)| (regex(pattern), what))
    .into_iter()
    .collect()
});

/// Of bytes: commands are ASCII where it matters, and counting characters of Unicode takes an automaton of some megabytes.
fn regex(pattern: &str) -> Regex {
    RegexBuilder::new(pattern).unicode(false).build().expect("a built-in expression")
}

fn runs<'i, 'a>(image: &'i Image<'a>) -> impl Iterator<Item = &'i Step<'a>> {
    image.steps.iter().filter(|step| matches!(step.instruction, "RUN" | "ENV" | ""))
}

fn unverified(image: &Image<'_>) -> Vec<Finding> {
    let of_step = |step: &Step<'_>| {
        let piped =
            PIPE.is_match(step.rest.as_bytes()).then_some("something that was downloaded is run unseen");
        let unchecked = UNCHECKED.iter().filter(|(pattern, _)| pattern.is_match(step.rest.as_bytes()));
        let what: Vec<&str> = piped.into_iter().chain(unchecked.map(|(_, what)| *what)).collect();
        (!what.is_empty())
            .then(|| Finding::new(format!("While building, {}", what.join("; "))).in_step(step, image))
    };
    runs(image).filter_map(of_step).collect()
}

fn added(image: &Image<'_>) -> Vec<Finding> {
    let is_remote = |words: &str| {
        let mut sources = words.split_whitespace().filter(|word| !word.starts_with("--"));
        sources.any(|word| {
            let word = word.trim_matches(['"', '[', ',']);
            ["http://", "https://", "ftp://", "git://", "git@"].iter().any(|start| word.starts_with(start))
        })
    };
    // What the first line adds is the base's root file system.
    let adds = image.steps.iter().filter(|step| step.instruction == "ADD" && step.number > 0);
    let of_step = |step: &Step<'_>| {
        let is_root = step.rest.ends_with(" in /") || step.rest.ends_with(" /");
        let unpacks = [".tar", ".tgz", ".txz", ".tbz"].iter().any(|part| step.rest.contains(part));
        if is_remote(step.rest) {
            let has_checksum = step.rest.contains("--checksum=");
            (!has_checksum)
                .then(|| Finding::new("ADD fetches a remote file without a checksum").in_step(step, image))
        } else if is_root || unpacks {
            None
        } else {
            Some(Finding::new("ADD where COPY suffices").rated(Severity::Negligible).in_step(step, image))
        }
    };
    adds.filter_map(of_step).collect()
}

static UPDATE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^\s*(?:set -\S+\s*;\s*)?(?:sudo\s+)?(?:apt-get|apt|yum|dnf|microdnf|apk|zypper|aptitude)\s+(?:-\S+\s+)*(?:update|refresh|makecache)(?:\s+-\S+)*\s*;?\s*$",
    )
});
static UPGRADE: LazyLock<Regex> =
    LazyLock::new(|| regex(r"\b(?:apt-get|apt|aptitude)\s+(?:-\S+\s+)*(?:dist-upgrade|full-upgrade)\b"));

fn updated_alone(image: &Image<'_>) -> Vec<Finding> {
    let of_step = |step: &Step<'_>| {
        // `yum update` alone upgrades everything, which is no list that goes stale.
        let upgrades = UPGRADE.is_match(step.rest.as_bytes()) && !step.rest.contains("install ");
        let title = if UPDATE.is_match(step.rest.as_bytes()) {
            "Package lists are updated by a command of their own"
        } else if upgrades {
            "The whole distribution is upgraded"
        } else {
            return None;
        };
        Some(Finding::new(title).in_step(step, image))
    };
    runs(image).filter_map(of_step).collect()
}
