//! The file system that a runtime would see: layers applied one over another, links resolved within the root.
//!
//! Follows what runtimes do when they extract: entries take effect in the order of the tar, parents are
//! resolved through symlinks of whatever layer, anything over a non-directory and any non-directory over
//! anything replaces it with its subtree. OCI image-spec layer.md, "Applying Changesets".

use std::cell::Cell;
use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::analysis::{Entry, EntryKind};
use super::matcher::split;
use walk::{Component, Walk};

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

/// A node of the tree. Ids stay valid when a node is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct NodeId(u32);

const ROOT: NodeId = NodeId(0);

/// The tree.
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// Of all nodes, one behind the other.
    names: Vec<u8>,
    /// Of names: an image must not be able to choose names that meet in one place of a table.
    hashes: DefaultHashBuilder,
    /// Files whose comings and goings are reported.
    watched: Places,
    sightings: Vec<NodeId>,
    touched: Vec<NodeId>,
    steps: Cell<u64>,
    /// The directory of the last entry: tars list a directory's children together.
    last_parent: Option<(Vec<u8>, NodeId)>,
}

struct Node {
    parent: NodeId,
    name: Name,
    /// The entry that made it; `None` for directories that only other paths imply.
    made_by: Option<Place>,
    kind: NodeKind,
    is_there: bool,
}

/// Where a node's name lies.
#[derive(Clone, Copy)]
struct Name {
    at: usize,
    length: usize,
}

/// There are as many nodes as an image has entries: what only directories have is not in each of them.
enum NodeKind {
    Directory(Box<Children>),
    Symlink(Box<[u8]>),
    /// A file with the content of that entry, which is another than `made_by` for a hard link.
    File(Option<Place>),
    Special,
}

/// The nodes of a directory, found by their names, which only the nodes have.
type Children = HashTable<NodeId>;

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
    fn new_directory() -> Self {
        Self::Directory(Box::default())
    }
}

impl Tree {
    /// An empty root. `watched` are the entries whose files the caller will ask about.
    pub(super) fn new(watched: Places) -> Self {
        let root = Node {
            parent: ROOT,
            name: Name { at: 0, length: 0 },
            made_by: None,
            kind: NodeKind::new_directory(),
            is_there: true,
        };
        let nodes = watched.room().min(MOST_NODES_AT_ONCE);
        let mut all = Vec::with_capacity(nodes + 1);
        all.push(root);
        Self {
            nodes: all,
            names: Vec::with_capacity(nodes * NAME_BYTES),
            hashes: DefaultHashBuilder::default(),
            watched,
            sightings: Vec::new(),
            touched: Vec::new(),
            steps: Cell::new(0),
            last_parent: None,
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
            EntryKind::Symlink { target } => NodeKind::Symlink(target.as_slice().into()),
            EntryKind::Directory => NodeKind::new_directory(),
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
        match self.child(parent, name) {
            Some(there) if self.is_directory(there) && matches!(kind, NodeKind::Directory(_)) => {
                self.node_mut(there).made_by = Some(place);
            }
            Some(there) => {
                self.detach(there);
                self.attach(parent, name, kind, Some(place));
            }
            None => {
                self.attach(parent, name, kind, Some(place));
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
            node = self.child(node, component)?;
        }
        self.file_node(node)
    }

    /// What a directory holds, sorted by name, and the layer of each: for a directory that only other paths imply,
    /// the layer of the first that does.
    pub(super) fn children(&self, path: &[u8]) -> Vec<(Vec<u8>, u16)> {
        let directory = self.find(path, Last::Follow).map(|node| &self.node(node).kind);
        let Some(NodeKind::Directory(children)) = directory else {
            return Vec::new();
        };
        let mut children: Vec<_> =
            children.iter().map(|node| (self.name(*node).to_vec(), self.layer(*node))).collect();
        children.sort_unstable();
        children
    }

    fn layer(&self, mut node: NodeId) -> u16 {
        loop {
            match (self.node(node).made_by, &self.node(node).kind) {
                (Some(place), _) => return place.layer,
                (None, NodeKind::Directory(children)) => {
                    match children.iter().min_by_key(|child| self.name(**child)) {
                        Some(child) => node = *child,
                        None => return 0,
                    }
                }
                (None, NodeKind::Symlink(_) | NodeKind::File(_) | NodeKind::Special) => return 0,
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
    pub(super) fn path(&self, mut node: NodeId) -> Vec<u8> {
        let mut names = Vec::new();
        while node != ROOT {
            names.push(self.name(node));
            node = self.node(node).parent;
        }
        names.reverse();
        names.join(&b'/')
    }

    /// What a hard link at `path` becomes. `None` if it is a link to itself, which changes nothing.
    fn link_to(&self, target: &[u8], path: &[u8]) -> Option<NodeKind> {
        let Some(node) = self.find(target, Last::Keep) else {
            return Some(NodeKind::File(None));
        };
        if self.find(path, Last::Keep) == Some(node) {
            return None;
        }
        Some(match &self.node(node).kind {
            NodeKind::File(content) => NodeKind::File(*content),
            NodeKind::Symlink(target) => NodeKind::Symlink(target.clone()),
            NodeKind::Special => NodeKind::Special,
            NodeKind::Directory(_) => NodeKind::File(None),
        })
    }

    /// The directory at `path`, made where it is missing.
    fn parent(&mut self, path: &[u8]) -> Option<NodeId> {
        if let Some((last, node)) = &self.last_parent
            && last == path
        {
            return Some(*node);
        }
        let mut walk = Walk::new(path);
        while let Some(component) = walk.next_component() {
            let component = match component {
                Component::Up => {
                    walk.node = self.node(walk.node).parent;
                    continue;
                }
                Component::Name(name) => walk.path[name].to_vec(),
            };
            let Some(child) = self.child(walk.node, &component) else {
                walk.node = self.attach(walk.node, &component, NodeKind::new_directory(), None);
                continue;
            };
            match &self.node(child).kind {
                NodeKind::Directory(_) => walk.node = child,
                NodeKind::Symlink(target) => {
                    let target = target.clone();
                    self.follow(&mut walk, &target)?;
                }
                NodeKind::File(_) | NodeKind::Special => {
                    let parent = walk.node;
                    self.detach(child);
                    walk.node = self.attach(parent, &component, NodeKind::new_directory(), None);
                }
            }
        }
        self.last_parent = Some((path.to_vec(), walk.node));
        Some(walk.node)
    }

    fn find(&self, path: &[u8], last: Last) -> Option<NodeId> {
        let mut walk = Walk::new(path);
        while let Some(component) = walk.next_component() {
            let child = match component {
                Component::Up => self.node(walk.node).parent,
                Component::Name(name) => self.child(walk.node, &walk.path[name])?,
            };
            match &self.node(child).kind {
                NodeKind::Directory(_) => walk.node = child,
                // A link on the way leaves something to walk behind it, so this is the end of `path` itself.
                NodeKind::Symlink(_) if last == Last::Keep && walk.is_at_end() => return Some(child),
                NodeKind::Symlink(target) => self.follow(&mut walk, target)?,
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

    fn child(&self, directory: NodeId, name: &[u8]) -> Option<NodeId> {
        match &self.node(directory).kind {
            NodeKind::Directory(children) => {
                children.find(self.hashes.hash_one(name), |child| self.name(*child) == name).copied()
            }
            NodeKind::Symlink(_) | NodeKind::File(_) | NodeKind::Special => None,
        }
    }

    fn is_directory(&self, node: NodeId) -> bool {
        matches!(self.node(node).kind, NodeKind::Directory(_))
    }

    fn attach(&mut self, parent: NodeId, name: &[u8], kind: NodeKind, made_by: Option<Place>) -> NodeId {
        let id = NodeId(u32::try_from(self.nodes.len()).expect("entries of an image are capped far below"));
        let is_watched = match (&kind, made_by) {
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
        let hash = self.hashes.hash_one(name);
        let name = {
            let at = self.names.len();
            self.names.extend_from_slice(name);
            Name { at, length: name.len() }
        };
        self.nodes.push(Node { parent, name, made_by, kind, is_there: true });
        // Taken out meanwhile: a table that grows asks for the names of its nodes.
        let mut directory = std::mem::replace(&mut self.node_mut(parent).kind, NodeKind::Special);
        if let NodeKind::Directory(children) = &mut directory {
            let hash_of = |node: &NodeId| self.hashes.hash_one(self.name(*node));
            children.insert_unique(hash, id, hash_of);
        }
        self.node_mut(parent).kind = directory;
        id
    }

    /// Takes a node and everything below it out of the tree.
    fn detach(&mut self, node: NodeId) {
        let (parent, hash) = (self.node(node).parent, self.hashes.hash_one(self.name(node)));
        if let NodeKind::Directory(children) = &mut self.node_mut(parent).kind
            && let Ok(entry) = children.find_entry(hash, |child| *child == node)
        {
            entry.remove();
        }
        self.bury(node);
    }

    fn empty(&mut self, directory: NodeId) {
        for child in self.take_children(directory).into_iter().flat_map(|children| *children) {
            self.bury(child);
        }
    }

    /// What a directory holds, which is none any more; nothing if the node is none.
    fn take_children(&mut self, directory: NodeId) -> Option<Box<Children>> {
        match &mut self.node_mut(directory).kind {
            NodeKind::Directory(children) => Some(std::mem::take(children)),
            NodeKind::Symlink(_) | NodeKind::File(_) | NodeKind::Special => None,
        }
    }

    /// Marks a subtree as gone; a stack of its own, because a tree may be deep.
    fn bury(&mut self, node: NodeId) {
        self.last_parent = None;
        let mut gone = vec![node];
        while let Some(id) = gone.pop() {
            let node = &mut self.nodes[id.0 as usize];
            node.is_there = false;
            match &mut node.kind {
                NodeKind::Directory(children) => gone.extend(*std::mem::take(children)),
                NodeKind::File(content) => {
                    let places = [node.made_by, *content];
                    if places.into_iter().flatten().any(|place| self.watched.contains(place)) {
                        self.touched.push(id);
                    }
                }
                NodeKind::Symlink(_) | NodeKind::Special => {}
            }
        }
    }

    fn name(&self, id: NodeId) -> &[u8] {
        let Name { at, length } = self.node(id).name;
        &self.names[at..at + length]
    }

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0 as usize]
    }
}

/// What to do with a symlink at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Follow,
    Keep,
}
