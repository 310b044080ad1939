//! The file system that a runtime would see: layers applied one over another, links resolved within the root.
//!
//! Follows what runtimes do when they extract: entries take effect in the order of the tar, parents are
//! resolved through symlinks of whatever layer, anything over a non-directory and any non-directory over
//! anything replaces it with its subtree. OCI image-spec layer.md, "Applying Changesets".

use std::cell::Cell;
use std::hash::BuildHasher as _;
use std::num::NonZeroU32;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::analysis::{Entry, EntryKind};
use super::matcher::split;
use trail::Trail;
use walk::{Component, Walk};

mod trail;
mod walk;

/// Components of symlink targets that are walked in all lookups of one image.
const MOST_STEPS: u64 = 1_000_000;

/// Memory is asked for at once for so many nodes; more of them show that they are there first.
const MOST_NODES_AT_ONCE: usize = 1 << 17;
/// What most names have at most.
const NAME_BYTES: usize = 16;

/// Which bytes: an entry of a layer, both by position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) layer: u16,
    pub(super) entry: u32,
}

/// A set of entries: a bit for each entry of each layer.
pub(super) struct Places {
    layers: Vec<Vec<u64>>,
}

impl Places {
    /// Nothing, in layers of so many entries.
    pub(super) fn new(layers: impl IntoIterator<Item = u32>) -> Self {
        Self { layers: layers.into_iter().map(|entries| vec![0; entries.div_ceil(64) as usize]).collect() }
    }

    /// Adds an entry; one that no layer has is passed over.
    pub(super) fn insert(&mut self, place: Place) {
        let layer = self.layers.get_mut(usize::from(place.layer));
        if let Some(word) = layer.and_then(|words| words.get_mut(place.entry as usize / 64)) {
            *word |= 1 << (place.entry % 64);
        }
    }

    /// How many entries there could be in it.
    fn room(&self) -> usize {
        self.layers.iter().map(|words| words.len() * 64).sum()
    }

    /// Whether an entry is in it.
    pub(super) fn contains(&self, place: Place) -> bool {
        let layer = self.layers.get(usize::from(place.layer));
        let word = layer.and_then(|words| words.get(place.entry as usize / 64));
        word.is_some_and(|word| word >> (place.entry % 64) & 1 == 1)
    }
}

/// A node of the tree: one more than its position. Ids stay valid when a node is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct NodeId(NonZeroU32);

const ROOT: NodeId = NodeId(NonZeroU32::MIN);

/// The tree.
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// All nodes by parent and name, those below a directory that was removed included: nothing leads to them.
    children: HashTable<NodeId>,
    /// Names and targets of links, one behind the other.
    texts: Vec<u8>,
    /// Of names: an image must not be able to choose names that meet in one place of a table.
    hashes: DefaultHashBuilder,
    /// Files whose comings and goings are reported.
    watched: Places,
    sightings: Vec<NodeId>,
    touched: Vec<NodeId>,
    steps: Cell<u64>,
    /// How the directory of the last entry was reached.
    trail: Trail,
}

/// There are as many nodes as an image has entries: they are small, and own no memory.
struct Node {
    parent: NodeId,
    /// The child of the same parent that was added before this one.
    previous: Option<NodeId>,
    name: Text,
    /// The entry that made it; `None` for directories that only other paths imply.
    made_by: Option<Place>,
    kind: NodeKind,
    is_there: bool,
}

/// Where a text lies among all.
#[derive(Clone, Copy)]
struct Text {
    at: usize,
    length: usize,
}

#[derive(Clone, Copy)]
enum NodeKind {
    /// With the child that was added last. Some of those before it may not be there any more.
    Directory(Option<NodeId>),
    Symlink(Text),
    /// A file with the content of that entry, which is another than `made_by` for a hard link.
    File(Option<Place>),
    Special,
}

/// A regular file in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FileNode {
    pub(super) node: NodeId,
    /// The entry that put it at this path.
    pub(super) made_by: Place,
    /// The entry that holds its bytes; `None` for a hard link to nothing.
    pub(super) content: Option<Place>,
}

impl NodeKind {
    const EMPTY: Self = Self::Directory(None);
}

impl NodeId {
    fn position(self) -> usize {
        self.0.get() as usize - 1
    }
}

impl Tree {
    /// An empty root. `watched` are the entries whose files the caller will ask about.
    pub(super) fn new(watched: Places) -> Self {
        let root = Node {
            parent: ROOT,
            previous: None,
            name: Text { at: 0, length: 0 },
            made_by: None,
            kind: NodeKind::EMPTY,
            is_there: true,
        };
        let nodes = watched.room().min(MOST_NODES_AT_ONCE);
        let mut all = Vec::with_capacity(nodes + 1);
        all.push(root);
        Self {
            nodes: all,
            children: HashTable::with_capacity(nodes),
            texts: Vec::with_capacity(nodes * NAME_BYTES),
            hashes: DefaultHashBuilder::default(),
            watched,
            sightings: Vec::new(),
            touched: Vec::new(),
            steps: Cell::new(0),
            trail: Trail::default(),
        }
    }

    /// Applies a whiteout or an opaque marker to what is there.
    pub(super) fn remove(&mut self, removal: &Entry) {
        match removal.kind {
            EntryKind::Whiteout => {
                if let Some(node) = self.find(&removal.path, Last::Keep).filter(|node| *node != ROOT) {
                    self.detach(node);
                }
            }
            EntryKind::Opaque => {
                if let Some(directory) = self.find(&removal.path, Last::Follow) {
                    self.empty(directory);
                }
            }
            EntryKind::File { .. }
            | EntryKind::Hardlink { .. }
            | EntryKind::Symlink { .. }
            | EntryKind::Directory
            | EntryKind::Special => {}
        }
    }

    /// Applies an entry. One whose parent cannot be reached changes nothing.
    pub(super) fn add(&mut self, entry: &Entry, place: Place) {
        let kind = match &entry.kind {
            EntryKind::File { .. } => NodeKind::File(Some(place)),
            EntryKind::Symlink { target } => NodeKind::Symlink(self.keep(target)),
            EntryKind::Directory => NodeKind::EMPTY,
            EntryKind::Special => NodeKind::Special,
            EntryKind::Hardlink { target } => match self.link_to(target, &entry.path) {
                Some(kind) => kind,
                None => return,
            },
            EntryKind::Whiteout | EntryKind::Opaque => return,
        };
        let (parent, name) = split(&entry.path);
        let Some(parent) = self.parent(parent) else {
            return;
        };
        let key = self.key(parent, name);
        match self.child(key) {
            Some(there) if self.is_directory(there) && matches!(kind, NodeKind::Directory(_)) => {
                self.node_mut(there).made_by = Some(place);
            }
            there => {
                if let Some(there) = there {
                    self.detach(there);
                }
                self.attach(key, kind, Some(place));
            }
        }
    }

    /// The file at a path, through symlinks in it and at its end.
    pub(super) fn file(&self, path: &[u8]) -> Option<FileNode> {
        self.file_node(self.find(path, Last::Follow)?)
    }

    /// The node at a path, through symlinks on the way but not at its end.
    pub(super) fn link(&self, path: &[u8]) -> Option<NodeId> {
        self.find(path, Last::Keep)
    }

    /// The file at a path that has no symlink in it.
    pub(super) fn exact_file(&self, path: &[u8]) -> Option<FileNode> {
        let mut node = ROOT;
        for component in path.split(|byte| *byte == b'/') {
            node = self.child(self.key(node, component))?;
        }
        self.file_node(node)
    }

    /// What a directory holds, sorted by name, and the layer of each: for a directory that only other paths imply,
    /// the layer of the first that does.
    pub(super) fn children(&self, path: &[u8]) -> Vec<(Vec<u8>, u16)> {
        let Some(directory) = self.find(path, Last::Follow) else {
            return Vec::new();
        };
        let children = self.children_of(directory);
        let mut children: Vec<_> =
            children.map(|node| (self.name(node).to_vec(), self.layer(node))).collect();
        children.sort_unstable();
        children
    }

    fn layer(&self, mut node: NodeId) -> u16 {
        loop {
            if let Some(place) = self.node(node).made_by {
                return place.layer;
            }
            match self.children_of(node).min_by_key(|child| self.name(*child)) {
                Some(child) => node = child,
                None => return 0,
            }
        }
    }

    /// The node as a file, if it is one and still there.
    pub(super) fn file_node(&self, node: NodeId) -> Option<FileNode> {
        let Node { made_by: Some(made_by), kind: NodeKind::File(content), is_there: true, .. } =
            self.node(node)
        else {
            return None;
        };
        Some(FileNode { node, made_by: *made_by, content: *content })
    }

    /// The entry that put the node where it is; `None` for directories that only other paths imply.
    pub(super) fn made_by(&self, node: NodeId) -> Option<Place> {
        self.node(node).made_by
    }

    /// The watched files that are there.
    pub(super) fn watched_nodes(&self) -> impl Iterator<Item = FileNode> {
        self.sightings.iter().filter_map(|node| self.file_node(*node))
    }

    /// The same, sorted by path.
    pub(super) fn watched_files(&self) -> Vec<(Vec<u8>, FileNode)> {
        let mut files: Vec<_> = self.watched_nodes().map(|file| (self.path(file.node), file)).collect();
        files.sort_by(|(one, _), (other, _)| one.cmp(other));
        files
    }

    /// Paths where watched files came or went since the last call, sorted.
    pub(super) fn take_touched(&mut self) -> Vec<Vec<u8>> {
        let touched = std::mem::take(&mut self.touched);
        let mut paths: Vec<_> = touched.into_iter().map(|node| self.path(node)).collect();
        paths.sort_unstable();
        paths.dedup();
        paths
    }

    /// Whether symlinks were so many that some were not followed any more.
    pub(super) fn is_exhausted(&self) -> bool {
        self.steps.get() > MOST_STEPS
    }

    /// The path from the root; it has no symlink in it.
    pub(super) fn path(&self, node: NodeId) -> Vec<u8> {
        let up = |node: &NodeId| Some(self.node(*node).parent);
        let below_root = |node: NodeId| {
            std::iter::successors(Some(node), up).take_while(|node| *node != ROOT).map(|node| self.name(node))
        };
        let length: usize = below_root(node).map(|name| name.len() + 1).sum();
        let mut path = vec![b'/'; length.saturating_sub(1)];
        let mut end = path.len();
        for name in below_root(node) {
            let start = end - name.len();
            path[start..end].copy_from_slice(name);
            end = start.saturating_sub(1);
        }
        path
    }

    /// What a hard link at `path` becomes. `None` if it is a link to itself, which changes nothing.
    fn link_to(&self, target: &[u8], path: &[u8]) -> Option<NodeKind> {
        let Some(node) = self.find(target, Last::Keep) else {
            return Some(NodeKind::File(None));
        };
        if self.find(path, Last::Keep) == Some(node) {
            return None;
        }
        Some(match self.node(node).kind {
            NodeKind::Directory(_) => NodeKind::File(None),
            same @ (NodeKind::File(_) | NodeKind::Symlink(_) | NodeKind::Special) => same,
        })
    }

    /// The directory at `path`, made where it is missing.
    fn parent(&mut self, path: &[u8]) -> Option<NodeId> {
        let (known, node) = self.trail.leads(path);
        let mut walk = Walk::from(node, path, known);
        let mut trail = std::mem::take(&mut self.trail).cut(path, known);
        while let Some(component) = walk.next_component() {
            let name = match component {
                Component::Up => {
                    walk.node = self.node(walk.node).parent;
                    continue;
                }
                Component::Name(name) => name,
            };
            let key = self.key(walk.node, &walk.path[name]);
            let child = match self.child(key) {
                None => self.attach(key, NodeKind::EMPTY, None),
                Some(child) => match self.node(child).kind {
                    NodeKind::Directory(_) => child,
                    NodeKind::Symlink(target) => {
                        let target = self.text(target).to_vec();
                        self.follow(&mut walk, &target)?;
                        continue;
                    }
                    NodeKind::File(_) | NodeKind::Special => {
                        self.detach(child);
                        self.attach(key, NodeKind::EMPTY, None)
                    }
                },
            };
            walk.node = child;
            trail.extend(walk.walked(), child);
        }
        trail.end(walk.node);
        self.trail = trail;
        Some(walk.node)
    }

    fn find(&self, path: &[u8], last: Last) -> Option<NodeId> {
        let mut walk = Walk::new(path);
        while let Some(component) = walk.next_component() {
            let child = match component {
                Component::Up => self.node(walk.node).parent,
                Component::Name(name) => self.child(self.key(walk.node, &walk.path[name]))?,
            };
            match self.node(child).kind {
                NodeKind::Directory(_) => walk.node = child,
                // A link on the way leaves something to walk behind it, so this is the end of `path` itself.
                NodeKind::Symlink(_) if last == Last::Keep && walk.is_at_end() => return Some(child),
                NodeKind::Symlink(target) => self.follow(&mut walk, self.text(target))?,
                NodeKind::File(_) | NodeKind::Special if walk.is_at_end() => return Some(child),
                NodeKind::File(_) | NodeKind::Special => return None,
            }
        }
        Some(walk.node)
    }

    /// Continues a lookup at a symlink's target, unless there were too many.
    fn follow(&self, walk: &mut Walk<'_>, target: &[u8]) -> Option<()> {
        let components = 1 + target.iter().filter(|byte| **byte == b'/').count() as u64;
        self.steps.set(self.steps.get() + components);
        (!self.is_exhausted() && walk.follow(target)).then_some(())
    }

    /// What finds a child.
    fn key<'n>(&self, parent: NodeId, name: &'n [u8]) -> Key<'n> {
        Key { parent, name, hash: self.hashes.hash_one((parent, name)) }
    }

    fn child(&self, key: Key<'_>) -> Option<NodeId> {
        let is_it = |child: &NodeId| self.node(*child).parent == key.parent && self.name(*child) == key.name;
        self.children.find(key.hash, is_it).copied()
    }

    /// What a directory holds, in no order that means anything; nothing if the node is none.
    fn children_of(&self, directory: NodeId) -> impl Iterator<Item = NodeId> {
        let last = match self.node(directory).kind {
            NodeKind::Directory(last) => last,
            NodeKind::Symlink(_) | NodeKind::File(_) | NodeKind::Special => None,
        };
        let all = std::iter::successors(last, |child| self.node(*child).previous);
        all.filter(|child| self.node(*child).is_there)
    }

    fn is_directory(&self, node: NodeId) -> bool {
        matches!(self.node(node).kind, NodeKind::Directory(_))
    }

    /// Adds a child where there is none of that name.
    fn attach(&mut self, key: Key<'_>, kind: NodeKind, made_by: Option<Place>) -> NodeId {
        let next = u32::try_from(self.nodes.len() + 1).ok().and_then(NonZeroU32::new);
        let id = NodeId(next.expect("entries of an image are capped far below"));
        let is_watched = match (kind, made_by) {
            (NodeKind::File(content), Some(made_by)) => {
                self.watched.contains(made_by)
                    || content.is_some_and(|content| self.watched.contains(content))
            }
            (NodeKind::Directory(_) | NodeKind::Symlink(_) | NodeKind::Special, _)
            | (NodeKind::File(_), None) => false,
        };
        if is_watched {
            self.sightings.push(id);
            self.touched.push(id);
        }
        let name = self.keep(key.name);
        let previous = match &mut self.node_mut(key.parent).kind {
            NodeKind::Directory(last) => last.replace(id),
            NodeKind::Symlink(_) | NodeKind::File(_) | NodeKind::Special => None,
        };
        self.nodes.push(Node { parent: key.parent, previous, name, made_by, kind, is_there: true });
        let Self { nodes, children, texts, hashes, .. } = self;
        let hash_of = |id: &NodeId| {
            let Node { parent, name, .. } = nodes[id.position()];
            hashes.hash_one((parent, &texts[name.at..name.at + name.length]))
        };
        children.insert_unique(key.hash, id, hash_of);
        id
    }

    /// Takes a node and everything below it out of the tree.
    fn detach(&mut self, node: NodeId) {
        let hash = self.key(self.node(node).parent, self.name(node)).hash;
        if let Ok(entry) = self.children.find_entry(hash, |child| *child == node) {
            entry.remove();
        }
        self.bury(node);
    }

    fn empty(&mut self, directory: NodeId) {
        let children: Vec<NodeId> = self.children_of(directory).collect();
        children.into_iter().for_each(|child| self.detach(child));
        self.forget_children(directory);
    }

    /// Those that are not there any more are not to be passed again and again.
    fn forget_children(&mut self, directory: NodeId) {
        if let NodeKind::Directory(last) = &mut self.node_mut(directory).kind {
            *last = None;
        }
    }

    /// Marks a subtree as gone; a stack of its own, because a tree may be deep.
    fn bury(&mut self, node: NodeId) {
        self.trail = Trail::default();
        let mut gone = vec![node];
        while let Some(id) = gone.pop() {
            gone.extend(self.children_of(id));
            self.forget_children(id);
            let node = &mut self.nodes[id.position()];
            node.is_there = false;
            if let NodeKind::File(content) = node.kind
                && [node.made_by, content].into_iter().flatten().any(|place| self.watched.contains(place))
            {
                self.touched.push(id);
            }
        }
    }

    fn keep(&mut self, text: &[u8]) -> Text {
        let at = self.texts.len();
        self.texts.extend_from_slice(text);
        Text { at, length: text.len() }
    }

    fn text(&self, Text { at, length }: Text) -> &[u8] {
        &self.texts[at..at + length]
    }

    fn name(&self, id: NodeId) -> &[u8] {
        self.text(self.node(id).name)
    }

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.position()]
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.position()]
    }
}

/// A child by its parent and name, whether there is one or not.
#[derive(Clone, Copy)]
struct Key<'n> {
    parent: NodeId,
    name: &'n [u8],
    hash: u64,
}

/// What to do with a symlink at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Follow,
    Keep,
}
