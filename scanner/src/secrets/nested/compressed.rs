//! A compressed stream: one file, or an archive that was compressed as a whole.

use std::io;

use super::level::Level;
use super::members::{Keep, Members, Naming};
use crate::image::decompress::{Compression, Pushed, Stop};
use crate::secrets::search::{Extent, Searched};

/// A stream that is decoded as it comes.
pub(super) struct Compressed<'s> {
    pushed: Pushed,
    members: Members<'s>,
}

impl<'s> Compressed<'s> {
    pub(super) fn new(level: Level<'s>, compression: Compression) -> Self {
        let pushed = Pushed::new(level.memory());
        let mut members = Members::new(level, Keep::All, Naming::Stream);
        members.begin(compression.name().to_owned());
        Self { pushed, members }
    }

    /// Takes the next bytes; an error where nothing more can be, or is to be, decoded.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Self { pushed, members } = self;
        let fed = pushed.feed(bytes, &mut |bytes| sink(members, bytes));
        self.settle(fed)
    }

    pub(super) fn finish(mut self) -> Searched {
        let Self { pushed, members } = &mut self;
        let fed = pushed.finish(&mut |bytes| sink(members, bytes));
        // What was decoded until then is searched all the same.
        let _ = self.settle(fed);
        self.members.finish()
    }

    fn settle(&mut self, fed: Result<(), Stop>) -> io::Result<()> {
        if fed == Err(Stop::TooLarge) {
            self.members.extent = Extent::Part;
        }
        fed.map_err(|_| io::Error::other("nothing more is decoded"))
    }
}

fn sink(members: &mut Members<'_>, bytes: &[u8]) -> Result<(), Stop> {
    members.feed(bytes).map(|_| ()).map_err(|_| Stop::Enough)
}
