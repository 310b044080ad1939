//! What the repositories of a root mean: which products of Red Hat, which branch of Alpine.
//!
//! Red Hat's advisories name products by CPE, and its builds name content sets. Both follow rules: the content set
//! `rhel-9-for-x86_64-baseos-eus-rpms__9_DOT_4` is the repository `rhel_eus:9.4::baseos`. Rules and examples: Red Hat,
//! "Common Platform Enumeration for Red Hat products", `repository-to-cpe.json`.

use super::NamePattern;

/// What content sets say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Products {
    /// Ecosystems, sorted.
    pub(super) names: Vec<String>,
    /// Those of minor releases of the same repositories.
    pub(super) patterns: Vec<NamePattern>,
    /// Content sets that no rule explains.
    pub(super) unknown: usize,
}

/// The products of a release that content sets stand for; nothing if none is known.
pub(super) fn red_hat(major: &str, repositories: &[String]) -> Option<Products> {
    let mut products = Products::default();
    for repository in repositories {
        if let Some(cpe) = repository.strip_prefix("cpe:/") {
            let product = cpe.split_once(':').and_then(|(_, rest)| rest.strip_prefix("redhat:"));
            products.names.extend(product.map(|product| format!("Red Hat:{product}")));
            continue;
        }
        // Sources and debugging symbols of a repository are no repository of their own.
        if repository.contains("-debug-rpms") || repository.contains("-source-rpms") {
            continue;
        }
        match Product::of(repository) {
            Some(Product::Stream { stream, minor: Some(minor), repository }) => {
                products.names.push(format!("Red Hat:rhel_{stream}:{minor}::{repository}"));
            }
            Some(Product::Stream { stream, minor: None, repository }) => {
                products.patterns.push(NamePattern {
                    prefix: format!("Red Hat:rhel_{stream}:{major}."),
                    suffix: format!("::{repository}"),
                });
            }
            Some(Product::Ordinary { repository }) => {
                products.names.push(format!("Red Hat:enterprise_linux:{major}::{repository}"));
                products.patterns.push(NamePattern {
                    prefix: format!("Red Hat:enterprise_linux:{major}."),
                    suffix: format!("::{repository}"),
                });
            }
            Some(Product::Layered { name, version }) => {
                products.names.push(format!("Red Hat:{name}:{version}::el{major}"));
            }
            None => products.unknown += 1,
        }
    }
    products.names.sort_unstable();
    products.names.dedup();
    products
        .patterns
        .sort_unstable_by(|one, other| (&one.prefix, &one.suffix).cmp(&(&other.prefix, &other.suffix)));
    products.patterns.dedup();
    let says_nothing = products.names.is_empty() && products.patterns.is_empty();
    (!says_nothing).then_some(products)
}

/// One content set.
#[derive(Debug, PartialEq, Eq)]
enum Product<'r> {
    /// Of Red Hat Enterprise Linux.
    Ordinary { repository: &'static str },
    /// Of an update stream of one of its minor releases.
    Stream { stream: &'static str, minor: Option<String>, repository: &'static str },
    /// Of a product on top of it.
    Layered { name: &'static str, version: &'r str },
}

/// Repositories as content sets call them, and as CPEs do.
const REPOSITORIES: [(&str, &str); 13] = [
    ("baseos", "baseos"),
    ("appstream", "appstream"),
    ("codeready-builder", "crb"),
    ("highavailability", "highavailability"),
    ("resilientstorage", "resilientstorage"),
    ("nfv", "nfv"),
    ("rt", "realtime"),
    ("sap-netweaver", "sap"),
    ("sap-solutions", "sap_hana"),
    ("supplementary", "supplementary"),
    ("server", "server"),
    ("workstation", "workstation"),
    ("client", "client"),
];

const STREAMS: [&str; 4] = ["eus", "aus", "tus", "e4s"];

/// Products whose content sets are `NAME-VERSION-for-rhel-…`.
const LAYERED: [(&str, &str); 6] = [
    ("rhocp", "openshift"),
    ("openstack", "openstack"),
    ("ansible-automation-platform", "ansible_automation_platform"),
    ("jb-eap", "jboss_enterprise_application_platform"),
    ("rhacm", "acm"),
    ("satellite", "satellite"),
];

impl<'r> Product<'r> {
    fn of(content_set: &'r str) -> Option<Self> {
        let (name, minor) = match content_set.split_once("__") {
            Some((name, suffix)) => (name, suffix.contains("_DOT_").then(|| suffix.replace("_DOT_", "."))),
            None => (content_set, None),
        };
        let name = name.strip_suffix("-rpms")?;
        if let Some((product, _)) = name.split_once("-for-rhel-")
            && !product.starts_with("codeready-builder")
        {
            let (product, version) = product.rsplit_once('-')?;
            let (_, name) = LAYERED.iter().find(|(own, _)| *own == product)?;
            return Some(Self::Layered { name, version });
        }
        if !["rhel-", "ubi-", "codeready-builder-for-rhel-"].iter().any(|start| name.starts_with(start)) {
            return None;
        }
        let has = |part: &str| {
            let at = name.find(part);
            at.is_some_and(|at| {
                let before = at == 0 || name.as_bytes()[at - 1] == b'-';
                let after = name.as_bytes().get(at + part.len()).is_none_or(|byte| *byte == b'-');
                before && after
            })
        };
        let (_, repository) = REPOSITORIES.iter().find(|(own, _)| has(own))?;
        match STREAMS.into_iter().find(|stream| has(stream)) {
            Some(stream) => Some(Self::Stream { stream, minor, repository }),
            None => Some(Self::Ordinary { repository }),
        }
    }
}

/// A branch of Alpine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Branch {
    /// `3.20`.
    Release(u32, u32),
    Edge,
}

/// The highest branch among the URLs of repositories, `https://…/v3.20/main`.
pub(super) fn alpine_branch(repositories: &[String]) -> Option<Branch> {
    let branch = |segment: &str| match segment {
        "edge" | "latest-stable" => Some(Branch::Edge),
        _ => {
            let (major, minor) = segment.strip_prefix('v')?.split_once('.')?;
            Some(Branch::Release(major.parse().ok()?, minor.parse().ok()?))
        }
    };
    // The branch is the directory of the repository.
    let branches = repositories.iter().filter_map(|url| url.trim_end_matches('/').rsplit('/').nth(1));
    branches.filter_map(branch).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_sets_are_products() {
        for (content_set, expected) in [
            ("rhel-9-for-x86_64-baseos-rpms", "Red Hat:enterprise_linux:9::baseos"),
            ("ubi-9-appstream-rpms", "Red Hat:enterprise_linux:9::appstream"),
            ("rhel-9-for-aarch64-appstream-rpms__9", "Red Hat:enterprise_linux:9::appstream"),
            ("codeready-builder-for-rhel-9-x86_64-rpms", "Red Hat:enterprise_linux:9::crb"),
            ("rhel-9-for-x86_64-baseos-eus-rpms__9_DOT_4", "Red Hat:rhel_eus:9.4::baseos"),
            ("rhel-9-for-x86_64-rt-rpms", "Red Hat:enterprise_linux:9::realtime"),
            ("rhocp-4.13-for-rhel-9-x86_64-rpms", "Red Hat:openshift:4.13::el9"),
            (
                "ansible-automation-platform-2.4-for-rhel-9-x86_64-rpms",
                "Red Hat:ansible_automation_platform:2.4::el9",
            ),
            ("cpe:/a:redhat:openshift:4.13::el9", "Red Hat:openshift:4.13::el9"),
        ] {
            let products = red_hat("9", &[content_set.to_owned()]).unwrap_or_default();
            assert_eq!(products.names, [expected], "{content_set}");
        }
        let stream = red_hat("8", &["rhel-8-for-x86_64-baseos-aus-rpms".to_owned()]).unwrap();
        assert_eq!(stream.patterns[0].prefix, "Red Hat:rhel_aus:8.");
        for unknown in
            ["", "x-rpms", "rhel-9-for-x86_64-strange-rpms", "rhel-9-for-x86_64-baseos-debug-rpms", "cpe:/"]
        {
            assert_eq!(red_hat("9", &[unknown.to_owned()]), None, "{unknown}");
        }
    }

    #[test]
    fn the_highest_branch_of_alpine_counts() {
        for (urls, expected) in [
            (&["https://dl-cdn.alpinelinux.org/alpine/v3.20/main"][..], Some(Branch::Release(3, 20))),
            (
                &["https://a/alpine/v3.9/main", "https://a/alpine/v3.20/community/"],
                Some(Branch::Release(3, 20)),
            ),
            (&["https://a/alpine/v3.20/main", "https://a/alpine/edge/testing"], Some(Branch::Edge)),
            (&["/media/cdrom/apks", "https://packages.wolfi.dev/os", ""], None),
        ] {
            let urls: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
            assert_eq!(alpine_branch(&urls), expected, "{urls:?}");
        }
    }
}
