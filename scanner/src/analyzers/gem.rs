//! RubyGems: the `*.gemspec` that is written beside each installed gem in, the gem out.
//!
//! Installing writes a stub line, `# stub: name version platform paths`, which RubyGems itself reads instead of
//! evaluating the file. A specification without it is read line by line; nothing is evaluated. Default gems have
//! theirs in `specifications/default` and stay on disk when a newer gem shadows them.

use shared::model::package::{Evidence, Package, PackageKind};
use shared::model::problem::{Problem, ProblemKind};

use super::{Analyzer, Candidate, CapturedFile, FileClass, Found, Trigger, lock};
use crate::limits::Limits;

/// Reads the specifications of installed gems.
pub struct Gem;

impl Analyzer for Gem {
    fn name(&self) -> &'static str {
        "gem"
    }

    fn version(&self) -> u32 {
        1
    }

    fn triggers(&self) -> &'static [Trigger] {
        &[Trigger::Parent("specifications"), Trigger::Parent("specifications/default")]
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        file.path.ends_with(b".gemspec")
    }

    fn class(&self) -> FileClass {
        FileClass::Text
    }

    fn analyze(&self, file: &CapturedFile<'_>, _limits: &Limits) -> Found {
        let text = lock::text(file.content);
        let stated = stub(&text).or_else(|| assigned(&text));
        let Some(mut package) = stated else {
            let detail = "the specification of a gem states no name or no version";
            return Found::problem(Problem::new(ProblemKind::AnalyzerFailed, detail).at(file.path));
        };
        package.licenses = licenses(&text);
        let mut found = Found::default();
        found.push(package);
        found
    }
}

/// A gem by name, version and platform; `None` if RubyGems allows no such name or version.
pub(super) fn package(name: &str, version: &str, platform: &str, evidence: Evidence) -> Option<Package> {
    let is_name = !name.is_empty()
        && name.len() <= 256
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let is_version = version.starts_with(|first: char| first.is_ascii_digit())
        && version.len() <= 128
        && version.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    let mut package =
        (is_name && is_version).then(|| Package::new(PackageKind::Gem, name, version, evidence))?;
    package.architecture = Some(platform.to_owned()).filter(|name| !name.is_empty() && name != "ruby");
    Some(package)
}

/// How many lines at the top may hold the stub.
const STUB_LINES: usize = 4;

fn stub(text: &str) -> Option<Package> {
    let stub = text.lines().take(STUB_LINES).find_map(|line| line.strip_prefix("# stub: "))?;
    let mut words = stub.split(' ');
    package(words.next()?, words.next()?, words.next().unwrap_or_default().trim(), Evidence::Installed)
}

/// `s.name = "x".freeze`, `s.version = Gem::Version.new("1.2")`.
fn assigned(text: &str) -> Option<Package> {
    let value = |field: &str| value_of(text, field).and_then(|value| quoted(value).next());
    let platform = value("platform").unwrap_or_default();
    package(value("name")?, value("version")?, platform, Evidence::Installed)
}

fn licenses(text: &str) -> Vec<String> {
    let stated = value_of(text, "licenses").or_else(|| value_of(text, "license"));
    let names = stated.into_iter().flat_map(quoted).filter(|name| !name.is_empty() && name.len() <= 200);
    names.take(16).map(str::to_owned).collect()
}

/// The right side of the first assignment to a member.
fn value_of<'a>(text: &'a str, field: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (left, right) = line.split_once('=')?;
        let (_, member) = left.trim().rsplit_once('.')?;
        (member == field).then(|| right.trim())
    })
}

/// The string literals of a line.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    let quote = line.find(['"', '\'']).map_or('"', |at| char::from(line.as_bytes()[at]));
    line.split(quote).skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::lock::sample::{analyze, check};
    use super::*;

    const PATH: &str = "usr/lib/ruby/gems/3.2.0/specifications/rack-3.0.8.gemspec";
    const SPEC: &str = "# -*- encoding: utf-8 -*-\n# stub: rack 3.0.8 ruby lib\n\nGem::Specification.new do |s|\n  s.name = \"rack\".freeze\n  s.version = \"3.0.8\"\n  s.licenses = [\"MIT\".freeze, \"Ruby\".freeze]\nend\n";

    #[test]
    fn a_stub_names_the_gem() {
        check(&Gem, PATH, SPEC, &["gem/rack@3.0.8 Installed"]);
        assert_eq!(analyze(&Gem, PATH, SPEC.as_bytes()).packages[0].package.licenses, ["MIT", "Ruby"]);
        let native = SPEC.replace("3.0.8 ruby lib", "3.0.8 x86_64-linux lib");
        check(&Gem, PATH, &native, &["gem/rack@3.0.8?platform=x86_64-linux Installed"]);
    }

    #[test]
    fn a_default_gem_and_the_gem_that_shadows_it_are_both_listed() {
        let default = "lib/ruby/gems/3.2.0/specifications/default/json-2.6.3.gemspec";
        check(&Gem, default, "# stub: json 2.6.3 ruby lib", &["gem/json@2.6.3 Installed"]);
        check(
            &Gem,
            &default.replace("default/", ""),
            "# stub: json 2.7.0 ruby lib",
            &["gem/json@2.7.0 Installed"],
        );
    }

    #[test]
    fn without_a_stub_literals_are_read_and_nothing_is_evaluated() {
        let spec =
            "Gem::Specification.new do |s|\n s.name = 'rack'\n s.version = Gem::Version.new(\"1.2\")\nend";
        check(&Gem, PATH, spec, &["gem/rack@1.2 Installed"]);
        check(&Gem, PATH, "s.name = 'a'\ns.version = A::VERSION", &["analyzer-failed"]);
        check(&Gem, "src/rack.gemspec/README", SPEC, &[]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at in 0..SPEC.len(), byte: u8) {
            analyze(&Gem, PATH, &content);
            let mut sample = SPEC.as_bytes().to_vec();
            sample[at] = byte;
            analyze(&Gem, PATH, &sample);
        }
    }
}
