//! Tables of contents in skippable frames of a zstd stream (zstd:chunked).
//!
//! Runtimes find them by an annotation of the manifest or, some of them, by a footer. A layer's analysis does not
//! depend on manifests, so it says which tables agree with the tar; whether a manifest leads to one of those, its
//! examination asks. containers/storage, "pkg/chunked"; stargz-snapshotter, "zstdchunked".

use std::io::{self, BufReader, Read};

use serde::{Deserialize, Serialize};
use shared::model::document::Descriptor;
use zstd::stream::read::Decoder;

use super::View;
use crate::image::halt::Halt;
use crate::image::stored::Stored;

/// Payload of the longest footer: eight numbers, the last of them a word.
pub(super) const FOOTER: usize = 64;
/// A skippable frame's magic and length. RFC 8878, section 3.1.2.
const HEADER: usize = 8;
/// Windows of tables: what ordinary encoders use.
const WINDOW_LOG: u32 = 23;
/// How many tables of one layer are remembered. Builders write one.
const MOST: usize = 4;
/// What manifests call the place of a table: `offset:length:…`.
const POSITION: [&str; 2] =
    ["io.github.containers.zstd-chunked.manifest-position", "io.containers.zstd-chunked.manifest-position"];

/// Where a table lies in the stored bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablePlace {
    /// Of its first byte.
    pub at: u64,
    /// Stored bytes.
    pub length: u64,
}

/// A table that can be read, and what it shows.
#[derive(Clone, Copy, Debug)]
struct Table {
    place: TablePlace,
    view: View,
}

/// The last tables of a stream.
#[derive(Debug, Default)]
pub(in crate::image) struct Tables(Vec<Table>);

/// Whether a frame that begins with `start` is one that decoders skip.
pub(in crate::image) fn is_skippable(start: &[u8]) -> bool {
    matches!(start, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

impl Tables {
    /// Takes one skippable frame from `stored`, and remembers its content if it is a table of at most `largest` bytes.
    pub(in crate::image) fn take_frame(&mut self, stored: &mut Stored, largest: u64) -> Result<(), Halt> {
        let mut header = [0; HEADER];
        stored.read_exact(&mut header).map_err(cut_short)?;
        let [.., a, b, c, d] = header;
        let length = u64::from(u32::from_le_bytes([a, b, c, d]));
        let place = TablePlace { at: stored.position(), length };
        let mut payload = Read::by_ref(stored).take(length);
        if let Some(view) = read(&mut payload, largest) {
            if self.0.len() == MOST {
                self.0.remove(0);
            }
            self.0.push(Table { place, view });
        }
        // Whatever the source has to say about the rest, it says here.
        io::copy(&mut payload, &mut io::sink()).map_err(Halt::of)?;
        if payload.limit() > 0 {
            return Err(Halt::Corrupt("a skippable frame ends too early".to_owned()));
        }
        Ok(())
    }

    /// The places of those that show the files of the tar.
    pub(in crate::image) fn agreeing(&self, tar: &View) -> Vec<TablePlace> {
        self.0.iter().filter(|table| table.view == *tar).map(|table| table.place).collect()
    }
}

fn cut_short(error: io::Error) -> Halt {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Halt::Corrupt("a skippable frame ends too early".to_owned()),
        _ => Halt::of(error),
    }
}

/// What a frame's payload shows, if it is a table.
fn read(payload: impl Read, largest: u64) -> Option<View> {
    let mut decoder = Decoder::new(payload).ok()?.single_frame();
    decoder.window_log_max(WINDOW_LOG).ok()?;
    super::read(BufReader::new(decoder).take(largest)).ok()
}

/// Where the table is, as a footer says that ends a layer. There are two, of different builders.
pub(super) fn footer(tail: &[u8]) -> Option<TablePlace> {
    let payload = |length: usize, magic: &[u8]| {
        let payload = tail.get(tail.len().checked_sub(length)?..)?;
        payload.ends_with(magic).then_some(payload)
    };
    let payload = payload(FOOTER, b"GNUlInUx").or_else(|| payload(40, b"GnUlInUx"))?;
    let (at, rest) = payload.split_first_chunk()?;
    let (length, _) = rest.split_first_chunk()?;
    Some(TablePlace { at: u64::from_le_bytes(*at), length: u64::from_le_bytes(*length) })
}

/// Whether a manifest leads runtimes to a table that is none of `agreeing`.
pub(in crate::image) fn is_led_astray(layer: &Descriptor, agreeing: &[TablePlace]) -> bool {
    let positions = POSITION.iter().filter_map(|name| layer.annotations.get(*name));
    let mut places = positions.map(|text| {
        let mut numbers = text.split(':').map(str::parse);
        Some(TablePlace { at: numbers.next()?.ok()?, length: numbers.next()?.ok()? })
    });
    places.any(|place| place.is_none_or(|place| !agreeing.contains(&place)))
}

#[cfg(test)]
mod tests;
