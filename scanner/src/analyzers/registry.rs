//! Where a package was fetched: the URL that its evidence names in, the host of another registry than the public one out.
//!
//! Two registries may each have a package of one name, and advisories speak of the public one's. So a package from
//! elsewhere has the qualifier `repository_url` in its purl (purl-spec, "Known qualifiers"). Of the URL only the host
//! and the port go into it: such URLs carry passwords and tokens, before the host and in the path.

use shared::model::package::Package;
use url::Url;

/// The qualifier that names another registry than the one that a type of purls has by default.
const QUALIFIER: &str = "repository_url";

/// Hosts of the registries of npm, PyPI and RubyGems, and of mirrors that serve the same to everybody.
const PUBLIC: &[&str] = &[
    // npm's own, Yarn's name for it, and its mirrors.
    "registry.npmjs.org",
    "registry.npmjs.com",
    "registry.yarnpkg.com",
    "registry.npmmirror.com",
    "cdn.npmmirror.com",
    "registry.npm.taobao.org",
    "registry.nlark.com",
    "r.cnpmjs.org",
    // PyPI's own, and its mirrors.
    "pypi.org",
    "pypi.python.org",
    "files.pythonhosted.org",
    "pypi.tuna.tsinghua.edu.cn",
    "pypi.mirrors.ustc.edu.cn",
    "pypi.doubanio.com",
    "pypi.douban.com",
    // RubyGems' own, and its mirrors.
    "rubygems.org",
    "index.rubygems.org",
    "gems.ruby-china.com",
    "gems.ruby-china.org",
    // Mirrors of more than one of them.
    "mirrors.aliyun.com",
    "mirrors.cloud.tencent.com",
    "mirrors.tencent.com",
    "mirrors.huaweicloud.com",
    "repo.huaweicloud.com",
    "mirrors.tuna.tsinghua.edu.cn",
    "mirrors.ustc.edu.cn",
    "mirror.sjtu.edu.cn",
];

/// The longest URL that is looked at, in bytes.
const LONGEST_URL: usize = 4096;
/// The longest name of a host, in bytes (RFC 1035, 2.3.4).
const LONGEST_HOST: usize = 253;

/// A registry that is none of the public ones: its host, and its port if it is an unusual one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OtherRegistry(String);

impl OtherRegistry {
    /// The registry that a URL leads to. `None` for the public ones, and for what leads to no registry at all: a path, a
    /// repository, an address with a variable in the place of the host.
    pub(super) fn of_url(url: &str) -> Option<Self> {
        let url = Some(url).filter(|url| url.len() <= LONGEST_URL).and_then(|url| Url::parse(url).ok())?;
        let host = url.host_str()?.trim_end_matches('.');
        if !matches!(url.scheme(), "http" | "https") || !is_host(host) || PUBLIC.contains(&host) {
            return None;
        }
        Some(Self(match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }))
    }

    /// The package as one of this registry's.
    pub(super) fn qualify(&self, mut package: Package) -> Package {
        package.qualifiers.insert(QUALIFIER.to_owned(), self.0.clone());
        package
    }
}

/// A name or an address, as the parser writes it; it lets other characters pass.
fn is_host(host: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_[]:".contains(&byte);
    !host.is_empty() && host.len() <= LONGEST_HOST && host.bytes().all(is_allowed)
}

/// A package as it was fetched from `url`; what nobody states, or is no other registry, changes nothing.
pub(super) fn fetched(package: Package, url: Option<&str>) -> Package {
    match url.and_then(OtherRegistry::of_url) {
        Some(registry) => registry.qualify(package),
        None => package,
    }
}

/// Whether a package is known to be from another registry than the public one.
pub(crate) fn is_other(package: &Package) -> bool {
    package.qualifiers.contains_key(QUALIFIER)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shared::model::package::{Evidence, PackageKind, Purl};

    use super::*;

    fn purl(url: &str) -> String {
        let package = Package::new(PackageKind::Npm, "a", "1.0.0", Evidence::Installed);
        Purl::new(&fetched(package, Some(url)), None).as_str().to_owned()
    }

    #[test]
    fn only_the_host_of_another_registry_gets_into_a_purl() {
        for (url, registry) in [
            ("https://npm.acme.example/a/-/a-1.0.0.tgz", "npm.acme.example"),
            ("https://npm.acme.example:443/", "npm.acme.example"),
            ("http://NPM.acme.example.:8081/repository/x?token=secret#secret", "npm.acme.example:8081"),
            ("https://user:secret@npm.acme.example/secret/simple", "npm.acme.example"),
            ("https://${USER}:${SECRET}@npm.acme.example/simple", "npm.acme.example"),
            ("http://localhost:4873/a/-/a-1.0.0.tgz", "localhost:4873"),
            ("http://10.0.0.1/a.whl", "10.0.0.1"),
            ("http://[2001:db8::1]:80/", "%5B2001:db8::1%5D"),
            ("https://npm.pkg.github.com/download/@acme/a", "npm.pkg.github.com"),
            ("https://registry.npmjs.org.acme.example/", "registry.npmjs.org.acme.example"),
        ] {
            assert_eq!(purl(url), format!("pkg:npm/a@1.0.0?repository_url={registry}"), "{url}");
        }
    }

    #[test]
    fn the_public_registries_and_what_is_none_are_not_named() {
        for url in [
            "https://registry.npmjs.org/a/-/a-1.0.0.tgz",
            "http://Registry.NPMjs.org.:8080/a",
            "https://registry.yarnpkg.com/a/-/a-1.0.0.tgz#00",
            "https://files.pythonhosted.org/packages/a.whl",
            "https://rubygems.org/",
            "https://mirrors.aliyun.com/pypi/simple",
            "git+ssh://git@github.example/a/b.git#00",
            "file:///srv/a.whl",
            "file:a.tgz",
            "../a",
            "https://${HOST}/simple",
            "https://",
            "",
        ] {
            assert_eq!(purl(url), "pkg:npm/a@1.0.0", "{url}");
        }
    }

    proptest! {
        #[test]
        fn no_url_panics_and_none_tells_a_secret(text: String, before in "[a-z0-9:%]{0,9}", after in "[a-z0-9@:%]{0,9}") {
            purl(&text);
            let told = purl(&format!("https://{before}SECRET{after}@acme.example/SECRET{after}"));
            prop_assert!(!told.to_ascii_lowercase().contains("secret"), "{told}");
        }
    }
}
