//! Packages: what an analyzer finds, before and after anybody knows which distribution it belongs to.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One package as its evidence file states it, without context: no distribution, no advisories.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Package {
    /// Which packaging system.
    pub kind: PackageKind,
    /// What stands before the name in the packaging system's own words: Maven group, npm scope with
    /// its `@`, Composer vendor. `None` for OS packages: their purl namespace is the distribution.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The name, normalised as the packaging system compares names (PEP 503 for PyPI).
    pub name: String,
    /// The version exactly as written; `epoch:version-release` for rpm with a non-zero epoch.
    pub version: String,
    /// The machine architecture in the packaging system's own words.
    #[serde(default)]
    pub architecture: Option<String>,
    /// The source package, where advisories speak of sources (deb, apk, rpm).
    #[serde(default)]
    pub source: Option<SourcePackage>,
    /// Who built it: dpkg's maintainer, rpm's vendor.
    #[serde(default)]
    pub vendor: Option<String>,
    /// The rpm modularity label `name:stream:version:context`.
    #[serde(default)]
    pub module: Option<String>,
    /// What else tells packages of one name and version apart, as the qualifiers of their purls name it: Conda's
    /// `build` and `channel`, Julia's `uuid`.
    #[serde(default)]
    pub qualifiers: BTreeMap<String, String>,
    /// Licence expressions or texts as found, unchanged.
    #[serde(default)]
    pub licenses: Vec<String>,
    /// What kind of evidence this is.
    pub evidence: Evidence,
}

impl Package {
    /// A package of which nothing is known but its identity.
    pub fn new(
        kind: PackageKind,
        name: impl Into<String>,
        version: impl Into<String>,
        evidence: Evidence,
    ) -> Self {
        Self {
            kind,
            namespace: None,
            name: name.into(),
            version: version.into(),
            architecture: None,
            source: None,
            vendor: None,
            module: None,
            qualifiers: BTreeMap::new(),
            licenses: Vec::new(),
            evidence,
        }
    }
}

/// The source package that a binary package was built from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SourcePackage {
    /// Name of the source package.
    pub name: String,
    /// Its version, or `None` where it cannot be known (an rpm source's epoch).
    #[serde(default)]
    pub version: Option<String>,
}

/// How a package was seen.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// Metadata of what is really on disk.
    Installed,
    /// What is really on disk, under a name that no metadata states in full: the group of a Java archive was inferred
    /// from its manifest, its name and its classes.
    Inferred,
    /// Compiled in and stated by the binary itself.
    Embedded,
    /// Present, but never to be matched: the application itself, an unversioned main module.
    Unmatched,
    /// Only stated by a lock file.
    Declared,
    /// Only claimed by an SBOM that lies in the image or is attached to it.
    Claimed,
    /// A version string inside a program that no package manager knows.
    Recognised,
    /// In a package archive that lies in the image and was not installed from it, as far as anybody knows.
    ArchiveNotInstalled,
}

macro_rules! package_kinds {
    ($($(#[doc = $doc:literal])* $name:ident = $purl:literal, $level:ident;)*) => {
        /// The packaging systems, named as package URLs name them.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
        )]
        pub enum PackageKind {
            $($(#[doc = $doc])* #[serde(rename = $purl)] $name,)*
        }

        impl PackageKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The purl type.
            pub const fn purl_type(self) -> &'static str {
                match self { $(Self::$name => $purl),* }
            }

            /// Whether the distribution or a language's own tool installs it.
            pub const fn level(self) -> Level {
                match self { $(Self::$name => Level::$level),* }
            }
        }
    };
}

/// Who installs a kind of package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The distribution's package manager.
    Os,
    /// A language's package manager, or a compiler.
    Language,
}

package_kinds! {
    /// dpkg.
    Deb = "deb", Os;
    /// apk-tools.
    Apk = "apk", Os;
    /// rpm.
    Rpm = "rpm", Os;
    /// npm.
    Npm = "npm", Language;
    /// Python distributions.
    PyPi = "pypi", Language;
    /// Go modules.
    Golang = "golang", Language;
    /// Rust crates.
    Cargo = "cargo", Language;
    /// Java artifacts.
    Maven = "maven", Language;
    /// pacman.
    Alpm = "alpm", Os;
    /// Portage.
    Ebuild = "ebuild", Os;
    /// opkg.
    Opkg = "opkg", Os;
    /// Nix and Guix store paths.
    Nix = "nix", Os;
    /// FreeBSD's pkg.
    FreeBsd = "freebsd", Os;
    /// RubyGems.
    Gem = "gem", Language;
    /// .NET packages.
    NuGet = "nuget", Language;
    /// PHP packages.
    Composer = "composer", Language;
    /// PEAR and PECL.
    Pear = "pear", Language;
    /// WordPress plugins.
    WordPressPlugin = "wordpress-plugin", Language;
    /// WordPress themes.
    WordPressTheme = "wordpress-theme", Language;
    /// Dart packages.
    Pub = "pub", Language;
    /// Erlang, Elixir and Gleam packages.
    Hex = "hex", Language;
    /// Applications of an Erlang release.
    Otp = "otp", Language;
    /// Swift packages.
    Swift = "swift", Language;
    /// CocoaPods.
    CocoaPods = "cocoapods", Language;
    /// C and C++ packages of Conan.
    Conan = "conan", Language;
    /// C and C++ packages of vcpkg.
    Vcpkg = "vcpkg", Language;
    /// Conda packages.
    Conda = "conda", Language;
    /// R packages.
    Cran = "cran", Language;
    /// R packages of Bioconductor.
    Bioconductor = "bioconductor", Language;
    /// Haskell packages.
    Hackage = "hackage", Language;
    /// Lua packages.
    LuaRocks = "luarocks", Language;
    /// Julia packages.
    Julia = "julia", Language;
    /// OCaml packages.
    Opam = "opam", Language;
    /// Perl packages.
    Cpan = "cpan", Language;
    /// Nim packages.
    Nimble = "nimble", Language;
    /// Components of Bitnami's images.
    Bitnami = "bitnami", Language;
    /// Homebrew's formulas.
    Homebrew = "brew", Language;
    /// Terraform providers and modules.
    Terraform = "terraform", Language;
    /// GitHub Actions.
    GitHubActions = "githubactions", Language;
    /// Editor extensions.
    VsCode = "vscode-extension", Language;
    /// Packages of the JavaScript registry JSR.
    Jsr = "jsr", Language;
    /// Programs without a package manager.
    Generic = "generic", Language;
}

impl fmt::Display for PackageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.purl_type())
    }
}

impl FromStr for PackageKind {
    type Err = UnknownPackageKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.iter().find(|kind| kind.purl_type() == text);
        known.copied().ok_or_else(|| UnknownPackageKind(text.chars().take(80).collect()))
    }
}

/// A purl type that no analyzer produces.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a package type; expected deb, apk, rpm, npm, pypi, golang, maven or another purl type that is inventoried"
)]
pub struct UnknownPackageKind(String);

/// What a purl says about the distribution of an OS package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PurlDistribution<'a> {
    /// The namespace, which is the vendor's name in purl-spec: `redhat` for RHEL.
    pub namespace: &'a str,
    /// `ID` of os-release(5).
    pub id: &'a str,
    /// `VERSION_ID`, or empty.
    pub version: &'a str,
}

/// A package URL in canonical form, for example `pkg:deb/debian/openssl@3.0.11-1?arch=amd64`.
///
/// Specification: package-url/purl-spec. Made by [`Purl::new`], which percent-encodes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, example = "pkg:pypi/jinja2@2.11.2")]
pub struct Purl(String);

impl Purl {
    /// The purl of a package; `distribution` is that of an OS package's root.
    pub fn new(package: &Package, distribution: Option<PurlDistribution<'_>>) -> Self {
        let mut text = format!("pkg:{}", package.kind.purl_type());
        let namespace = match package.kind.level() {
            Level::Os => distribution.map(|distribution| distribution.namespace),
            Level::Language => package.namespace.as_deref(),
        };
        for segment in namespace.into_iter().flat_map(|namespace| namespace.split('/')) {
            text.push('/');
            encode_into(&mut text, segment, false);
        }
        // A Go module's path is namespace and name at once; its slashes separate segments.
        for segment in package.name.split('/') {
            text.push('/');
            encode_into(&mut text, segment, false);
        }
        if !package.version.is_empty() {
            text.push('@');
            encode_into(&mut text, &package.version, false);
        }
        let distro = match (package.kind.level(), distribution) {
            (Level::Os, Some(PurlDistribution { id, version, .. })) if !version.is_empty() => {
                Some(format!("{id}-{version}"))
            }
            _ => None,
        };
        let machine = match package.kind {
            // A gem is built for a platform, of which the machine is only a part.
            PackageKind::Gem => "platform",
            // So is a package of Conda, whose channels have a directory for each.
            PackageKind::Conda => "subdir",
            _ => "arch",
        };
        let known = [(machine, package.architecture.as_deref()), ("distro", distro.as_deref())];
        let known = known.into_iter().filter_map(|(key, value)| Some((key, value?)));
        let others = package.qualifiers.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        // Keys are sorted, and those without a value left out.
        let qualifiers: BTreeMap<&str, &str> =
            others.chain(known).filter(|(_, value)| !value.is_empty()).collect();
        let mut separator = '?';
        for (key, value) in qualifiers {
            text.push(separator);
            text.push_str(key);
            text.push('=');
            encode_into(&mut text, value, true);
            separator = '&';
        }
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The purl without qualifiers, which SBOMs leave out or add to as they like.
    pub fn without_qualifiers(&self) -> &str {
        self.0.split('?').next().unwrap_or(&self.0)
    }

    /// The purl without version and qualifiers: which package, whatever its version.
    pub fn without_version(&self) -> &str {
        self.0.split(['@', '?']).next().unwrap_or(&self.0)
    }
}

impl fmt::Display for Purl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Percent-encodes everything but purl's unreserved characters; `:` stays, as the specification says.
fn encode_into(text: &mut String, part: &str, slash_stays: bool) {
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_~:".contains(&byte) || (slash_stays && byte == b'/') {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(kind: PackageKind, namespace: Option<&str>, name: &str, version: &str) -> Package {
        Package {
            kind,
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
            version: version.to_owned(),
            architecture: None,
            source: None,
            vendor: None,
            module: None,
            qualifiers: BTreeMap::new(),
            licenses: Vec::new(),
            evidence: Evidence::Installed,
        }
    }

    #[test]
    fn purls_follow_the_specification() {
        let mut libc = package(PackageKind::Deb, None, "libc6", "2.36-9+deb12u1");
        libc.architecture = Some("amd64".to_owned());
        let debian = PurlDistribution { namespace: "debian", id: "debian", version: "12" };
        let purl = Purl::new(&libc, Some(debian));
        assert_eq!(purl.as_str(), "pkg:deb/debian/libc6@2.36-9%2Bdeb12u1?arch=amd64&distro=debian-12");
        assert_eq!(purl.without_version(), "pkg:deb/debian/libc6");
        let bash = package(PackageKind::Rpm, None, "bash", "5.1.8-9.el9");
        let rhel = PurlDistribution { namespace: "redhat", id: "rhel", version: "9.4" };
        let purl = Purl::new(&bash, Some(rhel));
        assert_eq!(purl.as_str(), "pkg:rpm/redhat/bash@5.1.8-9.el9?distro=rhel-9.4");

        let mut numpy = package(PackageKind::Conda, None, "numpy", "1.26.4");
        numpy.architecture = Some("linux-64".to_owned());
        let qualifiers = [("channel", "conda-forge"), ("build", "py312_0"), ("type", "")];
        numpy.qualifiers = qualifiers.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        assert_eq!(
            Purl::new(&numpy, None).as_str(),
            "pkg:conda/numpy@1.26.4?build=py312_0&channel=conda-forge&subdir=linux-64"
        );

        for (kind, namespace, name, version, expected) in [
            (PackageKind::Npm, Some("@babel"), "core", "7.0.0", "pkg:npm/%40babel/core@7.0.0"),
            (PackageKind::Golang, None, "github.com/a/b", "v1.0.0", "pkg:golang/github.com/a/b@v1.0.0"),
            (PackageKind::Maven, Some("org.x"), "y", "1", "pkg:maven/org.x/y@1"),
            (PackageKind::PyPi, None, "jinja2", "2.11.2", "pkg:pypi/jinja2@2.11.2"),
        ] {
            assert_eq!(Purl::new(&package(kind, namespace, name, version), None).as_str(), expected);
        }
    }
}
