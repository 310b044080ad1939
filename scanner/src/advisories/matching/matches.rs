//! Asks the database, and remembers: many binary packages share one source, many packages one advisory.

use std::collections::HashMap;
use std::rc::Rc;

use shared::model::functions::{FunctionHash, FunctionSet};
use shared::model::image::Platform;
use shared::model::report::{Confidence, Probability};

use super::fixes::{self, RecordFix};
use super::modules;
use super::questions::Question;
use super::ranges::{self, Answer};
use crate::advisories::database::{Artifact, Reader};
use crate::advisories::exploitation::Exploitation;
use crate::advisories::record::{
    RecordNumber, StoredAdvisory, StoredEntry, StoredFlaw, StoredRating, StoredUrgency,
};
use crate::advisories::versions::Scheme;
use crate::advisories::{Database, DatabaseError};

/// An advisory that affects a package, or cannot be shown not to.
#[derive(Clone, Debug)]
pub(super) struct Match {
    pub(super) number: RecordNumber,
    pub(super) head: Rc<StoredAdvisory>,
    /// Never `Unaffected`.
    pub(super) answer: Answer,
    pub(super) confidence: Confidence,
    /// A rating for just this package.
    pub(super) rating: Option<StoredRating>,
    pub(super) urgency: Option<StoredUrgency>,
    pub(super) fix: RecordFix,
    /// It concerns other systems or machines than the image's.
    pub(super) elsewhere: bool,
    /// Whether the program has what carries the flaw.
    pub(super) linkage: Linkage,
}

/// Whether code that carries a flaw is in the program that a package was found in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Linkage {
    /// The advisory, or the program, does not say.
    Unknown,
    /// Some of it is.
    Linked,
    /// The linker left all of it out.
    NotLinked,
}

/// All answers to one question.
#[derive(Clone, Debug, Default)]
pub(super) struct Matches {
    /// The records that affect the package, by number.
    pub(super) affecting: Vec<Match>,
    /// The records that speak about the package and do not affect it, sorted.
    pub(super) sparing: Vec<RecordNumber>,
}

/// Everything about the asking package that an answer depends on beside the question.
#[derive(Clone, Copy)]
pub(super) struct Asker<'p> {
    /// Name of the binary package, where advisories may list those that carry the flaw.
    pub(super) binary: Option<&'p str>,
    /// The installed version and module label of an rpm.
    pub(super) module: Option<modules::Installed<'p>>,
    pub(super) platform: Option<&'p Platform>,
    /// What is linked into the program that the package was found in.
    pub(super) functions: Option<&'p FunctionSet>,
}

impl Linkage {
    /// Of several: left out only if all are known to be.
    pub(super) fn of_all(all: impl Iterator<Item = Self>) -> Self {
        let worst = |one, other| match (one, other) {
            (Self::Linked, _) | (_, Self::Linked) => Self::Linked,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::NotLinked, Self::NotLinked) => Self::NotLinked,
        };
        all.reduce(worst).unwrap_or(Self::Unknown)
    }
}

type Key = (String, String, String);

/// The most answers and advisories that are remembered between images.
const MOST_REMEMBERED: usize = 400_000;

/// The database with a memory for what was asked before.
pub(super) struct Matcher<'d> {
    reader: Reader<'d>,
    heads: HashMap<RecordNumber, Rc<StoredAdvisory>>,
    flaws: HashMap<String, Option<Rc<StoredFlaw>>>,
    answers: HashMap<Key, Rc<Vec<Answered>>>,
    cves: HashMap<(String, String), Rc<Vec<String>>>,
}

/// What one record says about one version, before the asker is looked at.
#[derive(Clone, Debug)]
struct Answered {
    number: RecordNumber,
    answer: Answer,
    fix: RecordFix,
    remarks: Vec<Remark>,
}

/// What one entry of the record says beside its versions.
#[derive(Clone, Debug, Default)]
struct Remark {
    affects: bool,
    rating: Option<StoredRating>,
    urgency: Option<StoredUrgency>,
    binaries: Vec<String>,
    systems: Vec<String>,
    architectures: Vec<String>,
    functions: Vec<FunctionHash>,
}

impl<'d> Matcher<'d> {
    pub(super) fn new(database: &'d Database) -> Result<Self, DatabaseError> {
        Ok(Self {
            reader: database.reader()?,
            heads: HashMap::new(),
            flaws: HashMap::new(),
            answers: HashMap::new(),
            cves: HashMap::new(),
        })
    }

    /// Which advisories affect the version that a question names.
    pub(super) fn ask(
        &mut self,
        question: &Question<'_>,
        asker: Asker<'_>,
    ) -> Result<Matches, DatabaseError> {
        let answers = self.answers(question)?;
        let mut matches = Matches::default();
        for answered in answers.iter() {
            if answered.answer == Answer::Unaffected {
                matches.sparing.push(answered.number);
                continue;
            }
            let head = self.head(answered.number)?;
            match answered.for_asker(question, asker, head) {
                Some(found) => matches.affecting.push(found),
                None => matches.sparing.push(answered.number),
            }
        }
        Ok(matches)
    }

    /// Every record that speaks about the package, with its answer.
    fn answers(&mut self, question: &Question<'_>) -> Result<Rc<Vec<Answered>>, DatabaseError> {
        let key: Key = (
            question.ecosystem.to_owned(),
            question.name.clone().into_owned(),
            question.version.clone().into_owned(),
        );
        if let Some(known) = self.answers.get(&key) {
            return Ok(Rc::clone(known));
        }
        let mut answers = Vec::new();
        if let Some(package) = self.reader.package(question.ecosystem, &question.name)? {
            let scheme = Scheme::of_ecosystem(question.ecosystem);
            let stored = self.reader.entries(&package)?;
            let of_one_record = stored.entries.chunk_by(|a, b| a.record == b.record);
            answers.extend(of_one_record.map(|entries| answer(entries, &question.version, scheme)));
        }
        let answers = Rc::new(answers);
        self.answers.insert(key, Rc::clone(&answers));
        Ok(answers)
    }

    /// An advisory without its packages.
    pub(super) fn head(&mut self, number: RecordNumber) -> Result<Rc<StoredAdvisory>, DatabaseError> {
        if let Some(known) = self.heads.get(&number) {
            return Ok(Rc::clone(known));
        }
        let head = Rc::new(self.reader.advisory(number)?);
        self.heads.insert(number, Rc::clone(&head));
        Ok(head)
    }

    /// The number of an advisory, if there is one of this id.
    pub(super) fn number_of(&self, id: &str) -> Result<Option<RecordNumber>, DatabaseError> {
        self.reader.number_of(id)
    }

    /// Forgets what was remembered, once it is more than any single image needs.
    pub(super) fn forget_excess(&mut self) {
        let remembered = self.heads.len() + self.flaws.len() + self.answers.len() + self.cves.len();
        if remembered > MOST_REMEMBERED {
            self.heads.clear();
            self.flaws.clear();
            self.answers.clear();
            self.cves.clear();
        }
    }

    /// What all records together know about a flaw.
    pub(super) fn flaw(&mut self, name: &str) -> Result<Option<Rc<StoredFlaw>>, DatabaseError> {
        if let Some(known) = self.flaws.get(name) {
            return Ok(known.clone());
        }
        let flaw = self.reader.flaw(name)?.map(Rc::new);
        self.flaws.insert(name.to_owned(), flaw.clone());
        Ok(flaw)
    }

    /// What is known about the exploitation of any of these names; the worst of it.
    pub(super) fn exploitation<'n>(
        &self,
        names: impl Iterator<Item = &'n str>,
    ) -> Result<(bool, Option<Probability>), DatabaseError> {
        let mut worst = (false, None);
        for name in names {
            let Exploitation { known_exploited, epss } = self.reader.exploitation(name)?;
            worst = (worst.0 || known_exploited, worst.1.max(epss));
        }
        Ok(worst)
    }

    /// Whether any advisory speaks about a package.
    pub(super) fn has_package(&self, ecosystem: &str, name: &str) -> Result<bool, DatabaseError> {
        self.reader.has_package(ecosystem, name)
    }

    /// Which Maven package of all groups has this artifact.
    pub(super) fn artifact(&self, artifact: &str) -> Result<Artifact, DatabaseError> {
        self.reader.artifact(artifact)
    }

    /// The source packages that a binary package was built from, where advisories say so and they have other names.
    pub(super) fn sources(&self, ecosystem: &str, binary: &str) -> Result<Vec<String>, DatabaseError> {
        self.reader.sources(ecosystem, binary)
    }

    /// The CVEs that the advisories of one package speak about, whatever its version; sorted.
    pub(super) fn cves_of(&mut self, ecosystem: &str, name: &str) -> Result<Rc<Vec<String>>, DatabaseError> {
        let key = (ecosystem.to_owned(), name.to_owned());
        if let Some(known) = self.cves.get(&key) {
            return Ok(Rc::clone(known));
        }
        let mut cves = Vec::new();
        if let Some(package) = self.reader.package(ecosystem, name)? {
            let numbers: Vec<_> =
                self.reader.entries(&package)?.entries.iter().map(|entry| entry.record).collect();
            for number in numbers {
                cves.extend(self.head(number)?.cves.iter().cloned());
            }
        }
        cves.sort_unstable();
        cves.dedup();
        let cves = Rc::new(cves);
        self.cves.insert(key, Rc::clone(&cves));
        Ok(cves)
    }
}

/// What the entries of one record say about a version of their package.
fn answer(entries: &[StoredEntry<'_>], version: &str, scheme: Option<Scheme>) -> Answered {
    let answers: Vec<Answer> =
        entries.iter().map(|entry| ranges::entry_affects(entry, version, scheme)).collect();
    let answer = answers.iter().copied().max().unwrap_or(Answer::Unaffected);
    let (fix, remarks) = if answer == Answer::Unaffected {
        (RecordFix::Open, Vec::new())
    } else {
        let affected = entries.iter().zip(&answers).map(|(entry, answer)| (entry, *answer));
        let remarks = affected.map(|(entry, answer)| Remark::new(entry, answer)).collect();
        (fixes::of_record(entries, version, scheme), remarks)
    };
    Answered { number: entries.first().map_or(0, |entry| entry.record), answer, fix, remarks }
}

impl Remark {
    fn new(entry: &StoredEntry<'_>, answer: Answer) -> Self {
        let affects = answer != Answer::Unaffected;
        let Some(stored) = &entry.remarks else {
            return Self { affects, ..Self::default() };
        };
        let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        Self {
            affects,
            rating: stored.rating.clone(),
            urgency: stored.urgency,
            binaries: owned(&stored.binaries),
            systems: owned(&stored.systems),
            architectures: owned(&stored.architectures),
            functions: stored.functions.clone(),
        }
    }

    /// Whether anything that carries the flaw is among the functions of a program.
    fn linkage(&self, functions: Option<&FunctionSet>) -> Linkage {
        match functions {
            Some(functions) if !self.functions.is_empty() => {
                let is_linked = self.functions.iter().any(|function| functions.contains(*function));
                if is_linked { Linkage::Linked } else { Linkage::NotLinked }
            }
            Some(_) | None => Linkage::Unknown,
        }
    }

    /// Whether the entry is limited to other systems or machines. An unknown platform is never "elsewhere".
    fn is_elsewhere(&self, platform: Option<&Platform>) -> bool {
        let excludes = |list: &[String], own: &str| !list.is_empty() && !list.iter().any(|name| name == own);
        platform.is_some_and(|platform| {
            excludes(&self.systems, &platform.os) || excludes(&self.architectures, &platform.architecture)
        })
    }
}

impl Answered {
    /// The match for one asking package; `None` if the record does not mean this one.
    fn for_asker(
        &self,
        question: &Question<'_>,
        asker: Asker<'_>,
        head: Rc<StoredAdvisory>,
    ) -> Option<Match> {
        let affecting = || self.remarks.iter().filter(|remark| remark.affects);
        let mut confidence = question.confidence;
        if let Some(binary) = asker.binary {
            let lists = |remark: &Remark| remark.binaries.iter().any(|name| name == binary);
            let knows_binaries = affecting().all(|remark| !remark.binaries.is_empty());
            if knows_binaries && !affecting().any(lists) {
                return None;
            }
            if knows_binaries && confidence == Confidence::BySource {
                confidence = Confidence::Exact;
            }
        }
        if let Some(installed) = asker.module {
            confidence = confidence.max(modules::compare(installed, &self.fix, &head)?);
        }
        if self.answer == Answer::Undecidable {
            confidence = Confidence::UnparsableVersion;
        }
        Some(Match {
            number: self.number,
            answer: self.answer,
            confidence,
            rating: affecting().find_map(|remark| remark.rating.clone()),
            urgency: affecting().find_map(|remark| remark.urgency),
            fix: self.fix.clone(),
            elsewhere: affecting().all(|remark| remark.is_elsewhere(asker.platform)),
            linkage: Linkage::of_all(affecting().map(|remark| remark.linkage(asker.functions))),
            head,
        })
    }
}
