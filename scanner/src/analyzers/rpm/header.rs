//! An rpm header blob: a table of tagged values, read in place.
//!
//! Two big-endian numbers (entries, bytes of data), 16 bytes an entry (tag, type, offset, count), the data.
//! Format: rpm's documentation, "RPM v4 package format", header structure; in a database without the magic
//! and without a lead. Entries after the first region replace the region's of the same tag.

use crate::analyzers::numbers::Order;

/// rpm's own bounds.
const MOST_ENTRIES: usize = 65_535;
const MOST_DATA: usize = 256 << 20;
/// Elements of one array, as many as files of one package are accepted.
const MOST_ELEMENTS: usize = 1_000_000;

const INT32: u32 = 4;
const STRING: u32 = 6;
const STRING_ARRAY: u32 = 8;
const I18N_STRING: u32 = 9;

/// The tags that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Tag {
    Name = 1000,
    Version = 1001,
    Release = 1002,
    Epoch = 1003,
    Vendor = 1011,
    License = 1014,
    Arch = 1022,
    FileDigests = 1035,
    SourceRpm = 1044,
    DirIndexes = 1116,
    BaseNames = 1117,
    DirNames = 1118,
    FileDigestAlgorithm = 5011,
    ModularityLabel = 5096,
}

/// What is wrong with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HeaderDamage {
    #[error("a header states a size of {stated} bytes and has {actual}")]
    Size { stated: usize, actual: usize },
    #[error("a header states more entries or data than rpm allows")]
    TooLarge,
    #[error("a header ends before its table does")]
    Short,
    #[error("tag {0:?} of a header points outside its data")]
    Outside(Tag),
    #[error("tag {0:?} of a header has a type that it cannot have")]
    Type(Tag),
    #[error("a header has no {0:?}")]
    Missing(Tag),
    #[error("the file lists of a header do not fit each other")]
    Files,
}

/// A header blob whose table lies within it. Values are checked when they are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header<'a> {
    entries: &'a [[u8; 16]],
    data: &'a [u8],
}

/// One value: what its entry says, and the data from its offset on.
struct Value<'a> {
    tag: Tag,
    kind: u32,
    count: usize,
    data: &'a [u8],
}

impl<'a> Header<'a> {
    /// Checks the frame: stated sizes against the actual one.
    pub(super) fn open(blob: &'a [u8]) -> Result<Self, HeaderDamage> {
        let entries = Order::Big.size(blob, 0).ok_or(HeaderDamage::Short)?;
        let data = Order::Big.size(blob, 4).ok_or(HeaderDamage::Short)?;
        if entries > MOST_ENTRIES || data > MOST_DATA {
            return Err(HeaderDamage::TooLarge);
        }
        let stated = 8 + entries * 16 + data;
        if stated != blob.len() {
            return Err(HeaderDamage::Size { stated, actual: blob.len() });
        }
        let (table, data) = blob[8..].split_at(entries * 16);
        let (entries, _) = table.as_chunks();
        Ok(Self { entries, data })
    }

    /// A string; of several translations the first.
    pub(super) fn string(&self, tag: Tag) -> Result<Option<&'a [u8]>, HeaderDamage> {
        let Some(value) = self.value(tag)? else {
            return Ok(None);
        };
        match value.kind {
            STRING | STRING_ARRAY | I18N_STRING => value.strings().next().transpose(),
            _ => Err(HeaderDamage::Type(tag)),
        }
    }

    /// A string that must be there and not be empty.
    pub(super) fn required(&self, tag: Tag) -> Result<&'a [u8], HeaderDamage> {
        let string = self.string(tag)?.filter(|string| !string.is_empty());
        string.ok_or(HeaderDamage::Missing(tag))
    }

    /// The strings of an array; none if the tag is absent.
    pub(super) fn strings(
        &self,
        tag: Tag,
    ) -> Result<impl Iterator<Item = Result<&'a [u8], HeaderDamage>> + use<'a>, HeaderDamage> {
        let value = self.array(tag, STRING_ARRAY)?;
        Ok(value.into_iter().flat_map(Value::into_strings))
    }

    /// The numbers of an array; none if the tag is absent.
    pub(super) fn numbers(&self, tag: Tag) -> Result<impl Iterator<Item = u32> + use<'a>, HeaderDamage> {
        let raw = match self.array(tag, INT32)? {
            Some(value) => value.data.get(..value.count * 4).ok_or(HeaderDamage::Outside(tag))?,
            None => &[],
        };
        let (numbers, _) = raw.as_chunks();
        Ok(numbers.iter().map(|number| u32::from_be_bytes(*number)))
    }

    /// How many elements an array has.
    pub(super) fn count(&self, tag: Tag) -> Result<usize, HeaderDamage> {
        Ok(self.value(tag)?.map_or(0, |value| value.count))
    }

    fn array(&self, tag: Tag, kind: u32) -> Result<Option<Value<'a>>, HeaderDamage> {
        let value = self.value(tag)?;
        match value {
            Some(value) if value.kind != kind => Err(HeaderDamage::Type(tag)),
            value => Ok(value),
        }
    }

    /// The last entry of a tag: entries after the region replace those in it.
    fn value(&self, tag: Tag) -> Result<Option<Value<'a>>, HeaderDamage> {
        let is_tag = |entry: &&[u8; 16]| Order::Big.u32(&entry[..], 0) == Some(tag as u32);
        let Some(entry) = self.entries.iter().rfind(is_tag) else {
            return Ok(None);
        };
        let number = |at| Order::Big.size(entry, at).ok_or(HeaderDamage::Short);
        let (offset, count) = (number(8)?, number(12)?);
        let data = self.data.get(offset..).filter(|data| !data.is_empty());
        if count > MOST_ELEMENTS {
            return Err(HeaderDamage::TooLarge);
        }
        Ok(Some(Value {
            tag,
            kind: Order::Big.u32(entry, 4).ok_or(HeaderDamage::Short)?,
            count,
            data: data.ok_or(HeaderDamage::Outside(tag))?,
        }))
    }
}

impl<'a> Value<'a> {
    fn strings(&self) -> impl Iterator<Item = Result<&'a [u8], HeaderDamage>> + use<'a> {
        let (tag, mut rest) = (self.tag, self.data);
        (0..self.count).map(move |_| {
            let end = memchr::memchr(0, rest).ok_or(HeaderDamage::Outside(tag))?;
            let string = &rest[..end];
            rest = &rest[end + 1..];
            Ok(string)
        })
    }

    fn into_strings(self) -> impl Iterator<Item = Result<&'a [u8], HeaderDamage>> + use<'a> {
        self.strings()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A blob of entries (tag, type, offset, count) and data.
    fn blob(entries: &[[u32; 4]], data: &[u8]) -> Vec<u8> {
        let mut blob = Vec::new();
        for number in [entries.len() as u32, data.len() as u32] {
            blob.extend(number.to_be_bytes());
        }
        blob.extend(entries.iter().flatten().flat_map(|number| number.to_be_bytes()));
        blob.extend(data);
        blob
    }

    fn check(entries: &[[u32; 4]], data: &[u8], expected: Result<Option<&[u8]>, HeaderDamage>) {
        let blob = blob(entries, data);
        let found = Header::open(&blob).and_then(|header| header.string(Tag::Name));
        assert_eq!(found, expected, "{entries:?} {data:?}");
    }

    #[test]
    fn strings_are_found_where_their_entry_says() {
        check(&[[1000, 6, 0, 1]], b"a\0", Ok(Some(b"a")));
        check(&[[1000, 6, 2, 1]], b"a\0bc\0", Ok(Some(b"bc")));
        check(&[[1000, 9, 0, 2]], b"a\0b\0", Ok(Some(b"a")));
        check(&[[1000, 8, 0, 0]], b"a\0", Ok(None));
        check(&[[1001, 6, 0, 1]], b"a\0", Ok(None));
        check(&[], b"", Ok(None));
    }

    #[test]
    fn an_entry_after_the_region_replaces_the_one_in_it() {
        check(&[[63, 7, 0, 16], [1000, 6, 0, 1], [1000, 6, 2, 1]], b"a\0b\0", Ok(Some(b"b")));
    }

    #[test]
    fn i7_entries_that_lie_are_damage() {
        check(&[[1000, 6, 0, 1]], b"a", Err(HeaderDamage::Outside(Tag::Name)));
        check(&[[1000, 6, 2, 1]], b"a\0", Err(HeaderDamage::Outside(Tag::Name)));
        check(&[[1000, 6, u32::MAX, 1]], b"a\0", Err(HeaderDamage::Outside(Tag::Name)));
        check(&[[1000, 4, 0, 1]], b"a\0", Err(HeaderDamage::Type(Tag::Name)));
        check(&[[1000, 8, 0, u32::MAX]], b"a\0", Err(HeaderDamage::TooLarge));

        let numbers = blob(&[[1003, 4, 0, 2]], &[0, 0, 0, 7]);
        let numbers = Header::open(&numbers).unwrap().numbers(Tag::Epoch).map(Iterator::count);
        assert_eq!(numbers, Err(HeaderDamage::Outside(Tag::Epoch)));
    }

    #[test]
    fn i7_frames_that_lie_are_damage() {
        let sound = blob(&[[1000, 6, 0, 1]], b"a\0");
        for (at, byte) in [(3, 0), (3, 2), (7, 1), (7, 3), (0, 1), (4, 0x20)] {
            let mut lying = sound.clone();
            lying[at] = byte;
            assert!(Header::open(&lying).is_err(), "{at} {byte}");
        }
        for end in 0..sound.len() {
            assert!(Header::open(&sound[..end]).is_err(), "{end}");
        }
    }
}
