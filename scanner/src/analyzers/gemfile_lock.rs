//! Bundler's `Gemfile.lock`: the gems that it declares.
//!
//! Sections begin at the margin; `GEM` lists what comes from a registry, its `remote`, each gem four blanks deep:
//! `name (version[-platform])`. `GIT` and `PATH` list what comes from elsewhere.

use shared::model::package::{Evidence, Package};

use super::lock::{Entries, PackageList, Unreadable};
use super::registry::OtherRegistry;
use super::{Trigger, gem};

/// Reads `Gemfile.lock` and `gems.locked`.
pub struct GemfileLock;

impl PackageList for GemfileLock {
    const NAME: &'static str = "gemfile-lock";
    const VERSION: u32 = 2;
    const TRIGGERS: &'static [Trigger] = &[Trigger::Name("Gemfile.lock"), Trigger::Name("gems.locked")];

    fn read(_path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        let mut section = Section::NoGems;
        for line in text.lines() {
            if !line.starts_with(' ') {
                section = Section::of(line.trim_end());
            } else if let Some(url) = line.strip_prefix("  remote: ") {
                section = section.with_remote(url.trim());
            } else if let Some(gem) = line.strip_prefix("    ").filter(|rest| !rest.starts_with(' ')) {
                section.enter(gem, entries);
            }
        }
        Ok(())
    }
}

/// What gems a section lists.
enum Section {
    /// Releases of a registry.
    Releases(Remotes),
    /// What comes from a repository or a directory.
    Elsewhere,
    /// None.
    NoGems,
}

impl Section {
    fn of(head: &str) -> Self {
        match head {
            "GEM" => Self::Releases(Remotes::Unstated),
            "GIT" | "PATH" | "PLUGIN SOURCE" => Self::Elsewhere,
            _ => Self::NoGems,
        }
    }

    fn with_remote(self, url: &str) -> Self {
        match self {
            Self::Releases(remotes) => Self::Releases(remotes.with(url)),
            Self::Elsewhere | Self::NoGems => self,
        }
    }

    fn enter(&self, gem: &str, entries: &mut Entries<'_>) {
        match self {
            Self::Releases(Remotes::Others(registry)) => {
                entries.add(package(gem, Evidence::Declared).map(|package| registry.qualify(package)));
            }
            Self::Releases(Remotes::Unstated | Remotes::MaybePublic) => {
                entries.add(package(gem, Evidence::Declared));
            }
            Self::Elsewhere => entries.add(package(gem, Evidence::Unmatched)),
            Self::NoGems => {}
        }
    }
}

/// Where the releases of a section are from. Older versions of Bundler list several registries, and any of them may have
/// a gem.
enum Remotes {
    Unstated,
    /// None of them is the public one; this is the first.
    Others(OtherRegistry),
    MaybePublic,
}

impl Remotes {
    fn with(self, url: &str) -> Self {
        match (self, OtherRegistry::of_url(url)) {
            (Self::Unstated, Some(registry)) | (Self::Others(registry), Some(_)) => Self::Others(registry),
            (Self::MaybePublic, _) | (Self::Unstated | Self::Others(_), None) => Self::MaybePublic,
        }
    }
}

/// `name (version[-platform])`.
fn package(gem: &str, evidence: Evidence) -> Option<Package> {
    let (name, rest) = gem.split_once(" (").unwrap_or((gem, ""));
    let stated = rest.trim_end().trim_end_matches(')');
    let (version, platform) = stated.split_once('-').unwrap_or((stated, ""));
    gem::package(name.trim_end(), version, platform, evidence)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const LOCK: &str = "GIT\n  remote: https://example.org/x.git\n  specs:\n    x (0.1.0)\n\nGEM\n  remote: https://rubygems.org/\n  specs:\n    nokogiri (1.15.4-x86_64-linux)\n      racc (~> 1.4)\n    racc (1.7.1)\n\nPLATFORMS\n  x86_64-linux\n\nDEPENDENCIES\n  nokogiri\n";

    #[test]
    fn gems_are_declared_with_their_platform() {
        check(
            &GemfileLock,
            "app/Gemfile.lock",
            LOCK,
            &[
                "gem/nokogiri@1.15.4?platform=x86_64-linux Declared",
                "gem/racc@1.7.1 Declared",
                "gem/x@0.1.0 Unmatched",
            ],
        );
        check(&GemfileLock, "usr/lib/ruby/gems/3.2.0/gems/a-1/Gemfile.lock", LOCK, &[]);
        check(&GemfileLock, "Gemfile.lock", "GEM\n  specs:\n    x\n", &["record-skipped"]);
    }

    #[test]
    fn gems_of_another_registry_name_it() {
        let private = "  remote: https://ci:secret@gems.acme.example/\n";
        let public = "  remote: https://rubygems.org/\n";
        for (remotes, expected) in [
            (private.to_owned(), "gem/a@1.0?repository_url=gems.acme.example Declared"),
            (public.to_owned(), "gem/a@1.0 Declared"),
            (format!("{private}{public}"), "gem/a@1.0 Declared"),
            (format!("{public}{private}"), "gem/a@1.0 Declared"),
            (
                format!("{private}  remote: https://other.example/\n"),
                "gem/a@1.0?repository_url=gems.acme.example Declared",
            ),
            (String::new(), "gem/a@1.0 Declared"),
        ] {
            check(
                &GemfileLock,
                "Gemfile.lock",
                &format!("GEM\n{remotes}  specs:\n    a (1.0)\n"),
                &[expected],
            );
        }
        let each = format!("GEM\n{private}  specs:\n    a (1.0)\n\nGEM\n{public}  specs:\n    b (1.0)\n");
        check(
            &GemfileLock,
            "Gemfile.lock",
            &each,
            &["gem/a@1.0?repository_url=gems.acme.example Declared", "gem/b@1.0 Declared"],
        );
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at in 0..LOCK.len(), byte: u8) {
            analyze(&GemfileLock, "Gemfile.lock", &content);
            let mut sample = LOCK.as_bytes().to_vec();
            sample[at] = byte;
            analyze(&GemfileLock, "Gemfile.lock", &sample);
        }
    }
}
