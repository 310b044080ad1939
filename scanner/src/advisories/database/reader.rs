//! One line of questions to the database: tables opened once, one inflater, no locks held.

use jiff::Timestamp;
use redb::{ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable};
use shared::model::report::Revision;

use super::{DatabaseError, Opened};
use crate::advisories::codec::{self, Decoder};
use crate::advisories::compile::RevisionDigest;
use crate::advisories::exploitation::{self, Exploitation};
use crate::advisories::record::{RecordNumber, StoredAdvisory, StoredFlaw, StoredPackage};
use crate::advisories::tables::{self, Table};

type OpenTable = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// The tables of a database opened for reading.
pub(crate) struct Reader<'d> {
    opened: &'d Opened,
    transaction: ReadTransaction,
    affected: OpenTable,
    advisories: OpenTable,
    ids: OpenTable,
    flaws: OpenTable,
    exploitation: OpenTable,
    decoder: Decoder<'d>,
    key: Vec<u8>,
}

/// The inflated value of one package; its entries borrow from it.
pub(crate) struct PackageBytes(Vec<u8>);

/// What advisories know of a Maven artifact whose group is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Artifact {
    /// No advisory names any artifact of this name.
    Unheard,
    /// All advisories mean this package, `group:artifact`.
    Only(String),
    /// Advisories mean different packages.
    Several,
}

impl<'d> Reader<'d> {
    pub(super) fn new(opened: &'d Opened) -> Result<Self, DatabaseError> {
        let transaction = opened.store.begin_read().map_err(|error| opened.read_error(error))?;
        let table = |table| transaction.open_table(table).map_err(|error| opened.read_error(error));
        Ok(Self {
            affected: table(tables::AFFECTED)?,
            advisories: table(tables::ADVISORIES)?,
            ids: table(tables::IDS)?,
            flaws: table(tables::FLAWS)?,
            exploitation: table(tables::EXPLOITATION)?,
            decoder: Decoder::new(&opened.dictionary).map_err(|error| opened.value_error(error))?,
            key: Vec::new(),
            transaction,
            opened,
        })
    }

    /// All that advisories say about a package.
    pub(crate) fn package(
        &mut self,
        ecosystem: &str,
        name: &str,
    ) -> Result<Option<PackageBytes>, DatabaseError> {
        self.key.clear();
        self.key.extend(ecosystem.as_bytes());
        self.key.push(0);
        self.key.extend(name.as_bytes());
        let value = self.affected.get(self.key.as_slice()).map_err(|error| self.opened.read_error(error))?;
        let Some(value) = value else {
            return Ok(None);
        };
        let compressed = value.value().get(tables::FINGERPRINT_BYTES..).unwrap_or_default();
        let bytes = self.decoder.inflate(compressed).map_err(|error| self.opened.value_error(error))?;
        Ok(Some(PackageBytes(bytes)))
    }

    /// The entries in a package's value.
    pub(crate) fn entries<'p>(&self, package: &'p PackageBytes) -> Result<StoredPackage<'p>, DatabaseError> {
        codec::from_bytes(&package.0).map_err(|error| self.opened.value_error(error))
    }

    /// Whether any advisory speaks about a package.
    pub(crate) fn has_package(&self, ecosystem: &str, name: &str) -> Result<bool, DatabaseError> {
        let key = format!("{ecosystem}\0{name}");
        let value = self.affected.get(key.as_bytes()).map_err(|error| self.opened.read_error(error))?;
        Ok(value.is_some())
    }

    /// An advisory by its number.
    pub(crate) fn advisory(&mut self, number: RecordNumber) -> Result<StoredAdvisory, DatabaseError> {
        let key = number.to_be_bytes();
        let value = self.advisories.get(key.as_slice()).map_err(|error| self.opened.read_error(error))?;
        let Some(value) = value else {
            // Numbers come from the same file; one that leads nowhere is a broken file.
            let end = postcard::Error::DeserializeUnexpectedEnd;
            return Err(self.opened.value_error(codec::CodecError::Shape(end)));
        };
        let read = self.decoder.inflate(value.value()).and_then(|bytes| codec::from_bytes(&bytes));
        read.map_err(|error| self.opened.value_error(error))
    }

    /// The number of an advisory, if there is one of this id.
    pub(crate) fn number_of(&self, id: &str) -> Result<Option<RecordNumber>, DatabaseError> {
        let value = self.ids.get(id.as_bytes()).map_err(|error| self.opened.read_error(error))?;
        let bytes = value.and_then(|value| value.value().try_into().ok());
        Ok(bytes.map(RecordNumber::from_be_bytes))
    }

    /// What all records together know about a flaw.
    pub(crate) fn flaw(&mut self, name: &str) -> Result<Option<StoredFlaw>, DatabaseError> {
        let value = self.flaws.get(name.as_bytes()).map_err(|error| self.opened.read_error(error))?;
        let Some(value) = value else {
            return Ok(None);
        };
        let read = self.decoder.inflate(value.value()).and_then(|bytes| codec::from_bytes(&bytes));
        read.map(Some).map_err(|error| self.opened.value_error(error))
    }

    /// What is known about the exploitation of a CVE.
    pub(crate) fn exploitation(&self, cve: &str) -> Result<Exploitation, DatabaseError> {
        let Some((key, position)) = exploitation::place(cve) else {
            return Ok(Exploitation::default());
        };
        let block = self.exploitation.get(key.as_slice()).map_err(|error| self.opened.read_error(error))?;
        Ok(block.and_then(|block| exploitation::find(block.value(), position)).unwrap_or_default())
    }

    /// Which Maven package of all groups has this artifact.
    pub(crate) fn artifact(&self, artifact: &str) -> Result<Artifact, DatabaseError> {
        let table = self.table(&tables::ARTIFACTS)?;
        let value = table.get(artifact.as_bytes()).map_err(|error| self.opened.read_error(error))?;
        let package = value.map(|value| String::from_utf8_lossy(value.value()).into_owned());
        Ok(match package {
            None => Artifact::Unheard,
            Some(package) if package.is_empty() => Artifact::Several,
            Some(package) => Artifact::Only(package),
        })
    }

    /// The source packages that advisories of an ecosystem say a binary package was built from; none if its source has
    /// its name, or nobody says.
    pub(crate) fn sources(&self, ecosystem: &str, binary: &str) -> Result<Vec<String>, DatabaseError> {
        let table = self.table(&tables::SOURCES)?;
        let key = format!("{ecosystem}\0{binary}");
        let value = table.get(key.as_bytes()).map_err(|error| self.opened.read_error(error))?;
        let Some(value) = value else { return Ok(Vec::new()) };
        let names = value.value().split(|byte| *byte == 0);
        Ok(names.map(|name| String::from_utf8_lossy(name).into_owned()).collect())
    }

    /// A table for reading it from end to end.
    pub(super) fn table(&self, table: &Table) -> Result<OpenTable, DatabaseError> {
        self.transaction.open_table(*table).map_err(|error| self.opened.read_error(error))
    }

    /// The revision of everything that is in the tables.
    pub(super) fn computed_revision(&mut self, as_of: Timestamp) -> Result<Revision, DatabaseError> {
        let mut digest = RevisionDigest::new(as_of.as_second());
        for table in &tables::CONTENT {
            digest.table(table);
            let rows = self.table(table)?;
            for row in rows.iter().map_err(|error| self.opened.read_error(error))? {
                let (key, value) = row.map_err(|error| self.opened.read_error(error))?;
                let value = value.value();
                match tables::compressed_from(table) {
                    Some(start) => {
                        let (prefix, compressed) = value.split_at(start.min(value.len()));
                        let inflated = self.decoder.inflate(compressed);
                        let inflated = inflated.map_err(|error| self.opened.value_error(error))?;
                        digest.row(key.value(), prefix, &inflated);
                    }
                    None => digest.row(key.value(), &[], value),
                }
            }
        }
        Ok(digest.finish())
    }
}
