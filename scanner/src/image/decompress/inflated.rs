//! The tar of a layer, as a stream of bytes: decoded on a thread of its own that is a few pieces ahead.
//!
//! Decoding is about as much work as everything that is done with what comes out, so that a large layer takes as long as
//! one of the two, not both. Nobody copies a piece: whoever reads the tar and whoever hashes it share it, and the decoder
//! uses it again once both are done.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::vec;

use super::decoder::{Decoder, Piece, Section};
use super::{Digests, Member};
use crate::image::buffered;
use crate::image::halt::Halt;
use crate::image::hashing::{Filled, Place};

/// How many pieces the decoder may be ahead.
const AHEAD: usize = 2;

/// The uncompressed side of a layer.
pub(in crate::image) struct Inflated {
    decoding: Decoding,
    course: Course,
    /// What is being read.
    piece: Option<Filled>,
    /// Those of the piece that come after the one that is being read.
    sections: vec::IntoIter<Section>,
    member: Member,
    start: usize,
    end: usize,
}

enum Decoding {
    /// On the thread that reads: right for small layers.
    Here(Box<Decoder>),
    Beside(Beside),
}

struct Beside {
    pieces: Receiver<Result<Option<Piece>, Halt>>,
    thread: JoinHandle<Decoder>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    Underway,
    Ended,
    Failed,
}

impl Inflated {
    /// Begins to decode.
    pub(in crate::image) fn start(decoder: Decoder) -> Result<Self, Halt> {
        let decoding = match decoder.place() {
            Place::Here => Decoding::Here(Box::new(decoder)),
            Place::Beside => Decoding::Beside(Beside::start(decoder)?),
        };
        Ok(Self {
            decoding,
            course: Course::Underway,
            piece: None,
            sections: Vec::new().into_iter(),
            member: Member::default(),
            start: 0,
            end: 0,
        })
    }

    /// The member that the bytes come from which came last.
    pub(in crate::image) fn member(&self) -> Member {
        self.member
    }

    /// What is known at the end, to which it must have been read.
    pub(in crate::image) fn finish(self) -> Result<Digests, Halt> {
        match self.decoding {
            Decoding::Here(decoder) => decoder.finish(),
            Decoding::Beside(beside) => beside.join().finish(),
        }
    }

    /// Goes on to the next section; there is none at the end.
    fn advance(&mut self) -> Result<(), Halt> {
        if self.sections.len() == 0 {
            // The decoder may have the buffer back before it is asked for more.
            (self.piece, self.start, self.end) = (None, 0, 0);
            if let Some(Piece { filled, sections }) = self.next_piece()? {
                (self.piece, self.sections) = (Some(filled), sections.into_iter());
            }
        }
        if let Some(Section { member, end }) = self.sections.next() {
            (self.member, self.end) = (member, end);
        }
        Ok(())
    }

    fn next_piece(&mut self) -> Result<Option<Piece>, Halt> {
        match self.course {
            Course::Underway => {}
            Course::Ended => return Ok(None),
            Course::Failed => {
                return Err(Halt::Corrupt("nothing can be read after an error".to_owned()));
            }
        }
        let piece = match &mut self.decoding {
            Decoding::Here(decoder) => decoder.next_piece(),
            Decoding::Beside(beside) => beside.next_piece(),
        };
        self.course = match &piece {
            Ok(Some(_)) => Course::Underway,
            Ok(None) => Course::Ended,
            Err(_) => Course::Failed,
        };
        piece
    }
}

impl Beside {
    fn start(decoder: Decoder) -> Result<Self, Halt> {
        let (told, pieces) = sync_channel(AHEAD);
        let work = move || decode(decoder, &told);
        let thread = thread::Builder::new().name("inflate".to_owned()).spawn(work).map_err(Halt::Source)?;
        Ok(Self { pieces, thread })
    }

    fn next_piece(&mut self) -> Result<Option<Piece>, Halt> {
        let broken_down = |_| Err(Halt::Corrupt("the decoder broke down".to_owned()));
        self.pieces.recv().unwrap_or_else(broken_down)
    }

    /// Ends the thread, wherever it is.
    fn join(self) -> Decoder {
        drop(self.pieces);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Tells everything up to the end or an error, unless nobody wants to know any more.
fn decode(mut decoder: Decoder, told: &SyncSender<Result<Option<Piece>, Halt>>) -> Decoder {
    loop {
        let piece = decoder.next_piece();
        let is_last = !matches!(piece, Ok(Some(_)));
        if told.send(piece).is_err() || is_last {
            return decoder;
        }
    }
}

impl Read for Inflated {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        buffered::read(self, buffer)
    }
}

impl BufRead for Inflated {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            self.advance()?;
        }
        Ok(self.piece.as_ref().map_or(&[], |piece| &piece.bytes()[self.start..self.end]))
    }

    fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }
}
