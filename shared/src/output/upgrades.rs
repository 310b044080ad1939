//! What people act on: one row a package, worst first, with the versions that repair it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::model::report::{Finding, FindingStatus, Fix, InstalledPackage, PackageIndex, Report, Severity};

/// A package with the findings that count.
pub(super) struct Upgrade<'a> {
    /// Which package.
    pub(super) package: &'a InstalledPackage,
    /// In the report's order: worst first. Never empty.
    pub(super) findings: Vec<&'a Finding>,
}

/// The findings of a report, by what to do about them.
pub(super) struct Upgrades<'a> {
    /// Worst first.
    pub(super) rows: Vec<Upgrade<'a>>,
    /// How many findings count.
    pub(super) counted: usize,
    /// How many do not.
    pub(super) suppressed: usize,
}

impl<'a> Upgrades<'a> {
    /// Of a report.
    pub(super) fn of(report: &'a Report) -> Self {
        let mut by_package: BTreeMap<PackageIndex, Vec<&Finding>> = BTreeMap::new();
        let mut suppressed = 0;
        for finding in &report.findings {
            if counts(finding) {
                by_package.entry(finding.package).or_default().push(finding);
            } else {
                suppressed += 1;
            }
        }
        let counted = by_package.values().map(Vec::len).sum();
        let mut rows: Vec<Upgrade<'_>> = by_package
            .into_values()
            .filter_map(|findings| Some(Upgrade { package: report.package_of(findings.first()?)?, findings }))
            .collect();
        rows.sort_by_key(|row| {
            let worst = row.findings.iter().map(|finding| (finding.known_exploited, finding.severity)).max();
            (Reverse(worst), Reverse(row.findings.len()), row.package.purl.clone())
        });
        Self { rows, counted, suppressed }
    }

    /// `3 findings: 1 critical, 2 low (4 more suppressed)`.
    pub(super) fn summary(&self) -> String {
        let mut parts = Vec::new();
        for severity in Severity::WORST_FIRST {
            let of = |finding: &&&Finding| finding.severity == severity;
            let number = self.rows.iter().flat_map(|row| &row.findings).filter(of).count();
            if number > 0 {
                parts.push(format!("{number} {severity}"));
            }
        }
        let listed = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
        let apart = match self.suppressed {
            0 => String::new(),
            number => format!(" ({number} more suppressed)"),
        };
        let word = if self.counted == 1 { "finding" } else { "findings" };
        format!("{} {word}{listed}{apart}", self.counted)
    }
}

impl Upgrade<'_> {
    /// The worst of its findings.
    pub(super) fn severity(&self) -> Severity {
        self.findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Unknown)
    }

    /// Whether one of them is known to be exploited.
    pub(super) fn is_exploited(&self) -> bool {
        self.findings.iter().any(|finding| finding.known_exploited)
    }

    /// The versions that repair them, without repetition: usually one repairs all.
    pub(super) fn versions(&self) -> Vec<&str> {
        let mut versions: Vec<&str> = Vec::new();
        for finding in &self.findings {
            match &finding.fix {
                Fix::Fixed { version } | Fix::ProOnly { version } => {
                    if !versions.contains(&version.as_str()) {
                        versions.push(version);
                    }
                }
                Fix::NoneYet | Fix::WillNotFix | Fix::Unknown => {}
            }
        }
        versions
    }

    /// The names of at most `most` findings, and how many more there are.
    pub(super) fn names(&self, most: usize) -> (Vec<&str>, usize) {
        let mut names: Vec<&str> = Vec::new();
        for finding in &self.findings {
            if !names.contains(&finding.id.as_str()) {
                names.push(&finding.id);
            }
        }
        let further = names.len().saturating_sub(most);
        names.truncate(most);
        (names, further)
    }
}

/// Whether a finding counts.
pub(super) fn counts(finding: &Finding) -> bool {
    match finding.status {
        FindingStatus::Affected | FindingStatus::DisputedRange => true,
        FindingStatus::Suppressed { .. } | FindingStatus::DistroUnassessed => false,
    }
}
