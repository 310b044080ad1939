//! The packages that an archive's classes are in: entry names in, their common package and the first parts of all out.

use std::collections::BTreeSet;

/// So many first parts of packages are told apart; an archive with more is of nobody in particular.
const MOST_HEADS: usize = 64;
/// So many segments of a package say whose it is: `org.springframework.boot`.
const HEAD_SEGMENTS: usize = 3;

/// Where the classes of one archive are; those of an application that carries its libraries do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ClassPackages {
    /// The longest package, with slashes, that all classes are in.
    common: Option<String>,
    heads: BTreeSet<String>,
    is_application: bool,
}

impl ClassPackages {
    /// Looks at the name of an entry.
    pub(super) fn note(&mut self, entry: &str) {
        self.is_application |= entry.starts_with("BOOT-INF/") || entry.starts_with("WEB-INF/");
        let is_elsewhere = entry.starts_with("META-INF/") || self.is_application;
        let Some((package, file)) = entry.rsplit_once('/').filter(|_| !is_elsewhere) else {
            return;
        };
        if !file.ends_with(".class") || file == "module-info.class" {
            return;
        }
        match &mut self.common {
            Some(common) => common.truncate(shared_length(common, package)),
            None => self.common = Some(package.to_owned()),
        }
        let head = package.match_indices('/').nth(HEAD_SEGMENTS - 1);
        let head = head.map_or(package, |(end, _)| &package[..end]);
        if self.heads.len() < MOST_HEADS && !self.heads.contains(head) {
            self.heads.insert(head.to_owned());
        }
    }

    /// The package that all classes are in, with dots; `None` where there is none, or the archive is an application.
    pub(super) fn common(&self) -> Option<String> {
        let common = self.common.as_deref().filter(|common| !common.is_empty() && !self.is_application);
        common.map(|common| common.replace('/', "."))
    }

    /// Whether a class is in a package or below it; of the package only the first segments are compared.
    pub(super) fn are_in(&self, package: &str) -> bool {
        let wanted: Vec<&str> = package.split('.').take(HEAD_SEGMENTS).collect();
        let begins = |head: &String| head.split('/').take(wanted.len()).eq(wanted.iter().copied());
        !self.is_application && self.heads.iter().any(begins)
    }
}

/// How many bytes of `common` are whole segments that `package` begins with, too.
fn shared_length(common: &str, package: &str) -> usize {
    let mut length = 0;
    for (position, (one, other)) in common.split('/').zip(package.split('/')).enumerate() {
        if one != other {
            break;
        }
        length += one.len() + usize::from(position > 0);
    }
    length
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packages(entries: &[&str]) -> ClassPackages {
        let mut packages = ClassPackages::default();
        entries.iter().for_each(|entry| packages.note(entry));
        packages
    }

    #[test]
    fn the_common_package_has_whole_segments() {
        for (entries, expected) in [
            (&["org/x/a/A.class", "org/x/ab/B.class"][..], Some("org.x")),
            (&["org/x/A.class"], Some("org.x")),
            (&["org/x/A.class", "org/x/y/B.class", "META-INF/versions/9/z/C.class"], Some("org.x")),
            (&["a/A.class", "b/B.class"], None),
            (&["A.class", "module-info.class", "a/readme.txt"], None),
            (&["org/x/A.class", "BOOT-INF/classes/com/y/B.class"], None),
            (&[], None),
        ] {
            assert_eq!(packages(entries).common().as_deref(), expected, "{entries:?}");
        }
    }

    #[test]
    fn heads_are_compared_by_segments() {
        let packages = packages(&["org/springframework/boot/web/A.class", "b/B.class"]);
        for (package, expected) in [
            ("org.springframework.boot", true),
            ("org.springframework.boot.other", true),
            ("org.springframework", true),
            ("b", true),
            ("org.spring", false),
            ("org.springframework.bootstrap", false),
        ] {
            assert_eq!(packages.are_in(package), expected, "{package}");
        }
    }

    #[test]
    fn an_absolute_entry_counts_its_first_slash() {
        assert_eq!(shared_length("/é", "/é"), "/é".len());
        assert_eq!(shared_length("/org/a", "/org/b"), "/org".len());
        assert_eq!(shared_length("org/a", "com/a"), 0);
    }

    proptest! {
        #[test]
        fn no_entry_panics(any: String, entries in proptest::collection::vec("([aé]{0,2}/){0,5}[A.]{0,3}(class)?", 0..9)) {
            let mut packages = ClassPackages::default();
            packages.note(&any);
            for entry in &entries {
                packages.note(entry);
            }
            packages.common();
            packages.are_in(&any);
        }
    }
}
