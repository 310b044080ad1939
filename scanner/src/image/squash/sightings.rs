//! Which files with findings are visible, under which paths, and which files a link makes interesting.

use hashbrown::{HashMap, HashSet};
use shared::model::package::Level;
use shared::model::problem::Problem;

use super::roots::{RootId, Roots};
use super::{Applied, EvidenceAt, Joined, Logged, Unread, is_of_distribution, numbered, superseded};
use crate::analyzers::FileClass;
use crate::image::analysis::{Checksums, Evidence, Reading};
use crate::image::engine::Kit;
use crate::image::layer::Request;
use crate::image::matcher::split;
use crate::image::tree::{FileNode, NodeId, Place, Tree};

/// A visible file that analyzers have read, at one of its paths.
pub(super) struct Sighting<'a> {
    /// Canonical: without symlinks.
    pub(super) path: Vec<u8>,
    pub(super) file: FileNode,
    /// The entry that holds the bytes.
    pub(super) content: Place,
    pub(super) readings: Vec<&'a Reading>,
    /// The highest layer that has a part in it: the file's own, or that of its log.
    pub(super) newest_layer: u16,
    pub(super) checksums: Option<&'a Checksums>,
    pub(super) standing: Standing,
    /// The root below the image's own that it lies in.
    pub(super) root: Option<RootId>,
    evidence: Vec<&'a Evidence>,
}

/// Whether what a file proves counts for the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Counted,
    /// It belongs to a root below the image's own that is beyond the number of those that are inventoried.
    OtherRoot,
    /// A newer database of the same package manager lies beside it.
    Superseded,
}

/// All of them.
#[derive(Default)]
pub(super) struct Sightings<'a> {
    /// Sorted by path.
    pub(super) visible: Vec<Sighting<'a>>,
    pub(super) roots: Roots,
    pub(super) unread: Vec<Unread>,
    pub(super) unjoined: Vec<Logged>,
    /// Logs without a database.
    pub(super) lone_logs: Vec<Vec<u8>>,
    /// Visible hard links to nothing whose names analyzers want.
    pub(super) broken_links: Vec<Vec<u8>>,
    /// Well-known database paths that lead to a file.
    databases: Vec<&'static str>,
}

/// Names of the analyzers that want a hard link for its path.
type LinksAt<'a> = HashMap<Place, &'a [String]>;

impl<'a> Sightings<'a> {
    /// Looks at every watched file in the tree, and behind every well-known path.
    pub(super) fn find(
        tree: &Tree,
        layers: &[Option<Applied<'a>>],
        evidence: &EvidenceAt<'a>,
        joined: &'a Joined,
        kit: &Kit,
    ) -> Self {
        let mut links = LinksAt::new();
        for (layer, applied) in numbered(layers) {
            for link in &applied.analysis.links {
                let entry = link.entry;
                links.insert(Place { layer, entry }, &link.analyzers);
            }
        }
        let files = tree.watched_files();
        let mut sightings = Self::default();
        let mut reported = HashSet::new();
        for (path, file) in &files {
            if file.content == Some(file.made_by) {
                reported.insert(file.made_by);
                sightings.add_own(path, *file, evidence);
            }
        }
        for (path, file) in &files {
            let wanted = links.get(&file.made_by).copied().unwrap_or_default();
            match file.content {
                Some(content) if content == file.made_by => {}
                Some(content) => {
                    let is_first = reported.insert(content);
                    sightings.add_link(path, *file, content, wanted, is_first, evidence);
                }
                None if wanted.is_empty() => {}
                None => sightings.broken_links.push(path.clone()),
            }
        }
        sightings.add_linked_evidence(tree, layers);
        sightings.look_behind_well_known(tree, evidence, kit);
        sightings.unread.sort_unstable();
        sightings.unread.dedup();
        sightings.visible.sort_by(|one, other| one.path.cmp(&other.path));
        sightings.join_logs(tree, joined);
        sightings.settle_roots(tree, layers, kit);
        superseded::mark(&mut sightings.visible);
        sightings
    }

    /// Finds the roots below the image's own, and which of them each file belongs to.
    fn settle_roots(&mut self, tree: &Tree, layers: &[Option<Applied<'_>>], kit: &Kit) {
        let others = self.visible.iter().filter(|sighting| sighting.lies_in_another_root(kit));
        self.roots = Roots::find(tree, layers, others.map(|sighting| sighting.place().to_vec()), kit);
        for sighting in &mut self.visible {
            let is_of_root = sighting.concerns_system();
            let place = if is_of_root { sighting.place() } else { &*sighting.path };
            sighting.root = self.roots.of(place);
            if is_of_root && sighting.root.is_none() && sighting.lies_in_another_root(kit) {
                sighting.standing = Standing::OtherRoot;
            }
        }
    }

    /// A path that shows that the root has a package manager.
    pub(super) fn package_database(&self) -> Option<&[u8]> {
        let has_os_packages = |sighting: &&Sighting<'_>| {
            let found = sighting.readings.iter().flat_map(|reading| &reading.found.packages);
            sighting.standing == Standing::Counted
                && sighting.root.is_none()
                && found.map(|found| &found.package).any(is_of_distribution)
        };
        let by_packages = self.visible.iter().find(has_os_packages);
        let by_path = self.databases.first().map(|path| path.as_bytes());
        by_packages.map(|sighting| &*sighting.path).or(by_path)
    }

    /// A file at the path at which its bytes lie in the layer.
    fn add_own(&mut self, path: &[u8], file: FileNode, evidence: &EvidenceAt<'a>) {
        let own = own_evidence(evidence, file.made_by);
        if own.is_empty() {
            return;
        }
        let readings = own.iter().flat_map(|evidence| &evidence.readings).collect();
        self.push(path, file, file.made_by, readings, own);
    }

    /// A hard link: what its name promises, and, if it is the last name that the file has, everything.
    fn add_link(
        &mut self,
        path: &[u8],
        file: FileNode,
        content: Place,
        wanted: &[String],
        is_only_name: bool,
        evidence: &EvidenceAt<'a>,
    ) {
        let own = own_evidence(evidence, content);
        let readings: Vec<&Reading> = own
            .iter()
            .flat_map(|evidence| &evidence.readings)
            .filter(|reading| is_only_name || wanted.contains(&reading.analyzer))
            .collect();
        for analyzer in wanted {
            let is_read = readings.iter().any(|reading| reading.analyzer == *analyzer);
            let as_linked = evidence.get(&content).into_iter().flatten();
            let is_read_as_linked = as_linked.clone().any(|evidence| evidence.is_of(analyzer, path));
            // A file that was too large for everybody stays too large.
            let is_refused = own.iter().any(|evidence| !evidence.problems.is_empty());
            if !is_read && !is_read_as_linked && !is_refused {
                self.request(content, analyzer, String::from_utf8_lossy(path).into_owned());
            }
        }
        if !readings.is_empty() || (is_only_name && !own.is_empty()) {
            self.push(path, file, content, readings, own);
        }
    }

    /// What was read because links lead there: visible where the link still leads to the same bytes.
    fn add_linked_evidence(&mut self, tree: &Tree, layers: &[Option<Applied<'a>>]) {
        for (layer, applied) in numbered(layers) {
            for evidence in applied.linked {
                let Some(read_as) = &evidence.read_as else {
                    continue;
                };
                let content = Place { layer, entry: evidence.entry };
                let file = tree.file(read_as.as_bytes());
                if let Some(file) = file.filter(|file| file.content == Some(content)) {
                    let path = tree.path(file.node);
                    let readings = evidence.readings.iter().collect();
                    self.push(&path, file, content, readings, vec![evidence]);
                }
            }
        }
    }

    /// A well-known path may lead through links to a file that nobody took for interesting.
    fn look_behind_well_known(&mut self, tree: &Tree, evidence: &EvidenceAt<'a>, kit: &Kit) {
        for known in kit.matcher.well_known() {
            let Some(file) = tree.file(known.path.as_bytes()) else {
                continue;
            };
            if known.class == FileClass::Database {
                self.databases.push(known.path);
            }
            let Some(content) = file.content else { continue };
            let name = kit.analyzers[known.analyzer].name();
            let at = evidence.get(&content).into_iter().flatten();
            let is_settled = at.clone().any(|evidence| {
                evidence.readings.iter().any(|reading| reading.analyzer == name)
                    || !evidence.problems.is_empty()
            });
            let is_at_home = kit.matcher.is_in_root(known.analyzer, &tree.path(file.node));
            let was_offered = is_at_home && file.content == Some(file.made_by);
            if !is_settled && !was_offered {
                self.request(content, name, known.path.to_owned());
            }
        }
    }

    /// A database with a log counts as both together.
    fn join_logs(&mut self, tree: &Tree, joined: &'a Joined) {
        let logs: Vec<(Vec<u8>, Place, &Reading, &str)> = self
            .visible
            .iter()
            .flat_map(|sighting| sighting.readings.iter().map(move |reading| (sighting, *reading)))
            .filter_map(|(sighting, reading)| {
                Some((sighting.path.clone(), sighting.content, reading, reading.found.log_of.as_deref()?))
            })
            .collect();
        for (path, log, reading, name) in logs {
            let database = beside(&path, name);
            let file = tree.file(&database);
            let Some((file, content)) = file.and_then(|file| Some((file, file.content?))) else {
                self.lone_logs.push(path);
                continue;
            };
            let path = String::from_utf8_lossy(&database).into_owned();
            let request = Request { analyzer: reading.analyzer.clone(), path };
            let logged = Logged { database: content, log, request };
            let Some(reading) = joined.get(&logged) else {
                self.unjoined.push(logged);
                continue;
            };
            if !self.visible.iter().any(|sighting| sighting.node() == file.node) {
                self.push(&database, file, content, Vec::new(), Vec::new());
            }
            for sighting in self.visible.iter_mut().filter(|sighting| sighting.node() == file.node) {
                sighting.newest_layer = sighting.newest_layer.max(log.layer);
                sighting.readings.retain(|one| one.analyzer != reading.analyzer);
                sighting.readings.push(reading);
            }
        }
    }

    fn request(&mut self, place: Place, analyzer: &str, path: String) {
        let request = Request { analyzer: analyzer.to_owned(), path };
        self.unread.push(Unread { place, request });
    }

    fn push(
        &mut self,
        path: &[u8],
        file: FileNode,
        content: Place,
        readings: Vec<&'a Reading>,
        evidence: Vec<&'a Evidence>,
    ) {
        let checksums = evidence.iter().find_map(|evidence| evidence.checksums.as_ref());
        self.visible.push(Sighting {
            path: path.to_vec(),
            file,
            content,
            readings,
            newest_layer: file.made_by.layer,
            checksums,
            standing: Standing::Counted,
            root: None,
            evidence,
        });
    }
}

impl Sighting<'_> {
    /// What could not be read of the file, naming it and its layer.
    pub(super) fn problems(&self, layers: &[Option<Applied<'_>>]) -> Vec<Problem> {
        let layer = layers[usize::from(self.content.layer)].map(|applied| &applied.analysis.layer);
        let of_file = self.evidence.iter().flat_map(|evidence| &evidence.problems);
        let of_readings = self.readings.iter().flat_map(|reading| &reading.found.problems);
        let complete = |problem: &Problem| {
            let mut problem = problem.clone();
            // An analyzer knows only the path in the file's own root.
            let is_misplaced = self.root.is_some() && self.concerns_system();
            if problem.path.is_none() || is_misplaced {
                problem = problem.at(String::from_utf8_lossy(&self.path));
            }
            match layer {
                Some(layer) => problem.in_layer(layer),
                None => problem,
            }
        };
        of_file.chain(of_readings).map(complete).collect()
    }

    pub(super) fn node(&self) -> NodeId {
        self.file.node
    }

    /// Where it counts: what was read because a link leads there counts where the link is.
    fn place(&self) -> &[u8] {
        let linked = self.evidence.iter().find_map(|evidence| evidence.read_as.as_deref());
        linked.map_or(&*self.path, str::as_bytes)
    }

    /// Whether what was read concerns an operating system.
    fn concerns_system(&self) -> bool {
        self.readings.iter().any(|reading| concerns_system(reading))
    }

    /// Whether that is not the one of the image's own root.
    fn lies_in_another_root(&self, kit: &Kit) -> bool {
        let place = self.place();
        let is_elsewhere = |reading: &Reading| {
            let position = kit.analyzers.iter().position(|one| one.name() == reading.analyzer);
            position.is_some_and(|analyzer| !kit.matcher.is_in_root(analyzer, place))
        };
        let mut readings = self.readings.iter().filter(|reading| concerns_system(reading));
        readings.any(|reading| is_elsewhere(reading))
    }
}

/// Whether a reading is of what a distribution installed.
fn concerns_system(reading: &Reading) -> bool {
    let mut levels = reading.found.packages.iter().map(|found| found.package.kind.level());
    !reading.found.owned.is_empty() || levels.any(|level| level == Level::Os)
}

impl Evidence {
    /// Whether it is what `analyzer` made of the file as if it lay at `path`.
    fn is_of(&self, analyzer: &str, path: &[u8]) -> bool {
        self.read_as.as_ref().is_some_and(|read_as| read_as.as_bytes() == path)
            && self.readings.iter().any(|reading| reading.analyzer == analyzer)
    }
}

/// The path of another file in the same directory.
fn beside(path: &[u8], name: &str) -> Vec<u8> {
    let parent = split(path).0;
    let separator: &[u8] = if parent.is_empty() { b"" } else { b"/" };
    [parent, separator, name.as_bytes()].concat()
}

/// What was read of a file under its own name.
fn own_evidence<'a>(evidence: &EvidenceAt<'a>, place: Place) -> Vec<&'a Evidence> {
    let at = evidence.get(&place).into_iter().flatten();
    at.copied().filter(|evidence| evidence.read_as.is_none()).collect()
}
