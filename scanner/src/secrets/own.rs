//! A site's own rules: a YAML file (`worker.secret_rules`) that says what tokens of its own look like.
//!
//! A file that is wrong anywhere is refused as a whole, with line and column: a rule that is silently left out would
//! be a secret that is silently left in. What a rule may cost is bounded here, because every byte of every image pays.

use std::collections::BTreeSet;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_saphyr::{MessageFormatter as _, Spanned, UserMessageFormatter};
use shared::model::report::Severity;
use shared::policy::Position;

use super::check::Check;
use super::guard::Guard;
use super::rule::{CompiledRule, Kind, Reach, Rule, Span};

/// Written by hand; more than this is a mistake.
const LARGEST_FILE: u64 = 1 << 20;
const MOST_RULES: usize = 100;
/// Of all rules together: with more of them the first look at every byte takes several times as long.
const MOST_LITERALS: usize = 256;
const LONGEST_ID: usize = 64;
const LONGEST_TITLE: usize = 200;
const LONGEST_LITERAL: usize = 100;
const LONGEST_PATTERN: usize = 2000;
/// How far a match may begin before its literal and end behind it: as for built-in rules.
const AROUND: Span = Span::Covers(100, 700);
/// What is random has at most so many bits a byte.
const MOST_ENTROPY: f64 = 8.0;

/// The rules of a site, checked and ready; none by default.
#[derive(Default)]
pub struct OwnRules(Vec<CompiledRule>);

/// Why a file of rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OwnRulesError {
    /// The file cannot be read, or is not UTF-8.
    #[error("cannot read secret rules {}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is larger than any that is written by hand.
    #[error("secret rules {} have more than {LARGEST_FILE} bytes", .0.display())]
    TooLarge(PathBuf),
    /// Not YAML, an unknown key, a wrong value; the text names line and column.
    #[error("secret rules {}: {reason}", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Where, what is wrong and how to repair it.
        reason: String,
    },
    /// A rule that cannot be searched for.
    #[error("secret rules {}: {at}: {reason}", path.display())]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// Where in it.
        at: Position,
        /// What is wrong and how to repair it.
        reason: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
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
struct Mistake {
    at: Position,
    reason: String,
}

impl OwnRules {
    /// Reads the rules of a file.
    pub fn load(path: &Path) -> Result<Self, OwnRulesError> {
        let unreadable = |source| OwnRulesError::Io { path: path.to_owned(), source };
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(LARGEST_FILE + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > LARGEST_FILE {
            return Err(OwnRulesError::TooLarge(path.to_owned()));
        }
        Self::parse(&text, path)
    }

    /// The rules in the text of the file at `path`.
    fn parse(text: &str, path: &Path) -> Result<Self, OwnRulesError> {
        let raw: RawFile = serde_saphyr::from_str(text)
            .map_err(|error| OwnRulesError::Syntax { path: path.to_owned(), reason: told(text, &error) })?;
        raw.check().map_err(|Mistake { at, reason }| OwnRulesError::Invalid {
            path: path.to_owned(),
            at,
            reason,
        })
    }

    pub(super) fn into_rules(self) -> Vec<CompiledRule> {
        self.0
    }
}

impl RawFile {
    fn check(self) -> Result<OwnRules, Mistake> {
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
        self.rules.value.iter().map(RawRule::check).collect::<Result<_, _>>().map(OwnRules)
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

/// What is wrong with the text as YAML, in one line.
fn told(text: &str, error: &serde_saphyr::Error) -> String {
    if text.trim().is_empty() {
        return "the file is empty; it begins with version and rules".to_owned();
    }
    let error = error.without_snippet();
    let what = UserMessageFormatter.format_message(error);
    match error.location() {
        Some(at) => format!("{}: {what}", Position { line: at.line(), column: at.column() }),
        None => what.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Key, Secrets};
    use super::*;

    const RULE: &str = "version: 1\nrules:\n  - id: ACME-TOKEN\n    title: A token of Acme's\n    severity: critical\n    literals: [acme_]\n    pattern: '\\b(acme_[a-z0-9]{20})\\b'\n    reach: everywhere\n    entropy: 3.0\n";

    fn parse(text: &str) -> Result<OwnRules, OwnRulesError> {
        OwnRules::parse(text, Path::new("rules.yaml"))
    }

    fn secrets(text: &str) -> Secrets {
        Secrets::new(Key::Public, parse(text).unwrap())
    }

    fn found(secrets: &Secrets, content: &[u8]) -> Vec<(String, Option<String>)> {
        let mut search = secrets.search(b"app/settings.txt", content.len() as u64);
        search.feed(content);
        search.finish().found.into_iter().map(|found| (found.rule, found.masked)).collect()
    }

    #[test]
    fn what_a_site_describes_is_found_and_masked() {
        let secrets = secrets(RULE);
        let expected = vec![("ACME-TOKEN".to_owned(), Some("acme… (25 characters)".to_owned()))];
        for content in ["key acme_8fj2k1m4n7q0r3t6v9xz end", "\0\u{1}acme_8fj2k1m4n7q0r3t6v9xz\0"] {
            assert_eq!(found(&secrets, content.as_bytes()), expected, "{content:?}");
        }
        for content in [
            "acme_aaaaaaaaaaaaaaaaaaaa",
            "acme_8fj2",
            "acme_examplek1m4n7q0r3t6",
            "Acme_8fj2k1m4n7q0r3t6v9xz",
        ] {
            assert_eq!(found(&secrets, content.as_bytes()), [], "{content:?}");
        }
        assert_eq!(secrets.without_secrets("use acme_8fj2k1m4n7q0r3t6v9xz"), "use acme… (25 characters)");
        let texts = self::secrets(&RULE.replace("everywhere", "texts"));
        assert_eq!(found(&texts, b"\0acme_8fj2k1m4n7q0r3t6v9xz\0"), []);
    }

    #[test]
    fn i6_rules_are_part_of_the_revision() {
        let revisions: BTreeSet<String> = [
            RULE.to_owned(),
            RULE.replace("{20}", "{21}"),
            RULE.replace("critical", "low"),
            RULE.replace("3.0", "3.1"),
            RULE.replace("everywhere", "texts"),
            "version: 1\nrules: []".to_owned(),
        ]
        .iter()
        .map(|text| secrets(text).revision())
        .collect();
        assert_eq!(revisions.len(), 6);
        assert!(revisions.contains(&Secrets::built_in().revision()));
    }

    #[test]
    fn a_wrong_file_is_refused_with_its_place() {
        let many = |count: usize| {
            let rule = |at| RULE[RULE.find("  - id").unwrap()..].replace("ACME-TOKEN", &format!("ACME-{at}"));
            format!("version: 1\nrules:\n{}", (0..count).map(rule).collect::<String>())
        };
        assert!(parse(&many(MOST_RULES)).is_ok());
        let literals = format!("literals: [{}]", vec!["acme_"; MOST_LITERALS + 1].join(", "));
        for (text, parts) in [
            (String::new(), ["is empty", "version"]),
            ("version: 2\nrules: []".to_owned(), ["line 1, column 10", "only 1"]),
            ("version: 1\nrules: []\nmore: 1".to_owned(), ["line 3", "more"]),
            ("version: 1\nversion: 1\nrules: []".to_owned(), ["line 2", "version"]),
            ("version: [".to_owned(), ["line 1", ""]),
            (RULE.replace("ACME-TOKEN", "TW-SEC-ACME"), ["line 3, column 9", "TW-"]),
            (RULE.replace("ACME-TOKEN", "acme token"), ["line 3, column 9", "ACME-TOKEN"]),
            (RULE.replace("A token of Acme's", "\"two\\nlines\""), ["line 4, column 12", "one line"]),
            (RULE.replace("critical", "bad"), ["line 5", "critical"]),
            (RULE.replace("[acme_]", "[]"), ["line 6, column 15", "empty"]),
            (RULE.replace("[acme_]", "[acm]"), ["line 6, column 16", "at least 4"]),
            (RULE.replace("[acme_]", "[ac]").replace("everywhere", "texts"), ["line 6", "at least 3"]),
            (RULE.replace("[acme_]", &format!("[{}]", "a".repeat(101))), ["line 6", "at most 100"]),
            (RULE.replace("literals: [acme_]", &literals), ["line 3", "256 literals"]),
            (RULE.replace("{20})", "{20}"), ["line 7, column 14", "unclosed group"]),
            (RULE.replace("(acme", "(?=acme"), ["line 7", "look-around"]),
            (RULE.replace("{20}", "{20}{100}{100}"), ["line 7", "too large"]),
            (RULE.replace("\\b(acme_[a-z0-9]{20})\\b", "x*"), ["line 7", "empty text"]),
            (RULE.replace("{20}", &"x".repeat(2000)), ["line 7", "2000 bytes"]),
            (RULE.replace("everywhere", "somewhere"), ["line 8", "everywhere"]),
            (RULE.replace("3.0", "9"), ["line 9, column 14", "bits"]),
            (RULE.replace("3.0", ".nan"), ["line 9", "bits"]),
            (RULE.replace("    reach: everywhere\n", ""), ["line 8", "reach"]),
            (many(2).replace("ACME-1", "ACME-0"), ["line 10, column 9", "twice"]),
            (many(MOST_RULES + 1), ["line 3", "more than 100"]),
        ] {
            let error = parse(&text).err().unwrap_or_else(|| panic!("{text}")).to_string();
            assert!(error.starts_with("secret rules rules.yaml: "), "{error}");
            assert!(
                !error.contains('\n') && parts.iter().all(|part| error.contains(part)),
                "{parts:?}: {error}"
            );
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rules.yaml");
        let refused = || OwnRules::load(&path).err().unwrap().to_string();
        assert!(refused().contains("cannot read secret rules"));
        std::fs::write(&path, b"version: \xff").unwrap();
        assert!(refused().contains("cannot read secret rules"));
        std::fs::write(&path, "#".repeat(2 << 20)).unwrap();
        assert!(refused().contains("more than"));
    }

    /// A literal that a hostile image repeats.
    #[test]
    fn i7_a_layer_full_of_literals_is_searched_in_linear_time() {
        let secrets = secrets(&RULE.replace("{20}", "+!"));
        let begun = std::time::Instant::now();
        assert_eq!(found(&secrets, "acme_".repeat(20_000).as_bytes()), []);
        assert!(begun.elapsed().as_secs() < 60);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn i7_no_text_panics(text in "\\PC{0,300}", pattern in "[a-z(){}|*+?.\\[\\]^$\\\\0-9,]{0,30}") {
            let _ = parse(&text);
            if let Ok(own) = parse(&RULE.replace("\\b(acme_[a-z0-9]{20})\\b", &pattern)) {
                let _ = found(&Secrets::new(Key::Public, own), b"acme_acme_ 1 acme_8fj2k1m4n7q0r3t6v9xz");
            }
        }
    }
}
