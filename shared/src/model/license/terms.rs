//! What an SPDX expression asks for, term by term.
//!
//! A term is `Apache-2.0`, `Apache-2.0+`, `GPL-2.0-or-later` or `GPL-2.0-only WITH Classpath-exception-2.0`. Who takes a
//! term with *or later* may choose the version; an exception only ever adds a permission (SPDX 2.3 annex D).

use spdx::identifiers::LICENSES;
use spdx::{Expression, LicenseItem, LicenseReq};

/// What a package says about its licences.
#[derive(Clone, Debug, PartialEq)]
pub enum Stated {
    /// Nothing at all.
    Missing,
    /// Something that is no SPDX expression, at least in part.
    Unknown,
    /// An expression.
    Known(Terms),
}

/// An expression that can be asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms(Box<Expression>);

/// One term of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The licence as SPDX writes it: `MIT`, `GPL-2.0-or-later`, `Apache-2.0+`, `LicenseRef-ours`.
    pub license: String,
    /// The exception to it: `Classpath-exception-2.0`.
    pub exception: Option<String>,
    /// For *or later*: the listed licences of which one may be chosen. Empty otherwise.
    pub choices: Vec<&'static str>,
}

impl Stated {
    /// What a package's licence texts say together.
    pub fn of(texts: &[String]) -> Self {
        if texts.iter().all(|text| text.trim().is_empty()) {
            return Self::Missing;
        }
        match super::expression(texts).and_then(|text| Expression::parse(&text).ok()) {
            Some(parsed) if !parsed.requirements().any(|required| says_nothing(&required.req)) => {
                Self::Known(Terms(Box::new(parsed)))
            }
            Some(_) | None => Self::Unknown,
        }
    }
}

/// SPDX documents have two words for a licence that nobody has found.
fn says_nothing(required: &LicenseReq) -> bool {
    matches!(required.license.to_string().as_str(), "NONE" | "NOASSERTION")
}

impl Terms {
    /// Whether somebody who takes the terms that `takes` says may use the package: of `AND` both are needed, of `OR` one.
    pub fn are_met(&self, mut takes: impl FnMut(&Term) -> bool) -> bool {
        self.0.evaluate(|required| takes(&Term::of(required)))
    }
}

impl std::fmt::Display for Terms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Term {
    fn of(required: &LicenseReq) -> Self {
        let license = required.license.to_string();
        let choices = match &required.license {
            LicenseItem::Spdx { .. } => choices(&license),
            LicenseItem::Other(_) => Vec::new(),
        };
        Self { license, exception: required.addition.as_ref().map(ToString::to_string), choices }
    }
}

/// The licences that `GPL-2.0-or-later` or `Apache-2.0+` lets one choose from.
fn choices(license: &str) -> Vec<&'static str> {
    // GNU's licences have an identifier for each version alone; the others are called by it.
    let (first, ending) = match (license.strip_suffix("-or-later"), license.strip_suffix('+')) {
        (Some(first), _) => (first, "-only"),
        (None, Some(first)) => (first, ""),
        (None, None) => return Vec::new(),
    };
    let names = LICENSES.iter().map(|license| license.name);
    names.filter(|name| name.strip_suffix(ending).is_some_and(|name| is_or_follows(name, first))).collect()
}

/// Whether the names differ in nothing but a later version: `LGPL-3.0` follows `LGPL-2.1`.
fn is_or_follows(name: &str, first: &str) -> bool {
    let is_version = |part: &str| part.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit());
    let (mut parts, mut wanted) = (name.split('-'), first.split('-'));
    loop {
        match (parts.next(), wanted.next()) {
            (None, None) => return true,
            (Some(part), Some(wanted)) if part == wanted => {}
            (Some(part), Some(wanted)) if is_version(part) && is_version(wanted) => {
                let numbers =
                    |text: &str| text.split('.').map(|part| part.parse().ok()).collect::<Vec<Option<u32>>>();
                if numbers(part) < numbers(wanted) {
                    return false;
                }
            }
            (Some(_) | None, Some(_) | None) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stated(text: &str) -> Stated {
        Stated::of(&[text.to_owned()])
    }

    #[test]
    fn nothing_and_nothing_understood_are_different() {
        assert_eq!(Stated::of(&[]), Stated::Missing);
        assert_eq!(stated("  "), Stated::Missing);
        for text in
            ["see LICENSE", "UNLICENSED", "MIT AND", "NOASSERTION", "NONE", "MIT OR NONE", "GPL-9.0-only"]
        {
            assert_eq!(stated(text), Stated::Unknown, "{text}");
        }
        assert_eq!(Stated::of(&["MIT".to_owned(), "custom".to_owned()]), Stated::Unknown);
        assert!(matches!(stated("LicenseRef-ours"), Stated::Known(_)));
    }

    #[test]
    fn operators_bind_as_the_specification_says() {
        for (text, taken, expected) in [
            ("MIT", "MIT", true),
            ("MIT OR GPL-3.0-only", "MIT", true),
            ("MIT AND GPL-3.0-only", "MIT", false),
            ("MIT AND GPL-3.0-only", "MIT GPL-3.0-only", true),
            ("GPL-3.0-only OR MIT AND ISC", "MIT", false),
            ("GPL-3.0-only OR MIT AND ISC", "MIT ISC", true),
            ("(GPL-3.0-only OR MIT) AND ISC", "MIT", false),
            ("(GPL-3.0-only OR MIT) AND ISC", "MIT ISC", true),
        ] {
            let Stated::Known(terms) = stated(text) else { panic!("{text}") };
            let met = terms.are_met(|term| taken.split(' ').any(|taken| taken == term.license));
            assert_eq!(met, expected, "{text} with {taken}");
        }
    }

    #[test]
    fn or_later_is_a_choice_among_versions() {
        for (text, license, exception, expected) in [
            ("MIT", "MIT", None, vec![]),
            ("GPL-2.0-only", "GPL-2.0-only", None, vec![]),
            ("GPL-2.0-or-later", "GPL-2.0-or-later", None, vec!["GPL-2.0-only", "GPL-3.0-only"]),
            ("GPL-2.0+", "GPL-2.0-or-later", None, vec!["GPL-2.0-only", "GPL-3.0-only"]),
            ("LGPL-2.1-or-later", "LGPL-2.1-or-later", None, vec!["LGPL-2.1-only", "LGPL-3.0-only"]),
            ("Apache-1.1+", "Apache-1.1+", None, vec!["Apache-1.1", "Apache-2.0"]),
            (
                "GPL-2.0-only WITH Classpath-exception-2.0",
                "GPL-2.0-only",
                Some("Classpath-exception-2.0"),
                vec![],
            ),
            ("LicenseRef-ours", "LicenseRef-ours", None, vec![]),
        ] {
            let Stated::Known(terms) = stated(text) else { panic!("{text}") };
            let mut seen = Vec::new();
            terms.are_met(|term| {
                seen.push(term.clone());
                true
            });
            let term = Term {
                license: license.to_owned(),
                exception: exception.map(str::to_owned),
                choices: expected,
            };
            assert_eq!(seen, [term], "{text}");
        }
    }

    proptest! {
        #[test]
        fn i7_no_text_panics(text in "(\\PC{0,40}|[A-Z0-9.+() -]{0,40}|((MIT|GPL-2.0\\+|WITH|AND|OR|\\(|\\)) ){0,12})") {
            if let Stated::Known(terms) = stated(&text) {
                prop_assert!(terms.are_met(|_| true) && !terms.are_met(|_| false));
            }
        }
    }
}
