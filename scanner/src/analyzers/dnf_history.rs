//! Which repositories DNF installed packages from: its history in, the names of Red Hat's content sets out.
//!
//! An image that a user of Red Hat's built on has no content manifest of its own, but the history of what was installed.
//! Of its table `repo` the names count that Red Hat's content sets have; others say nothing about Red Hat's advisories.
//! Format: libdnf, "transaction database", schema 1.2; DNF 5 keeps the same table elsewhere.

use std::collections::BTreeSet;

use shared::model::problem::{Problem, ProblemKind};

use super::ledger::text;
use super::sqlite::{Btrees, SqliteDamage, column, tables};
use super::{Analyzer, CapturedFile, FileClass, Found, Trigger};
use crate::limits::Limits;

/// Reads DNF's history.
pub struct DnfHistory;

/// The most repositories that are kept, and the longest name of one in bytes.
const MOST: usize = 1000;
const LONGEST: usize = 1000;

impl Analyzer for DnfHistory {
    fn name(&self) -> &'static str {
        "dnf-history"
    }

    fn version(&self) -> u32 {
        1
    }

    fn triggers(&self) -> &'static [Trigger] {
        &[
            Trigger::Path("var/lib/dnf/history.sqlite"),
            Trigger::Path("usr/lib/sysimage/libdnf5/transaction_history.sqlite"),
        ]
    }

    /// Not of a database: where it lies there may be no root.
    fn class(&self) -> FileClass {
        FileClass::Text
    }

    fn is_of_root(&self) -> bool {
        true
    }

    fn analyze(&self, file: &CapturedFile<'_>, _limits: &Limits) -> Found {
        let mut found = Found::default();
        let mut damage = None;
        let mut report = |what: SqliteDamage| damage = Some(what);
        match repositories(file.content, &mut report) {
            Ok(names) => found.repositories = names.into_iter().collect(),
            Err(what) => report(what),
        }
        if let Some(damage) = damage {
            let detail = format!(
                "not all repositories that packages are from can be read ({damage}); the others are assumed"
            );
            found.problems.push(Problem::new(ProblemKind::RecordSkipped, detail).at(file.path));
        }
        found
    }
}

fn repositories(
    content: &[u8],
    report: &mut dyn FnMut(SqliteDamage),
) -> Result<BTreeSet<String>, SqliteDamage> {
    let mut btrees = Btrees::open(content)?;
    let [repositories] = tables(&mut btrees, ["repo"], report);
    let mut names = BTreeSet::new();
    // A history in which nothing was installed yet.
    let Some(repositories) = repositories else { return Ok(names) };
    let position = repositories.position("repoid")?;
    btrees.rows(repositories.root, &mut |row| {
        match row.and_then(|row| column(&row, position).map(|column| text(column.bytes))) {
            Ok(name) => names.extend(Some(name).filter(|name| is_content_set(name))),
            Err(damage) => report(damage),
        }
        names.len() >= MOST
    });
    Ok(names)
}

/// `rhel-9-for-x86_64-baseos-rpms`.
fn is_content_set(name: &str) -> bool {
    name.len() <= LONGEST && name.ends_with("-rpms")
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::super::lock::sample::analyze;
    use super::*;

    const PATH: &str = "var/lib/dnf/history.sqlite";

    /// libdnf's schema, filled by sqlite3 with the repositories `@System`, two of Red Hat's, and EPEL.
    fn database() -> Vec<u8> {
        let mut content = Vec::new();
        let gzip = &include_bytes!("../../fixtures/rpm/history.sqlite.gz")[..];
        flate2::read::GzDecoder::new(gzip).read_to_end(&mut content).unwrap();
        content
    }

    #[test]
    fn content_sets_of_the_history_are_repositories() {
        let found = analyze(&DnfHistory, PATH, &database());
        assert_eq!(found.repositories, ["rhel-9-for-x86_64-appstream-rpms", "ubi-9-baseos-rpms"]);
        assert_eq!(found.problems, []);
    }

    #[test]
    fn i4_a_broken_history_is_told_of_and_what_it_said_is_assumed() {
        let content = database();
        for broken in [&b""[..], b"no database", &content[..1500]] {
            let problems = analyze(&DnfHistory, PATH, broken).problems;
            assert_eq!((problems.len(), problems[0].kind), (1, ProblemKind::RecordSkipped));
            assert_eq!(problems[0].path.as_deref(), Some(PATH));
        }
    }

    proptest! {
        #[test]
        fn i7_no_flip_panics(content: Vec<u8>, at: prop::sample::Index, value: u8) {
            analyze(&DnfHistory, PATH, &content);
            let mut content = database();
            let at = at.index(content.len());
            content[at] = value;
            analyze(&DnfHistory, PATH, &content);
        }
    }
}
