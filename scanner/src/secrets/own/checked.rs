//! What a file of rules says, checked: the first mistake in it, or rules that can be searched for at a bounded cost.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_saphyr::Spanned;
use shared::model::report::Severity;
use shared::policy::Position;

use super::super::check::Check;
use super::super::guard::Guard;
use super::super::rule::{CompiledRule, Kind, Reach, Rule, Span};

pub(super) const MOST_RULES: usize = 100;
/// Of all rules together: with more of them the first look at every byte takes several times as long.
pub(super) const MOST_LITERALS: usize = 256;
const LONGEST_ID: usize = 64;
const LONGEST_TITLE: usize = 200;
const LONGEST_LITERAL: usize = 100;
const LONGEST_PATTERN: usize = 2000;
/// How far a match may begin before its literal and end behind it: as for built-in rules.
const AROUND: Span = Span::Covers(100, 700);
/// What is random has at most so many bits a byte.
const MOST_ENTROPY: f64 = 8.0;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFile {
    version: Spanned<u32>,
    rules: Spanned<Vec<RawRule>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    id: Spanned<String>,
    title: Spanned<String>,
    severity: Severity,
    literals: Spanned<Vec<Spanned<String>>>,
    pattern: Spanned<String>,
    reach: RawReach,
    entropy: Option<Spanned<f64>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawReach {
    Everywhere,
    Texts,
}

/// What is wrong, and where.
pub(super) struct Mistake {
    pub(super) at: Position,
    pub(super) reason: String,
}

impl RawFile {
    /// The rules, ready to be searched for.
    pub(super) fn check(self) -> Result<Vec<CompiledRule>, Mistake> {
        if self.version.value != 1 {
            return Err(mistake(&self.version, "version: only 1 is known"));
        }
        if self.rules.value.len() > MOST_RULES {
            return Err(mistake(&self.rules, format!("rules: are more than {MOST_RULES}")));
        }
        let literals: usize = self.rules.value.iter().map(|rule| rule.literals.value.len()).sum();
        if literals > MOST_LITERALS {
            return Err(mistake(
                &self.rules,
                format!("rules: have more than {MOST_LITERALS} literals together"),
            ));
        }
        let mut ids = BTreeSet::new();
        for rule in &self.rules.value {
            if !ids.insert(&rule.id.value) {
                return Err(mistake(&rule.id, format!("id: {} is there twice; rename one", rule.id.value)));
            }
        }
        self.rules.value.iter().map(RawRule::check).collect()
    }
}

impl RawRule {
    fn check(&self) -> Result<CompiledRule, Mistake> {
        self.check_id()?;
        self.check_title()?;
        let literals = self.checked_literals()?;
        if self.pattern.value.len() > LONGEST_PATTERN {
            return Err(mistake(&self.pattern, format!("pattern: has more than {LONGEST_PATTERN} bytes")));
        }
        let rule = Rule {
            kind: Kind { id: &self.id.value, title: &self.title.value, severity: self.severity },
            literals: &literals,
            pattern: &self.pattern.value,
            guard: Guard::None,
            span: AROUND,
            reach: self.reach.into(),
            check: self.checked_entropy()?,
        };
        let compiled = CompiledRule::new(rule)
            .map_err(|error| mistake(&self.pattern, format!("pattern: {}", said(&error))))?;
        if compiled.matches_nothing() {
            let reason =
                "pattern: matches the empty text; ask for at least one character, with + instead of *";
            return Err(mistake(&self.pattern, reason));
        }
        Ok(compiled)
    }

    fn check_id(&self) -> Result<(), Mistake> {
        let id = &self.id.value;
        let is_plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
        if id.starts_with("TW-") {
            return Err(mistake(
                &self.id,
                format!("id: {id} begins with TW-, as built-in rules do; rename it"),
            ));
        }
        if id.is_empty() || id.len() > LONGEST_ID || !id.bytes().all(is_plain) || id.starts_with('-') {
            let reason =
                format!("id: {id:?} is none; write it like ACME-TOKEN, with at most {LONGEST_ID} characters");
            return Err(mistake(&self.id, reason));
        }
        Ok(())
    }

    fn check_title(&self) -> Result<(), Mistake> {
        let title = &self.title.value;
        if title.trim().is_empty() || title.len() > LONGEST_TITLE || title.chars().any(char::is_control) {
            let reason = format!("title: is to be one line of at most {LONGEST_TITLE} bytes");
            return Err(mistake(&self.title, reason));
        }
        Ok(())
    }

    fn checked_literals(&self) -> Result<Vec<&str>, Mistake> {
        if self.literals.value.is_empty() {
            let reason = "literals: is empty; name a text that is in every such secret or before it";
            return Err(mistake(&self.literals, reason));
        }
        let (shortest, wherefore) = match self.reach {
            RawReach::Everywhere => (4, "they are looked for in every byte; or reach texts only"),
            RawReach::Texts => (3, "shorter ones are in every text"),
        };
        let checked = self.literals.value.iter().map(|literal| match literal.value.len() {
            length if length < shortest => {
                Err(mistake(literal, format!("literals: at least {shortest} bytes each, {wherefore}")))
            }
            length if length > LONGEST_LITERAL => {
                Err(mistake(literal, format!("literals: at most {LONGEST_LITERAL} bytes each")))
            }
            _ => Ok(literal.value.as_str()),
        });
        checked.collect()
    }

    fn checked_entropy(&self) -> Result<Check, Mistake> {
        match &self.entropy {
            None => Ok(Check::None),
            Some(least) if (0.0..=MOST_ENTROPY).contains(&least.value) => Ok(Check::Entropy(least.value)),
            Some(least) => Err(mistake(least, "entropy: is in bits a byte, from 0 to 8; words have about 3")),
        }
    }
}

impl From<RawReach> for Reach {
    fn from(raw: RawReach) -> Self {
        match raw {
            RawReach::Everywhere => Self::Everywhere,
            RawReach::Texts => Self::Texts,
        }
    }
}

fn mistake<T>(value: &Spanned<T>, reason: impl Into<String>) -> Mistake {
    let at = Position { line: value.referenced.line().max(1), column: value.referenced.column().max(1) };
    Mistake { at, reason: reason.into() }
}

/// What is wrong with an expression, in one line: the last one of a drawing.
fn said(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "is too large when compiled; use smaller repetitions".to_owned(),
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.strip_prefix("error: ").unwrap_or(last).to_owned()
        }
    }
}
