//! A site's own rules: a YAML file (`worker.secret_rules`) that says what tokens of its own look like.
//!
//! A file that is wrong anywhere is refused as a whole, with line and column: a rule that is silently left out would
//! be a secret that is silently left in. What a rule may cost is bounded here, because every byte of every image pays.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde_saphyr::{MessageFormatter as _, UserMessageFormatter};
use shared::policy::Position;

use super::rule::CompiledRule;
use checked::{Mistake, RawFile};

mod checked;

/// Written by hand; more than this is a mistake.
const LARGEST_FILE: u64 = 1 << 20;

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
        raw.check().map(Self).map_err(|Mistake { at, reason }| OwnRulesError::Invalid {
            path: path.to_owned(),
            at,
            reason,
        })
    }

    pub(super) fn into_rules(self) -> Vec<CompiledRule> {
        self.0
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
mod tests;
