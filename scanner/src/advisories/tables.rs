//! The tables of the database file. Keys and values are bytes, so that no change of the store's own encodings
//! can change them; numbers in keys are big-endian, so that they sort as numbers.

use redb::TableDefinition;

/// A table from bytes to bytes.
pub(super) type Table = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// `ecosystem \0 package` → fingerprint, then a compressed `StoredPackage`.
pub(super) const AFFECTED: Table = TableDefinition::new("affected");
/// Record number → a compressed `StoredAdvisory`.
pub(super) const ADVISORIES: Table = TableDefinition::new("advisories");
/// Id → record number.
pub(super) const IDS: Table = TableDefinition::new("ids");
/// Name of a flaw → a compressed `StoredFlaw`.
pub(super) const FLAWS: Table = TableDefinition::new("flaws");
/// Maven artifact without group → the one package of that name, `group:artifact`; empty if there are several.
pub(super) const ARTIFACTS: Table = TableDefinition::new("artifacts");
/// `ecosystem \0 binary package` → the source packages that advisories say it was built from, joined by `\0`; only
/// those of other names.
pub(super) const SOURCES: Table = TableDefinition::new("sources");
/// Block of CVEs → exploitation.
pub(super) const EXPLOITATION: Table = TableDefinition::new("exploitation");
/// What the file says about itself.
pub(super) const META: Table = TableDefinition::new("meta");

/// The tables that make the revision, in the order in which they are hashed.
pub(super) const CONTENT: [Table; 7] = [AFFECTED, ADVISORIES, IDS, FLAWS, ARTIFACTS, SOURCES, EXPLOITATION];

/// Key in [`META`]: the format, four bytes.
pub(super) const FORMAT_KEY: &[u8] = b"format";
/// Key in [`META`]: the dictionary of all compressed values; may be empty.
pub(super) const DICTIONARY_KEY: &[u8] = b"dictionary";
/// Key in [`META`]: postcard of `StoredSummary`.
pub(super) const SUMMARY_KEY: &[u8] = b"summary";

/// Bytes of the fingerprint before a value of [`AFFECTED`].
pub(super) const FINGERPRINT_BYTES: usize = 8;

/// Whether the values of a table are compressed, and how many bytes stand before that.
pub(super) fn compressed_from(table: &Table) -> Option<usize> {
    use redb::TableHandle;
    match table.name() {
        "affected" => Some(FINGERPRINT_BYTES),
        "advisories" | "flaws" => Some(0),
        _ => None,
    }
}
