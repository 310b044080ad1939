//! The header of a `.rpm`: a lead of 96 bytes, a signature header padded to eight bytes, then the package's own.
//!
//! Each header begins with eight bytes of magic and then is what a database keeps. Format: rpm's documentation,
//! "RPM v4 package format".

use super::header::{Header, HeaderDamage};
use super::package::package;
use crate::analyzers::ledger::Ledger;
use crate::analyzers::numbers::Order;

const LEAD: usize = 96;
const MAGIC: [u8; 4] = [0x8e, 0xad, 0xe8, 0x01];
/// Magic and four reserved bytes.
const MAGIC_SIZE: usize = 8;

/// Enters the package that an archive would install. An archive of sources installs nothing.
pub(in crate::analyzers) fn read_archive(content: &[u8], ledger: &mut Ledger<'_>) {
    const SOURCE: u16 = 1;
    if Order::Big.u16(content, 6) == Some(SOURCE) {
        return;
    }
    match own_header(content).map_or(Err(HeaderDamage::Short), |blob| package(&Header::open(blob)?)) {
        Ok(package) => ledger.package(package),
        Err(damage) => ledger.damage(format_args!("the package archive cannot be read: {damage}")),
    }
}

/// The second header, without its magic.
fn own_header(content: &[u8]) -> Option<&[u8]> {
    let signature = header(content.get(LEAD..)?)?;
    let padded = (MAGIC_SIZE + signature.len()).checked_next_multiple_of(8)?;
    header(content.get(LEAD + padded..)?)
}

/// The header that bytes begin with, as long as it says it is.
fn header(bytes: &[u8]) -> Option<&[u8]> {
    let bytes = bytes.strip_prefix(&MAGIC)?.get(MAGIC_SIZE - MAGIC.len()..)?;
    let (entries, data) = (Order::Big.size(bytes, 0)?, Order::Big.size(bytes, 4)?);
    let size = entries.checked_mul(16)?.checked_add(data)?.checked_add(8)?;
    bytes.get(..size)
}
