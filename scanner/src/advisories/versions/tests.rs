//! Tables of pairs, laws that every order keeps, and comparisons with other implementations.
//!
//! Where the variable `TIDEWAITER_FIXTURES` names a directory, the pairs in its `osv/versions` are checked as well.

use std::cmp::Ordering;

use proptest::prelude::*;
use proptest::sample::select;

use super::Scheme;

mod tables;

const ALL: [Scheme; 12] = [
    Scheme::Dpkg,
    Scheme::Apk,
    Scheme::Rpm,
    Scheme::Semver,
    Scheme::Pep440,
    Scheme::Maven,
    Scheme::NuGet,
    Scheme::RubyGems,
    Scheme::Composer,
    Scheme::Cran,
    Scheme::Hackage,
    Scheme::Pub,
];

/// Checks one line `a < b`, `a = b` or `a > b`, in both directions; says what is wrong.
fn check(scheme: Scheme, line: &str) -> Result<(), String> {
    let mut words = line.split_whitespace();
    let (Some(a), Some(sign), Some(b), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(format!("{line:?} is no pair"));
    };
    let expected = match sign {
        "<" => Ordering::Less,
        "=" => Ordering::Equal,
        ">" => Ordering::Greater,
        _ => return Err(format!("{line:?} has no sign")),
    };
    let (found, back) = (scheme.compare(a, b), scheme.compare(b, a));
    if found == Some(expected) && back == Some(expected.reverse()) {
        Ok(())
    } else {
        Err(format!("{scheme:?}: {line}: found {found:?}, and backwards {back:?}"))
    }
}

#[test]
fn the_tables_hold() {
    let wrong: Vec<String> = tables::PAIRS
        .iter()
        .flat_map(|(scheme, pairs)| pairs.lines().map(move |line| (*scheme, line.trim())))
        .filter(|(_, line)| !line.is_empty())
        .filter_map(|(scheme, line)| check(scheme, line).err())
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
}

/// The one known pair of Maven versions that no order can keep together with others of the same collection, which say
/// that a dotted `RC` stands below its release and an unknown word above it. Maven 3.8.7 decides it as we do.
const CIRCULAR: &str = "1.0.0-gradle-rework-beta3 < 1.0.0.RC7-3";

#[test]
fn the_collected_pairs_hold() {
    let Some(fixtures) = std::env::var_os("TIDEWAITER_FIXTURES") else {
        return;
    };
    let folder = std::path::Path::new(&fixtures).join("osv/versions");
    let mut pairs = 0;
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("the folder of pairs is readable") {
        let path = entry.expect("its entries are readable").path();
        let name = path.file_stem().and_then(|name| name.to_str()).expect("is named after an ecosystem");
        let ecosystem = if name == "RPM" { "Red Hat" } else { name };
        let scheme = Scheme::of_ecosystem(ecosystem).expect("the ecosystem has an order");
        let text = std::fs::read_to_string(&path).expect("a file of pairs is text");
        for line in
            text.lines().filter(|line| !line.is_empty() && !line.starts_with('#') && *line != CIRCULAR)
        {
            pairs += 1;
            wrong.extend(check(scheme, line).err());
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(pairs > 1000, "only {pairs} pairs in {}", folder.display());
}

#[test]
fn texts_that_are_no_versions_are_not_compared() {
    for (scheme, text) in [
        (Scheme::Dpkg, ""),
        (Scheme::Dpkg, "a:1"),
        (Scheme::Dpkg, "1:"),
        (Scheme::Dpkg, "1 2"),
        (Scheme::Apk, " "),
        (Scheme::Rpm, ""),
        (Scheme::Semver, "latest"),
        (Scheme::Semver, "1..2"),
        (Scheme::Semver, "7.2.4, 6.11.4"),
        (Scheme::Semver, "2.0.x"),
        (Scheme::NuGet, "[1.0,2.0)"),
        (Scheme::RubyGems, "x1"),
        (Scheme::RubyGems, "1.0 "),
        (Scheme::RubyGems, "1_0"),
        (Scheme::Composer, "dev-main"),
        (Scheme::Cran, "1.0a"),
        (Scheme::Hackage, "1.0-1"),
        (Scheme::Hackage, ""),
        (Scheme::Pep440, ""),
        (Scheme::Maven, ""),
        (Scheme::Pub, "any"),
    ] {
        let comparable = scheme.compare(text, "1").is_some();
        let trimmed = text.trim() != text && !text.trim().is_empty();
        assert_eq!(comparable, trimmed, "{scheme:?} {text:?}");
    }
}

#[test]
fn ecosystems_know_their_order() {
    for (ecosystem, scheme) in [
        ("Debian:12", Some(Scheme::Dpkg)),
        ("Debian", Some(Scheme::Dpkg)),
        ("Ubuntu:Pro:22.04:LTS", Some(Scheme::Dpkg)),
        ("Alpine:v3.20", Some(Scheme::Apk)),
        ("Wolfi", Some(Scheme::Apk)),
        ("Red Hat:enterprise_linux:9::baseos", Some(Scheme::Rpm)),
        ("SUSE:Linux Enterprise Server 15 SP5", Some(Scheme::Rpm)),
        ("Azure Linux:3", Some(Scheme::Rpm)),
        ("Maven:https://repo.example/maven2", Some(Scheme::Maven)),
        ("Root:Debian:12", Some(Scheme::Dpkg)),
        ("Root:PyPI", Some(Scheme::Pep440)),
        ("Docker Hardened Images:Alpine:3.23", Some(Scheme::Apk)),
        ("Echo", Some(Scheme::Dpkg)),
        ("Echo:npm", Some(Scheme::Pub)),
        ("Echo:PyPI", Some(Scheme::Pep440)),
        ("Echo:PyPi", Some(Scheme::Pep440)),
        ("TuxCare:CentOS-Stream:8", Some(Scheme::Rpm)),
        ("TuxCare:RHEL:7", Some(Scheme::Rpm)),
        ("TuxCare:OracleLinux:6", Some(Scheme::Rpm)),
        ("GHC", Some(Scheme::Hackage)),
        ("OSS-Fuzz", None),
        ("Android", None),
        ("Root:", None),
        ("", None),
    ] {
        assert_eq!(Scheme::of_ecosystem(ecosystem), scheme, "{ecosystem:?}");
    }
}

/// Texts that look like versions of any scheme, and often collide: a few tokens in a row.
fn version() -> impl Strategy<Value = String> {
    let tokens = vec![
        "0",
        "1",
        "2",
        "9",
        "10",
        "01",
        "00",
        "20240101",
        "99999999999999999999999",
        ".",
        ".",
        ".",
        "-",
        "-",
        "_",
        "+",
        "~",
        "^",
        ":",
        "!",
        "a",
        "b",
        "c",
        "m",
        "v",
        "A",
        "B",
        "rc",
        "RC",
        "alpha",
        "_alpha",
        "beta",
        "pre",
        "dev",
        "post",
        "final",
        "ga",
        "sp",
        "snapshot",
        "pl",
        "x",
        "foo",
        "r",
        "-r",
        "-r1",
        "_p",
        "_git",
        "~ab",
        ".0",
        ".rc",
        "é",
        " ",
        "#",
    ];
    prop_oneof![
        proptest::collection::vec(select(tokens), 0..8).prop_map(|tokens| tokens.concat()),
        proptest::collection::vec(select(vec!["0", "1", "10", ".", "-", ".0", "a1"]), 1..7)
            .prop_map(|tokens| format!("1{}", tokens.concat())),
        "\\PC{0,12}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn every_order_is_an_order(a in version(), b in version(), c in version()) {
        for scheme in ALL {
            let (ab, bc, ac) = (scheme.compare(&a, &b), scheme.compare(&b, &c), scheme.compare(&a, &c));
            let own = [&a, &b, &c].map(|text| scheme.compare(text, text));
            prop_assert!(own.iter().all(|own| matches!(own, None | Some(Ordering::Equal))), "reflexive: {scheme:?}");
            prop_assert_eq!(ab, scheme.compare(&b, &a).map(Ordering::reverse), "antisymmetric: {:?}", scheme);
            prop_assert_eq!(ab.is_some(), own[0].is_some() && own[1].is_some(), "total: {:?}", scheme);
            if let (Some(ab), Some(bc), Some(ac)) = (ab, bc, ac) {
                if ab == bc || bc == Ordering::Equal {
                    prop_assert_eq!(ac, ab, "transitive: {:?}", scheme);
                } else if ab == Ordering::Equal {
                    prop_assert_eq!(ac, bc, "transitive: {:?}", scheme);
                }
            }
        }
    }

    #[test]
    fn no_bytes_panic(a in proptest::collection::vec(any::<u8>(), 0..40), b in "(?s).{0,40}") {
        let a = String::from_utf8_lossy(&a);
        for scheme in ALL {
            let _ = scheme.compare(&a, &b);
        }
    }

    #[test]
    fn rpm_agrees_with_another_implementation(
        a in "([0-9]:)?[0-9a-z.~^_+]{1,8}-[0-9a-z.~^]{1,5}",
        b in "([0-9]:)?[0-9a-z.~^_+]{1,8}-[0-9a-z.~^]{1,5}",
    ) {
        prop_assert_eq!(Scheme::Rpm.compare(&a, &b), Some(rpm_version::rpm_evr_compare(&a, &b)));
    }

    #[test]
    fn pep_440_agrees_with_another_implementation(
        a in "v?([01]!)?[0-9]{1,2}(\\.[0-9]{1,2}){0,3}([._-]?(a|b|c|rc|alpha|beta|pre|preview)[._-]?[0-9]?)?([._-]?(post|rev|r)[._-]?[0-9]?|-[0-9])?([._-]?dev[._-]?[0-9]?)?(\\+[a-z0-9]{1,3}([._-][a-z0-9]{1,3}){0,2})?",
        b in "[0-9](\\.[0-9]){0,2}((a|b|rc)[0-9])?(\\.post[0-9])?(\\.dev[0-9])?(\\+[a-z0-9]{1,2}(\\.[0-9]{1,2})?)?",
    ) {
        if let (Ok(left), Ok(right)) = (a.parse::<pep440_rs::Version>(), b.parse::<pep440_rs::Version>()) {
            prop_assert_eq!(Scheme::Pep440.compare(&a, &b), Some(left.cmp(&right)));
        }
    }

    #[test]
    fn semver_agrees_with_another_implementation(
        a in "[0-2]\\.(0|1[0-9]?)\\.[0-2](-[0-9a-b]{1,2}(\\.[0-9a-z-]{1,3}){0,2})?(\\+[a-z0-9]{1,2})?",
        b in "[0-2]\\.(0|1[0-9]?)\\.[0-2](-[0-9a-b]{1,2}(\\.[0-9a-z-]{1,3}){0,2})?(\\+[a-z0-9]{1,2})?",
    ) {
        if let (Ok(left), Ok(right)) = (semver::Version::parse(&a), semver::Version::parse(&b)) {
            prop_assert_eq!(Scheme::Semver.compare(&a, &b), Some(left.cmp_precedence(&right)));
        }
    }
}
