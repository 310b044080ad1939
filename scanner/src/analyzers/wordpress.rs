//! WordPress: the core, its plugins and its themes. Nobody publishes advisories about them in OSV's format.
//!
//! The core states `$wp_version` in `wp-includes/version.php`. A plugin is the PHP file with a header `Plugin Name:`, a
//! theme a `style.css` with `Theme Name:`; headers stand in a comment within the first 8 KiB. What both are called by
//! the directory of wordpress.org is the name of their directory. Format: Plugin and Theme Handbook, "Header Requirements".

use shared::model::package::{Evidence, PackageKind};

use super::Trigger;
use super::lock::{self, Entries, PackageList, Unreadable};
use super::terms::{self, Term};

/// Reads WordPress.
pub struct WordPress;

/// Where WordPress stops looking for headers, in bytes.
const HEADER: usize = 8 << 10;

/// What a file can be, by where it lies.
enum Place<'p> {
    Core,
    /// With the name of its directory.
    Plugin(&'p str),
    Theme(&'p str),
}

impl PackageList for WordPress {
    const NAME: &'static str = "wordpress";
    const TRIGGERS: &'static [Trigger] = &[Trigger::Extension(".php"), Trigger::Name("style.css")];

    fn is_one(path: &str) -> bool {
        place(path).is_some()
    }

    fn read(path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        let mut end = text.len().min(HEADER);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let head = &text[..end];
        let (kind, name, version) = match place(path) {
            Some(Place::Core) => (PackageKind::Generic, "wordpress", core_version(text)?),
            Some(Place::Plugin(slug)) if header(head, "Plugin Name").is_some() => {
                (PackageKind::WordPressPlugin, slug, header(head, "Version").map(str::to_owned))
            }
            Some(Place::Theme(slug)) if header(head, "Theme Name").is_some() => {
                (PackageKind::WordPressTheme, slug, header(head, "Version").map(str::to_owned))
            }
            Some(Place::Plugin(_) | Place::Theme(_)) | None => return Ok(()),
        };
        // The core is a program that no package manager knows; the others are installed as what they are.
        let evidence = if kind == PackageKind::Generic { Evidence::Recognised } else { Evidence::Installed };
        entries.add(lock::package(kind, name, &version.unwrap_or_default(), evidence));
        Ok(())
    }
}

fn place(path: &str) -> Option<Place<'_>> {
    let mut parts = path.rsplit('/');
    let (file, parent) = (parts.next()?, parts.next()?);
    if file == "version.php" && parent == "wp-includes" {
        return Some(Place::Core);
    }
    let (kind, content) = (parts.next()?, parts.next());
    let is_php = file.ends_with(".php");
    match (kind, content) {
        ("plugins" | "mu-plugins", Some("wp-content")) if is_php => Some(Place::Plugin(parent)),
        ("themes", Some("wp-content")) if file == "style.css" => Some(Place::Theme(parent)),
        // A plugin of one file lies among the directories of the others.
        ("wp-content", _) if is_php && matches!(parent, "plugins" | "mu-plugins") => {
            file.strip_suffix(".php").map(Place::Plugin)
        }
        _ => None,
    }
}

/// `$wp_version = '6.4.2';`
fn core_version(text: &str) -> Result<Option<String>, Unreadable> {
    let parsed = terms::parse(text, &terms::PHP)?;
    let assigned = parsed.windows(3).find_map(|words| match words {
        [Term::Word("wp_version"), Term::Mark('='), Term::Text(version)] => {
            Some(version.clone().into_owned())
        }
        _ => None,
    });
    Ok(assigned)
}

/// The value of a header: its name stands first in a line, but for what decorates a comment.
fn header<'t>(head: &'t str, name: &str) -> Option<&'t str> {
    head.lines().find_map(|line| {
        let line = line.trim_start().strip_prefix("<?php").unwrap_or(line);
        let (stated, value) = line.trim_start_matches([' ', '\t', '/', '*', '#', '@']).split_once(':')?;
        let value = value.trim().trim_end_matches("*/").trim_end();
        (stated.eq_ignore_ascii_case(name) && !value.is_empty()).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const PLUGIN: &str = "<?php\n/**\n * @package Akismet\n */\n/*\nPlugin Name: Akismet Anti-Spam\nPlugin URI: https://akismet.com/\nVersion: 5.3.1\nLicense: GPLv2 or later\n*/\n";
    const CORE: &str =
        "<?php\n/**\n * It's the version.\n */\n$wp_version = '6.4.2';\n$wp_db_version = 56657;\n";

    #[test]
    fn core_plugins_and_themes_are_named_by_their_places() {
        check(
            &WordPress,
            "var/www/html/wp-includes/version.php",
            CORE,
            &["generic/wordpress@6.4.2 Recognised"],
        );
        let plugins = "var/www/html/wp-content/plugins";
        check(
            &WordPress,
            &format!("{plugins}/akismet/akismet.php"),
            PLUGIN,
            &["wordpress-plugin/akismet@5.3.1 Installed"],
        );
        check(
            &WordPress,
            &format!("{plugins}/hello.php"),
            PLUGIN,
            &["wordpress-plugin/hello@5.3.1 Installed"],
        );
        check(&WordPress, &format!("{plugins}/akismet/index.php"), "<?php\n", &[]);
        check(&WordPress, &format!("{plugins}/akismet/views/a.php"), PLUGIN, &[]);
        let late = format!("{}{PLUGIN}", " \n".repeat(HEADER));
        check(&WordPress, &format!("{plugins}/akismet/akismet.php"), &late, &[]);
        let theme = "/*\nTheme Name: Twenty Ten\nVersion: 4.0 */\n";
        let path = "var/www/html/wp-content/themes/twentyten/style.css";
        check(&WordPress, path, theme, &["wordpress-theme/twentyten@4.0 Installed"]);
        check(&WordPress, path, "body {}", &[]);
        check(&WordPress, path, "/* Theme Name: A */", &["record-skipped"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, text in "(é|[*/: a\n]){0,60}", at in 0..PLUGIN.len(), byte: u8) {
            for path in ["wp-includes/version.php", "wp-content/plugins/a/a.php", "wp-content/themes/a/style.css"] {
                analyze(&WordPress, path, &content);
                analyze(&WordPress, path, text.repeat(300).as_bytes());
                let mut sample = PLUGIN.as_bytes().to_vec();
                sample[at] = byte;
                analyze(&WordPress, path, &sample);
            }
        }
    }
}
