//! Whole archives, honest and lying ones.

use std::io::{Cursor, Write};

use proptest::prelude::*;
use shared::model::package::{Evidence, Purl};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::*;

const POM: &str = "META-INF/maven/g/a/pom.properties";
const MANIFEST: &str = "META-INF/MANIFEST.MF";

fn properties(group: &str, artifact: &str, version: &str) -> Vec<u8> {
    format!("groupId={group}\nartifactId={artifact}\nversion={version}\n").into_bytes()
}

/// Written by the `zip` crate, so that the reader here is compared with somebody else's writer.
fn zip(entries: &[(&str, &[u8])], options: SimpleFileOptions) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn deflated(entries: &[(&str, &[u8])]) -> Vec<u8> {
    zip(entries, SimpleFileOptions::default().compression_method(CompressionMethod::Deflated))
}

fn stored(entries: &[(&str, &[u8])]) -> Vec<u8> {
    zip(entries, SimpleFileOptions::default().compression_method(CompressionMethod::Stored))
}

fn jar() -> Vec<u8> {
    deflated(&[(POM, &properties("g", "a", "1.0"))])
}

fn analyze_within(path: &str, content: &[u8], limits: &Limits) -> Found {
    let file = CapturedFile { path, mode: 0o644, content };
    Java.analyze(&file, limits)
}

fn lines(found: &Found) -> Vec<String> {
    let packages = found.packages.iter().map(|found| {
        let inner = found.inner_path.as_ref().map(|inner| format!(" in {inner}"));
        let purl = Purl::new(&found.package, None);
        // What has no group has a checksum, of which a test of its own speaks.
        let purl = purl.as_str().split("?checksum=sha1:").next().unwrap_or_default();
        format!("{purl}{}", inner.unwrap_or_default())
    });
    let problems = found.problems.iter().map(|problem| problem.kind.to_string());
    packages.chain(problems).collect()
}

fn check(path: &str, content: &[u8], expected: &[&str]) {
    assert_eq!(lines(&analyze_within(path, content, &Limits::default())), expected, "{path}");
}

#[test]
fn stored_deflated_prefixed_and_zip64_archives_are_read() {
    let content = properties("g", "a", "1.0");
    let entries: &[(&str, &[u8])] = &[(POM, &content), ("x/Y.class", b"class")];
    let large = zip(entries, SimpleFileOptions::default().large_file(true));
    let launcher = [&b"#!/bin/sh\nexec java -jar $0\n"[..], &deflated(entries)].concat();
    let jmod = [&b"JM\x01\x00"[..], &deflated(entries)].concat();
    for (path, content) in [
        ("opt/a-1.0.jar", deflated(entries)),
        ("opt/A-1.0.JAR", stored(entries)),
        ("opt/a.war", large),
        ("opt/a.jar", launcher),
        ("opt/a.jmod", jmod),
        ("opt/a", deflated(entries)),
    ] {
        check(path, &content, &["pkg:maven/g/a@1.0"]);
    }
}

#[test]
fn zip64_end_records_are_followed() {
    let mut content = jar();
    let end = content.len() - END_SIZE;
    let (size, offset) = (content[end + 12..end + 16].to_vec(), content[end + 16..end + 20].to_vec());
    let place = end as u64;
    let mut record = b"PK\x06\x06".to_vec();
    record.extend(44_u64.to_le_bytes());
    record.extend([0; 12]);
    record.extend(1_u64.to_le_bytes());
    record.extend(1_u64.to_le_bytes());
    record.extend([&size[..], &[0; 4], &offset, &[0; 4]].concat());
    record.extend(b"PK\x06\x07\0\0\0\0");
    record.extend(place.to_le_bytes());
    record.extend([1, 0, 0, 0]);
    content[end + 8..end + 20].fill(0xff);
    content.splice(end..end, record);
    check("a.jar", &content, &["pkg:maven/g/a@1.0"]);
    check("a.jar", &[&b"#!/bin/sh\n"[..], &content].concat(), &["pkg:maven/g/a@1.0"]);
}

const END_SIZE: usize = 22;

#[test]
fn nested_archives_carry_their_inner_path() {
    let log4j = deflated(&[(
        "META-INF/maven/org.apache.logging.log4j/log4j-core/pom.properties",
        &properties("org.apache.logging.log4j", "log4j-core", "2.14.1"),
    )]);
    let library =
        deflated(&[("lib/log4j-core-2.14.1.jar", &log4j), (MANIFEST, b"Implementation-Version: 3\n\n")]);
    let app = stored(&[("BOOT-INF/lib/library-3.jar", &library), ("A.class", b"")]);
    check(
        "app.jar",
        &app,
        &[
            "pkg:maven/app",
            "pkg:maven/library@3 in BOOT-INF/lib/library-3.jar",
            "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1 in \
             BOOT-INF/lib/library-3.jar!/lib/log4j-core-2.14.1.jar",
        ],
    );
}

#[test]
fn thirty_shaded_poms_are_thirty_packages() {
    let names: Vec<String> = (0..30).map(|i| format!("META-INF/maven/g/a{i}/pom.properties")).collect();
    let contents: Vec<Vec<u8>> = (0..30).map(|i| properties("g", &format!("a{i}"), "1")).collect();
    let entries: Vec<(&str, &[u8])> =
        names.iter().map(String::as_str).zip(contents.iter().map(Vec::as_slice)).collect();
    let found = analyze_within("a7-1.jar", &deflated(&entries), &Limits::default());
    assert_eq!(found.packages.len(), 30);
    assert_eq!(lines(&found)[0], "pkg:maven/g/a7@1");
}

#[test]
fn what_is_no_java_archive_is_passed_over() {
    let wants = |path: &str| {
        let candidate = Candidate { path: path.as_bytes(), size: 100, mode: 0, head: b"PK\x03\x04" };
        Java.wants(&candidate)
    };
    for (path, expected) in [
        ("a.jar", true),
        ("a.WAR", true),
        ("usr/bin/app", true),
        ("opt/app-1.2", true),
        ("a.whl", false),
        ("a.docx", false),
        ("a.d/app", true),
    ] {
        assert_eq!(wants(path), expected, "{path}");
    }
    check("usr/share/data", &deflated(&[("notes.txt", b"x")]), &[]);
    for content in [&b""[..], b"Rar!\x1a\x07\x00", b"version https://git-lfs"] {
        check("a.rar", content, &[]);
    }
    check("empty.jar", &deflated(&[]), &[]);
}

#[test]
fn i4_what_cannot_be_read_is_a_blocking_problem() {
    let whole = jar();
    check("a.jar", &whole[..whole.len() - 30], &["analyzer-failed"]);
    // Encrypted, by the flags of local header and directory.
    let mut encrypted = whole.clone();
    let central = memchr::memmem::find(&encrypted, b"PK\x01\x02").unwrap();
    encrypted[6] |= 1;
    encrypted[central + 8] |= 1;
    check("a.jar", &encrypted, &["analyzer-failed"]);
    // An unknown method.
    let mut unknown = whole.clone();
    unknown[8] = 99;
    unknown[central + 10] = 99;
    check("a.jar", &unknown, &["analyzer-failed"]);
    // A nested one that is cut.
    let outer = stored(&[("lib/a.jar", &whole[..60])]);
    check("a.war", &outer, &["analyzer-failed"]);
}

#[test]
fn i4_two_views_of_one_archive_are_a_problem() {
    let content = properties("g", "a", "1.0");
    // Another name in the local header.
    let mut renamed = stored(&[(POM, &content)]);
    renamed[30] = b'N';
    check("a.jar", &renamed, &["pkg:maven/g/a@1.0", "zip-view-mismatch"]);
    // Another size in the local header.
    let mut resized = stored(&[(POM, &content)]);
    resized[18] ^= 1;
    check("a.jar", &resized, &["pkg:maven/g/a@1.0", "zip-view-mismatch"]);
    // An archive in front of the archive: readers from the front see the first.
    let doubled = [stored(&[(POM, &properties("evil", "b", "6"))]), stored(&[(POM, &content)])].concat();
    check("a.jar", &doubled, &["pkg:maven/g/a@1.0", "zip-view-mismatch"]);
    // An entry that the directory keeps quiet about.
    let mut hidden = stored(&[(POM, &content), ("b.txt", b"b")]);
    let central = memchr::memmem::find(&hidden, b"PK\x01\x02").unwrap();
    let second = central + memchr::memmem::find(&hidden[central + 4..], b"PK\x01\x02").unwrap() + 4;
    let end = hidden.len() - END_SIZE;
    hidden[end + 12..end + 16].copy_from_slice(&((end - second) as u32).to_le_bytes());
    hidden[end + 10] = 1;
    hidden.drain(central..second);
    check("a.jar", &hidden, &["zip-view-mismatch"]);
    // A nested stored archive has local headers of its own, and that is no lie.
    let nested = stored(&[("lib/a.jar", &stored(&[(POM, &content)]))]);
    check("a.war", &nested, &["pkg:maven/g/a@1.0 in lib/a.jar"]);
}

#[test]
fn a_wrong_checksum_is_noted_and_the_content_used() {
    let mut content = stored(&[(POM, &properties("g", "a", "1.0"))]);
    let version = memchr::memmem::find(&content, b"1.0").unwrap();
    content[version] = b'2';
    check("a.jar", &content, &["pkg:maven/g/a@2.0", "record-skipped"]);
}

#[test]
fn i7_every_budget_stops_an_archive_and_says_so() {
    let nest = |depth: usize| (0..depth).fold(jar(), |inner, _| stored(&[("n.jar", &inner)]));
    let bomb = deflated(&[("lib/b.jar", &vec![0; 4 << 20])]);
    let many: Vec<String> = (0..50).map(|i| format!("f{i}")).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), &b""[..])).collect();
    let small = Limits { archive_bytes: 1 << 20, archive_entries: 20, ..Limits::default() };
    for (content, limits) in [
        (nest(6), Limits::default()),
        (bomb, small.clone()),
        (deflated(&many), small.clone()),
        (deflated(&[(POM, &[b' '; 2 << 20])]), Limits::default()),
    ] {
        let found = analyze_within("a.jar", &content, &limits);
        assert_eq!(lines(&found), ["limit-exceeded"]);
    }
    let found = analyze_within("a.jar", &nest(5), &Limits::default());
    assert_eq!(lines(&found), ["pkg:maven/g/a@1.0 in n.jar!/n.jar!/n.jar!/n.jar!/n.jar"]);
}

#[test]
fn i7_entries_that_share_their_bytes_are_bounded() {
    // A thousand directory entries for the same nested archive.
    let inner = stored(&[("pad", &[7; 10_000]), (POM, &properties("g", "a", "1"))]);
    let mut content = stored(&[("lib/a.jar", &inner)]);
    let central = content.len() - END_SIZE - 46 - "lib/a.jar".len();
    let end = content.split_off(content.len() - END_SIZE);
    let entry = content.split_off(central);
    let directory = entry.repeat(1000);
    content.extend(&directory);
    content.extend(&end[..8]);
    content.extend(1000_u16.to_le_bytes());
    content.extend(1000_u16.to_le_bytes());
    content.extend((directory.len() as u32).to_le_bytes());
    content.extend(&end[16..]);
    let limits = Limits { archive_bytes: 1 << 20, ..Limits::default() };
    let found = analyze_within("a.jar", &content, &limits);
    assert!(found.packages.len() < 110, "{}", found.packages.len());
    assert!(found.problems.iter().any(|problem| problem.kind == ProblemKind::LimitExceeded));
    assert!(found.problems.len() <= MOST_PROBLEMS);
}

/// A jar as Maven and its bundle plugin wrote it, from Maven Central (Apache-2.0).
const PUBLISHED: &[u8] =
    include_bytes!("../../../fixtures/listenablefuture-9999.0-empty-to-avoid-conflict-with-guava.jar");

#[test]
fn a_published_jar_is_known_by_its_pom() {
    let expected = "pkg:maven/com.google.guava/listenablefuture@9999.0-empty-to-avoid-conflict-with-guava";
    check("usr/share/java/listenablefuture.jar", PUBLISHED, &[expected]);
}

fn sample() -> Vec<u8> {
    let manifest = b"Bundle-SymbolicName: a.b.c\r\n .d\r\nBundle-Version: 1.0\r\n\r\n";
    let inner = deflated(&[(MANIFEST, manifest), (POM, &properties("g", "a", "1.0"))]);
    deflated(&[(MANIFEST, manifest), ("lib/x-1.jar", &inner), ("A.class", b"")])
}

proptest! {
    #[test]
    fn no_bytes_panic(content: Vec<u8>) {
        analyze_within("a.jar", &content, &Limits::default());
        let outer = stored(&[("lib/a.jar", &content), (MANIFEST, &content), (POM, &content)]);
        analyze_within("a", &outer, &Limits::default());
    }

    #[test]
    fn no_flip_panics(flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        for mut content in [sample(), PUBLISHED.to_vec()] {
            for (position, value) in &flips {
                let position = position.index(content.len());
                content[position] = *value;
            }
            analyze_within("a.jar", &content, &Limits::default());
        }
    }

    #[test]
    fn no_cut_panics(end in any::<prop::sample::Index>(), start in any::<prop::sample::Index>()) {
        let content = sample();
        let (start, end) = (start.index(content.len()), end.index(content.len()));
        analyze_within("a.jar", &content[start.min(end)..end], &Limits::default());
    }
}

#[test]
fn a_copy_of_log4j_that_nothing_names_is_told_of() {
    let class = format!("shaded/{}", log4j::JNDI_LOOKUP);
    let titles = |content: &[u8]| {
        let found = analyze_within("app-1.jar", content, &Limits::default());
        let places =
            found.observations.into_iter().map(|observation| (observation.rule, observation.inner_path));
        places.collect::<Vec<_>>()
    };
    let nameless = stored(&[(&class, b"")]);
    assert_eq!(titles(&nameless), [("TW-FS-LOG4J".to_owned(), None)]);
    let nested = stored(&[("lib/a-1.jar", &nameless)]);
    assert_eq!(titles(&nested), [("TW-FS-LOG4J".to_owned(), Some("lib/a-1.jar".to_owned()))]);
    let pom = properties("org.apache.logging.log4j", "log4j-core", "2.17.1");
    let named =
        [("META-INF/maven/org.apache.logging.log4j/log4j-core/pom.properties", &*pom), (&*class, b"")];
    assert_eq!(titles(&stored(&named)), []);
}

#[test]
fn a_pom_without_properties_states_a_version_too() {
    let path = "META-INF/maven/org.x/lib/pom.xml";
    let pom = |version: &str| {
        format!(
            "<?xml version=\"1.0\"?>\n<project>{version}<dependencies><dependency><version>9</version></dependency></dependencies></project>"
        )
    };
    let own = pom("<parent><version>1.0</version></parent><version>1.2</version>");
    check("lib.jar", &stored(&[(path, own.as_bytes()), ("A.class", b"")]), &["pkg:maven/org.x/lib@1.2"]);
    check(
        "app-3.0.jar",
        &stored(&[(path, own.as_bytes()), ("A.class", b"")]),
        &["pkg:maven/app@3.0", "pkg:maven/org.x/lib@1.2"],
    );
    let inherited = pom("<parent><version>1.0</version></parent>");
    check("lib.jar", &stored(&[(path, inherited.as_bytes())]), &["pkg:maven/org.x/lib@1.0"]);
    let unresolved = pom("<version>${revision}</version>");
    check("lib-2.0.jar", &stored(&[(path, unresolved.as_bytes())]), &["pkg:maven/org.x/lib@2.0"]);
    let properties = properties("org.x", "lib", "1.3");
    let both = [(path, own.as_bytes()), ("META-INF/maven/org.x/lib/pom.properties", &*properties)];
    check("lib.jar", &stored(&both), &["pkg:maven/org.x/lib@1.3"]);
}

#[test]
fn an_archive_without_group_has_its_checksum() {
    let inner = stored(&[("A.class", b"")]);
    let outer = stored(&[("lib/inner-1.0.jar", &inner), ("B.class", b"")]);
    let found = analyze_within("outer-2.0.jar", &outer, &Limits::default());
    for (found, bytes) in found.packages.iter().zip([&outer, &inner]) {
        let checksum = format!("sha1:{}", hex::encode(Sha1::digest(bytes)));
        assert_eq!(found.package.qualifiers.get("checksum"), Some(&checksum));
    }
    let found = analyze_within("a.jar", &jar(), &Limits::default());
    assert!(found.packages[0].package.qualifiers.is_empty());
}

#[test]
fn a_well_known_archive_says_that_its_group_was_inferred() {
    let manifest = b"Automatic-Module-Name: spring.core\n\n";
    let content = stored(&[(MANIFEST, manifest), ("org/springframework/core/A.class", b"")]);
    let found = analyze_within("spring-core-5.3.31.jar", &content, &Limits::default());
    assert_eq!(lines(&found), ["pkg:maven/org.springframework/spring-core@5.3.31"]);
    assert_eq!(found.packages[0].package.evidence, Evidence::Inferred);
}

#[test]
fn plugins_of_jenkins_are_found_inside_of_it() {
    let manifest = b"Short-Name: git\nPlugin-Version: 4.8.3 (private-00)\nLong-Name: Git plugin\n\n";
    let plugin = stored(&[(MANIFEST, manifest)]);
    let war = stored(&[("WEB-INF/plugins/git.hpi", &plugin), ("A.class", b"")]);
    check(
        "jenkins.war",
        &war,
        &["pkg:maven/jenkins", "pkg:maven/org.jenkins-ci.plugins/git@4.8.3 in WEB-INF/plugins/git.hpi"],
    );
}
