//! Databases and the write-ahead logs beside them: the bytes of both are read once more, joined, and analysed.
//!
//! The two may come from different layers, so no analysis of a layer can do this, and none may hold a whole
//! database for the rare image that needs it. One database at a time, in the whole process (I7).

use std::collections::HashSet;

use shared::model::document::Manifest;
use shared::model::problem::{Problem, ProblemKind};
use tokio::task;

use super::layers::Attempt;
use super::{Case, ExamineError};
use crate::analyzers::sqlite::wal;
use crate::analyzers::{CapturedFile, Found};
use crate::image::analysis::Reading;
use crate::image::capture::Content;
use crate::image::layer::{Contents, Focus};
use crate::image::squash::{Joined, Logged};
use crate::image::tree::Place;

impl Case<'_> {
    /// What analyzers make of databases together with their logs; of each something, if only a problem.
    pub(super) async fn joined(
        &self,
        manifest: &Manifest,
        unjoined: Vec<Logged>,
    ) -> Result<Joined, ExamineError> {
        let mut joined = Joined::new();
        for logged in unjoined {
            let found = match self.join(manifest, &logged).await? {
                Ok(found) => found,
                Err(problem) => Found::problem(problem.at(&logged.request.path)),
            };
            let reading = Reading { analyzer: logged.request.analyzer.clone(), found };
            joined.insert(logged, reading);
        }
        Ok(joined)
    }

    async fn join(
        &self,
        manifest: &Manifest,
        logged: &Logged,
    ) -> Result<Result<Found, Problem>, ExamineError> {
        let turn = self.engine.joins.acquire().await.expect("the turns are never closed");
        let [database, log] = match self.contents(manifest, [logged.database, logged.log]).await? {
            Ok(contents) => contents,
            Err(problem) => return Ok(Err(problem)),
        };
        let kit = self.engine.kit.clone();
        let request = logged.request.clone();
        let work = move || {
            let analyzer = kit.analyzers.iter().find(|analyzer| analyzer.name() == request.analyzer);
            let analyzer = analyzer.expect("an analyzer of this engine asked for it");
            let image = wal::joined(&database, &log)?;
            drop((database, log));
            let file = CapturedFile { path: &request.path, mode: 0o644, content: &image };
            Ok::<Found, wal::WalError>(analyzer.analyze(&file, &kit.limits))
        };
        let found = task::spawn_blocking(work).await;
        drop(turn);
        Ok(match found {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => Err(Problem::new(ProblemKind::DatabaseUnreadable, error.to_string())),
            Err(broken) => Err(Problem::new(
                ProblemKind::AnalyzerFailed,
                format!("joining a database and its log broke down: {broken}"),
            )),
        })
    }

    /// The bytes of two files, together no more than one database may have.
    async fn contents(
        &self,
        manifest: &Manifest,
        places: [Place; 2],
    ) -> Result<Result<[Content; 2], Problem>, ExamineError> {
        let mut files = Vec::new();
        let mut read: Option<(u16, Contents)> = None;
        for place in places {
            if read.as_ref().is_none_or(|(layer, _)| *layer != place.layer) {
                let in_layer = places.iter().filter(|one| one.layer == place.layer);
                let focus = Focus::Contents(in_layer.map(|one| one.entry).collect::<HashSet<u32>>());
                match self.read(&manifest.layers[usize::from(place.layer)], &focus).await? {
                    Attempt::Read(_, contents) => read = Some((place.layer, contents)),
                    Attempt::Mismatch(problem) | Attempt::Failed(problem) => return Ok(Err(problem)),
                }
            }
            files.extend(read.as_mut().and_then(|(_, contents)| contents.remove(&place.entry)));
        }
        let limit = self.engine.limits().database_bytes;
        let size: u64 = files.iter().map(|file| file.len() as u64).sum();
        Ok(files.try_into().ok().filter(|_| size <= limit).ok_or_else(|| {
            let detail =
                format!("a database and its log were not read, together they are limited to {limit} bytes");
            Problem::new(ProblemKind::FileTooLarge, detail)
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::num::NonZeroUsize;

    use crate::image::built::*;
    use crate::image::{Engine, Examination};
    use crate::limits::Limits;

    use super::*;

    fn inflated(gzip: &[u8]) -> Vec<u8> {
        let mut content = Vec::new();
        flate2::read::GzDecoder::new(gzip).read_to_end(&mut content).unwrap();
        content
    }

    /// rpm's database without package `beta`, whose insertion its log commits.
    fn database(path: &str) -> Put {
        file(path, inflated(include_bytes!("../../../fixtures/rpm/logged.sqlite.gz")))
    }

    fn log(path: &str) -> Put {
        file(path, inflated(include_bytes!("../../../fixtures/rpm/logged.sqlite-wal.gz")))
    }

    fn examine_layers(limits: Limits, layers: &[&[Put]]) -> Examination {
        let mut source = MemorySource::default();
        let (manifest, _) = Image::of(layers).into_source(&mut source);
        examine(&Engine::new(limits, NonZeroUsize::MIN), source, &manifest.digest).unwrap()
    }

    /// Which layer each rpm came from.
    fn check(layers: &[&[Put]], expected: &[(&str, u16)]) -> Examination {
        let examination = examine_layers(Limits::default(), layers);
        let packages = inventory(&examination).packages.iter();
        let mut found: Vec<_> =
            packages.map(|found| (found.package.name.as_str(), found.introduced_in.0)).collect();
        found.sort_unstable();
        assert_eq!(found, expected);
        examination
    }

    const DATABASE: &str = "var/lib/rpm/rpmdb.sqlite";
    const LOG: &str = "var/lib/rpm/rpmdb.sqlite-wal";

    fn fedora() -> Put {
        file("etc/os-release", "ID=fedora\nVERSION_ID=42\n")
    }

    #[test]
    fn a_log_counts_from_whichever_layer_it_is_visible() {
        let with = |beta| [("alpha", 0), ("beta", beta), ("delta", 0), ("gamma-libs", 0)];
        for (layers, beta) in [
            (&[&[fedora(), database(DATABASE), log(LOG)][..]][..], 0),
            (&[&[fedora(), database(DATABASE)], &[log(LOG)]], 1),
            (&[&[fedora(), log(LOG), database(DATABASE)], &[file("x", "")], &[log(LOG)]], 2),
            // Both lie behind a link to where newer systems keep them.
            (
                &[
                    &[
                        fedora(),
                        symlink("var/lib/rpm", "../../usr/lib/sysimage/rpm"),
                        database("usr/lib/sysimage/rpm/rpmdb.sqlite"),
                    ],
                    &[log(LOG)],
                ],
                1,
            ),
        ] {
            assert_eq!(check(layers, &with(beta)).problems, []);
        }
    }

    /// rpm installed its first package while somebody else read the database: only the log has it.
    #[test]
    fn what_rpm_itself_left_in_its_log_is_installed() {
        let database = inflated(include_bytes!("../../../fixtures/rpm/left.sqlite.gz"));
        let log = inflated(include_bytes!("../../../fixtures/rpm/left.sqlite-wal.gz"));
        let examination = check(&[&[fedora(), file(DATABASE, database)], &[file(LOG, log)]], &[("hello", 1)]);
        assert_eq!(examination.problems, []);
    }

    #[test]
    fn a_log_that_is_not_visible_does_not_count() {
        let without = [("alpha", 0), ("delta", 0), ("gamma-libs", 0)];
        let lower = [fedora(), database(DATABASE), log(LOG)];
        for upper in [file("var/lib/rpm/.wh.rpmdb.sqlite-wal", ""), file(LOG, "")] {
            assert_eq!(check(&[&lower, &[upper]], &without).problems, []);
        }
    }

    #[test]
    fn i4_a_log_that_cannot_be_joined_is_a_blocking_problem() {
        let kinds_of = |layers: &[&[Put]]| kinds(&examine_layers(Limits::default(), layers));
        assert_eq!(kinds_of(&[&[fedora(), log(LOG)]]), [ProblemKind::DatabaseUnreadable]);
        let other = inflated(include_bytes!("../../../fixtures/rpm/page-512.sqlite.gz"));
        let layers: &[&[Put]] = &[&[fedora(), file(DATABASE, other), log(LOG)]];
        assert_eq!(kinds_of(layers), [ProblemKind::DatabaseUnreadable]);

        let size = inflated(include_bytes!("../../../fixtures/rpm/logged.sqlite.gz")).len() as u64;
        let limits = Limits { database_bytes: size + 100, ..Limits::default() };
        let examination = examine_layers(limits, &[&[fedora(), database(DATABASE), log(LOG)]]);
        assert_eq!(kinds(&examination), [ProblemKind::FileTooLarge]);
    }
}
