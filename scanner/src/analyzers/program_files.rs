//! Programs that a text beside them, or inside of them, names: a version file, settings or an archive of PHP in, the
//! program out.
//!
//! Erlang/OTP: `releases/<number>/OTP_VERSION`. Go's tools: `VERSION`, whose first line is `go1.22.3`. Mozilla's:
//! `application.ini` (XULRunner, "application.ini"). Composer and WP-CLI: archives of PHP (PHP manual, "Phar file format")
//! that are not compressed, with Composer's `installed.php` and the name of the package in them.

use shared::model::package::{Evidence, Package, PackageKind};

use super::Trigger;
use super::lock::{self, Entries, PackageList, Unreadable};

/// Reads what names programs.
pub struct ProgramFiles;

/// Where the code of an archive of PHP ends.
const PHAR: &str = "__HALT_COMPILER();";

impl PackageList for ProgramFiles {
    const NAME: &'static str = "program-files";
    const TRIGGERS: &'static [Trigger] = &[
        Trigger::Name("OTP_VERSION"),
        Trigger::Name("VERSION"),
        Trigger::Name("application.ini"),
        Trigger::Name("composer"),
        Trigger::Name("composer.phar"),
        Trigger::Name("wp"),
        Trigger::Name("wp-cli.phar"),
    ];

    fn is_one(path: &str) -> bool {
        lock::file_name(path) != "OTP_VERSION" || path.rsplit('/').nth(2) == Some("releases")
    }

    fn read(path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        let package = match lock::file_name(path) {
            "OTP_VERSION" => erlang(text),
            "VERSION" => go(text),
            "application.ini" => mozilla(text),
            name if text.contains(PHAR) => phar(name, text),
            _ => None,
        };
        // Most files of these names are something else.
        if package.is_some() {
            entries.add(package);
        }
        Ok(())
    }
}

/// `25.3.2.1`; two asterisks follow where patches were applied to it.
fn erlang(text: &str) -> Option<Package> {
    let version = text.lines().next()?.trim().trim_end_matches('*');
    lock::package(PackageKind::Generic, "erlang", numbered(version)?, Evidence::Recognised)
}

/// The tools of Go, which have advisories of their own.
fn go(text: &str) -> Option<Package> {
    let version = numbered(text.lines().next()?.trim().strip_prefix("go")?)?;
    let is_release = version.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    let version = Some(version).filter(|_| is_release)?;
    lock::package(PackageKind::Golang, "toolchain", version, Evidence::Installed)
}

fn mozilla(text: &str) -> Option<Package> {
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    value("Vendor").filter(|vendor| *vendor == "Mozilla")?;
    let name = value("Name")?.to_ascii_lowercase();
    lock::package(PackageKind::Generic, &name, numbered(value("Version")?)?, Evidence::Recognised)
}

fn phar(file: &str, text: &str) -> Option<Package> {
    let (name, before) = match file {
        "composer" | "composer.phar" => ("composer", "'pretty_version' => '"),
        _ => ("wp-cli", "wp-cli/wp-cli "),
    };
    let is_version = |character: &char| character.is_ascii_alphanumeric() || matches!(character, '.' | '-');
    let versions = text.match_indices(before).filter_map(|(at, _)| {
        let rest = &text[at + before.len()..];
        let length = rest.chars().take_while(is_version).count();
        numbered(&rest[..length]).filter(|version| version.contains('.'))
    });
    let version = versions.into_iter().next()?;
    let package = lock::package(PackageKind::Composer, name, version, Evidence::Recognised)?;
    Some(Package { namespace: Some(name.to_owned()), ..package })
}

/// A text that begins with a number.
fn numbered(version: &str) -> Option<&str> {
    Some(version).filter(|version| version.starts_with(|first: char| first.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    /// From Debian's firefox-esr, shortened.
    const FIREFOX: &str = "; This file is not used.\n[App]\nVendor=Mozilla\nName=Firefox\nRemotingName=firefox-esr\nVersion=153.8.0\nBuildID=20261117185949\n[Gecko]\nMinVersion=153.8.0\n";

    #[test]
    fn each_file_names_its_program() {
        let composer = "#!/usr/bin/env php\n<?php\nPhar::mapPhar();__HALT_COMPILER(); ?>\u{1}\0vendor/composer/installed.php<?php return array(\n    'root' => array(\n        'name' => 'composer/composer',\n        'pretty_version' => '2.7.1',\n";
        let wp = "<?php\n__HALT_COMPILER(); ?>\0wp-cli/wp-cli 2.10.0\0";
        for (path, text, expected) in [
            // From Debian's erlang-base.
            ("usr/lib/erlang/releases/25/OTP_VERSION", "25.2.3\n", &["generic/erlang@25.2.3 Recognised"][..]),
            (
                "usr/lib/erlang/releases/25/OTP_VERSION",
                "25.3.2.1**\n",
                &["generic/erlang@25.3.2.1 Recognised"],
            ),
            ("srv/OTP_VERSION", "25.2.3\n", &[]),
            (
                "usr/local/go/VERSION",
                "go1.26.3\ntime 2026-05-01T00:00:00Z\n",
                &["golang/toolchain@1.26.3 Installed"],
            ),
            ("usr/local/go/VERSION", "go1.21rc2", &["golang/toolchain@1.21rc2 Installed"]),
            ("usr/local/go/VERSION", "go1.26-devel_abc", &[]),
            ("srv/app/VERSION", "1.2.3\n", &[]),
            ("srv/app/VERSION", "", &[]),
            ("opt/firefox/application.ini", FIREFOX, &["generic/firefox@153.8.0 Recognised"]),
            ("opt/app/application.ini", "[App]\nName=Mine\nVersion=1.0\n", &[]),
            ("usr/bin/composer", composer, &["composer/composer/composer@2.7.1 Recognised"]),
            ("usr/bin/composer", "#!/bin/sh\nexec php composer.phar\n", &[]),
            ("usr/local/bin/wp", wp, &["composer/wp-cli/wp-cli@2.10.0 Recognised"]),
            ("usr/local/bin/wp", "'pretty_version' => '2.7.1'", &[]),
        ] {
            check(&ProgramFiles, path, text, expected);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, text in "(go|Vendor=Mozilla\n|__HALT_COMPILER\\(\\);wp-cli/wp-cli |[0-9é.\n]){0,12}") {
            for path in ["a/releases/1/OTP_VERSION", "VERSION", "application.ini", "composer", "wp"] {
                analyze(&ProgramFiles, path, &content);
                analyze(&ProgramFiles, path, text.as_bytes());
            }
        }
    }
}
