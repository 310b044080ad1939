//! The files of a tar archive, read while its bytes go by.
//!
//! A name is what the header itself says; records that only lengthen names are passed over, so that of a long one the
//! beginning may be missing. Format: POSIX pax, "ustar Interchange Format".

use std::io;

use super::level::Level;
use super::members::{Fed, Keep, Members, Naming};
use crate::secrets::search::Searched;

const BLOCK: usize = 512;

/// An archive that is read as it comes.
pub(super) struct Tar<'s> {
    members: Members<'s>,
    state: State,
}

enum State {
    Header(Vec<u8>),
    /// So many bytes of a file are left, and so many behind it up to a whole block.
    Body {
        left: u64,
        padding: u64,
        fed: Fed,
    },
}

impl<'s> Tar<'s> {
    pub(super) fn new(level: Level<'s>, keep: Keep) -> Self {
        Self { members: Members::new(level, keep, Naming::Files), state: State::Header(Vec::new()) }
    }

    /// Takes the next bytes; an error once enough was unpacked.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let used = self.step(bytes)?;
            bytes = &bytes[used..];
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Searched {
        self.members.finish()
    }

    fn step(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.state {
            State::Header(header) => {
                let used = (BLOCK - header.len()).min(bytes.len());
                header.extend_from_slice(&bytes[..used]);
                if header.len() == BLOCK {
                    let header = std::mem::take(header);
                    self.enter(&header);
                }
                Ok(used)
            }
            State::Body { left: 0, padding, .. } => {
                let used = usize::try_from(*padding).unwrap_or(usize::MAX).min(bytes.len());
                *padding -= used as u64;
                self.close();
                Ok(used)
            }
            State::Body { left, fed, .. } => {
                let used = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= used as u64;
                if *fed == Fed::Wanted {
                    *fed = self.members.feed(&bytes[..used])?;
                }
                self.close();
                Ok(used)
            }
        }
    }

    /// Goes on to the next header where a file has ended.
    fn close(&mut self) {
        if let State::Body { left: 0, padding: 0, .. } = self.state {
            self.members.end();
            self.state = State::Header(Vec::new());
        }
    }

    fn enter(&mut self, header: &[u8]) {
        let is_tar = header[257..].starts_with(b"ustar");
        // A block of zeros, or anything else that is no header.
        let Some(size) = is_tar.then(|| octal(&header[124..136])).flatten() else {
            self.state = State::Header(Vec::new());
            return;
        };
        let is_file = matches!(header[156], b'0' | 0);
        let fed = if is_file { Fed::Wanted } else { Fed::LeftOut };
        if is_file {
            self.members.begin(name(header));
        }
        let padding = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
        self.state = State::Body { left: size, padding, fed };
        self.close();
    }
}

fn octal(field: &[u8]) -> Option<u64> {
    let mut digits = field.iter().skip_while(|byte| **byte == b' ').take_while(|byte| byte.is_ascii_digit());
    digits.try_fold(0_u64, |size, digit| match digit {
        b'0'..=b'7' => size.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

fn name(header: &[u8]) -> String {
    let text = |field: &[u8]| {
        let end = memchr::memchr(0, field).unwrap_or(field.len());
        String::from_utf8_lossy(&field[..end]).into_owned()
    };
    let (prefix, name) = (text(&header[345..500]), text(&header[..100]));
    let name = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
    name.trim_start_matches("./").to_owned()
}
