//! Which Maven package an archive is whose metadata states no group: what was inferred or hinted at, held against
//! the packages that advisories know.
//!
//! A wrong group would not merely match nothing: it would match nothing in silence. So a group that advisories do
//! not know for this artifact never makes an archive unaffected while they know the artifact under another group.

use shared::model::package::Package;

use super::matches::Matcher;
use crate::advisories::DatabaseError;
use crate::advisories::database::Artifact;

/// The package that is meant, `group:artifact`.
///
/// With an inferred group: that group's; else the only one of its artifact, if the two groups are of one kin. Without: that
/// of the group that the vendor hints at or of one above it; else the only one of its artifact.
pub(super) fn meant(
    package: &Package,
    ecosystem: &str,
    matcher: &Matcher<'_>,
) -> Result<Artifact, DatabaseError> {
    let artifact = &package.name;
    let groups: Vec<&str> = match (&package.namespace, &package.vendor) {
        (Some(group), _) => vec![group],
        (None, Some(hint)) => with_ancestors(hint),
        (None, None) => Vec::new(),
    };
    for group in groups {
        let name = format!("{group}:{artifact}");
        if matcher.has_package(ecosystem, &name)? {
            return Ok(Artifact::Only(name));
        }
    }
    Ok(match (matcher.artifact(artifact)?, &package.namespace) {
        (Artifact::Only(name), Some(group)) if !are_kin(group, &name) => Artifact::Several,
        (found, _) => found,
    })
}

/// A group and the groups above it that still name somebody: `org.x.y`, `org.x`.
fn with_ancestors(group: &str) -> Vec<&str> {
    let dots = group.match_indices('.').skip(1).map(|(dot, _)| &group[..dot]);
    let mut groups: Vec<&str> = dots.chain([group]).collect();
    groups.reverse();
    groups
}

/// Whether two groups begin with the same domain: `org.apache.tomcat` and `org.apache.tomcat.embed`.
fn are_kin(group: &str, package: &str) -> bool {
    let other = package.split(':').next().unwrap_or(package);
    let domain = |group: &'_ str| group.split('.').take(2).map(str::to_owned).collect::<Vec<_>>();
    domain(group) == domain(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_ancestors_down_to_a_domain() {
        assert_eq!(with_ancestors("org.x.y.z"), ["org.x.y.z", "org.x.y", "org.x"]);
        assert_eq!(with_ancestors("org.x"), ["org.x"]);
        assert_eq!(with_ancestors("antlr"), ["antlr"]);
    }

    #[test]
    fn kin_share_a_domain() {
        for (group, package, expected) in [
            ("org.x", "org.x.y:a", true),
            ("org.x.z", "org.x.y:a", true),
            ("org.x", "org.y:a", false),
            ("antlr", "antlr:antlr", true),
            ("antlr", "org.antlr:antlr", false),
        ] {
            assert_eq!(are_kin(group, package), expected, "{group} {package}");
        }
    }
}
