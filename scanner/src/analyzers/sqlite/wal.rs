//! SQLite's write-ahead log: pages that were committed but not yet written into the database beside it.
//!
//! 32 bytes of header, then frames of 24 bytes and a page. A frame counts while its salts are the header's
//! and the running checksum fits; a transaction is committed by the frame that states the size of the
//! database. Later frames of a page replace earlier ones. Format: SQLite, "Database File Format", section 4.

use std::collections::BTreeMap;

use crate::analyzers::ledger::Ledger;
use crate::analyzers::numbers::Order;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// The last bit of the magic number says in which byte order checksums were made.
const MAGIC: u32 = 0x377f_0682;

/// Why a log and a database cannot be joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalError {
    /// The log is not one.
    #[error("not a write-ahead log")]
    Malformed,
    /// Database and log disagree about the size of a page.
    #[error("the write-ahead log has pages of another size than the database")]
    PageSize,
    /// The log states a database size for which neither file has the pages.
    #[error("the write-ahead log leaves out pages of the database")]
    MissingPages,
}

/// The committed pages of a log.
struct Committed<'a> {
    page_size: usize,
    /// Number (from 1) and content.
    pages: BTreeMap<usize, &'a [u8]>,
    /// Pages of the whole database after the last commit.
    page_count: usize,
}

/// Notes a log that holds what `database`, the file of that name beside it, lacks. An empty log holds nothing.
pub(in crate::analyzers) fn note(log: &[u8], database: &str, ledger: &mut Ledger<'_>) {
    if log.is_empty() {
        return;
    }
    match Committed::read(log) {
        Ok(committed) if committed.pages.is_empty() => {}
        Ok(_) => ledger.log_of(database),
        Err(error) => ledger.damage(error),
    }
}

/// The database as SQLite would see it with its log: a new file image, which needs no log.
///
/// Its size is bounded by both inputs together.
///
/// # Errors
/// If the log is none, or the two do not belong together.
pub fn joined(database: &[u8], log: &[u8]) -> Result<Vec<u8>, WalError> {
    let committed = if log.is_empty() { None } else { Some(Committed::read(log)?) };
    let Some(committed) = committed.filter(|committed| !committed.pages.is_empty()) else {
        return Ok(database.to_vec());
    };
    let page_size = committed.page_size;
    let stated = Order::Big.u16(database, 16).map(|size| if size == 1 { 65_536 } else { usize::from(size) });
    if !database.is_empty() && stated != Some(page_size) {
        return Err(WalError::PageSize);
    }
    let mut image = Vec::new();
    for number in 1..=committed.page_count {
        let start = (number - 1) * page_size;
        let in_database = || database.get(start..start.checked_add(page_size)?);
        let page = committed.pages.get(&number).copied().or_else(in_database);
        image.extend_from_slice(page.ok_or(WalError::MissingPages)?);
    }
    Ok(image)
}

impl<'a> Committed<'a> {
    fn read(log: &'a [u8]) -> Result<Self, WalError> {
        let (header, frames) = log.split_at_checked(HEADER).ok_or(WalError::Malformed)?;
        let word = |at| Order::Big.u32(header, at).ok_or(WalError::Malformed);
        let order = match word(0)? {
            MAGIC => Order::Little,
            magic if magic == MAGIC | 1 => Order::Big,
            _ => return Err(WalError::Malformed),
        };
        let page_size = Order::Big.size(header, 8).filter(|size| size.is_power_of_two());
        let page_size = page_size.filter(|size| (512..=65_536).contains(size)).ok_or(WalError::Malformed)?;
        let mut sum = Sum { order, state: (0, 0) };
        sum.add(&header[..24]);
        if sum.state != (word(24)?, word(28)?) {
            return Err(WalError::Malformed);
        }
        let mut committed = Self { page_size, pages: BTreeMap::new(), page_count: 0 };
        let mut open = Vec::new();
        for frame in frames.chunks_exact(FRAME_HEADER + page_size) {
            let (head, page) = frame.split_at(FRAME_HEADER);
            let word = |at| Order::Big.u32(head, at);
            sum.add(&head[..8]);
            sum.add(page);
            let is_sound = head[8..16] == header[16..24] && (word(16), word(20)) == sum.words();
            let (Some(number), Some(size), true) =
                (Order::Big.size(head, 0), Order::Big.size(head, 4), is_sound)
            else {
                break;
            };
            open.push((number, page));
            if size != 0 {
                committed.pages.extend(open.drain(..));
                committed.page_count = size;
            }
        }
        Ok(committed)
    }
}

/// The running checksum over pairs of 32-bit words.
struct Sum {
    order: Order,
    state: (u32, u32),
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        for pair in bytes.chunks_exact(8) {
            let word = |at| self.order.u32(pair, at).unwrap_or(0);
            let first = self.state.0.wrapping_add(word(0)).wrapping_add(self.state.1);
            let second = self.state.1.wrapping_add(word(4)).wrapping_add(first);
            self.state = (first, second);
        }
    }

    fn words(&self) -> (Option<u32>, Option<u32>) {
        (Some(self.state.0), Some(self.state.1))
    }
}
