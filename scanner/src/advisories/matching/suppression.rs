//! Why a finding does not count although an advisory matches.

use shared::model::report::{FindingKind, FindingStatus, Fix, InstalledPackage, Suppression};

use super::groups::Group;
use super::matches::Matcher;
use super::ownership;
use super::questions::{Scope, source_of};
use super::{groups, is_os};
use crate::advisories::DatabaseError;
use crate::advisories::record::{RecordNumber, StoredUrgency};

/// Decides whether a finding counts. Malware always does.
pub(super) fn status(
    scope: &Scope<'_>,
    installed: &InstalledPackage,
    group: &groups::Group<'_>,
    kind: FindingKind,
    sparing: &[RecordNumber],
    matcher: &mut Matcher<'_>,
) -> Result<FindingStatus, DatabaseError> {
    match kind {
        FindingKind::Malware => return Ok(FindingStatus::Affected),
        FindingKind::Vulnerability | FindingKind::Informational => {}
    }
    let because = |reason| Ok(FindingStatus::Suppressed { reason });
    if group.matches.iter().all(|found| found.elsewhere) {
        return because(Suppression::PlatformNotAffected);
    }
    if is_os(installed) {
        if is_kernel_headers(installed) {
            return because(Suppression::KernelHeadersOnly);
        }
        if is_unimportant(group) {
            return because(Suppression::Negligible);
        }
        return Ok(FindingStatus::Affected);
    }
    if group.is_not_linked() {
        return because(Suppression::NotLinked);
    }
    if let Some(status) = ownership::status(scope, installed, group, matcher)? {
        return Ok(status);
    }
    if group.is_disputed(installed.package.kind, sparing, matcher)? {
        return Ok(FindingStatus::DisputedRange);
    }
    Ok(FindingStatus::Affected)
}

/// Debian: the source has it, the binary packages are not affected. Only if every record that speaks says so.
fn is_unimportant(group: &Group<'_>) -> bool {
    let mut urgencies = group.matches.iter().filter_map(|found| found.urgency).peekable();
    urgencies.peek().is_some() && urgencies.all(|urgency| urgency == StoredUrgency::Unimportant)
}

/// Packages built from the kernel's source that hold no code which runs.
fn is_kernel_headers(installed: &InstalledPackage) -> bool {
    let package = &installed.package;
    let (source, _) = source_of(package);
    let of_kernel = source == "linux" || source.starts_with("linux-") || source.starts_with("kernel");
    let name = package.name.as_str();
    let exact = [
        "linux-libc-dev",
        "linux-headers",
        "linux-firmware",
        "linux-doc",
        "kernel-headers",
        "kernel-devel",
        "kernel-doc",
        "kernel-rt-devel",
        "kernel-64k-devel",
        "kernel-default-devel",
    ];
    let prefixes = ["linux-headers-", "linux-kbuild-", "linux-doc-", "linux-libc-dev-", "kernel-devel-"];
    of_kernel && (exact.contains(&name) || prefixes.iter().any(|prefix| name.starts_with(prefix)))
}

/// A fix that only subscribers get, where everybody's advisories have none.
pub(super) fn with_pro(fix: Fix, pro: Option<String>) -> Fix {
    match (fix, pro) {
        (Fix::NoneYet | Fix::Unknown | Fix::WillNotFix, Some(version)) => Fix::ProOnly { version },
        (fix, _) => fix,
    }
}
