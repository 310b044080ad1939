//! What is packed inside of a file: git's objects and packs, compressed streams, zip archives, tar; archives in archives,
//! bounded in depth and size.
//!
//! Files of archives are searched under their own names (`members`). Formats: gitformat-pack(5),
//! gitrepository-layout(5), and those of the decoders that layers are read with. Deltas are searched as they are: what
//! they add is in them as it stands.

use std::io::{self, Write};
use std::sync::{Arc, LazyLock};

use flate2::write::ZlibDecoder;
use flate2::{Decompress, FlushDecompress, Status};

use super::search::{Extent, Memory, Searched};
use super::{Search, Secrets};
use crate::analyzers::FoundObservation;
use compressed::Compressed;
use content::{Content, TELLING};
use level::Level;
use members::Keep;
use tar::Tar;
use zip::Zip;

mod compressed;
mod content;
mod level;
mod members;
mod tar;
mod zip;

/// Something to unpack.
pub(super) struct Nested<'s> {
    form: Form<'s>,
}

enum Form<'s> {
    /// `.git/objects/ab/…`: one zlib stream.
    Object(ZlibDecoder<Inside<'s>>),
    /// `.git/objects/pack/*.pack`.
    Pack(Pack<'s>),
    /// Too few bytes have come to tell.
    Unknown(Level<'s>, Vec<u8>),
    Compressed(Compressed<'s>),
    Tar(Tar<'s>),
    Zip(Zip<'s>),
    /// Broken, or more than is unpacked; what was found stays.
    Ended(Searched),
}

/// A search as something that is written to, until enough was written.
struct Inside<'s> {
    search: Search<'s>,
    level: Level<'s>,
    extent: Extent,
    name: &'static str,
}

impl<'s> Nested<'s> {
    /// Of a file of `size` bytes; `None` for files that are searched only as they are.
    pub(super) fn of(secrets: &'s Secrets, path: &[u8], size: u64) -> Option<Self> {
        let kind = Kind::of(path)?;
        let level = Level::outermost(secrets, path, size);
        let inside = |level, name| Inside {
            search: secrets.search_plain(u64::MAX),
            level,
            extent: Extent::Whole,
            name,
        };
        let form = match kind {
            Kind::Object => Form::Object(ZlibDecoder::new(inside(level, "git object"))),
            Kind::Pack => Form::Pack(Pack::new(inside(level, "git pack"))),
            Kind::Container => Form::Unknown(level, Vec::new()),
        };
        Some(Self { form })
    }

    /// An archive in another one: nobody else searches its bytes.
    fn inside(level: Level<'s>, content: Content) -> Self {
        Self { form: Form::of(level, content, Keep::All) }
    }

    /// The same in the memory of an earlier one.
    pub(super) fn within(mut self, memory: Memory) -> Self {
        let inside = match &mut self.form {
            Form::Object(decoder) => decoder.get_mut(),
            Form::Pack(pack) => &mut pack.inside,
            Form::Unknown(..) | Form::Compressed(_) | Form::Tar(_) | Form::Zip(_) | Form::Ended(_) => {
                return self;
            }
        };
        let search = std::mem::replace(&mut inside.search, NOTHING.search_plain(0));
        inside.search = search.within(memory);
        self
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let fed = match &mut self.form {
            Form::Object(decoder) => decoder.write_all(bytes),
            Form::Pack(pack) => pack.feed(bytes),
            Form::Unknown(_, head) => {
                // A file may come in one piece: no more of it is copied than tells.
                let missing = TELLING.saturating_sub(head.len()).min(bytes.len());
                head.extend_from_slice(&bytes[..missing]);
                if head.len() < TELLING {
                    return;
                }
                let told = self.tell();
                if told.is_ok() && !matches!(self.form, Form::Unknown(..)) && missing < bytes.len() {
                    return self.feed(&bytes[missing..]);
                }
                told
            }
            Form::Compressed(compressed) => compressed.feed(bytes),
            Form::Tar(tar) => tar.feed(bytes),
            Form::Zip(zip) => zip.feed(bytes),
            Form::Ended(_) => Ok(()),
        };
        // What cannot be unpacked is no such file, whatever its name is: nothing is lost that could be read.
        if fed.is_err() {
            let form = std::mem::replace(&mut self.form, Form::Ended(Searched::default()));
            self.form = Form::Ended(form.finish());
        }
    }

    /// Goes on with what the first bytes say.
    fn tell(&mut self) -> io::Result<()> {
        let form = std::mem::replace(&mut self.form, Form::Ended(Searched::default()));
        let Form::Unknown(level, head) = form else {
            self.form = form;
            return Ok(());
        };
        let Some(content) = Content::of(&head) else { return Ok(()) };
        // The file's own bytes are searched as they are.
        self.form = Form::of(level, content, Keep::Texts);
        match &mut self.form {
            Form::Compressed(compressed) => compressed.feed(&head),
            Form::Tar(tar) => tar.feed(&head),
            Form::Zip(zip) => zip.feed(&head),
            Form::Object(_) | Form::Pack(_) | Form::Unknown(..) | Form::Ended(_) => Ok(()),
        }
    }

    pub(super) fn finish(mut self) -> Searched {
        // An error leaves what was found until then.
        let _ = self.tell();
        self.form.finish()
    }
}

impl<'s> Form<'s> {
    fn of(level: Level<'s>, content: Content, keep: Keep) -> Self {
        match content {
            Content::Compressed(compression) => Self::Compressed(Compressed::new(level, compression)),
            Content::Tar => Self::Tar(Tar::new(level, keep)),
            Content::Zip => Self::Zip(Zip::new(level)),
        }
    }

    fn finish(self) -> Searched {
        match self {
            Self::Object(mut decoder) => {
                let _ = decoder.try_finish();
                std::mem::replace(decoder.get_mut(), Inside::spent()).finish()
            }
            Self::Pack(pack) => pack.inside.finish(),
            Self::Unknown(..) => Searched::default(),
            Self::Compressed(compressed) => compressed.finish(),
            Self::Tar(tar) => tar.finish(),
            Self::Zip(zip) => zip.finish(),
            Self::Ended(searched) => searched,
        }
    }
}

/// Whose search takes the place of one that is finished.
static NOTHING: LazyLock<Arc<Secrets>> = LazyLock::new(Secrets::built_in);

impl Inside<'_> {
    /// Takes the place of one that is finished.
    fn spent() -> Self {
        let level = Level::outermost(&NOTHING, b"", 0);
        Self { search: NOTHING.search_plain(0), level, extent: Extent::Whole, name: "" }
    }

    fn finish(self) -> Searched {
        let (name, extent) = (self.name, self.extent);
        let named = |found| FoundObservation { inner_path: Some(name.to_owned()), line: None, ..found };
        let searched = self.search.finish();
        Searched { found: searched.found.into_iter().map(named).collect(), extent, ..searched }
    }
}

impl Write for Inside<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.level.takes(bytes.len()) {
            self.extent = Extent::Part;
            return Err(io::Error::other("enough was unpacked"));
        }
        self.search.feed(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a file is by its path.
enum Kind {
    Object,
    Pack,
    /// What of, its bytes say.
    Container,
}

/// Ends of names of archives and of compressed files.
const CONTAINERS: [&str; 27] = [
    ".apk", ".aar", ".bz2", ".crate", ".ear", ".egg", ".gem", ".gz", ".hpi", ".jar", ".jpi", ".nupkg",
    ".ova", ".par", ".tar", ".tbz", ".tbz2", ".tgz", ".txz", ".tzst", ".vsix", ".war", ".whl", ".xpi", ".xz",
    ".zip", ".zst",
];

impl Kind {
    fn of(path: &[u8]) -> Option<Self> {
        if let Some(at) = memchr::memmem::find(path, b".git/objects/") {
            let rest = &path[at + b".git/objects/".len()..];
            let is_hex = |part: &[u8]| part.iter().all(u8::is_ascii_hexdigit);
            return match rest.split(|byte| *byte == b'/').collect::<Vec<_>>().as_slice() {
                [folder, name] if folder.len() == 2 && name.len() >= 38 && is_hex(folder) && is_hex(name) => {
                    Some(Self::Object)
                }
                [b"pack", name] if name.ends_with(b".pack") => Some(Self::Pack),
                _ => None,
            };
        }
        CONTAINERS.iter().any(|end| path.ends_with(end.as_bytes())).then_some(Self::Container)
    }
}

/// A pack that is read as it comes.
struct Pack<'s> {
    inside: Inside<'s>,
    state: State,
    /// Bytes of a header that is not whole yet.
    header: Vec<u8>,
}

enum State {
    /// `PACK`, version, count: 12 bytes.
    Header,
    /// Type and size of an object, then, for a delta, what it is against.
    Entry,
    Body(Box<Decompress>),
}

impl<'s> Pack<'s> {
    fn new(inside: Inside<'s>) -> Self {
        Self { inside, state: State::Header, header: Vec::new() }
    }

    fn feed(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match &mut self.state {
                State::Header => {
                    let missing = (12 - self.header.len()).min(bytes.len());
                    self.header.extend_from_slice(&bytes[..missing]);
                    bytes = &bytes[missing..];
                    if self.header.len() == 12 {
                        if !self.header.starts_with(b"PACK") {
                            return Err(io::Error::other("no pack"));
                        }
                        self.header.clear();
                        self.state = State::Entry;
                    }
                }
                State::Entry => {
                    self.header.push(bytes[0]);
                    bytes = &bytes[1..];
                    if entry_ends(&self.header)? {
                        self.header.clear();
                        self.state = State::Body(Box::new(Decompress::new(true)));
                    }
                }
                State::Body(inflate) => {
                    let mut output = [0; 32 << 10];
                    let (read, written) = (inflate.total_in(), inflate.total_out());
                    let status = inflate.decompress(bytes, &mut output, FlushDecompress::None);
                    let (read, written) = (inflate.total_in() - read, inflate.total_out() - written);
                    // Before anything is said about an error: what stood in front of the damage is to be searched too.
                    self.inside.write_all(&output[..written as usize])?;
                    bytes = &bytes[read as usize..];
                    match status.map_err(io::Error::other)? {
                        Status::StreamEnd => self.state = State::Entry,
                        // No progress at all: it is broken.
                        _ if read == 0 && written == 0 => return Err(io::Error::other("a broken object")),
                        Status::Ok | Status::BufError => {}
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether the bytes are a whole header of an object: type and size, then the base of a delta.
fn entry_ends(header: &[u8]) -> io::Result<bool> {
    const OFS_DELTA: u8 = 6;
    const REF_DELTA: u8 = 7;
    /// A size of 64 bits, and an object's name.
    const LONGEST: usize = 10 + 32;
    if header.len() > LONGEST {
        return Err(io::Error::other("a broken object header"));
    }
    let Some(size_ends) = header.iter().position(|byte| byte & 0x80 == 0) else { return Ok(false) };
    let base = &header[size_ends + 1..];
    Ok(match header[0] >> 4 & 7 {
        OFS_DELTA => base.last().is_some_and(|byte| byte & 0x80 == 0),
        REF_DELTA => base.len() == 20,
        _ => true,
    })
}
