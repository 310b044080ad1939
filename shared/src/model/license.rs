//! Licences: what package metadata says, as one SPDX expression where it is one.
//!
//! Format: SPDX 2.3 annex D, with the licence list that the `spdx` crate carries. Metadata is full of texts that
//! people understand and the grammar does not; those stay texts, because a guessed licence is worse than none.

use spdx::identifiers::LICENSES;
use spdx::{Expression, ParseMode};

mod terms;

pub use terms::{Stated, Term, Terms};

/// Longer texts are no expressions; they are licences pasted whole.
const LONGEST_EXPRESSION: usize = 1000;

/// The SPDX expression of a package, if every one of its licence texts is an expression or the common name of a
/// licence: `MIT`, `Apache-2.0 OR MIT`. Several texts hold together: `A AND B`.
///
/// ```
/// # use shared::model::license::expression;
/// assert_eq!(expression(&["Apache 2.0".into()]).as_deref(), Some("Apache-2.0"));
/// assert_eq!(expression(&["MIT".into(), "GPL-2.0+".into()]).as_deref(), Some("MIT AND GPL-2.0-or-later"));
/// assert_eq!(expression(&["see LICENSE".into()]), None);
/// ```
pub fn expression(texts: &[String]) -> Option<String> {
    let parts: Option<Vec<String>> = texts.iter().map(|text| canonical(text)).collect();
    let mut parts = parts?;
    parts.dedup();
    match parts.as_slice() {
        [] => None,
        [only] => Some(only.clone()),
        several => {
            let grouped = several.iter().map(|part| match part.contains(" OR ") {
                true => format!("({part})"),
                false => part.clone(),
            });
            Some(grouped.collect::<Vec<_>>().join(" AND "))
        }
    }
}

/// The identifiers in an expression, for example `MIT` and `Apache-2.0` of `MIT OR Apache-2.0`; the text
/// itself where it is no expression.
pub fn identifiers(text: &str) -> Vec<String> {
    let Some(parsed) = canonical(text).and_then(|text| Expression::parse(&text).ok()) else {
        return vec![text.to_owned()];
    };
    parsed.requirements().map(|required| required.req.to_string()).collect()
}

/// One text as the specification writes it.
fn canonical(text: &str) -> Option<String> {
    let text = text.trim();
    if text.is_empty() || text.len() > LONGEST_EXPRESSION {
        return None;
    }
    if let Some(name) = common_name(text) {
        return Some(name.to_owned());
    }
    let text = listed_case(text);
    let canonical = Expression::canonicalize(&text).ok()?.unwrap_or_else(|| text.clone());
    let parsed = Expression::parse_mode(&canonical, ParseMode::STRICT).ok()?;
    let text = parsed.to_string();
    Some(without_outer_parentheses(&text).to_owned())
}

/// Identifiers are compared without regard to case, and written as the list has them (SPDX 2.3 annex D.2).
fn listed_case(text: &str) -> String {
    let word = |word: &str| {
        let listed = LICENSES.iter().find(|license| license.name.eq_ignore_ascii_case(word));
        listed.map_or_else(|| word.to_owned(), |license| license.name.to_owned())
    };
    text.split_inclusive([' ', '(', ')'])
        .map(|part| {
            let end = part.trim_end_matches([' ', '(', ')']).len();
            word(&part[..end]) + &part[end..]
        })
        .collect()
}

/// `(A OR B)` is `A OR B`; `(A) OR (B)` stays.
fn without_outer_parentheses(text: &str) -> &str {
    let Some(inner) = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) else {
        return text;
    };
    let mut depth = 0_i64;
    let closes_early = inner.bytes().any(|byte| {
        depth += i64::from(byte == b'(') - i64::from(byte == b')');
        depth < 0
    });
    if closes_early { text } else { without_outer_parentheses(inner.trim()) }
}

/// Names that are no identifiers and mean one licence only, as registries print them.
fn common_name(text: &str) -> Option<&'static str> {
    let known = match text.to_ascii_lowercase().as_str() {
        "apache 2.0"
        | "apache 2"
        | "apache license 2.0"
        | "apache license, version 2.0"
        | "apache-2"
        | "the apache license, version 2.0"
        | "the apache software license, version 2.0"
        | "apache software license 2.0" => "Apache-2.0",
        "mit license" | "the mit license" | "expat" | "mit/expat" => "MIT",
        "bsd-3" | "bsd 3-clause" | "3-clause bsd" | "new bsd license" | "bsd 3-clause license" => {
            "BSD-3-Clause"
        }
        "bsd-2" | "bsd 2-clause" | "2-clause bsd" | "simplified bsd" => "BSD-2-Clause",
        "isc license" | "iscl" => "ISC",
        "mpl 2.0" | "mozilla public license 2.0" | "mozilla public license, version 2.0" => "MPL-2.0",
        "psf" | "psfl" | "python software foundation license" => "PSF-2.0",
        "gplv2" | "gpl v2" | "gpl2" => "GPL-2.0-only",
        "gplv2+" | "gpl-2+" | "gpl2+" => "GPL-2.0-or-later",
        "gplv3" | "gpl v3" | "gpl3" => "GPL-3.0-only",
        "gplv3+" | "gpl-3+" | "gpl3+" => "GPL-3.0-or-later",
        "lgplv2+" | "lgpl-2+" => "LGPL-2.0-or-later",
        "lgplv2.1+" | "lgpl-2.1+" => "LGPL-2.1-or-later",
        "lgplv3+" | "lgpl-3+" => "LGPL-3.0-or-later",
        "zlib/libpng" | "zlib license" => "Zlib",
        "the unlicense" => "Unlicense",
        _ => return None,
    };
    Some(known)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_become_expressions_only_where_they_are_some() {
        for (texts, expected) in [
            (vec!["MIT"], Some("MIT")),
            (vec!["MIT OR Apache-2.0"], Some("MIT OR Apache-2.0")),
            (vec!["(MIT OR Apache-2.0)", "ISC"], Some("(MIT OR Apache-2.0) AND ISC")),
            (vec!["GPL-2.0"], Some("GPL-2.0-only")),
            (vec!["GPL-2.0+"], Some("GPL-2.0-or-later")),
            (vec!["GPLv2+"], Some("GPL-2.0-or-later")),
            (vec!["apache-2.0"], Some("Apache-2.0")),
            (
                vec!["GPL-2.0-only WITH Classpath-exception-2.0"],
                Some("GPL-2.0-only WITH Classpath-exception-2.0"),
            ),
            (vec!["MIT", "MIT"], Some("MIT")),
            (vec!["LicenseRef-ours"], Some("LicenseRef-ours")),
            (vec!["UNLICENSED"], None),
            (vec!["SEE LICENSE IN LICENSE.md"], None),
            (vec!["MIT", "custom"], None),
            (vec![""], None),
            (vec![], None),
        ] {
            let texts: Vec<String> = texts.into_iter().map(str::to_owned).collect();
            assert_eq!(expression(&texts).as_deref(), expected, "{texts:?}");
        }
    }

    #[test]
    fn identifiers_are_what_policies_name() {
        assert_eq!(identifiers("MIT OR GPL-3.0-only"), ["MIT", "GPL-3.0-only"]);
        assert_eq!(identifiers("Apache 2.0"), ["Apache-2.0"]);
        assert_eq!(identifiers("Commercial, ask us"), ["Commercial, ask us"]);
    }

    #[test]
    fn i7_a_deep_expression_is_survived() {
        let deep = format!("{}MIT{}", "(".repeat(100_000), ")".repeat(100_000));
        assert_eq!(expression(&[deep]), None);
        let long = vec!["MIT"; 200].join(" AND ");
        let _ = expression(&[long]);
    }

    proptest! {
        #[test]
        fn i7_no_text_panics_and_what_comes_out_is_a_fixed_point(text in "\\PC{0,80}") {
            if let Some(found) = expression(&[text]) {
                prop_assert_eq!(expression(std::slice::from_ref(&found)), Some(found));
            }
        }
    }
}
