//! rpm's own database `Packages.db`: a table of slots, each naming a run of 16-byte blocks with one header.
//!
//! 32 bytes of file header (`RpmP`, version, generation, pages of slots); slots of 16 bytes (`Slot`, package
//! number, first block, number of blocks) fill pages of 4096 bytes; a blob is `BlbS`, package number,
//! generation, length, the header, padding, then checksum, length, `BlbE`. All little-endian. Format: rpm,
//! `lib/backend/ndb/rpmpkg.c`.

use super::Headers;
use crate::analyzers::numbers::Order::Little;

const FILE_HEADER: usize = 32;
const SLOT: usize = 16;
const SLOT_PAGE: usize = 4096;
const MOST_SLOT_PAGES: usize = 2048;
const BLOCK: usize = 16;
const BLOB_HEAD: usize = 16;
const BLOB_TAIL: usize = 12;

/// What is wrong with a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum NdbDamage {
    #[error("it is not an NDB file")]
    Magic,
    #[error("its table of slots does not fit into it")]
    SlotPages,
    #[error("slot {0} is none")]
    Slot(usize),
    #[error("the blob of package {0} lies outside the file")]
    Outside(u32),
    #[error("the blob of package {0} is not one")]
    Blob(u32),
    #[error("the blob of package {0} has another size than its slot says")]
    Blocks(u32),
}

/// A slot in use.
struct Slot {
    package: u32,
    block: usize,
    blocks: usize,
}

/// Delivers the header of every slot in use.
pub(super) fn read(content: &[u8], headers: &mut Headers<'_, '_>) {
    let slots = match slots(content) {
        Ok(slots) => slots,
        Err(damage) => return headers.damage(damage),
    };
    for (number, slot) in slots.iter().enumerate() {
        if headers.is_full() {
            return;
        }
        match used(slot, number) {
            Ok(Some(slot)) => deliver(content, &slot, headers),
            Ok(None) => {}
            Err(damage) => headers.damage(damage),
        }
    }
}

/// The table of slots, as much of it as there is.
fn slots(content: &[u8]) -> Result<&[[u8; SLOT]], NdbDamage> {
    if !content.starts_with(b"RpmP") || Little.u32(content, 4) != Some(0) {
        return Err(NdbDamage::Magic);
    }
    let pages = Little.size(content, 12).filter(|pages| (1..=MOST_SLOT_PAGES).contains(pages));
    let end = pages.ok_or(NdbDamage::SlotPages)? * SLOT_PAGE;
    let table = content.get(FILE_HEADER..end).ok_or(NdbDamage::SlotPages)?;
    Ok(table.as_chunks().0)
}

/// What a slot says; `None` if it is free.
fn used(slot: &[u8; SLOT], number: usize) -> Result<Option<Slot>, NdbDamage> {
    let damage = NdbDamage::Slot(number);
    let package = Little.u32(slot, 4).ok_or(damage)?;
    let block = Little.size(slot, 8).ok_or(damage)?;
    let blocks = Little.size(slot, 12).ok_or(damage)?;
    let is_slot = slot.starts_with(b"Slot");
    match (package, block, blocks) {
        (0, 0, 0) if is_slot => Ok(None),
        (0, _, _) => Err(damage),
        _ if is_slot => Ok(Some(Slot { package, block, blocks })),
        _ => Err(damage),
    }
}

/// Delivers the header of a slot. A wrong number of blocks is damage, but the blob states its own length too.
fn deliver(content: &[u8], slot: &Slot, headers: &mut Headers<'_, '_>) {
    match header(content, slot) {
        Ok(header) => {
            headers.blob(header);
            if !is_whole(content, slot, header.len()) {
                headers.damage(NdbDamage::Blocks(slot.package));
            }
        }
        Err(damage) => headers.damage(damage),
    }
}

fn header<'a>(content: &'a [u8], slot: &Slot) -> Result<&'a [u8], NdbDamage> {
    let outside = NdbDamage::Outside(slot.package);
    let start = slot.block.checked_mul(BLOCK).ok_or(outside)?;
    let blob = content.get(start..).ok_or(outside)?;
    if !blob.starts_with(b"BlbS") || Little.u32(blob, 4) != Some(slot.package) {
        return Err(NdbDamage::Blob(slot.package));
    }
    let length = Little.size(blob, 12).ok_or(outside)?;
    let end = length.checked_add(BLOB_HEAD).ok_or(outside)?;
    blob.get(BLOB_HEAD..end).ok_or(outside)
}

/// Whether the blocks are as many as the blob needs, and the last one ends as it must.
fn is_whole(content: &[u8], slot: &Slot, length: usize) -> bool {
    let needed = (BLOB_HEAD + length + BLOB_TAIL).div_ceil(BLOCK);
    let end = slot.block.checked_add(needed).and_then(|end| end.checked_mul(BLOCK));
    let tail = end.and_then(|end| content.get(end - BLOB_TAIL..end));
    let tail_fits = tail.is_some_and(|tail| Little.size(tail, 4) == Some(length) && tail.ends_with(b"BlbE"));
    slot.blocks == needed && tail_fits
}
