//! Lock files that the tools themselves wrote, one project for each language: all of them say the same of it.

use super::sample::check;
use super::*;
use crate::analyzers::{
    bun::Bun, cargo_lock::CargoLock, composer::Composer, deno::Deno, gemfile_lock::GemfileLock,
    npm_lock::NpmLock, pnpm::Pnpm, python_lock::PythonLock, yarn::Yarn,
};

#[test]
fn lock_files_inside_other_peoples_packages_say_nothing_about_the_image() {
    for (path, expected) in [
        ("package-lock.json", true),
        ("app/yarn.lock", true),
        ("app/node_modules/a/yarn.lock", false),
        ("app/vendor/a/b/composer.lock", false),
        ("usr/lib/python3/site-packages/a/poetry.lock", false),
        ("usr/share/doc/a/Cargo.lock", false),
        ("usr/lib/ruby/gems/3.2.0/gems/a-1/Gemfile.lock", false),
        ("home/shared/vendors/Gemfile.lock", true),
    ] {
        assert_eq!(is_own(path), expected, "{path}");
    }
}

macro_rules! locks {
    ($($analyzer:expr, $path:literal = $file:literal;)*) => {
        [$((&$analyzer as &dyn Analyzer, $path, include_str!(concat!("../../../fixtures/locks/", $file)))),*]
    };
}

/// What the project of JavaScript needs when it runs.
const JAVASCRIPT: [&str; 13] = [
    "npm/ansi-styles@3.2.1",
    "npm/chalk@2.4.2",
    "npm/color-convert@1.9.3",
    "npm/color-name@1.1.3",
    "npm/escape-string-regexp@1.0.5",
    "npm/has-flag@3.0.0",
    "npm/js-tokens@4.0.0",
    "npm/picocolors@1.1.1",
    "npm/semver@5.7.1",
    "npm/supports-color@5.5.0",
    "npm/%40babel/code-frame@7.24.2",
    "npm/%40babel/helper-validator-identifier@7.29.7",
    "npm/%40babel/highlight@7.25.9",
];
/// What it needs besides for development.
const DEVELOPMENT: [&str; 2] = ["npm/is-number@6.0.0", "npm/is-odd@3.0.1"];

fn lines(names: &[&str], evidence: &str) -> Vec<String> {
    names.iter().map(|name| format!("{name} {evidence}")).collect()
}

/// The registry that the tools fetched from, where their files name it.
const REGISTRY: &str = "?repository_url=example.org";

fn with_registry(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("{name}{REGISTRY} Declared")).collect()
}

fn check_all(analyzer: &dyn Analyzer, path: &str, content: &str, expected: &[String]) {
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    check(analyzer, path, content, &expected);
    check(analyzer, path, &content.replace('\n', "\r\n"), &expected);
    check(analyzer, path, &format!("\u{feff}{content}"), &expected);
    check(analyzer, path, content.trim_end(), &expected);
}

#[test]
fn every_lock_file_of_javascript_says_the_same_of_one_project() {
    for (analyzer, path, content) in locks! {
        NpmLock, "app/package-lock.json" = "npm-1.json";
        NpmLock, "app/package-lock.json" = "npm-2.json";
        NpmLock, "app/package-lock.json" = "npm-3.json";
        Pnpm, "app/pnpm-lock.yaml" = "pnpm-7.yaml";
        Pnpm, "app/pnpm-lock.yaml" = "pnpm-8.yaml";
        Pnpm, "app/pnpm-lock.yaml" = "pnpm-9.yaml";
        Bun, "app/bun.lock" = "bun.lock";
    } {
        check_all(analyzer, path, content, &lines(&JAVASCRIPT, "Declared"));
    }
}

#[test]
fn lists_that_do_not_tell_development_apart_name_its_packages_too() {
    let mut all = JAVASCRIPT.to_vec();
    all.splice(6..6, DEVELOPMENT);
    let declared = lines(&all, "Declared");
    for (analyzer, path, content, expected) in [
        (
            &Yarn as &dyn Analyzer,
            "app/yarn.lock",
            include_str!("../../../fixtures/locks/yarn-1.lock"),
            &with_registry(&all),
        ),
        (&Yarn, "app/yarn.lock", include_str!("../../../fixtures/locks/yarn-4.lock"), &declared),
        (&Deno, "app/deno.lock", include_str!("../../../fixtures/locks/deno.lock"), &declared),
        // What is on disk is on disk, whatever it is for.
        (
            &NpmLock,
            "app/node_modules/.package-lock.json",
            include_str!("../../../fixtures/locks/npm-installed.json"),
            &lines(&all, "Installed"),
        ),
    ] {
        check_all(analyzer, path, content, expected);
    }
}

#[test]
fn every_lock_file_of_python_says_the_same_of_one_project() {
    let expected = ["pypi/python-dateutil@2.8.2", "pypi/six@1.17.0"];
    for (analyzer, path, content) in locks! {
        PythonLock, "app/requirements.txt" = "requirements.txt";
        PythonLock, "app/pdm.lock" = "pdm.lock";
    } {
        check_all(analyzer, path, content, &lines(&expected, "Declared"));
    }
    for (analyzer, path, content) in locks! {
        PythonLock, "app/Pipfile.lock" = "Pipfile.lock";
        PythonLock, "app/poetry.lock" = "poetry.lock";
        PythonLock, "app/pylock.toml" = "pylock.toml";
    } {
        check_all(analyzer, path, content, &with_registry(&expected));
    }
    let mut with_itself = lines(&["pypi/app@0.1.0"], "Unmatched");
    with_itself.extend(with_registry(&expected));
    let uv = include_str!("../../../fixtures/locks/uv.lock");
    check_all(&PythonLock, "app/uv.lock", uv, &with_itself);
}

#[test]
fn cargo_bundler_and_composer_say_what_comes_from_a_registry() {
    for (analyzer, path, content, expected) in [
        (
            &CargoLock as &dyn Analyzer,
            "app/Cargo.lock",
            include_str!("../../../fixtures/locks/Cargo.lock"),
            &["cargo/app@0.1.0 Unmatched", "cargo/either@1.13.0 Declared", "cargo/mine@0.1.0 Unmatched"][..],
        ),
        (
            &GemfileLock,
            "app/Gemfile.lock",
            include_str!("../../../fixtures/locks/Gemfile.lock"),
            &[
                "gem/acme@1.0?repository_url=example.org Declared",
                "gem/mine@0.1.0 Unmatched",
                "gem/widget@2.1?repository_url=example.org Declared",
            ],
        ),
        (
            &Composer,
            "app/composer.lock",
            include_str!("../../../fixtures/locks/composer.lock"),
            &["composer/acme/lib@1.2.3 Declared"],
        ),
        (
            &Composer,
            "app/vendor/composer/installed.json",
            include_str!("../../../fixtures/locks/installed.json"),
            &["composer/acme/lib@1.2.3 Installed"],
        ),
        (
            &Composer,
            "app/vendor/composer/installed.php",
            include_str!("../../../fixtures/locks/installed.php"),
            &["composer/acme/lib@1.2.3 Declared"],
        ),
    ] {
        let expected: Vec<String> = expected.iter().map(|line| (*line).to_owned()).collect();
        check_all(analyzer, path, content, &expected);
    }
}
