//! The `control` file of a `.deb`: an ar archive of `debian-binary`, `control.tar[.gz|.xz|.zst]` and `data.tar…`.
//!
//! Format: deb(5); ar(5).

use std::io::{self, BufReader, Read};

use super::{Layout, PackageKind, read_packages};
use crate::analyzers::ledger::Ledger;
use crate::image::tar::{Archive, TarLimits};
use crate::limits::Limits;

const MAGIC: &[u8] = b"!<arch>\n";
/// Name (16 bytes), time, owner, group, mode, size (10 digits at 48), and two bytes that end it.
const MEMBER_HEADER: usize = 60;
/// What the largest preset of xz needs, and a little more.
const XZ_MEMORY: u64 = 72 << 20;

/// Enters the package that an archive would install.
pub(in crate::analyzers) fn read_archive(content: &[u8], limits: &Limits, ledger: &mut Ledger<'_>) {
    match control(content, limits) {
        Ok(control) => read_packages(&control, Layout::FilePerPackage, PackageKind::Deb, ledger),
        Err(damage) => ledger.damage(format_args!("the package archive cannot be read: {damage}")),
    }
}

#[derive(Debug, thiserror::Error)]
enum ArchiveDamage {
    #[error("it has no control file")]
    NoControl,
    #[error("its control archive is compressed in an unknown way")]
    Compression,
    #[error(transparent)]
    Read(#[from] io::Error),
    #[error(transparent)]
    Tar(#[from] crate::image::tar::TarError),
}

fn control(content: &[u8], limits: &Limits) -> Result<Vec<u8>, ArchiveDamage> {
    let member = members(content.strip_prefix(MAGIC).unwrap_or_default())
        .find(|(name, _)| name.starts_with(b"control.tar"));
    let (name, content) = member.ok_or(ArchiveDamage::NoControl)?;
    let inflated: Box<dyn Read + '_> = match &name[b"control.tar".len()..] {
        b"" => Box::new(content),
        b".gz" => Box::new(flate2::read::MultiGzDecoder::new(content)),
        b".xz" => {
            let decoder =
                liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, 0).map_err(io::Error::from)?;
            Box::new(liblzma::read::XzDecoder::new_stream(content, decoder))
        }
        b".zst" => Box::new(zstd::Decoder::with_buffer(content)?),
        _ => return Err(ArchiveDamage::Compression),
    };
    let bounds = TarLimits {
        header_bytes: limits.header_bytes,
        name_bytes: limits.header_bytes,
        hole_bytes: limits.text_bytes,
    };
    let mut archive = Archive::new(BufReader::new(inflated.take(limits.text_bytes)), bounds);
    while let Some(member) = archive.next_member()? {
        if matches!(&*member.name, b"./control" | b"control") {
            let mut control = Vec::new();
            archive.read_to_end(&mut control)?;
            return Ok(control);
        }
    }
    Err(ArchiveDamage::NoControl)
}

/// Names and contents, up to the first member that does not fit.
fn members(mut rest: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let (header, content) = rest.split_at_checked(MEMBER_HEADER)?;
        let name = header[..16].trim_ascii_end();
        let size: usize = std::str::from_utf8(&header[48..58]).ok()?.trim_end().parse().ok()?;
        let (member, after) = content.split_at_checked(size)?;
        // Members begin at even positions.
        rest = after.get(size % 2..).unwrap_or_default();
        Some((name.strip_suffix(b"/").unwrap_or(name), member))
    })
}
