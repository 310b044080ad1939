//! PEAR and PECL: each `.registry/**/*.reg` in, the one installed package that it describes out.
//!
//! The file is what PHP's `serialize` makes of the package's description: `name`, `channel` and
//! `version["release"]`; before package.xml 2.0 `package` and a `version` that is a text. Texts are written with their
//! length in bytes, so that nothing is searched for. Nobody publishes advisories about them in OSV's format.

use shared::model::package::{Evidence, Package, PackageKind};

use super::{Analyzer, Candidate, CapturedFile, FileClass, Found, Trigger, lock};
use crate::limits::Limits;

/// Reads the registry of PEAR.
pub struct Pear;

/// How deep arrays may be nested; real descriptions have a fifth of this.
const DEEPEST: usize = 64;

impl Analyzer for Pear {
    fn name(&self) -> &'static str {
        "pear"
    }

    fn version(&self) -> u32 {
        1
    }

    fn triggers(&self) -> &'static [Trigger] {
        &[Trigger::Extension(".reg")]
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        // Channels other than PEAR's own have a directory there: `.registry/.channel.pecl.php.net/`.
        memchr::memmem::find(file.path, b"/.registry/").is_some()
    }

    fn class(&self) -> FileClass {
        FileClass::Text
    }

    fn analyze(&self, file: &CapturedFile<'_>, limits: &Limits) -> Found {
        match Description::read(file.content) {
            Some(description) => {
                let mut entries = lock::Entries::new(file, limits);
                entries.add(description.package());
                entries.finish()
            }
            None => lock::unreadable(file, &"it is not what PHP's serialize writes"),
        }
    }
}

/// What matters of a package's description.
#[derive(Debug, Default, PartialEq, Eq)]
struct Description<'a> {
    name: Option<&'a [u8]>,
    channel: Option<&'a [u8]>,
    version: Option<&'a [u8]>,
    license: Option<&'a [u8]>,
}

/// One step through a serialised value.
enum Step<'a> {
    /// A text, or the number that is the key of an array's member, as it is written.
    Text(&'a [u8]),
    /// A number, a boolean or nothing.
    Other,
    Open,
    Close,
}

impl<'a> Description<'a> {
    /// `None` if the bytes are no serialised value of texts, numbers and arrays.
    fn read(content: &'a [u8]) -> Option<Self> {
        let mut description = Self::default();
        // The key whose value comes next, for each array that is open; none where a key comes next.
        let mut keys: Vec<Option<&'a [u8]>> = Vec::new();
        let mut rest = content;
        loop {
            let step = step(&mut rest)?;
            let depth = keys.len();
            match (step, keys.last_mut()) {
                (Step::Close, Some(None)) => {
                    keys.pop();
                    match keys.last_mut() {
                        Some(key) => *key = None,
                        None => return Some(description),
                    }
                }
                (Step::Open, None | Some(Some(_))) if depth < DEEPEST => keys.push(None),
                (Step::Text(key), Some(waiting @ None)) => *waiting = Some(key),
                (Step::Other, Some(waiting @ None)) => *waiting = Some(b""),
                (Step::Text(value), Some(Some(_))) => {
                    description.member(&keys, value);
                    *keys.last_mut()? = None;
                }
                (Step::Other, Some(waiting)) => *waiting = None,
                (Step::Open | Step::Close | Step::Text(_) | Step::Other, _) => return None,
            }
        }
    }

    fn member(&mut self, keys: &[Option<&[u8]>], value: &'a [u8]) {
        let member = match keys {
            [Some(b"name" | b"package")] => &mut self.name,
            [Some(b"channel")] => &mut self.channel,
            [Some(b"version")] | [Some(b"version"), Some(b"release")] => &mut self.version,
            [Some(b"license")] | [Some(b"license"), Some(b"_content")] => &mut self.license,
            _ => return,
        };
        member.get_or_insert(value);
    }

    fn package(&self) -> Option<Package> {
        let [name, version] = [self.name?, self.version?].map(String::from_utf8_lossy);
        let mut package = lock::package(PackageKind::Pear, &name, &version, Evidence::Installed)?;
        package.namespace = self.channel.map(|channel| String::from_utf8_lossy(channel).into_owned());
        package.licenses.extend(self.license.map(|license| String::from_utf8_lossy(license).into_owned()));
        Some(package)
    }
}

/// Takes one step off the front.
fn step<'a>(rest: &mut &'a [u8]) -> Option<Step<'a>> {
    let up_to = |rest: &mut &'a [u8], end: u8| {
        let at = memchr::memchr(end, rest)?;
        let taken = &rest[..at];
        *rest = &rest[at + 1..];
        Some(taken)
    };
    match *rest {
        [b's', b':', after @ ..] => {
            *rest = after;
            let length: usize = std::str::from_utf8(up_to(rest, b':')?).ok()?.parse().ok()?;
            let (text, after) = rest.strip_prefix(b"\"")?.split_at_checked(length)?;
            *rest = after.strip_prefix(b"\";")?;
            Some(Step::Text(text))
        }
        [b'a', b':', after @ ..] => {
            *rest = after;
            // How many members there are is seen when they end.
            up_to(rest, b':')?;
            *rest = rest.strip_prefix(b"{")?;
            Some(Step::Open)
        }
        [b'}', after @ ..] => {
            *rest = after;
            Some(Step::Close)
        }
        [b'i' | b'b' | b'd' | b'N', ..] => up_to(rest, b';').map(|_| Step::Other),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const XML_UTIL: &[u8] = include_bytes!("../../fixtures/xml_util.reg");
    const PATH: &str = "usr/share/php/.registry/xml_util.reg";

    #[test]
    fn a_registered_package_is_installed() {
        let found = analyze(&Pear, PATH, XML_UTIL);
        assert_eq!(found.packages[0].package.licenses, ["BSD License"]);
        check(
            &Pear,
            PATH,
            &String::from_utf8_lossy(XML_UTIL),
            &["pear/pear.php.net/XML_Util@1.4.5 Installed"],
        );
        let pecl = "usr/share/php/.registry/.channel.pecl.php.net/a.reg";
        let old = "a:2:{s:7:\"package\";s:6:\"xdebug\";s:7:\"version\";s:5:\"2.5.0\";}";
        check(&Pear, pecl, old, &["pear/xdebug@2.5.0 Installed"]);
        check(&Pear, "usr/share/php/.channels/pear.reg", old, &[]);
        check(&Pear, PATH, "a:1:{s:4:\"name\";s:1:\"a\";}", &["record-skipped"]);
    }

    #[test]
    fn what_php_would_not_write_is_said_to_be_unreadable() {
        let deep = format!("{}{}", "a:1:{i:0;".repeat(100), "}".repeat(100));
        for content in [
            "",
            "a:1:{",
            "s:9:\"a\";",
            "s:1:\"a\"",
            "a:1:{s:99999999999999999999:\"",
            "O:1:\"a\":0:{}",
            "}",
            &deep,
        ] {
            check(&Pear, PATH, content, &["analyzer-failed"]);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at in 0..XML_UTIL.len(), byte: u8, text in "([asib]:|[0-9{};\"N:]){0,40}") {
            analyze(&Pear, PATH, &content);
            analyze(&Pear, PATH, text.as_bytes());
            let mut sample = XML_UTIL.to_vec();
            sample[at] = byte;
            analyze(&Pear, PATH, &sample);
        }
    }
}
