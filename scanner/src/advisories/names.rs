//! Package names as their ecosystems compare them: what looks different and is the same package.

use std::borrow::Cow;

use super::ecosystems;

/// The name under which a package of `ecosystem` is stored and looked up.
///
/// A repairer's ecosystem (`Root:PyPI`) compares as the one in it. PyPI: PEP 503. Packagist, NuGet, VSCode and GitHub ignore case. SwiftURL: without scheme and `.git`, and without case as SwiftPM
/// itself compares places. All others compare names byte by byte.
pub fn normalized<'a>(ecosystem: &str, name: &'a str) -> Cow<'a, str> {
    match base(ecosystems::inner(ecosystem).unwrap_or(ecosystem)) {
        "PyPI" | "PyPi" => pep503(name),
        "Packagist" | "NuGet" | "VSCode" | "GitHub Actions"
            if name.bytes().any(|byte| byte.is_ascii_uppercase()) =>
        {
            Cow::Owned(name.to_ascii_lowercase())
        }
        "SwiftURL" => {
            let name = name.strip_prefix("https://").unwrap_or(name);
            let name = name.strip_suffix(".git").unwrap_or(name);
            match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
                true => Cow::Owned(name.to_ascii_lowercase()),
                false => Cow::Borrowed(name),
            }
        }
        _ => Cow::Borrowed(name),
    }
}

/// The ecosystem without its release or repository: `Debian` of `Debian:12`.
pub fn base(ecosystem: &str) -> &str {
    ecosystem.split_once(':').map_or(ecosystem, |(base, _)| base)
}

/// PEP 503: lower case, every run of `-`, `_` and `.` is one `-`.
fn pep503(name: &str) -> Cow<'_, str> {
    let is_separator = |byte: u8| matches!(byte, b'-' | b'_' | b'.');
    let bytes = name.as_bytes();
    let doubled = bytes.windows(2).any(|pair| is_separator(pair[0]) && is_separator(pair[1]));
    let plain = |&byte: &u8| !byte.is_ascii_uppercase() && byte != b'_' && byte != b'.';
    if !doubled && bytes.iter().all(plain) {
        return Cow::Borrowed(name);
    }
    let mut normal = String::with_capacity(name.len());
    for character in name.chars() {
        if matches!(character, '-' | '_' | '.') {
            if !normal.ends_with('-') {
                normal.push('-');
            }
        } else {
            normal.push(character.to_ascii_lowercase());
        }
    }
    Cow::Owned(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_compare_as_their_ecosystem_compares_them() {
        for (ecosystem, name, expected) in [
            ("PyPI", "Flask.SQL__Alchemy", "flask-sql-alchemy"),
            ("PyPI", "a-_.b", "a-b"),
            ("Root:PyPI", "rootio_requests", "rootio-requests"),
            ("Echo:PyPi", "Flask_SQL", "flask-sql"),
            ("npm", "Foo", "Foo"),
            ("NuGet", "Newtonsoft.Json", "newtonsoft.json"),
            ("Packagist", "Symfony/HTTP-Kernel", "symfony/http-kernel"),
            ("GitHub Actions", "Tj-Actions/Changed-Files", "tj-actions/changed-files"),
            ("VSCode", "Acme/Theme", "acme/theme"),
            ("Go", "github.com/BurntSushi/toml", "github.com/BurntSushi/toml"),
            ("SwiftURL", "https://github.com/vapor/vapor.git", "github.com/vapor/vapor"),
            ("SwiftURL", "github.com/sparkle-project/Sparkle", "github.com/sparkle-project/sparkle"),
            ("Debian:12", "libC", "libC"),
        ] {
            assert_eq!(normalized(ecosystem, name), expected, "{ecosystem} {name}");
        }
    }
}
