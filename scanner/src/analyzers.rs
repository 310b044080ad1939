//! Analyzers: one file of an image in, packages and facts out. Each format is one file and one line in [`ALL`].
//!
//! An analyzer is context free: it sees one file and nothing of other files, layers, the distribution or
//! advisories. That makes its result cacheable by layer, and lets the squash decide what is still visible.

use serde::{Deserialize, Serialize};
use shared::model::functions::FunctionSet;
use shared::model::observation::ObservationKind;
use shared::model::package::Package;
use shared::model::problem::Problem;
use shared::model::report::{Distribution, Revision, Severity};

use crate::limits::Limits;
use crate::secrets::Secrets;

pub mod apk;
pub mod archived;
pub mod bitnami;
pub mod bottlerocket;
pub mod bun;
pub mod cargo_auditable;
pub mod cargo_lock;
pub mod chisel;
pub mod composer;
pub mod conan;
pub mod conda;
pub mod cpan;
pub mod deno;
pub mod dnf_history;
pub mod dotnet;
pub mod dotnet_bundle;
pub mod dpkg;
pub mod elf_note;
pub mod erlang_app;
pub(crate) mod executable;
mod fields;
pub mod flatpak;
pub mod freebsd;
pub mod gem;
pub mod gemfile_lock;
pub mod github_actions;
pub mod gleam;
pub mod go_binary;
pub mod gradle_lock;
pub mod haskell;
pub mod homebrew;
pub mod java;
pub mod java_release;
pub mod julia;
pub mod kernel;
pub mod key_store;
mod ledger;
mod lock;
pub mod luarocks;
pub mod mix_lock;
pub mod models;
pub mod native_image;
pub mod nimble_lock;
pub mod node;
pub mod npm_lock;
pub mod nuget_lock;
mod numbers;
pub mod opam;
pub mod opkg;
pub mod os_release;
pub mod pacman;
pub mod pe_version;
pub mod pear;
pub mod pnpm;
pub mod podfile_lock;
pub mod portage;
pub mod program_files;
pub mod programs;
pub mod pubspec_lock;
pub mod python;
pub mod python_lock;
pub mod python_origin;
pub mod r;
pub(crate) mod registry;
pub mod repositories;
pub mod rpm;
pub mod rust_program;
pub mod sbom;
pub mod snap;
pub mod sqlite;
pub mod swift_resolved;
pub mod system_settings;
mod terms;
pub mod terraform;
pub mod vcpkg;
pub mod vscode;
pub mod wordpress;
pub mod yarn;
pub mod zipped;

/// Every analyzer, in the order in which they are offered a file. Adding one: a file, and a line here.
pub const ALL: &[&dyn Analyzer] = &[
    &os_release::OsRelease,
    &repositories::Repositories,
    &dnf_history::DnfHistory,
    &dpkg::Dpkg,
    &apk::Apk,
    &rpm::Rpm,
    &node::Node,
    &python::Python,
    &java::Java,
    &go_binary::GO_BINARY,
    &cargo_auditable::CARGO_AUDITABLE,
    &rust_program::RUST_PROGRAM,
    &npm_lock::NpmLock,
    &yarn::Yarn,
    &pnpm::Pnpm,
    &python_lock::PythonLock,
    &conda::Conda,
    &gem::Gem,
    &gemfile_lock::GemfileLock,
    &composer::Composer,
    &dotnet::DotNet,
    &dotnet_bundle::DOTNET_BUNDLE,
    &cargo_lock::CargoLock,
    &nuget_lock::NuGetLock,
    &deno::Deno,
    &bun::Bun,
    &zipped::Zipped,
    &pacman::Pacman,
    &portage::Portage,
    &opkg::Opkg,
    &freebsd::FreeBsd,
    &chisel::Chisel,
    &bottlerocket::Bottlerocket,
    &homebrew::Homebrew,
    &snap::Snap,
    &flatpak::Flatpak,
    &kernel::Kernel,
    &archived::Archived,
    &pubspec_lock::PubspecLock,
    &mix_lock::MixLock,
    &erlang_app::ErlangApp,
    &gleam::Gleam,
    &swift_resolved::SwiftResolved,
    &podfile_lock::PodfileLock,
    &gradle_lock::GradleLock,
    &pear::Pear,
    &python_origin::PythonOrigin,
    &conan::Conan,
    &vcpkg::Vcpkg,
    &r::R,
    &haskell::Haskell,
    &julia::Julia,
    &luarocks::LuaRocks,
    &opam::Opam,
    &cpan::Cpan,
    &nimble_lock::NimbleLock,
    &wordpress::WordPress,
    &terraform::Terraform,
    &github_actions::GitHubActions,
    &vscode::VsCode,
    &system_settings::SystemSettings,
    &programs::Programs,
    &program_files::ProgramFiles,
    &java_release::JavaRelease,
    &bitnami::Bitnami,
    &sbom::Sbom,
    &elf_note::ELF_NOTE,
    &native_image::NATIVE_IMAGE,
    &models::Models,
    &key_store::KeyStore,
    &pe_version::PeVersion,
];

/// So many accounts of a table are kept.
pub(crate) const MOST_ACCOUNTS: usize = 4096;

/// Reads one package format.
pub trait Analyzer: Send + Sync {
    /// A stable name for metrics, problems and the analyzer revision: `dpkg`.
    fn name(&self) -> &'static str;

    /// Raised whenever the same bytes could give another result (I6).
    fn version(&self) -> u32;

    /// Which files it might want. Cheap and static: all analyzers' triggers become one matcher.
    fn triggers(&self) -> &'static [Trigger];

    /// Whether it really wants a file that a trigger chose; for what a trigger cannot say.
    fn wants(&self, _file: &Candidate<'_>) -> bool {
        true
    }

    /// Which limit bounds the file's size.
    fn class(&self) -> FileClass;

    /// Whether what it reads says something about one root file system; it then reads the same files of roots below the
    /// image's own, under the paths that they have there.
    fn is_of_root(&self) -> bool {
        self.class() == FileClass::Database
    }

    /// Reads the file. Never panics, never recurses on input depth, never allocates by a number that the
    /// input states. What it cannot read becomes a [`Problem`]; reading goes on after it (I4).
    fn analyze(&self, file: &CapturedFile<'_>, limits: &Limits) -> Found;
}

/// How a file catches an analyzer's eye. Paths have no leading slash and are compared byte by byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Exactly this path.
    Path(&'static str),
    /// Any file of this name, anywhere.
    Name(&'static str),
    /// Any file whose name ends so: `.jar`.
    Extension(&'static str),
    /// Any file directly in a directory whose path ends so: `var/lib/dpkg/status.d`, `.dist-info`.
    Parent(&'static str),
    /// Any file of the second name anywhere below a directory whose path is or ends in the first.
    Below(&'static str, &'static str),
    /// Any regular file whose content begins so.
    Magic(&'static [u8]),
}

/// How much of a file an analyzer wants, and which of the [`Limits`] bounds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileClass {
    /// `text_bytes`.
    Text,
    /// `database_bytes`.
    Database,
    /// `binary_bytes`.
    Binary,
    /// `binary_bytes`, and where the file is an executable there may be zeros in place of its machine code.
    BinaryWithoutCode,
    /// Not more than the first [`BEGINNING`] bytes of it, however large it is.
    Beginning,
}

/// What an analyzer sees of a file of which it wants the beginning, in bytes.
pub const BEGINNING: usize = 1 << 20;

impl FileClass {
    /// The limit in bytes.
    pub fn limit(self, limits: &Limits) -> u64 {
        match self {
            Self::Text => limits.text_bytes,
            Self::Database => limits.database_bytes,
            Self::Binary | Self::BinaryWithoutCode => limits.binary_bytes,
            Self::Beginning => u64::MAX,
        }
    }
}

/// A regular file before anybody decided to read it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Path from the root of the image, no leading slash; bytes, because nobody promises UTF-8.
    pub path: &'a [u8],
    /// Size in bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// The first bytes of the content, at most 64.
    pub head: &'a [u8],
}

/// A regular file in memory.
#[derive(Clone, Copy, Debug)]
pub struct CapturedFile<'a> {
    /// Path from the root of the image, no leading slash.
    pub path: &'a str,
    /// Permission bits.
    pub mode: u32,
    /// All of its content, or its beginning for an analyzer that wants no more.
    pub content: &'a [u8],
}

/// What one analyzer found in one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Packages that this file is the evidence of.
    pub packages: Vec<FoundPackage>,
    /// Files that OS packages own.
    pub owned: Vec<OwnedFiles>,
    /// Which distribution this is.
    pub distribution: Option<Distribution>,
    /// Repositories that the packages of the root come from: Red Hat's content sets and CPEs, apk's URLs.
    pub repositories: Vec<String>,
    /// The file is a write-ahead log: the name of the SQLite database beside it that lacks what it holds.
    pub log_of: Option<String>,
    /// The functions of a program that names them.
    pub functions: Option<FunctionSet>,
    /// Who may own processes.
    pub accounts: Vec<Account>,
    /// What is wrong with the file, as long as it is visible.
    pub observations: Vec<FoundObservation>,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

/// An account of `etc/passwd`, as far as it decides who somebody is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its number; 0 is root whatever its name.
    pub uid: u32,
}

/// Something in one file that somebody should know; where in the image it is, the squash adds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundObservation {
    /// See [`Observation::rule`](shared::model::observation::Observation::rule).
    pub rule: String,
    /// What kind of trouble it is.
    pub kind: ObservationKind,
    /// How bad.
    pub severity: Severity,
    /// One line for people. Never contains a secret.
    pub title: String,
    /// What to do about it.
    pub remediation: String,
    /// The path of a nested archive or object inside the file.
    pub inner_path: Option<String>,
    /// The line, from 1.
    pub line: Option<u32>,
    /// What was matched, made harmless.
    pub masked: Option<String>,
    /// A keyed hash of it.
    pub fingerprint: Option<String>,
    /// Controls that ask for the same.
    pub controls: Vec<String>,
}

/// A package and where inside the file it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundPackage {
    /// The package.
    pub package: Package,
    /// The path of a nested archive inside the file, `BOOT-INF/lib/x.jar`; parts joined by `!/`.
    pub inner_path: Option<String>,
}

/// The files that one OS package says it installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnedFiles {
    /// Name of the owning binary package.
    pub package: String,
    /// Its architecture, where the database is per architecture.
    pub architecture: Option<String>,
    /// The files; directories may be among them.
    pub files: Vec<OwnedFile>,
}

/// One owned file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnedFile {
    /// Path without leading slash, as the database writes it (it may be a pre-usr-merge path).
    pub path: String,
    /// What its content should hash to, where the database says.
    pub checksum: Option<Checksum>,
}

/// A content checksum of the kinds that package databases use, as raw bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Checksum {
    /// dpkg, old rpm.
    Md5([u8; 16]),
    /// apk.
    Sha1([u8; 20]),
    /// rpm, newer apk.
    Sha256([u8; 32]),
}

impl Found {
    /// Nothing but a problem.
    pub fn problem(problem: Problem) -> Self {
        Self { problems: vec![problem], ..Self::default() }
    }

    /// Adds a package that the file itself is evidence of.
    pub fn push(&mut self, package: Package) {
        self.packages.push(FoundPackage { package, inner_path: None });
    }
}

/// The revision of everything that decides what analyzers find (I6).
pub fn revision(limits: &Limits) -> Revision {
    Revision::of(basis_of(ALL, &Secrets::built_in(), limits).as_bytes())
}

/// What findings of a list of analyzers and rules under limits rest on.
pub(crate) fn basis_of(analyzers: &[&dyn Analyzer], secrets: &Secrets, limits: &Limits) -> String {
    let mut text = format!("engine {}\n", crate::image::ENGINE_VERSION);
    for analyzer in analyzers {
        text.push_str(&format!("{} {}\n", analyzer.name(), analyzer.version()));
    }
    text.push_str(&format!("{}\n{limits:?}", secrets.revision()));
    text
}
