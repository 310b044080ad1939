//! What a package asks that somebody else than its publisher repaired: that somebody, and nobody else.

use std::borrow::Cow;

use shared::model::package::{Level, Package};
use shared::model::report::{Confidence, Distribution, InstalledPackage};

use super::questions::{Asked, Question, Weight, confidence, language_name, source_of};
use crate::advisories::ecosystems::{self, Repairer};
use crate::advisories::{Database, names};

/// The ecosystems of one root's repaired OS packages, as far as the database has them.
pub(super) struct Repaired<'a> {
    database: &'a Database,
    of_os: Vec<(Repairer, Vec<&'a str>)>,
    /// Whose packages all those of the root may be that carry no mark.
    host: Option<Repairer>,
    /// Whose mark the distribution's own packages carry.
    own: Option<Repairer>,
}

impl<'a> Repaired<'a> {
    /// Of a root with this distribution.
    pub(super) fn new(distribution: Option<&Distribution>, database: &'a Database) -> Self {
        let known = |repairer: Repairer| {
            let wanted = distribution.map_or_else(Vec::new, |own| repairer.of_distribution(own));
            (repairer, wanted.iter().flat_map(|name| known(database, name)).collect())
        };
        Self {
            database,
            of_os: Repairer::ALL.map(known).into(),
            host: distribution.filter(|own| ecosystems::is_docker_s(own)).map(|_| Repairer::DockerHardened),
            own: distribution.filter(|own| own.id == "echo").map(|_| Repairer::Echo),
        }
    }

    /// What a package asks that carries somebody's mark; `None` of a package without one.
    pub(super) fn questions<'p>(&'p self, installed: &'p InstalledPackage) -> Option<Asked<'p>> {
        let package = &installed.package;
        let repairer = self.repairer(package)?;
        let questions = match package.kind.level() {
            Level::Os => self.os_questions(package, repairer),
            Level::Language => self.language_questions(package, repairer),
        };
        Some(if questions.is_empty() { Asked::Unheard(repairer) } else { Asked::Questions(questions) })
    }

    /// Who repaired a package that its publisher's advisories do not speak about any more.
    pub(super) fn repairer(&self, package: &Package) -> Option<Repairer> {
        let is_os = package.kind.level() == Level::Os;
        Repairer::of(package).filter(|repairer| !(is_os && self.own == Some(*repairer)))
    }

    /// What a package without mark asks beside what its distribution's ask: it may be of whoever made the root.
    pub(super) fn host_questions<'p>(&'p self, package: &'p Package) -> Vec<Question<'p>> {
        self.host.map_or_else(Vec::new, |host| self.os_questions(package, host))
    }

    fn os_questions<'p>(&'p self, package: &'p Package, repairer: Repairer) -> Vec<Question<'p>> {
        let known = self.of_os.iter().filter(|(of, _)| *of == repairer).flat_map(|(_, names)| names);
        let (source, source_version) = source_of(package);
        let mut asked = vec![(package.name.as_str(), package.version.as_str(), Confidence::Exact)];
        if repairer.names_sources() && source != package.name {
            asked.push((source, source_version, Confidence::BySource));
        }
        let mut questions = Vec::new();
        for &ecosystem in known {
            for &(name, version, confidence) in &asked {
                let further = repairer.further_name(ecosystem, name).map(Cow::Owned);
                questions.extend([Some(Cow::Borrowed(name)), further].into_iter().flatten().map(|name| {
                    Question {
                        ecosystem,
                        name,
                        version: Cow::Borrowed(version),
                        confidence,
                        weight: Weight::Adds,
                    }
                }));
            }
        }
        questions
    }

    fn language_questions<'p>(&'p self, package: &'p Package, repairer: Repairer) -> Vec<Question<'p>> {
        let (Some(inner), Some(name)) = (ecosystems::of_package(package), language_name(package)) else {
            return Vec::new();
        };
        let mut questions = Vec::new();
        for ecosystem in known(self.database, &repairer.of_language(inner)) {
            let further = repairer.further_name(ecosystem, &name);
            questions.extend([Some(name.to_string()), further].into_iter().flatten().map(|name| Question {
                ecosystem,
                name: Cow::Owned(names::normalized(ecosystem, &name).into_owned()),
                version: Cow::Borrowed(package.version.as_str()),
                confidence: confidence(package),
                weight: Weight::Adds,
            }));
        }
        questions
    }
}

/// The database's spellings of an ecosystem: Echo writes `Echo:PyPI` and `Echo:PyPi`.
fn known<'a>(database: &'a Database, wanted: &str) -> impl Iterator<Item = &'a str> {
    let names = database.ecosystems().iter().map(|row| row.name.as_str());
    names.filter(move |name| name.eq_ignore_ascii_case(wanted))
}
