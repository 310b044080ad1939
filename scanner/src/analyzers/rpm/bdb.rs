//! The Berkeley DB hash file `Packages`: one header a value, long ones in chains of overflow pages.
//!
//! Page 0 describes the file; hash pages hold keys and values in turn. Keys are package numbers; number 0 is
//! a counter. Read page by page without the hash itself, in either byte order. Format: Berkeley DB,
//! `dbinc/db_page.h`.

use super::Headers;
use crate::analyzers::numbers::Order;

const HASH_MAGIC: u32 = 0x0006_1561;
const HASH_META: u8 = 8;
const HASH_UNSORTED: u8 = 2;
const OVERFLOW: u8 = 7;
const HASH: u8 = 13;
const PAGE_HEADER: usize = 26;

const INLINE: u8 = 1;
const OFF_PAGE: u8 = 3;

/// What is wrong with a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum BdbDamage {
    #[error("it is not a Berkeley DB hash file")]
    Magic,
    #[error("its page size is none")]
    PageSize,
    #[error("it is encrypted")]
    Encrypted,
    #[error("it has {actual} pages of {stated}")]
    CutOff { stated: usize, actual: usize },
    #[error("page {0} points outside itself")]
    Page(usize),
    #[error("page {0} has a value of a kind that package databases do not have")]
    Kind(usize),
    #[error("the chain of overflow pages from page {0} is broken")]
    Chain(usize),
    #[error("page {0} lists other items than it holds")]
    Items(usize),
    #[error("overflow page {0} belongs to no value")]
    Orphan(usize),
}

/// A file whose description makes sense.
struct Database<'a> {
    order: Order,
    page_size: usize,
    content: &'a [u8],
    /// Overflow pages that were followed: each belongs to one value.
    followed: Vec<bool>,
}

/// Delivers the value of every pair but the counter.
pub(super) fn read(content: &[u8], headers: &mut Headers<'_, '_>) {
    let mut database = match Database::open(content) {
        Ok(database) => database,
        Err(damage) => return headers.damage(damage),
    };
    if let Err(damage) = database.is_complete() {
        headers.damage(damage);
    }
    for number in 1..database.followed.len() {
        let Some(page) = database.page(number) else { break };
        if matches!(page[25], HASH | HASH_UNSORTED) {
            database.read_pairs(number, page, headers);
        }
        if headers.is_full() {
            return;
        }
    }
    if let Some(orphan) = database.orphan() {
        headers.damage(orphan);
    }
}

impl<'a> Database<'a> {
    fn open(content: &'a [u8]) -> Result<Self, BdbDamage> {
        let orders = [Order::Little, Order::Big];
        let order = orders.into_iter().find(|order| order.u32(content, 12) == Some(HASH_MAGIC));
        let order = order.ok_or(BdbDamage::Magic)?;
        let page_size = order.size(content, 20).unwrap_or(0);
        if !(512..=65_536).contains(&page_size) || !page_size.is_power_of_two() {
            return Err(BdbDamage::PageSize);
        }
        match content.get(24..26) {
            Some([0, HASH_META]) => {}
            Some([0, _]) | None => return Err(BdbDamage::Magic),
            Some(_) => return Err(BdbDamage::Encrypted),
        }
        let followed = vec![false; content.len() / page_size];
        Ok(Self { order, page_size, content, followed })
    }

    /// Whether the file has as many pages as its description says.
    fn is_complete(&self) -> Result<(), BdbDamage> {
        let stated = self.order.size(self.content, 32).map_or(0, |last| last.saturating_add(1));
        let actual = self.followed.len();
        if stated > actual { Err(BdbDamage::CutOff { stated, actual }) } else { Ok(()) }
    }

    fn page(&self, number: usize) -> Option<&'a [u8]> {
        let start = number.checked_mul(self.page_size)?;
        self.content.get(start..start.checked_add(self.page_size)?)
    }

    /// An overflow page that no value led to. Pages that are free have another kind, so its value went missing.
    fn orphan(&self) -> Option<BdbDamage> {
        let is_orphan = |number: &usize| {
            let is_overflow = self.page(*number).is_some_and(|page| page[25] == OVERFLOW);
            is_overflow && !self.followed[*number]
        };
        (1..self.followed.len()).find(is_orphan).map(BdbDamage::Orphan)
    }

    /// Whether the last item listed is the one at which the page says that its items begin.
    fn lists_all(&self, page: &[u8], entries: usize) -> bool {
        let last = match entries.checked_sub(1) {
            Some(last) => self.order.u16(page, PAGE_HEADER + last * 2),
            // The largest page size does not fit into the field; an empty page then says 0.
            None => Some(self.page_size as u16),
        };
        last == self.order.u16(page, 22)
    }

    /// Delivers the values of one hash page.
    fn read_pairs(&mut self, number: usize, page: &'a [u8], headers: &mut Headers<'_, '_>) {
        let entries = self.order.u16(page, 20).map_or(0, usize::from);
        if !entries.is_multiple_of(2) {
            headers.damage(BdbDamage::Page(number));
        }
        if !self.lists_all(page, entries) {
            headers.damage(BdbDamage::Items(number));
        }
        for pair in 0..entries / 2 {
            if headers.is_full() {
                return;
            }
            let items = self.item(page, pair * 2).zip(self.item(page, pair * 2 + 1));
            let Some((key, value)) = items else {
                return headers.damage(BdbDamage::Page(number));
            };
            if is_counter(key) {
                continue;
            }
            match self.value(number, value) {
                Ok(Value::Inline(blob)) => headers.blob(blob),
                Ok(Value::Collected(blob)) => headers.blob(&blob),
                Err(damage) => headers.damage(damage),
            }
        }
    }

    /// An item: from its offset to where the item before it begins. Items grow from the end of the page.
    fn item(&self, page: &'a [u8], index: usize) -> Option<&'a [u8]> {
        let offset = |index: usize| self.order.u16(page, PAGE_HEADER + index * 2).map(usize::from);
        let end = match index.checked_sub(1) {
            Some(before) => offset(before)?,
            None => self.page_size,
        };
        page.get(offset(index)?..end).filter(|item| !item.is_empty())
    }

    fn value(&mut self, number: usize, item: &'a [u8]) -> Result<Value<'a>, BdbDamage> {
        match item {
            [INLINE, blob @ ..] => Ok(Value::Inline(blob)),
            [OFF_PAGE, ..] => {
                let first = self.order.size(item, 4).ok_or(BdbDamage::Page(number))?;
                let length = self.order.size(item, 8).ok_or(BdbDamage::Page(number))?;
                self.chain(first, length).map(Value::Collected)
            }
            _ => Err(BdbDamage::Kind(number)),
        }
    }

    /// The bytes of a chain of overflow pages. Each page is followed once, so a loop ends.
    fn chain(&mut self, first: usize, length: usize) -> Result<Vec<u8>, BdbDamage> {
        let broken = BdbDamage::Chain(first);
        let mut blob = Vec::new();
        let mut next = first;
        while next != 0 {
            let page = self.page(next).filter(|page| page[25] == OVERFLOW).ok_or(broken)?;
            let followed = self.followed.get_mut(next).ok_or(broken)?;
            if std::mem::replace(followed, true) {
                return Err(broken);
            }
            let used = self.order.u16(page, 22).map(usize::from).ok_or(broken)?;
            blob.extend_from_slice(page.get(PAGE_HEADER..PAGE_HEADER + used).ok_or(broken)?);
            if blob.len() > length {
                return Err(broken);
            }
            next = self.order.size(page, 16).ok_or(broken)?;
        }
        if blob.len() == length { Ok(blob) } else { Err(broken) }
    }
}

/// A value in its page, or put together from others.
enum Value<'a> {
    Inline(&'a [u8]),
    Collected(Vec<u8>),
}

/// Whether a key is the package number 0, under which the database counts.
fn is_counter(key: &[u8]) -> bool {
    key == [INLINE, 0, 0, 0, 0]
}
