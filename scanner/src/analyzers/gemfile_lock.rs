//! Bundler's `Gemfile.lock`: the gems that it declares.
//!
//! Sections begin at the margin; `GEM` lists what comes from a registry, each gem four blanks deep:
//! `name (version[-platform])`. `GIT` and `PATH` list what comes from elsewhere.

use shared::model::package::Evidence;

use super::lock::{Entries, PackageList, Unreadable};
use super::{Trigger, gem};

/// Reads `Gemfile.lock` and `gems.locked`.
pub struct GemfileLock;

impl PackageList for GemfileLock {
    const NAME: &'static str = "gemfile-lock";
    const TRIGGERS: &'static [Trigger] = &[Trigger::Name("Gemfile.lock"), Trigger::Name("gems.locked")];

    fn read(_path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        let mut evidence = None;
        for line in text.lines() {
            if !line.starts_with(' ') {
                evidence = match line.trim_end() {
                    "GEM" => Some(Evidence::Declared),
                    "GIT" | "PATH" | "PLUGIN SOURCE" => Some(Evidence::Unmatched),
                    _ => None,
                };
                continue;
            }
            let gem = line.strip_prefix("    ").filter(|rest| !rest.starts_with(' '));
            if let (Some(evidence), Some(gem)) = (evidence, gem) {
                let (name, rest) = gem.split_once(" (").unwrap_or((gem, ""));
                let stated = rest.trim_end().trim_end_matches(')');
                let (version, platform) = stated.split_once('-').unwrap_or((stated, ""));
                entries.add(gem::package(name.trim_end(), version, platform, evidence));
            }
        }
        Ok(())
    }
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
