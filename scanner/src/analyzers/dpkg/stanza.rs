//! Stanzas of a dpkg status file: bytes in, one [`Stanza`] a paragraph out, without copying anything.
//!
//! Format: deb822(5). Field names do not heed case; a line that begins with a space or a tab continues the
//! field before it; a line of nothing but white space ends the paragraph.

use crate::analyzers::ledger::lines;

/// The fields of one paragraph that say which package it is about. Values are as written, untrimmed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Stanza<'a> {
    /// The number of its first line, from 1.
    pub(super) line: usize,
    pub(super) package: Option<&'a [u8]>,
    pub(super) status: Option<&'a [u8]>,
    pub(super) version: Option<&'a [u8]>,
    pub(super) architecture: Option<&'a [u8]>,
    pub(super) source: Option<&'a [u8]>,
    pub(super) maintainer: Option<&'a [u8]>,
    /// The lines of `Conffiles`.
    pub(super) conffiles: Vec<&'a [u8]>,
    continued: Continued,
    /// The first thing that no writer of such files would write.
    pub(super) damage: Option<StanzaDamage>,
}

/// Which field the next line may continue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Continued {
    Conffiles,
    #[default]
    Other,
}

/// What is wrong with a paragraph, and in which line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum StanzaDamage {
    #[error("line {0} is not a field")]
    NoField(usize),
    #[error("line {0} repeats a field")]
    Repeated(usize),
    #[error("line {0} contains a NUL byte")]
    Nul(usize),
    #[error("the stanza in line {0} names no package")]
    NoName(usize),
    #[error("the stanza in line {0} does not say whether it is installed")]
    NoStatus(usize),
    #[error("the stanza in line {0} has no version")]
    NoVersion(usize),
}

/// The paragraphs of a file, in order.
pub(super) fn stanzas(content: &[u8]) -> impl Iterator<Item = Stanza<'_>> {
    let mut lines = lines(content).map(|(number, line)| (number, line.trim_ascii_end()));
    std::iter::from_fn(move || {
        let (number, first) = lines.by_ref().find(|(_, line)| !line.is_empty())?;
        let mut stanza = Stanza { line: number, ..Stanza::default() };
        stanza.read_line(number, first);
        for (number, line) in lines.by_ref().take_while(|(_, line)| !line.is_empty()) {
            stanza.read_line(number, line);
        }
        Some(stanza)
    })
}

impl<'a> Stanza<'a> {
    fn read_line(&mut self, number: usize, line: &'a [u8]) {
        let is_continuation = line.starts_with(b" ") || line.starts_with(b"\t");
        if is_continuation && number != self.line {
            if self.continued == Continued::Conffiles {
                self.conffiles.push(line.trim_ascii());
            }
            return;
        }
        self.continued = Continued::Other;
        let colon = memchr::memchr(b':', line).filter(|at| is_field_name(&line[..*at]));
        let Some(colon) = colon else {
            self.damage.get_or_insert(StanzaDamage::NoField(number));
            return;
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"Conffiles") {
            self.continued = Continued::Conffiles;
        }
        let Some(field) = self.field(name) else {
            return;
        };
        if field.replace(value).is_some() {
            self.damage.get_or_insert(StanzaDamage::Repeated(number));
        }
        if value.contains(&0) {
            self.damage.get_or_insert(StanzaDamage::Nul(number));
        }
    }

    fn field(&mut self, name: &[u8]) -> Option<&mut Option<&'a [u8]>> {
        let fields = [
            (&b"Package"[..], &mut self.package),
            (b"Status", &mut self.status),
            (b"Version", &mut self.version),
            (b"Architecture", &mut self.architecture),
            (b"Source", &mut self.source),
            (b"Maintainer", &mut self.maintainer),
        ];
        let mut fields = fields.into_iter();
        fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, field)| field)
    }
}

/// Printable US-ASCII without space and colon.
fn is_field_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(u8::is_ascii_graphic)
}
