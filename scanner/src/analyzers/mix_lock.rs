//! Lock files of Erlang and Elixir projects, `rebar.lock` and `mix.lock`: the Hex packages that they declare.
//!
//! `mix.lock` is an Elixir map, `"app" => {:hex, :package, "version", checksum, managers, dependencies,
//! repository, checksum}`; `rebar.lock` holds Erlang tuples, `{<<"app">>, {pkg, <<"package">>, <<"version">>},
//! level}`, since rebar3 3.0 in a tuple whose first element is the file's own version. What comes from a repository
//! of source code is not the package that Hex calls so and has no version.

use shared::model::package::{Evidence, Package, PackageKind};

use super::Trigger;
use super::lock::{self, Entries, PackageList, Unreadable};
use super::terms::{self, Term};

/// Reads `mix.lock` and `rebar.lock`.
pub struct MixLock;

impl PackageList for MixLock {
    const NAME: &'static str = "mix-lock";
    const TRIGGERS: &'static [Trigger] = &[Trigger::Name("mix.lock"), Trigger::Name("rebar.lock")];

    /// Both tools keep the sources of dependencies, with their lock files, below `deps` or `_build`.
    fn is_one(path: &str) -> bool {
        lock::is_own(path) && path.split('/').all(|part| part != "deps" && part != "_build")
    }

    fn read(path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        let (notation, read): (_, ReadTuple) = match lock::file_name(path) {
            "mix.lock" => (terms::ELIXIR, mix),
            _ => (terms::ERLANG, rebar),
        };
        for group in terms::groups(&terms::parse(text, &notation)?) {
            let elements: Vec<&[Term<'_>]> = terms::elements(group).take(MOST_ELEMENTS).collect();
            if let Some(Locked(package)) = read(&elements) {
                entries.add(package);
            }
        }
        Ok(())
    }
}

/// How many elements of a tuple are looked at.
const MOST_ELEMENTS: usize = 8;

/// What a tuple says, if it locks a package.
type ReadTuple = fn(&[&[Term<'_>]]) -> Option<Locked>;

/// A tuple that locks a package; `None` in it if it names none.
struct Locked(Option<Package>);

fn mix(tuple: &[&[Term<'_>]]) -> Option<Locked> {
    // A dependency of a dependency begins with `:hex` as well if it is called so; a requirement follows it then.
    let is_hex = tuple.first().is_some_and(|first| matches!(first, [Term::Mark(':'), Term::Word("hex")]));
    let name = tuple.get(1).filter(|name| is_hex && name.first() == Some(&Term::Mark(':')))?;
    let repository = tuple.get(6).and_then(|repository| terms::text(repository)).unwrap_or("hexpm");
    let evidence = if repository == "hexpm" { Evidence::Declared } else { Evidence::Unmatched };
    let version = tuple.get(2).and_then(|version| terms::text(version));
    Some(Locked(package(terms::text(name), version, evidence)))
}

fn rebar(tuple: &[&[Term<'_>]]) -> Option<Locked> {
    let [[Term::Word("pkg")], name, version, ..] = tuple else { return None };
    Some(Locked(package(terms::text(name), terms::text(version), Evidence::Declared)))
}

fn package(name: Option<&str>, version: Option<&str>, evidence: Evidence) -> Option<Package> {
    lock::package(PackageKind::Hex, name?, version?, evidence)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const MIX: &str = r#"%{
  "cowboy": {:hex, :cowboy, "2.9.0", "865dd8b6", [:make, :rebar3], [{:cowlib, "2.11.0", [hex: :cowlib, repo: "hexpm", optional: false]}], "hexpm", "2c729f93"},
  "cow_lib": {:hex, :cowlib, "2.11.0", "0b9ff9c3", [:make, :rebar3], [], "hexpm", "2b3e9da0"},
  "local": {:git, "https://example.org/local.git", "119234548783af19b8ec75c879c5062676b92571", [branch: "main"]},
  "plug": {:hex, :plug, "1.1.6", "8927e410", [:mix], [{:hex, "~> 1.0", [hex: :hex]}]},
  "secret": {:hex, :secret, "0.1.0", "00", [:mix], [], "hexpm:acme", "00"},
}
"#;
    const REBAR: &str = r#"{"1.2.0",
[{<<"cowboy">>,{pkg,<<"cowboy">>,<<"2.9.0">>},0},
 {<<"cow_lib">>,{pkg,<<"cowlib">>,<<"2.11.0">>},1},
 {<<"edown">>,{git,"https://example.org/edown.git",{ref,"754be25f"}},1}]}.
[
{pkg_hash,[
 {<<"cowboy">>, <<"865DD8B6">>},
 {<<"cowlib">>, <<"0B9FF9C3">>}]}
].
"#;

    #[test]
    fn packages_of_hex_are_declared_and_source_code_is_not() {
        check(
            &MixLock,
            "app/mix.lock",
            MIX,
            &[
                "hex/cowboy@2.9.0 Declared",
                "hex/cowlib@2.11.0 Declared",
                "hex/plug@1.1.6 Declared",
                "hex/secret@0.1.0 Unmatched",
            ],
        );
        check(
            &MixLock,
            "app/rebar.lock",
            REBAR,
            &["hex/cowboy@2.9.0 Declared", "hex/cowlib@2.11.0 Declared"],
        );
        check(
            &MixLock,
            "app/rebar.lock",
            "[{<<\"a\">>,{pkg,<<\"b\">>,<<\"1.0.0\">>},0}].\n",
            &["hex/b@1.0.0 Declared"],
        );
        check(&MixLock, "app/rebar.lock", "[].\n", &[]);
        check(&MixLock, "app/deps/plug/mix.lock", MIX, &[]);
        check(&MixLock, "mix.lock", "%{\"a\": {:hex, :a}}", &["record-skipped"]);
        check(&MixLock, "mix.lock", "%{", &["analyzer-failed"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at in 0..REBAR.len(), byte: u8) {
            for (path, sample) in [("mix.lock", MIX), ("rebar.lock", REBAR)] {
                analyze(&MixLock, path, &content);
                let mut sample = sample.as_bytes().to_vec();
                sample[at] = byte;
                analyze(&MixLock, path, &sample);
            }
        }
    }
}
