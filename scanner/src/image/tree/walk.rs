//! One lookup: the components of a path, and of the targets of the symlinks on its way. path_resolution(7).

use std::borrow::Cow;
use std::ops::Range;

use super::{NodeId, ROOT};

/// Symlinks that one lookup follows, as Linux does.
const MOST_HOPS: u32 = 40;

/// A lookup on its way: where it stands, and what is still to be walked.
pub(super) struct Walk<'a> {
    pub(super) node: NodeId,
    pub(super) path: Cow<'a, [u8]>,
    at: usize,
    hops: u32,
}

pub(super) enum Component {
    Up,
    /// Where in the walk's path it stands.
    Name(Range<usize>),
}

impl<'a> Walk<'a> {
    pub(super) fn new(path: &'a [u8]) -> Self {
        Self::from(ROOT, path, 0)
    }

    /// Goes on at a node, behind so many bytes of the path.
    pub(super) fn from(node: NodeId, path: &'a [u8], at: usize) -> Self {
        Self { node, path: Cow::Borrowed(path), at, hops: 0 }
    }

    /// How many bytes of the path were walked; `None` since a symlink was followed.
    pub(super) fn walked(&self) -> Option<usize> {
        (self.hops == 0).then(|| self.at.min(self.path.len() + 1) - 1)
    }

    pub(super) fn next_component(&mut self) -> Option<Component> {
        loop {
            let rest = self.path.get(self.at..).filter(|rest| !rest.is_empty())?;
            let length = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
            let start = self.at;
            self.at += length + 1;
            match &self.path[start..start + length] {
                b"" | b"." => {}
                b".." => return Some(Component::Up),
                _ => return Some(Component::Name(start..start + length)),
            }
        }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.path.get(self.at..).is_none_or(|rest| rest.iter().all(|byte| *byte == b'/'))
    }

    /// Continues at a symlink's target, and after it with the rest. `false` after too many.
    pub(super) fn follow(&mut self, target: &[u8]) -> bool {
        self.hops += 1;
        if self.hops > MOST_HOPS {
            return false;
        }
        if target.starts_with(b"/") {
            self.node = ROOT;
        }
        let rest = self.path.get(self.at..).unwrap_or_default();
        self.path = Cow::Owned([target, b"/", rest].concat());
        self.at = 0;
        true
    }
}
