//! Which ecosystem, name and version a package is to be looked up by.

use std::borrow::Cow;
use std::collections::HashMap;

use shared::model::functions::{FunctionHash, FunctionSet};
use shared::model::image::Platform;
use shared::model::package::{Evidence, Level, Package, PackageKind, Purl};
use shared::model::report::{Confidence, CoverageState, Distribution, InstalledPackage, Inventory};

use super::artifacts;
use super::matches::Matcher;
use super::repaired::Repaired;
use crate::advisories::database::Artifact;
use crate::advisories::ecosystems::{self, Fit, NamedBy, OsEcosystems, Repairer, Standing};
use crate::advisories::{Database, DatabaseError};
use crate::advisories::{names, upstream};

/// What all packages of one inventory share.
pub(super) struct Scope<'a> {
    pub(super) inventory: &'a Inventory,
    pub(super) database: &'a Database,
    /// The distribution's advisories; `None` if there is no distribution, or nobody publishes any.
    own: Option<OsScope<'a>>,
    /// The same of each nested root, in the order of the inventory.
    nested: Vec<Option<OsScope<'a>>>,
    /// Repaired packages of the image's own root, and of each nested one.
    repaired: (Repaired<'a>, Vec<Repaired<'a>>),
    /// OS packages by purl and nested root: who may own what lies there.
    owners: HashMap<(&'a Purl, Option<&'a str>), &'a InstalledPackage>,
}

/// The image's own root, or one below it by its position in the inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Root {
    Own,
    Nested(usize),
}

/// The advisories of a distribution, as far as the database has them.
pub(super) struct OsScope<'a> {
    pub(super) distribution: &'a Distribution,
    pub(super) ecosystems: OsEcosystems,
    /// The ecosystem strings that the database knows; empty means no coverage.
    pub(super) names: Vec<&'a str>,
    /// The subscribers' ecosystem beside the one that everybody gets.
    pro: Option<&'a str>,
    /// The ecosystems of builds in FIPS mode.
    fips: Vec<&'a str>,
}

/// One look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question<'a> {
    pub(super) ecosystem: &'a str,
    pub(super) name: Cow<'a, str>,
    pub(super) version: Cow<'a, str>,
    /// How sure a match can be at best.
    pub(super) confidence: Confidence,
    pub(super) weight: Weight,
}

/// What an answer does to the answers to other questions about the same record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// It adds its matches.
    Adds,
    /// It decides the records that it speaks about.
    Decides,
}

/// What a package asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked<'a> {
    /// These questions; some may have no answer.
    Questions(Vec<Question<'a>>),
    /// Nothing, because nobody publishes advisories for it.
    NoAdvisories,
    /// Nothing, because it states no version.
    NoVersion,
    /// Nothing, because another distribution than the advisories' built it.
    Foreign,
    /// Nothing, because the database has no advisories of whoever repaired it.
    Unheard(Repairer),
    /// Nothing, because nobody can say which Maven package it is.
    UnknownGroup,
}

impl<'a> Scope<'a> {
    pub(super) fn new(inventory: &'a Inventory, database: &'a Database) -> Self {
        let scope = |distribution: &'a Option<Distribution>, repositories: &[String]| {
            let distribution = distribution.as_ref()?;
            let ecosystems = ecosystems::of_root(distribution, repositories)?;
            Some(OsScope::new(distribution, ecosystems, database))
        };
        let nested = inventory.nested_roots.iter();
        let repaired = |distribution: &Option<Distribution>| Repaired::new(distribution.as_ref(), database);
        let mut owners = HashMap::new();
        for installed in
            inventory.packages.iter().filter(|installed| installed.package.kind.level() == Level::Os)
        {
            owners.entry((&installed.purl, installed.nested_root.as_deref())).or_insert(installed);
        }
        Self {
            inventory,
            database,
            own: scope(&inventory.distribution, &inventory.repositories),
            nested: nested.clone().map(|root| scope(&root.distribution, &root.repositories)).collect(),
            repaired: (
                repaired(&inventory.distribution),
                nested.map(|root| repaired(&root.distribution)).collect(),
            ),
            owners,
        }
    }

    /// The advisories of the distribution of the root that a package lies in.
    pub(super) fn os(&self, installed: &InstalledPackage) -> Option<&OsScope<'a>> {
        self.os_of(self.root(installed))
    }

    pub(super) fn os_of(&self, root: Root) -> Option<&OsScope<'a>> {
        match root {
            Root::Own => self.own.as_ref(),
            Root::Nested(position) => self.nested.get(position)?.as_ref(),
        }
    }

    /// The root that a package lies in. A root that the inventory does not list has no distribution.
    pub(super) fn root(&self, installed: &InstalledPackage) -> Root {
        let Some(path) = &installed.nested_root else { return Root::Own };
        let roots = &self.inventory.nested_roots;
        Root::Nested(roots.binary_search_by(|root| root.path.cmp(path)).unwrap_or(roots.len()))
    }

    /// What the root that a package lies in knows about repaired packages.
    pub(super) fn repaired(&self, installed: &InstalledPackage) -> &Repaired<'a> {
        let (own, nested) = &self.repaired;
        match self.root(installed) {
            Root::Own => own,
            Root::Nested(position) => nested.get(position).unwrap_or(own),
        }
    }

    /// Whether somebody else than its publisher repaired a package.
    pub(super) fn is_repaired(&self, installed: &InstalledPackage) -> bool {
        self.repaired(installed).repairer(&installed.package).is_some()
    }

    pub(super) fn platform(&self) -> Option<&'a Platform> {
        self.inventory.platform.as_ref()
    }

    /// The functions of the program that a Go module was found in; nothing if none of them is the module's, which a
    /// replacement by another module would look like.
    pub(super) fn functions(&self, installed: &InstalledPackage) -> Option<&'a FunctionSet> {
        let package = &installed.package;
        if package.kind != PackageKind::Golang {
            return None;
        }
        let programs = &self.inventory.programs;
        let position = programs.binary_search_by(|program| program.path.cmp(&installed.path)).ok()?;
        let functions = &programs[position].functions;
        let is_there = functions.contains(FunctionHash::of_package(package.name.as_bytes()));
        (is_there || package.name == "stdlib").then_some(functions)
    }

    /// What a package asks.
    pub(super) fn questions<'p>(
        &'p self,
        installed: &'p InstalledPackage,
        matcher: &Matcher<'_>,
    ) -> Result<Asked<'p>, DatabaseError> {
        let package = &installed.package;
        if package.version.is_empty() {
            return Ok(Asked::NoVersion);
        }
        if let Some(asked) = self.repaired(installed).questions(installed) {
            return Ok(asked);
        }
        match package.kind.level() {
            Level::Os => match self.os(installed) {
                Some(os) => {
                    let mut asked = os.questions_by_any_source(package, matcher)?;
                    if let Asked::Questions(questions) = &mut asked {
                        questions.extend(self.repaired(installed).host_questions(package));
                    }
                    Ok(asked)
                }
                None => Ok(Asked::NoAdvisories),
            },
            Level::Language if package.kind == PackageKind::Generic => program_questions(package, matcher),
            Level::Language => self.language_question(package, matcher),
        }
    }

    fn language_question<'p>(
        &'p self,
        package: &'p Package,
        matcher: &Matcher<'_>,
    ) -> Result<Asked<'p>, DatabaseError> {
        let known = ecosystems::of_package(package).filter(|name| self.database.has_ecosystem(name));
        let Some(ecosystem) = known else {
            return Ok(Asked::NoAdvisories);
        };
        let mut confidence = confidence(package);
        let name = match language_name(package) {
            Some(name) => name,
            None => match artifacts::meant(package, ecosystem, matcher)? {
                Artifact::Only(name) => {
                    confidence = confidence.max(Confidence::InferredGroup);
                    Cow::Owned(name)
                }
                // Whatever its group, there is nothing to find.
                Artifact::Unheard => return Ok(Asked::Questions(Vec::new())),
                Artifact::Several => return Ok(Asked::UnknownGroup),
            },
        };
        let name = match name {
            Cow::Borrowed(name) => names::normalized(ecosystem, name),
            Cow::Owned(name) => Cow::Owned(names::normalized(ecosystem, &name).into_owned()),
        };
        Ok(Asked::Questions(vec![Question {
            ecosystem,
            name,
            version: language_version(package),
            confidence,
            weight: Weight::Adds,
        }]))
    }

    /// The OS package that owns a language package's evidence.
    pub(super) fn owner(&self, installed: &InstalledPackage) -> Option<&'a InstalledPackage> {
        let place = (installed.owned_by.as_ref()?, installed.nested_root.as_deref());
        self.owners.get(&place).copied()
    }
}

impl<'a> OsScope<'a> {
    fn new(distribution: &'a Distribution, ecosystems: OsEcosystems, database: &'a Database) -> Self {
        let known = || database.ecosystems().iter().map(|row| row.name.as_str());
        let names = known().filter(|name| ecosystems.covers(name)).collect();
        let subscription = &ecosystems.subscription;
        let pro = known().find(|name| subscription.iter().any(|wanted| wanted == name));
        let fips = ecosystems.fips.iter().filter_map(|wanted| known().find(|name| name == wanted)).collect();
        Self { distribution, ecosystems, names, pro, fips }
    }

    /// Whether the advisories are about source packages.
    pub(super) fn is_named_by_source(&self) -> bool {
        self.ecosystems.named_by == NamedBy::Source
    }

    /// How much the advisories can say; nothing, if the database has none of them.
    pub(super) fn coverage(&self) -> CoverageState {
        if self.names.is_empty() { CoverageState::None } else { self.ecosystems.coverage }
    }

    pub(super) fn questions<'p>(&'p self, package: &'p Package) -> Asked<'p> {
        let asked = self.asked(package);
        if asked.is_empty() || package.kind != self.ecosystems.kind {
            return Asked::NoAdvisories;
        }
        if !self.is_fips(package) && self.ecosystems.is_foreign(package) {
            return Asked::Foreign;
        }
        let fit = match self.ecosystems.fit {
            Fit::Exact => Confidence::Exact,
            Fit::RepositoryAssumed => Confidence::RepositoryAssumed,
            Fit::Approximate => Confidence::Approximate,
        };
        let fit = match package.evidence {
            Evidence::ArchiveNotInstalled => fit.max(Confidence::ArchiveNotInstalled),
            Evidence::Claimed => fit.max(Confidence::DeclaredBySbom),
            Evidence::Installed
            | Evidence::Inferred
            | Evidence::Embedded
            | Evidence::Unmatched
            | Evidence::Declared
            | Evidence::Recognised => fit,
        };
        let mut questions = Vec::with_capacity(asked.len());
        for (ecosystem, weight) in asked {
            let mut ask = |name: &'p str, version: &'p str, confidence: Confidence| {
                questions.push(Question {
                    ecosystem,
                    name: Cow::Borrowed(name),
                    version: Cow::Borrowed(version),
                    confidence,
                    weight,
                });
            };
            let (source, source_version) = source_of(package);
            let by_source = if source == package.name { fit } else { fit.max(Confidence::BySource) };
            match self.ecosystems.named_by {
                NamedBy::Source => ask(source, source_version, by_source),
                NamedBy::Binary => ask(&package.name, &package.version, fit),
                NamedBy::Both => {
                    ask(&package.name, &package.version, fit);
                    if source != package.name {
                        ask(source, source_version, by_source);
                    }
                }
            }
        }
        Asked::Questions(questions)
    }

    /// The questions of a package; of one whose database does not say what it was built from, also by the sources that
    /// advisories know. Their version is then the binary's, as almost always.
    fn questions_by_any_source<'p>(
        &'p self,
        package: &'p Package,
        matcher: &Matcher<'_>,
    ) -> Result<Asked<'p>, DatabaseError> {
        let mut asked = self.questions(package);
        if let Asked::Questions(questions) = &mut asked
            && package.source.is_none()
            && self.is_named_by_source()
        {
            for position in 0..questions.len() {
                let question = questions[position].clone();
                for source in matcher.sources(question.ecosystem, &package.name)? {
                    let confidence = question.confidence.max(Confidence::BySource);
                    questions.push(Question { name: Cow::Owned(source), confidence, ..question.clone() });
                }
            }
        }
        Ok(asked)
    }

    /// Who is asked about a package, and whether the answer settles what the others say.
    fn asked(&self, package: &Package) -> Vec<(&'a str, Weight)> {
        if self.is_fips(package) {
            return self.fips.iter().map(|ecosystem| (*ecosystem, Weight::Decides)).collect();
        }
        let entitled = self.entitled(package).map(|ecosystem| (ecosystem, Weight::Decides));
        entitled.into_iter().chain(self.names.iter().map(|ecosystem| (*ecosystem, Weight::Adds))).collect()
    }

    /// The subscribers' advisories decide where the root is one's, or the package itself came from there.
    fn entitled(&self, package: &Package) -> Option<&'a str> {
        let is_subscriber = self.ecosystems.standing == Standing::Subscriber;
        self.pro.filter(|_| is_subscriber || package.version.contains("esm"))
    }

    /// Whether the advisories for builds in FIPS mode, and no others, speak about a package.
    fn is_fips(&self, package: &Package) -> bool {
        !self.fips.is_empty() && self.ecosystems.is_fips(package)
    }

    /// Where subscribers' fixes of a package are to be had.
    pub(super) fn pro_of(&self, package: &Package) -> Option<&'a str> {
        self.pro.filter(|_| !self.is_fips(package))
    }
}

/// What a program without a packaging system asks: all who speak about it, each in its own words.
fn program_questions<'p>(package: &'p Package, matcher: &Matcher<'_>) -> Result<Asked<'p>, DatabaseError> {
    let mut questions = Vec::new();
    for place in upstream::places(&package.name) {
        if matcher.has_package(place.ecosystem, place.name)? {
            questions.push(Question {
                ecosystem: place.ecosystem,
                name: Cow::Borrowed(place.name),
                version: place.version(&package.version),
                confidence: confidence(package),
                weight: Weight::Adds,
            });
        }
    }
    Ok(if questions.is_empty() { Asked::NoAdvisories } else { Asked::Questions(questions) })
}

/// How sure a match can be by the evidence for the package.
pub(super) fn confidence(package: &Package) -> Confidence {
    match package.evidence {
        Evidence::Declared => Confidence::Declared,
        Evidence::Claimed => Confidence::DeclaredBySbom,
        Evidence::Recognised => Confidence::UpstreamBinary,
        Evidence::ArchiveNotInstalled => Confidence::ArchiveNotInstalled,
        Evidence::Inferred => Confidence::InferredGroup,
        Evidence::Installed | Evidence::Embedded | Evidence::Unmatched => Confidence::Exact,
    }
}

/// Name and version of the source package; the binary's where the database does not state them.
pub(super) fn source_of(package: &Package) -> (&str, &str) {
    match &package.source {
        Some(source) => {
            let version = source.version.as_deref().unwrap_or(&package.version);
            (&source.name, version)
        }
        None => (&package.name, &package.version),
    }
}

/// The name as the ecosystem writes it; `None` for a Maven artifact whose group nothing states.
pub(super) fn language_name(package: &Package) -> Option<Cow<'_, str>> {
    if package.evidence == Evidence::Inferred {
        return None;
    }
    let separator = match package.kind {
        PackageKind::Maven => ':',
        _ => '/',
    };
    match package.namespace.as_deref().filter(|namespace| !namespace.is_empty()) {
        Some(namespace) => Some(Cow::Owned(format!("{namespace}{separator}{}", package.name))),
        None if package.kind == PackageKind::Maven => None,
        None => Some(Cow::Borrowed(&package.name)),
    }
}

/// The version as the ecosystem writes it: Go's own releases are `go1.22.1` in binaries, `1.22.1` in advisories;
/// Bitnami's advisories know no revisions of its builds (`1.2.3-4`).
fn language_version(package: &Package) -> Cow<'_, str> {
    let is_go =
        package.kind == PackageKind::Golang && matches!(package.name.as_str(), "stdlib" | "toolchain");
    if package.kind == PackageKind::Bitnami {
        let upstream = package.version.split('-').next().unwrap_or(&package.version);
        return Cow::Borrowed(upstream);
    }
    if !is_go {
        return Cow::Borrowed(&package.version);
    }
    go_release(package.version.strip_prefix("go").unwrap_or(&package.version))
}

/// Go's release as a semantic version: `1.27rc2` and `1.27.0-rc2` are `1.27.0-rc.2` in advisories, so that the tenth
/// candidate follows the ninth (golang.org/x/vuln, `GoTagToSemver`).
fn go_release(version: &str) -> Cow<'_, str> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let candidate = ["alpha", "beta", "rc"].iter().find_map(|stage| {
        let (line, number) = version.split_once(stage)?;
        let line = line.strip_suffix('-').unwrap_or(line);
        let patch = match line.split('.').count() {
            2 => ".0",
            3 => "",
            _ => return None,
        };
        let is_candidate = is_number(number) && line.split('.').all(is_number);
        is_candidate.then(|| format!("{line}{patch}-{stage}.{number}"))
    });
    candidate.map_or(Cow::Borrowed(version), Cow::Owned)
}
