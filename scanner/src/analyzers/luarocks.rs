//! LuaRocks: the rocks that are installed in a tree.
//!
//! A tree keeps each rock's `rocks*/name/version-revision/name-version-revision.rockspec`; its path says all. The
//! `manifest` of the tree lists the same, `repository = {name = {["version"] = {…}}}`, and counts where rockspecs were
//! removed: like a declaration. Format: LuaRocks' documentation, "Rockspec format" and "Rocks repositories".

use shared::model::package::{Evidence, PackageKind};

use super::Trigger;
use super::lock::{self, Entries, PackageList, Unreadable};
use super::terms::{self, Term};

/// Reads the trees of LuaRocks.
pub struct LuaRocks;

impl PackageList for LuaRocks {
    const NAME: &'static str = "luarocks";
    const TRIGGERS: &'static [Trigger] = &[Trigger::Extension(".rockspec"), Trigger::Name("manifest")];

    fn is_one(path: &str) -> bool {
        let mut parts = path.rsplit('/').skip(1);
        match path.ends_with(".rockspec") {
            true => parts.nth(2).is_some_and(is_tree),
            false => parts.next().is_some_and(is_tree),
        }
    }

    fn read(path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        if path.ends_with(".rockspec") {
            let mut parts = path.rsplit('/').skip(1);
            let (version, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            entries.add(lock::package(PackageKind::LuaRocks, name, version, Evidence::Installed));
            return Ok(());
        }
        let parsed = terms::parse(text, &terms::LUA)?;
        // `repository = {…}` stands at the top.
        let at = parsed.iter().position(|term| *term == Term::Word("repository"));
        let rocks = at.and_then(|at| parsed.get(at + 2)?.group()).unwrap_or_default();
        for (name, versions) in members(rocks) {
            for (version, _) in members(versions) {
                entries.add(lock::package(PackageKind::LuaRocks, name, version, Evidence::Declared));
            }
        }
        Ok(())
    }
}

/// `rocks`, `rocks-5.1`.
fn is_tree(directory: &str) -> bool {
    directory == "rocks" || directory.starts_with("rocks-")
}

/// The members of a table that are tables: `name = {…}` and `["name"] = {…}`.
fn members<'t, 'a>(table: &'t [Term<'a>]) -> impl Iterator<Item = (&'t str, &'t [Term<'a>])> {
    terms::elements(table).filter_map(|element| {
        let name = match element.first()? {
            Term::Group(_, key) => terms::text(key)?,
            key @ (Term::Text(_) | Term::Word(_) | Term::Mark(_)) => key.text()?,
        };
        Some((name, element.last()?.group()?))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const MANIFEST: &str = "commands = {}\ndependencies = {\n   lpeg = {\n      [\"1.1.0-1\"] = {}\n   }\n}\nrepository = {\n   lpeg = {\n      [\"1.1.0-1\"] = {\n         {\n            arch = \"installed\",\n            commands = {},\n            modules = {\n               lpeg = \"lpeg.so\"\n            }\n         }\n      }\n   },\n   [\"lua-cjson\"] = {\n      [\"2.1.0.10-1\"] = {\n         {\n            arch = \"installed\"\n         }\n      }\n   }\n}\n";

    #[test]
    fn a_rock_is_where_its_rockspec_lies() {
        let path = "usr/local/lib/luarocks/rocks-5.1/lpeg/1.1.0-1/lpeg-1.1.0-1.rockspec";
        check(&LuaRocks, path, "package = \"LPeg\"\n", &["luarocks/lpeg@1.1.0-1 Installed"]);
        check(&LuaRocks, "src/lpeg/lpeg-1.1.0-1.rockspec", "", &[]);
    }

    #[test]
    fn the_manifest_of_a_tree_lists_its_rocks() {
        let path = "usr/local/lib/luarocks/rocks-5.1/manifest";
        check(
            &LuaRocks,
            path,
            MANIFEST,
            &["luarocks/lpeg@1.1.0-1 Declared", "luarocks/lua-cjson@2.1.0.10-1 Declared"],
        );
        check(&LuaRocks, "app/manifest", MANIFEST, &[]);
        check(&LuaRocks, path, "repository = {", &["analyzer-failed"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, path in "(rocks|[a/.]){0,8}\\.rockspec", at in 0..MANIFEST.len(), byte: u8) {
            analyze(&LuaRocks, "rocks/manifest", &content);
            analyze(&LuaRocks, &path, &content);
            let mut sample = MANIFEST.as_bytes().to_vec();
            sample[at] = byte;
            analyze(&LuaRocks, "rocks/manifest", &sample);
        }
    }
}
