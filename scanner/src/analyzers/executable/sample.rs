//! Minimal executables for tests, byte by byte: a few sections in each of the formats.

/// Byte order of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::analyzers) enum Order {
    Little,
    Big,
}

/// Word size of an ELF sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::analyzers) enum Class {
    Elf32,
    Elf64,
}

/// One section, loaded by a segment of its own where the format has segments.
#[derive(Clone, Copy, Debug)]
pub(in crate::analyzers) struct Section<'a> {
    name: &'a str,
    content: &'a [u8],
    is_writable: bool,
}

impl<'a> Section<'a> {
    pub(in crate::analyzers) const fn constants(name: &'a str, content: &'a [u8]) -> Self {
        Self { name, content, is_writable: false }
    }

    pub(in crate::analyzers) const fn variables(name: &'a str, content: &'a [u8]) -> Self {
        Self { name, content, is_writable: true }
    }
}

/// File offset of the first section; headers fit before it.
const START: u64 = 0x400;
/// File distance between sections.
const STEP: u64 = 0x10000;
const BASE: u64 = 0x40_0000;

/// The address at which the section of this index is loaded, in all formats.
pub(in crate::analyzers) fn address(index: usize) -> u64 {
    BASE + offset(index)
}

fn offset(index: usize) -> u64 {
    START + STEP * index as u64
}

/// The same sections in every format, with the format's name.
pub(in crate::analyzers) fn every_format(sections: &[Section<'_>]) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for class in [Class::Elf32, Class::Elf64] {
        for order in [Order::Little, Order::Big] {
            files.push((format!("{class:?} {order:?}"), elf(class, order, sections)));
        }
    }
    files.push(("PE".to_owned(), pe(sections)));
    files.push(("Mach-O".to_owned(), macho(sections)));
    files.push(("universal".to_owned(), universal(&[macho(sections), macho(sections)])));
    files
}

/// Appends numbers in one byte order.
struct Writer {
    bytes: Vec<u8>,
    order: Order,
}

impl Writer {
    fn number(&mut self, value: u64, width: usize) -> &mut Self {
        match self.order {
            Order::Little => self.bytes.extend(&value.to_le_bytes()[..width]),
            Order::Big => self.bytes.extend(&value.to_be_bytes()[8 - width..]),
        }
        self
    }

    fn text(&mut self, text: &str, width: usize) -> &mut Self {
        let end = self.bytes.len() + width;
        self.bytes.extend(text.as_bytes());
        self.bytes.resize(end, 0);
        self
    }

    fn pad(&mut self, length: u64) -> &mut Self {
        self.bytes.resize(length as usize, 0);
        self
    }

    fn contents(&mut self, sections: &[Section<'_>]) {
        for (index, section) in sections.iter().enumerate() {
            self.pad(offset(index));
            self.bytes.extend(section.content);
        }
    }
}

/// An ELF executable.
pub(in crate::analyzers) fn elf(class: Class, order: Order, sections: &[Section<'_>]) -> Vec<u8> {
    let word = if class == Class::Elf64 { 8 } else { 4 };
    let (header, program, entry) = if word == 8 { (64, 56, 64) } else { (52, 32, 40) };
    let count = sections.len() as u64;
    let names = offset(sections.len());
    let tables = names + STEP;
    let mut w = Writer { bytes: Vec::new(), order };
    let ident = [if word == 8 { 2 } else { 1 }, if order == Order::Little { 1 } else { 2 }, 1, 0];
    w.bytes.extend(b"\x7fELF");
    w.bytes.extend(ident);
    w.pad(16).number(2, 2).number(62, 2).number(1, 4).number(0, word).number(header, word);
    w.number(tables, word).number(0, 4).number(header, 2).number(program, 2).number(count, 2);
    w.number(entry, 2).number(count + 2, 2).number(count + 1, 2);
    for (index, section) in sections.iter().enumerate() {
        let flags = if section.is_writable { 6 } else { 4 };
        let size = section.content.len() as u64;
        w.number(1, 4);
        if word == 8 {
            w.number(flags, 4);
        }
        w.number(offset(index), word).number(address(index), word).number(0, word);
        w.number(size, word).number(size, word);
        if word == 4 {
            w.number(flags, 4);
        }
        w.number(16, word);
    }
    w.contents(sections);
    w.pad(names).text("", 1);
    for section in sections {
        w.text(section.name, section.name.len() + 1);
    }
    let size_of_names = w.bytes.len() as u64 - names;
    w.pad(tables + entry);
    let mut name = 1;
    for (index, section) in sections.iter().enumerate() {
        let flags = if section.is_writable { 3 } else { 2 };
        w.number(name, 4).number(1, 4).number(flags, word).number(address(index), word);
        w.number(offset(index), word).number(section.content.len() as u64, word).number(0, 8);
        w.number(16, word).number(0, word);
        name += section.name.len() as u64 + 1;
    }
    w.number(0, 4).number(3, 4).number(0, word).number(0, word).number(names, word);
    w.number(size_of_names, word).number(0, 8).number(1, word).number(0, word);
    w.bytes
}

/// What a Rust compiler leaves in a program, with `code` in a segment that is executed.
pub(crate) fn rust_program(code: &[u8]) -> Vec<u8> {
    let comment = Section::constants(".comment", b"rustc version 1.91.0 (a)\0");
    let mut w = Writer { bytes: elf(Class::Elf64, Order::Little, &[comment]), order: Order::Little };
    let place = (w.bytes.len() as u64).next_multiple_of(4096);
    w.pad(place).bytes.extend(code);
    let mut segment = Writer { bytes: Vec::new(), order: Order::Little };
    let size = code.len() as u64;
    segment.number(1, 4).number(5, 4).number(place, 8).number(BASE + place, 8).number(0, 8);
    segment.number(size, 8).number(size, 8).number(4096, 8);
    // Behind the one that there is.
    w.bytes[64 + 56..64 + 2 * 56].copy_from_slice(&segment.bytes);
    w.bytes[56] = 2;
    w.bytes
}

/// A 64-bit PE executable.
pub(in crate::analyzers) fn pe(sections: &[Section<'_>]) -> Vec<u8> {
    let mut w = Writer { bytes: b"MZ".to_vec(), order: Order::Little };
    w.pad(60).number(64, 4);
    w.bytes.extend(b"PE\0\0");
    w.number(0x8664, 2).number(sections.len() as u64, 2).number(0, 8).number(0, 4);
    w.number(240, 2).number(0x22, 2);
    let optional = w.bytes.len() as u64;
    w.number(0x20b, 2).pad(optional + 24).number(BASE, 8).number(0x1000, 4).number(0x200, 4);
    w.pad(optional + 56).number(STEP * 64, 4).number(START, 4);
    w.pad(optional + 108).number(16, 4).pad(optional + 240);
    for (index, section) in sections.iter().enumerate() {
        assert!(section.name.len() <= 8, "PE section names have 8 bytes");
        let size = section.content.len() as u64;
        let flags = if section.is_writable { 0xC000_0040 } else { 0x4000_0040 };
        w.text(section.name, 8).number(size, 4).number(offset(index), 4).number(size, 4);
        w.number(offset(index), 4).number(0, 12 - 4).number(0, 4).number(flags, 4);
    }
    w.contents(sections);
    w.bytes
}

/// A 64-bit Mach-O executable.
pub(in crate::analyzers) fn macho(sections: &[Section<'_>]) -> Vec<u8> {
    let mut w = Writer { bytes: Vec::new(), order: Order::Little };
    let size = 72 + 80;
    w.number(0xfeed_facf, 4).number(0x0100_0007, 4).number(3, 4).number(2, 4);
    w.number(sections.len() as u64, 4).number(size * sections.len() as u64, 4).number(0, 8);
    for (index, section) in sections.iter().enumerate() {
        let length = section.content.len() as u64;
        let (segment, protection) = if section.is_writable { ("__DATA", 3) } else { ("__TEXT", 5) };
        w.number(0x19, 4).number(size, 4).text(segment, 16);
        w.number(address(index), 8).number(length, 8).number(offset(index), 8).number(length, 8);
        w.number(protection, 4).number(protection, 4).number(1, 4).number(0, 4);
        w.text(section.name, 16).text(segment, 16).number(address(index), 8).number(length, 8);
        w.number(offset(index), 4).number(4, 4).number(0, 8).number(0, 8).number(0, 8);
    }
    w.contents(sections);
    w.bytes
}

/// A universal Mach-O file.
pub(in crate::analyzers) fn universal(images: &[Vec<u8>]) -> Vec<u8> {
    let mut w = Writer { bytes: Vec::new(), order: Order::Big };
    w.number(0xcafe_babe, 4).number(images.len() as u64, 4);
    let mut place = 4096;
    for image in images {
        let length = image.len() as u64;
        w.number(0x0100_0007, 4).number(3, 4).number(place, 4).number(length, 4).number(12, 4);
        place += length.next_multiple_of(4096);
    }
    for image in images {
        let start = (w.bytes.len() as u64).next_multiple_of(4096);
        w.pad(start).bytes.extend(image);
    }
    w.bytes
}
