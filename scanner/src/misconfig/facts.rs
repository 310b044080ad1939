//! What checks want to know of the final file system: who is in the table of accounts, and which visible files have which
//! traits. A trait is told from an entry alone; whether the file is visible, the squash knows.

use crate::analyzers::Account;
use crate::image::analysis::{Entry, EntryKind};

/// Facts of the squashed tree.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Of `etc/passwd`.
    pub(crate) accounts: Vec<Account>,
    /// The table was longer than what is kept.
    pub(crate) accounts_cut: bool,
    /// What the config's program is in the tree.
    pub(crate) program: Program,
    /// Every layer was read: what is not here is not there.
    pub(crate) is_complete: bool,
    /// By [`Trait`], in its order.
    pub(crate) groups: [Group; Trait::ALL.len()],
}

/// Files of one trait.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// Sorted by path.
    pub(crate) kept: Vec<Kept>,
    /// There were too many to look at all of them.
    pub(crate) is_cut: bool,
}

/// A visible file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kept {
    /// Canonical.
    pub(crate) path: String,
    /// The layer that put it there.
    pub(crate) layer: u16,
    /// Permission bits.
    pub(crate) mode: u32,
    /// Bytes of content.
    pub(crate) size: u64,
    /// It is a directory.
    pub(crate) kind: KeptKind,
}

/// What was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum KeptKind {
    File,
    Directory,
}

/// A program that the config starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Program {
    Executable,
    NotExecutable,
    #[default]
    Missing,
}

/// What makes a file interesting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trait {
    /// Setuid, setgid or file capabilities.
    Privileged,
    /// Anybody may write to it.
    WorldWritable,
    /// A package manager's cache.
    Cache,
    /// A program of those that listen for logins.
    LoginServer,
    /// Keys that open a login.
    AuthorizedKeys,
    /// `sudo`.
    Sudo,
    /// A compiler, a debugger, a package manager, a tool of intruders.
    Tool,
    /// Something that was not meant to be in an image.
    Leftover,
    /// An executable in one of the directories of PATH. What no OS package owns stays.
    Unowned,
}

impl Trait {
    pub(crate) const ALL: [Self; 9] = [
        Self::Privileged,
        Self::WorldWritable,
        Self::Cache,
        Self::LoginServer,
        Self::AuthorizedKeys,
        Self::Sudo,
        Self::Tool,
        Self::Leftover,
        Self::Unowned,
    ];

    /// The traits of an entry.
    pub(crate) fn of(entry: &Entry) -> impl Iterator<Item = Self> + '_ {
        let seen = Seen::of(entry);
        seen.into_iter().flat_map(|seen| Self::ALL.into_iter().filter(move |one| one.has(&seen)))
    }

    fn has(self, seen: &Seen<'_>) -> bool {
        let Seen { path, name, mode, capability, kind, size, place } = *seen;
        let is_file = kind == KeptKind::File;
        match self {
            Self::Privileged => is_file && (mode & 0o6000 != 0 || capability),
            Self::WorldWritable => is_world_writable(path, mode, kind),
            Self::Cache => is_file && size > 0 && is_cache(path),
            Self::LoginServer => is_file && LOGIN_SERVERS.contains(&path),
            Self::AuthorizedKeys => is_file && size > 0 && path.ends_with(b".ssh/authorized_keys"),
            Self::Sudo => is_file && path == b"usr/bin/sudo",
            Self::Tool => is_file && place == Directory::OfPath && TOOLS.contains(&name),
            Self::Leftover => is_file && is_leftover(path),
            Self::Unowned => is_file && place == Directory::OfPath && mode & 0o111 != 0,
        }
    }
}

/// What several traits look at in an entry: told once, since there are as many entries as files.
#[derive(Clone, Copy)]
struct Seen<'e> {
    path: &'e [u8],
    name: &'e [u8],
    mode: u32,
    capability: bool,
    kind: KeptKind,
    size: u64,
    place: Directory,
}

/// Where an entry lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Directory {
    /// Directly in a directory of PATH.
    OfPath,
    Other,
}

impl<'e> Seen<'e> {
    /// Files and directories; links have the traits of what they lead to.
    fn of(entry: &'e Entry) -> Option<Self> {
        let (kind, size) = match &entry.kind {
            EntryKind::File { size } => (KeptKind::File, *size),
            EntryKind::Hardlink { .. } => (KeptKind::File, 0),
            EntryKind::Directory => (KeptKind::Directory, 0),
            EntryKind::Symlink { .. } | EntryKind::Special | EntryKind::Whiteout | EntryKind::Opaque => {
                return None;
            }
        };
        let Entry { mode, capability, .. } = *entry;
        let path = &*entry.path;
        let place = if is_in_path(path) { Directory::OfPath } else { Directory::Other };
        Some(Self { path, name: name(path), mode, capability, kind, size, place })
    }
}

impl Facts {
    pub(crate) fn group(&self, of: Trait) -> &Group {
        &self.groups[of as usize]
    }
}

const LOGIN_SERVERS: &[&[u8]] = &[
    b"usr/sbin/sshd",
    b"usr/sbin/dropbear",
    b"usr/sbin/in.telnetd",
    b"usr/sbin/telnetd",
    b"usr/local/sbin/sshd",
];

const PATH: &[&[u8]] = &[b"bin", b"sbin", b"usr/bin", b"usr/sbin", b"usr/local/bin", b"usr/local/sbin"];

const TOOLS: &[&[u8]] = &[
    b"apk",
    b"apt-get",
    b"dnf",
    b"microdnf",
    b"pacman",
    b"yum",
    b"zypper", // Package managers.
    b"cc",
    b"clang",
    b"gcc",
    b"make",
    b"tcc", // Compilers; names with versions are links to the same.
    b"gdb",
    b"strace",
    b"tcpdump",
    b"tshark", // What looks into others.
    b"masscan",
    b"nc.openbsd",
    b"nc.traditional",
    b"ncat",
    b"nmap",
    b"socat",
    b"telnet", // What reaches others.
];

fn name(path: &[u8]) -> &[u8] {
    memchr::memrchr(b'/', path).map_or(path, |slash| &path[slash + 1..])
}

fn folder(path: &[u8]) -> &[u8] {
    &path[..path.len() - name(path).len()]
}

/// Whether it lies directly in a directory of PATH.
pub(super) fn is_in_path(path: &[u8]) -> bool {
    let folder = folder(path);
    PATH.iter().any(|one| folder.strip_suffix(b"/") == Some(one))
}

/// Directories in which everybody may write, as everywhere.
const SHARED: &[&[u8]] =
    &[b"tmp", b"var/tmp", b"dev", b"proc", b"sys", b"run/lock", b"var/lock", b"var/mail"];

fn is_world_writable(path: &[u8], mode: u32, kind: KeptKind) -> bool {
    let is_open = match kind {
        KeptKind::File => mode & 0o002 != 0,
        KeptKind::Directory => mode & 0o002 != 0 && mode & 0o1000 == 0,
    };
    is_open
        && !SHARED
            .iter()
            .any(|shared| path.strip_prefix(*shared).is_some_and(|rest| rest.is_empty() || rest[0] == b'/'))
}

fn is_cache(path: &[u8]) -> bool {
    const WHOLE: &[&[u8]] = &[
        b"var/cache/apk/",
        b"var/cache/yum/",
        b"var/cache/dnf/",
        b"var/cache/libdnf5/",
        b"root/.cache/pip/",
        b"root/.npm/_cacache/",
        b"usr/local/share/.cache/yarn/",
    ];
    WHOLE.iter().any(|prefix| path.starts_with(prefix))
        || path.starts_with(b"var/cache/apt/archives/") && path.ends_with(b".deb")
        || path.starts_with(b"var/lib/apt/lists/") && memchr::memmem::find(path, b"_Packages").is_some()
}

/// Where other people's files are: their leftovers are not this image's.
const OTHERS: &[&[u8]] =
    &[b"usr/share/", b"usr/lib/", b"usr/local/lib/", b"usr/local/go/", b"usr/src/linux", b"var/lib/"];

fn is_leftover(path: &[u8]) -> bool {
    let name = name(path);
    // What no wanted name begins with is most of an image.
    if !matches!(name.first(), Some(b'.' | b'C' | b'D' | b'H' | b'c' | b'd' | b'i' | b'w')) {
        return false;
    }
    let ends = |end: &[u8]| path.ends_with(end);
    let is_wanted = matches!(
        name,
        b"Dockerfile"
            | b"Containerfile"
            | b".DS_Store"
            | b"docker-compose.yml"
            | b"docker-compose.yaml"
            | b"compose.yml"
            | b"compose.yaml"
    ) || name.starts_with(b"Dockerfile.")
        || is_environment(name)
        || ends(b".git/HEAD")
        || ends(b".svn/wc.db")
        || ends(b".aws/credentials")
        || ends(b".kube/config")
        || folder(path).ends_with(b".ssh/") && name.starts_with(b"id_") && !name.ends_with(b".pub")
        || name.starts_with(b".") && name.ends_with(b".swp")
        || is_core_dump(name);
    let is_of_others = || {
        OTHERS.iter().any(|folder| path.starts_with(folder))
            || [&b"node_modules/"[..], b"site-packages/", b"dist-packages/", b"/gems/", b"pkg/mod/"]
                .iter()
                .any(|part| memchr::memmem::find(path, part).is_some())
    };
    is_wanted && !is_of_others()
}

/// `.env` and `.env.production`, but not what shows how to write one.
fn is_environment(name: &[u8]) -> bool {
    const EXAMPLES: &[&[u8]] = &[b"example", b"sample", b"template", b"dist", b"defaults", b"schema"];
    name.strip_prefix(b".env").is_some_and(|rest| match rest.strip_prefix(b".") {
        Some(kind) => !EXAMPLES.iter().any(|example| kind.ends_with(example)),
        None => rest.is_empty(),
    })
}

/// `core.123`, as kernels name them.
fn is_core_dump(name: &[u8]) -> bool {
    name.strip_prefix(b"core.")
        .is_some_and(|number| (1..=10).contains(&number.len()) && number.iter().all(u8::is_ascii_digit))
}
