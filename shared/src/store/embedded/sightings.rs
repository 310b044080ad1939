//! The sightings of one digest as one value: at most so many, newest first, one for each place.

use redb::{ReadableTable as _, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use crate::model::digest::Digest;
use crate::store::record::MOST_SIGHTINGS;

/// Digest → sightings.
pub(super) const SIGHTINGS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("sightings");

const VERSION: u8 = 1;

/// Place (see `record`) and time in microseconds since 1970.
type Seen = (String, i64);

#[derive(Serialize)]
struct Out<'a> {
    v: u8,
    seen: &'a [Seen],
}

#[derive(Deserialize)]
struct In {
    v: u8,
    seen: Vec<Seen>,
}

/// Writes one more sighting of a digest.
pub(super) fn note(
    transaction: &WriteTransaction,
    digest: &Digest,
    place: String,
    seen_us: i64,
) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(SIGHTINGS)?;
    let name = digest.as_str().as_bytes();
    let known = table.get(name)?.map(|bytes| decode(bytes.value()));
    let seen = with(known.unwrap_or_default(), place, seen_us);
    table.insert(name, encode(&seen).as_slice())?;
    Ok(())
}

/// What is stored. A value that cannot be read counts as none: the next pushes fill it again.
pub(super) fn decode(bytes: &[u8]) -> Vec<Seen> {
    match serde_json::from_slice::<In>(bytes) {
        Ok(stored) if stored.v == VERSION => stored.seen,
        Ok(_) | Err(_) => Vec::new(),
    }
}

/// The bytes of a list.
fn encode(seen: &[Seen]) -> Vec<u8> {
    serde_json::to_vec(&Out { v: VERSION, seen }).expect("texts and numbers are always JSON")
}

/// The list with one more sighting. A place keeps its newest time; the oldest places make room.
fn with(mut seen: Vec<Seen>, place: String, seen_us: i64) -> Vec<Seen> {
    match seen.iter_mut().find(|(known, _)| *known == place) {
        Some((_, time)) => *time = seen_us.max(*time),
        None => seen.push((place, seen_us)),
    }
    seen.sort_by(|(place, time), (other_place, other_time)| (other_time, other_place).cmp(&(time, place)));
    seen.truncate(MOST_SIGHTINGS);
    seen
}
