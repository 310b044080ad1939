//! What lazy runtimes would see of a layer, gathered in the same pass; see `toc`.

use shared::model::problem::ProblemKind;

use super::{Focus, LayerPass};
use crate::image::analysis::Compression;
use crate::image::decompress::{Digests, Inflated};
use crate::image::halt::Halt;
use crate::image::stored::Watch;
use crate::image::tar::{Archive, Member, MemberKind};
use crate::image::toc::{self, Toc};

/// A file whose content is being hashed.
pub(super) struct Hashed {
    path: Vec<u8>,
    size: u64,
}

impl LayerPass<'_> {
    /// Notes a member before its content is read. Files are hashed only where each has a compressed member of
    /// its own: no other layer is read lazily.
    pub(super) fn begin_lazy(
        &mut self,
        path: &[u8],
        member: &Member,
        archive: &mut Archive<Inflated>,
        watch: &Watch,
    ) -> Result<Option<Hashed>, Halt> {
        let is_seekable = matches!(self.compression, Compression::Gzip | Compression::Zstd);
        if !is_seekable || !matches!(self.focus, Focus::Everything) {
            return Ok(None);
        }
        if self.compression == Compression::Gzip && member.kind == MemberKind::File && path == toc::NAME {
            self.read_toc(member.size, archive, watch)?;
            return Ok(None);
        }
        if member.kind == MemberKind::File
            && member.size > 0
            && archive.source_at_content().map_err(Halt::of)?.member().number > 1
        {
            archive.hash_content();
            return Ok(Some(Hashed { path: path.to_vec(), size: member.size }));
        }
        self.views.tar.add_member(path, &member.kind, member.size, None);
        Ok(None)
    }

    /// Notes a file whose content was hashed.
    pub(super) fn end_lazy(
        &mut self,
        hashed: Option<Hashed>,
        archive: &mut Archive<Inflated>,
    ) -> Result<(), Halt> {
        let Some(Hashed { path, size }) = hashed else { return Ok(()) };
        let digest = archive.content_digest().map_err(Halt::of)?;
        let digest = digest.as_ref().map(<[u8; 32]>::as_slice);
        self.views.tar.add_member(&path, &MemberKind::File, size, digest);
        Ok(())
    }

    fn read_toc(&mut self, size: u64, archive: &mut Archive<Inflated>, watch: &Watch) -> Result<(), Halt> {
        let member = archive.source().member();
        let begins_it = member.inflated_at == archive.header_at();
        let mut toc = Toc { at: begins_it.then_some(member.stored_at), view: None };
        if size <= self.kit.limits.capture_bytes {
            let _permit = self.kit.pool.acquire(size, watch)?;
            toc.view = match toc::read(&mut *archive) {
                Ok(view) => Some(view),
                Err(error) if error.is_io() => return Err(Halt::of(error.into())),
                Err(_) => None,
            };
        }
        self.views.toc = Some(toc);
        Ok(())
    }

    /// Tells if lazy runtimes would see other files than everybody else.
    pub(super) fn compare_views(&mut self, digests: &Digests) {
        self.tables = digests.tables.agreeing(&self.views.tar);
        let disagreement = self.views.disagreement(&digests.tail, digests.stored_bytes, &self.tables);
        if let Some(detail) = disagreement {
            self.problem(ProblemKind::LazyTocMismatch, detail);
        }
    }
}
