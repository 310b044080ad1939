//! Which of an archive's witnesses is believed.

use proptest::prelude::*;
use shared::model::package::Purl;

use super::*;

fn pom(text: &str) -> Coordinates {
    let parts: Vec<&str> = text.split(':').collect();
    Coordinates { group: parts[0].to_owned(), artifact: parts[1].to_owned(), version: parts[2].to_owned() }
}

fn facts(stem: &str, poms: &[&str], manifest: &str) -> Facts {
    Facts {
        stem: stem.to_owned(),
        poms: poms.iter().map(|text| pom(text)).collect(),
        directories: Vec::new(),
        manifest: (!manifest.is_empty()).then(|| Manifest::parse(manifest.as_bytes())),
        has_jndi_lookup: false,
        has_classes: true,
        classes: ClassPackages::default(),
    }
}

fn check(facts: Facts, expected: &[&str]) {
    let case = format!("{facts:?}");
    let lines: Vec<String> = facts
        .packages()
        .iter()
        .map(|package| {
            let hint = package.vendor.as_ref().map(|vendor| format!(" by {vendor}"));
            let purl = Purl::new(package, None);
            format!("{purl} {:?}{}", package.evidence, hint.unwrap_or_default())
        })
        .collect();
    assert_eq!(lines, expected, "{case}");
}

#[test]
fn its_own_pom_is_told_from_shaded_ones() {
    check(facts("a-1.0", &["g:a:1.0"], ""), &["pkg:maven/g/a@1.0 Installed"]);
    check(facts("renamed", &["g:a:1.0"], ""), &["pkg:maven/g/a@1.0 Installed"]);
    check(facts("other-1.0", &["g:a:1.0"], ""), &["pkg:maven/g/a@1.0 Installed"]);
    check(
        facts("app-2.0", &["g:lib:1.0", "h:app:2.0"], ""),
        &["pkg:maven/h/app@2.0 Installed", "pkg:maven/g/lib@1.0 Embedded"],
    );
    check(
        facts("log4j-core-2.17.1", &["g:log4j:9", "g:log4j-core:2.17.1"], ""),
        &["pkg:maven/g/log4j-core@2.17.1 Installed", "pkg:maven/g/log4j@9 Embedded"],
    );
    check(
        facts("shadow-3.0", &["g:lib:1.0"], ""),
        &["pkg:maven/shadow@3.0 Installed", "pkg:maven/g/lib@1.0 Embedded"],
    );
    check(facts("app", &["g:a:1", "g:b:2"], ""), &["pkg:maven/g/a@1 Embedded", "pkg:maven/g/b@2 Embedded"]);
}

#[test]
fn the_file_name_is_believed_before_the_manifest() {
    let manifest = "Bundle-SymbolicName: org.apache.commons.lang3\nBundle-Version: 3.9.0\n";
    check(
        facts("commons-lang3-3.9", &[], manifest),
        &["pkg:maven/commons-lang3@3.9 Installed by org.apache.commons"],
    );
    check(
        facts("commons-lang3", &[], manifest),
        &["pkg:maven/commons-lang3@3.9.0 Installed by org.apache.commons"],
    );
    check(
        facts("app", &[], "Implementation-Title: real-name\nImplementation-Version: 1.0 (r7)\n"),
        &["pkg:maven/real-name@1.0 Installed"],
    );
    check(
        facts("x-1.0", &[], "Implementation-Vendor-Id: org.x\nBundle-SymbolicName: a.b\n"),
        &["pkg:maven/x@1.0 Installed by org.x"],
    );
    check(facts("nameless", &[], ""), &["pkg:maven/nameless Unmatched"]);
    check(facts("nameless", &[], "Bundle-Version: unknown\n"), &["pkg:maven/nameless Unmatched"]);
}

#[test]
fn the_directory_of_a_pom_states_the_group() {
    let mut facts = facts("org.x.lib_1.2.3", &[], "");
    facts.directories.push(("org.x".to_owned(), "lib".to_owned()));
    check(facts, &["pkg:maven/org.x/lib@1.2.3 Installed"]);
}

#[test]
fn jenkins_plugins_name_themselves() {
    let manifest = "Short-Name: git\nPlugin-Version: 4.8.3 (private)\n";
    check(facts("git", &[], manifest), &["pkg:maven/org.jenkins-ci.plugins/git@4.8.3 Installed"]);
    let manifest = format!("{manifest}Group-Id: io.jenkins.plugins\n");
    check(facts("git", &[], &manifest), &["pkg:maven/io.jenkins.plugins/git@4.8.3 Installed"]);
}

#[test]
fn only_whole_coordinates_are_coordinates() {
    for (text, expected) in [
        ("#c\nversion=1.0\ngroupId=g\nartifactId=a\n", Some("g:a:1.0")),
        (" groupId = g\r\nartifactId: a\r\nversion=1\\:0\r\n", Some("g:a:1:0")),
        ("groupId=g\nartifactId=a\n", None),
        ("groupId=g\nartifactId=a\nversion=${v}\n", None),
        ("groupId=g\nartifactId=a b\nversion=1\n", None),
    ] {
        let stated = Coordinates::parse(text.as_bytes());
        let stated = stated.map(|pom| format!("{}:{}:{}", pom.group, pom.artifact, pom.version));
        assert_eq!(stated.as_deref(), expected, "{text:?}");
    }
}

proptest! {
    #[test]
    fn no_project_panics(content: Vec<u8>, text in "(<(/?(project|parent|version|a))?[>/&;!\\[-]|1|\\$){0,40}") {
        Coordinates::of_project("g", "a", &content);
        Coordinates::of_project("g", "a", text.as_bytes());
    }
}

proptest! {
    #[test]
    fn no_facts_panic(stem: String, artifact: String, names in proptest::collection::vec("[a-zé.; -]{0,6}", 4)) {
        let manifest = Manifest {
            symbolic_name: Some(names[0].clone()),
            title: Some(names[1].clone()),
            module_name: Some(names[2].clone()),
            implementation_version: Some(names[3].clone()),
            ..Manifest::default()
        };
        let stated = Coordinates { group: artifact.clone(), artifact, version: names[3].clone() };
        for poms in [vec![], vec![stated.clone()], vec![stated.clone(), stated]] {
            for stem in [&stem, &names[0]] {
                let facts = Facts {
                    stem: stem.clone(),
                    poms: poms.clone(),
                    directories: vec![("g".to_owned(), names[1].clone())],
                    manifest: Some(manifest.clone()),
                    has_jndi_lookup: false,
                    has_classes: true,
                    classes: ClassPackages::default(),
                };
                facts.packages();
            }
        }
    }

    #[test]
    fn no_properties_panic(content: Vec<u8>, text in "((groupId|version)?[=: \né\\\\]{0,4}){0,6}") {
        Coordinates::parse(&content);
        Coordinates::parse(text.as_bytes());
    }
}
