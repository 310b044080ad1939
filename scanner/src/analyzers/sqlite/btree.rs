//! The table b-trees of an SQLite file: page by page, row by row, each page at most once.
//!
//! Format: SQLite, "Database File Format", sections 1.3 to 1.6. Reading goes on after damage. Every page is
//! audited as SQLite's own integrity check does it: cells, free blocks and fragments must fill the page from
//! the start of its content to its end. A cell that is not listed any more is therefore noticed.

use std::borrow::Cow;

use super::record::varint;
use crate::analyzers::numbers::Order::Big;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const FILE_HEADER: usize = 100;
const INTERIOR: u8 = 5;
const LEAF: u8 = 13;
/// SQLite's own bound on the depth of a b-tree.
const DEEPEST: usize = 20;

/// What is wrong with a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::analyzers) enum SqliteDamage {
    #[error("it is not an SQLite file")]
    Magic,
    #[error("its page size is none")]
    PageSize,
    #[error("it has {actual} bytes of {stated}")]
    CutOff { stated: u64, actual: usize },
    #[error("page {0} is outside the file or used twice")]
    Page(u32),
    #[error("page {0} does not belong to a table")]
    Kind(u32),
    #[error("page {0} points outside itself")]
    Cell(u32),
    #[error("the content of page {0} does not fill it")]
    Gap(u32),
    #[error("its tables are nested too deeply")]
    Depth,
    #[error("a row is malformed")]
    Record,
    #[error("it has no table of packages")]
    NoTable,
    #[error("it has a table twice")]
    TableTwice,
    #[error("its table of packages lacks a column")]
    NoColumn,
}

/// The pages of a file, and which have been read.
pub(in crate::analyzers) struct Btrees<'a> {
    content: &'a [u8],
    page_size: usize,
    /// What of a page is used: extensions may reserve its end.
    usable: usize,
    read: Vec<bool>,
}

/// What becomes of a row; says whether that is enough.
type Visit<'v> = &'v mut dyn FnMut(Result<Cow<'_, [u8]>, SqliteDamage>) -> bool;

/// One page of a b-tree.
struct Page<'a> {
    number: u32,
    bytes: &'a [u8],
    /// Where the page's own header begins: page 1 also has the file's.
    start: usize,
}

/// A cell of a leaf.
struct Cell<'a> {
    /// How much of the page it takes.
    size: usize,
    /// Length of the row.
    length: usize,
    /// The part of the row in the page.
    local: &'a [u8],
    /// The first overflow page, or 0.
    overflow: u32,
}

impl<'a> Btrees<'a> {
    /// Checks the file header.
    pub(in crate::analyzers) fn open(content: &'a [u8]) -> Result<Self, SqliteDamage> {
        if content.len() < FILE_HEADER || !content.starts_with(MAGIC) {
            return Err(SqliteDamage::Magic);
        }
        let page_size = match Big.u16(content, 16).map(usize::from) {
            Some(1) => 65_536,
            Some(size) if size >= 512 && size.is_power_of_two() => size,
            _ => return Err(SqliteDamage::PageSize),
        };
        let usable = page_size - usize::from(content[20]);
        if usable < 480 {
            return Err(SqliteDamage::PageSize);
        }
        let read = vec![false; content.len() / page_size];
        Ok(Self { content, page_size, usable, read })
    }

    /// Whether the file has as many bytes as its header says.
    pub(in crate::analyzers) fn is_complete(&self) -> Result<(), SqliteDamage> {
        let pages = Big.u32(self.content, 28).unwrap_or(0);
        let stated = u64::from(pages) * self.page_size as u64;
        let actual = self.content.len();
        if stated > actual as u64 || !actual.is_multiple_of(self.page_size) {
            return Err(SqliteDamage::CutOff { stated, actual });
        }
        Ok(())
    }

    /// Visits the rows of the table that begins in a page, and the damage, until a visit says it is enough.
    pub(in crate::analyzers) fn rows(&mut self, root: u32, visit: Visit<'_>) {
        // Pages are marked when they are put here, so there is at most one entry a page of the file.
        let mut waiting = Vec::new();
        if let Err(damage) = self.wait_for(root, 0, &mut waiting) {
            visit(Err(damage));
        }
        while let Some((number, depth)) = waiting.pop() {
            let is_enough = match self.page(number) {
                Ok(page) if page.kind() == Some(INTERIOR) => self.descend(&page, depth, &mut waiting, visit),
                Ok(page) if page.kind() == Some(LEAF) => self.visit_leaf(&page, visit),
                Ok(page) => visit(Err(SqliteDamage::Kind(page.number))),
                Err(damage) => visit(Err(damage)),
            };
            if is_enough {
                return;
            }
        }
    }

    fn wait_for(
        &mut self,
        number: u32,
        depth: usize,
        waiting: &mut Vec<(u32, usize)>,
    ) -> Result<(), SqliteDamage> {
        if depth > DEEPEST {
            return Err(SqliteDamage::Depth);
        }
        self.mark(number)?;
        waiting.push((number, depth));
        Ok(())
    }

    /// Claims a page, which no other row and no other part of the tree may then use.
    fn mark(&mut self, number: u32) -> Result<(), SqliteDamage> {
        let index = (number as usize).checked_sub(1);
        match index.and_then(|index| self.read.get_mut(index)) {
            Some(read) if !*read => {
                *read = true;
                Ok(())
            }
            _ => Err(SqliteDamage::Page(number)),
        }
    }

    fn page(&self, number: u32) -> Result<Page<'a>, SqliteDamage> {
        let index = (number as usize).checked_sub(1);
        let start = index.and_then(|index| index.checked_mul(self.page_size));
        let bytes = start.and_then(|start| self.content.get(start..start.checked_add(self.usable)?));
        let bytes = bytes.ok_or(SqliteDamage::Page(number))?;
        Ok(Page { number, bytes, start: if number == 1 { FILE_HEADER } else { 0 } })
    }

    /// An interior page: cells of a child's page number and a key, and one more child in the page's header.
    fn descend(
        &mut self,
        page: &Page<'_>,
        depth: usize,
        waiting: &mut Vec<(u32, usize)>,
        visit: Visit<'_>,
    ) -> bool {
        let mut filled = 0;
        let mut children = Vec::new();
        for cell in page.cells(12) {
            let child =
                cell.and_then(|at| Some((Big.u32(page.bytes, at)?, varint(page.bytes.get(at + 4..)?)?)));
            let Some((child, (_, key_size))) = child else {
                if visit(Err(SqliteDamage::Cell(page.number))) {
                    return true;
                }
                continue;
            };
            filled += 4 + key_size;
            children.push(child);
        }
        children.extend(Big.u32(page.bytes, page.start + 8));
        if page.audit(filled).is_err_and(|damage| visit(Err(damage))) {
            return true;
        }
        for child in children.into_iter().rev() {
            let waits = self.wait_for(child, depth + 1, waiting);
            if waits.is_err_and(|damage| visit(Err(damage))) {
                return true;
            }
        }
        false
    }

    fn visit_leaf(&mut self, page: &Page<'a>, visit: Visit<'_>) -> bool {
        let mut filled = 0;
        for cell in page.cells(8) {
            let row = match cell.and_then(|at| self.cell(page.bytes, at)) {
                Some(cell) => {
                    filled += cell.size;
                    self.row(&cell)
                }
                None => Err(SqliteDamage::Cell(page.number)),
            };
            if visit(row) {
                return true;
            }
        }
        match page.audit(filled) {
            Ok(()) => false,
            Err(damage) => visit(Err(damage)),
        }
    }

    /// A leaf's cell: length, key, and as much of the row as the format leaves in the page.
    fn cell(&self, page: &'a [u8], at: usize) -> Option<Cell<'a>> {
        let (length, length_size) = varint(page.get(at..)?)?;
        let (_, key_size) = varint(page.get(at + length_size..)?)?;
        let start = at + length_size + key_size;
        let length = usize::try_from(length).ok()?;
        let most = self.usable - 35;
        if length <= most {
            let local = page.get(start..start.checked_add(length)?)?;
            let size = (start + length - at).max(4);
            return Some(Cell { size, length, local, overflow: 0 });
        }
        let least = (self.usable - 12) * 32 / 255 - 23;
        let aligned = least + (length - least) % (self.usable - 4);
        let kept = if aligned <= most { aligned } else { least };
        let end = start + kept;
        Some(Cell { size: end + 4 - at, length, local: page.get(start..end)?, overflow: Big.u32(page, end)? })
    }

    /// The whole row: what is in the page and what its overflow pages add.
    fn row<'c>(&mut self, cell: &Cell<'c>) -> Result<Cow<'c, [u8]>, SqliteDamage> {
        if cell.overflow == 0 && cell.local.len() == cell.length {
            return Ok(Cow::Borrowed(cell.local));
        }
        if cell.length > self.content.len() {
            return Err(SqliteDamage::Record);
        }
        let mut row = cell.local.to_vec();
        let mut next = cell.overflow;
        while row.len() < cell.length {
            self.mark(next)?;
            let page = self.page(next)?.bytes;
            let wanted = (cell.length - row.len()).min(self.usable - 4);
            row.extend_from_slice(&page[4..4 + wanted]);
            next = Big.u32(page, 0).unwrap_or(0);
        }
        if next == 0 { Ok(Cow::Owned(row)) } else { Err(SqliteDamage::Page(next)) }
    }
}

impl Page<'_> {
    fn kind(&self) -> Option<u8> {
        self.bytes.get(self.start).copied()
    }

    fn number_at(&self, offset: usize) -> usize {
        Big.u16(self.bytes, offset).map_or(0, usize::from)
    }

    fn cell_count(&self) -> usize {
        self.number_at(self.start + 3)
    }

    /// Where the cells begin, from the array that follows the header.
    fn cells(&self, header: usize) -> impl Iterator<Item = Option<usize>> {
        let array = self.start + header;
        (0..self.cell_count()).map(move |index| Big.u16(self.bytes, array + index * 2).map(usize::from))
    }

    /// Whether what is used and what is known to be free fills the page from the start of its content.
    fn audit(&self, filled: usize) -> Result<(), SqliteDamage> {
        let gap = SqliteDamage::Gap(self.number);
        let content = match self.number_at(self.start + 5) {
            0 => 65_536,
            content => content,
        };
        let fragments = self.bytes.get(self.start + 7).map_or(0, |count| usize::from(*count));
        let mut filled = filled + fragments;
        let mut block = self.number_at(self.start + 1);
        while block != 0 {
            let next = self.number_at(block);
            filled += self.number_at(block + 2);
            // Free blocks are in order, so that the chain ends.
            if next != 0 && next <= block {
                return Err(gap);
            }
            block = next;
        }
        let space = self.bytes.len().checked_sub(content).ok_or(gap)?;
        if filled == space { Ok(()) } else { Err(gap) }
    }
}
