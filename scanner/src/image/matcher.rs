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
    /// It is a package database's well-known path, below another directory than the root.
    pub(super) is_nested_database: bool,
}

/// A list of analyzers, in the order in which they are offered a file.
pub(super) type Analyzers = &'static [&'static dyn Analyzer];

/// The table.
pub(super) struct Matcher {
    analyzers: Analyzers,
    names: HashMap<&'static [u8], Wanted>,
    paths: HashMap<&'static [u8], Vec<PathRule>>,
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
            paths: HashMap::new(),
            extensions: Tails::default(),
            parents: Tails::default(),
            magics: Vec::new(),
            well_known: Vec::new(),
        };
        for (position, analyzer) in analyzers.iter().enumerate() {
            for trigger in analyzer.triggers() {
                matcher.add(*trigger, position, analyzer.class());
            }
        }
        matcher
    }

    /// Who wants a file for its path.
    pub(super) fn by_path(&self, path: &[u8]) -> PathMatch {
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
            } else if rule.class == FileClass::Database && is_below(path, &rule.path) {
                matched.is_nested_database = true;
            }
        }
        matched
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
            Trigger::Extension(end) => self.extensions.add(end.as_bytes().to_vec(), wanted, Edge::Anywhere),
            Trigger::Parent(end) => {
                let edge = if is_name_end(end) { Edge::Anywhere } else { Edge::Component };
                self.parents.add(end.as_bytes().to_vec(), wanted, edge);
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
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[], path),
    }
}

/// Whether `path` is `suffix` below some directory other than `usr`, which is the alias.
fn is_below(path: &[u8], suffix: &[u8]) -> bool {
    path.strip_suffix(suffix).is_some_and(|root| root.ends_with(b"/") && root != b"usr/")
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
            &[Trigger::Path("lib/apk/db/installed"), Trigger::Parent("var/lib/dpkg/status.d")],
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
            ("rootfs/lib/apk/db/installed", &[], true),
            ("xlib/apk/db/installed", &[], false),
            ("var/lib/dpkg/status.d/base", &[0], false),
            ("root/var/lib/dpkg/status.d/base", &[0], false),
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
            assert_eq!(matched.is_nested_database, nested, "{path}");
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
