use proptest::prelude::*;

use super::super::lock::sample::{analyze, check};
use super::*;

macro_rules! sample {
    ($file:literal) => {
        include_str!(concat!("../../../fixtures/sbom/", $file))
    };
}

/// What npm, and whoever writes its document in another form, says of one project.
const NPM: [&str; 10] = [
    "npm/ansi-styles@3.2.1 Claimed",
    "npm/chalk@2.4.2 Claimed",
    "npm/color-convert@1.9.3 Claimed",
    "npm/color-name@1.1.3 Claimed",
    "npm/escape-string-regexp@1.0.5 Claimed",
    "npm/has-flag@3.0.0 Claimed",
    "npm/is-number@6.0.0 Claimed",
    "npm/is-odd@3.0.1 Claimed",
    "npm/supports-color@5.5.0 Claimed",
    "npm/%40babel/helper-validator-identifier@7.24.5 Claimed",
];

/// The same document with every kind of line end and beginning.
fn check_all(path: &str, content: &str, expected: &[&str]) {
    check(&Sbom, path, content, expected);
    check(&Sbom, path, &content.replace('\n', "\r\n"), expected);
    check(&Sbom, path, &format!("\u{feff}{content}"), expected);
    check(&Sbom, path, content.trim_end(), expected);
}

#[test]
fn every_tool_s_document_claims_its_packages() {
    check_all("srv/app.cdx.json", sample!("npm.cdx.json"), &NPM);
    let mut with_subject = NPM.to_vec();
    with_subject.insert(1, "npm/app@1.0.0 Claimed");
    check_all("srv/app.spdx.json", sample!("npm.spdx.json"), &with_subject);
    check_all("srv/app.spdx", sample!("npm.spdx"), &with_subject);
    let python = ["pypi/python-dateutil@2.8.2 Claimed", "pypi/six@1.17.0 Claimed"];
    check_all("srv/app.cdx.xml", sample!("python-1.2.cdx.xml"), &python);
    check_all("x-1.dist-info/sboms/a.cdx.xml", sample!("python-1.6.cdx.xml"), &python);
    check_all("srv/bom.xml", sample!("maven.bom.xml"), &["maven/commons-io/commons-io@2.11.0 Claimed"]);
    check_all("srv/bom.json", sample!("go.cdx.json"), &["golang/github.com/pkg/errors@v0.9.1 Claimed"]);
    // syft leaves out what only development needs.
    with_subject.retain(|line| !line.contains("/is-"));
    check_all("usr/share/x.syft.json", sample!("npm.syft.json"), &with_subject);
    check_all("usr/share/x.spdx", sample!("syft.spdx"), &with_subject);
}

/// After what melange writes into the packages of Wolfi.
const APK: &str = r#"{"SPDXID":"SPDXRef-DOCUMENT","spdxVersion":"SPDX-2.3","documentDescribes":["SPDXRef-Package-zlib"],
    "packages":[
    {"SPDXID":"SPDXRef-Package-zlib","name":"zlib","versionInfo":"1.3-r1","externalRefs":[
     {"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"pkg:apk/wolfi/zlib@1.3-r1?arch=x86_64"}]},
    {"SPDXID":"SPDXRef-Package-zlib.yaml","name":"zlib.yaml","externalRefs":[
     {"referenceType":"purl","referenceLocator":"pkg:github/wolfi-dev/os@00aa#zlib.yaml"}]},
    {"SPDXID":"SPDXRef-Package-madler","name":"zlib","versionInfo":"v1.3","externalRefs":[
     {"referenceType":"cpe23Type","referenceLocator":"cpe:2.3:a:b"},
     {"referenceType":"purl","referenceLocator":"pkg:github/madler/zlib@v1.3"}]}],
    "relationships":[
    {"spdxElementId":"SPDXRef-Package-zlib","relationshipType":"DESCRIBED_BY","relatedSpdxElement":"SPDXRef-Package-zlib.yaml"},
    {"spdxElementId":"SPDXRef-Package-zlib","relationshipType":"GENERATED_FROM","relatedSpdxElement":"SPDXRef-Package-madler"}]}"#;

#[test]
fn what_a_package_was_made_from_is_no_gap() {
    check_all("var/lib/db/sbom/zlib-1.3-r1.spdx.json", APK, &["apk/zlib@1.3-r1?arch=x86_64 Claimed"]);
    let unrelated = APK.replace("GENERATED_FROM", "CONTAINS");
    check(
        &Sbom,
        "usr/lib/sbom/zlib.json",
        &unrelated,
        &["apk/zlib@1.3-r1?arch=x86_64 Claimed", "partial-coverage"],
    );
}

/// After the examples of the specification's annex; `simple` is what stands in none of them.
const SPDX3: &str = r#"{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld","@graph":[
    {"type":"CreationInfo","@id":"_:c","specVersion":"3.0.1"},
    {"type":"SpdxDocument","spdxId":"u:d","rootElement":["u:image"]},
    {"type":"software_Package","spdxId":"u:image","name":"image","software_primaryPurpose":"application"},
    {"type":"software_Package","spdxId":"u:t","name":"time","software_packageVersion":"0.1.43",
     "software_packageUrl":"pkg:cargo/time@0.1.43"},
    {"type":"software_Package","spdxId":"u:a","name":"a","software_packageVersion":"2.0",
     "externalIdentifier":[{"type":"ExternalIdentifier","externalIdentifierType":"packageUrl","identifier":"pkg:npm/a"}]},
    {"type":"software_Package","spdxId":"u:src","name":"source"},
    {"type":"Relationship","from":"u:src","to":["u:t"],"relationshipType":"generates"},
    {"type":"software_File","spdxId":"u:f","name":"./a"}]}"#;

#[test]
fn spdx_3_is_a_graph_of_elements_or_one() {
    check_all("x.spdx.json", SPDX3, &["npm/a@2.0 Claimed", "cargo/time@0.1.43 Claimed"]);
    let one = r#"{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld","type":"software_Package",
        "software_packageUrl":"pkg:cargo/time@0.1.43"}"#;
    check_all("x.spdx.json", one, &["cargo/time@0.1.43 Claimed"]);
    check(
        &Sbom,
        "x.spdx.json",
        &SPDX3.replace("generates", "contains"),
        &["npm/a@2.0 Claimed", "cargo/time@0.1.43 Claimed", "partial-coverage"],
    );
}

/// Components in components; elsewhere they are no parts of what is described.
const NESTED: &str = r#"{"bomFormat":"CycloneDX","specVersion":"1.6",
    "metadata":{"tools":{"components":[{"name":"tool","purl":"pkg:npm/tool@1"}]},
     "component":{"type":"application","name":"me","purl":"pkg:npm/me@1","components":[{"name":"part","purl":"pkg:npm/part@1"}]}},
    "components":[{"type":"library","name":"a","purl":"pkg:npm/%40x/a@1.0.0","pedigree":{"ancestors":[{"name":"old"}]},
     "components":[{"name":"b","purl":"pkg:pypi/Flask_B@2"}]},
     {"type":"file","name":"etc/x"},{"type":"operating-system","name":"debian"},
     {"type":"container","name":"base","purl":"pkg:oci/base@sha256%3A00"}],
    "services":[{"name":"s"}]}"#;
const NESTED_XML: &str = r#"<?xml version="1.0"?><!DOCTYPE bom [<!ENTITY x "y">]>
    <c:bom xmlns:c="http://cyclonedx.org/schema/bom/1.5" version="1"><c:metadata>
    <c:tools><c:components><c:component type="library"><c:name>tool</c:name><c:purl>pkg:npm/tool@1</c:purl></c:component></c:components></c:tools>
    <c:component type="application"><c:name>me</c:name><c:purl>pkg:npm/me@1</c:purl>
    <c:components><c:component type="library"><c:name>part</c:name><c:purl>pkg:npm/part@1</c:purl></c:component></c:components></c:component></c:metadata>
    <c:components><c:component type="library"><c:name>a</c:name><c:version>9</c:version><c:purl><![CDATA[pkg:npm/@x/a]]>@1.0.0?a=b&amp;c=&#100;</c:purl>
    <c:pedigree><c:ancestors><c:component type="library"><c:name>old</c:name></c:component></c:ancestors></c:pedigree>
    <c:components><c:component type="library"><c:name>b</c:name><c:version>2</c:version><c:purl>pkg:pypi/Flask_B</c:purl></c:component></c:components></c:component>
    <c:component type="file"><c:name>etc/x</c:name></c:component><c:component type="operating-system"/></c:components></c:bom>"#;

#[test]
fn components_are_read_wherever_they_are_parts_and_nowhere_else() {
    let expected = ["npm/part@1 Claimed", "npm/%40x/a@1.0.0 Claimed", "pypi/flask-b@2 Claimed"];
    check_all("app/bom.json", NESTED, &expected);
    check_all("app/bom.xml", NESTED_XML, &expected);
}

fn gaps(path: &str, content: &str) -> String {
    let found = analyze(&Sbom, path, content.as_bytes());
    let details: Vec<_> = found.problems.into_iter().map(|problem| problem.detail).collect();
    details.join("\n")
}

#[test]
fn every_entry_without_a_usable_purl_is_counted_once_and_named() {
    let json = r#"{"bomFormat":"CycloneDX","components":[{"name":"ok","purl":"pkg:npm/ok@1"},{"name":"bare"},null,{"purl":5},
        {"name":"swid","purl":"pkg:swid/a@1"},{"name":"unversioned","purl":"pkg:npm/u"},{"type":"file","name":"f","purl":"nonsense"}]}"#;
    assert_eq!(
        gaps("bom.json", json),
        "5 of 7 entries of bom.json are not inventoried: 2 without a purl, 1 with an unreadable purl, 1 of a purl type that \
         is not inventoried, 1 without a version (unversioned, swid, ? …); have its maker state a purl with a known type, a \
         name and a version for each"
    );
    let text = "SPDXVersion: SPDX-2.2\nPackageName: bare\nPackageComment: <text>PackageName: no\nExternalRef: PACKAGE-MANAGER \
        purl pkg:npm/no@1</text>\nFileName: f\nExternalRef: PACKAGE_MANAGER purl pkg:npm/file@1\n";
    assert_eq!(
        gaps("a.spdx", text),
        "1 of 1 entries of a.spdx are not inventoried: 1 without a purl (bare); have its maker state a purl with a known \
         type, a name and a version for each"
    );
    let long = format!(r#"{{"bomFormat":"CycloneDX","components":[{{"name":"{}"}}]}}"#, "x".repeat(10_000));
    assert!(gaps("bom.json", &long).ends_with("for each"));
}

#[test]
fn what_is_no_sbom_is_nothing_and_what_is_broken_is_said() {
    for (path, content, expected) in [
        ("a.spdx", "MIT License\n", None),
        ("a.spdx", "<a/>", None),
        ("a.spdx", "<r:RDF xmlns='http://spdx.org/rdf/terms#' xmlns:r='x'/>", Some("sbom-unreadable")),
        ("bom.json", "{}", None),
        ("bom.json", r#"{"packages":["a"]}"#, None),
        ("bom.xml", "<project/>", None),
        ("x/share/zlib/vcpkg.spdx.json", APK, None),
        ("opt/bitnami/redis/.spdx-redis.spdx", APK, None),
        ("a.spdx.json", "{}", Some("sbom-unreadable")),
        ("a.cdx.xml", "<project/>", Some("sbom-unreadable")),
        ("a.cdx.json", "", Some("sbom-unreadable")),
        ("a.cdx.json", "{\"components\":", Some("sbom-unreadable")),
        ("bom.json", r#"{"bomFormat":"CycloneDX","components":5}"#, Some("sbom-unreadable")),
        ("bom.json", r#"{"spdxVersion":"SPDX-2.3","packages":{}}"#, Some("sbom-unreadable")),
        ("bom.json", r#"{"@context":"https://spdx.org/rdf/3.0.0/x","@graph":null}"#, Some("sbom-unreadable")),
        ("bom.json", r#"{"bomFormat":"CycloneDX","components":null}"#, None),
        ("bom.xml", "<bom xmlns='http://cyclonedx.org/schema/bom/1.4'><components>", Some("sbom-unreadable")),
        (
            "bom.xml",
            "<bom xmlns='http://cyclonedx.org/schema/bom/1.4'><components><component><purl>&x;</purl></component></components></bom>",
            Some("sbom-unreadable"),
        ),
    ] {
        check(&Sbom, path, content, expected.as_slice());
    }
    let deep = format!("{{\"components\":{}1", "[".repeat(100_000));
    check(&Sbom, "bom.json", &deep, &["sbom-unreadable"]);
    let deep = format!("<bom xmlns='http://cyclonedx.org/schema/bom/1.4'>{}", "<components>".repeat(100_000));
    check(&Sbom, "bom.xml", &deep, &["sbom-unreadable"]);
}

proptest! {
    #[test]
    fn no_bytes_panic(content: Vec<u8>, xml in "[<>!&;=\"' a-zé-]{0,40}", at: prop::sample::Index, byte: u8) {
        for path in ["bom.json", "bom.xml", "a.spdx"] {
            analyze(&Sbom, path, &content);
            analyze(&Sbom, path, xml.as_bytes());
        }
        for (path, sample) in [
            ("bom.json", APK), ("bom.json", SPDX3), ("bom.json", NESTED), ("bom.xml", NESTED_XML), ("a.spdx", sample!("npm.spdx")),
        ] {
            let mut sample = sample.as_bytes().to_vec();
            let at = at.index(sample.len());
            sample[at] = byte;
            analyze(&Sbom, path, &sample);
        }
    }
}
