//! Composer: `vendor/composer/installed.json` in, what is installed out; `composer.lock` in, what it declares out.
//!
//! Composer 1 writes an array, Composer 2 an object with `packages`. Development packages that are installed are
//! on disk and count; those that a lock file merely declares (`packages-dev`) do not.

use serde::Deserialize;
use shared::model::package::{Evidence, Package, PackageKind};

use super::Trigger;
use super::lock::{self, Entries, PackageList, Unreadable};
use super::terms::{self, Term};

/// Reads Composer's files.
pub struct Composer;

impl PackageList for Composer {
    const NAME: &'static str = "composer";
    const VERSION: u32 = 2;
    const TRIGGERS: &'static [Trigger] =
        &[Trigger::Name("installed.json"), Trigger::Name("installed.php"), Trigger::Name("composer.lock")];

    fn is_one(path: &str) -> bool {
        match lock::file_name(path) {
            "composer.lock" => lock::is_own(path),
            name => path.strip_suffix(name).is_some_and(|directory| directory.ends_with("composer/")),
        }
    }

    fn read(path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        let evidence = match lock::file_name(path) {
            "composer.lock" => Evidence::Declared,
            "installed.php" => return runtime_list(text, entries),
            _ => Evidence::Installed,
        };
        let list: List = serde_json::from_str(text)?;
        let (List::Plain(packages) | List::Wrapped { packages }) = list;
        for entry in packages {
            entries.add(entry.package(evidence));
        }
        Ok(())
    }
}

/// `installed.php`: `array("root" => array("name" => …), "versions" => array("v/n" => array("pretty_version" => …)))`.
///
/// It lies beside `installed.json` and says the same in fewer words, so that it only counts where that is missing:
/// like a declaration. Packages without a version are replaced or provided by others.
fn runtime_list(text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
    let parsed = terms::parse(text, &terms::PHP)?;
    let Some(whole) = parsed.iter().find_map(Term::group) else {
        return Err(Unreadable::new(&"it returns no array"));
    };
    let root = member(whole, "root").and_then(|root| member(root, "name")?.first()?.text());
    for (name, value) in member(whole, "versions").into_iter().flat_map(members) {
        let version = value.and_then(|value| member(value, "pretty_version")?.first()?.text());
        if let Some(version) = version.filter(|_| root != Some(name)) {
            let entry =
                Entry { name: Some(name.to_owned()), version: Some(version.to_owned()), license: None };
            entries.add(entry.package(Evidence::Declared));
        }
    }
    Ok(())
}

/// The members of an array, with the terms in the array that each holds, or else its only term.
fn members<'t, 'a>(array: &'t [Term<'a>]) -> impl Iterator<Item = (&'t str, Option<&'t [Term<'a>]>)> {
    terms::elements(array).filter_map(|element| {
        let value = match element.last()? {
            Term::Group(_, inner) => Some(inner.as_slice()),
            Term::Text(_) | Term::Word(_) | Term::Mark(_) => element.last().map(std::slice::from_ref),
        };
        Some((element.first()?.text()?, value))
    })
}

fn member<'t, 'a>(array: &'t [Term<'a>], name: &str) -> Option<&'t [Term<'a>]> {
    members(array).find(|(key, _)| *key == name)?.1
}

#[derive(Deserialize)]
#[serde(untagged)]
enum List {
    Plain(Vec<Entry>),
    Wrapped { packages: Vec<Entry> },
}

#[derive(Deserialize)]
struct Entry {
    name: Option<String>,
    version: Option<String>,
    license: Option<Licenses>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Licenses {
    One(String),
    Many(Vec<String>),
    /// Whatever else stands there names no licence.
    Other(serde::de::IgnoredAny),
}

impl Entry {
    fn package(self, evidence: Evidence) -> Option<Package> {
        let name = self.name?.to_ascii_lowercase();
        let (vendor, base) = name.split_once('/')?;
        let is_part = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        let stated = self.version?;
        let stated = stated.trim();
        let version = match stated.strip_prefix(['v', 'V']) {
            Some(rest) if rest.starts_with(|first: char| first.is_ascii_digit()) => rest,
            Some(_) | None => stated,
        };
        if !is_part(vendor) || !is_part(base) || version.is_empty() {
            return None;
        }
        // A branch has no version that an advisory could speak of.
        let is_branch = version.starts_with("dev-") || version.ends_with("-dev");
        let evidence = if is_branch { Evidence::Unmatched } else { evidence };
        let mut package = Package::new(PackageKind::Composer, base, version, evidence);
        package.namespace = Some(vendor.to_owned());
        package.licenses = match self.license {
            Some(Licenses::One(license)) => vec![license],
            Some(Licenses::Many(licenses)) => licenses,
            Some(Licenses::Other(_)) | None => Vec::new(),
        };
        Some(package)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const INSTALLED: &str = "app/vendor/composer/installed.json";
    const V1: &str = r#"[{"name":"Symfony/http-kernel","version":"v5.4.1","license":["MIT"]},{"name":"a/b","version":"dev-main"}]"#;

    #[test]
    fn both_versions_of_the_list_say_the_same() {
        let v2 = format!(r#"{{"packages":{V1},"dev":true,"dev-package-names":["a/b"]}}"#);
        for content in [V1, &v2] {
            check(
                &Composer,
                INSTALLED,
                content,
                &["composer/a/b@dev-main Unmatched", "composer/symfony/http-kernel@5.4.1 Installed"],
            );
            let found = analyze(&Composer, INSTALLED, content.as_bytes());
            assert_eq!(found.packages[1].package.licenses, ["MIT"]);
        }
    }

    #[test]
    fn a_lock_file_declares_what_is_not_for_development() {
        let lock = r#"{"packages":[{"name":"a/b","version":"1.0.0"}],"packages-dev":[{"name":"c/d","version":"2.0.0"}]}"#;
        check(&Composer, "app/composer.lock", lock, &["composer/a/b@1.0.0 Declared"]);
        check(&Composer, "app/vendor/a/b/composer.lock", lock, &[]);
        check(&Composer, "composer.lock", "{\"packages\":[{}]}", &["record-skipped"]);
        check(&Composer, "composer.lock", "[", &["analyzer-failed"]);
    }

    const PHP: &str = "<?php return array(\n    'root' => array(\n        'name' => 'acme/app',\n        'pretty_version' => 'dev-main',\n    ),\n    'versions' => array(\n        'acme/app' => array('pretty_version' => 'dev-main'),\n        'symfony/polyfill-php80' => array(\n            'pretty_version' => 'v1.29.0',\n            'version' => '1.29.0.0',\n            'install_path' => __DIR__ . '/../symfony/polyfill-php80',\n            'aliases' => array(),\n            'dev_requirement' => false,\n        ),\n        'psr/log-implementation' => array(\n            'dev_requirement' => false,\n            'provided' => array(0 => '1.0'),\n        ),\n    ),\n);\n";

    #[test]
    fn the_list_for_running_programs_is_read_like_a_declaration() {
        let path = "app/vendor/composer/installed.php";
        check(&Composer, path, PHP, &["composer/symfony/polyfill-php80@1.29.0 Declared"]);
        check(&Composer, path, "<?php return", &["analyzer-failed"]);
        check(&Composer, "app/installed.php", PHP, &[]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at in 0..V1.len(), byte: u8) {
            let mut sample = PHP.as_bytes().to_vec();
            sample[at] = byte;
            analyze(&Composer, "composer/installed.php", &sample);
            analyze(&Composer, INSTALLED, &content);
            let mut sample = V1.as_bytes().to_vec();
            sample[at] = byte;
            analyze(&Composer, INSTALLED, &sample);
        }
    }
}
