//! The built-in rules, a table a family. Formats are those of the issuers' documentation.
//!
//! A pattern's first group is the secret. `\b` is of ASCII: expressions work on bytes.

use shared::model::report::Severity;

use super::check::Check;
use super::guard::Guard;
use super::rule::{BEFORE, BEHIND, Kind, Reach, Rule, Span};

mod cloud;
mod clusters;
mod forges;
mod keys;
mod logins;
mod packages;
mod services;

/// A JSON web token in its compact form (RFC 7515): header and claims are objects.
const JWT: &str = r"(ey[A-Za-z0-9_-]{10,}\.ey[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,})";

/// Every family. Adding one: a file, and a line here.
const FAMILIES: &[&[Rule<'static>]] = &[
    cloud::RULES,
    forges::RULES,
    packages::RULES,
    clusters::RULES,
    services::RULES,
    keys::RULES,
    logins::RULES,
];

/// Every rule.
pub(super) fn all() -> impl Iterator<Item = Rule<'static>> {
    FAMILIES.iter().copied().flatten().copied()
}

/// A token that begins with a literal and whose form nothing else has.
const fn token(
    id: &'static str,
    title: &'static str,
    severity: Severity,
    literals: &'static [&'static str],
    pattern: &'static str,
) -> Rule<'static> {
    let span = Span::Begins(700);
    Rule {
        kind: Kind { id, title, severity },
        literals,
        pattern,
        guard: Guard::None,
        span,
        reach: Reach::Everywhere,
        check: Check::None,
    }
}

/// A value that is only a secret in a text, beside the words that say so.
const fn text(
    id: &'static str,
    title: &'static str,
    severity: Severity,
    literals: &'static [&'static str],
    pattern: &'static str,
) -> Rule<'static> {
    let span = Span::Covers(100, 700);
    Rule {
        kind: Kind { id, title, severity },
        literals,
        pattern,
        guard: Guard::None,
        span,
        reach: Reach::Texts,
        check: Check::None,
    }
}

impl Rule<'_> {
    /// The same rule for texts only: its literal is too short, or its form too common.
    const fn in_texts(self) -> Self {
        Self { reach: Reach::Texts, ..self }
    }

    /// The same rule, whose match lies so far around the literal: no farther than is kept of what went by.
    const fn around(self, before: usize, behind: usize) -> Self {
        assert!(before <= BEFORE && behind <= BEHIND);
        Self { span: Span::Covers(before, behind), ..self }
    }

    /// The same rule with a longer match.
    const fn up_to(self, behind: usize) -> Self {
        assert!(behind <= BEHIND);
        Self { span: Span::Begins(behind), ..self }
    }

    /// The same rule, whose expression is asked only about what passes this.
    const fn guarded(self, guard: Guard) -> Self {
        Self { guard, ..self }
    }

    /// The same rule with a further test.
    const fn checked(self, check: Check) -> Self {
        Self { check, ..self }
    }
}
