//! What `package.json` files in their places say.

use proptest::prelude::*;
use shared::model::package::Purl;

use super::*;

const MODULE: &str = "app/node_modules/x/package.json";

fn analyze(path: &str, content: &[u8]) -> Found {
    let candidate = Candidate {
        path: path.as_bytes(),
        size: content.len() as u64,
        mode: 0o644,
        head: &content[..content.len().min(64)],
    };
    if !Node.wants(&candidate) {
        return Found::default();
    }
    let file = CapturedFile { path, mode: 0o644, content };
    Node.analyze(&file, &Limits::default())
}

/// One line a package, `purl evidence`, then one line a problem, its slug.
fn lines(found: &Found) -> Vec<String> {
    let packages = found.packages.iter().map(|found| {
        let purl = Purl::new(&found.package, None);
        format!("{purl} {:?}", found.package.evidence)
    });
    let problems = found.problems.iter().map(|problem| problem.kind.to_string());
    packages.chain(problems).collect()
}

fn check(path: &str, content: &str, expected: &[&str]) {
    assert_eq!(lines(&analyze(path, content.as_bytes())), expected, "{path}: {content}");
}

#[test]
fn installed_packages_are_known_by_their_own_name() {
    for (path, content, expected) in [
        (MODULE, r#"{"name":"x","version":"1.2.3"}"#, "pkg:npm/x@1.2.3 Installed"),
        (
            "app/node_modules/@s/n/package.json",
            r#"{"name":"@s/n","version":"1.0.0-rc.1"}"#,
            "pkg:npm/%40s/n@1.0.0-rc.1 Installed",
        ),
        (
            "app/node_modules/alias/package.json",
            r#"{"name":"real","version":"1.2.0"}"#,
            "pkg:npm/real@1.2.0 Installed",
        ),
        (
            "app/node_modules/a/node_modules/x/package.json",
            r#"{"version":"2.0.0","name":"x"}"#,
            "pkg:npm/x@2.0.0 Installed",
        ),
        (
            "usr/local/lib/node_modules/npm/package.json",
            r#"{"name":"npm","version":"10.1.0"}"#,
            "pkg:npm/npm@10.1.0 Installed",
        ),
        (
            "opt/yarn-v1.22.22/package.json",
            r#"{"name":"yarn","version":"1.22.22"}"#,
            "pkg:npm/yarn@1.22.22 Installed",
        ),
        (
            "usr/share/nodejs/@types/node/package.json",
            r#"{"name":"@types/node","version":"18.0.0"}"#,
            "pkg:npm/%40types/node@18.0.0 Installed",
        ),
        (
            "a/node_modules/.pnpm/x@1.0.0/node_modules/x/package.json",
            r#"{"name":"x","version":"1.0.0"}"#,
            "pkg:npm/x@1.0.0 Installed",
        ),
        (
            "node_modules/test/package.json",
            r#"{"name":"test","version":"3.3.0"}"#,
            "pkg:npm/test@3.3.0 Installed",
        ),
        (
            "node_modules/@s/unnamed/package.json",
            r#"{"version":"1.0.0"}"#,
            "pkg:npm/%40s/unnamed@1.0.0 Installed",
        ),
    ] {
        check(path, content, &[expected]);
    }
}

#[test]
fn a_package_that_npm_took_from_another_registry_says_so() {
    for (resolved, expected) in [
        (r#""https://registry.npmjs.org/x/-/x-1.2.3.tgz""#, "pkg:npm/x@1.2.3 Installed"),
        (
            r#""https://ci:secret@npm.acme.example/x/-/x-1.2.3.tgz""#,
            "pkg:npm/x@1.2.3?repository_url=npm.acme.example Installed",
        ),
        (r#""file:x""#, "pkg:npm/x@1.2.3 Installed"),
        ("7", "pkg:npm/x@1.2.3 Installed"),
    ] {
        let content = format!(r#"{{"name":"x","version":"1.2.3","_resolved":{resolved}}}"#);
        check(MODULE, &content, &[expected]);
    }
}

#[test]
fn the_application_and_private_packages_are_inventory_only() {
    let package = r#"{"name":"x","version":"1.2.3","private":true}"#;
    check(MODULE, package, &["pkg:npm/x@1.2.3 Unmatched"]);
    for path in ["package.json", "app/package.json", "usr/src/app/package.json"] {
        check(path, package, &["pkg:npm/x@1.2.3 Unmatched"]);
        check(path, r#"{"name":"x","version":"1.2.3"}"#, &["pkg:npm/x@1.2.3 Unmatched"]);
        check(path, r#"{"name":"x"}"#, &[]);
    }
}

#[test]
fn files_below_a_package_are_no_packages() {
    let package = r#"{"name":"x","version":"1.2.3"}"#;
    for path in [
        "app/node_modules/x/dist/esm/package.json",
        "app/node_modules/resolve/test/resolver/baz/package.json",
        "app/node_modules/@scope/package.json",
        "app/node_modules/package.json",
        "app/node_modules/.cache/package.json",
        "src/test/fixtures/a/package.json",
        "app/notpackage.jsonpackage.jso",
    ] {
        check(path, package, &[]);
    }
    check(MODULE, r#"{"type":"module"}"#, &[]);
    let extension = r#"{"name":"x","version":"1.2.3","publisher":"acme"}"#;
    check("opt/code/extensions/x/package.json", extension, &[]);
    check(MODULE, r#"{"name":"x"}"#, &[]);
}

#[test]
fn what_is_no_package_of_npm_is_a_problem() {
    for (content, slug) in [
        (r#"{"name":"x","version":"latest"}"#, "record-skipped"),
        (r#"{"name":"x","version":"1.2"}"#, "record-skipped"),
        (r#"{"name":"a b","version":"1.2.3"}"#, "record-skipped"),
        (r#"{"name":"@s","version":"1.2.3"}"#, "record-skipped"),
        (r#"{"name":"../x","version":"1.2.3"}"#, "record-skipped"),
        ("{\"name\":", "analyzer-failed"),
        ("[]", "analyzer-failed"),
        ("", "analyzer-failed"),
    ] {
        check(MODULE, content, &[slug]);
    }
    check("app/package.json", "{{ template }}", &["record-skipped"]);
}

#[test]
fn odd_json_is_read_as_javascript_reads_it() {
    for content in [
        "\u{feff}{\"name\":\"x\",\"version\":\"1.2.3\"}",
        r#"{"name":"y","name":"x","version":"0.0.1","version":"1.2.3"}"#,
        r#"{"\u006eame":"x","version":"v1.2.3"}"#,
        r#"{"name":"x","version":" =1.2.3 ","private":"no","scripts":7}"#,
    ] {
        check(MODULE, content, &["pkg:npm/x@1.2.3 Installed"]);
    }
}

#[test]
fn licences_are_found_in_all_their_shapes() {
    for (member, expected) in [
        (r#""license":"MIT""#, vec!["MIT"]),
        (r#""license":{"type":"ISC","url":"u"}"#, vec!["ISC"]),
        (r#""licenses":[{"type":"MIT"},"Apache-2.0"]"#, vec!["MIT", "Apache-2.0"]),
        (r#""license":7"#, vec![]),
        (r#""license":[[["MIT"]]]"#, vec![]),
    ] {
        let found = analyze(MODULE, format!(r#"{{"name":"x","version":"1.2.3",{member}}}"#).as_bytes());
        assert_eq!(found.packages[0].package.licenses, expected, "{member}");
    }
}

#[test]
fn i7_deep_nesting_does_not_overflow_the_stack() {
    for member in ["other", "license", "name"] {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        let content = format!(r#"{{"name":"x","version":"1.2.3","{member}":{deep}}}"#);
        let found = analyze(MODULE, content.as_bytes());
        assert_eq!(lines(&found), ["pkg:npm/x@1.2.3 Installed"], "{member}");
        // Without an end it is not JSON, and that is said.
        check(MODULE, &"[{\"a\":".repeat(100_000), &["analyzer-failed"]);
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(path in "(app|node_modules|@s|x|/){0,6}/package\\.json", content: Vec<u8>) {
        analyze(&path, &content);
        analyze(MODULE, &content);
    }

    #[test]
    fn no_flip_panics(position in 0_usize..60, byte: u8) {
        let mut content = br#"{"name":"@scope/x","version":"1.2.3","license":{"type":"MIT"}}"#.to_vec();
        content[position] = byte;
        analyze(MODULE, &content);
    }
}
