//! Writes what was gathered: sorted tables in one transaction, in a new file that is renamed into place.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::Timestamp;
use redb::{Database, TableHandle, WriteTransaction};
use sha2::{Digest as _, Sha256};
use shared::model::report::Revision;

use super::gather::{Gathered, Kept};
use super::{BuildError, BuildOptions, BuildSummary};
use crate::advisories::codec::{self, CodecError, Encoder};
use crate::advisories::exploitation;
use crate::advisories::record::{
    EcosystemRow, FORMAT, RecordNumber, StoredFlaw, StoredRange, StoredRemarks, StoredSummary,
};
use crate::advisories::sealed::seal;
use crate::advisories::tables::{self, Table};

/// A table before it is compressed: rows in the order of keys.
type Rows = BTreeMap<Vec<u8>, Row>;

/// A value: what stands before it, and the value itself.
struct Row {
    prefix: Vec<u8>,
    value: Vec<u8>,
}

impl Row {
    fn plain(value: Vec<u8>) -> Self {
        Self { prefix: Vec::new(), value }
    }
}

/// Writes the database and says what is in it.
pub(super) fn write(
    gathered: Gathered,
    flaws: &BTreeMap<String, StoredFlaw>,
    output: &Path,
    options: &BuildOptions,
) -> Result<BuildSummary, BuildError> {
    let ecosystems = ecosystems(&gathered.advisories);
    let newest = gathered.advisories.values().map(|kept| kept.head.modified).max().unwrap_or(0);
    let as_of = options.as_of.map_or(newest, Timestamp::as_second);
    let withdrawn = gathered.advisories.values().filter(|kept| kept.head.withdrawn).count();
    let advisories = gathered.advisories.len();
    let exploited = gathered.exploitation.values().filter(|known| known.known_exploited).count();
    let scored = gathered.exploitation.values().filter(|known| known.epss.is_some()).count();
    let exploitation = exploitation_rows(&gathered.exploitation);
    let affected = affected_rows(&gathered.advisories, flaws)?;
    let packages = affected.len();
    let contents: [(Table, Rows); 7] = [
        (tables::AFFECTED, affected),
        (tables::ADVISORIES, advisory_rows(&gathered.advisories)?),
        (tables::IDS, id_rows(&gathered.advisories)),
        (tables::FLAWS, flaw_rows(flaws)?),
        (tables::ARTIFACTS, artifact_rows(&gathered.advisories)),
        (tables::SOURCES, source_rows(&gathered.advisories)?),
        (tables::EXPLOITATION, exploitation),
    ];
    let revision = revision(&contents, as_of);
    let summary = StoredSummary {
        revision: revision.as_str().to_owned(),
        as_of,
        advisories: advisories as u64,
        withdrawn: withdrawn as u64,
        packages: packages as u64,
        known_exploited: exploited as u64,
        epss_scores: scored as u64,
        ecosystems,
    };
    let file_bytes = write_file(&contents, &summary, output)?;
    Ok(BuildSummary {
        revision,
        as_of: Timestamp::from_second(as_of).unwrap_or(Timestamp::UNIX_EPOCH),
        advisories,
        withdrawn,
        packages,
        ecosystems: summary.ecosystems.len(),
        known_exploited: exploited,
        epss_scores: scored,
        repeated: gathered.repeated,
        skipped: gathered.skipped.into_iter().collect(),
        skipped_count: gathered.skipped_count,
        file_bytes,
    })
}

/// Every ecosystem string with its number of records and its newest change.
fn ecosystems(advisories: &BTreeMap<String, Kept>) -> Vec<EcosystemRow> {
    let mut rows: BTreeMap<&str, (u64, i64)> = BTreeMap::new();
    for kept in advisories.values() {
        let names = kept.entries.iter().filter_map(|entry| entry.key.split_once('\0'));
        let names: std::collections::BTreeSet<&str> = names.map(|(ecosystem, _)| ecosystem).collect();
        for name in names {
            let (count, newest) = rows.entry(name).or_insert((0, i64::MIN));
            *count += 1;
            *newest = kept.head.modified.max(*newest);
        }
    }
    let rows = rows.into_iter().map(|(name, (advisories, newest))| EcosystemRow {
        name: name.to_owned(),
        advisories,
        newest,
    });
    rows.collect()
}

/// Advisories in the order of ids, with their numbers.
fn numbered(advisories: &BTreeMap<String, Kept>) -> impl Iterator<Item = (RecordNumber, &Kept)> {
    (0..).zip(advisories.values())
}

/// One entry of a package, and whose it is.
struct Mention<'k> {
    number: RecordNumber,
    kept: &'k Kept,
    bytes: &'k [u8],
}

/// Every package with all of its entries, in the order of record numbers.
///
/// The fingerprint before each value covers all that a judgement of the package can depend on.
fn affected_rows(
    advisories: &BTreeMap<String, Kept>,
    flaws: &BTreeMap<String, StoredFlaw>,
) -> Result<Rows, CodecError> {
    let mut packages: BTreeMap<&str, Vec<Mention<'_>>> = BTreeMap::new();
    for (number, kept) in numbered(advisories) {
        for entry in &kept.entries {
            let bytes = &entry.bytes;
            packages.entry(&entry.key).or_default().push(Mention { number, kept, bytes });
        }
    }
    let mut rows = Rows::new();
    for (key, entries) in packages {
        let mut fingerprint = Sha256::new();
        // A postcard sequence is its length and its elements; an element is its number and its fields.
        let mut value = codec::to_bytes(&entries.len())?;
        for Mention { number, kept, bytes } in entries {
            value.extend(codec::to_bytes(&number)?);
            value.extend(bytes);
            fingerprint.update(codec::to_bytes(&kept.head)?);
            fingerprint.update(bytes);
            for flaw in kept.head.cves.iter().filter_map(|cve| flaws.get(cve)) {
                fingerprint.update(codec::to_bytes(flaw)?);
            }
        }
        let prefix = fingerprint.finalize()[..tables::FINGERPRINT_BYTES].to_vec();
        rows.insert(key.as_bytes().to_vec(), Row { prefix, value });
    }
    Ok(rows)
}

fn advisory_rows(advisories: &BTreeMap<String, Kept>) -> Result<Rows, CodecError> {
    let rows = numbered(advisories).map(|(number, kept)| {
        let value = codec::to_bytes(&kept.head)?;
        Ok((number.to_be_bytes().to_vec(), Row::plain(value)))
    });
    rows.collect()
}

fn id_rows(advisories: &BTreeMap<String, Kept>) -> Rows {
    let rows = numbered(advisories).map(|(number, kept)| {
        let key = kept.head.id.as_bytes().to_vec();
        (key, Row::plain(number.to_be_bytes().to_vec()))
    });
    rows.collect()
}

fn flaw_rows(flaws: &BTreeMap<String, StoredFlaw>) -> Result<Rows, CodecError> {
    let rows =
        flaws.iter().map(|(name, flaw)| Ok((name.as_bytes().to_vec(), Row::plain(codec::to_bytes(flaw)?))));
    rows.collect()
}

/// For Maven archives that do not say their group: which package it must be, if only one can be meant.
fn artifact_rows(advisories: &BTreeMap<String, Kept>) -> Rows {
    let mut artifacts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let entries = advisories.values().flat_map(|kept| &kept.entries);
    for package in entries.filter_map(|entry| entry.key.strip_prefix("Maven\0")) {
        if let Some((_, artifact)) = package.split_once(':') {
            artifacts.entry(artifact).or_default().insert(package);
        }
    }
    let only = |packages: &BTreeSet<&str>| match packages.len() {
        1 => packages.first().map(|package| package.as_bytes().to_vec()),
        _ => None,
    };
    let rows = artifacts.iter().map(|(artifact, packages)| {
        let value = only(packages).unwrap_or_default();
        (artifact.as_bytes().to_vec(), Row::plain(value))
    });
    rows.collect()
}

/// For binary packages whose database does not say what they were built from: what advisories say.
fn source_rows(advisories: &BTreeMap<String, Kept>) -> Result<Rows, CodecError> {
    let mut sources: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for entry in advisories.values().flat_map(|kept| &kept.entries) {
        let Some((ecosystem, source)) = entry.key.split_once('\0') else { continue };
        // Each build of a kernel has a dozen binaries of its own, and nobody runs one in a container.
        if source == "linux" || source.starts_with("linux-") || source.starts_with("kernel") {
            continue;
        }
        let stored: (Vec<StoredRange<'_>>, Vec<&str>, Option<StoredRemarks<'_>>) =
            codec::from_bytes(&entry.bytes)?;
        let binaries = stored.2.map(|remarks| remarks.binaries).unwrap_or_default();
        for binary in binaries.into_iter().filter(|binary| *binary != source) {
            sources.entry(format!("{ecosystem}\0{binary}")).or_default().insert(source);
        }
    }
    let rows = sources.into_iter().map(|(key, sources)| {
        let names: Vec<&str> = sources.into_iter().collect();
        (key.into_bytes(), Row::plain(names.join("\0").into_bytes()))
    });
    Ok(rows.collect())
}

fn exploitation_rows(known: &BTreeMap<String, exploitation::Exploitation>) -> Rows {
    let mut placed: BTreeMap<([u8; 6], u8), exploitation::Exploitation> = BTreeMap::new();
    for (cve, exploitation) in known {
        if let Some(place) = exploitation::place(cve) {
            placed.insert(place, *exploitation);
        }
    }
    let mut rows = Rows::new();
    for ((key, position), exploitation) in placed {
        let row = rows.entry(key.to_vec()).or_insert_with(|| Row::plain(Vec::new()));
        exploitation::append(&mut row.value, position, exploitation);
    }
    rows
}

/// A digest over everything that an answer can depend on, before compression.
fn revision(contents: &[(Table, Rows)], as_of: i64) -> Revision {
    let mut digest = RevisionDigest::new(as_of);
    for (table, rows) in contents {
        digest.table(table);
        for (key, row) in rows {
            digest.row(key, &row.prefix, &row.value);
        }
    }
    digest.finish()
}

/// Hashes the content of a database, row by row, into its revision.
pub(crate) struct RevisionDigest(Sha256);

impl RevisionDigest {
    pub(crate) fn new(as_of: i64) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(FORMAT.to_be_bytes());
        hasher.update(as_of.to_be_bytes());
        Self(hasher)
    }

    pub(crate) fn table(&mut self, table: &Table) {
        self.part(table.name().as_bytes());
    }

    pub(crate) fn row(&mut self, key: &[u8], prefix: &[u8], value: &[u8]) {
        self.part(key);
        self.part(prefix);
        self.part(value);
    }

    fn part(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> Revision {
        Revision::new(hex::encode(self.0.finalize()))
    }
}

/// A file that is removed unless it was put into place.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Nothing more can be done about a leftover than to leave it; its name says what it is.
        let _ = fs::remove_file(&self.0);
    }
}

fn write_file(contents: &[(Table, Rows)], summary: &StoredSummary, output: &Path) -> Result<u64, BuildError> {
    let unfinished = Unfinished(beside(output)?);
    let io_error = |source| BuildError::Output { path: output.to_owned(), source };
    let table_error =
        |error: redb::Error| BuildError::Tables { path: output.to_owned(), source: Box::new(error) };
    {
        let mut database = Database::builder()
            .set_cache_size(64 << 20)
            .create(&unfinished.0)
            .map_err(|error| table_error(error.into()))?;
        let transaction = database.begin_write().map_err(|error| table_error(error.into()))?;
        let dictionary = train(contents);
        fill(&transaction, contents, &dictionary).map_err(|error| error.into_build_error(output))?;
        describe(&transaction, summary, &dictionary).map_err(|error| error.into_build_error(output))?;
        transaction.commit().map_err(|error| table_error(error.into()))?;
        database.compact().map_err(|error| table_error(error.into()))?;
    }
    let size = seal(&unfinished.0).map_err(io_error)?;
    fs::rename(&unfinished.0, output).map_err(io_error)?;
    Ok(size)
}

/// A new, empty file in the output's directory: only there is a rename atomic.
fn beside(output: &Path) -> Result<PathBuf, BuildError> {
    static UNIQUE: AtomicU32 = AtomicU32::new(0);
    let error = |source| BuildError::Output { path: output.to_owned(), source };
    let Some(name) = output.file_name() else {
        return Err(error(io::Error::from(io::ErrorKind::IsADirectory)));
    };
    let number = UNIQUE.fetch_add(1, Ordering::Relaxed);
    let unfinished = format!(".{}.{}-{number}.unfinished", name.to_string_lossy(), std::process::id());
    let path = output.with_file_name(unfinished);
    OpenOptions::new().write(true).create_new(true).open(&path).map_err(error)?;
    Ok(path)
}

/// The dictionary of all compressed values, trained on every table that has them.
fn train(contents: &[(Table, Rows)]) -> Vec<u8> {
    let compressed = contents.iter().filter(|(table, _)| tables::compressed_from(table).is_some());
    let values: Vec<&[u8]> =
        compressed.flat_map(|(_, rows)| rows.values().map(|row| row.value.as_slice())).collect();
    codec::train(&values)
}

/// What can go wrong between a value and its table.
enum FillError {
    Value(CodecError),
    Tables(redb::Error),
}

impl FillError {
    fn into_build_error(self, output: &Path) -> BuildError {
        match self {
            Self::Value(error) => BuildError::Value(error),
            Self::Tables(error) => BuildError::Tables { path: output.to_owned(), source: Box::new(error) },
        }
    }
}

impl<E: Into<redb::Error>> From<E> for FillError {
    fn from(error: E) -> Self {
        Self::Tables(error.into())
    }
}

fn fill(
    transaction: &WriteTransaction,
    contents: &[(Table, Rows)],
    dictionary: &[u8],
) -> Result<(), FillError> {
    let dictionary = codec::encoder_dictionary(dictionary);
    let mut encoder = Encoder::new(&dictionary).map_err(FillError::Value)?;
    for (definition, rows) in contents {
        let mut table = transaction.open_table(*definition)?;
        let is_compressed = tables::compressed_from(definition).is_some();
        for (key, row) in rows {
            let mut value = row.prefix.clone();
            if is_compressed {
                value.extend(encoder.compress(&row.value).map_err(FillError::Value)?);
            } else {
                value.extend(&row.value);
            }
            table.insert(key.as_slice(), value.as_slice())?;
        }
    }
    Ok(())
}

fn describe(
    transaction: &WriteTransaction,
    summary: &StoredSummary,
    dictionary: &[u8],
) -> Result<(), FillError> {
    let summary = codec::to_bytes(summary).map_err(FillError::Value)?;
    let mut meta = transaction.open_table(tables::META)?;
    meta.insert(tables::FORMAT_KEY, FORMAT.to_be_bytes().as_slice())?;
    meta.insert(tables::DICTIONARY_KEY, dictionary)?;
    meta.insert(tables::SUMMARY_KEY, summary.as_slice())?;
    Ok(())
}
