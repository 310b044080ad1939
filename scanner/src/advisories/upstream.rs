//! Programs without a packaging system: where advisories speak about them, and how those write their versions.
//!
//! In: the name of a recognised program. Out: the [`Place`]s to look it up in. Two kinds of advisories do: Bitnami's,
//! by the name of a component; and those of OSV without a package, which name a source repository in a range of type
//! `GIT` and list the affected tags in `versions`. A repository is a name in the ecosystem [`GIT`], as in OSV's own
//! queries. Only the repositories of [`table`] are kept: nobody asks for others, and their tags are most of the bytes.

use std::borrow::Cow;

mod table;

/// The ecosystem whose names are source repositories.
pub const GIT: &str = "GIT";
const BITNAMI: &str = "Bitnami";

/// A name under which advisories know a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// [`GIT`], or `Bitnami`.
    pub ecosystem: &'static str,
    /// The repository's address or the component's name.
    pub name: &'static str,
    spelling: Spelling,
}

/// How a place writes a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spelling {
    /// As the program does.
    Plain,
    /// Java 8 without the leading `1.`: `8.0.392` for `1.8.0_392`.
    Java,
    /// A tag: what stands before the version, between its numbers and after it.
    Tag { before: &'static str, between: &'static str, after: &'static str },
}

impl Place {
    /// A version of the program as the place writes it.
    pub fn version<'v>(&self, version: &'v str) -> Cow<'v, str> {
        match self.spelling {
            Spelling::Plain => Cow::Borrowed(version),
            Spelling::Java => match version.strip_prefix("1.") {
                Some(version) => Cow::Owned(version.replacen('_', ".", 1)),
                None => Cow::Borrowed(version),
            },
            Spelling::Tag { before, between, after } => {
                Cow::Owned(format!("{before}{}{after}", version.replace('.', between)))
            }
        }
    }
}

/// Where advisories speak about a program; nowhere for most.
pub fn places(program: &str) -> &'static [Place] {
    let row = table::PROGRAMS.iter().find(|(name, _)| *name == program);
    row.map_or(&[], |(_, places)| places)
}

/// The name of a repository in [`GIT`], whatever way its address is written; `None` if no program comes from it.
pub fn repository(address: &str) -> Option<&'static str> {
    let bare = |address: &str| {
        let address = address.split_once("://").map_or(address, |(_, rest)| rest);
        let address = address.trim_end_matches('/');
        address.strip_suffix(".git").unwrap_or(address).to_ascii_lowercase()
    };
    let wanted = bare(address);
    let mut places = table::PROGRAMS.iter().flat_map(|(_, places)| *places);
    places.find(|place| place.ecosystem == GIT && bare(place.name) == wanted).map(|place| place.name)
}

/// Whether programs from a repository are looked up by their bare version, so that ranges of versions speak of it.
pub fn is_named_by_version(repository: &str) -> bool {
    let places = table::PROGRAMS.iter().flat_map(|(_, places)| *places);
    let mut of_it = places.filter(|place| place.ecosystem == GIT && place.name == repository);
    of_it.all(|place| place.spelling == Spelling::Plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_write_versions_in_their_own_way() {
        for (program, version, expected) in [
            ("python", "3.13.0rc1", &["Bitnami python 3.13.0rc1", "GIT python/cpython v3.13.0rc1"][..]),
            ("openjdk", "1.8.0_392", &["Bitnami java 8.0.392"]),
            ("openjdk", "17.0.15+6", &["Bitnami java 17.0.15+6"]),
            ("curl", "7.88.1", &["GIT curl/curl 7.88.1"]),
            (
                "openssl",
                "1.1.1w",
                &["GIT openssl/openssl openssl-1.1.1w", "GIT openssl/openssl OpenSSL_1_1_1w"],
            ),
            ("erlang", "26.2.1", &["GIT erlang/otp OTP-26.2.1"]),
            ("postgresql", "15.18", &["Bitnami postgresql 15.18", "GIT postgres/postgres REL_15_18"]),
            ("ruby", "3.4.1", &["Bitnami ruby 3.4.1", "GIT ruby/ruby v3_4_1", "GIT ruby/ruby v3.4.1"]),
            ("krb5", "1.20.1", &["GIT krb5/krb5 krb5-1.20.1-final"]),
            ("somebody's", "1.0", &[]),
        ] {
            let found: Vec<String> = places(program)
                .iter()
                .map(|place| {
                    let name = place.name.trim_start_matches("https://github.com/");
                    format!("{} {name} {}", place.ecosystem, place.version(version))
                })
                .collect();
            assert_eq!(found, expected, "{program}");
        }
    }

    #[test]
    fn a_repository_is_known_however_it_is_written() {
        let curl = Some("https://github.com/curl/curl");
        for address in
            ["https://github.com/curl/curl.git", "git://GitHub.com/curl/curl/", "github.com/curl/curl"]
        {
            assert_eq!(repository(address), curl, "{address}");
        }
        assert_eq!(repository("https://github.com/curl/curl-docker"), None);
        assert_eq!(repository(""), None);
        assert!(is_named_by_version("https://github.com/curl/curl"));
        assert!(!is_named_by_version("https://github.com/python/cpython"));
    }

    #[test]
    fn every_program_stands_in_the_table_once() {
        let mut names: Vec<&str> = table::PROGRAMS.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), table::PROGRAMS.len());
    }
}
