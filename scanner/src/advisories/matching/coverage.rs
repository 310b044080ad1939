//! What was judged and what was not: coverage rows for everything present, problems for everything missing (I11).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};

use shared::model::package::{Level, Package, PackageKind, Purl};
use shared::model::problem::{Problem, ProblemKind};
use shared::model::report::{Coverage, CoverageState, Distribution, InstalledPackage};

use super::questions::{Asked, OsScope, Root, Scope};
use crate::advisories::ecosystems::{self, Fit};

/// Counts packages while they are judged.
pub(super) struct Tally<'s> {
    scope: &'s Scope<'s>,
    /// OS packages under their root and kind, language packages under theirs, whatever their root.
    kinds: BTreeMap<(Root, PackageKind), Counted<'s>>,
    /// The OS packages whose programs were judged as what their authors released.
    judged_as_programs: BTreeSet<&'s Purl>,
}

#[derive(Default)]
struct Counted<'s> {
    judged: u32,
    unpublished: u32,
    unversioned: Named,
    foreign: Vec<&'s InstalledPackage>,
    ungrouped: Named,
    /// Repaired by somebody else, and judged with that one's advisories, by ecosystem.
    repaired: BTreeMap<String, u32>,
    /// Repaired by somebody of whom the database has no advisories.
    unheard: BTreeMap<&'static str, Named>,
    /// The ecosystems that programs were judged with; other packages have one for all of their kind.
    consulted: BTreeSet<String>,
    /// Of those judged: nothing says what source they were built from, and advisories name sources.
    sourceless: u32,
}

/// So many packages, the first few by name.
#[derive(Default)]
struct Named {
    count: u32,
    names: Vec<String>,
}

impl Named {
    /// Names that are kept; more are not read by anybody.
    const SHOWN: usize = 5;
    /// Characters of one.
    const LONGEST: usize = 60;

    fn add(&mut self, package: &Package) {
        self.count = self.count.saturating_add(1);
        let name: String = package.name.chars().take(Self::LONGEST).collect();
        if self.names.len() < Self::SHOWN && !self.names.contains(&name) {
            self.names.push(name);
        }
    }
}

impl Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names.join(", "))?;
        match usize::try_from(self.count).unwrap_or(usize::MAX).saturating_sub(self.names.len()) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl<'s> Tally<'s> {
    pub(super) fn new(scope: &'s Scope<'s>) -> Self {
        Self { scope, kinds: BTreeMap::new(), judged_as_programs: BTreeSet::new() }
    }

    /// Counts one package.
    pub(super) fn count(&mut self, installed: &'s InstalledPackage, asked: &Asked<'_>) {
        let package = &installed.package;
        let root = match package.kind.level() {
            Level::Os => self.scope.root(installed),
            Level::Language => Root::Own,
        };
        let counted = self.kinds.entry((root, package.kind)).or_default();
        let is_repaired = self.scope.is_repaired(installed);
        let one_more = |count: &mut u32| *count = count.saturating_add(1);
        match asked {
            Asked::Questions(questions) if is_repaired => {
                let ecosystem = questions.first().map_or("", |question| question.ecosystem);
                one_more(counted.repaired.entry(ecosystem.to_owned()).or_default());
            }
            Asked::Questions(_) => one_more(&mut counted.judged),
            Asked::NoAdvisories => one_more(&mut counted.unpublished),
            Asked::NoVersion => counted.unversioned.add(package),
            Asked::Foreign => counted.foreign.push(installed),
            Asked::Unheard(repairer) => counted.unheard.entry(repairer.name()).or_default().add(package),
            Asked::UnknownGroup => counted.ungrouped.add(package),
        }
        if let (PackageKind::Generic, Asked::Questions(questions)) = (package.kind, asked) {
            counted.consulted.extend(questions.iter().map(|question| question.ecosystem.to_owned()));
            self.judged_as_programs.extend(&installed.owned_by);
        }
        // Some advisories say what is built from a source; then it is known all the same.
        let asks_by_name_alone = match asked {
            Asked::Questions(questions) => {
                !is_repaired && questions.iter().all(|question| question.name == package.name)
            }
            Asked::NoAdvisories
            | Asked::NoVersion
            | Asked::Foreign
            | Asked::Unheard(_)
            | Asked::UnknownGroup => false,
        };
        let is_named_by_source = self.scope.os_of(root).is_some_and(OsScope::is_named_by_source);
        if asks_by_name_alone
            && package.kind.level() == Level::Os
            && package.source.is_none()
            && is_named_by_source
        {
            counted.sourceless = counted.sourceless.saturating_add(1);
        }
    }

    /// The rows, in the order of kinds, and what stands between them and the whole truth.
    pub(super) fn finish(self) -> (Vec<Coverage>, Vec<Problem>) {
        let mut rows = Vec::new();
        let mut problems = Vec::new();
        for ((root, kind), counted) in &self.kinds {
            let row = self.row(*root, *kind, counted);
            // That a root below the image's own says nothing of its distribution was said when it was found.
            if *root == Root::Own || self.distribution(*root).is_some() {
                counted.explain(&row, &self.judged_as_programs, &mut problems);
            }
            rows.extend(counted.repaired.iter().map(|(ecosystem, packages)| Coverage {
                subject: row.subject.clone(),
                ecosystem: Some(ecosystem.clone()),
                packages: *packages,
                state: CoverageState::FixedOnly,
            }));
            if !counted.is_repaired_alone() {
                rows.push(row);
            }
        }
        let of_os = self.kinds.keys().filter(|(_, kind)| kind.level() == Level::Os);
        let roots: BTreeSet<Root> = of_os.map(|(root, _)| *root).collect();
        for os in roots.into_iter().filter_map(|root| self.scope.os_of(root)) {
            explain_distribution(os, &mut problems);
        }
        (rows, problems)
    }

    fn row(&self, root: Root, kind: PackageKind, counted: &Counted) -> Coverage {
        let (subject, ecosystem, state) = match kind.level() {
            Level::Os => self.distribution_row(root, kind),
            Level::Language if !counted.consulted.is_empty() => {
                let state =
                    if counted.unpublished == 0 { CoverageState::Full } else { CoverageState::Partial };
                let ecosystems: Vec<&str> = counted.consulted.iter().map(String::as_str).collect();
                (kind.purl_type().to_owned(), Some(ecosystems.join(", ")), state)
            }
            Level::Language => {
                let ecosystem = ecosystems::of_kind(kind);
                let known = ecosystem.is_some_and(|name| self.scope.database.has_ecosystem(name));
                let state = if known { CoverageState::Full } else { CoverageState::None };
                (kind.purl_type().to_owned(), ecosystem.map(str::to_owned), state)
            }
        };
        Coverage { subject, ecosystem, packages: counted.judged, state }
    }

    /// A kind that the distribution's advisories do not speak about has a row of its own.
    fn distribution_row(&self, root: Root, kind: PackageKind) -> (String, Option<String>, CoverageState) {
        let place = match root {
            Root::Own => String::new(),
            Root::Nested(position) => {
                let root = self.scope.inventory.nested_roots.get(position);
                format!(" in {}", root.map_or("a nested root", |root| &root.path))
            }
        };
        let os = self.scope.os_of(root);
        if os.is_some_and(|os| os.ecosystems.kind != kind) {
            return (format!("{kind}{place}"), None, CoverageState::None);
        }
        let mut subject = match self.distribution(root) {
            Some(distribution) if distribution.version.is_empty() => distribution.id.clone(),
            Some(distribution) => format!("{} {}", distribution.id, distribution.version),
            None => format!("unknown distribution ({kind})"),
        };
        subject.push_str(&place);
        match os {
            Some(os) => {
                let wanted = os.ecosystems.names.first().map(String::as_str);
                let known = wanted.filter(|name| os.names.contains(name));
                let ecosystem = known.or(os.names.first().copied()).or(wanted).map(str::to_owned);
                (subject, ecosystem, os.coverage())
            }
            None => (subject, None, CoverageState::None),
        }
    }

    fn distribution(&self, root: Root) -> Option<&Distribution> {
        let inventory = self.scope.inventory;
        match root {
            Root::Own => inventory.distribution.as_ref(),
            Root::Nested(position) => inventory.nested_roots.get(position)?.distribution.as_ref(),
        }
    }
}

fn explain_distribution(os: &OsScope<'_>, problems: &mut Vec<Problem>) {
    let mut add = |kind, detail: String| problems.push(Problem::new(kind, detail));
    let (name, ecosystem) = (&os.distribution.name, os.names.join(", "));
    match (os.coverage(), os.ecosystems.fit) {
        (CoverageState::None, _) | (_, Fit::Exact) => {}
        (_, Fit::Approximate) => add(
            ProblemKind::ApproximateDistribution,
            format!("{name} is judged with the advisories of a related distribution: {ecosystem}"),
        ),
        (_, Fit::RepositoryAssumed) => add(
            ProblemKind::RepositoryAssumed,
            format!("which repositories of {name} the image uses is assumed: {ecosystem}"),
        ),
    }
    match os.coverage() {
        CoverageState::Partial => add(
            ProblemKind::PartialCoverage,
            format!("advisories of {ecosystem} cover only a part of the distribution's repositories"),
        ),
        CoverageState::Full | CoverageState::FixedOnly | CoverageState::None => {}
    }
}

impl Counted<'_> {
    /// Whether nothing of this kind is as its publisher built it.
    fn is_repaired_alone(&self) -> bool {
        let named = [&self.unversioned, &self.ungrouped].map(|named| named.count);
        let mut others = [self.judged, self.unpublished].into_iter().chain(named);
        !self.repaired.is_empty()
            && self.unheard.is_empty()
            && self.foreign.is_empty()
            && others.all(|count| count == 0)
    }

    /// What is missing for one kind of package. What comes from elsewhere is not, where its program was judged.
    fn explain(&self, row: &Coverage, judged_as_programs: &BTreeSet<&Purl>, problems: &mut Vec<Problem>) {
        let subject = &row.subject;
        let mut add = |kind, detail: String| problems.push(Problem::new(kind, detail));
        if self.unpublished > 0 {
            let detail = match &row.ecosystem {
                Some(ecosystem) if row.state == CoverageState::Partial => format!(
                    "{ecosystem} does not speak about {} packages of {subject}: they are not judged",
                    self.unpublished
                ),
                Some(ecosystem) => format!(
                    "the advisory database has nothing for {ecosystem}: {} packages of {subject} are not judged",
                    self.unpublished
                ),
                None => format!(
                    "nobody publishes advisories for {subject}: {} packages are not judged",
                    self.unpublished
                ),
            };
            add(ProblemKind::NoAdvisoryCoverage, detail);
        }
        let mut foreign = Named::default();
        for installed in self.foreign.iter().filter(|installed| !judged_as_programs.contains(&installed.purl))
        {
            foreign.add(&installed.package);
        }
        if foreign.count > 0 {
            let detail = format!(
                "{} packages come from elsewhere than {subject}, whose advisories do not cover them: {foreign}",
                foreign.count
            );
            add(ProblemKind::NoAdvisoryCoverage, detail);
        }
        for (repairer, packages) in &self.unheard {
            let detail = format!(
                "{} packages of {subject} are builds of {repairer}, of whom the advisory database has nothing; they are not judged: {packages}",
                packages.count
            );
            add(ProblemKind::NoAdvisoryCoverage, detail);
        }
        if self.unversioned.count > 0 {
            let detail = format!(
                "{} packages of {subject} state no version and are not judged: {}",
                self.unversioned.count, self.unversioned
            );
            add(ProblemKind::PartialCoverage, detail);
        }
        if self.sourceless > 0 {
            let detail = format!(
                "{} packages of {subject} do not state their source; advisories for sources of other names were not found",
                self.sourceless
            );
            add(ProblemKind::PartialCoverage, detail);
        }
        if self.ungrouped.count > 0 {
            let detail = format!(
                "{} archives of {subject} state no group, and what they are named fits none or several packages: {}",
                self.ungrouped.count, self.ungrouped
            );
            add(ProblemKind::PartialCoverage, detail);
        }
    }
}
