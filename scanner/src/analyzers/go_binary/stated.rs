//! The version that whoever built a program gave it: `-ldflags "-X main.version=v1.2.3"`, as most releases do. A build
//! setting is no proof of a release: it names the program in an inventory, and nothing is matched by it.
//!
//! Lines of settings: Go's `runtime/debug`, `BuildInfo.String`; flags: `go help build`, `go tool link`.

/// What variables with a program's own version are called; others are those of Go, of an API or of what it needs.
const NAMES: [&str; 6] = ["version", "gitversion", "buildversion", "appversion", "releaseversion", "semver"];

/// The version in a build's settings. `None` if there is none, or several that differ.
pub(super) fn version(lines: &str) -> Option<String> {
    let mut flags = lines.lines().filter_map(|line| line.strip_prefix("build\t-ldflags="));
    let words = words(&unquoted(flags.next()?));
    let mut versions: Vec<&str> = words.iter().filter_map(|word| assigned(word)).collect();
    versions.sort_unstable();
    versions.dedup();
    match versions[..] {
        [version] => Some(version.to_owned()),
        _ => None,
    }
}

/// The version that a word `import/path.name=value` gives, alone or behind its `-X`.
fn assigned(word: &str) -> Option<&str> {
    let (variable, value) = word.split_once('=')?;
    // `-X=main.version=1.2.3`.
    let (variable, value) = match variable {
        "-X" => value.split_once('=')?,
        _ => (variable, value),
    };
    let name = variable.rsplit(['.', '/']).next().unwrap_or(variable).to_ascii_lowercase();
    let numbers = value.strip_prefix('v').unwrap_or(value);
    let is_of_version = |c: char| c.is_ascii_alphanumeric() || "._+-~".contains(c);
    let is_version = numbers.starts_with(|c: char| c.is_ascii_digit())
        && numbers.contains('.')
        && value.len() <= 100
        && value.chars().all(is_of_version);
    (NAMES.contains(&name.as_str()) && is_version).then_some(value)
}

/// A setting as it was given: with spaces in it, Go writes it in quotes and with backslashes before those in it.
fn unquoted(setting: &str) -> String {
    let Some(quoted) = setting.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return setting.to_owned();
    };
    quoted.replace("\\\"", "\"").replace("\\\\", "\\")
}

/// Flags, separated by white space where it does not stand in quotes.
fn words(flags: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for character in flags.chars() {
        match (quote, character) {
            (Some(open), character) if open == character => quote = None,
            (None, '"' | '\'') => quote = Some(character),
            (None, character) if character.is_whitespace() => words.push(String::new()),
            (_, character) => words.last_mut().expect("there is one").push(character),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_version_is_read_out_of_the_linker_s_flags() {
        for (flags, expected) in [
            (r#""-s -w -X main.version=v1.2.3 -X main.commit=abc1234""#, Some("v1.2.3")),
            (r#""-X 'example.org/app/cmd.Version=1.2.3-rc.1+7' -X \"main.date=a b\"""#, Some("1.2.3-rc.1+7")),
            ("-X=k8s.io/component-base/version.gitVersion=v1.29.0", Some("v1.29.0")),
            (r#""-X a.version=1.0 -X b.Version=1.0""#, Some("1.0")),
            (r#""-X a.version=1.0 -X b.version=2.0""#, None),
            (r#""-X main.goVersion=1.22.1 -X a.apiVersion=1.0""#, None),
            (r#""-X main.version=dev""#, None),
            (r#""-X main.version=20240101""#, None),
            (r#""-X main.version=1.0;rm""#, None),
            ("-s", None),
            ("", None),
        ] {
            let lines =
                format!("path\ta\nbuild\t-buildmode=exe\nbuild\t-ldflags={flags}\nbuild\tGOOS=linux\n");
            assert_eq!(version(&lines).as_deref(), expected, "{flags}");
        }
        assert_eq!(version("build\tCGO_LDFLAGS=-X a.version=1.0\n"), None);
    }

    proptest! {
        #[test]
        fn i7_no_flags_panic(flags in "\\PC{0,80}") {
            version(&format!("build\t-ldflags={flags}"));
        }
    }
}
