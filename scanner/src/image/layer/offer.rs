//! Offering a file to the analyzers that want it: head, size, permit, content, findings.

use std::collections::{HashMap, HashSet};
use std::io::BufRead as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use shared::model::observation::ObservationKind;
use shared::model::package::Level;
use shared::model::problem::{Problem, ProblemKind};

use super::LayerPass;
use super::head::{Code, Head};
use crate::analyzers::{Analyzer, BEGINNING, Candidate, CapturedFile, FileClass, Found};
use crate::image::analysis::{
    Checksums, Entry, Evidence, FileSums, LayerObservation, Reading, Summing, WantedLink,
};
use crate::image::capture::{Content, read_whole, read_without};
use crate::image::decompress::Inflated;
use crate::image::halt::Halt;
use crate::image::stored::Watch;
use crate::image::tar::Archive;
use crate::malware::{Detected, File};
use crate::secrets::{Cut, Extent, Searched};

/// Secrets of one layer that are kept.
const MOST_SECRETS: usize = 2000;
/// What is kept of malware in one layer; secrets that a layer is full of do not take its place.
const MOST_MALWARE: usize = 2000;

/// Whole files of a layer, by position.
pub(in crate::image) type Contents = HashMap<u32, Content>;

/// Which files a pass is for.
#[derive(Clone)]
pub(in crate::image) enum Focus {
    /// Every file that a trigger chooses.
    Everything,
    /// Only the files that links in an image lead to, by position.
    Linked(HashMap<u32, Vec<Request>>),
    /// Only the bytes of these files, by position, as far as they may be read at all.
    Contents(HashSet<u32>),
}

/// One analyzer's wish to read a file as if it lay at another path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::image) struct Request {
    pub(in crate::image) analyzer: String,
    pub(in crate::image) path: String,
}

/// An analyzer that will read a file.
struct Reader {
    analyzer: &'static dyn Analyzer,
    /// The path under which it was asked to.
    path: String,
    /// The path under which it knows the file.
    known_as: String,
}

impl Reader {
    fn wants_beginning(&self) -> bool {
        self.analyzer.class() == FileClass::Beginning
    }

    fn does_without_code(&self) -> bool {
        matches!(self.analyzer.class(), FileClass::BinaryWithoutCode | FileClass::Beginning)
    }
}

impl LayerPass<'_> {
    /// Lets everybody who wants a file read it. What cannot be read becomes a problem of the file.
    pub(super) fn offer(
        &mut self,
        position: u32,
        entry: &Entry,
        size: u64,
        archive: &mut Archive<Inflated>,
        watch: &Watch,
    ) -> Result<(), Halt> {
        match &self.focus {
            Focus::Everything => {}
            Focus::Linked(requests) => {
                let Some(requests) = requests.get(&position) else {
                    return Ok(());
                };
                // Each path is an evidence of its own; the content is read once.
                let requests = requests.clone();
                return self.read_linked(position, entry, size, &requests, archive, watch);
            }
            Focus::Contents(wanted) => {
                if wanted.contains(&position) && size <= self.kit.limits.database_bytes {
                    let content = read_whole(archive, &[], size, Vec::new()).map_err(Halt::of)?;
                    self.contents.insert(position, content);
                }
                return Ok(());
            }
        }
        let matched = self.kit.matcher.by_path(&entry.path);
        if matched.nested.is_some_and(|nested| nested.is_database) {
            self.nested_databases.push(position);
        }
        let head = Head::of(archive, size)?;
        let wanted = matched.wanted.union(self.kit.matcher.by_head(head.bytes()));
        if wanted.is_empty() {
            return self.search_rest(position, entry, size, &head, archive, watch, &mut Vec::new());
        }
        let readers = wanted.iter().map(|position| {
            let known_as = matched.known_to(position, &entry.path);
            Reader { analyzer: self.kit.analyzers[position], path: known_as.clone(), known_as }
        });
        let mut evidence = Evidence::new(position, None);
        let willing = self.willing(readers, entry, size, head.bytes(), &mut evidence);
        if willing.iter().all(Reader::wants_beginning) {
            let most = if willing.is_empty() { 0 } else { BEGINNING };
            let mut beginning = Vec::with_capacity(most.min(usize::try_from(size).unwrap_or(most)));
            self.search_rest(position, entry, size, &head, archive, watch, &mut beginning)?;
            for reader in &willing {
                self.hand_to(reader, entry, &beginning, &mut evidence);
            }
        } else {
            let (searched, detected) =
                self.capture(&willing, entry, size, &head, archive, watch, &mut evidence)?;
            self.keep_secrets(position, entry, searched);
            self.keep_malware(position, entry, detected);
        }
        self.package_count += evidence.package_count();
        if !evidence.readings.is_empty() || !evidence.problems.is_empty() {
            self.evidence.push(evidence);
        }
        if self.package_count > self.kit.limits.packages {
            return Err(Halt::Limit {
                what: "the number of packages",
                limit: self.kit.limits.packages as u64,
            });
        }
        Ok(())
    }

    /// Remembers a hard link whose path somebody wants.
    pub(super) fn note_link(&mut self, position: u32, path: &[u8]) {
        let matched = self.kit.matcher.by_path(path);
        if matched.nested.is_some_and(|nested| nested.is_database) {
            self.nested_databases.push(position);
        }
        if !matched.wanted.is_empty() {
            let names = matched.wanted.iter();
            self.links.push(WantedLink {
                entry: position,
                analyzers: names.map(|position| self.kit.analyzers[position].name().to_owned()).collect(),
            });
        }
    }

    fn read_linked(
        &mut self,
        position: u32,
        entry: &Entry,
        size: u64,
        requests: &[Request],
        archive: &mut Archive<Inflated>,
        watch: &Watch,
    ) -> Result<(), Halt> {
        let head = Head::of(archive, size)?;
        let all = self.kit.analyzers.iter();
        let readers = requests.iter().filter_map(|request| {
            let (position, analyzer) =
                all.clone().enumerate().find(|(_, analyzer)| analyzer.name() == request.analyzer)?;
            let path = request.path.as_bytes();
            let known_as = self.kit.matcher.by_path(path).known_to(position, path);
            Some(Reader { analyzer: *analyzer, path: request.path.clone(), known_as })
        });
        let mut together = Evidence::new(position, None);
        let willing = self.willing(readers, entry, size, head.bytes(), &mut together);
        if !willing.is_empty() {
            // The first pass over the layer has searched it.
            self.capture(&willing, entry, size, &head, archive, watch, &mut together)?;
        }
        // `readings` are in the order of `willing`: one evidence for each path.
        for (reader, reading) in willing.iter().zip(std::mem::take(&mut together.readings)) {
            let mut evidence = Evidence::new(position, Some(reader.path.clone()));
            evidence.checksums.clone_from(&together.checksums);
            evidence.readings.push(reading);
            self.evidence.push(evidence);
        }
        // Who did not want the file after all must not ask again.
        for request in requests {
            if !willing.iter().any(|reader| reader.path == request.path) {
                let mut evidence = Evidence::new(position, Some(request.path.clone()));
                evidence
                    .readings
                    .push(Reading { analyzer: request.analyzer.clone(), found: Found::default() });
                evidence.problems = std::mem::take(&mut together.problems);
                self.evidence.push(evidence);
            }
        }
        Ok(())
    }

    /// Those who want the file and may read one of its size; the others leave a problem.
    fn willing(
        &self,
        readers: impl Iterator<Item = Reader>,
        entry: &Entry,
        size: u64,
        head: &[u8],
        evidence: &mut Evidence,
    ) -> Vec<Reader> {
        let mut willing = Vec::new();
        for reader in readers {
            let candidate = Candidate { path: reader.known_as.as_bytes(), size, mode: entry.mode, head };
            match catch_unwind(AssertUnwindSafe(|| reader.analyzer.wants(&candidate))) {
                Ok(false) => continue,
                Ok(true) => {}
                Err(_) => {
                    evidence.problems.push(self.failed(reader.analyzer, entry));
                    continue;
                }
            }
            let limit = reader.analyzer.class().limit(&self.kit.limits);
            if size > limit {
                let name = reader.analyzer.name();
                let detail = format!("a file of {size} bytes was not read by {name}, the limit is {limit}");
                let problem = Problem::new(ProblemKind::FileTooLarge, detail);
                evidence.problems.push(self.about(problem, entry));
            } else {
                willing.push(reader);
            }
        }
        willing
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one file at one moment of the pass")]
    fn capture(
        &mut self,
        readers: &[Reader],
        entry: &Entry,
        size: u64,
        head: &Head,
        archive: &mut Archive<Inflated>,
        watch: &Watch,
        evidence: &mut Evidence,
    ) -> Result<(Searched, Detected), Halt> {
        let kit = self.kit;
        // Who follows a link needs no more than what is read of the file.
        let size =
            if readers.iter().all(Reader::wants_beginning) { size.min(BEGINNING as u64) } else { size };
        let path = &entry.path;
        let code = match readers.iter().all(Reader::does_without_code) {
            true => Code::of(path, size, head, archive)?,
            false => Code::default(),
        };
        // Of a file that goes by, detectors of malware keep what they need.
        let further = if code.ranges.is_empty() { 0 } else { kit.malware.memory(size) };
        let _permit = kit.pool.acquire((size - code.bytes()).saturating_add(further), watch)?;
        let search = kit.secrets.search(path, size);
        let mut search = search.within(std::mem::take(&mut self.memory.search));
        let mut inspections = self.malware.begin(&File { path, size });
        let memory = std::mem::take(&mut self.memory.file);
        let mut sums = None;
        let content = if code.ranges.is_empty() {
            let content = read_whole(archive, code.head(head), size, memory).map_err(Halt::of)?;
            search.feed(&content);
            inspections.feed(&content);
            content
        } else {
            sums = (!is_local(path)).then(Summing::default);
            let witness = |bytes: &[u8]| {
                search.feed(bytes);
                inspections.feed(bytes);
                sums.iter_mut().for_each(|sums| sums.update(bytes));
            };
            read_without(archive, code.head(head), size, &code.ranges, witness).map_err(Halt::of)?
        };
        let detected = inspections.finish();
        let mut searched = search.finish();
        self.memory.search = std::mem::take(&mut searched.memory);
        for reader in readers {
            self.hand_to(reader, entry, &content, evidence);
        }
        if is_configuration(path) && !searched.found.is_empty() {
            let checksums = sums.clone().map_or_else(|| Checksums::of(&content), Summing::finish);
            self.sums.push(FileSums { entry: evidence.entry, checksums });
        }
        if evidence.has_language_packages() && !is_local(path) {
            evidence.checksums = Some(sums.map_or_else(|| Checksums::of(&content), Summing::finish));
        }
        self.memory.file = content.into_memory();
        Ok((searched, detected))
    }

    /// What one analyzer makes of the content.
    fn hand_to(&self, reader: &Reader, entry: &Entry, content: &[u8], evidence: &mut Evidence) {
        let most = if reader.wants_beginning() { content.len().min(BEGINNING) } else { content.len() };
        let file = CapturedFile { path: &reader.known_as, mode: entry.mode, content: &content[..most] };
        let analyzer = reader.analyzer;
        let analyzed = catch_unwind(AssertUnwindSafe(|| analyzer.analyze(&file, &self.kit.limits)));
        let found = analyzed.unwrap_or_else(|_| Found::problem(self.failed(analyzer, entry)));
        evidence.readings.push(Reading { analyzer: analyzer.name().to_owned(), found });
    }

    /// Searches a file that nobody wants whole while its bytes go by, and keeps as many of the first as `beginning` has
    /// room for.
    #[expect(clippy::too_many_arguments, reason = "the parts of one file at one moment of the pass")]
    fn search_rest(
        &mut self,
        position: u32,
        entry: &Entry,
        size: u64,
        head: &Head,
        archive: &mut Archive<Inflated>,
        watch: &Watch,
        beginning: &mut Vec<u8>,
    ) -> Result<(), Halt> {
        let kit = self.kit;
        let most = beginning.capacity();
        let mut keep = |bytes: &[u8]| {
            let room = most.saturating_sub(beginning.len()).min(bytes.len());
            beginning.extend_from_slice(&bytes[..room]);
        };
        let _permit = match kit.malware.memory(size).saturating_add(most as u64) {
            0 => None,
            bytes => Some(kit.pool.acquire(bytes, watch)?),
        };
        let mut search =
            kit.secrets.search(&entry.path, size).within(std::mem::take(&mut self.memory.search));
        let mut inspections = self.malware.begin(&File { path: &entry.path, size });
        let mut sums = is_configuration(&entry.path).then(Summing::default);
        let mut take = |bytes: &[u8]| {
            search.feed(bytes);
            inspections.feed(bytes);
            sums.iter_mut().for_each(|sums| sums.update(bytes));
            keep(bytes);
        };
        take(head.taken());
        archive.shorten_holes();
        loop {
            let bytes = archive.fill_buf().map_err(Halt::of)?;
            if bytes.is_empty() {
                break;
            }
            take(bytes);
            let length = bytes.len();
            archive.consume(length);
        }
        let detected = inspections.finish();
        let mut searched = search.finish();
        self.memory.search = std::mem::take(&mut searched.memory);
        if let Some(sums) = sums
            && !searched.found.is_empty()
        {
            self.sums.push(FileSums { entry: position, checksums: sums.finish() });
        }
        self.keep_secrets(position, entry, searched);
        self.keep_malware(position, entry, detected);
        Ok(())
    }

    fn keep_secrets(&mut self, position: u32, entry: &Entry, searched: Searched) {
        let Searched { found, cut, extent, .. } = searched;
        if extent == Extent::Part {
            let detail = "more is packed in the file than is searched for secrets";
            let problem = Problem::new(ProblemKind::PartiallyScanned, detail);
            self.problems.push(self.about(problem, entry));
        }
        if found.is_empty() {
            return;
        }
        let left = MOST_SECRETS.saturating_sub(self.observed(ObservationKind::Secret));
        if cut == Cut::Some {
            let detail = "the file has more secrets than are listed";
            let problem = Problem::new(ProblemKind::PartiallyScanned, detail);
            self.problems.push(self.about(problem, entry));
        }
        if found.len() > left {
            let detail = format!("more than {MOST_SECRETS} secrets; the others are not listed");
            self.problems
                .push(Problem::new(ProblemKind::PartiallyScanned, detail).in_layer(&self.descriptor.digest));
        }
        let found = found.into_iter().take(left);
        self.observations.extend(found.map(|found| LayerObservation { entry: position, found }));
    }

    fn keep_malware(&mut self, position: u32, entry: &Entry, detected: Detected) {
        let Detected { found, problems } = detected;
        for problem in problems {
            self.problems.push(self.about(problem, entry));
        }
        if found.is_empty() {
            return;
        }
        let left = MOST_MALWARE.saturating_sub(self.observed(ObservationKind::Malware));
        if found.len() > left {
            let detail = format!("more than {MOST_MALWARE} recognised files; the others are not listed");
            self.problems
                .push(Problem::new(ProblemKind::PartiallyScanned, detail).in_layer(&self.descriptor.digest));
        }
        let found = found.into_iter().take(left);
        self.observations.extend(found.map(|found| LayerObservation { entry: position, found }));
    }

    fn observed(&self, kind: ObservationKind) -> usize {
        self.observations.iter().filter(|observed| observed.found.kind == kind).count()
    }

    fn failed(&self, analyzer: &dyn Analyzer, entry: &Entry) -> Problem {
        let detail = format!("the {} analyzer failed on this file", analyzer.name());
        self.about(Problem::new(ProblemKind::AnalyzerFailed, detail), entry)
    }

    fn about(&self, problem: Problem, entry: &Entry) -> Problem {
        problem.at(String::from_utf8_lossy(&entry.path)).in_layer(&self.descriptor.digest)
    }
}

impl Evidence {
    fn new(entry: u32, read_as: Option<String>) -> Self {
        Self { entry, read_as, readings: Vec::new(), checksums: None, problems: Vec::new() }
    }

    fn package_count(&self) -> usize {
        let found = self.readings.iter().map(|reading| &reading.found);
        found.map(|found| found.packages.len()).sum()
    }

    fn has_language_packages(&self) -> bool {
        let found = self.readings.iter().flat_map(|reading| &reading.found.packages);
        found.map(|found| found.package.kind.level()).any(|level| level == Level::Language)
    }
}

/// Whether people are meant to change a file there, though a package may have put it there.
fn is_configuration(path: &[u8]) -> bool {
    path.starts_with(b"etc/") || memchr::memmem::find(path, b"/etc/").is_some()
}

/// Whether no OS package may put a file there, so that nothing will be compared with its checksums.
/// Filesystem Hierarchy Standard 3.0.
pub(super) fn is_local(path: &[u8]) -> bool {
    const LOCAL: [&[u8]; 8] =
        [b"usr/local/", b"home/", b"root/", b"srv/", b"tmp/", b"var/tmp/", b"mnt/", b"media/"];
    LOCAL.iter().any(|place| path.starts_with(place))
}
