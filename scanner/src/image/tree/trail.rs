//! How the directory of the last entry was reached: tars list a directory's children together, and directories that lie
//! beside each other after one another, so that most of the way is known.

use super::{NodeId, ROOT};

/// The directories on a path, as far as no symlink is among them.
#[derive(Default)]
pub(super) struct Trail {
    path: Vec<u8>,
    /// The length of the path of each, and the node there; longer from one to the next.
    directories: Vec<(usize, NodeId)>,
    /// Where the whole path leads, by symlinks or not.
    end: Option<NodeId>,
}

impl Trail {
    /// How much of a path is known, in bytes, and where that leads.
    pub(super) fn leads(&self, path: &[u8]) -> (usize, NodeId) {
        if let Some(end) = self.end
            && self.path == path
        {
            return (path.len(), end);
        }
        let is_on_way = |(length, _): &&(usize, NodeId)| {
            path.get(..*length) == Some(&self.path[..*length])
                && path.get(*length).is_none_or(|next| *next == b'/')
        };
        self.directories.iter().rev().find(is_on_way).copied().unwrap_or((0, ROOT))
    }

    /// The way along a path, of which so much is known.
    pub(super) fn cut(mut self, path: &[u8], known: usize) -> Self {
        let still = self.directories.partition_point(|(length, _)| *length <= known);
        self.directories.truncate(still);
        self.path.clear();
        self.path.extend_from_slice(path);
        self.end = None;
        self
    }

    /// Notes the directory behind so many bytes of the path; `None` behind a symlink, where bytes are not of the path.
    pub(super) fn extend(&mut self, walked: Option<usize>, directory: NodeId) {
        if let Some(walked) = walked {
            self.directories.push((walked, directory));
        }
    }

    /// Notes where the whole path leads.
    pub(super) fn end(&mut self, node: NodeId) {
        self.end = Some(node);
    }
}
