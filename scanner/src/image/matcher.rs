//! Which analyzers want a path: all triggers of all analyzers in one prebuilt table.
//!
//! A path costs a few hash lookups, however many analyzers there are. Exact paths match under their
//! usr-merge alias as well, because only the squash knows whether `lib` is a symlink to `usr/lib`.

use std::collections::HashMap;

use crate::analyzers::{Analyzer, FileClass, Trigger};

/// Directories that a merged system keeps below `usr` (file-hierarchy(7), "/usr merge").
const MERGED: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// The longest magic that is looked at.
pub(super) const HEAD: usize = 64;

/// A set of analyzers by their position in the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted(u128);

impl Wanted {
    /// Nobody.
    pub(super) const NONE: Self = Self(0);

    fn only(analyzer: usize) -> Self {
        Self(1 << analyzer)
    }

    /// Whether nobody is in the set.
    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The positions, ascending.
    pub(super) fn iter(self) -> impl Iterator<Item = usize> {
        (0..128).filter(move |position| self.0 & (1 << position) != 0)
    }

    /// Whether an analyzer is in the set.
    pub(super) fn contains(self, analyzer: usize) -> bool {
        self.0 & (1 << analyzer) != 0
    }

    /// Who is in both sets.
    fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The set without another.
    fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Both sets together.
    pub(super) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What a path alone says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PathMatch {
    /// Who wants it for its path.
    pub(super) wanted: Wanted,
    /// The path that a trigger names, where the file's own path is only an alias of it.
    pub(super) known_as: Option<&'static str>,
    /// Where it belongs to a root below the image's own: that root.
    pub(super) nested: Option<Nested>,
}

/// A path in a root below the image's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nested {
    /// The length of the root's path.
    pub(super) root: usize,
    /// Who knows it by its path in that root.
    readers: Wanted,
    /// Whether it is a package database's.
    pub(super) is_database: bool,
}

impl PathMatch {
    /// The path under which an analyzer knows the file.
    pub(super) fn known_to(&self, analyzer: usize, path: &[u8]) -> String {
        let own = match self.nested.filter(|nested| nested.readers.contains(analyzer)) {
            Some(nested) => &path[nested.root + 1..],
            None => path,
        };
        self.known_as.map_or_else(|| String::from_utf8_lossy(own).into_owned(), str::to_owned)
    }
}

/// A list of analyzers, in the order in which they are offered a file.
pub(super) type Analyzers = &'static [&'static dyn Analyzer];

/// The table.
pub(super) struct Matcher {
    analyzers: Analyzers,
    names: HashMap<&'static [u8], Wanted>,
    /// Who reads something about one root.
    of_root: Wanted,
    paths: HashMap<&'static [u8], Vec<PathRule>>,
    below: HashMap<&'static [u8], Vec<BelowRule>>,
    /// Directories whose files are package databases, in every spelling.
    database_directories: Vec<String>,
    extensions: Tails,
    parents: Tails,
    magics: Vec<(&'static [u8], Wanted)>,
    well_known: Vec<WellKnown>,
}

struct PathRule {
    path: Vec<u8>,
    known_as: &'static str,
    wanted: Wanted,
    class: FileClass,
}

struct BelowRule {
    /// With a slash before and after it.
    directory: Vec<u8>,
    wanted: Wanted,
    class: FileClass,
}

/// An exact path that an analyzer asks for: the squash looks there, through symlinks.
pub(super) struct WellKnown {
    pub(super) path: &'static str,
    pub(super) analyzer: usize,
    pub(super) class: FileClass,
}

impl Matcher {
    /// Builds the table. At most 128 analyzers.
    pub(super) fn new(analyzers: Analyzers) -> Self {
        assert!(analyzers.len() <= 128, "a set of analyzers has 128 places");
        let mut matcher = Self {
            analyzers,
            names: HashMap::new(),
            of_root: Wanted::NONE,
            paths: HashMap::new(),
            below: HashMap::new(),
            database_directories: Vec::new(),
            extensions: Tails::default(),
            parents: Tails::default(),
            magics: Vec::new(),
            well_known: Vec::new(),
        };
        for (position, analyzer) in analyzers.iter().enumerate() {
            if analyzer.is_of_root() {
                matcher.of_root = matcher.of_root.union(Wanted::only(position));
            }
            for trigger in analyzer.triggers() {
                matcher.add(*trigger, position, analyzer.class());
            }
        }
        matcher
    }

    /// Who wants a file for its path.
    pub(super) fn by_path(&self, path: &[u8]) -> PathMatch {
        let mut matched = self.in_own_root(path);
        let database = self.other_root(path);
        if let Some(root) = database.or_else(|| self.root_of_release(path)) {
            let inside = self.in_own_root(&path[root + 1..]);
            let readers = inside.wanted.both(self.of_root);
            matched.wanted = matched.wanted.without(self.of_root).union(readers);
            matched.known_as = matched.known_as.or(inside.known_as);
            matched.nested = Some(Nested { root, readers, is_database: database.is_some() });
        }
        matched
    }

    fn in_own_root(&self, path: &[u8]) -> PathMatch {
        let (parent, name) = split(path);
        let mut matched = PathMatch {
            wanted: self.extensions.find(name).union(self.names.get(name).copied().unwrap_or_default()),
            ..PathMatch::default()
        };
        if !parent.is_empty() {
            matched.wanted = matched.wanted.union(self.parents.find(parent));
        }
        for rule in self.paths.get(name).into_iter().flatten() {
            if rule.path == path {
                matched.wanted = matched.wanted.union(rule.wanted);
                matched.known_as = Some(rule.known_as);
            }
        }
        for rule in self.below.get(name).into_iter().flatten() {
            if path.starts_with(&rule.directory[1..]) {
                matched.wanted = matched.wanted.union(rule.wanted);
            }
        }
        matched
    }

    /// Where the path of another root's file that says which distribution it is ends to be the path of that root.
    fn root_of_release(&self, path: &[u8]) -> Option<usize> {
        let rules = self.paths.get(split(path).1)?;
        let is_of_root = |rule: &&PathRule| {
            rule.class != FileClass::Database && !rule.wanted.both(self.of_root).is_empty()
        };
        if rules.iter().any(|rule| rule.path == path) {
            return None;
        }
        rules.iter().filter(is_of_root).filter_map(|rule| root_above(path, &rule.path)).min()
    }

    /// Where the path of another root's package database ends to be the path of that root: its length.
    pub(super) fn other_root(&self, path: &[u8]) -> Option<usize> {
        let (parent, name) = split(path);
        let is_at_home = self.paths.get(name).into_iter().flatten().any(|rule| rule.path == path)
            || self.database_directories.iter().any(|directory| directory.as_bytes() == parent);
        if is_at_home {
            return None;
        }
        let is_database = |class: &FileClass| *class == FileClass::Database;
        let of_paths = self.paths.get(name).into_iter().flatten().filter(|rule| is_database(&rule.class));
        let of_paths = of_paths.filter_map(|rule| root_above(path, &rule.path));
        let of_directories = self.database_directories.iter();
        let of_directories = of_directories.filter_map(|end| root_above(parent, end.as_bytes()));
        let of_below = self.below.get(name).into_iter().flatten().filter(|rule| is_database(&rule.class));
        let of_below = of_below.filter_map(|rule| memchr::memmem::find(path, &rule.directory));
        of_paths.chain(of_directories).chain(of_below).min()
    }

    /// Who wants a file for how its content begins.
    pub(super) fn by_head(&self, head: &[u8]) -> Wanted {
        let hits = self.magics.iter().filter(|(magic, _)| head.starts_with(magic));
        hits.fold(Wanted::NONE, |all, (_, wanted)| all.union(*wanted))
    }

    /// Whether `path` lies where `analyzer` expects it in the image's own root: not in a root below it.
    pub(super) fn is_in_root(&self, analyzer: usize, path: &[u8]) -> bool {
        let (parent, name) = split(path);
        let is_at = |end: &str, place: &[u8]| {
            end.as_bytes() == place || alias(end).is_some_and(|alias| alias.as_bytes() == place)
        };
        self.analyzers[analyzer].triggers().iter().any(|trigger| match *trigger {
            Trigger::Path(exact) => is_at(exact, path),
            Trigger::Parent(end) if is_name_end(end) => parent.ends_with(end.as_bytes()),
            Trigger::Parent(end) => is_at(end, parent),
            Trigger::Name(exact) => exact.as_bytes() == name,
            Trigger::Below(directory, exact) => {
                let rest = path.strip_prefix(directory.as_bytes());
                exact.as_bytes() == name && rest.is_some_and(|rest| rest.starts_with(b"/"))
            }
            Trigger::Extension(end) => name.ends_with(end.as_bytes()),
            Trigger::Magic(_) => true,
        })
    }

    /// Every exact path, with the analyzer that asks for it.
    pub(super) fn well_known(&self) -> &[WellKnown] {
        &self.well_known
    }

    fn add(&mut self, trigger: Trigger, position: usize, class: FileClass) {
        let wanted = Wanted::only(position);
        match trigger {
            Trigger::Path(path) => {
                self.well_known.push(WellKnown { path, analyzer: position, class });
                let name = split(path.as_bytes()).1;
                let rules = self.paths.entry(name).or_default();
                for spelling in std::iter::once(path.to_owned()).chain(alias(path)) {
                    rules.push(PathRule { path: spelling.into_bytes(), known_as: path, wanted, class });
                }
            }
            Trigger::Name(name) => {
                let known = self.names.entry(name.as_bytes()).or_default();
                *known = known.union(wanted);
            }
            Trigger::Below(directory, name) => {
                let directory = format!("/{directory}/").into_bytes();
                let rules = self.below.entry(name.as_bytes()).or_default();
                rules.push(BelowRule { directory, wanted, class });
            }
            Trigger::Extension(end) => self.extensions.add(end.as_bytes().to_vec(), wanted, Edge::Anywhere),
            Trigger::Parent(end) => {
                let edge = if is_name_end(end) { Edge::Anywhere } else { Edge::Component };
                self.parents.add(end.as_bytes().to_vec(), wanted, edge);
                if class == FileClass::Database && edge == Edge::Component {
                    self.database_directories.extend(std::iter::once(end.to_owned()).chain(alias(end)));
                }
                if let Some(alias) = alias(end).filter(|_| end.starts_with("usr/")) {
                    self.parents.add(alias.into_bytes(), wanted, edge);
                }
            }
            Trigger::Magic(magic) => self.magics.push((&magic[..magic.len().min(HEAD)], wanted)),
        }
    }
}

/// Rules about how a text ends, found by looking up its last bytes, once for each length that occurs.
#[derive(Default)]
struct Tails {
    lengths: Vec<usize>,
    rules: HashMap<Vec<u8>, Vec<(Edge, Wanted)>>,
}

/// `.dist-info` ends a name; `var/lib/dpkg/status.d` is whole names.
fn is_name_end(end: &str) -> bool {
    end.starts_with('.') || end.starts_with('-')
}

/// Where in a path a tail may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edge {
    Anywhere,
    /// At the start of a component.
    Component,
}

impl Tails {
    fn add(&mut self, tail: Vec<u8>, wanted: Wanted, edge: Edge) {
        if !self.lengths.contains(&tail.len()) {
            self.lengths.push(tail.len());
        }
        self.rules.entry(tail).or_default().push((edge, wanted));
    }

    fn find(&self, text: &[u8]) -> Wanted {
        let mut found = Wanted::NONE;
        for length in self.lengths.iter().filter(|length| **length <= text.len()) {
            let start = text.len() - length;
            let at_component = start == 0 || text[start - 1] == b'/';
            for (edge, wanted) in self.rules.get(&text[start..]).into_iter().flatten() {
                if *edge == Edge::Anywhere || at_component {
                    found = found.union(*wanted);
                }
            }
        }
        found
    }
}

/// The other spelling of a path in a directory that usr-merge moves, either way.
fn alias(path: &str) -> Option<String> {
    let (unmerged, is_below_usr) = match path.strip_prefix("usr/") {
        Some(rest) => (rest, true),
        None => (path, false),
    };
    let (first, _) = unmerged.split_once('/')?;
    MERGED.contains(&first).then(|| if is_below_usr { unmerged.to_owned() } else { format!("usr/{path}") })
}

/// Parent and name.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memrchr(b'/', path) {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[], path),
    }
}

/// The length of the root if `path` is `suffix` below some directory other than `usr`, which is the alias.
fn root_above(path: &[u8], suffix: &[u8]) -> Option<usize> {
    let root = path.strip_suffix(suffix)?.strip_suffix(b"/")?;
    (root != b"usr").then_some(root.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyzers::{CapturedFile, Found};
    use crate::limits::Limits;

    struct Asking(&'static [Trigger], FileClass);

    impl Analyzer for Asking {
        fn name(&self) -> &'static str {
            "asking"
        }
        fn version(&self) -> u32 {
            1
        }
        fn triggers(&self) -> &'static [Trigger] {
            self.0
        }
        fn class(&self) -> FileClass {
            self.1
        }
        fn analyze(&self, _file: &CapturedFile<'_>, _limits: &Limits) -> Found {
            Found::default()
        }
    }

    #[test]
    fn every_kind_of_trigger_catches_what_it_names_and_nothing_else() {
        const DATABASE: Asking = Asking(
            &[
                Trigger::Path("lib/apk/db/installed"),
                Trigger::Parent("var/lib/dpkg/status.d"),
                Trigger::Below("var/db/pkg", "PF"),
            ],
            FileClass::Database,
        );
        const LANGUAGE: Asking = Asking(
            &[Trigger::Name("package.json"), Trigger::Extension(".jar"), Trigger::Parent(".dist-info")],
            FileClass::Text,
        );
        const BOTH: Analyzers = &[&DATABASE, &LANGUAGE];
        let matcher = Matcher::new(BOTH);
        for (path, wanted, nested) in [
            ("lib/apk/db/installed", &[0][..], false),
            ("usr/lib/apk/db/installed", &[0], false),
            ("rootfs/lib/apk/db/installed", &[0], true),
            ("rootfs/usr/lib/apk/db/installed", &[0], true),
            ("xlib/apk/db/installed", &[], false),
            ("var/lib/dpkg/status.d/base", &[0], false),
            ("root/var/lib/dpkg/status.d/base", &[0], true),
            ("var/db/pkg/a/b-1/PF", &[0], false),
            ("var/db/pkg/PF", &[0], false),
            ("a/var/db/pkg/a/b-1/PF", &[0], true),
            ("xvar/db/pkg/a/b-1/PF", &[], false),
            ("var/db/pkg/a/b-1/SIZE", &[], false),
            ("xvar/lib/dpkg/status.d/base", &[], false),
            ("var/lib/dpkg/status.d", &[], false),
            ("package.json", &[1], false),
            ("a/b/package.json", &[1], false),
            ("a/b/xpackage.json", &[], false),
            ("a.jar", &[1], false),
            ("a.jar/b", &[], false),
            ("a/b-1.dist-info/METADATA", &[1], false),
            ("a/b-1.dist-info/c/METADATA", &[], false),
            ("", &[], false),
        ] {
            let matched = matcher.by_path(path.as_bytes());
            assert_eq!(matched.wanted.iter().collect::<Vec<_>>(), wanted, "{path}");
            assert_eq!(matched.nested.is_some_and(|nested| nested.is_database), nested, "{path}");
        }
    }

    #[test]
    fn files_of_other_roots_are_known_by_their_paths_there() {
        let matcher = Matcher::new(crate::analyzers::ALL);
        for (path, root, known) in [
            ("srv/rootfs/etc/os-release", Some(10), "etc/os-release"),
            ("a/usr/lib/os-release", Some(1), "usr/lib/os-release"),
            ("a/usr/lib/apk/db/installed", Some(1), "usr/lib/apk/db/installed"),
            ("a/var/lib/dpkg/info/b.list", Some(1), "var/lib/dpkg/info/b.list"),
            ("usr/lib/os-release", None, "usr/lib/os-release"),
            ("a/etc/passwd", None, "a/etc/passwd"),
        ] {
            let matched = matcher.by_path(path.as_bytes());
            assert_eq!(matched.nested.map(|nested| nested.root), root, "{path}");
            let readers = matched.wanted.iter();
            let names: Vec<_> = readers.map(|reader| matched.known_to(reader, path.as_bytes())).collect();
            assert!(names.iter().any(|name| name == known) || path == known, "{path}: {names:?}");
        }
    }

    #[test]
    fn magic_is_compared_with_the_head() {
        const BINARY: Asking = Asking(&[Trigger::Magic(b"\x7fELF")], FileClass::Binary);
        const ONLY: Analyzers = &[&BINARY];
        let matcher = Matcher::new(ONLY);
        assert!(!matcher.by_head(b"\x7fELF\x02").is_empty());
        assert!(matcher.by_head(b"\x7fEL").is_empty());
    }
}
