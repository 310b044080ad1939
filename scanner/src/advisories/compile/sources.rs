//! Finds the inputs of a build and feeds their records one by one: folders, dumps, single files.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use super::gather::Gathered;
use super::{BuildError, BuildOptions};
use crate::advisories::enrichment::{EnrichmentError, ExploitProbabilities, KnownExploited};

/// How deep folders are searched.
const DEEPEST_FOLDER: u32 = 3;

/// One input, and what it is taken for by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Source {
    path: PathBuf,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Dump,
    Record,
    Exploited,
    Scores,
}

/// All inputs, sorted by path, once each.
pub(super) fn find(inputs: &[PathBuf]) -> Result<Vec<Source>, BuildError> {
    let mut found = Vec::new();
    for input in inputs {
        let kind = metadata(input)?;
        if kind.is_dir() {
            search(input, DEEPEST_FOLDER, &mut found)?;
            continue;
        }
        let Some(kind) = kind_of(input) else {
            return Err(BuildError::Unknown { path: input.clone() });
        };
        let path = input.clone();
        found.push(Source { path, kind });
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn search(folder: &Path, depth: u32, found: &mut Vec<Source>) -> Result<(), BuildError> {
    let entries = fs::read_dir(folder).map_err(|source| input_error(folder, source))?;
    for entry in entries {
        let path = entry.map_err(|source| input_error(folder, source))?.path();
        if metadata(&path)?.is_dir() {
            if depth > 1 {
                search(&path, depth - 1, found)?;
            }
        } else if let Some(kind) = kind_of(&path) {
            found.push(Source { path, kind });
        }
    }
    Ok(())
}

fn metadata(path: &Path) -> Result<fs::Metadata, BuildError> {
    fs::metadata(path).map_err(|source| input_error(path, source))
}

fn input_error(path: &Path, source: io::Error) -> BuildError {
    BuildError::Input { path: path.to_owned(), source }
}

/// What a file is by its name; `None` for files that merely lie about.
fn kind_of(path: &Path) -> Option<Kind> {
    let name = path.file_name()?.to_str()?;
    if matches!(name, "kev.json" | "known_exploited_vulnerabilities.json") {
        return Some(Kind::Exploited);
    }
    if name.starts_with("epss") && (name.ends_with(".csv") || name.ends_with(".csv.gz")) {
        return Some(Kind::Scores);
    }
    let hidden = name.starts_with('.');
    match path.extension()?.to_str()? {
        "zip" if !hidden => Some(Kind::Dump),
        "json" if !hidden => Some(Kind::Record),
        _ => None,
    }
}

/// Reads one input into what was gathered so far.
pub(super) fn read(
    source: &Source,
    options: &BuildOptions,
    gathered: &mut Gathered,
) -> Result<(), BuildError> {
    let path = source.path.as_path();
    match source.kind {
        Kind::Dump => read_dump(path, options, gathered),
        Kind::Record => {
            let name = path.display().to_string();
            let file = open(path)?;
            match bounded(file, options.record_bytes).map_err(|source| input_error(path, source))? {
                Some(bytes) => gathered.add_record(&name, &bytes, options),
                None => {
                    gathered.skip(name, too_large(options));
                    Ok(())
                }
            }
        }
        Kind::Exploited => {
            let known = KnownExploited::read(BufReader::new(open(path)?));
            let known = known.map_err(|source| list_error(path, source))?;
            gathered.add_exploited(known.added.keys().map(String::as_str));
            Ok(())
        }
        Kind::Scores => {
            let file = BufReader::new(open(path)?);
            let is_gzip = path.extension().is_some_and(|extension| extension == "gz");
            let probabilities = if is_gzip {
                ExploitProbabilities::read(file)
            } else {
                ExploitProbabilities::read_text(file)
            };
            for (cve, probability) in probabilities.map_err(|source| list_error(path, source))?.scores {
                gathered.add_score(&cve, probability);
            }
            Ok(())
        }
    }
}

fn open(path: &Path) -> Result<File, BuildError> {
    File::open(path).map_err(|source| input_error(path, source))
}

fn list_error(path: &Path, source: EnrichmentError) -> BuildError {
    BuildError::List { path: path.to_owned(), source }
}

fn read_dump(path: &Path, options: &BuildOptions, gathered: &mut Gathered) -> Result<(), BuildError> {
    let archive_error = |source| BuildError::Archive { path: path.to_owned(), source };
    let file = open(path)?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(archive_error)?;
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).map_err(archive_error)?;
        let name = member.name().map_err(archive_error)?.into_owned();
        if !name.ends_with(".json") {
            continue;
        }
        let shown = format!("{}!/{name}", path.display());
        match bounded(&mut member, options.record_bytes) {
            Ok(Some(bytes)) => gathered.add_record(&shown, &bytes, options)?,
            Ok(None) => gathered.skip(shown, too_large(options)),
            // One broken member costs itself: the rest of the archive is found by its directory.
            Err(error) => gathered.skip(shown, error.to_string()),
        }
    }
    Ok(())
}

/// Everything that `reader` yields, or `None` if it is more than `limit` bytes.
fn bounded(reader: impl Read, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    reader.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

fn too_large(options: &BuildOptions) -> String {
    format!("it is larger than {} bytes", options.record_bytes)
}
